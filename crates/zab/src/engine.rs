//! The engine: one role at a time, over what all roles share.

use crate::config::{Config, Durable};
use crate::core::{Core, millis, tell};
use crate::election::{Decided, Heard, Looking, Mesh, Vote, notification};
use crate::leader::Leading;
use crate::learner::{Learning, is_observer};
use crate::{ELECTION, OBSERVERS, QUORUM};
use base::{Lsn, Machine, NodeId, Time};
use broadcast::{
    Channel, Context, Decision, Engine, Input, LinkId, Membership, Output, Proposal, ReadLevel,
    Reads, Refusal, Truths, View,
};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use trace::Ensemble as Event;
use wire::quorum::ServerState;

/// One member's engine.
#[derive(Clone, Debug, Hash)]
pub struct Zab {
    pub(crate) core: Core,
    mesh: Mesh,
    pub(crate) role: Role,
    /// Voters that looked while this member did not, with what they said last: they do not say it
    /// again when this member looks too.
    looking: BTreeMap<NodeId, Heard>,
}

/// What a member does.
#[derive(Clone, Debug, Hash)]
pub(crate) enum Role {
    Looking(Looking),
    Learning(Box<Learning>),
    Leading(Box<Leading>),
    /// Its disk has failed.
    Silent,
}

/// What ends a role.
type Ended = Result<(), String>;

impl Zab {
    /// Goes on with what is durable: looks for a leader.
    #[must_use]
    pub fn recover(config: Config, durable: Durable, now: Time, out: &mut Vec<Output>) -> Zab {
        let mut core = Core::recover(config, durable);
        let mut mesh = Mesh::default();
        mesh.listen(&core, out);
        out.push(Output::View(View::Apart));
        let looking = Looking::begin(&mut core, &mut mesh, now, out);
        let looking = Role::Looking(looking);
        let mut zab = Zab { core, mesh, role: looking, looking: BTreeMap::new() };
        zab.look_again(now, out);
        zab
    }

    /// Leaves the role, if it ended, and looks for a leader.
    fn ended(&mut self, ended: Ended, now: Time, out: &mut Vec<Output>) {
        let Err(reason) = ended else { return };
        match &self.role {
            Role::Learning(learning) => {
                tell(Event::LeaderLost { leader: learning.master, reason }, out);
                learning.end(out);
            }
            Role::Leading(leading) => {
                tell(Event::SteppedDown { epoch: leading.epoch(), reason }, out);
                leading.end(out);
                self.core.history.end_epoch();
            }
            Role::Looking(_) | Role::Silent => return,
        }
        self.core.history.forget_contexts();
        out.push(Output::View(View::Apart));
        if let Some(leader) = self.core.designated.take() {
            let (epoch, zxid) = self.core.standing();
            self.core.round += 1;
            let vote = Vote { leader, zxid, epoch };
            return self.decided(Some(Decided { vote, supporters: BTreeSet::new() }), now, out);
        }
        self.become_looking(now, out);
    }

    fn become_looking(&mut self, now: Time, out: &mut Vec<Output>) {
        let looking = Looking::begin(&mut self.core, &mut self.mesh, now, out);
        self.role = Role::Looking(looking);
        self.look_again(now, out);
        for (from, heard) in std::mem::take(&mut self.looking) {
            self.notified(from, heard, now, out);
        }
    }

    /// Whether the election is over by what is known already.
    fn look_again(&mut self, now: Time, out: &mut Vec<Output>) {
        let Role::Looking(looking) = &mut self.role else { return };
        if looking.deadline() <= now {
            let decided = looking.expired(&mut self.core, &mut self.mesh, now, out);
            self.decided(decided, now, out);
        }
    }

    /// Takes the role that an election came to.
    fn decided(&mut self, decided: Option<Decided>, now: Time, out: &mut Vec<Output>) {
        let Some(Decided { vote, supporters: electors }) = decided else { return };
        let core = &mut self.core;
        (core.elected, core.elected_round) = (vote, core.round);
        let took_ms = match &self.role {
            Role::Looking(looking) => millis(now.since(looking.began())),
            Role::Learning(_) | Role::Leading(_) | Role::Silent => 0, // without an election
        };
        let (round, Vote { leader, zxid, epoch }) = (core.round, vote);
        let is_lost = |voter: &NodeId| self.mesh.is_out_of_reach(*voter);
        tell(
            Event::ElectionDecided {
                round,
                leader,
                zxid,
                epoch,
                supporters: electors.iter().copied().collect(),
                unreachable: core.ensemble.voters().into_iter().filter(is_lost).collect(),
                took_ms,
            },
            out,
        );
        self.mesh.forget();
        if leader == core.me {
            self.role = Role::Leading(Box::new(Leading::begin(core, electors, now, out)));
            return;
        }
        match Learning::begin(core, leader, now, out) {
            Ok(learning) => self.role = Role::Learning(Box::new(learning)),
            Err(reason) => {
                tell(Event::LeaderLost { leader, reason }, out);
                self.become_looking(now, out);
            }
        }
    }

