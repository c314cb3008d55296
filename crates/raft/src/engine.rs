//! The engine: one role at a time, over what all roles share.

use crate::candidate::{Campaign, Candidate, Claim};
use crate::config::{Config, Durable};
use crate::core::{Core, Timer, tell};
use crate::follower::{Append, Bad, Follower};
use crate::frames::Message;
use crate::leader::{Asker, Leader};
use crate::links::{Next, PEERS};
use crate::snapshot::Snapshot;
use base::{Machine, NodeId, Rng, Time};
use broadcast::{
    Decision, Engine, Input, LinkId, Membership, Output, Proposal, Reads, Refusal, Truths, View,
};
use bytes::Bytes;
use std::fmt;
use std::time::Duration;
use trace::Ensemble as Event;

/// One member's engine.
#[derive(Clone, Debug, Hash)]
pub struct Raft {
    pub(crate) core: Core,
    pub(crate) role: Role,
}

/// What a member does.
#[derive(Clone, Debug, Hash)]
pub(crate) enum Role {
    Follower(Follower),
    Candidate(Candidate),
    Leader(Box<Leader>),
    /// Its disk has failed.
    Silent,
}

/// What is durable cannot be gone on with: nothing is known to be lost, and nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Corrupt(pub String);

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the log cannot be gone on with: {}", self.0)
    }
}

impl std::error::Error for Corrupt {}

