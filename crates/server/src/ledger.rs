//! The journal on some disk, with a thread that finds space ahead of it and one that syncs beside it.
//!
//! Space for the log is found and made durable beside the service, because the disk takes long for
//! it; and while there is more to do than to wait, the log is synced beside the service as well.
//! Invariant: a plan or a job is with its thread or its result is, never both; the threads end, and
//! what was made and nobody used is removed, before the ledger is gone.

use node::{Chore, ChoreDone, Journal, Output, Progress};
use std::io;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use storage::{Disk, Error, SyncDone, SyncJob};

/// A [`Journal`] whose disk does not matter.
pub(crate) trait Ledger: Send {
    /// As [`Journal::perform`].
    fn perform(&mut self, output: Output) -> Result<Option<Output>, Error>;
    /// As [`Journal::commit`].
    fn commit(&mut self) -> Result<Progress, Error>;
    /// Begins a commit beside the service; idle if its end is to be waited for.
    fn begin_commit(&mut self) -> Result<Progress, Error>;
    /// Takes the end of what was begun; idle if it has not come and is not waited for.
    fn end_commit(&mut self, waits: Waits) -> Result<Progress, Error>;
    /// Whether a commit was begun and has not ended.
    fn is_syncing(&self) -> bool;
    /// Whether there is something to commit.
    fn is_dirty(&self) -> bool;
    /// Size of the current file in bytes, for the log.
    fn file_size(&self) -> u64;
}

/// Whether somebody waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    Yes,
    No,
}

/// A journal that has its space found ahead.
pub(crate) struct DiskLedger<D: Disk> {
    journal: Journal<D>,
    chores: Helper<Chore<D>, ChoreDone<D::File>>,
    syncs: Helper<SyncJob<D::File>, SyncDone<D::File>>,
    /// What ended the journal beside a commit: the next one tells.
    chore_error: Option<Error>,
}

/// A thread that does one thing after the other.
struct Helper<J, R> {
    jobs: Option<Sender<J>>,
    results: Receiver<R>,
    thread: Option<JoinHandle<()>>,
}

impl<J: Send + 'static, R: Send + 'static> Helper<J, R> {
    fn start(name: &str, act: impl Fn(J) -> R + Send + 'static) -> io::Result<Helper<J, R>> {
        let (jobs, to_do) = channel::<J>();
        let (done, results) = channel();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            for job in to_do {
                if done.send(act(job)).is_err() {
                    return; // nobody waits for it
                }
            }
        })?;
        Ok(Helper { jobs: Some(jobs), results, thread: Some(thread) })
    }
}

impl<J, R> Helper<J, R> {
    /// Gives the thread a job; gives it back if the thread is gone.
    fn give(&mut self, job: J) -> Result<(), J> {
        let Some(jobs) = &self.jobs else { return Err(job) };
        jobs.send(job).map_err(|back| {
            self.jobs = None;
            back.0
        })
    }

    fn end(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic was logged where it happened
        }
    }
}

impl<D> DiskLedger<D>
where
    D: Disk + Send + 'static,
    D::File: 'static,
{
    /// On `journal`, which is on `disk`.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(crate) fn start(disk: D, journal: Journal<D>) -> io::Result<DiskLedger<D>> {
        let chores = Helper::start("log-space", move |chore: Chore<D>| chore.perform(&disk))?;
        let syncs = Helper::start("log-sync", SyncJob::perform)?;
        let mut ledger = DiskLedger { journal, chores, syncs, chore_error: None };
        ledger.look_ahead();
        Ok(ledger)
    }
}

impl<D: Disk> DiskLedger<D> {
    /// Takes what was done ahead, and asks for what is wanted next.
    fn look_ahead(&mut self) {
        self.take_results();
        if self.chores.jobs.is_some()
            && let Some(chore) = self.journal.next_chore()
        {
            // Without its thread the log does without.
            let _ = self.chores.give(chore);
        }
    }

    fn take_results(&mut self) {
        while let Ok(done) = self.chores.results.try_recv() {
            if let ChoreDone::Ahead(Err(error)) = &done {
                tracing::warn!(%error, "no space could be reserved ahead of the log");
            }
            if let Err(error) = self.journal.chore_done(done) {
                self.chore_error.get_or_insert(error);
            }
        }
    }

    fn ended(&mut self, done: SyncDone<D::File>) -> Result<Progress, Error> {
        let progress = self.journal.end_sync(done);
        self.look_ahead();
        progress
    }
}

impl<D> Ledger for DiskLedger<D>
where
    D: Disk + Send,
{
    fn perform(&mut self, output: Output) -> Result<Option<Output>, Error> {
        if matches!(output, Output::Roll) {
            self.take_results();
        }
        self.journal.perform(output)
    }

    fn commit(&mut self) -> Result<Progress, Error> {
        if let Some(error) = self.chore_error.take() {
            return Err(error);
        }
        let progress = self.journal.commit();
        self.look_ahead();
        progress
    }

    fn begin_commit(&mut self) -> Result<Progress, Error> {
        let Some(job) = self.journal.begin_sync()? else {
            return Ok(Progress::Durable(self.journal.durable()));
        };
        match self.syncs.give(job) {
            Ok(()) => Ok(Progress::Idle),
            Err(job) => self.ended(job.perform()), // without its thread it is done here
        }
    }

    fn end_commit(&mut self, waits: Waits) -> Result<Progress, Error> {
        let result = match waits {
            Waits::Yes => self.syncs.results.recv().map_err(|_| TryRecvError::Disconnected),
            Waits::No => self.syncs.results.try_recv(),
        };
        match result {
            Ok(done) => self.ended(done),
            Err(TryRecvError::Empty) => Ok(Progress::Idle),
            Err(TryRecvError::Disconnected) => Err(Error::Poisoned), // its thread panicked
        }
    }

    fn is_syncing(&self) -> bool {
        self.journal.is_syncing()
    }

    fn is_dirty(&self) -> bool {
        self.journal.is_dirty()
    }

    fn file_size(&self) -> u64 {
        self.journal.file_size()
    }
}

impl<D: Disk> Drop for DiskLedger<D> {
    fn drop(&mut self) {
        self.syncs.end();
        self.chores.end();
        self.take_results();
        if let Err(error) = self.journal.discard_spare() {
            tracing::debug!(%error, "the next start removes what was reserved ahead");
        }
    }
}