    fn expired(&mut self, now: Time, out: &mut Vec<Output>) {
        self.mesh.expired(&self.core, now, out);
        let ended = match &mut self.role {
            Role::Looking(looking) => {
                if looking.deadline() <= now {
                    let decided = looking.expired(&mut self.core, &mut self.mesh, now, out);
                    self.decided(decided, now, out);
                }
                Ok(())
            }
            Role::Learning(learning) => learning.expired(&mut self.core, now, out),
            Role::Leading(leading) => leading.expired(&mut self.core, now, out),
            Role::Silent => Ok(()),
        };
        self.ended(ended, now, out);
    }

    fn link_up(&mut self, link: LinkId, channel: Channel, now: Time, out: &mut Vec<Output>) {
        if channel == ELECTION {
            self.mesh.link_up(&mut self.core, link, now, out);
            return self.reach_changed(now, out);
        }
        match &mut self.role {
            Role::Leading(leading) if link.is_accepted() && channel == QUORUM => {
                leading.link_up(link, now, out);
            }
            Role::Learning(learning) if learning.has(link) => {
                learning.link_up(&self.core, now, out);
            }
            Role::Learning(learning) if link.is_accepted() && channel == OBSERVERS => {
                learning.observer_came(link, now, out);
            }
            Role::Leading(_) | Role::Learning(_) | Role::Looking(_) | Role::Silent => {
                out.push(Output::Close { link }); // of a role that is over
            }
        }
    }

    fn link_down(&mut self, link: LinkId, reason: String, now: Time, out: &mut Vec<Output>) {
        if self.mesh.has(link) {
            if let Some(gone) = self.mesh.link_down(link) {
                self.looking.remove(&gone);
            }
            return self.reach_changed(now, out);
        }
        let ended = match &mut self.role {
            Role::Learning(learning) if learning.has(link) => {
                learning.link_down(&mut self.core, reason, now, out)
            }
            Role::Learning(learning) => {
                learning.with_observers(|observers| observers.link_down(link, reason, out));
                Ok(())
            }
            Role::Leading(leading) => leading.link_down(&self.core, link, reason, out),
            Role::Looking(_) | Role::Silent => Ok(()),
        };
        self.ended(ended, now, out);
    }

    /// Who is out of reach is not waited for.
    fn reach_changed(&mut self, now: Time, out: &mut Vec<Output>) {
        if let Role::Looking(looking) = &mut self.role {
            let decided = looking.expired(&mut self.core, &mut self.mesh, now, out);
            self.decided(decided, now, out);
        }
    }

    fn received(&mut self, link: LinkId, bytes: Bytes, now: Time, out: &mut Vec<Output>) {
        if self.mesh.has(link) {
            for message in self.mesh.received(&mut self.core, link, bytes, out) {
                if let Some(text) = &message.configuration {
                    self.adopt(text, now, out);
                }
                self.notified(message.from, message.heard, now, out);
            }
            return;
        }
        let ended = match &mut self.role {
            Role::Learning(learning) if learning.has(link) => {
                learning.received(&mut self.core, bytes, now, out)
            }
            Role::Learning(learning) => {
                let core = &self.core;
                learning.with_observers(|observers| {
                    observers.received(core, link, bytes, now, out);
                });
                Ok(())
            }
            Role::Leading(leading) => leading.received(&mut self.core, link, bytes, now, out),
            Role::Looking(_) | Role::Silent => Ok(()),
        };
        self.ended(ended, now, out);
    }

