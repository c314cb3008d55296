//! What goes to the disk: records, and commits of them.

use super::Driver;
use super::counts::{count_commit, count_proposals};
use crate::configuration;
use crate::counters::millis;
use crate::ledger::Waits;
use base::{Lsn, Time};
use metrics::Sizes;
use node::{Output, Progress};

/// Records on their way to the disk.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) records: u64,
    /// Their sizes in bytes.
    pub(super) sizes: Sizes,
    /// When the first of them was appended.
    pub(super) began: Option<Time>,
}

/// A commit under way.
pub(super) struct Syncing {
    pub(super) batch: Batch,
    pub(super) started: Time,
}

impl Driver {
    pub(super) fn log(&mut self, output: Output) -> Result<(), storage::Error> {
        if let (Output::Text { name: zab::CONFIGURATION, text: Some(text), .. }, Some(ensemble)) =
            (&output, &mut self.ensemble)
        {
            self.client_address =
                configuration::changed(ensemble, text).or(self.client_address.take());
        }
        let Some(journal) = &mut self.journal else { return Ok(()) };
        if let Some(record) = output.transaction() {
            self.batch.records += 1;
            self.batch.sizes.record(record.len());
            self.batch.began.get_or_insert_with(|| self.clock.now());
        }
        journal.perform(output).map(|_| ())
    }

    /// Makes durable what was appended; `None` if there is nothing.
    pub(super) fn commit(&mut self) -> Option<Lsn> {
        let journal = self.journal.as_mut().filter(|journal| journal.is_dirty())?;
        let started = self.clock.now();
        let result = journal.commit();
        let batch = std::mem::take(&mut self.batch);
        self.committed(&Syncing { batch, started }, result)
    }

    /// Begins to make durable what was appended, beside the service; answers if it is already.
    pub(super) fn begin_commit(&mut self) -> Option<Lsn> {
        let journal = self.journal.as_mut()?;
        let started = self.clock.now();
        let result = journal.begin_commit();
        let syncing = Syncing { batch: std::mem::take(&mut self.batch), started };
        if matches!(result, Ok(Progress::Idle)) {
            self.syncing = Some(syncing);
            return None;
        }
        self.committed(&syncing, result)
    }

    /// Takes the end of what was begun.
    pub(super) fn end_commit(&mut self, waits: Waits) -> Option<Lsn> {
        let journal = self.journal.as_mut().filter(|journal| journal.is_syncing())?;
        let result = journal.end_commit(waits);
        if matches!(result, Ok(Progress::Idle)) {
            return None;
        }
        let syncing = self.syncing.take()?;
        self.committed(&syncing, result)
    }

    pub(super) fn committed(
        &mut self,
        Syncing { batch, started }: &Syncing,
        result: Result<Progress, storage::Error>,
    ) -> Option<Lsn> {
        let ended = self.clock.now();
        let took = ended.since(*started);
        let since_append = ended.since(batch.began.unwrap_or(*started));
        self.published.commit_took(took);
        self.published.counters(|counters| {
            count_commit(&mut counters.metrics, batch.records, took, since_append);
            count_proposals(counters, self.serves, batch);
        });
        if took > self.sync_warning {
            let file_size = self.journal.as_ref().map_or(0, |journal| journal.file_size());
            let took_ms = millis(took);
            tracing::warn!(
                took_ms,
                file_size,
                "fsync-ing the write ahead log took {took_ms} ms, which adversely affects latency"
            );
        }
        match result {
            Ok(Progress::Durable(upto)) => Some(upto),
            Ok(Progress::Idle) => None,
            Err(error) => {
                self.disk_failed(&error);
                None
            }
        }
    }
}
