//! A leader: orders what is proposed, replicates, commits, and leads only while it is heard.
//!
//! Invariants: an entry is committed when a quorum has it on its disks and it, or one behind it, is
//! of this leader's term; this member is one of them only as far as its own disk is. The service is
//! told that it is primary once the first entry of the term is committed and all before it is
//! delivered. Sources: dissertation, sections 3.6, 6.4, 3.10, chapter 4.

mod membership;
mod reads;
mod replication;
mod transfer;

use crate::core::{Core, Timer, tell};
use crate::engine::{Raft, Role};
use crate::frames::{APPEND_OVERHEAD, HEADER, Message};
use crate::log::{Entry, Payload};
use crate::progress::Progress;
use base::{NodeId, Time};
use broadcast::{Decision, LinkId, Output, Proposal, Refusal, View};
use bytes::Bytes;
pub(crate) use reads::Asker;
use reads::Reads;
use std::collections::BTreeMap;
use trace::Ensemble as Event;
use transfer::Transfer;

/// Leading.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Leader {
    pub(crate) peers: BTreeMap<NodeId, Progress>,
    /// The first entry of the term.
    first: u64,
    reads: Reads,
    transfer: Option<Transfer>,
    /// Whether somebody was told to stand: voters elect that one whatever they promised, as late as
    /// it is heard in this term.
    has_let_go: bool,
    /// Whether the service was told that it is primary.
    is_primary: bool,
    /// Who voted for it.
    supporters: Vec<NodeId>,
    /// Letters that came before it was.
    early: Vec<(NodeId, LinkId, Bytes)>,
    /// A transfer has come to nothing: see there.
    must_part: bool,
    /// The entry of the configuration that the peers are those of, and whether it is known to be
    /// committed.
    members: (u64, bool),
}

impl Raft {
    pub(crate) fn become_leader(&mut self, now: Time, out: &mut Vec<Output>) {
        let supporters = self.supporters();
        self.tell_decided(&supporters, now, out);
        let core = &mut self.core;
        assert!(core.is_hard_durable(), "nobody leads a term that it could forget");
        (core.heard, core.search) = (None, None);
        core.timers.clear(Timer::Election);
        core.timers.set(Timer::Heartbeat, now + core.config.limits.heartbeat);
        let last = core.log.last_index();
        core.log.forget_contexts();
        let noop = Entry::new(core.term, core.log.last_at(), Payload::NoOp);
        core.log.append(noop, &mut core.journal, out);
        let me = core.me();
        let configuration = core.configuration();
        let others = configuration.members().filter(|node| *node != me);
        let peers = others.map(|node| (node, Progress::new(last, now))).collect();
        let members = (core.log.configuration().0, false);
        let leader = Leader {
            peers,
            first: last + 1,
            reads: Reads::default(),
            transfer: None,
            has_let_go: false,
            is_primary: false,
            supporters,
            early: Vec::new(),
            must_part: false,
            members,
        };
        self.role = Role::Leader(Box::new(leader));
        self.settle_leader(now, out);
    }

    fn tell_decided(&self, supporters: &[NodeId], now: Time, out: &mut Vec<Output>) {
        let Role::Candidate(candidate) = &self.role else { return };
        let (core, me) = (&self.core, self.core.me());
        let configuration = core.configuration();
        let is_cut_off = |node: &NodeId| *node != me && core.links.to(*node).is_none();
        let voters = configuration.members().filter(|node| configuration.is_voter(*node));
        let took = now.since(candidate.since).as_millis();
        let decided = Event::ElectionDecided {
            round: core.term.cast_signed(),
            leader: me,
            zxid: core.log.last_at(),
            epoch: core.log.last_term().cast_signed(),
            supporters: supporters.to_vec(),
            unreachable: voters.filter(is_cut_off).collect(),
            took_ms: u64::try_from(took).unwrap_or(u64::MAX),
        };
        tell(decided, out);
    }

