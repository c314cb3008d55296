//! Reads that must see what was proposed or decided.
//!
//! A linearizable read takes a round of pings: a quorum's answers to pings that left after the
//! read was asked for prove that no later leader was established by then. Rounds are shared: what
//! is asked for while one is under way waits for the next.

use super::peers::Stage;
use super::{Leading, Phase};
use crate::core::Core;
use base::{Lsn, Zxid};
use broadcast::{Context, Decision, Output, ReadLevel, Refusal};
use bytes::Bytes;
use std::collections::VecDeque;
use wire::quorum::{PacketKind, put_packet};

/// What is asked and not answered.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Reads {
    /// Until this place is decided.
    proposed: VecDeque<(Context, Zxid)>,
    /// Until a quorum has answered this round.
    rounds: VecDeque<(Context, Zxid, u64)>,
    /// The last round of pings.
    round: u64,
    /// The last one that a quorum has answered.
    answered: u64,
}

impl Reads {
    /// What waits for a place to be decided.
    pub(super) fn pending_syncs(&self) -> usize {
        self.proposed.len()
    }
}

impl Leading {
    pub(crate) fn read(
        &mut self,
        core: &Core,
        context: Context,
        level: ReadLevel,
        out: &mut Vec<Output>,
    ) {
        if self.phase != Phase::Broadcast {
            let decision = Decision::Rejected(Refusal::NotPrimary);
            return out.push(Output::Outcome { context, decision });
        }
        match level {
            ReadLevel::Proposed => {
                self.reads.proposed.push_back((context, core.history.last()));
            }
            ReadLevel::Linearizable => {
                let next = self.reads.round + 1;
                self.reads.rounds.push_back((context, core.history.committed(), next));
            }
        }
        self.reads_on(core, out);
    }

    /// Answers what can be answered now.
    pub(super) fn reads_on(&mut self, core: &Core, out: &mut Vec<Output>) {
        let committed = core.history.committed();
        let reads = &mut self.reads;
        while let Some((context, at_least)) =
            reads.proposed.pop_front_if(|(_, at)| *at <= committed)
        {
            out.push(Output::ReadReady { context, at_least });
        }
        if reads.rounds.is_empty() {
            return;
        }
        self.answer_rounds(core, out);
        let reads = &self.reads;
        // No read waits for a round that is under way: the next one begins.
        if reads.rounds.front().is_some_and(|read| read.2 > reads.round) {
            self.ping(core, out);
            self.answer_rounds(core, out);
        }
    }

    /// The last round that a quorum has answered: this member is one of them.
    fn count_rounds(&mut self, core: &Core) {
        let mut answers = vec![(self.reads.round, core.me)];
        for learner in self.learners.values().filter(|learner| learner.counts()) {
            answers.push((learner.ponged, learner.node));
        }
        if let Some(round) = core.ensemble.reached(answers) {
            self.reads.answered = self.reads.answered.max(round);
        }
    }

    /// Answers the reads whose round a quorum has answered.
    fn answer_rounds(&mut self, core: &Core, out: &mut Vec<Output>) {
        self.count_rounds(core);
        let answered = self.reads.answered;
        while let Some((context, at_least, _)) =
            self.reads.rounds.pop_front_if(|read| read.2 <= answered)
        {
            out.push(Output::ReadReady { context, at_least });
        }
    }

    /// A round of pings.
    pub(super) fn ping(&mut self, core: &Core, out: &mut Vec<Output>) {
        self.reads.round += 1;
        let mut frame = Vec::new();
        put_packet(&mut frame, PacketKind::Ping, core.history.last().0, None);
        let frame = Bytes::from(frame);
        for (&link, learner) in &mut self.learners {
            if learner.is_forwarded() {
                // Who does not serve yet does not answer.
                if learner.stage == Stage::Active {
                    learner.pings.push_back(self.reads.round);
                }
                out.push(Output::Send { link, frame: frame.clone(), after: Lsn::ZERO });
            }
        }
    }
}
