//! What makes a server the member of an ensemble.

use std::path::PathBuf;
use std::time::Duration;

use base::NodeId;
use wire::quorum::{Membership, Role, Rules, Server};

/// What makes a server the member of an ensemble. The members' texts are read by `rules`.
#[derive(Clone, Debug, PartialEq)]
pub struct Ensemble {
    /// What orders its transactions.
    pub engine: Engine,
    /// This server (`myid`): the committed configuration has it.
    pub me: NodeId,
    /// The configuration in force; its version is that of the dynamic file's name, or 0.
    pub committed: Membership,
    /// A later one that was seen and is not known to be in force.
    pub last_seen: Option<Membership>,
    /// How texts of configurations are read.
    pub rules: Rules,
    /// Where configurations are kept; `None` without a file.
    pub files: Option<Files>,
    /// Whether peers may come by every address of the machine.
    pub listen_on_all_addresses: bool,
    /// The port for observers: a follower serves them there, and an observer looks for such
    /// followers. `None` if observers go to the leader.
    pub observer_port: Option<u16>,
    /// Whether TCP keepalive is on between servers.
    pub tcp_keepalive: bool,
    /// Whether new sessions are known to their server alone.
    pub local_sessions: bool,
    /// Whether an ephemeral node makes such a session everybody's; else it may not make one.
    pub local_sessions_upgrade: bool,
    /// Whether a leader has clients.
    pub leader_serves: bool,
    /// Whether every synchronization is a snapshot.
    pub force_snapshot: bool,
    /// How much log from the disk a leader sends, as a part of the snapshot's size; `None` is none.
    pub log_per_snapshot: Option<f64>,
    /// How many learners may be sent a snapshot at a time before observers wait.
    pub snapshot_syncs_max: u32,
    /// The same for differences.
    pub difference_syncs_max: u32,
    /// How long things may take.
    pub times: Times,
}

impl Ensemble {
    /// This server's own line.
    #[must_use]
    pub fn own(&self) -> &Server {
        let own = self.committed.server(self.me.0.cast_signed());
        own.expect("the committed configuration has this server")
    }

    /// Whether this server votes. `peerType` has no say in it.
    #[must_use]
    pub fn role(&self) -> Role {
        self.own().role()
    }
}

/// What orders an ensemble's transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Engine {
    /// ZooKeeper's atomic broadcast.
    Zab,
    /// Raft.
    Raft {
        /// The cluster's name: members and data of another are refused.
        cluster: String,
        /// Whether the server begins without a part in the ensemble, until the others add it.
        joins: bool,
        /// Whether a leader answers linearizable reads by its lease, and by how many percent one
        /// member's clock may be faster than another's; `None` is a round for each.
        lease_drift_percent: Option<u32>,
    },
}

/// Where configurations are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The file that the server was started with.
    pub static_file: PathBuf,
    /// The file with the servers; `None` if they stand in the static file.
    pub dynamic_file: Option<PathBuf>,
}

/// How long things between servers may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Times {
    /// Ticks that a learner may take to join, at least 1.
    pub init_ticks: u32,
    /// Ticks without a sign of life, at least 1.
    pub sync_ticks: u32,
    /// How long a new leader waits for a quorum though a voter that elected it looks again; `None`
    /// is as long as a learner may take to join.
    pub disloyal_wait: Option<Duration>,
    /// Longest time between two trials to connect to a leader.
    pub learner_connect_retry: Duration,
    /// How long a connection for an election may take to be made.
    pub election_connect: Duration,
    /// Longest time for who calls for an election to say who it is.
    pub election_opening: Duration,
    /// Shortest time between two rounds of votes.
    pub notify_min: Duration,
    /// Longest time between two rounds of votes, not below the shortest.
    pub notify_max: Duration,
}
