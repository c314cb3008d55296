//! The journal: performs a member's records on ZooKeeper's transaction log.
//!
//! A host gives it the member's outputs in order, and feeds what [`Journal::commit`] answers back
//! to the member. Guarantee: what is reported durable was synced; after the first failure
//! nothing is written any more.
//!
//! Entries gather until they are synced; all else that a member of an ensemble keeps is rare, and
//! is durable at once and in its order.

#[cfg(test)]
mod tests;

use base::{Lsn, Zxid};
use std::fmt;
use std::sync::Arc;
use storage::{
    Ahead, AheadPlan, Dirs, Disk, Error, ReadOptions, SyncDone, SyncJob, TxnLog, write_number,
    write_text,
};
use tree::Tree;

use crate::{Output, SnapshotOptions, SnapshotTask};

/// Writes a member's records.
#[allow(missing_debug_implementations)]
pub struct Journal<D: Disk> {
    log: TxnLog<D>,
    /// Of a member of an ensemble.
    files: Option<Box<JournalFiles<D>>>,
    appended: Lsn,
    /// What the sync under way beside the log covers.
    syncing: Option<Lsn>,
    durable: Lsn,
}

/// Where a member of an ensemble keeps what is not in its log.
#[derive(Clone, Debug)]
pub struct JournalFiles<D> {
    /// The disk.
    pub disk: D,
    /// The directories of snapshots, numbers and logs.
    pub dirs: Dirs,
    /// How records are read before some are taken away.
    pub read: ReadOptions,
    /// What keeps texts; without it they are in the data directory under their names.
    pub texts: Option<Arc<dyn Texts>>,
}

/// Where a host keeps the texts of a member's engine.
pub trait Texts: fmt::Debug + Send + Sync {
    /// Keeps a text durably, in place of what was kept under the name; none is kept no more.
    ///
    /// # Errors
    /// If the disk failed.
    fn keep(&self, name: &'static str, text: Option<&str>) -> Result<(), Error>;
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
    /// A journal on `log`, for entries alone: that of a standalone server.
    #[must_use]
    pub fn new(log: TxnLog<D>) -> Journal<D> {
        Journal { log, files: None, appended: Lsn::ZERO, syncing: None, durable: Lsn::ZERO }
    }

    /// A journal that also keeps what a member of an ensemble promises and takes back.
    #[must_use]
    pub fn of_member(log: TxnLog<D>, files: JournalFiles<D>) -> Journal<D> {
        Journal { files: Some(Box::new(files)), ..Journal::new(log) }
    }

    /// Takes an output if it is for the journal; gives it back if not.
    ///
    /// # Errors
    /// If the disk failed: the member is to be told, and the journal is of no use any more.
    ///
    /// # Panics
    /// If it is for the journal of a member of an ensemble, and this is not one.
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
            Output::Truncate { lsn, to } => {
                self.rarely(lsn, |log, files| {
                    // What does not lead there is left alone; a reload will say so.
                    log.truncate(&files.dirs, to, files.read).map(|_| ())
                })
            }
            Output::Register { lsn, name, value } => self.rarely(lsn, |log, files| {
                log.commit()?;
                write_number(&files.disk, &files.dirs.snapshots().join(name), value)
            }),
            Output::Text { lsn, name, text } => self.rarely(lsn, |log, files| {
                log.commit()?;
                match &files.texts {
                    Some(texts) => texts.keep(name, text.as_deref()),
                    None => write_text(&files.disk, &files.dirs.data.join(name), text.as_deref()),
                }
            }),
            Output::BeginInstall { at } => self.begin_install(at).map(|()| None),
            Output::Install { at } => self.installed(at).map(|()| None),
            other => Ok(Some(other)),
        }
    }

    /// Puts a received tree in place of all that is on the disk, its snapshot first. The tree's
    /// last zxid is its place; what is durable after it is void, and so is all that led here.
    /// Nothing of the old tree may be written any more.
    ///
    /// # Errors
    /// If the disk fails: the member is to be told, and the journal is of no use any more. A start
    /// finds the received state or a beginning of the old one.
    ///
    /// # Panics
    /// If this is not the journal of a member of an ensemble.
    pub fn install(&mut self, tree: &Tree, options: SnapshotOptions) -> Result<(), Error> {
        let at = tree.last_zxid();
        self.begin_install(at)?;
        self.kept(|_, files| {
            let dir = files.dirs.snapshots();
            SnapshotTask::take(files.disk.clone(), &dir, tree, options).map(|_| ())
        })?;
        self.installed(at)
    }

    /// The first part of [`Journal::install`], for a host that writes the snapshot step by step
    /// thereafter.
    ///
    /// # Errors
    /// As [`Journal::install`].
    ///
    /// # Panics
    /// As [`Journal::install`].
    pub fn begin_install(&mut self, at: Zxid) -> Result<(), Error> {
        self.kept(|log, files| log.begin_install(&files.dirs, at, files.read))
    }

    /// The last part of [`Journal::install`], when the snapshot of `at` is complete.
    ///
    /// # Errors
    /// As [`Journal::install`].
    ///
    /// # Panics
    /// As [`Journal::install`].
    pub fn installed(&mut self, at: Zxid) -> Result<(), Error> {
        self.kept(|log, files| log.installed(&files.dirs, at))
    }

    /// Performs a record that is durable when `step` has ended, and all before it.
    fn rarely(
        &mut self,
        lsn: Lsn,
        step: impl FnOnce(&mut TxnLog<D>, &JournalFiles<D>) -> Result<(), Error>,
    ) -> Result<Option<Output>, Error> {
        self.kept(step)?;
        self.appended = lsn;
        Ok(None)
    }

    /// Runs a step over the member's files; its failure is the log's.
    fn kept(
        &mut self,
        step: impl FnOnce(&mut TxnLog<D>, &JournalFiles<D>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let files = self.files.as_ref().expect("a standalone server's engine writes entries alone");
        if self.log.has_failed() {
            return Err(Error::Poisoned);
        }
        let done = step(&mut self.log, files);
        if done.is_err() {
            self.log.fail();
        }
        done
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
