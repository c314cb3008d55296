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
use broadcast::{Context, Decision, Item, LinkId, Record, Solo, View};
use bytes::Bytes;
use keeper::{Keeper, Letter, Outgoing, Section, Submissions};
use std::collections::VecDeque;
use std::sync::Arc;
use trace::Event;
use tree::Tree;

/// What a member is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// The service.
    pub keeper: Arc<keeper::Config>,
    /// When snapshots are due.
    pub checkpoint: CheckpointConfig,
}

/// What the engine says to the service, in its order: deliveries wait for the disk, and what
/// comes behind them waits for them.
#[derive(Debug)]
enum Gated {
    Delivery {
        at: Zxid,
        item: Item,
        after: Lsn,
    },
    /// A letter of the primary.
    Letter(Bytes),
    Read {
        context: Context,
        at_least: Zxid,
    },
    BecomePrimary {
        last: Zxid,
    },
    BecomeReplica,
}

impl Gated {
    fn after(&self) -> Lsn {
        match self {
            Gated::Delivery { after, .. } => *after,
            Gated::Letter(_)
            | Gated::Read { .. }
            | Gated::BecomePrimary { .. }
            | Gated::BecomeReplica => Lsn::ZERO,
        }
    }
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
    /// What the service wants sent.
    outgoing: Outgoing,
    /// Letters of replicas that the service has not seen.
    letters: Vec<Letter>,
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
        let keeper = Keeper::new(Arc::clone(&config.keeper), wall);
        let last = shared.read(Tree::last_zxid);
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
            outgoing: Outgoing::default(),
            letters: Vec::new(),
            engine_out,
            events: Vec::new(),
        };
        member.perform_engine(now, out);
        member.settle(now, out);
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
        let Member { shared, keeper, outgoing, .. } = self;
        shared.read(|tree| keeper.prepare(tree, now, wall, &submissions, outgoing));
        submissions.clear();
        self.spare = submissions;
        self.settle(now, out);
    }

    fn timer_expired(&mut self, now: Time, wall: WallTime, out: &mut Vec<Output>) {
        let Member { shared, keeper, outgoing, .. } = self;
        shared.with_clients(|tree, clients| keeper.expire(tree, now, wall, clients, outgoing));
        self.told(now, wall, broadcast::Input::TimerExpired, out);
    }

    /// The engine is told something that may bring letters and deliveries.
    fn told(&mut self, now: Time, wall: WallTime, input: broadcast::Input, out: &mut Vec<Output>) {
        self.engine.handle(now, input, &mut self.engine_out);
        self.settle(now, out);
        if !self.letters.is_empty() {
            let letters = std::mem::take(&mut self.letters);
            let Member { shared, keeper, outgoing, .. } = self;
            shared.read(|tree| keeper.forwarded(tree, now, wall, &letters, outgoing));
            self.settle(now, out);
        }
        self.follow_up(now, wall, out);
    }

    /// Hands what the service wants sent to the engine, and what the engine says to the service,
    /// until neither has more to say for now.
    fn settle(&mut self, now: Time, out: &mut Vec<Output>) {
        loop {
            self.send(now, out);
            self.perform_engine(now, out);
            while self.gated.front().is_some_and(|gated| gated.after() <= self.durable) {
                self.pass_gate(now);
            }
            self.answer_ready(now);
            if self.outgoing.is_empty() && self.engine_out.is_empty() {
                return;
            }
        }
    }

    fn send(&mut self, now: Time, out: &mut Vec<Output>) {
        let Member { engine, outgoing, engine_out, .. } = self;
        if outgoing.is_empty() {
            return;
        }
        let mut tell = |input| engine.handle(now, input, engine_out);
        let Outgoing { proposals, letters, answers, reads, refused } = outgoing;
        if !proposals.is_empty() {
            tell(broadcast::Input::Proposed(std::mem::take(proposals)));
        }
        for (context, level) in reads.drain(..) {
            tell(broadcast::Input::ReadRequested { context, level });
        }
        if !letters.is_empty() {
            tell(broadcast::Input::Forward { letter: Bytes::from(std::mem::take(letters)) });
        }
        for (to, letter) in answers.drain(..) {
            tell(broadcast::Input::Answer { to, letter });
        }
        for keeper::Refused { link, reason } in refused.drain(..) {
            out.push(Output::Close { link });
            tell(broadcast::Input::LinkDown { link, reason: reason.to_owned() });
        }
    }

    fn perform_engine(&mut self, now: Time, out: &mut Vec<Output>) {
        while !self.engine_out.is_empty() {
            let mut engine_out = std::mem::take(&mut self.engine_out);
            engine_out.drain(..).for_each(|output| self.perform(now, output, out));
            if self.engine_out.is_empty() {
                self.engine_out = engine_out;
            }
        }
    }

    fn perform(&mut self, now: Time, output: broadcast::Output, out: &mut Vec<Output>) {
        match output {
            broadcast::Output::Persist { lsn, record } => self.persist(now, lsn, record, out),
            broadcast::Output::Deliver { at, item, after, .. } => {
                self.gated.push_back(Gated::Delivery { at, item, after });
            }
            broadcast::Output::View(view) => self.view_changed(view),
            broadcast::Output::Outcome { decision, .. } => {
                let (Decision::Rejected(_) | Decision::Unknown) = decision;
                self.keeper.become_silent();
            }
            broadcast::Output::ReadReady { context, at_least } => {
                self.gated.push_back(Gated::Read { context, at_least });
            }
            broadcast::Output::Forwarded { from, node, letter } => {
                self.letters.push(Letter { from, node, bytes: letter });
            }
            broadcast::Output::Answered { letter } => self.gated.push_back(Gated::Letter(letter)),
            broadcast::Output::HeartbeatDue { link } => self.heartbeat(now, link),
            broadcast::Output::HeartbeatHeard { from, letter, .. } => {
                self.keeper.heard(from, &letter, now, &mut self.outgoing);
            }
            broadcast::Output::Trace(event) => self.events.push(event),
            // Nothing that an engine without peers asks for.
            broadcast::Output::Send { .. }
            | broadcast::Output::Listen { .. }
            | broadcast::Output::Unlisten { .. }
            | broadcast::Output::Dial { .. }
            | broadcast::Output::Close { .. }
            | broadcast::Output::SendSnapshot { .. }
            | broadcast::Output::FetchSnapshot { .. }
            | broadcast::Output::ResetTo { .. }
            | broadcast::Output::ReadLog { .. }
            | broadcast::Output::Fatal { .. } => {}
        }
    }

    fn view_changed(&mut self, view: View) {
        match view {
            // What was delivered before comes first: the service goes on from there.
            View::Primary { last } => self.gated.push_back(Gated::BecomePrimary { last }),
            View::Replica { .. } => self.gated.push_back(Gated::BecomeReplica),
            // At once, so that no more is proposed; what was delivered is still applied.
            View::Apart => {
                self.letters.clear();
                self.keeper.become_apart();
            }
            View::Silent => {
                self.letters.clear();
                self.gated.clear();
                self.keeper.become_silent();
            }
        }
    }

    fn heartbeat(&mut self, now: Time, link: LinkId) {
        let Member { shared, keeper, .. } = self;
        let letter = shared.with_clients(|_, clients| keeper.heartbeat(clients, now));
        let input = broadcast::Input::Heartbeat { link, letter };
        self.engine.handle(now, input, &mut self.engine_out);
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
        self.told(now, wall, broadcast::Input::Durable { upto }, out);
    }

    /// Prepares what answers made connections submit.
    fn follow_up(&mut self, now: Time, wall: WallTime, out: &mut Vec<Output>) {
        if !self.follow_up.is_empty() {
            let submissions = std::mem::take(&mut self.follow_up);
            self.submitted(now, wall, submissions, out);
        }
    }

    fn pass_gate(&mut self, now: Time) {
        let Member { shared, keeper, gated, durable, follow_up, outgoing, .. } = self;
        shared.write(|tree, watches, clients| {
            let submissions = follow_up;
            let mut section = Section { tree, watches, clients, submissions, outgoing, now };
            for _ in 0..APPLIED_PER_SECTION_MAX {
                let Some(next) = gated.pop_front_if(|gated| gated.after() <= *durable) else {
                    break;
                };
                match next {
                    Gated::Delivery { at, item, .. } => keeper.apply(&mut section, at, &item),
                    Gated::Letter(letter) => keeper.answered(&mut section, &letter),
                    Gated::Read { context, at_least } => {
                        keeper.read_ready(&mut section, context, at_least);
                    }
                    Gated::BecomePrimary { last } => {
                        keeper.become_primary(section.tree, last, now);
                    }
                    Gated::BecomeReplica => keeper.become_replica(section.tree, now),
                }
            }
        });
    }

    fn answer_ready(&mut self, now: Time) {
        if !self.keeper.has_ready() {
            return;
        }
        let Member { shared, keeper, follow_up, outgoing, .. } = self;
        shared.write(|tree, watches, clients| {
            let submissions = follow_up;
            let mut section = Section { tree, watches, clients, submissions, outgoing, now };
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
                self.settle(now, out);
            }
            Input::SnapshotTaken { zxid } => {
                self.snapshots.end(now);
                self.events.push(Event::SnapshotTaken { zxid });
            }
            Input::SnapshotFailed { zxid, reason } => {
                self.snapshots.end(now);
                self.events.push(Event::SnapshotFailed { zxid, reason });
            }
            Input::Received { link, bytes, wall } => {
                self.told(now, wall, broadcast::Input::Received { link, bytes }, out);
            }
            Input::LinkDown { link, .. } => self.keeper.link_lost(link),
            // Nothing that an engine without peers asked for.
            Input::LinkUp { .. }
            | Input::ListenFailed { .. }
            | Input::Reloaded { .. }
            | Input::ReloadFailed { .. }
            | Input::LogRead { .. } => {}
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
