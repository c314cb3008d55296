//! A candidate, and a pre-candidate: asks for votes, and counts them.
//!
//! Invariants: a member's own vote counts, and it leads, only once term and vote are on its disk; a
//! vote of others leaves only then; nobody votes twice in a term, also across crashes. A
//! pre-candidate changes nothing, anywhere.
//! Source: dissertation, sections 3.4, 3.6 and 9.6.

use crate::core::{Core, tell};
use crate::engine::{Raft, Role};
use crate::frames::Message;
use base::{Lsn, NodeId, Time};
use broadcast::{LinkId, Output, View};
use std::collections::BTreeMap;
use trace::Ensemble as Event;

/// Standing for election.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Candidate {
    /// Why, and how far.
    pub(crate) kind: Campaign,
    /// Since when.
    pub(crate) since: Time,
    votes: BTreeMap<NodeId, bool>,
}

/// A campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Campaign {
    /// It asks whether it would be elected.
    Pre,
    /// It wants to be elected.
    Real,
    /// The leader wants it to be elected.
    Transfer,
}

/// What a candidate says for itself.
pub(crate) struct Claim {
    pub(crate) term: u64,
    pub(crate) last_index: u64,
    pub(crate) last_term: u64,
    pub(crate) pre: bool,
    pub(crate) transfer: bool,
}

impl Candidate {
    /// Whether it only asks.
    pub(crate) fn is_pre(&self) -> bool {
        self.kind == Campaign::Pre
    }

    pub(crate) fn has_vote_of(&self, node: NodeId) -> bool {
        self.votes.get(&node) == Some(&true)
    }

    /// What it asks for.
    fn request(&self, core: &Core) -> Message {
        let pre = self.kind == Campaign::Pre;
        let term = if pre { core.term + 1 } else { core.term };
        let (last_index, last_term) = (core.log.last_index(), core.log.last_term());
        let transfer = self.kind == Campaign::Transfer;
        Message::Vote { term, last_index, last_term, pre, transfer }
    }
}

impl Raft {
    /// Stands for election.
    pub(crate) fn campaign(&mut self, kind: Campaign, now: Time, out: &mut Vec<Output>) {
        let core = &mut self.core;
        core.say(View::Apart, out);
        let (round, zxid) = (core.term.cast_signed(), core.log.last_at());
        if kind != Campaign::Pre {
            core.enter_term(core.term + 1, out);
            core.vote_for(core.config.me, out);
            let epoch = core.log.last_term().cast_signed();
            tell(Event::ElectionStarted { round: round + 1, zxid, epoch }, out);
        }
        core.heard = None;
        core.reset_election(now);
        let mut votes = BTreeMap::new();
        if kind == Campaign::Pre {
            votes.insert(core.config.me, true);
        }
        let candidate = Candidate { kind, since: now, votes };
        let request = candidate.request(core);
        let configuration = core.configuration();
        for node in configuration.members().filter(|node| configuration.is_voter(*node)) {
            if let Some(link) = core.links.to(node) {
                core.links.send(link, &request, Lsn::ZERO, out);
            }
        }
        self.role = Role::Candidate(candidate);
    }

    /// A voter can be reached only now.
    pub(crate) fn ask_late(&mut self, node: NodeId, link: LinkId, out: &mut Vec<Output>) {
        let Role::Candidate(candidate) = &self.role else { return };
        if self.core.log.configuration().1.is_voter(node) {
            let request = candidate.request(&self.core);
            self.core.links.send(link, &request, Lsn::ZERO, out);
        }
    }

    /// A candidate asks for this member's vote.
    pub(crate) fn vote_asked(
        &mut self,
        from: NodeId,
        link: LinkId,
        claim: &Claim,
        now: Time,
        out: &mut Vec<Output>,
    ) {
        if !claim.transfer && self.holds_to_leader(now) {
            if claim.pre {
                self.answer_vote(link, true, false, out);
            }
            return; // it is not listened to: else it could disturb who works
        }
        if claim.pre {
            let grants = claim.term > self.core.term && self.would_vote(from, claim);
            let term = if grants { claim.term } else { self.core.term };
            let message = Message::VoteResponse { term, pre: true, granted: grants };
            let after = self.core.hard;
            return self.core.links.send(link, &message, after, out);
        }
        if claim.term > self.core.term {
            self.become_follower_in(claim.term, now, out);
        }
        let is_free = match self.core.vote {
            Some(vote) => vote == from,
            None => self.is_leaderless(),
        };
        let grants = claim.term == self.core.term && is_free && self.would_vote(from, claim);
        if grants {
            self.core.vote_for(from, out);
            self.core.reset_election(now);
        }
        self.answer_vote(link, false, grants, out);
    }

