//! The journal: performs a member's records on its disk.
//!
//! A host gives it the member's outputs in order, and feeds what [`Journal::commit`] answers back
//! to the member. Guarantee: what is reported durable was synced; after the first failure
//! nothing is written any more. Where the records go depends on the engine: to ZooKeeper's
//! transaction log and the files beside it, or to a journal of slots.

mod slots;
#[cfg(test)]
mod tests;
mod txns;

use crate::{Output, SnapshotOptions, SnapshotTask};
use base::Lsn;
use slots::Slots;
pub(crate) use slots::{FoundSlots, find_slots};
use std::fmt;
use std::sync::Arc;
use storage::journal::Removal;
use storage::{
    Ahead, AheadPlan, Dirs, Disk, Error, ReadOptions, SyncDone, SyncJob, TxnLog, write_text,
};
use tree::Tree;
use txns::Txns;

/// Writes a member's records.
#[allow(missing_debug_implementations)]
pub struct Journal<D: Disk> {
    store: Store<D>,
    appended: Lsn,
    /// What the sync under way beside the store covers.
    syncing: Option<Lsn>,
    durable: Lsn,
}

/// What keeps the records.
enum Store<D: Disk> {
    /// ZooKeeper's transaction log.
    Txns(Box<Txns<D>>),
    /// A journal of slots.
    Slots(Box<Slots<D>>),
}

/// What became of an output.
enum Performed {
    /// It is taken, and durable with everything up to here.
    Appended(Lsn),
    /// It is taken.
    Done,
    /// It is not for a journal.
    NotOurs(Output),
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

impl<D: Disk> JournalFiles<D> {
    fn keep_text(&self, name: &'static str, text: Option<&str>) -> Result<(), Error> {
        match &self.texts {
            Some(texts) => texts.keep(name, text),
            None => write_text(&self.disk, &self.dirs.data.join(name), text),
        }
    }
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

/// Something that is to be done beside the journal, and may take long.
#[derive(Debug)]
pub enum Chore<D> {
    /// Space is to be found for what comes.
    Ahead(AheadPlan),
    /// Files that are needed no more are to be removed.
    Removal(Removal<D>),
}

/// What came of a [`Chore`].
#[derive(Debug)]
pub enum ChoreDone<F> {
    /// The space, or why there is none: that costs only time.
    Ahead(Result<Ahead<F>, Error>),
    /// How many files were removed, or why not.
    Removal(Result<u64, Error>),
}

impl<D: Disk> Chore<D> {
    /// Does it.
    pub fn perform(self, disk: &D) -> ChoreDone<D::File> {
        match self {
            Chore::Ahead(plan) => ChoreDone::Ahead(plan.perform(disk)),
            Chore::Removal(removal) => ChoreDone::Removal(removal.perform()),
        }
    }
}

impl<D: Disk> Journal<D> {
    /// A journal on `log`, for entries alone: that of a standalone server.
    #[must_use]
    pub fn new(log: TxnLog<D>) -> Journal<D> {
        Journal::on(Store::Txns(Box::new(Txns::new(log, None))))
    }

    /// A journal that also keeps what a member of an ensemble promises and takes back.
    #[must_use]
    pub fn of_member(log: TxnLog<D>, files: JournalFiles<D>) -> Journal<D> {
        Journal::on(Store::Txns(Box::new(Txns::new(log, Some(files)))))
    }

    /// The journal of a member whose engine keeps slots, as its recovery found it.
    #[must_use]
    pub fn of_slots(journal: storage::journal::Journal<D>, files: JournalFiles<D>) -> Journal<D> {
        Journal::on(Store::Slots(Box::new(Slots::new(journal, files))))
    }

    fn on(store: Store<D>) -> Journal<D> {
        Journal { store, appended: Lsn::ZERO, syncing: None, durable: Lsn::ZERO }
    }

