//! Reads that must see what was decided or proposed: by rounds, or by lease.
//!
//! A linearizable read takes the commit index at its arrival, once an entry of this leader's term is
//! committed, and then a round of heartbeats that a quorum answers: so nobody else led by then.
//! A read that must see what was proposed waits for that first: it is no weaker. What arrives while a
//! read's round is under way shares the next one. A lease is the time for
//! which voters that answered a round will elect nobody else.
//! Source: dissertation, section 6.4.

use super::Leader;
use crate::core::Core;
use crate::engine::{Raft, Role};
use crate::frames::Message;
use base::{Lsn, Time, Zxid};
use broadcast::{Context, LinkId, Output, ReadLevel};
use std::collections::VecDeque;

/// Who wants to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Asker {
    /// This member's service.
    Here(Context),
    /// A follower, by its own number.
    There(LinkId, u64),
}

/// What is asked and not answered.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Reads {
    /// Until an entry of the term is committed.
    early: VecDeque<Asker>,
    /// Until this entry is committed; then they are linearizable ones.
    proposed: VecDeque<(Asker, u64)>,
    /// Until a quorum has answered this round.
    rounds: VecDeque<(Asker, Zxid, u64)>,
    /// The last round, and the last that was begun for reads.
    round: u64,
    for_reads: u64,
    /// The last round that a quorum has answered, and when it began.
    answered: u64,
    confirmed: Option<Time>,
    /// When the rounds behind that began.
    began: VecDeque<(u64, Time)>,
}

impl Reads {
    pub(super) fn begin_round(&mut self, now: Time) -> u64 {
        self.round += 1;
        self.began.push_back((self.round, now));
        if self.began.len() > ROUNDS_MAX {
            self.began.pop_front();
        }
        self.round
    }
}

impl Raft {
    /// When may this read run?
    pub(crate) fn read(
        &mut self,
        asker: Asker,
        level: ReadLevel,
        now: Time,
        out: &mut Vec<Output>,
    ) {
        let Role::Leader(leader) = &mut self.role else {
            return match asker {
                Asker::Here(context) => self.ask_leader(context, level, out),
                Asker::There(link, number) => refuse(&mut self.core, link, number, out),
            };
        };
        match level {
            ReadLevel::Proposed => {
                let index = self.core.log.last_index();
                leader.reads.proposed.push_back((asker, index.max(leader.first)));
            }
            ReadLevel::Linearizable => leader.linearizable(&mut self.core, asker, now, out),
        }
    }
}

impl Leader {
    fn linearizable(&mut self, core: &mut Core, asker: Asker, now: Time, out: &mut Vec<Output>) {
        if core.log.committed() < self.first {
            return self.reads.early.push_back(asker);
        }
        let at = core.log.committed_at();
        if self.has_lease(core, now) {
            return answer(core, asker, at, out);
        }
        self.reads.rounds.push_back((asker, at, self.reads.round + 1));
    }

    /// Whether no voter that is needed for it can have elected anybody else.
    fn has_lease(&self, core: &Core, now: Time) -> bool {
        let may_hold = self.transfer.is_none() && !self.has_let_go;
        let Some(lease) = core.config.lease.filter(|_| may_hold) else { return false };
        // The voters' clocks may go faster: by theirs the timeout may be over so much earlier.
        let lasts = core.config.limits.election_timeout * 100 / (100 + lease.drift_percent);
        self.reads.confirmed.is_some_and(|began| now.since(began) < lasts)
    }

    /// Answers what can be answered, and asks for what cannot.
    pub(super) fn settle_reads(&mut self, core: &mut Core, now: Time, out: &mut Vec<Output>) {
        if core.log.committed() >= self.first {
            for asker in std::mem::take(&mut self.reads.early) {
                self.linearizable(core, asker, now, out);
            }
        }
        let committed = core.log.committed();
        while let Some((asker, _)) =
            self.reads.proposed.pop_front_if(|(_, index)| *index <= committed)
        {
            self.linearizable(core, asker, now, out);
        }
        self.answer_rounds(core, out);
        let reads = &self.reads;
        let waits = reads.rounds.back().is_some_and(|(_, _, round)| *round > reads.round);
        if waits && reads.for_reads <= reads.answered {
            self.begin_round(core, false, now, out);
            self.reads.for_reads = self.reads.round;
            self.answer_rounds(core, out);
        }
    }

    fn answer_rounds(&mut self, core: &mut Core, out: &mut Vec<Output>) {
        let (me, reads) = (core.me(), &mut self.reads);
        if reads.began.is_empty() && reads.rounds.is_empty() {
            return; // nobody asked
        }
        let round = reads.round;
        let answered = core.log.configuration().1.reached(|node| match self.peers.get(&node) {
            _ if node == me => round,
            Some(progress) => progress.round,
            None => 0,
        });
        reads.answered = reads.answered.max(answered);
        while let Some((_, began)) = reads.began.pop_front_if(|(round, _)| *round <= reads.answered)
        {
            reads.confirmed = Some(began);
        }
        while let Some((asker, at, _)) =
            reads.rounds.pop_front_if(|(_, _, round)| *round <= reads.answered)
        {
            answer(core, asker, at, out);
        }
    }
}

fn answer(core: &mut Core, asker: Asker, at: Zxid, out: &mut Vec<Output>) {
    match asker {
        Asker::Here(context) => out.push(Output::ReadReady { context, at_least: at }),
        Asker::There(link, number) => {
            let message = Message::ReadResponse { number, at: Some(at) };
            core.links.send(link, &message, Lsn::ZERO, out);
        }
    }
}

fn refuse(core: &mut Core, link: LinkId, number: u64, out: &mut Vec<Output>) {
    let message = Message::ReadResponse { number, at: None };
    core.links.send(link, &message, Lsn::ZERO, out);
}

/// Rounds whose beginning is remembered: of older ones a lease would be over.
const ROUNDS_MAX: usize = 1024;
