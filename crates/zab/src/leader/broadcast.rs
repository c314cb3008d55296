//! Broadcast: proposals in order, decided in order.
//!
//! What a batch comes to is put into one frame, which all learners share.

use super::{Leading, Phase};
use crate::core::Core;
use base::{Lsn, NodeId, Zxid};
use broadcast::{Decision, Output, Proposal, Refusal};
use bytes::Bytes;
use std::collections::BTreeSet;
use wire::quorum::{PACKET_SIZE_MIN, PacketKind, put_packet};

impl Leading {
    /// Takes what the service proposes.
    pub(crate) fn propose(
        &mut self,
        core: &mut Core,
        proposals: Vec<Proposal>,
        out: &mut Vec<Output>,
    ) {
        let size = proposals.iter().map(|proposal| proposal.item.len() + PACKET_SIZE_MIN).sum();
        let mut frame = Vec::with_capacity(size);
        for Proposal { context, at, item } in proposals {
            if self.phase != Phase::Broadcast || at != core.history.last().next() {
                let decision = Decision::Rejected(Refusal::OutOfOrder);
                out.push(Output::Outcome { context, decision });
                continue;
            }
            put_packet(&mut frame, PacketKind::Proposal, at.0, Some(&item));
            core.history.append(at, item, Some(context), out);
        }
        self.send_all(frame, |observes| !observes, out);
    }

    /// Sends to learners of a kind that are forwarded to.
    fn send_all(&self, frame: Vec<u8>, to: impl Fn(bool) -> bool, out: &mut Vec<Output>) {
        if frame.is_empty() {
            return;
        }
        let frame = Bytes::from(frame);
        for (&link, learner) in &self.learners {
            if learner.is_forwarded() && to(learner.observes) {
                out.push(Output::Send { link, frame: frame.clone(), after: Lsn::ZERO });
            }
        }
    }

    /// Decides what a quorum has on its disks.
    pub(super) fn decide(&mut self, core: &mut Core, out: &mut Vec<Output>) {
        if self.phase != Phase::Broadcast {
            return;
        }
        let before = core.history.committed();
        let Some(upto) = self.decidable(core).filter(|upto| *upto > before) else { return };
        let mut commits = Vec::new();
        let mut informs = Vec::new();
        let observed = self.learners.values().any(|l| l.observes && l.is_forwarded());
        for entry in core.history.undecided().take_while(|entry| entry.at <= upto) {
            put_packet(&mut commits, PacketKind::Commit, entry.at.0, None);
            if observed {
                put_packet(&mut informs, PacketKind::Inform, entry.at.0, Some(&entry.item));
            }
        }
        self.send_all(commits, |observes| !observes, out);
        self.send_all(informs, |observes| observes, out);
        core.history.commit(upto, out);
        self.reads_on(core, out);
    }

    /// The last place that a quorum has on its disks with all that is before it.
    fn decidable(&self, core: &Core) -> Option<Zxid> {
        let mut places = vec![(core.history.synced(), core.me)];
        for learner in self.learners.values().filter(|learner| learner.counts()) {
            places.push((learner.acknowledged, learner.node));
        }
        places.sort_unstable();
        let mut have = BTreeSet::<NodeId>::new();
        while let Some((at, who)) = places.pop() {
            have.insert(who);
            if core.ensemble.is_quorum(&have) {
                return Some(at.min(core.history.last()));
            }
        }
        None
    }

    /// This member's own disk is one of the quorum.
    pub(crate) fn durable(&mut self, core: &mut Core, now: base::Time, out: &mut Vec<Output>) {
        self.agree(core, now, out);
        self.establish(core, out);
        self.decide(core, out);
    }
}