impl Raft {
    /// Goes on with what is durable, as a follower of nobody yet.
    ///
    /// # Errors
    /// If the log has a gap, or something in it cannot be read.
    pub fn recover(
        config: Config,
        durable: Durable,
        rng: Rng,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Result<Raft, Corrupt> {
        let mut core = Core::recover(config, durable, rng, now, out).map_err(Corrupt)?;
        out.push(Output::View(View::Apart));
        out.push(Output::Listen { channel: PEERS, addresses: core.config.listen.clone() });
        // Whoever asks first, before it disturbs anybody, need not wait for a leader to be lost.
        if core.config.pre_vote && core.config.lease.is_none() {
            core.begin_election(now);
        } else {
            core.reset_election(now);
        }
        core.follow_members(now, out);
        Ok(Raft { core, role: Role::Follower(Follower::default()) })
    }

    /// Draws from another source of chance from now on: a host that tries every schedule takes the
    /// chance away.
    pub fn reseed(&mut self, rng: Rng) {
        self.core.rng = rng;
    }

    /// Follows nobody yet, in the same term.
    pub(crate) fn become_follower(&mut self, now: Time, out: &mut Vec<Output>) {
        let core = &mut self.core;
        if matches!(self.role, Role::Leader(_)) {
            core.log.forget_contexts();
            core.timers.clear(Timer::Heartbeat);
            core.timers.clear(Timer::Transfer);
        }
        core.say(View::Apart, out);
        if core.fetching.is_none() {
            core.reset_election(now);
        }
        self.role = Role::Follower(Follower::default());
    }

    /// Follows nobody yet, in a later term.
    pub(crate) fn become_follower_in(&mut self, term: u64, now: Time, out: &mut Vec<Output>) {
        let reason = format!("term {term} has begun");
        match &self.role {
            Role::Leader(_) => {
                tell(Event::SteppedDown { epoch: self.core.term.cast_signed(), reason }, out);
            }
            Role::Follower(Follower { leader: Some((leader, _)), .. }) => {
                tell(Event::LeaderLost { leader: *leader, reason }, out);
            }
            Role::Follower(_) | Role::Candidate(_) | Role::Silent => {}
        }
        self.core.enter_term(term, out);
        self.become_follower(now, out);
    }

    /// Bytes came.
    pub(crate) fn received(
        &mut self,
        link: LinkId,
        bytes: Bytes,
        now: Time,
        out: &mut Vec<Output>,
    ) {
        self.fetch_goes_on(link, now);
        self.core.links.push(link, bytes);
        loop {
            let result = match self.core.links.next(link, out) {
                Next::Nothing => return,
                Next::Message(from, message) => self.message(from, link, message, now, out),
                Next::Ready(node) => {
                    self.link_ready(node, link, out);
                    Ok(())
                }
                Next::Greeted => {
                    self.look_at_links(now, out);
                    Ok(())
                }
                Next::Bad(reason) => Err(reason),
            };
            if let Err(reason) = result {
                return self.refuse(link, reason, now, out);
            }
        }
    }

    /// Closes a connection for what came over it.
    pub(crate) fn refuse(
        &mut self,
        link: LinkId,
        reason: String,
        now: Time,
        out: &mut Vec<Output>,
    ) {
        self.core.links.flush(link, out);
        out.push(Output::Close { link });
        let peer = self.core.links.node(link);
        tell(Event::LinkRefused { link: link.0, peer, reason: reason.clone() }, out);
        self.link_down(link, reason, now, out);
    }

    fn link_ready(&mut self, node: NodeId, link: LinkId, out: &mut Vec<Output>) {
        let last = self.core.log.last_index();
        if let Role::Leader(leader) = &mut self.role
            && let Some(progress) = leader.peers.get_mut(&node)
        {
            progress.reconnected(last);
        }
        self.ask_late(node, link, out);
    }

    fn link_down(&mut self, link: LinkId, reason: String, now: Time, out: &mut Vec<Output>) {
        let core = &mut self.core;
        let gone = core.links.down(link, now, &mut core.rng);
        self.fetch_lost(link, now);
        if let (Some((node, true)), Role::Leader(leader)) = (gone, &mut self.role)
            && let Some(progress) = leader.peers.get_mut(&node)
        {
            progress.disconnected();
            tell(Event::LearnerLost { learner: node, reason: reason.clone() }, out);
        }
        self.look_at_leader(reason, now, out);
    }

    /// A new connection of a member ends its earlier ones.
    fn look_at_links(&mut self, now: Time, out: &mut Vec<Output>) {
        if let Some(link) = self.core.fetching.as_ref().map(|fetching| fetching.link())
            && !self.core.links.is_ready(link)
        {
            self.fetch_lost(link, now);
        }
        self.look_at_leader("it connected again".to_owned(), now, out);
    }

    fn look_at_leader(&mut self, reason: String, now: Time, out: &mut Vec<Output>) {
        if let Role::Follower(Follower { leader: Some((_, link)), .. }) = &self.role
            && !self.core.links.is_ready(*link)
        {
            self.leader_lost(reason, now, out);
        }
    }

    /// One message; an error is the end of its connection.
    fn message(
        &mut self,
        from: NodeId,
        link: LinkId,
        message: Message,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Result<(), Bad> {
        if !self.is_of_this_term(&message, link, now, out)? {
            return Ok(());
        }
        if self.speaks_for_leader(&message) {
            self.hear_leader(from, link, now, out)?;
        }
        match message {
            Message::Vote { term, last_index, last_term, pre, transfer } => {
                let claim = Claim { term, last_index, last_term, pre, transfer };
                self.vote_asked(from, link, &claim, now, out);
            }
            Message::VoteResponse { term, pre, granted } => {
                self.vote_answered(from, (term, pre), granted, now, out);
            }
            Message::Append { prev_index, prev_term, commit, entries, .. } => {
                self.append(link, Append { prev_index, prev_term, commit, entries }, out)?;
            }
            Message::AppendResponse { index, hint, .. } => {
                self.append_answered(from, index, hint, now, out)?;
            }
            Message::Heartbeat { commit, round, beat, .. } => {
                self.heartbeat(link, (commit, round), beat, out);
            }
            Message::HeartbeatResponse { round, .. } => self.heartbeat_answered(from, round, now),
            Message::Commit { commit, .. } => self.commit_upto(commit, out),
            Message::Snapshot { history, index, index_term: term, at, configuration, .. } => {
                let snapshot = Snapshot { history, index, term, at, configuration };
                self.fetch(link, snapshot, now, out)?;
            }
            Message::TimeoutNow { .. } => {
                if self.may_campaign() {
                    self.campaign(Campaign::Transfer, now, out);
                }
            }
            Message::Read { number, level } => {
                self.read(Asker::There(link, number), level, now, out);
            }
            Message::ReadResponse { number, at } => self.read_answered(link, number, at, out),
            Message::Forward { letter, .. } => self.letter_came(from, link, letter, out),
            Message::Touch { letter, .. } => self.touched(from, link, letter, out),
            Message::Answer { behind, letter, .. } => self.answered(behind, letter, out),
            Message::Hello { .. } | Message::Welcome { .. } => {
                unreachable!("the connections greet by themselves")
            }
        }
        Ok(())
    }

    fn speaks_for_leader(&self, message: &Message) -> bool {
        match message {
            Message::Append { .. }
            | Message::Heartbeat { .. }
            | Message::Commit { .. }
            | Message::Snapshot { .. }
            | Message::TimeoutNow { .. } => true,
            Message::Hello { .. }
            | Message::Welcome { .. }
            | Message::Vote { .. }
            | Message::VoteResponse { .. }
            | Message::AppendResponse { .. }
            | Message::HeartbeatResponse { .. }
            | Message::Read { .. }
            | Message::ReadResponse { .. }
            | Message::Forward { .. }
            | Message::Answer { .. }
            | Message::Touch { .. } => false,
        }
    }

    /// The rules of terms, ahead of everything else: a later term ends what is; an earlier one is
    /// not listened to, and who leads it is told.
    fn is_of_this_term(
        &mut self,
        message: &Message,
        link: LinkId,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Result<bool, Bad> {
        let Some(term) = message.term() else { return Ok(true) };
        let is_vote = matches!(message, Message::Vote { .. } | Message::VoteResponse { .. });
        if is_vote {
            return Ok(true); // they have rules of their own
        }
        if term > self.core.term {
            self.become_follower_in(term, now, out);
        }
        if term == self.core.term {
            return Ok(true);
        }
        if let Message::Snapshot { .. } = message {
            return Err(format!("term {term} is over: {} has begun", self.core.term));
        }
        if self.speaks_for_leader(message) {
            let (term, index) = (self.core.term, 0);
            let message = Message::AppendResponse { term, index, hint: Some((0, 0)) };
            let after = self.core.hard;
            self.core.links.send(link, &message, after, out);
        }
        Ok(false)
    }

    fn expired(&mut self, now: Time, out: &mut Vec<Output>) {
        while let Some(timer) = self.core.timers.expired(now) {
            match timer {
                Timer::Election => self.election_due(now, out),
                Timer::Heartbeat => self.heartbeat_due(now, out),
                Timer::Transfer => self.transfer_due(),
                Timer::Fetch => self.fetch_due(now, out),
                Timer::Listen => {
                    let addresses = self.core.config.listen.clone();
                    out.push(Output::Listen { channel: PEERS, addresses });
                }
            }
        }
        for link in self.core.links.silent(now) {
            self.refuse(link, "it did not say whose it is".to_owned(), now, out);
        }
        self.core.redial(now, out);
    }

    /// Silent for ever: what is written from now on could not be trusted.
    fn disk_failed(&mut self, out: &mut Vec<Output>) {
        self.role = Role::Silent;
        self.core.links.end(out);
        self.core.say(View::Silent, out);
    }

    /// What a silent member still says.
    fn decline(&self, input: Input, out: &mut Vec<Output>) {
        let decision = Decision::Rejected(Refusal::DiskFailed);
        match input {
            Input::Proposed(proposals) => {
                let refuse =
                    |proposal: Proposal| Output::Outcome { context: proposal.context, decision };
                out.extend(proposals.into_iter().map(refuse));
            }
            Input::ReadRequested { context, .. } => {
                out.push(Output::Outcome { context, decision });
            }
            Input::LinkUp { link, .. } => out.push(Output::Close { link }),
            Input::TimerExpired
            | Input::Forward { .. }
            | Input::Answer { .. }
            | Input::Heartbeat { .. }
            | Input::LinkDown { .. }
            | Input::Received { .. }
            | Input::ListenFailed { .. }
            | Input::TransferRequested { .. }
            | Input::Durable { .. }
            | Input::DiskFailed { .. }
            | Input::Checkpointed { .. }
            | Input::SnapshotReceived { .. }
            | Input::SnapshotInstalled { .. }
            | Input::SnapshotRefused { .. }
            | Input::ResetDone { .. }
            | Input::ResetFailed { .. }
            | Input::LogRead { .. } => {}
        }
    }

    fn hear(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::TimerExpired => self.expired(now, out),
            Input::Proposed(proposals) => self.propose(proposals, out),
            Input::ReadRequested { context, level } => {
                self.read(Asker::Here(context), level, now, out);
            }
            Input::TransferRequested { to } => self.transfer(to, now, out),
            Input::Forward { letter } => self.forward(letter, out),
            Input::Answer { to, letter } => self.answer(to, letter, out),
            Input::Heartbeat { link, letter } => self.touch(link, letter, out),
            Input::LinkUp { link, .. } => self.core.links.up(link, now, out),
            Input::LinkDown { link, reason } => self.link_down(link, reason, now, out),
            Input::Received { link, bytes } => self.received(link, bytes, now, out),
            Input::ListenFailed { reason, .. } => {
                tell(Event::ListenFailed { port: "peers", reason }, out);
                self.core.timers.set(Timer::Listen, now + LISTEN_RETRY);
            }
            Input::Durable { upto } => {
                self.core.journal.durable = self.core.journal.durable.max(upto);
            }
            Input::DiskFailed { .. } => self.disk_failed(out),
            Input::Checkpointed { at } => {
                self.core.log.checkpointed(at, &mut self.core.journal, out);
            }
            Input::SnapshotReceived { link } => self.snapshot_received(link),
            Input::SnapshotInstalled { link, rest, .. } => {
                self.snapshot_installed(link, rest, now, out);
            }
            Input::SnapshotRefused { link, reason } => {
                self.snapshot_refused(link, reason, now, out);
            }
            // Nothing that is not committed is ever in the state, and the log is in memory as far
            // as anybody is served from it.
            Input::ResetDone { .. } | Input::ResetFailed { .. } | Input::LogRead { .. } => {}
        }
    }
}

impl Machine for Raft {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        if matches!(self.role, Role::Silent) {
            return self.decline(input, out);
        }
        self.core.links.history = self.core.history();
        self.hear(now, input, out);
        self.settle_candidate(now, out);
        self.settle_leader(now, out);
        self.settle_follower(out);
        if !matches!(self.role, Role::Silent) {
            self.core.follow_members(now, out);
            self.core.links.flush_all(out);
        }
    }

    fn deadline(&self) -> Option<Time> {
        if matches!(self.role, Role::Silent) {
            return None;
        }
        self.core.timers.deadline().into_iter().chain(self.core.links.deadline()).min()
    }
}

impl Engine for Raft {
    const TRUTHS: Truths = Truths {
        name: "raft",
        primary_order: true,
        fifo_links: true,
        membership: Membership::ByEntry,
        reads: Reads::QuorumRound,
    };
}

/// Until a port that could not be opened is tried again.
const LISTEN_RETRY: Duration = Duration::from_secs(1);
