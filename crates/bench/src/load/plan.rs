//! What a measurement does: the workload, its size, its pace and its length.

use crate::load::keys::Distribution;
use clap::{Args, ValueEnum};
use serde::Serialize;

/// What the connections do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Reads nodes.
    Get,
    /// Asks whether nodes exist.
    Exists,
    /// Replaces nodes' data.
    Set,
    /// Creates nodes of new names.
    Create,
    /// Creates nodes that the server numbers.
    Sequential,
    /// Reads and writes, by --read-percent.
    Mixed,
    /// Waits for the leader's commits.
    Sync,
    /// Replaces the data of --multi-size nodes at once.
    Multi,
    /// Lists a node of --children children.
    Children,
    /// Pings.
    Ping,
    /// One connection sets a node that all others watch; counts events.
    Watch,
    /// Opens and closes sessions; counts pairs.
    Churn,
    /// Opens sessions, --at-once at a time, until all are open; counts sessions.
    Storm,
    /// Holds sessions open; counts the pings that keep them.
    Idle,
}

impl Kind {
    /// What latencies are kept of, by slot.
    #[must_use]
    pub fn slots(self) -> &'static [&'static str] {
        match self {
            Kind::Get => &["get"],
            Kind::Exists => &["exists"],
            Kind::Set => &["set"],
            Kind::Create => &["create"],
            Kind::Sequential => &["create sequential"],
            Kind::Mixed => &["get", "set"],
            Kind::Sync => &["sync"],
            Kind::Multi => &["multi"],
            Kind::Children => &["children"],
            Kind::Ping | Kind::Idle => &["ping"],
            Kind::Watch => &["event", "set"],
            Kind::Churn => &["open and close"],
            Kind::Storm => &["open"],
        }
    }

    /// How many of the slots make the operations that are counted; the first ones.
    #[must_use]
    pub fn counted(self) -> usize {
        match self {
            Kind::Watch => 1,
            Kind::Mixed => 2,
            Kind::Get
            | Kind::Exists
            | Kind::Set
            | Kind::Create
            | Kind::Sequential
            | Kind::Sync
            | Kind::Multi
            | Kind::Children
            | Kind::Ping
            | Kind::Churn
            | Kind::Storm
            | Kind::Idle => self.slots().len(),
        }
    }

    /// Whether its connections send requests one after the other, by window or rate.
    #[must_use]
    pub fn is_steady(self) -> bool {
        match self {
            Kind::Get
            | Kind::Exists
            | Kind::Set
            | Kind::Create
            | Kind::Sequential
            | Kind::Mixed
            | Kind::Sync
            | Kind::Multi
            | Kind::Children
            | Kind::Ping => true,
            Kind::Watch | Kind::Churn | Kind::Storm | Kind::Idle => false,
        }
    }

    /// Whether sessions that do nothing are all that it asks a server to keep.
    #[must_use]
    pub fn holds_sessions(self) -> bool {
        matches!(self, Kind::Storm | Kind::Idle)
    }

    /// Whether opening sessions is the load itself.
    #[must_use]
    pub fn opens_under_load(self) -> bool {
        matches!(self, Kind::Churn | Kind::Storm)
    }
}

/// One measurement.
#[derive(Clone, Debug, PartialEq, Args)]
#[command(next_help_heading = "Load")]
pub struct Load {
    /// What the connections do
    #[arg(long = "workload", short = 'w', value_enum, default_value_t = Kind::Mixed)]
    pub kind: Kind,
    /// Connections, a session each; with `watch`, one more than watchers
    #[arg(long, short = 'c', default_value_t = DEFAULT.connections)]
    pub connections: usize,
    /// Requests that a connection has under way at most
    #[arg(long, default_value_t = DEFAULT.window)]
    pub window: usize,
    /// Requests per second over all connections, due whether the server keeps up or not; latency counts from then
    #[arg(long)]
    pub rate: Option<f64>,
    /// Bytes of data per node
    #[arg(long, default_value_t = DEFAULT.value_size)]
    pub value_size: usize,
    /// Nodes that requests choose from
    #[arg(long, default_value_t = DEFAULT.keys)]
    pub keys: u64,
    /// How they choose
    #[arg(long, value_enum, default_value_t = DEFAULT.distribution)]
    pub distribution: Distribution,
    /// Reads among 100 requests of `mixed`
    #[arg(long, default_value_t = DEFAULT.read_percent)]
    pub read_percent: u64,
    /// Nodes in one `multi`
    #[arg(long, default_value_t = DEFAULT.multi_size)]
    pub multi_size: usize,
    /// Children of the node that `children` lists
    #[arg(long, default_value_t = DEFAULT.children)]
    pub children: u64,
    /// Sessions that are being opened at a time
    #[arg(long, default_value_t = DEFAULT.at_once)]
    pub at_once: usize,
    /// Threads of the load generator
    #[arg(long, default_value_t = DEFAULT.threads)]
    pub threads: usize,
    /// The session time-out to ask for, in ms
    #[arg(long, default_value_t = DEFAULT.session_timeout_ms)]
    pub session_timeout_ms: u32,
    /// Seconds before counting begins
    #[arg(long, default_value_t = DEFAULT.warm_up)]
    pub warm_up: f64,
    /// Seconds that count
    #[arg(long, short = 's', default_value_t = DEFAULT.seconds)]
    pub seconds: f64,
}

