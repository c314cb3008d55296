//! Drives the member: one thread at a time, whichever comes first with work.
//!
//! A round takes all that waits, has it prepared, makes the records durable with one commit, and
//! has them applied and answered. Requests that come meanwhile are the next round: nothing waits
//! to fill a batch. Usually it is a worker's thread, and the thread of [`crate::journalist`] when
//! the disk is slow. After a failed write or sync the journal is gone and the member is told, once.

use crate::clock::Clock;
use crate::counters::{Counters, millis};
use crate::events;
use crate::hub::SharedHub;
use crate::inbox::{Inbox, Waiting};
use crate::ledger::{Ledger, Waits};
use crate::published::Published;
use base::{Lsn, Machine, Time};
use keeper::Submissions;
use metrics::{Metrics, Summaries};
use node::{Input, Member, Output, Progress};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use trace::Event;

/// The member, its journal, and what a round needs.
pub(crate) struct Driver {
    pub(crate) member: Member<SharedHub>,
    journal: Option<Box<dyn Ledger>>,
    /// A journal that failed: its end may wait for the disk, so that is left to the server's.
    failed_journal: Option<Box<dyn Ledger>>,
    outputs: Vec<Output>,
    /// Appended since the last commit.
    batch: Batch,
    /// What a commit that was begun beside the service covers.
    syncing: Option<Syncing>,
    published: Arc<Published>,
    clock: Clock,
    sync_warning: Duration,
    snapshot_due: bool,
}

/// Records on their way to the disk.
#[derive(Debug, Default)]
struct Batch {
    records: u64,
    /// When the first of them was appended.
    began: Option<Time>,
}

/// A commit under way.
struct Syncing {
    batch: Batch,
    started: Time,
}

/// How a round is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// To its end.
    Whole,
    /// The disk and the service work at the same time, if there is enough to do for both.
    Overlapped,
}

impl Driver {
    /// A driver of a member that has just recovered, with the outputs of its recovery.
    pub(crate) fn new(
        member: Member<SharedHub>,
        journal: Box<dyn Ledger>,
        outputs: Vec<Output>,
        clock: Clock,
        sync_warning: Duration,
        published: Arc<Published>,
    ) -> Driver {
        let mut driver = Driver {
            member,
            journal: Some(journal),
            failed_journal: None,
            outputs,
            batch: Batch::default(),
            syncing: None,
            published,
            clock,
            sync_warning,
            snapshot_due: false,
        };
        driver.perform();
        driver
    }

    /// One round: everything that waits is prepared, made durable, applied and answered. Says
    /// whether the timer was among it. With `Pace::Overlapped` a large batch may be left on its way
    /// to the disk: then [`Driver::has_more`], and another such round is due.
    pub(crate) fn round(&mut self, inbox: &Inbox, pace: Pace) -> bool {
        let started = self.clock.now();
        let Waiting { submissions, snapshot, timer } = inbox.take(self.member.spare());
        if !submissions.is_empty() {
            self.prepare(submissions, started);
        }
        if let Some(input) = snapshot {
            self.handle(input);
        }
        if timer && self.deadline().is_some_and(|deadline| deadline <= started) {
            self.handle(Input::TimerExpired { wall: self.clock.wall() });
        }
        match pace {
            Pace::Overlapped => self.overlap(inbox),
            Pace::Whole => self.commit_all(),
        }
        inbox.member_has(self.member.keeper().outstanding());
        let ended = self.clock.now();
        if ended.since(started) > STALL {
            // Sessions do not expire before their clients' bytes are read.
            self.member.hold_expiry(ended + GRACE);
        }
        timer
    }

    /// Whether something is on its way to the disk, or has to go there.
    pub(crate) fn has_more(&self) -> bool {
        self.journal.as_ref().is_some_and(|journal| journal.is_syncing() || journal.is_dirty())
    }

    /// Makes all durable, applies and answers it.
    fn commit_all(&mut self) {
        if let Some(upto) = self.end_commit(Waits::Yes) {
            self.durable(upto);
        }
        while let Some(upto) = self.commit() {
            self.durable(upto);
        }
    }

    /// While one batch is on its way to the disk, the next is prepared; as soon as it is there, the
    /// next is sent, and only then the first is applied.
    fn overlap(&mut self, inbox: &Inbox) {
        let Some(journal) = &self.journal else { return };
        if !journal.is_syncing() {
            if self.batch.records < OVERLAPPED_MIN {
                return self.commit_all();
            }
            let upto = self.begin_commit();
            return upto.into_iter().for_each(|upto| self.durable(upto));
        }
        // More to prepare is better than waiting.
        let waits = if inbox.is_pending() { Waits::No } else { Waits::Yes };
        let Some(upto) = self.end_commit(waits) else { return };
        let is_large = self.batch.records >= OVERLAPPED_MIN;
        // What the next batch has made durable at once covers this one.
        let next = if is_large { self.begin_commit() } else { None };
        self.durable(next.unwrap_or(upto));
    }

    fn durable(&mut self, upto: Lsn) {
        self.handle(Input::Durable { upto, wall: self.clock.wall() });
    }

    fn prepare(&mut self, submissions: Submissions, started: Time) {
        let size = submissions.len();
        self.published.counters(|Counters { metrics, .. }| {
            metrics.counters.prep_processor_request_queued += size as u64;
            metrics.summaries.prep_processor_queue_size.record(size as u64);
            count_waits(&submissions, started, metrics);
        });
        self.handle(Input::Submitted { submissions, wall: self.clock.wall() });
        let each = self.clock.now().since(started) / u32::try_from(size).unwrap_or(u32::MAX);
        self.published.counters(|counters| {
            let summary = &mut counters.metrics.summaries.prep_process_time;
            summary.record_many(millis(each), size as u64);
        });
    }

