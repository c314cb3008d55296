//! The member: keeper, engine and gates as one machine.
//!
//! In: what connections submit, what the disk answers, time. Out: records for the journal,
//! snapshots to take, events. Answers and watch events go to the connections from inside the
//! apply section ([`Shared::write`]), before anybody can read what they tell of.
//! Invariant: nothing is applied before the record that it waits for is durable.

mod perform;
mod transfer;

use crate::checkpoint::{Checkpoint, CheckpointConfig, Snapshots};
use crate::contract::{Input, Output};
use crate::engine::{Durable, Engine, EngineConfig};
use crate::over_raft;
use crate::recovery::RecoverError;
use crate::sends::{Sends, Sent};
use crate::shared::Shared;
use base::{Lsn, Machine, NodeId, Rng, Time, WallTime, Zxid};
use broadcast::{Context, Item};
use bytes::Bytes;
use keeper::{Keeper, Letter, Outgoing, Section, Submissions};
use std::collections::VecDeque;
use std::sync::Arc;
use trace::Event;
use transfer::Transfer;
use tree::{CONFIG_PATH, Tree};
use zab::Status;

/// What a member is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// The service.
    pub keeper: Arc<keeper::Config>,
    /// When snapshots are due.
    pub checkpoint: CheckpointConfig,
    /// How the total order comes about.
    pub engine: EngineConfig,
    /// How trees are made that come from elsewhere.
    pub tree: tree::Config,
    /// Longest string or buffer of a state that comes from elsewhere, in bytes.
    pub field_size_max: usize,
}

/// What a member finds on its disk, beside the tree.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Whether entries were replayed: then a snapshot is taken soon, so that the next start has
    /// less to do.
    pub replayed: bool,
    /// The largest epoch that it promised; 0 on a server alone.
    pub accepted_epoch: i64,
    /// The epoch whose initial history it has; 0 on a server alone.
    pub current_epoch: i64,
    /// The last entries of its log, without a gap.
    pub recent: Vec<(Zxid, Item)>,
    /// Whether its database is lost: then it must not vote before it has another's state.
    pub is_lost: bool,
    /// What Raft keeps; nothing under another engine.
    pub raft: raft::Durable,
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
    /// The configuration in force, which the tree is to show: what was decided of it before the
    /// order began, or came with another member's state, no entry tells.
    Configuration {
        version: Zxid,
        text: String,
    },
}

impl Gated {
    fn after(&self) -> Lsn {
        match self {
            Gated::Delivery { after, .. } => *after,
            Gated::Letter(_)
            | Gated::Read { .. }
            | Gated::BecomePrimary { .. }
            | Gated::Configuration { .. }
            | Gated::BecomeReplica => Lsn::ZERO,
        }
    }
}

