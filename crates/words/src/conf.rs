//! `conf` and `dirs`: the configuration in use, and the sizes of the directories.

use std::fmt;

/// The bytes in the server's directories, padding included. Its `Display` is the text of `dirs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirectorySizes {
    /// Snapshots.
    pub data: u64,
    /// Transaction logs.
    pub log: u64,
}

/// The facts of `conf`, which its `Display` prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conf {
    /// The port for clients, or -1.
    pub client_port: i32,
    /// The TLS port for clients, or -1.
    pub secure_client_port: i32,
    /// The snapshots' directory, `version-2` included.
    pub data_dir: String,
    /// The logs' directory, `version-2` included.
    pub data_log_dir: String,
    /// What is in them.
    pub sizes: DirectorySizes,
    /// Milliseconds of a tick.
    pub tick_time_ms: i64,
    /// Connections allowed to one address; 0 for no limit.
    pub max_client_connections: i64,
    /// Milliseconds.
    pub min_session_timeout_ms: i64,
    /// Milliseconds.
    pub max_session_timeout_ms: i64,
    /// Connections that may wait to be accepted; -1 for the system's choice.
    pub client_port_listen_backlog: i64,
    /// `myid`; 0 if alone.
    pub server_id: u64,
    /// What a member of an ensemble adds.
    pub member: Option<MemberConf>,
}

/// What a member of an ensemble adds to `conf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberConf {
    /// Ticks that a follower has to connect and synchronize.
    pub init_limit: i64,
    /// Ticks that a follower may be behind.
    pub sync_limit: i64,
    /// The ports for elections, one for each of its addresses.
    pub election_ports: Vec<u16>,
    /// The ports for followers, one for each of its addresses.
    pub quorum_ports: Vec<u16>,
    /// Whether it never votes.
    pub is_observer: bool,
    /// The text of the dynamic configuration; not shown by a read-only server.
    pub membership: Option<String>,
}

impl fmt::Display for DirectorySizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "datadir_size: {}", self.data)?;
        writeln!(f, "logdir_size: {}", self.log)
    }
}

impl fmt::Display for Conf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "clientPort={}", self.client_port)?;
        writeln!(f, "secureClientPort={}", self.secure_client_port)?;
        writeln!(f, "dataDir={}", self.data_dir)?;
        writeln!(f, "dataDirSize={}", self.sizes.data)?;
        writeln!(f, "dataLogDir={}", self.data_log_dir)?;
        writeln!(f, "dataLogSize={}", self.sizes.log)?;
        writeln!(f, "tickTime={}", self.tick_time_ms)?;
        writeln!(f, "maxClientCnxns={}", self.max_client_connections)?;
        writeln!(f, "minSessionTimeout={}", self.min_session_timeout_ms)?;
        writeln!(f, "maxSessionTimeout={}", self.max_session_timeout_ms)?;
        writeln!(f, "clientPortListenBacklog={}", self.client_port_listen_backlog)?;
        writeln!(f, "serverId={}", self.server_id)?;
        self.member.as_ref().map_or(Ok(()), |member| member.fmt(f))
    }
}

impl fmt::Display for MemberConf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "initLimit={}", self.init_limit)?;
        writeln!(f, "syncLimit={}", self.sync_limit)?;
        // Fast leader election, the only one since 3.5.
        writeln!(f, "electionAlg=3")?;
        writeln!(f, "electionPort={}", joined(&self.election_ports))?;
        writeln!(f, "quorumPort={}", joined(&self.quorum_ports))?;
        writeln!(f, "peerType={}", u8::from(self.is_observer))?;
        if let Some(membership) = &self.membership {
            write!(f, "membership: \n{membership}")?;
        }
        Ok(())
    }
}

fn joined(ports: &[u16]) -> String {
    ports.iter().map(u16::to_string).collect::<Vec<_>>().join("|")
}