    /// When the member wants to be told that time has passed.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.member.deadline()
    }

    /// Ends the journal: for a server that stops, when nothing is to be written any more.
    pub(crate) fn close(&mut self) {
        self.journal = None;
        self.failed_journal = None;
    }

    /// Whether a snapshot is to be begun; asking takes the answer.
    pub(crate) fn take_snapshot_due(&mut self) -> bool {
        std::mem::take(&mut self.snapshot_due)
    }

    fn handle(&mut self, input: Input) {
        let now = self.clock.now();
        self.member.handle(now, input, &mut self.outputs);
        self.perform();
    }

    /// Performs all outputs but the commit.
    fn perform(&mut self) {
        let mut outputs = std::mem::take(&mut self.outputs);
        let mut failure = None;
        for output in outputs.drain(..) {
            if matches!(output, Output::Append { .. }) {
                self.batch.records += 1;
                self.batch.began.get_or_insert_with(|| self.clock.now());
            }
            let rest = match &mut self.journal {
                Some(journal) if failure.is_none() => journal.perform(output),
                Some(_) | None => Ok(Some(output)),
            };
            match rest {
                Ok(None) => {}
                Ok(Some(Output::TakeSnapshot)) => self.snapshot_due = true,
                Ok(Some(Output::Event(event))) => self.happened(&event),
                // The journal is gone: the member knows, or will in a moment.
                Ok(Some(_)) => {}
                Err(error) => failure = Some(error),
            }
        }
        self.outputs = outputs;
        if let Some(error) = failure {
            self.disk_failed(&error);
        }
    }

    /// Makes durable what was appended; `None` if there is nothing.
    fn commit(&mut self) -> Option<Lsn> {
        let journal = self.journal.as_mut().filter(|journal| journal.is_dirty())?;
        let started = self.clock.now();
        let result = journal.commit();
        let batch = std::mem::take(&mut self.batch);
        self.committed(&Syncing { batch, started }, result)
    }

    /// Begins to make durable what was appended, beside the service; answers if it is already.
    fn begin_commit(&mut self) -> Option<Lsn> {
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
    fn end_commit(&mut self, waits: Waits) -> Option<Lsn> {
        let journal = self.journal.as_mut().filter(|journal| journal.is_syncing())?;
        let result = journal.end_commit(waits);
        if matches!(result, Ok(Progress::Idle)) {
            return None;
        }
        let syncing = self.syncing.take()?;
        self.committed(&syncing, result)
    }

    fn committed(
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

    fn count(&self, act: impl FnOnce(&mut metrics::Counters)) {
        self.published.counters(|counters| act(&mut counters.metrics.counters));
    }

    fn happened(&mut self, event: &Event) {
        if matches!(event, Event::SessionExpired { .. }) {
            self.count(|counters| counters.stale_sessions_expired += 1);
        }
        events::log(event);
    }

    fn disk_failed(&mut self, error: &storage::Error) {
        self.failed_journal = self.journal.take();
        self.count(|counters| counters.unrecoverable_error_count += 1);
        self.handle(Input::DiskFailed { reason: error.to_string() });
    }
}

/// Counts a commit: of how many records, how long it took, and how long since the first of them
/// was appended. Records go to the journal as soon as they are prepared, so none waits before it.
fn count_commit(metrics: &mut Metrics, batch: u64, took: Duration, since_append: Duration) {
    metrics.counters.sync_processor_request_queued += batch;
    let Summaries { fsynctime, sync_processor_batch_size, sync_processor_queue_size, .. } =
        &mut metrics.summaries;
    fsynctime.record(millis(took));
    sync_processor_batch_size.record(batch);
    sync_processor_queue_size.record(batch);
    let distributions = &mut metrics.distributions;
    let flush_ms = millis(since_append);
    distributions.sync_processor_queue_time_ms.record_many(0, batch);
    distributions.sync_processor_queue_flush_time_ms.record_many(flush_ms, batch);
    distributions.sync_processor_queue_and_flush_time_ms.record_many(flush_ms, batch);
}

/// Counts how long requests waited for the member; neighbours mostly came with one read.
fn count_waits(submissions: &Submissions, started: Time, metrics: &mut Metrics) {
    let distribution = &mut metrics.distributions.prep_processor_queue_time_ms;
    let mut run = (0, 0);
    for (submission, _) in submissions.iter() {
        let waited = millis(started.since(submission.arrived));
        if run.0 != waited {
            distribution.record_many(run.0, run.1);
            run = (waited, 0);
        }
        run.1 += 1;
    }
    distribution.record_many(run.0, run.1);
}

/// The member's deadline, for the timer.
#[derive(Debug)]
pub(crate) struct Deadline(AtomicU64);

impl Default for Deadline {
    fn default() -> Self {
        Deadline(AtomicU64::new(u64::MAX))
    }
}

impl Deadline {
    /// Sets it; says whether it is earlier than it was.
    pub(crate) fn set(&self, deadline: Option<Time>) -> bool {
        let nanos = deadline.map_or(u64::MAX, |time| time.0);
        nanos < self.0.swap(nanos, Ordering::SeqCst)
    }

    /// The deadline; `None` if the member waits for nothing.
    pub(crate) fn get(&self) -> Option<Time> {
        Some(Time(self.0.load(Ordering::SeqCst))).filter(|time| time.0 != u64::MAX)
    }
}

/// Records of a batch from which on it pays to hand the sync to another thread and go on: fewer
/// take less time to apply than two threads take to wake each other.
const OVERLAPPED_MIN: u64 = 64;
/// A round that takes longer has kept clients from being heard.
const STALL: Duration = Duration::from_millis(500);
/// How long clients have after a stall to be heard.
const GRACE: Duration = Duration::from_secs(1);
