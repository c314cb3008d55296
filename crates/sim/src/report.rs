//! What a run was, what it reached, and how it ended.

use crate::options::{Fault, Options};
use base::Time;
use check::{Counts, Violation};
use std::collections::BTreeMap;
use std::fmt;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All faults were mended and every client was served.
    Converged,
    /// The disk was damaged, and the member refused to start on it: why, in its words.
    Refused(String),
    /// Something happened that must never happen.
    Violated(Violation),
}

/// What one run, or many, reached. A green run that reached nothing proves nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // counts of what their names say
pub struct Reached {
    pub simulated: std::time::Duration,
    pub events: u64,
    pub starts: u64,
    pub power_losses: u64,
    pub kills: u64,
    pub crashes_at_boundaries: u64,
    pub torn_tails: u64,
    pub replayed: u64,
    pub skipped_snapshots: u64,
    pub snapshots: u64,
    pub snapshots_failed: u64,
    pub snapshot_steps_with_writes: u64,
    pub purged: u64,
    pub disk_failures: u64,
    pub sessions: u64,
    pub renewals: u64,
    pub refusals: u64,
    pub reconnects: u64,
    pub refused_starts: u64,
    pub faults: BTreeMap<Fault, u64>,
    pub judged: Counts,
}

impl Reached {
    /// Adds another run's.
    pub fn add(&mut self, other: &Reached) {
        self.simulated += other.simulated;
        self.judged.add(&other.judged);
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        for (sum, more) in self.counters().into_iter().zip(other.clone().counters()) {
            *sum += *more;
        }
    }

    fn counters(&mut self) -> [&mut u64; 18] {
        [
            &mut self.events,
            &mut self.starts,
            &mut self.power_losses,
            &mut self.kills,
            &mut self.crashes_at_boundaries,
            &mut self.torn_tails,
            &mut self.replayed,
            &mut self.skipped_snapshots,
            &mut self.snapshots,
            &mut self.snapshots_failed,
            &mut self.snapshot_steps_with_writes,
            &mut self.purged,
            &mut self.disk_failures,
            &mut self.sessions,
            &mut self.renewals,
            &mut self.refusals,
            &mut self.reconnects,
            &mut self.refused_starts,
        ]
    }
}

/// One run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// What it was run with.
    pub options: Options,
    /// How it ended.
    pub ending: Ending,
    /// When, in simulated time.
    pub at: Time,
    /// The hash of all that went in and out: equal for equal runs.
    pub hash: u64,
    /// What it reached.
    pub reached: Reached,
}

impl Report {
    /// The violation, if there was one.
    #[must_use]
    pub fn violation(&self) -> Option<&Violation> {
        match &self.ending {
            Ending::Violated(violation) => Some(violation),
            Ending::Converged | Ending::Refused(_) => None,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { seed, at, hash, .. } = self;
        let ms = at.as_millis();
        match &self.ending {
            Ending::Converged => write!(f, "seed {seed}: converged at {ms} ms, hash {hash:016x}"),
            Ending::Refused(why) => write!(f, "seed {seed}: start refused at {ms} ms: {why}"),
            Ending::Violated(violation) => write!(
                f,
                "seed {seed}: VIOLATED at {ms} ms: {violation}\n  options: {}\n  replay: \
                 cargo run --release -p sim -- --replay {seed} --trace",
                self.options
            ),
        }
    }
}
