//! The journal on some disk, and the thread that finds space ahead of it.
//!
//! Space for the log is found and made durable beside the service, because the disk takes long for
//! it. Invariant: a plan is with the thread or its result is, never both; the thread ends, and what
//! it made and nobody used is removed, before the ledger is gone.

use node::{Journal, Output, Progress};
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use storage::{Ahead, AheadPlan, Disk, Error, TxnLog};

/// A [`Journal`] whose disk does not matter.
pub(crate) trait Ledger: Send {
    /// As [`Journal::perform`].
    fn perform(&mut self, output: Output) -> Result<Option<Output>, Error>;
    /// As [`Journal::commit`].
    fn commit(&mut self) -> Result<Progress, Error>;
    /// Whether there is something to commit.
    fn is_dirty(&self) -> bool;
    /// Size of the current file in bytes, for the log.
    fn file_size(&self) -> u64;
}

/// A journal that has its space found ahead.
pub(crate) struct DiskLedger<D: Disk> {
    journal: Journal<D>,
    plans: Option<Sender<AheadPlan>>,
    results: Receiver<Result<Ahead<D::File>, Error>>,
    thread: Option<JoinHandle<()>>,
}

impl<D> DiskLedger<D>
where
    D: Disk + Send + 'static,
    D::File: 'static,
{
    /// On `log`, which is on `disk`.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(crate) fn start(disk: D, log: TxnLog<D>) -> io::Result<DiskLedger<D>> {
        let (plans, to_do) = channel::<AheadPlan>();
        let (done, results) = channel();
        let thread = std::thread::Builder::new().name("log-space".to_owned()).spawn(move || {
            for plan in to_do {
                if done.send(plan.perform(&disk)).is_err() {
                    return; // nobody waits for it
                }
            }
        })?;
        let journal = Journal::new(log);
        let mut ledger = DiskLedger { journal, plans: Some(plans), results, thread: Some(thread) };
        ledger.look_ahead();
        Ok(ledger)
    }
}

impl<D: Disk> DiskLedger<D> {
    /// Takes what was done ahead, and asks for what is wanted next.
    fn look_ahead(&mut self) {
        self.take_results();
        let Some(plans) = &self.plans else { return };
        if let Some(plan) = self.journal.plan_ahead()
            && plans.send(plan).is_err()
        {
            self.plans = None; // the thread is gone: the log does without
        }
    }

    fn take_results(&mut self) {
        while let Ok(result) = self.results.try_recv() {
            if let Err(error) = &result {
                tracing::warn!(%error, "no space could be reserved ahead of the log");
            }
            self.journal.done_ahead(result);
        }
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
        let progress = self.journal.commit();
        self.look_ahead();
        progress
    }

    fn is_dirty(&self) -> bool {
        self.journal.is_dirty()
    }

    fn file_size(&self) -> u64 {
        self.journal.log().file_size()
    }
}

impl<D: Disk> Drop for DiskLedger<D> {
    fn drop(&mut self) {
        self.plans = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic was logged where it happened
        }
        self.take_results();
        if let Err(error) = self.journal.discard_spare() {
            tracing::debug!(%error, "the next start removes what was reserved ahead");
        }
    }
}