/// What is not said on the command line.
pub const DEFAULT: Load = Load {
    kind: Kind::Mixed,
    connections: 16,
    window: 1,
    rate: None,
    value_size: 100,
    keys: 1000,
    distribution: Distribution::Uniform,
    read_percent: 90,
    multi_size: 10,
    children: 10_000,
    at_once: 50,
    threads: 1,
    session_timeout_ms: 30_000,
    warm_up: 2.0,
    seconds: 10.0,
};

impl Load {
    /// What stands in the way of running it.
    ///
    /// # Errors
    /// A sentence for whoever wrote the command line.
    pub fn validate(&self) -> Result<(), String> {
        let counts = [
            ("--connections", self.connections as u64),
            ("--window", self.window as u64),
            ("--keys", self.keys),
            ("--multi-size", self.multi_size as u64),
            ("--at-once", self.at_once as u64),
            ("--threads", self.threads as u64),
            ("--session-timeout-ms", u64::from(self.session_timeout_ms)),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(format!("{name} must be at least 1"));
        }
        if self.keys > KEYS_MAX || self.children > KEYS_MAX {
            return Err(format!("at most {KEYS_MAX} keys and children"));
        }
        if self.connections > CONNECTIONS_MAX {
            return Err(format!("at most {CONNECTIONS_MAX} connections"));
        }
        if self.read_percent > 100 {
            return Err("--read-percent is at most 100".to_owned());
        }
        let has_rate = self.rate.is_none_or(|rate| rate > 0.0);
        let has_time = self.seconds > 0.0 && self.warm_up >= 0.0;
        if !(has_rate && has_time) {
            return Err("--rate and --seconds must be above 0, --warm-up not below".to_owned());
        }
        if self.kind == Kind::Watch && self.connections < 2 {
            return Err("watch needs 2 connections: one sets, the others watch".to_owned());
        }
        Ok(())
    }

    /// Whether a reply is mostly data that nobody looks at.
    #[must_use]
    pub fn has_long_replies(&self) -> bool {
        let size = match self.kind {
            Kind::Children => self.children * CHILD_SIZE,
            Kind::Get | Kind::Mixed | Kind::Watch => self.value_size as u64,
            Kind::Exists
            | Kind::Set
            | Kind::Create
            | Kind::Sequential
            | Kind::Sync
            | Kind::Multi
            | Kind::Ping
            | Kind::Churn
            | Kind::Storm
            | Kind::Idle => 0,
        };
        size >= LONG_REPLY_MIN
    }

    /// Threads in use: a fan-out has one, so that its rounds need no coordination.
    #[must_use]
    pub fn threads_in_use(&self) -> usize {
        if self.kind == Kind::Watch { 1 } else { self.threads.min(self.connections) }
    }
}

/// A child's name and its length, in bytes.
const CHILD_SIZE: u64 = 13;
/// From where it pays to take the beginning of a reply first, in bytes: one more system call.
const LONG_REPLY_MIN: u64 = 16 * 1024;
/// Key names have eight digits.
const KEYS_MAX: u64 = 100_000_000;
/// Connections' own directories have six digits; a port range is far below that.
const CONNECTIONS_MAX: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use super::{DEFAULT, Kind, Load};
    use clap::ValueEnum;

    #[test]
    fn what_cannot_run_is_refused() {
        assert_eq!(DEFAULT.validate(), Ok(()));
        let bad = [
            Load { connections: 0, ..DEFAULT },
            Load { read_percent: 101, ..DEFAULT },
            Load { rate: Some(0.0), ..DEFAULT },
            Load { seconds: f64::NAN, ..DEFAULT },
            Load { kind: Kind::Watch, connections: 1, ..DEFAULT },
        ];
        for load in bad {
            assert!(load.validate().is_err(), "{load:?}");
        }
    }

    #[test]
    fn every_kind_counts_something() {
        for kind in Kind::value_variants() {
            assert!((1..=kind.slots().len()).contains(&kind.counted()));
        }
    }
}