    /// Takes an output if it is for the journal; gives it back if not.
    ///
    /// # Errors
    /// If the disk failed: the member is to be told, and the journal is of no use any more.
    ///
    /// # Panics
    /// If it is for the journal of another kind of member.
    pub fn perform(&mut self, output: Output) -> Result<Option<Output>, Error> {
        let performed = match &mut self.store {
            Store::Txns(txns) => txns.perform(output)?,
            Store::Slots(slots) => slots.perform(output)?,
        };
        match performed {
            Performed::Appended(lsn) => self.appended = self.appended.max(lsn),
            Performed::Done => {}
            Performed::NotOurs(output) => return Ok(Some(output)),
        }
        Ok(None)
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
    /// If this is the journal of a standalone server.
    pub fn install(&mut self, tree: &Tree, options: SnapshotOptions) -> Result<(), Error> {
        let at = tree.last_zxid();
        self.perform(Output::BeginInstall { at })?;
        let files = match &self.store {
            Store::Txns(txns) => txns.files(),
            Store::Slots(slots) => slots.files(),
        };
        let (disk, dir) = (files.disk.clone(), files.dirs.snapshots());
        if let Err(error) = SnapshotTask::take(disk, &dir, tree, options) {
            self.fail();
            return Err(error);
        }
        self.perform(Output::Install { at })?;
        Ok(())
    }

    fn fail(&mut self) {
        match &mut self.store {
            Store::Txns(txns) => txns.fail(),
            Store::Slots(slots) => slots.fail(),
        }
    }

    /// Whether something waits to be made durable, beside what is being made so.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.appended > self.syncing.unwrap_or(self.durable)
    }

    /// Whether a sync is under way beside the store.
    #[must_use]
    pub fn is_syncing(&self) -> bool {
        self.syncing.is_some()
    }

    /// Writes everything that was appended, and gives the job that makes it durable: to be
    /// performed beside the journal and answered with [`Journal::end_sync`]. `None` if it is
    /// already.
    ///
    /// # Errors
    /// If it is not certain that all is written. It is never tried again.
    ///
    /// # Panics
    /// If a job is under way.
    pub fn begin_sync(&mut self) -> Result<Option<SyncJob<D::File>>, Error> {
        assert!(self.syncing.is_none(), "one sync at a time");
        let job = match &mut self.store {
            Store::Txns(txns) => txns.log.begin_sync()?,
            Store::Slots(slots) => slots.journal.begin_sync()?,
        };
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
        match &mut self.store {
            Store::Txns(txns) => txns.log.end_sync(done)?,
            Store::Slots(slots) => drop(slots.journal.end_sync(done)?),
        }
        // What was done meanwhile may have made more durable than the job was to.
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
        match &mut self.store {
            Store::Txns(txns) => txns.log.commit()?,
            Store::Slots(slots) => drop(slots.journal.commit()?),
        }
        self.durable = self.appended;
        Ok(Progress::Durable(self.durable))
    }

    /// Everything is durable up to here.
    #[must_use]
    pub fn durable(&self) -> Lsn {
        self.durable
    }

    /// What the journal wants done beside it: to be performed, and answered with
    /// [`Journal::chore_done`].
    pub fn next_chore(&mut self) -> Option<Chore<D>> {
        match &mut self.store {
            Store::Txns(txns) => txns.log.plan_ahead().map(Chore::Ahead),
            Store::Slots(slots) => slots.next_chore(),
        }
    }

    /// What came of it.
    ///
    /// # Errors
    /// If the disk failed: the journal is of no use any more.
    pub fn chore_done(&mut self, done: ChoreDone<D::File>) -> Result<(), Error> {
        match (&mut self.store, done) {
            (Store::Txns(txns), ChoreDone::Ahead(result)) => txns.log.done_ahead(result),
            (Store::Slots(slots), ChoreDone::Ahead(result)) => slots.journal.done_ahead(result),
            (Store::Slots(slots), ChoreDone::Removal(result)) => {
                slots.journal.end_removal(result)?;
            }
            (Store::Txns(_), ChoreDone::Removal(_)) => {}
        }
        Ok(())
    }

    /// Removes what was made ahead and never used; nothing is to be written after it.
    ///
    /// # Errors
    /// If the disk cannot. Nothing is lost: the next start removes it.
    pub fn discard_spare(&mut self) -> Result<(), Error> {
        match &mut self.store {
            Store::Txns(txns) => txns.log.discard_spare(),
            Store::Slots(slots) => slots.journal.discard_spare(),
        }
    }

    /// Size of the file that is written, in bytes.
    #[must_use]
    pub fn file_size(&self) -> u64 {
        match &self.store {
            Store::Txns(txns) => txns.log.file_size(),
            Store::Slots(slots) => slots.journal.file_size(),
        }
    }
}
