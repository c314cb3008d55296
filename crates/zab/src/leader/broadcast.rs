//! Broadcast: proposals in order, decided in order.
//!
//! What a batch comes to is put into one frame, which all learners share.

use super::{Leading, Lost, Phase};
use crate::core::Core;
use crate::ensemble::sid;
use crate::reconfiguration::reconfigures;
use base::{Lsn, NodeId, Time, Zxid};
use broadcast::{Decision, Output, Proposal, Refusal};
use bytes::Bytes;
use jute::Encode;
use wire::quorum::{Activation, PACKET_SIZE_MIN, PacketKind, put_packet, put_packet_with_data};

impl Leading {
    /// Takes what the service proposes.
    ///
    /// # Errors
    /// If the epoch has no places left.
    pub(crate) fn propose(
        &mut self,
        core: &mut Core,
        proposals: Vec<Proposal>,
        out: &mut Vec<Output>,
    ) -> Result<(), Lost> {
        let size = proposals.iter().map(|proposal| proposal.item.len() + PACKET_SIZE_MIN).sum();
        let mut frame = Vec::with_capacity(size);
        for Proposal { context, at, item } in proposals {
            let is_next = at == core.history.last().next() && at.epoch() == self.start().epoch();
            // A change of the configuration waits for the one before: two would need three quorums.
            let is_second = core.ensemble.next().is_some() && core.changes_configuration(&item);
            if self.phase != Phase::Broadcast || !is_next || is_second {
                let decision = Decision::Rejected(Refusal::OutOfOrder);
                out.push(Output::Outcome { context, decision });
                continue;
            }
            put_packet(&mut frame, PacketKind::Proposal, at.0, Some(&item));
            core.append(at, item, Some(context), out);
        }
        self.send_all(frame, |observes| !observes, out);
        if core.history.last().counter() >= core.limits.counter_max {
            return Err("the counter of the epoch is at its end".to_owned());
        }
        Ok(())
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

    /// Decides what a quorum has on its disks. A configuration is decided alone: what comes behind
    /// it needs a quorum of the new one only.
    ///
    /// # Errors
    /// If another member is to lead by a configuration that took effect.
    pub(super) fn decide(&mut self, core: &mut Core, out: &mut Vec<Output>) -> Result<(), Lost> {
        if let Some(designated) = self.successor.take() {
            core.designate(sid(designated));
            let designated = designated.0;
            return Err(format!("by the configuration that it completed {designated} leads"));
        }
        while self.phase == Phase::Broadcast {
            let before = core.history.committed();
            let Some(upto) = self.decidable(core).filter(|upto| *upto > before) else { break };
            let open = core.history.undecided().take_while(|entry| entry.at <= upto);
            match open.take_while(|entry| !reconfigures(&entry.item)).last().map(|entry| entry.at) {
                Some(upto) => self.commit(core, upto, out),
                None => self.reconfigure(core, out)?,
            }
            self.reads_on(core, out);
        }
        Ok(())
    }

    fn commit(&self, core: &mut Core, upto: Zxid, out: &mut Vec<Output>) {
        let (undecided, _) = core.history.undecided().size_hint();
        let mut commits = Vec::with_capacity(undecided * PACKET_SIZE_MIN);
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
    }

    /// Decides the next entry, which changes the configuration.
    fn reconfigure(&self, core: &mut Core, out: &mut Vec<Output>) -> Result<(), Lost> {
        let Some(entry) = core.history.undecided().next() else { return Ok(()) };
        let (at, item) = (entry.at, entry.item.clone());
        let designated = core.designated(&item, &self.best(at));
        let designated_leader = sid(designated);
        let (mut commits, mut informs) = (Vec::new(), Vec::new());
        put_packet_with_data(&mut commits, PacketKind::CommitAndActivate, at.0, |data| {
            Activation { designated_leader, txn: &[] }.encode(data);
        });
        put_packet_with_data(&mut informs, PacketKind::InformAndActivate, at.0, |data| {
            Activation { designated_leader, txn: &item }.encode(data);
        });
        self.send_all(commits, |observes| !observes, out);
        self.send_all(informs, |observes| observes, out);
        core.commit_next(at, out);
        if designated == core.me {
            return Ok(());
        }
        core.designate(designated_leader);
        Err(format!("by the new configuration {designated_leader} leads"))
    }

    /// Learners that have the entry on their disks, those with the longest history first.
    pub(super) fn best(&self, at: Zxid) -> Vec<NodeId> {
        let have = self.learners.values().filter(|l| l.counts() && l.acknowledged >= at);
        let mut best: Vec<(Zxid, NodeId)> = have.map(|l| (l.acknowledged, l.node)).collect();
        best.sort_unstable();
        best.into_iter().rev().map(|(_, node)| node).collect()
    }

    /// The last place that a quorum has on its disks with all that is before it.
    fn decidable(&self, core: &Core) -> Option<Zxid> {
        let mut places = vec![(core.history.synced(), core.me)];
        for learner in self.learners.values().filter(|learner| learner.counts()) {
            places.push((learner.acknowledged, learner.node));
        }
        core.ensemble.reached(places).map(|at| at.min(core.history.last()))
    }

    /// This member's own disk is one of the quorum.
    ///
    /// # Errors
    /// As [`Leading::decide`].
    pub(crate) fn durable(
        &mut self,
        core: &mut Core,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Result<(), Lost> {
        self.agree(core, now, out);
        self.establish(core, out);
        self.decide(core, out)
    }
}
