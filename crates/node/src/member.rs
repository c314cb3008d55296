//! The member: keeper, engine and gates as one machine.
//!
//! In: what connections submit, what the disk answers, time. Out: records for the journal,
//! snapshots to take, events. Answers and watch events go to the connections from inside the
//! apply section ([`Shared::write`]), before anybody can read what they tell of.
//! Invariant: nothing is applied before the record that it waits for is durable.

use crate::checkpoint::{Checkpoint, CheckpointConfig, Snapshots};
use crate::contract::{Input, Output};
use crate::shared::Shared;
use base::{Lsn, Machine, Rng, Time, WallTime, Zxid};
use broadcast::{Decision, Item, Proposal, Record, Solo, View};
use keeper::{Keeper, Section, Submissions};
use std::collections::VecDeque;
use std::sync::Arc;
use trace::Event;

/// What a member is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// The service.
    pub keeper: Arc<keeper::Config>,
    /// When snapshots are due.
    pub checkpoint: CheckpointConfig,
}

/// A delivery behind its gate.
#[derive(Debug)]
struct Gated {
    at: Zxid,
    item: Item,
    after: Lsn,
}

/// One member.
#[derive(Debug)]
pub struct Member<S> {
    shared: S,
    keeper: Keeper,
    engine: Solo,
    checkpoint: Checkpoint,
    gated: VecDeque<Gated>,
    durable: Lsn,
    snapshots: Snapshots,
    /// What connections submitted from inside the apply section.
    follow_up: Submissions,
    /// A batch that was drained, for the host to fill again.
    spare: Submissions,
    proposals: Vec<Proposal>,
    engine_out: Vec<broadcast::Output>,
    events: Vec<Event>,
}

impl<S: Shared> Member<S> {
    /// Starts on a recovered tree, which `shared` holds. With `replayed`, a snapshot is taken
    /// soon, so that the next start has less to replay.
    pub fn recover(
        shared: S,
        config: &Config,
        replayed: bool,
        now: Time,
        wall: WallTime,
        rng: Rng,
        out: &mut Vec<Output>,
    ) -> Member<S> {
        let (keeper, last) = shared.read(|tree| {
            (Keeper::recover(Arc::clone(&config.keeper), tree, now, wall), tree.last_zxid())
        });
        let mut engine_out = Vec::new();
        let engine = Solo::recover(last, &mut engine_out);
        let mut member = Member {
            shared,
            keeper,
            engine,
            checkpoint: Checkpoint::new(config.checkpoint, rng),
            gated: VecDeque::new(),
            durable: Lsn::ZERO,
            snapshots: Snapshots::default(),
            follow_up: Submissions::default(),
            spare: Submissions::default(),
            proposals: Vec::new(),
            engine_out,
            events: Vec::new(),
        };
        member.perform_engine(now, out);
        if replayed {
            member.take_snapshot(now, out);
        }
        member
    }

    /// The service, for those who show its state.
    #[must_use]
    pub fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// A drained batch to fill again.
    pub fn spare(&mut self) -> Submissions {
        std::mem::take(&mut self.spare)
    }

    /// Prepares a batch, and what answers to it made connections submit in turn.
    fn submitted(
        &mut self,
        now: Time,
        wall: WallTime,
        submissions: Submissions,
        out: &mut Vec<Output>,
    ) {
        let mut next = submissions;
        loop {
            self.prepare(now, wall, next, out);
            if self.follow_up.is_empty() {
                return;
            }
            next = std::mem::take(&mut self.follow_up);
        }
    }

    fn prepare(
        &mut self,
        now: Time,
        wall: WallTime,
        mut submissions: Submissions,
        out: &mut Vec<Output>,
    ) {
        let Member { shared, keeper, proposals, .. } = self;
        shared.read(|tree| keeper.prepare(tree, now, wall, &submissions, proposals));
        submissions.clear();
        self.spare = submissions;
        self.propose(now, out);
        self.answer_ready(now);
    }

    fn timer_expired(&mut self, now: Time, wall: WallTime, out: &mut Vec<Output>) {
        let Member { shared, keeper, proposals, .. } = self;
        shared.with_clients(|tree, clients| keeper.expire(tree, now, wall, clients, proposals));
        self.propose(now, out);
    }

    fn propose(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.proposals.is_empty() {
            return;
        }
        let input = broadcast::Input::Proposed(std::mem::take(&mut self.proposals));
        self.engine.handle(now, input, &mut self.engine_out);
        self.perform_engine(now, out);
    }