    /// A member tells its vote.
    fn notified(&mut self, from: NodeId, heard: Heard, now: Time, out: &mut Vec<Output>) {
        let (state, vote, round) = self.vote();
        let is_voter = self.core.ensemble.is_voter(from);
        if let (Role::Looking(looking), true) = (&mut self.role, is_voter) {
            let (core, mesh) = (&mut self.core, &mut self.mesh);
            let decided = looking.heard(core, mesh, from, heard, now, out);
            return self.decided(decided, now, out);
        }
        self.looking.remove(&from);
        if is_voter && heard.is_looking() {
            self.looking.insert(from, heard);
        }
        // Who asks is answered; a voter asks voters only, and its answers are not answered.
        let asks = heard.is_looking() && (!is_voter || self.core.ensemble.is_voter(self.core.me));
        if asks {
            let message = notification(&self.core, &vote, round, state);
            // Two that look and take each other for no voters would answer each other's answers.
            let looks = matches!(self.role, Role::Looking(_));
            let pause = looks.then_some(self.core.limits.notify_min);
            self.mesh.answer(&mut self.core, from, message, (now, pause), out);
        }
        if let (Role::Leading(leading), true) = (&self.role, self.looking.contains_key(&from)) {
            let ended = leading.looks_again(&self.core, from, now, out);
            self.ended(ended, now, out);
        }
    }

    /// What this member says when it is asked.
    fn vote(&self) -> (ServerState, crate::election::Vote, i64) {
        let core = &self.core;
        let state = match &self.role {
            Role::Looking(looking) => {
                return (ServerState::Looking, looking.proposal(), core.round);
            }
            Role::Learning(_) if is_observer(core) => ServerState::Observing,
            Role::Learning(_) => ServerState::Following,
            Role::Leading(_) => ServerState::Leading,
            Role::Silent => ServerState::Looking,
        };
        (state, core.elected, core.elected_round)
    }

    fn listen_failed(
        &mut self,
        channel: Channel,
        reason: String,
        now: Time,
        out: &mut Vec<Output>,
    ) {
        match &mut self.role {
            Role::Leading(leading) if channel == QUORUM => {
                leading.listen_failed(reason, now, out);
            }
            Role::Learning(learning) if channel == OBSERVERS => {
                learning.with_observers(|observers| observers.listen_failed(reason, now, out));
            }
            Role::Leading(_) | Role::Learning(_) | Role::Looking(_) | Role::Silent => {
                if channel == ELECTION {
                    self.mesh.listen_failed(reason, now, out);
                }
            }
        }
    }

    fn propose(&mut self, proposals: Vec<Proposal>, now: Time, out: &mut Vec<Output>) {
        match &mut self.role {
            Role::Leading(leading) => {
                let ended = leading.propose(&mut self.core, proposals, out);
                self.ended(ended, now, out);
            }
            Role::Learning(_) | Role::Looking(_) | Role::Silent => {
                let decision = Decision::Rejected(Refusal::NotPrimary);
                let refuse =
                    |proposal: Proposal| Output::Outcome { context: proposal.context, decision };
                out.extend(proposals.into_iter().map(refuse));
            }
        }
    }

    fn read(&mut self, context: Context, level: ReadLevel, out: &mut Vec<Output>) {
        match &mut self.role {
            Role::Leading(leading) => leading.read(&self.core, context, level, out),
            Role::Learning(_) | Role::Looking(_) | Role::Silent => {
                let decision = Decision::Rejected(Refusal::NotPrimary);
                out.push(Output::Outcome { context, decision });
            }
        }
    }

    fn durable(&mut self, upto: Lsn, now: Time, out: &mut Vec<Output>) {
        let entries = self.core.history.durable(upto);
        match &mut self.role {
            Role::Leading(leading) => {
                let ended = leading.durable(&mut self.core, now, out);
                self.ended(ended, now, out);
            }
            Role::Learning(learning) => learning.durable(&self.core, &entries, out),
            Role::Looking(_) | Role::Silent => {}
        }
    }

    /// Silent for ever: what is written from now on could not be trusted.
    fn disk_failed(&mut self, out: &mut Vec<Output>) {
        match &self.role {
            Role::Leading(leading) => leading.end(out),
            Role::Learning(learning) => learning.end(out),
            Role::Looking(_) => {}
            Role::Silent => return,
        }
        self.role = Role::Silent;
        out.push(Output::Unlisten { channel: ELECTION });
        self.mesh.end(out);
        out.push(Output::View(View::Silent));
    }