    /// Leads no more, in the same term.
    pub(crate) fn step_down(&mut self, reason: String, now: Time, out: &mut Vec<Output>) {
        tell(Event::SteppedDown { epoch: self.core.term.cast_signed(), reason }, out);
        self.become_follower(now, out);
    }

    /// The service wants places in the order.
    pub(crate) fn propose(&mut self, proposals: Vec<Proposal>, out: &mut Vec<Output>) {
        for Proposal { context, at, item } in proposals {
            match self.refusal(at, &item) {
                Some(refusal) => {
                    let decision = Decision::Rejected(refusal);
                    out.push(Output::Outcome { context, decision });
                }
                None => {
                    let core = &mut self.core;
                    let mut entry = Entry::new(core.term, at, Payload::Item(item));
                    entry.context = Some(context);
                    core.log.append(entry, &mut core.journal, out);
                }
            }
        }
    }

    fn refusal(&self, at: base::Zxid, item: &Bytes) -> Option<Refusal> {
        let Role::Leader(leader) = &self.role else {
            let has_failed = matches!(self.role, Role::Silent);
            return Some(if has_failed { Refusal::DiskFailed } else { Refusal::NotPrimary });
        };
        let (core, limits) = (&self.core, &self.core.config.limits);
        if !leader.is_primary {
            return Some(Refusal::NotPrimary);
        }
        if at != core.log.last_at().next() {
            return Some(Refusal::OutOfOrder);
        }
        let under_way = core.log.uncommitted_bytes();
        let is_over = under_way > 0 && under_way + item.len() > limits.uncommitted_bytes_max;
        if is_over || item.len() + APPEND_OVERHEAD + HEADER > limits.frame_size_max {
            return Some(Refusal::Full);
        }
        if core.log.named(item).is_some() {
            let (index, now) = core.log.configuration();
            if now.is_joint() || index > core.log.committed() {
                return Some(Refusal::Reconfiguring);
            }
        }
        None
    }

    /// All that follows from what was heard: entries are committed, delivered, sent; who leads for
    /// the service; which reads may run.
    pub(crate) fn settle_leader(&mut self, now: Time, out: &mut Vec<Output>) {
        if !matches!(self.role, Role::Leader(_)) {
            return;
        }
        self.part_if_must(now, out);
        self.commit(out);
        self.settle_membership(now, out);
        let Role::Leader(leader) = &mut self.role else { return };
        leader.become_primary(&mut self.core, out);
        leader.settle_reads(&mut self.core, now, out);
        leader.replicate(&mut self.core, out);
        leader.settle_transfer(&mut self.core, out);
        self.settle_removal(now, out);
    }

    /// The commit rule: what a quorum has durably, if that is of this term.
    fn commit(&mut self, out: &mut Vec<Output>) {
        let Role::Leader(leader) = &mut self.role else { return };
        let core = &mut self.core;
        if core.log.committed() == core.log.last_index() {
            return;
        }
        let (me, own) = (core.me(), core.log.durable_index(&core.journal));
        let has = |node| match leader.peers.get(&node) {
            _ if node == me => own,
            Some(progress) => progress.matched,
            None => 0,
        };
        let reached = core.log.configuration().1.reached(has);
        if reached > core.log.committed() && core.log.term(reached) == Some(core.term) {
            core.log.commit(reached);
            core.log.deliver(&core.journal, out);
        }
    }

    /// The heartbeat: steps down if no quorum was heard for an election timeout.
    pub(crate) fn heartbeat_due(&mut self, now: Time, out: &mut Vec<Output>) {
        let Role::Leader(leader) = &mut self.role else { return };
        let core = &mut self.core;
        let limits = core.config.limits;
        let me = core.me();
        let heard = core.log.configuration().1.reached(|node| match leader.peers.get(&node) {
            _ if node == me => now.0,
            Some(progress) => progress.heard.0,
            None => 0,
        });
        if core.config.holds_to_leader() && now.since(Time(heard)) >= limits.election_timeout {
            let ms = limits.election_timeout.as_millis();
            return self.step_down(format!("no quorum was heard for {ms} ms"), now, out);
        }
        core.timers.set(Timer::Heartbeat, now + limits.heartbeat);
        leader.begin_round(core, true, now, out);
    }

