//! What an engine is told at its start.

use crate::configuration::Configuration;
use base::{NodeId, Zxid};
use broadcast::{Addresses, Base, Slot};
use std::time::Duration;

/// The engine's configuration. Given whole by the caller.
#[derive(Clone, Debug, Hash)]
pub struct Config {
    /// This member.
    pub me: NodeId,
    /// The cluster: members of another one are strangers.
    pub cluster: u64,
    /// Where this member listens for others.
    pub listen: Addresses,
    /// The members as long as no entry has named others: the same everywhere. A member that is to
    /// be added later is told those that are there, without itself.
    pub initial: Configuration,
    /// Reads the members that an item names, if it is one that changes them.
    pub names: fn(&[u8]) -> Option<Configuration>,
    /// Whether a candidate first asks whether it would be elected (PreVote). Default: yes.
    pub pre_vote: bool,
    /// Whether a leader that does not hear a quorum steps down, and voters that hear a leader
    /// refuse others (CheckQuorum). Default: yes.
    pub check_quorum: bool,
    /// Whether a leader answers linearizable reads without a round while its lease lasts.
    pub lease: Option<Lease>,
    /// Times and sizes.
    pub limits: Limits,
}

impl Config {
    /// The defaults, for this member of these.
    #[must_use]
    pub fn new(me: NodeId, cluster: u64, initial: Configuration) -> Config {
        let listen = initial.addresses(me).cloned().unwrap_or_else(|| [].into());
        let limits = Limits::default();
        let (pre_vote, check_quorum, lease) = (true, true, None);
        let names = |_: &[u8]| None;
        Config { me, cluster, listen, initial, names, pre_vote, check_quorum, lease, limits }
    }

    /// Whether voters hold to a leader that they hear.
    pub(crate) fn holds_to_leader(&self) -> bool {
        self.check_quorum || self.lease.is_some()
    }
}

/// The bound on which lease reads rest.
///
/// While the clock of one member goes on by some time, that of no other may go on by more than
/// `drift_percent` % longer. A process that stands still between the answer of its engine and the
/// read itself may serve old data: who cannot rule that out must not use leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// How much faster than another one a clock may be.
    pub drift_percent: u32,
}

/// Times and sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// How long a follower waits for its leader, at the least; twice as long at the most.
    pub election_timeout: Duration,
    /// How often a leader says that it is there.
    pub heartbeat: Duration,
    /// How long until a lost connection is tried again; twice as long at the most.
    pub connect_retry: Duration,
    /// How long a connection may take to say whose it is.
    pub opening: Duration,
    /// How long a state that comes over a link may stand still.
    pub snapshot_patience: Duration,
    /// Entries of one frame together, in bytes; a larger one is sent alone.
    pub append_size_max: usize,
    /// The largest frame of a peer, in bytes; no larger item is taken.
    pub frame_size_max: usize,
    /// Frames on their way to one follower.
    pub inflight_max: usize,
    /// Bytes of entries on their way to one follower.
    pub inflight_bytes_max: usize,
    /// Bytes of entries that are not committed yet: more is not taken, but for a first one.
    pub uncommitted_bytes_max: usize,
    /// Delivered entries that are kept in memory for followers.
    pub recent_entries: usize,
    /// Bytes of delivered entries that are kept in memory for followers.
    pub recent_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            election_timeout: Duration::from_secs(1),
            heartbeat: Duration::from_millis(100),
            connect_retry: Duration::from_millis(100),
            opening: Duration::from_secs(5),
            snapshot_patience: Duration::from_secs(10),
            append_size_max: 1 << 20,
            frame_size_max: 64 << 20,
            inflight_max: 256,
            inflight_bytes_max: 64 << 20,
            uncommitted_bytes_max: usize::MAX,
            recent_entries: 10_000,
            recent_bytes: 64 << 20,
        }
    }
}

/// What a member finds on its disk.
#[derive(Clone, Debug, Default)]
pub struct Durable {
    /// The register [`TERM`]; 0 if it was never written.
    pub term: i64,
    /// The register [`VOTE`].
    pub vote: i64,
    /// The register [`VOTE_TERM`].
    pub vote_term: i64,
    /// Where the log begins, in the order in which it was written.
    pub bases: Vec<Base>,
    /// The slots of the log, without a gap.
    pub slots: Vec<Slot>,
    /// The place of the durable state: it holds all up to there, and the service has applied it.
    pub applied: Zxid,
    /// Whether this member had a disk before, and lost it: what it promised is forgotten, so it
    /// must not vote under this id any more.
    pub is_lost: bool,
    /// The register [`HISTORY`].
    pub history: u64,
}

/// The register of the current term.
pub const TERM: &str = "term";
/// The register of the member that got this member's vote, in the term of the next one.
pub const VOTE: &str = "vote";
/// The register of the term of the vote. Written behind the vote, and that behind the term: a
/// crash in between leaves no vote that was not given, and forgets none that was told.
pub const VOTE_TERM: &str = "voteTerm";
/// The register of the history that the log goes on with: of logs that did not begin with nothing,
/// but with a state from elsewhere, a number that only those with the same state have. Members of
/// different ones do not speak to each other, for each takes its own beginning for committed. Never
/// written, or 0, if the log began with nothing.
pub const HISTORY: &str = "history";