    /// What a state transfer came to, for the learner that waits for it.
    fn transferred(
        &mut self,
        now: Time,
        out: &mut Vec<Output>,
        act: impl FnOnce(&mut Learning, &mut Core, &mut Vec<Output>) -> Ended,
    ) {
        if let Role::Learning(learning) = &mut self.role {
            let ended = act(learning, &mut self.core, out);
            self.ended(ended, now, out);
        }
    }

    /// Takes a later configuration that another member has as committed. Deviation: not one that
    /// this member's state shows to be over. A removed member that is started anew with version 0
    /// would take it from one that missed the change, and elect with it what is left of the past.
    fn adopt(&mut self, text: &str, now: Time, out: &mut Vec<Output>) {
        if !self.core.reconfig || !matches!(self.role, Role::Looking(_)) {
            return;
        }
        let Some(membership) = self.core.parse_configuration(text) else { return };
        if membership.version() < self.core.shown_configuration {
            return;
        }
        let changed = !self.core.ensemble.committed.has_same_members(&membership);
        if !self.core.activate(membership, out) {
            return;
        }
        if changed {
            self.mesh.listen(&self.core, out);
            self.become_looking(now, out);
        }
    }
}

impl Machine for Zab {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        if matches!(self.role, Role::Silent) {
            if let Input::LinkUp { link, .. } = input {
                out.push(Output::Close { link });
            }
            return;
        }
        match input {
            Input::TimerExpired => self.expired(now, out),
            Input::Proposed(proposals) => self.propose(proposals, now, out),
            Input::ReadRequested { context, level } => self.read(context, level, out),
            Input::Forward { letter } => {
                if let Role::Learning(learning) = &mut self.role {
                    learning.forward(letter, out);
                }
            }
            Input::Answer { to, letter } => {
                if let Role::Leading(leading) = &self.role {
                    leading.answer(to, letter, out);
                }
            }
            Input::Heartbeat { link, letter } => {
                if let Role::Learning(learning) = &mut self.role
                    && learning.has(link)
                {
                    learning.heartbeat(&letter, out);
                }
            }
            Input::LinkUp { link, channel } => self.link_up(link, channel, now, out),
            Input::LinkDown { link, reason } => self.link_down(link, reason, now, out),
            Input::Received { link, bytes } => self.received(link, bytes, now, out),
            Input::ListenFailed { channel, reason } => {
                self.listen_failed(channel, reason, now, out);
            }
            Input::Durable { upto } => self.durable(upto, now, out),
            Input::DiskFailed { .. } => self.disk_failed(out),
            Input::SnapshotInstalled { link, at, rest } => {
                self.transferred(now, out, |learning, core, out| {
                    learning.snapshot_installed(core, (link, at), rest, now, out)
                });
            }
            Input::SnapshotRefused { link, reason } => {
                self.transferred(now, out, |learning, _, out| {
                    learning.snapshot_refused(link, reason, out)
                });
            }
            Input::ResetDone { recent } => self.transferred(now, out, |learning, core, out| {
                learning.reset_done(core, recent, now, out)
            }),
            Input::ResetFailed { reason } => {
                self.transferred(now, out, |learning, core, _| learning.reset_failed(core, &reason))
            }
            Input::SnapshotReceived { link } => {
                if let Role::Learning(learning) = &mut self.role {
                    learning.snapshot_received(link);
                }
            }
            // There is no way to hand over but by a configuration; the log begins where it does.
            Input::TransferRequested { .. } | Input::Checkpointed { .. } => {}
            Input::LogRead { link, entries } => match &mut self.role {
                Role::Leading(leading) => leading.log_read(&self.core, link, &entries, out),
                Role::Learning(learning) => {
                    let core = &self.core;
                    learning.with_observers(|observers| {
                        observers.log_read(core, link, &entries, out);
                    });
                }
                Role::Looking(_) | Role::Silent => {}
            },
        }
        if !matches!(self.role, Role::Silent) {
            self.mesh.follow(&self.core, out);
        }
    }

    fn deadline(&self) -> Option<Time> {
        let role = match &self.role {
            Role::Looking(looking) => looking.deadline(),
            Role::Learning(learning) => learning.deadline(&self.core),
            Role::Leading(leading) => leading.deadline(),
            Role::Silent => return None,
        };
        Some(self.mesh.deadline().map_or(role, |at| at.min(role)))
    }
}

impl Engine for Zab {
    const TRUTHS: Truths = Truths {
        name: "zab",
        primary_order: true,
        fifo_links: true,
        membership: Membership::ByEntry,
        reads: Reads::QuorumRound,
    };
}
