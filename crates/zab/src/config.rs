//! What an engine is told at its start.

use base::{NodeId, Zxid};
use broadcast::Item;
use std::time::Duration;
use wire::quorum::Membership;

/// The engine's configuration. Given whole by the caller.
#[derive(Clone, Debug, Hash)]
pub struct Config {
    /// This member (`myid`).
    pub me: NodeId,
    /// The ensemble as committed; version 0 if it never changed.
    pub committed: Membership,
    /// A later one that was seen and is not known to be committed.
    pub last_seen: Option<Membership>,
    /// Whether the membership changes while it runs (`reconfigEnabled`).
    pub reconfig: bool,
    /// Whether several addresses of a member are used (`multiAddress.enabled`).
    pub multi_address: bool,
    /// Whether ports for other members are open on all addresses (`quorumListenOnAllIPs`).
    pub listen_on_all: bool,
    /// The port for observers (`observerMasterPort`): a follower serves them there, and an observer
    /// looks for such followers. `None` if observers go to the leader.
    pub observer_port: Option<u16>,
    /// Times and sizes.
    pub limits: Limits,
}

/// Times and sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// The unit of the following two (`tickTime`).
    pub tick: Duration,
    /// Ticks that a learner may take to join (`initLimit`).
    pub init: u32,
    /// Ticks without a sign of life (`syncLimit`).
    pub sync: u32,
    /// How long an election waits for a better vote from members that are not heard yet.
    pub finalize_wait: Duration,
    /// First time between two rounds of notifications.
    pub notify_min: Duration,
    /// Longest time between two rounds of notifications.
    pub notify_max: Duration,
    /// Longest time between two trials to connect to a leader.
    pub connect_retry: Duration,
    /// How long who calls for an election may take to say who it is.
    pub opening: Duration,
    /// Committed entries that are kept for learners.
    pub recent_entries: usize,
    /// Bytes of committed entries that are kept for learners.
    pub recent_bytes: usize,
    /// Largest packet of a peer in bytes.
    pub packet_size_max: usize,
    /// Whether learners always get the whole state (`forceSnapshotSync`).
    pub force_snapshot: bool,
    /// Whether the log on disk may serve learners that are far behind.
    pub read_log: ReadLogLimit,
    /// How many learners may be sent the state at a time (`leader.maxConcurrentSnapSyncs`): above
    /// it followers still are, and observers wait.
    pub snapshots_max: usize,
    /// The same for differences (`leader.maxConcurrentDiffSyncs`).
    pub differences_max: usize,
    /// How long a new leader waits for a quorum although a voter that elected it looks again
    /// (`leader.maxTimeToWaitForEpoch`); `None` is as long as for a learner to join.
    pub disloyal_wait: Option<Duration>,
    /// The last counter of an epoch that is given out, or a little more: then a new one begins.
    pub counter_max: u32,
}

/// Whether the log on disk may serve learners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadLogLimit {
    /// Never.
    Never,
    /// As the host bounds it.
    Host,
}

impl Default for Limits {
    /// The reference's.
    fn default() -> Limits {
        Limits {
            tick: Duration::from_secs(2),
            init: 10,
            sync: 5,
            finalize_wait: Duration::from_millis(200),
            notify_min: Duration::from_millis(200),
            notify_max: Duration::from_mins(1),
            connect_retry: Duration::from_millis(100),
            opening: Duration::from_secs(10),
            recent_entries: 500,
            recent_bytes: 64 << 20,
            packet_size_max: 4 << 20,
            force_snapshot: false,
            read_log: ReadLogLimit::Host,
            snapshots_max: 10,
            differences_max: 100,
            disloyal_wait: None,
            counter_max: 0xffff_0000,
        }
    }
}

impl Limits {
    /// How long a learner may take to join.
    #[must_use]
    pub fn init_time(&self) -> Duration {
        self.tick * self.init
    }

    /// How long whoever has decided an election waits for the others, of whom each may wait for a
    /// better vote. Deviation: the reference's leaders and followers give each other up after
    /// [`Limits::init_time`], and never meet if that is the shorter time.
    #[must_use]
    pub fn gather_time(&self) -> Duration {
        self.init_time() + self.finalize_wait
    }

    /// How long a link may be silent.
    #[must_use]
    pub fn sync_time(&self) -> Duration {
        self.tick * self.sync
    }
}

/// What a member finds on its disk.
#[derive(Clone, Debug, Default, Hash)]
pub struct Durable {
    /// The largest epoch that it promised.
    pub accepted_epoch: i64,
    /// The epoch whose initial history it has.
    pub current_epoch: i64,
    /// The end of its history: all of it is applied.
    pub last: Zxid,
    /// The last entries of it, without a gap.
    pub recent: Vec<(Zxid, Item)>,
    /// Whether what it had is lost, and promises with it: then it must not vote before it stands in
    /// an epoch again. A state that it fetched since may be there: it is fetched anew.
    pub is_lost: bool,
    /// The version of the configuration that the state shows; 0 if it shows none. An earlier one
    /// that another member tells of is over, whatever this member was started with.
    pub configuration: i64,
}

/// The register of the largest promised epoch: also the name of its file.
pub(crate) const ACCEPTED_EPOCH: &str = "acceptedEpoch";
/// The register of the installed epoch: also the name of its file.
pub const CURRENT_EPOCH: &str = "currentEpoch";
