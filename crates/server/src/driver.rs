//! Drives the member: one thread at a time, whichever comes first with work.
//!
//! A round takes all that waits, has it prepared, makes the records durable with one commit, and
//! has them applied and answered. Requests that come meanwhile are the next round: nothing waits
//! to fill a batch. Usually it is a worker's thread, and the thread of [`crate::journalist`] when
//! the disk is slow. After a failed write or sync the journal is gone and the member is told, once.
//!
//! What is sent to other members leaves once per step: all that preparing brought before the disk is
//! waited for, so that their disks work beside ours; and all that durability brought right after it.

mod commits;
mod counts;
mod deadline;

pub(crate) use deadline::Deadline;

use crate::clock::Clock;
use crate::counters::{Counters, millis};
use crate::events::{self, Refusals};
use crate::failure::Failure;
use crate::hub::{Hub, SharedHub};
use crate::inbox::{Inbox, Waiting};
use crate::ledger::{Ledger, Waits};
use crate::peers::{Fact, Peers};
use crate::published::Published;
use crate::reads::Read;
use crate::standing::Journey;
use crate::tree_source::TreeSource;
use base::{Lsn, Machine, Time};
use broadcast::LinkId;
use commits::{Batch, Syncing};
use config::Ensemble;
use counts::count_waits;
use keeper::Submissions;
use node::{Input, Member, Output, Role};
use std::sync::Arc;
use std::time::Duration;
use trace::{Ensemble as Happening, Event};
use wire::quorum::Address;

/// The member, its journal, and what a round needs.
pub(crate) struct Driver {
    pub(crate) member: Member<SharedHub>,
    journal: Option<Box<dyn Ledger>>,
    /// A journal that failed: its end may wait for the disk, so that is left to the server's.
    failed_journal: Option<Box<dyn Ledger>>,
    hub: Arc<Hub>,
    peers: Peers,
    /// What this server was started as.
    ensemble: Option<Box<Ensemble>>,
    /// Where clients are to be served from now on.
    client_address: Option<Address>,
    outputs: Vec<Output>,
    /// Memory of the list of facts.
    facts: Vec<Fact>,
    /// Appended since the last commit.
    batch: Batch,
    /// What a commit that was begun beside the service covers.
    syncing: Option<Syncing>,
    published: Arc<Published>,
    clock: Clock,
    sync_warning: Duration,
    snapshot_due: bool,
    reads_due: Vec<Read>,
    failure: Failure,
    journey: Journey,
    /// As what it serves in its ensemble.
    serves: Option<Role>,
    refusals: Refusals,
    /// Whether the member has asked for the end: it is told nothing more.
    is_over: bool,
}

