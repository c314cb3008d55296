//! What runs reached: a green result that reached nothing proves nothing.

use crate::engines::judge::Violation;
use crate::engines::options::Fault;
use base::Time;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Counts of a run, or of many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // counts of what their names say
pub struct Counts {
    pub seeds: u64,
    pub steps: u64,
    pub simulated: Duration,
    pub proposed: u64,
    pub decided: u64,
    pub acknowledged: u64,
    pub reads: u64,
    pub primaries: u64,
    pub replicas: u64,
    pub periods: u64,
    pub starts: u64,
    pub crashes: u64,
    pub dials: u64,
    pub frames: u64,
    pub truncations: u64,
    pub transfers: u64,
    pub resets: u64,
    pub log_reads: u64,
    pub checkpoints: u64,
    pub wiped_voters: u64,
    pub roll_overs: u64,
    pub replica_reads: u64,
    pub grouped: u64,
    pub refused: u64,
    pub changes: u64,
    pub faults: BTreeMap<Fault, u64>,
    /// The slowest convergence of a healed core, in thousandths of what is allowed, and its seed.
    pub slowest: (u64, u64),
}

impl Counts {
    /// Adds another run's.
    pub fn add(&mut self, other: &Counts) {
        self.simulated += other.simulated;
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        self.slowest = self.slowest.max(other.slowest);
        for (sum, more) in self.numbers().into_iter().zip(other.clone().numbers()) {
            *sum += *more;
        }
    }

    fn numbers(&mut self) -> [&mut u64; 24] {
        [
            &mut self.seeds,
            &mut self.steps,
            &mut self.proposed,
            &mut self.decided,
            &mut self.acknowledged,
            &mut self.reads,
            &mut self.primaries,
            &mut self.replicas,
            &mut self.periods,
            &mut self.starts,
            &mut self.crashes,
            &mut self.dials,
            &mut self.frames,
            &mut self.truncations,
            &mut self.transfers,
            &mut self.resets,
            &mut self.log_reads,
            &mut self.checkpoints,
            &mut self.wiped_voters,
            &mut self.roll_overs,
            &mut self.replica_reads,
            &mut self.grouped,
            &mut self.refused,
            &mut self.changes,
        ]
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.simulated.as_secs_f64() / 3600.0;
        writeln!(f, "{} seeds, {} steps, {hours:.2} simulated hours", self.seeds, self.steps)?;
        writeln!(
            f,
            "proposed {}, refused {}, decided {}, acknowledged {}, reads {}",
            self.proposed, self.refused, self.decided, self.acknowledged, self.reads
        )?;
        writeln!(
            f,
            "primaries {}, replicas {}, periods {}, starts {}, crashes {}, dials {}, frames {}",
            self.primaries,
            self.replicas,
            self.periods,
            self.starts,
            self.crashes,
            self.dials,
            self.frames
        )?;
        writeln!(
            f,
            "truncations {}, states sent {}, resets {}, logs read {}, checkpoints {}",
            self.truncations, self.transfers, self.resets, self.log_reads, self.checkpoints
        )?;
        writeln!(
            f,
            "wiped voters {}, roll-overs {}, reads at replicas {}, ensembles with groups {}, changes of \
             the members {}",
            self.wiped_voters, self.roll_overs, self.replica_reads, self.grouped, self.changes
        )?;
        let (slowest, seed) = self.slowest;
        writeln!(
            f,
            "slowest convergence {:.1} % of what is allowed, seed {seed}",
            slowest as f64 / 10.0
        )?;
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
    /// What was wrong, if anything, and when.
    pub violation: Option<(Time, Violation)>,
    /// The hash of all that went in and out.
    pub hash: u64,
    /// What it reached.
    pub counts: Counts,
    /// The last that happened, oldest first, if a trace was wanted.
    pub lines: Vec<String>,
}
