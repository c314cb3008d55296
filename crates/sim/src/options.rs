//! What a seed draws: first which faults exist at all, then how often they come.

use crate::chance::log_uniform;
use crate::ensemble::Ensemble;
use base::Rng;
use std::fmt;
use std::time::Duration;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The power goes off between two steps of the member.
    PowerLoss,
    /// The power goes off inside an operation of the disk.
    Fuse,
    /// The process is killed; the machine goes on.
    Kill,
    /// The next start is cut short by a power loss, too.
    RecoveryCrash,
    /// A connection breaks.
    LinkLoss,
    /// A client stops taking what comes, for a while.
    SlowClient,
    /// A client is not heard of, until after its session's time.
    SilentClient,
    /// The disk takes long to sync.
    SlowSync,
    /// A sync fails.
    SyncError,
    /// A write or a change of a name fails.
    WriteError,
    /// The disk is full.
    DiskFull,
    /// The member does nothing for a while.
    Pause,
    /// The wall clock jumps.
    ClockJump,
    /// A bit flips in what was synced, while the member is down.
    BitFlip,
    /// One member can reach no other, nor be reached.
    Isolate,
    /// The leader is isolated.
    IsolateLeader,
    /// Two groups, by chance.
    Halves,
    /// Two halves and one member that reaches both.
    Bridge,
    /// Each reaches the members beside it only: majorities that overlap.
    Ring,
    /// One member's words are not heard, or it hears none.
    OneWay,
    /// One direction of one pair is blocked.
    OneLink,
    /// A pair is cut off and back, many times.
    Flapping,
    /// A pair of members is slow.
    SlowPeer,
    /// Connections between members break.
    PeerLoss,
    /// The power goes off at the leader between two of its steps.
    LeaderBoundary,
    /// All are restarted, one after the other.
    RollingRestart,
    /// All are restarted at about the same time.
    MassRestart,
    /// A member's clock goes at another speed.
    ClockRate,
    /// What a member measures time by jumps ahead.
    TimeJump,
    /// A client changes who is in the ensemble.
    Reconfigure,
    /// A member's disk is lost, and another one is in its place.
    Wipe,
}

impl Fault {
    /// What may befall a server alone.
    pub const ALONE: [Fault; 14] = [
        Fault::PowerLoss,
        Fault::Fuse,
        Fault::Kill,
        Fault::RecoveryCrash,
        Fault::LinkLoss,
        Fault::SlowClient,
        Fault::SilentClient,
        Fault::SlowSync,
        Fault::SyncError,
        Fault::WriteError,
        Fault::DiskFull,
        Fault::Pause,
        Fault::ClockJump,
        Fault::BitFlip,
    ];

    /// What may befall an ensemble.
    pub const AMONG_OTHERS: [Fault; 29] = [
        Fault::PowerLoss,
        Fault::Fuse,
        Fault::Kill,
        Fault::RecoveryCrash,
        Fault::LinkLoss,
        Fault::SlowClient,
        Fault::SilentClient,
        Fault::SlowSync,
        Fault::SyncError,
        Fault::WriteError,
        Fault::DiskFull,
        Fault::Pause,
        Fault::ClockJump,
        Fault::Isolate,
        Fault::IsolateLeader,
        Fault::Halves,
        Fault::Bridge,
        Fault::Ring,
        Fault::OneWay,
        Fault::OneLink,
        Fault::Flapping,
        Fault::SlowPeer,
        Fault::PeerLoss,
        Fault::LeaderBoundary,
        Fault::RollingRestart,
        Fault::MassRestart,
        Fault::ClockRate,
        Fault::TimeJump,
        Fault::Reconfigure,
    ];

    /// What may befall the disks of an ensemble over ZooKeeper's broadcast.
    pub const OF_DISKS: [Fault; 2] = [Fault::BitFlip, Fault::Wipe];
}

/// A world's parameters. Printed before a run; a replay takes the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The faults that exist.
    pub faults: Vec<Fault>,
    /// Mean time between two faults.
    pub fault_every: Duration,
    /// How long faults come.
    pub duration: Duration,
    /// How many clients there are.
    pub clients: u32,
    /// Most requests of a client under way.
    pub window: u32,
    /// Mean time between two requests of a client.
    pub think: Duration,
    /// `tickTime`.
    pub tick: Duration,
    /// Transactions between two snapshots.
    pub snap_count: u64,
    /// Step of the log's preallocation in bytes.
    pub preallocation: u64,
    /// A log longer than this is rolled.
    pub log_size: Option<u64>,
    /// Whether old snapshots are purged.
    pub purge: bool,
    /// Whether the tree is large enough for snapshots of several batches.
    pub bulk: bool,
    /// Whether the member goes on while a sync is under way.
    pub overlap: bool,
    /// Whether nodes with a time to live may be made.
    pub ttl_nodes: bool,
    /// Whether some clients authenticate and use access lists.
    pub auth: bool,
    /// Largest data of a node in bytes.
    pub data_max: u64,
    /// Whether unsynced names survive each on its own (POSIX), not in order (ext4).
    pub strict_names: bool,
    /// Compression of snapshots: 0 none, 1 gzip, 2 snappy.
    pub compression: u8,
    /// The other members, if there are any, and what befalls them.
    pub ensemble: Option<Ensemble>,
}

impl Options {
    /// What the seed says.
    #[must_use]
    pub fn draw(rng: &mut Rng) -> Options {
        let mut faults: Vec<Fault> = Fault::ALONE.into_iter().filter(|_| rng.percent(50)).collect();
        // Most flipped bits end a run: they are rare, so that the other faults get their time.
        if !rng.one_in(4) {
            faults.retain(|fault| *fault != Fault::BitFlip);
        }
        let ms =
            |rng: &mut Rng, low: u64, high: u64| Duration::from_millis(log_uniform(rng, low, high));
        Options {
            faults,
            fault_every: ms(rng, 100, 3000),
            duration: Duration::from_secs(rng.between(4, 12)),
            clients: rng.between(1, 6) as u32,
            window: log_uniform(rng, 1, 24) as u32,
            think: ms(rng, 4, 120),
            tick: ms(rng, 50, 1000),
            snap_count: log_uniform(rng, 2, 400),
            preallocation: *rng.pick(&[0, 4096, 8192, 65536]),
            log_size: rng.one_in(4).then_some(16384),
            purge: rng.percent(50),
            bulk: rng.one_in(8),
            overlap: rng.percent(50),
            ttl_nodes: rng.percent(50),
            auth: rng.percent(40),
            data_max: *rng.pick(&[8, 64, 2000]),
            strict_names: rng.percent(50),
            compression: rng.below(3) as u8,
            ensemble: None,
        }
    }

    /// How long the segments of a journal are: shorter than a few snapshots' worth of log.
    pub(crate) fn segments(&self) -> storage::journal::Options {
        storage::journal::Options { segment_size: 4096.max(self.preallocation) }
    }

    /// Whether there is such a fault.
    #[must_use]
    pub fn has(&self, fault: Fault) -> bool {
        let mut planned = self.strikes().iter();
        self.faults.contains(&fault) || planned.any(|strike| strike.fault == fault)
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Ensemble { strikes, .. }) = &self.ensemble else { return write!(f, "{self:?}") };
        let mut others = self.clone();
        others.ensemble.iter_mut().for_each(|ensemble| ensemble.strikes = Vec::new());
        write!(f, "{others:?}, {} strikes", strikes.len())
    }
}
