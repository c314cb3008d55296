//! What a run was, what it reached, and how it ended.

use crate::campaign::Ran;
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
    pub runs: u64,
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
    pub elections: u64,
    pub epochs: u64,
    pub leaders: u64,
    pub joined: u64,
    pub diffs: u64,
    pub truncs: u64,
    pub snaps: u64,
    pub reloads: u64,
    pub log_reads: u64,
    pub dials: u64,
    pub ended: u64,
    pub linearizable_reads: u64,
    pub read_only_sessions: u64,
    pub void_reads: u64,
    pub upgrades: u64,
    pub abandoned: u64,
    pub replaced_disks: u64,
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

    fn counters(&mut self) -> [&mut u64; 36] {
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
            &mut self.runs,
            &mut self.elections,
            &mut self.epochs,
            &mut self.leaders,
            &mut self.joined,
            &mut self.diffs,
            &mut self.truncs,
            &mut self.snaps,
            &mut self.reloads,
            &mut self.log_reads,
            &mut self.dials,
            &mut self.ended,
            &mut self.linearizable_reads,
            &mut self.read_only_sessions,
            &mut self.void_reads,
            &mut self.upgrades,
            &mut self.abandoned,
            &mut self.replaced_disks,
        ]
    }
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.simulated.as_secs_f64() / 3600.0;
        let Reached { runs, events, judged, .. } = self;
        writeln!(f, "{runs} seeds, {events} events, {hours:.2} simulated hours")?;
        writeln!(
            f,
            "elections {}, leaders {}, epochs {}, followers and observers {}, dials {}; DIFF {}, \
             TRUNC {}, SNAP {}, reloads {}, logs read {}",
            self.elections,
            self.leaders,
            self.epochs,
            self.joined,
            self.dials,
            self.diffs,
            self.truncs,
            self.snaps,
            self.reloads,
            self.log_reads
        )?;
        writeln!(
            f,
            "starts {}, power losses {}, kills {}, crashes at boundaries {}, torn tails {}, disk \
             failures {}, ends because of a state that was not stored {}, disks replaced {}, replayed {}",
            self.starts,
            self.power_losses,
            self.kills,
            self.crashes_at_boundaries,
            self.torn_tails,
            self.disk_failures,
            self.ended,
            self.replaced_disks,
            self.replayed
        )?;
        writeln!(
            f,
            "snapshots {} (failed {}, skipped {}, steps beside writes {}), files purged {}",
            self.snapshots,
            self.snapshots_failed,
            self.skipped_snapshots,
            self.snapshot_steps_with_writes,
            self.purged
        )?;
        writeln!(
            f,
            "sessions {}, renewals {}, refusals {}, reconnects {}, upgrades {}, left behind {}; \
             linearizable reads {}, sessions at who only reads {}, of those void {}",
            self.sessions,
            self.renewals,
            self.refusals,
            self.reconnects,
            self.upgrades,
            self.abandoned,
            self.linearizable_reads,
            self.read_only_sessions,
            self.void_reads
        )?;
        writeln!(f, "{judged:?}")?;
        let total: u64 = self.faults.values().sum();
        write!(f, "faults {total}: ")?;
        let mut separator = "";
        for (fault, count) in &self.faults {
            write!(f, "{separator}{fault:?} {count}")?;
            separator = ", ";
        }
        Ok(())
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
    /// The last that happened, oldest first, if a trace was wanted.
    pub lines: Vec<String>,
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

impl Ran for Report {
    type Sum = Reached;

    fn seed(&self) -> u64 {
        self.seed
    }

    fn hash(&self) -> u64 {
        self.hash
    }

    fn has_failed(&self) -> bool {
        self.violation().is_some()
    }

    fn add_to(&self, sum: &mut Reached) {
        sum.add(&self.reached);
    }

    fn differing(self) -> Report {
        let violation = Violation::new("determinism", "two runs of the seed differ");
        Report { ending: Ending::Violated(violation), ..self }
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
                 quorate sim {} --replay {seed} --minimize",
                self.options,
                if self.options.ensemble.is_some() { "members" } else { "standalone" }
            ),
        }
    }
}
