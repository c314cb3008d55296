//! What a seed draws: the ensemble, its speeds, which faults exist, and when each strikes.

use crate::chance::log_uniform;
use crate::engines::subject::Setup;
use crate::strikes::{self, Strike};
use base::{NodeId, Rng};
use std::fmt;
use std::time::Duration;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// One member can reach nobody, nor be reached.
    Isolate,
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
    /// The primary is isolated.
    PrimaryIsolated,
    /// Members fall silent one by one, and come back in another order.
    Swizzle,
    /// A pair is slow.
    SlowLink,
    /// Connections break.
    LinkReset,
    /// A member crashes.
    Crash,
    /// A member crashes between two commands.
    Boundary,
    /// A member crashes when a sync begins, or when it is done and not yet told.
    SyncBoundary,
    /// A member crashes again and again.
    CrashLoop,
    /// All crash at about the same time.
    MassRestart,
    /// A member does nothing for a while.
    Pause,
    /// A disk is slow.
    SlowDisk,
    /// A sync fails.
    DiskFailure,
    /// A clock goes at another speed.
    ClockRate,
    /// A clock jumps ahead.
    ClockJump,
    /// A member comes back with an empty disk: an observer, or one of few enough voters.
    Wipe,
    /// A state that came cannot be stored.
    StoreFailure,
    /// Others are to be the members.
    Reconfigure,
    /// Another member is to lead.
    Transfer,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 25] = [
        Fault::Isolate,
        Fault::Halves,
        Fault::Bridge,
        Fault::Ring,
        Fault::OneWay,
        Fault::OneLink,
        Fault::Flapping,
        Fault::PrimaryIsolated,
        Fault::Swizzle,
        Fault::SlowLink,
        Fault::LinkReset,
        Fault::Crash,
        Fault::Boundary,
        Fault::SyncBoundary,
        Fault::CrashLoop,
        Fault::MassRestart,
        Fault::Pause,
        Fault::SlowDisk,
        Fault::DiskFailure,
        Fault::ClockRate,
        Fault::ClockJump,
        Fault::Wipe,
        Fault::StoreFailure,
        Fault::Reconfigure,
        Fault::Transfer,
    ];
}

/// A world's parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Who is in the ensemble.
    pub setup: Setup,
    /// How long faults come.
    pub duration: Duration,
    /// The faults, by time.
    pub strikes: Vec<Strike<Fault>>,
    /// Mean time on a link.
    pub latency: Duration,
    /// Mean time of a sync.
    pub sync: Duration,
    /// How often a stream is cut between two reads, in percent.
    pub cuts: u64,
    /// Mean time between two requests of all clients.
    pub think: Duration,
    /// The most proposals at a time.
    pub burst: u64,
    /// The most proposals that a primary's service has under way.
    pub window: usize,
    /// How often a request is a read, in percent.
    pub reads: u64,
    /// Mean time between two snapshots of a member; none if zero.
    pub checkpoint: Duration,
    /// How many snapshots are kept.
    pub kept: usize,
    /// Whether only a quorum is healed at the end, and the others stay as they are.
    pub core_only: bool,
}

impl Options {
    /// What the seed says, in units of the engine's patience.
    #[must_use]
    pub fn draw(rng: &mut Rng, setup: Setup, patience: Duration) -> Options {
        let unit = patience.as_nanos() as u64;
        let duration = unit * rng.between(15, 60);
        let latency = log_uniform(rng, 20_000, unit / 40);
        let strikes = strikes::draw(rng, &Fault::ALL, unit, duration);
        Options {
            setup,
            duration: Duration::from_nanos(duration),
            strikes,
            latency: Duration::from_nanos(latency),
            sync: Duration::from_nanos(log_uniform(rng, 20_000, unit / 40)),
            cuts: *rng.pick(&[0, 5, 50]),
            think: Duration::from_nanos(log_uniform(rng, unit / 200, unit)),
            burst: *rng.pick(&[1, 1, 4, 16]),
            window: *rng.pick(&[1, 10, 100, 1000]),
            reads: *rng.pick(&[0, 10, 50]),
            checkpoint: Duration::from_nanos(*rng.pick(&[0, unit / 2, unit * 4])),
            kept: rng.between(1, 3) as usize,
            core_only: rng.percent(50),
        }
    }
}

/// One to seven voters, mostly three or five; sometimes observers.
pub(crate) fn draw_setup(rng: &mut Rng, voters_min: u64, changes: bool) -> Setup {
    let voters = *rng.pick(&[1, 2, 3, 3, 3, 3, 4, 5, 5, 6, 7]).max(&voters_min);
    let observers = *rng.pick(&[0, 0, 1, 2]);
    let nodes = |from: u64, count: u64| (from..from + count).map(NodeId).collect();
    let mut setup = Setup {
        voters: nodes(1, voters),
        observers: nodes(voters + 1, observers),
        groups: vec![],
        spares: vec![],
        changes,
    };
    setup.spares = draw_spares(&setup, rng);
    setup
}

/// Up to two who may become members, where there are changes.
pub(crate) fn draw_spares(setup: &Setup, rng: &mut Rng) -> Vec<NodeId> {
    let spares = if setup.changes { rng.between(0, 2) } else { 0 };
    let first = setup.members().len() as u64 + 1;
    (first..first + spares).map(NodeId).collect()
}

/// One to three groups; weights of 0 to 3, and somebody weighs something.
pub(crate) fn draw_groups(setup: &Setup, rng: &mut Rng) -> Vec<Vec<(NodeId, u64)>> {
    let mut groups = vec![Vec::new(); rng.between(1, 3) as usize];
    for (nth, voter) in setup.voters.iter().enumerate() {
        let weight = if nth == 0 { 1 } else { *rng.pick(&[0, 1, 1, 1, 2, 3]) };
        let group = rng.below(groups.len() as u64) as usize;
        groups[group].push((*voter, weight));
    }
    groups.retain(|group| !group.is_empty());
    groups
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options { setup, duration, latency, sync, think, burst, checkpoint, .. } = self;
        write!(
            f,
            "{} voters, {} groups, {} observers, {} spares, {duration:.1?}, latency {latency:.2?}, sync {sync:.2?}, think \
             {think:.2?}, burst {burst}, window {}, checkpoint {checkpoint:.2?}, cuts {} %, reads {} %, kept {}, \
             core only {}, {} strikes",
            setup.voters.len(),
            setup.groups.len(),
            setup.observers.len(),
            setup.spares.len(),
            self.window,
            self.cuts,
            self.reads,
            self.kept,
            self.core_only,
            self.strikes.len()
        )
    }
}
