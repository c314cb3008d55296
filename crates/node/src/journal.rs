//! The journal: performs a member's records on ZooKeeper's transaction log.
//!
//! A host gives it the member's outputs in order, and feeds what [`Journal::commit`] answers back
//! to the member. Guarantee: what is reported durable was synced; after the first failure
//! nothing is written any more.

use base::Lsn;
use storage::{Ahead, AheadPlan, Disk, Error, TxnLog};

use crate::Output;

/// Writes a member's records.
#[allow(missing_debug_implementations)]
pub struct Journal<D: Disk> {
    log: TxnLog<D>,
    appended: Lsn,
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
        Journal { log, appended: Lsn::ZERO, durable: Lsn::ZERO }
    }

    /// Takes an output if it is for the journal; gives it back if not.
    ///
    /// # Errors
    /// If the disk failed: the member is to be told, and the journal is of no use any more.
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
            other @ (Output::TakeSnapshot | Output::Event(_)) => Ok(Some(other)),
        }
    }

    /// Whether something waits to be made durable.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.appended > self.durable
    }

    /// Makes everything durable that was appended: one write and one sync.
    ///
    /// # Errors
    /// If that is not certain. It is never tried again.
    pub fn commit(&mut self) -> Result<Progress, Error> {
        if !self.is_dirty() {
            return Ok(Progress::Idle);
        }
        self.log.commit()?;
        self.durable = self.appended;
        Ok(Progress::Durable(self.durable))
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
