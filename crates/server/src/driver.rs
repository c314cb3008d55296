//! Drives the member: one thread at a time, whichever comes first with work.
//!
//! A round takes all that waits, has it prepared, makes the records durable with one commit, and
//! has them applied and answered. Requests that come meanwhile are the next round: nothing waits
//! to fill a batch. The phases are methods of their own, so that the commit can move to another
//! thread. After a failed write or sync the journal is gone and the member is told, once.

use crate::clock::Clock;
use crate::counters::{Counters, millis};
use crate::events;
use crate::hub::SharedHub;
use crate::inbox::{Inbox, Waiting};
use base::{Lsn, Machine, Time};
use node::{Input, Journal, Member, Output, Progress};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use storage::Disk;
use trace::Event;

/// A [`Journal`] over some disk.
pub(crate) trait Ledger: Send {
    /// As [`Journal::perform`].
    fn perform(&mut self, output: Output) -> Result<Option<Output>, storage::Error>;
    /// As [`Journal::commit`].
    fn commit(&mut self) -> Result<Progress, storage::Error>;
    /// Whether there is something to commit.
    fn is_dirty(&self) -> bool;
    /// Size of the current file in bytes, for the log.
    fn file_size(&self) -> u64;
}

impl<D: Disk + Send> Ledger for Journal<D> {
    fn perform(&mut self, output: Output) -> Result<Option<Output>, storage::Error> {
        Journal::perform(self, output)
    }

    fn commit(&mut self) -> Result<Progress, storage::Error> {
        Journal::commit(self)
    }

    fn is_dirty(&self) -> bool {
        Journal::is_dirty(self)
    }

    fn file_size(&self) -> u64 {
        self.log().file_size()
    }
}

/// The member, its journal, and what a round needs.
pub(crate) struct Driver {
    pub(crate) member: Member<SharedHub>,
    journal: Option<Box<dyn Ledger>>,
    outputs: Vec<Output>,
    /// Records appended since the last commit.
    batch: u64,
    pub(crate) counters: Counters,
    clock: Clock,
    sync_warning: Duration,
    /// Sessions do not expire before this: after a stall their clients' bytes are read first.
    expiry_not_before: Time,
    snapshot_due: bool,
}

impl Driver {
    /// A driver of a member that has just recovered, with the outputs of its recovery.
    pub(crate) fn new(
        member: Member<SharedHub>,
        journal: Box<dyn Ledger>,
        outputs: Vec<Output>,
        clock: Clock,
        sync_warning: Duration,
    ) -> Driver {
        let mut driver = Driver {
            member,
            journal: Some(journal),
            outputs,
            batch: 0,
            counters: Counters::default(),
            clock,
            sync_warning,
            expiry_not_before: Time::ZERO,
            snapshot_due: false,
        };
        driver.perform();
        driver
    }

    /// One round: everything that waits is prepared, made durable, applied and answered. Says
    /// whether the timer was among it.
    pub(crate) fn round(&mut self, inbox: &Inbox) -> bool {
        let started = self.clock.now();
        let Waiting { submissions, snapshot, timer } = inbox.take(self.member.spare());
        if !submissions.is_empty() {
            let size = u64::try_from(submissions.len()).unwrap_or(u64::MAX);
            self.counters.metrics.counters.prep_processor_request_queued += size;
            let wall = self.clock.wall();
            self.handle(Input::Submitted { submissions, wall });
        }
        if let Some(input) = snapshot {
            self.handle(input);
        }
        if timer && self.deadline().is_some_and(|deadline| deadline <= started) {
            self.handle(Input::TimerExpired { wall: self.clock.wall() });
        }
        while let Some(upto) = self.commit() {
            self.handle(Input::Durable { upto, wall: self.clock.wall() });
        }
        inbox.member_has(self.member.keeper().outstanding());
        let ended = self.clock.now();
        if ended.since(started) > STALL {
            self.expiry_not_before = ended + GRACE;
        }
        timer
    }

    /// When the member wants to be told that time has passed.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.member.deadline().map(|deadline| deadline.max(self.expiry_not_before))
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
            self.batch += u64::from(matches!(output, Output::Append { .. }));
            let rest = match &mut self.journal {
                Some(journal) if failure.is_none() => journal.perform(output),
                Some(_) | None => Ok(Some(output)),
            };
            match rest {
                Ok(None) => {}
                Ok(Some(Output::TakeSnapshot)) => self.snapshot_due = true,
                Ok(Some(Output::Event(event))) => self.happened(&event),
                // The journal is gone: the member knows, or will in a moment.
                Ok(Some(Output::Append { .. } | Output::Roll)) => {}
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
        let took = self.clock.now().since(started);
        let summaries = &mut self.counters.metrics.summaries;
        summaries.fsynctime.record(millis(took));
        summaries.sync_processor_batch_size.record(std::mem::take(&mut self.batch));
        if took > self.sync_warning {
            let (file_size, took_ms) = (journal.file_size(), millis(took));
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

    fn happened(&mut self, event: &Event) {
        if matches!(event, Event::SessionExpired { .. }) {
            self.counters.metrics.counters.stale_sessions_expired += 1;
        }
        events::log(event);
    }

    fn disk_failed(&mut self, error: &storage::Error) {
        self.journal = None;
        self.counters.metrics.counters.unrecoverable_error_count += 1;
        self.handle(Input::DiskFailed { reason: error.to_string() });
    }
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

/// A round that takes longer has kept clients from being heard.
const STALL: Duration = Duration::from_millis(500);
/// How long clients have after a stall to be heard.
const GRACE: Duration = Duration::from_secs(1);