    fn perform_engine(&mut self, now: Time, out: &mut Vec<Output>) {
        let mut engine_out = std::mem::take(&mut self.engine_out);
        for output in engine_out.drain(..) {
            match output {
                broadcast::Output::Persist { lsn, record } => self.persist(now, lsn, record, out),
                broadcast::Output::Deliver { at, item, after, .. } => {
                    self.gated.push_back(Gated { at, item, after });
                }
                broadcast::Output::View(View::Primary { last }) => self.keeper.become_primary(last),
                broadcast::Output::View(View::Silent | View::Apart | View::Replica { .. }) => {
                    self.gated.clear();
                    self.keeper.become_silent();
                }
                broadcast::Output::Outcome { decision, .. } => {
                    let (Decision::Rejected(_) | Decision::Unknown) = decision;
                    self.keeper.become_silent();
                }
                broadcast::Output::ReadReady { .. } => {}
                _ => {}
            }
        }
        self.engine_out = engine_out;
    }

    fn persist(&mut self, now: Time, lsn: Lsn, record: Record, out: &mut Vec<Output>) {
        let (at, record) = match record {
            Record::Entry { at, item } => (at, item),
            Record::Truncate { to } => return out.push(Output::Truncate { lsn, to }),
            Record::Register { name, value } => {
                return out.push(Output::Register { lsn, name, value });
            }
            Record::Text { name, text } => return out.push(Output::Text { lsn, name, text }),
        };
        let size = u64::try_from(record.len()).unwrap_or(u64::MAX);
        out.push(Output::Append { lsn, at, record });
        if self.checkpoint.logged(size) {
            out.push(Output::Roll);
            self.take_snapshot(now, out);
        }
    }

    fn take_snapshot(&mut self, now: Time, out: &mut Vec<Output>) {
        let began = self.snapshots.begin(now);
        let skipped = Output::Event(Event::SnapshotSkipped);
        out.push(if began { Output::TakeSnapshot } else { skipped });
    }

    /// Applies what its gate lets through, a bounded number at a time so that readers get their
    /// turn, and prepares what that made connections submit.
    fn durable(&mut self, now: Time, upto: Lsn, wall: WallTime, out: &mut Vec<Output>) {
        self.durable = self.durable.max(upto);
        self.engine.handle(now, broadcast::Input::Durable { upto }, &mut self.engine_out);
        self.perform_engine(now, out);
        while self.gated.front().is_some_and(|gated| gated.after <= self.durable) {
            self.apply_section(now);
        }
        if !self.follow_up.is_empty() {
            let submissions = std::mem::take(&mut self.follow_up);
            self.submitted(now, wall, submissions, out);
        }
    }

    fn apply_section(&mut self, now: Time) {
        let Member { shared, keeper, gated, durable, follow_up, .. } = self;
        shared.write(|tree, watches, clients| {
            let mut section = Section { tree, watches, clients, submissions: follow_up, now };
            for _ in 0..APPLIED_PER_SECTION_MAX {
                let Some(next) = gated.pop_front_if(|gated| gated.after <= *durable) else { break };
                keeper.apply(&mut section, next.at, &next.item);
            }
        });
    }

    fn answer_ready(&mut self, now: Time) {
        if !self.keeper.has_ready() {
            return;
        }
        let Member { shared, keeper, follow_up, .. } = self;
        shared.write(|tree, watches, clients| {
            let mut section = Section { tree, watches, clients, submissions: follow_up, now };
            keeper.answer_ready(&mut section);
        });
    }

    fn disk_failed(&mut self, now: Time, reason: String) {
        self.events.push(Event::DiskFailed { reason });
        let input = broadcast::Input::DiskFailed { at: Lsn(self.durable.0 + 1) };
        self.engine.handle(now, input, &mut self.engine_out);
    }
}

impl<S: Shared> Machine for Member<S> {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Submitted { submissions, wall } => self.submitted(now, wall, submissions, out),
            Input::TimerExpired { wall } => self.timer_expired(now, wall, out),
            Input::Durable { upto, wall } => self.durable(now, upto, wall, out),
            Input::DiskFailed { reason } => {
                self.disk_failed(now, reason);
                self.perform_engine(now, out);
                self.answer_ready(now);
            }
            Input::SnapshotTaken { zxid } => {
                self.snapshots.end(now);
                self.events.push(Event::SnapshotTaken { zxid });
            }
            Input::SnapshotFailed { zxid, reason } => {
                self.snapshots.end(now);
                self.events.push(Event::SnapshotFailed { zxid, reason });
            }
            _ => {}
        }
        self.keeper.take_events(&mut self.events);
        out.extend(self.events.drain(..).map(Output::Event));
    }

    fn deadline(&self) -> Option<Time> {
        self.keeper.deadline()
    }
}

/// Transactions of one apply section, which readers wait for.
const APPLIED_PER_SECTION_MAX: usize = 256;