    /// A follower says how far it is.
    ///
    /// # Errors
    /// If it says what cannot be.
    pub(crate) fn append_answered(
        &mut self,
        from: NodeId,
        index: u64,
        hint: Option<(u64, u64)>,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Result<(), String> {
        let Role::Leader(leader) = &mut self.role else { return Ok(()) };
        let log = &self.core.log;
        let Some(progress) = leader.peers.get_mut(&from) else { return Ok(()) };
        progress.heard = now;
        if index > log.last_index() {
            return Err(format!("it acknowledges {index}, the log ends at {}", log.last_index()));
        }
        match hint {
            None => {
                let before = progress.state;
                progress.accepted(index, log.base().0);
                replication::tell_of(from, progress, before, log, out);
            }
            Some((hint, term)) => {
                // Behind what is compacted away only the state helps.
                let agreed = log.find_conflict(hint, term).map(|(index, _)| index);
                let compacted = || hint.min(log.base().0.saturating_sub(1));
                progress.rejected(index, agreed.unwrap_or_else(compacted));
            }
        }
        Ok(())
    }

    /// A follower has heard a heartbeat.
    pub(crate) fn heartbeat_answered(&mut self, from: NodeId, round: u64, now: Time) {
        let Role::Leader(leader) = &mut self.role else { return };
        if let Some(progress) = leader.peers.get_mut(&from) {
            progress.heard = now;
            progress.answered(round);
        }
    }

    /// A letter of a replica's service came: only a primary reads it. One that comes before this
    /// member is that waits; while it hands over, all that comes is lost with the links or the term.
    pub(crate) fn letter_came(
        &mut self,
        node: NodeId,
        from: LinkId,
        letter: Bytes,
        out: &mut Vec<Output>,
    ) {
        let Role::Leader(leader) = &mut self.role else { return };
        if leader.is_primary {
            out.push(Output::Forwarded { from, node, letter });
        } else if leader.transfer.is_none() {
            leader.early.push((node, from, letter));
        }
    }

    /// A replica's service says what it has heard.
    pub(crate) fn touched(&self, node: NodeId, from: LinkId, letter: Bytes, out: &mut Vec<Output>) {
        if self.is_primary() {
            out.push(Output::HeartbeatHeard { from, node, letter });
        }
    }

    /// A letter of this primary's service. What the service has seen until now is committed, and
    /// perhaps not yet on its way to the other one.
    pub(crate) fn answer(&mut self, to: LinkId, letter: Bytes, out: &mut Vec<Output>) {
        if self.is_primary() && self.core.links.is_ready(to) {
            let (term, behind) = (self.core.term, self.core.log.committed());
            let message = Message::Answer { term, behind, letter };
            self.core.links.send(to, &message, base::Lsn::ZERO, out);
        }
    }

    pub(crate) fn is_primary(&self) -> bool {
        matches!(&self.role, Role::Leader(leader) if leader.is_primary)
    }
}

impl Leader {
    /// The service may propose once all of the log is committed, and with it an entry of the term.
    fn become_primary(&mut self, core: &mut Core, out: &mut Vec<Output>) {
        let log = &core.log;
        let is_all_committed = log.committed() >= self.first && log.committed() == log.last_index();
        if !self.is_primary && self.transfer.is_none() && is_all_committed {
            self.is_primary = true;
            let last = log.last_at();
            let (epoch, supporters) = (core.term.cast_signed(), self.supporters.clone());
            tell(Event::Established { epoch, supporters }, out);
            core.say(View::Primary { last }, out);
            for (node, from, letter) in self.early.drain(..) {
                if core.links.is_ready(from) {
                    out.push(Output::Forwarded { from, node, letter });
                }
            }
        }
    }
}