    fn answer_vote(&mut self, link: LinkId, pre: bool, granted: bool, out: &mut Vec<Output>) {
        let message = Message::VoteResponse { term: self.core.term, pre, granted };
        let after = self.core.hard;
        self.core.links.send(link, &message, after, out);
    }

    /// Whether a candidate with this log could have the vote.
    fn would_vote(&self, from: NodeId, claim: &Claim) -> bool {
        let (core, log) = (&self.core, &self.core.log);
        // Whoever has nothing goes by what it was told at its start: one that is to be added later
        // could so found an ensemble of which the others know nothing.
        let founds = claim.last_index == 0 && !log.configuration().1.is_voter(from);
        !core.is_lost && !founds && log.is_up_to_date(claim.last_term, claim.last_index)
    }

    /// Whether this member leads, or hears who does.
    fn holds_to_leader(&self, now: Time) -> bool {
        let knows = match &self.role {
            Role::Leader(_) => true,
            Role::Follower(_) | Role::Candidate(_) => self.core.hears_leader(now),
            Role::Silent => false,
        };
        knows && self.core.config.holds_to_leader()
    }

    fn is_leaderless(&self) -> bool {
        match &self.role {
            Role::Follower(follower) => follower.leader.is_none(),
            Role::Candidate(_) | Role::Leader(_) | Role::Silent => false,
        }
    }

    /// A voter has answered.
    pub(crate) fn vote_answered(
        &mut self,
        from: NodeId,
        (term, pre): (u64, bool),
        granted: bool,
        now: Time,
        out: &mut Vec<Output>,
    ) {
        if term > self.core.term && !(pre && granted) {
            return self.become_follower_in(term, now, out);
        }
        let Role::Candidate(candidate) = &mut self.role else { return };
        let is_pre = candidate.kind == Campaign::Pre;
        let of_this = match (is_pre, granted) {
            (true, true) => term == self.core.term + 1,
            (true, false) | (false, _) => term == self.core.term,
        };
        if pre == is_pre && of_this {
            candidate.votes.insert(from, granted);
        }
    }

    /// Whether the election is over by now.
    pub(crate) fn settle_candidate(&mut self, now: Time, out: &mut Vec<Output>) {
        let Role::Candidate(candidate) = &mut self.role else { return };
        let me = self.core.me();
        let is_durable = self.core.is_hard_durable();
        let configuration = self.core.configuration();
        if candidate.kind != Campaign::Pre && is_durable {
            candidate.votes.insert(me, true);
        }
        let voted = |node: &NodeId, how: bool| candidate.votes.get(node) == Some(&how);
        let is_won = configuration.is_quorum(|node| voted(&node, true));
        // Lost, if those that have not refused are no quorum any more.
        let is_lost = !configuration.is_quorum(|node| !voted(&node, false));
        match candidate.kind {
            Campaign::Pre if is_won => {
                self.campaign(Campaign::Real, now, out);
                self.settle_candidate(now, out);
            }
            Campaign::Real | Campaign::Transfer if is_won && is_durable => {
                self.become_leader(now, out);
            }
            Campaign::Pre | Campaign::Real | Campaign::Transfer if is_lost => {
                self.become_follower(now, out);
            }
            Campaign::Pre | Campaign::Real | Campaign::Transfer => {}
        }
    }

    /// Those that voted for this member.
    pub(crate) fn supporters(&self) -> Vec<NodeId> {
        let Role::Candidate(candidate) = &self.role else { return Vec::new() };
        candidate.votes.iter().filter(|(_, granted)| **granted).map(|(node, _)| *node).collect()
    }
}
