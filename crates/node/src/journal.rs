//! The journal: performs a member's records on ZooKeeper's transaction log.
//!
//! A host gives it the member's outputs in order, and feeds what [`Journal::commit`] answers back
//! to the member. Guarantee: what is reported durable was synced; after the first failure
//! nothing is written any more.

use base::Lsn;
use storage::{Ahead, AheadPlan, Disk, Error, SyncDone, SyncJob, TxnLog};

use crate::Output;

/// Writes a member's records.
#[allow(missing_debug_implementations)]
pub struct Journal<D: Disk> {
    log: TxnLog<D>,
    appended: Lsn,
    /// What the sync under way beside the log covers.
    syncing: Option<Lsn>,
    durable: Lsn,
}

/// How far a [`Journal`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Everything is durable up to here.
    Durable(Lsn),
    /// There was nothing to do.
    Idle,
}

impl<D: Disk> Journal<D> {
    /// A journal on `log`.
    #[must_use]
    pub fn new(log: TxnLog<D>) -> Journal<D> {
        Journal { log, appended: Lsn::ZERO, syncing: None, durable: Lsn::ZERO }
    }

    /// Takes an output if it is for the journal; gives it back if not.
    ///
    /// # Errors
    /// If the disk failed: the member is to be told, and the journal is of no use any more.
    #[allow(clippy::wildcard_enum_match_arm)] // all that is not the journal's goes back
    pub fn perform(&mut self, output: Output) -> Result<Option<Output>, Error> {
        match output {
            Output::Append { lsn, at, record } => {
                self.log.append(at, &record)?;
                self.appended = lsn;
                Ok(None)
            }
            Output::Roll => {
                self.log.roll()?;
                Ok(None)
            }
            other => Ok(Some(other)),
        }
    }

    /// Whether something waits to be made durable, beside what is being made so.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.appended > self.syncing.unwrap_or(self.durable)
    }

    /// Whether a sync is under way beside the log.
    #[must_use]
    pub fn is_syncing(&self) -> bool {
        self.syncing.is_some()
    }

    /// Writes everything that was appended, and gives the job that makes it durable: to be
    /// performed beside the log and answered with [`Journal::end_sync`]. `None` if it is already.
    ///
    /// # Errors
    /// If it is not certain that all is written. It is never tried again.
    ///
    /// # Panics
    /// If a job is under way.
    pub fn begin_sync(&mut self) -> Result<Option<SyncJob<D::File>>, Error> {
        assert!(self.syncing.is_none(), "one sync at a time");
        let job = self.log.begin_sync()?;
        match job {
            Some(_) => self.syncing = Some(self.appended),
            None => self.durable = self.appended,
        }
        Ok(job)
    }

    /// Takes what came of the job.
    ///
    /// # Errors
    /// If what it covers is not certain to be durable. It is never tried again.
    pub fn end_sync(&mut self, done: SyncDone<D::File>) -> Result<Progress, Error> {
        self.log.end_sync(done)?;
        // A roll meanwhile may have made more durable than the job was to.
        self.durable = self.syncing.take().unwrap_or(self.durable);
        Ok(Progress::Durable(self.durable))
    }

    /// Makes everything durable that was appended: one write and one sync.
    ///
    /// # Errors
    /// If that is not certain. It is never tried again.
    ///
    /// # Panics
    /// If a job is under way.
    pub fn commit(&mut self) -> Result<Progress, Error> {
        assert!(self.syncing.is_none(), "the sync under way ends first");
        if !self.is_dirty() {
            return Ok(Progress::Idle);
        }
        self.log.commit()?;
        self.durable = self.appended;
        Ok(Progress::Durable(self.durable))
    }

    /// Everything is durable up to here.
    #[must_use]
    pub fn durable(&self) -> Lsn {
        self.durable
    }

    /// What the log wants done ahead, beside it: as [`TxnLog::plan_ahead`].
    pub fn plan_ahead(&mut self) -> Option<AheadPlan> {
        self.log.plan_ahead()
    }

    /// What came of it: as [`TxnLog::done_ahead`].
    pub fn done_ahead(&mut self, result: Result<Ahead<D::File>, Error>) {
        self.log.done_ahead(result);
    }

    /// Removes what was made ahead and never used; nothing is to be written after it.
    ///
    /// # Errors
    /// If the disk cannot. Nothing is lost: the next start removes it.
    pub fn discard_spare(&mut self) -> Result<(), Error> {
        self.log.discard_spare()
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> &TxnLog<D> {
        &self.log
    }
}