/// One member.
#[derive(Debug)]
pub struct Member<S> {
    shared: S,
    keeper: Keeper,
    engine: Engine,
    checkpoint: Checkpoint,
    gated: VecDeque<Gated>,
    sends: Sends,
    durable: Lsn,
    snapshots: Snapshots,
    /// A snapshot is to be taken as soon as it is certain that all of the tree is decided.
    snapshot_wanted: bool,
    /// Whether that is certain.
    settled: bool,
    transfer: Transfer,
    /// The last record that the engine persisted.
    persisted: Lsn,
    /// The wall time that was heard last.
    wall: WallTime,
    /// No session expires before this.
    expiry_not_before: Time,
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
    /// Starts on a recovered tree, which `shared` holds.
    ///
    /// # Errors
    /// If the engine cannot go on with what it kept.
    #[allow(clippy::too_many_arguments)]
    pub fn recover(
        shared: S,
        config: &Config,
        start: Start,
        now: Time,
        wall: WallTime,
        mut rng: Rng,
        out: &mut Vec<Output>,
    ) -> Result<Member<S>, RecoverError> {
        let Start { replayed, accepted_epoch, current_epoch, recent, is_lost, raft } = start;
        let keeper = Keeper::new(Arc::clone(&config.keeper), wall);
        let last = shared.read(Tree::last_zxid);
        let mut engine_out = Vec::new();
        let configuration = shared.read(over_raft::shown).map_or(0, |shown| shown.version());
        let zab =
            zab::Durable { accepted_epoch, current_epoch, last, recent, is_lost, configuration };
        let (durable, engine) = (Durable { zab, raft }, config.engine.clone());
        let engine = shared
            .read(|tree| Engine::recover(engine, durable, tree, &mut rng, now, &mut engine_out))?;
        let mut member = Member {
            shared,
            keeper,
            engine,
            checkpoint: Checkpoint::new(config.checkpoint, rng),
            gated: VecDeque::new(),
            sends: Sends::default(),
            durable: Lsn::ZERO,
            snapshots: Snapshots::default(),
            snapshot_wanted: replayed,
            settled: false,
            transfer: Transfer::new(config.tree, config.field_size_max),
            persisted: Lsn::ZERO,
            wall,
            expiry_not_before: Time::ZERO,
            follow_up: Submissions::default(),
            spare: Submissions::default(),
            outgoing: Outgoing::default(),
            letters: Vec::new(),
            engine_out,
            events: Vec::new(),
        };
        member.settle(now, out);
        member.take_events(out);
        Ok(member)
    }

