//! `srvr` and `stat`: the server in short.

use std::fmt;

use base::Zxid;
use metrics::{Sizes, Traffic, java_double};

use crate::Connection;

/// What a server is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Alone.
    Standalone,
    /// Leads an ensemble.
    Leader,
    /// Follows a leader, with a vote or without.
    Follower,
    /// Follows a leader and never votes.
    Observer,
    /// Has lost its ensemble and serves reads all the same.
    ReadOnly,
}

impl Mode {
    /// Its name in `srvr`, and the `server_state` of `mntr`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Standalone => "standalone",
            Mode::Leader => "leader",
            Mode::Follower => "follower",
            Mode::Observer => "observer",
            Mode::ReadOnly => "read-only",
        }
    }
}

/// The facts of `srvr`, which its `Display` prints.
#[derive(Clone, Debug)]
pub struct Server {
    /// The full version.
    pub version: String,
    /// Packets and latencies of all connections together.
    pub traffic: Traffic,
    /// Open connections, the asking one included.
    pub connections: usize,
    /// Requests that were not answered yet.
    pub outstanding: u64,
    /// The last applied position.
    pub zxid: Zxid,
    /// What it is at the moment.
    pub mode: Mode,
    /// Nodes of the tree.
    pub node_count: u64,
    /// Bytes of proposals; shown if there are any, by a leader.
    pub proposal_sizes: Option<Sizes>,
}

/// The facts of `stat`, which its `Display` prints.
#[derive(Clone, Debug)]
pub struct Stat {
    /// The server.
    pub server: Server,
    /// Every open connection.
    pub connections: Vec<Connection>,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_head(f)?;
        self.write_body(f)
    }
}

impl fmt::Display for Stat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.server.write_head(f)?;
        writeln!(f, "Clients:")?;
        for connection in &self.connections {
            writeln!(f, "{}", connection.brief())?;
        }
        writeln!(f)?;
        self.server.write_body(f)
    }
}

impl Server {
    fn write_head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Zookeeper version: {}", self.version)?;
        if self.mode == Mode::ReadOnly {
            writeln!(f, "READ-ONLY mode; serving only read-only clients")?;
        }
        Ok(())
    }

    fn write_body(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let latency = &self.traffic.latency;
        let average = java_double(latency.average());
        writeln!(f, "Latency min/avg/max: {}/{average}/{}", latency.min(), latency.max())?;
        writeln!(f, "Received: {}", self.traffic.packets_received)?;
        writeln!(f, "Sent: {}", self.traffic.packets_sent)?;
        writeln!(f, "Connections: {}", self.connections)?;
        writeln!(f, "Outstanding: {}", self.outstanding)?;
        writeln!(f, "Zxid: {}", self.zxid)?;
        writeln!(f, "Mode: {}", self.mode.name())?;
        writeln!(f, "Node count: {}", self.node_count)?;
        if let Some(Sizes { last, min, max }) = self.proposal_sizes {
            writeln!(f, "Proposal sizes last/min/max: {last}/{min}/{max}")?;
        }
        Ok(())
    }
}
