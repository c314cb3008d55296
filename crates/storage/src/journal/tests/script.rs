//! Random lists of operations, with crashes anywhere: what was reported durable survives, and what
//! is recovered is what some prefix of the records amounts to.

use super::super::{Journal, Record};
use super::model::Model;
use super::{disk_of, recover};
use crate::simulated::{MetadataMode, SimulatedDisk};
use crate::{Error, SyncJob};
use base::{Lsn, Rng, Zxid};
use proptest::prelude::*;

/// A journal with its model.
pub(super) struct Run {
    pub(super) disk: SimulatedDisk,
    pub(super) journal: Journal<SimulatedDisk>,
    /// After each record of this process; the first is what was recovered.
    states: Vec<Model>,
    job: Option<SyncJob<crate::simulated::SimulatedFile>>,
    /// Entries up to here were given up.
    given_up: i64,
}

/// What a step does: a kind and a number.
pub(super) type Step = (u8, u16);
pub(super) const KINDS: u8 = 15;

impl Run {
    pub(super) fn new(disk: SimulatedDisk) -> Result<Run, Error> {
        let journal = recover(&disk)?.journal;
        Ok(Run { disk, journal, states: vec![Model::default()], job: None, given_up: 0 })
    }

    pub(super) fn step(&mut self, (kind, n): Step) -> Result<(), Error> {
        let model = self.states.last().expect("the first is always there").clone();
        let n = i64::from(n);
        let bytes = vec![n as u8; n as usize % 700];
        let name = ["a", "b", "term"][n as usize % 3];
        let between = |low: i64, high: i64| low + n % (high - low + 1).max(1);
        match kind {
            0..=3 => self.append(Record::Entry { at: Zxid(model.last + 1), bytes: &bytes }),
            4 => {
                self.append(Record::Truncate { to: Zxid(between(model.checkpoint(), model.last)) })
            }
            5 => self.append(Record::Register { name, value: n }),
            6 if n % 4 == 0 => self.append(Record::Text { name, text: None }),
            6 => self.append(Record::Text { name, text: Some(&"x".repeat(n as usize % 99)) }),
            7 => {
                let beyond = if n % 5 == 0 { 3 } else { 0 };
                let at = Zxid(between(model.checkpoint(), model.last + beyond));
                self.append(Record::Checkpoint { at, state: &bytes[..bytes.len() % 50] })
            }
            8 | 9 => self.commit(),
            10 => {
                self.end_job()?;
                self.job = self.journal.begin_sync()?;
                Ok(())
            }
            11 => self.end_job(),
            12 => {
                if let Some(plan) = self.journal.plan_ahead() {
                    self.journal.done_ahead(plan.perform(&self.disk));
                }
                Ok(())
            }
            13 => {
                // Written and not synced.
                let first = self.journal.first();
                self.journal.entries(first).map(|_| ())
            }
            _ => self.compact(between(0, model.last)),
        }
    }

    fn append(&mut self, record: Record<'_>) -> Result<(), Error> {
        // In the model first: a write that fails may have reached the disk.
        let mut model = self.states.last().expect("the first is always there").clone();
        model.apply(&record);
        self.states.push(model);
        self.journal.append(Lsn(self.states.len() as u64 - 1), &record)
    }

    fn commit(&mut self) -> Result<(), Error> {
        self.end_job()?;
        self.journal.commit().map(|_| ())
    }

    fn end_job(&mut self) -> Result<(), Error> {
        let Some(job) = self.job.take() else { return Ok(()) };
        self.journal.end_sync(job.perform()).map(|_| ())
    }

    fn compact(&mut self, covered: i64) -> Result<(), Error> {
        self.given_up = self.given_up.max(covered);
        let Some(removal) = self.journal.compact(Zxid(covered))? else { return Ok(()) };
        self.journal.end_removal(removal.perform()).map(|_| ())
    }

    /// The power fails; the next process finds what it must.
    pub(super) fn crash(&mut self, rng: &mut Rng) {
        self.disk.set_capacity(None);
        self.disk.crash(rng);
        self.restart();
    }

    /// The process ends without warning; the disk's cache lives on.
    pub(super) fn restart(&mut self) {
        let durable = self.journal.durable().0 as usize;
        let recovered = recover(&self.disk);
        let mut journal =
            recovered.unwrap_or_else(|error| panic!("not recovered: {error}")).journal;
        let found = (durable..self.states.len())
            .find(|at| self.states[*at].is(&mut journal, self.given_up));
        let Some(found) = found else {
            let (kept, first, next) = (journal.kept(), journal.first(), journal.next());
            panic!("durable {durable} of {}: {kept:?} {first} {next}", self.states.len() - 1);
        };
        self.states = vec![self.states[found].clone()];
        (self.journal, self.job) = (journal, None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn crashes_keep_what_is_durable(
        lives in proptest::collection::vec(
            (proptest::collection::vec((0..KINDS, any::<u16>()), 0..60), any::<u64>()), 1..5),
        is_strict in any::<bool>(),
    ) {
        let mode = if is_strict { MetadataMode::Strict } else { MetadataMode::Ordered };
        let mut run = Run::new(disk_of(mode)).unwrap_or_else(|error| panic!("{error}"));
        for (steps, seed) in lives {
            for step in steps {
                run.step(step).unwrap_or_else(|error| panic!("{error}"));
            }
            let mut rng = Rng::new(seed);
            if rng.one_in(5) { run.restart() } else { run.crash(&mut rng) }
        }
        prop_assert!(!run.journal.has_failed());
    }
}