    /// The service, for those who show its state.
    #[must_use]
    pub fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// Its place among the members of an ensemble; `None` on a server alone.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        self.engine.status()
    }

    /// The end of what its ensemble has decided, as far as it knows; `None` on a server alone.
    #[must_use]
    pub fn committed(&self) -> Option<Zxid> {
        self.engine.committed()
    }

    /// Who leads best if this member, which leads now, does no more; `None` if it does not lead, or
    /// the engine cannot hand over.
    #[must_use]
    pub fn successor(&self) -> Option<NodeId> {
        self.engine.successor()
    }

    /// No session is to expire before this: what clients sent meanwhile is yet to be read.
    pub fn hold_expiry(&mut self, until: Time) {
        self.expiry_not_before = until;
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
        self.wall = wall;
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
        let Member { shared, keeper, engine, outgoing, .. } = self;
        let members = || engine.members();
        shared.read(|tree| keeper.prepare(tree, now, wall, &submissions, &members, outgoing));
        submissions.clear();
        self.spare = submissions;
        self.settle(now, out);
    }

    fn timer_expired(&mut self, now: Time, wall: WallTime, out: &mut Vec<Output>) {
        if now >= self.expiry_not_before {
            let Member { shared, keeper, outgoing, .. } = self;
            shared.with_clients(|tree, clients| keeper.expire(tree, now, wall, clients, outgoing));
        }
        self.told(now, wall, broadcast::Input::TimerExpired, out);
    }

    /// The engine is told something that may bring letters and deliveries.
    fn told(&mut self, now: Time, wall: WallTime, input: broadcast::Input, out: &mut Vec<Output>) {
        self.wall = wall;
        self.engine.handle(now, input, &mut self.engine_out);
        self.settle(now, out);
        // Letters may come before what was delivered is durable, and this is primary with it.
        while self.keeper.is_primary() {
            let mut letters = self.keeper.freed();
            letters.append(&mut self.letters);
            if letters.is_empty() {
                break;
            }
            let Member { shared, keeper, engine, outgoing, .. } = self;
            let members = || engine.members();
            shared.read(|tree| {
                keeper.forwarded(tree, now, wall, &letters, &members, outgoing);
            });
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
            self.pass_gates(now);
            if self.engine.is_looking() {
                self.keeper.looks_for_others(now);
            } else {
                self.keeper.has_found_others();
            }
            self.answer_ready(now);
            self.keep_configuration(out);
            self.snapshot_if_wanted(now, out);
            if self.outgoing.is_empty() && self.engine_out.is_empty() {
                return;
            }
        }
    }

    /// What waits for the journal goes on.
    fn durable(&mut self, now: Time, upto: Lsn, wall: WallTime, out: &mut Vec<Output>) {
        self.durable = self.durable.max(upto);
        let leave = |link, sent| {
            out.push(match sent {
                Sent::Frame(frame) => Output::Send { link, frame },
                Sent::State => Output::SendSnapshot { link },
            });
        };
        self.sends.release(self.durable, leave);
        self.told(now, wall, broadcast::Input::Durable { upto }, out);
    }

    /// Prepares what answers made connections submit.
    fn follow_up(&mut self, now: Time, wall: WallTime, out: &mut Vec<Output>) {
        if !self.follow_up.is_empty() {
            let submissions = std::mem::take(&mut self.follow_up);
            self.submitted(now, wall, submissions, out);
        }
    }

    /// Lets through what its gate lets through, a bounded number at a time so that readers get
    /// their turn.
    fn pass_gates(&mut self, now: Time) {
        while self.gated.front().is_some_and(|gated| gated.after() <= self.durable) {
            self.pass_gate(now);
        }
    }

    fn pass_gate(&mut self, now: Time) {
        let Member { shared, keeper, gated, durable, follow_up, outgoing, settled, .. } = self;
        let wall = self.wall;
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
                        section.tree.begin_epoch(last);
                        keeper.become_primary(section.tree, last, now);
                        *settled = true;
                    }
                    Gated::Configuration { version, text } => {
                        show_configuration(section.tree, version, text.as_bytes(), wall);
                    }
                    Gated::BecomeReplica => {
                        keeper.become_replica(section.tree, now);
                        *settled = true;
                    }
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

    fn tell_engine(&mut self, now: Time, input: broadcast::Input, out: &mut Vec<Output>) {
        self.engine.handle(now, input, &mut self.engine_out);
        self.settle(now, out);
    }

    fn take_events(&mut self, out: &mut Vec<Output>) {
        self.keeper.take_events(&mut self.events);
        out.extend(self.events.drain(..).map(Output::Event));
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
            Input::SnapshotTaken { zxid } => self.snapshot_taken(now, zxid, out),
            Input::SnapshotFailed { zxid, reason } => {
                self.snapshot_failed(now, zxid, reason, out);
            }
            Input::Received { link, bytes, wall } => self.received(now, wall, link, bytes, out),
            Input::LinkUp { link, channel } => {
                self.tell_engine(now, broadcast::Input::LinkUp { link, channel }, out);
            }
            Input::LinkDown { link, reason } => self.link_down(now, link, reason, out),
            Input::ListenFailed { channel, reason } => {
                self.tell_engine(now, broadcast::Input::ListenFailed { channel, reason }, out);
            }
            Input::Reloaded { tree, recent } => self.reloaded(now, *tree, recent, out),
            Input::ReloadFailed { reason } => {
                self.tell_engine(now, broadcast::Input::ResetFailed { reason }, out);
            }
            Input::Leaving => self.leave(now, out),
            Input::LogRead { link, entries } => {
                self.tell_engine(now, broadcast::Input::LogRead { link, entries }, out);
            }
        }
        self.take_events(out);
    }

    fn deadline(&self) -> Option<Time> {
        let keeper = self.keeper.deadline().map(|at| at.max(self.expiry_not_before));
        match (keeper, self.engine.deadline()) {
            (Some(keeper), Some(engine)) => Some(keeper.min(engine)),
            (keeper, engine) => keeper.or(engine),
        }
    }
}

/// Puts the configuration into the tree, on this member alone, unless an entry has brought it.
fn show_configuration(tree: &mut Tree, version: Zxid, text: &[u8], wall: WallTime) {
    let shown = tree.find(CONFIG_PATH).and_then(|node| tree.data(node));
    if shown != Some(text) {
        tree.init_config(text, version, wall);
    }
}

/// Transactions of one apply section, which readers wait for.
const APPLIED_PER_SECTION_MAX: usize = 256;