/// What a driver is made of.
pub(crate) struct Parts {
    /// The member, just recovered.
    pub(crate) member: Member<SharedHub>,
    /// What came of its recovery.
    pub(crate) outputs: Vec<Output>,
    pub(crate) journal: Box<dyn Ledger>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) peers: Peers,
    pub(crate) ensemble: Option<Box<Ensemble>>,
    pub(crate) clock: Clock,
    /// A commit that takes longer is worth a warning.
    pub(crate) sync_warning: Duration,
    pub(crate) published: Arc<Published>,
    pub(crate) failure: Failure,
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
    /// A driver, which performs the outputs of the recovery.
    pub(crate) fn new(parts: Parts) -> Driver {
        let Parts { member, outputs, journal, hub, peers, ensemble, .. } = parts;
        let Parts { clock, sync_warning, published, failure, .. } = parts;
        let mut driver = Driver {
            member,
            journal: Some(journal),
            failed_journal: None,
            hub,
            peers,
            ensemble,
            client_address: None,
            outputs,
            facts: Vec::new(),
            batch: Batch::default(),
            syncing: None,
            published,
            clock,
            sync_warning,
            snapshot_due: false,
            reads_due: Vec::new(),
            failure,
            journey: Journey::default(),
            serves: None,
            refusals: Refusals::default(),
            is_over: false,
        };
        driver.perform();
        driver
    }

    /// One round: everything that waits is prepared, made durable, applied and answered. Says
    /// whether the timer was among it. With `Pace::Overlapped` a large batch may be left on its way
    /// to the disk: then [`Driver::has_more`], and another such round is due.
    pub(crate) fn round(&mut self, inbox: &Inbox, pace: Pace) -> bool {
        let started = self.clock.now();
        let facts = std::mem::take(&mut self.facts);
        let waiting = inbox.take(self.member.spare(), facts);
        let Waiting { submissions, facts, snapshot, timer } = waiting;
        self.take_in(facts);
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
        self.peers.flush();
        inbox.member_has(self.member.keeper().outstanding());
        self.count_decided();
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

    /// Tells what came from other members. Before the requests of our clients: acknowledgements end
    /// what is older than those, a link that is down decides what becomes of them, and what is to be
    /// sent for both leaves together.
    fn take_in(&mut self, mut facts: Vec<Fact>) {
        for fact in facts.drain(..) {
            if let Some(input) = self.peers.admit(fact, self.clock.wall()) {
                self.handle(input);
            }
        }
        self.facts = facts;
    }

    /// Makes all durable, applies and answers it.
    fn commit_all(&mut self) {
        self.peers.flush();
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
        self.peers.flush();
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
        self.peers.flush();
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

    /// The server is about to stop: another is to lead. Says whether there is one that can.
    pub(crate) fn leave(&mut self) -> bool {
        let can_leave = self.member.successor().is_some();
        self.handle(Input::Leaving);
        self.peers.flush();
        can_leave
    }

    /// Whether the member leads others.
    pub(crate) fn leads(&self) -> bool {
        self.member.status().is_some_and(|status| status.role == Role::Leading)
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

    /// What is to be read from the disk; asking takes the answer. A state only when all before it
    /// is there.
    pub(crate) fn take_reads_due(&mut self) -> Vec<Read> {
        let has_more = self.has_more();
        let is_due = |read: &mut Read| !has_more || matches!(read, Read::Log { .. });
        self.reads_due.extract_if(.., is_due).collect()
    }

    /// Where clients are to be served from now on; asking takes the answer.
    pub(crate) fn take_client_address(&mut self) -> Option<Address> {
        self.client_address.take()
    }

    /// Whether a snapshot is to be begun; asking takes the answer.
    pub(crate) fn take_snapshot_due(&mut self) -> bool {
        std::mem::take(&mut self.snapshot_due)
    }

    fn handle(&mut self, input: Input) {
        if self.is_over {
            return;
        }
        let now = self.clock.now();
        self.member.handle(now, input, &mut self.outputs);
        self.perform();
    }

    /// Performs all outputs but the commit.
    fn perform(&mut self) {
        let mut outputs = std::mem::take(&mut self.outputs);
        let mut failure = None;
        for output in outputs.drain(..) {
            match output {
                Output::Append { .. }
                | Output::Truncate { .. }
                | Output::Register { .. }
                | Output::Text { .. }
                | Output::Slot { .. }
                | Output::Cut { .. }
                | Output::Base { .. }
                | Output::Announced { .. }
                | Output::BeginInstall { .. }
                | Output::Install { .. }
                | Output::Roll => {
                    // Without a journal the member knows, or will in a moment.
                    if failure.is_none() {
                        failure = self.log(output).err();
                    }
                }
                Output::TakeSnapshot => self.snapshot_due = true,
                Output::Send { link, frame } => self.peers.send(link, frame),
                Output::SendSnapshot { link } => self.send_snapshot(link),
                Output::Listen { channel, addresses } => self.peers.listen(channel, addresses),
                Output::Unlisten { channel } => self.peers.unlisten(channel),
                Output::Dial { link, channel, addresses } => {
                    self.peers.dial(link, channel, addresses);
                }
                Output::Close { link } => self.peers.close(link),
                Output::Reload { at } => self.reads_due.push(Read::State { at }),
                Output::ReadLog { link, from } => self.reads_due.push(Read::Log { link, from }),
                Output::Fatal { reason } => self.end(reason),
                Output::Event(event) => self.happened(&event),
            }
        }
        self.outputs = outputs;
        if let Some(error) = failure {
            self.disk_failed(&error);
        }
    }

    /// The member does not go on, and neither does the server.
    fn end(&mut self, reason: String) {
        tracing::error!(reason, "stopping: the member cannot go on");
        self.is_over = true;
        self.failed_journal = self.journal.take();
        self.failure.come(reason);
    }

    fn send_snapshot(&mut self, link: LinkId) {
        // As long as nobody is served, the ensemble may wait for this one to have it.
        let rests = self.member.status().is_some_and(|status| status.serving);
        let source = TreeSource::begin(&self.hub, rests);
        self.peers.send_source(link, Box::new(source));
    }

    fn count(&self, act: impl FnOnce(&mut metrics::Counters)) {
        self.published.counters(|counters| act(&mut counters.metrics.counters));
    }

    fn count_decided(&mut self) {
        let Some(upto) = self.member.committed().filter(|upto| self.journey.is_behind(*upto))
        else {
            return;
        };
        let (journey, serves) = (&mut self.journey, self.serves);
        self.published.counters(|counters| journey.decided(upto, serves, counters));
    }

    /// Tells where the member stands.
    pub(crate) fn publish(&mut self) {
        let Some(status) = self.member.status() else { return };
        self.serves = status.serving.then_some(status.role);
        self.published.stands(self.journey.standing(status));
    }

    fn happened(&mut self, event: &Event) {
        if matches!(event, Event::SessionExpired { .. }) {
            self.count(|counters| counters.stale_sessions_expired += 1);
        }
        if let Event::Ensemble(moved) = event
            && let Some(status) = self.member.status()
        {
            self.count_decided();
            let (journey, now) = (&mut self.journey, self.clock.now());
            self.published.counters(|counters| journey.happened(moved, &status, now, counters));
        }
        if matches!(event, Event::ReadOnlyBegan | Event::ReadOnlyEnded) {
            let reads_only = self.member.keeper().is_read_only();
            self.journey.reads_only(reads_only.then(|| self.clock.now()));
        }
        let moves = matches!(
            event,
            Event::Ensemble(_)
                | Event::DiskFailed { .. }
                | Event::ReadOnlyBegan
                | Event::ReadOnlyEnded
        );
        if moves {
            self.publish();
        }
        if let Event::Ensemble(Happening::LinkRefused { link, .. }) = event {
            let remote = self.peers.remote(LinkId(*link));
            return self.refusals.log(event, remote);
        }
        events::log(event);
    }

    fn disk_failed(&mut self, error: &storage::Error) {
        self.failed_journal = self.journal.take();
        self.count(|counters| counters.unrecoverable_error_count += 1);
        self.handle(Input::DiskFailed { reason: error.to_string() });
    }
}

/// Records of a batch from which on it pays to hand the sync to another thread and go on: fewer
/// take less time to apply than two threads take to wake each other.
const OVERLAPPED_MIN: u64 = 64;
/// A round that takes longer has kept clients from being heard.
const STALL: Duration = Duration::from_millis(500);
/// How long clients have after a stall to be heard.
const GRACE: Duration = Duration::from_secs(1);
