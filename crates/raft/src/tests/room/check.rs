//! What must always be so. The letters and numbers are those of `docs/protocols/raft.md`.

use super::Room;
use crate::Role;
use crate::frames::{Message, messages};
use crate::log::Payload;
use base::{NodeId, Zxid};
use broadcast::{Item, LinkId};
use bytes::Bytes;
use std::collections::BTreeMap;

/// What has ever been seen.
#[derive(Default)]
pub(super) struct Truth {
    /// Who led which term.
    leaders: BTreeMap<u64, u64>,
    /// What an entry of this index and term is, and the term of the one before it.
    entries: BTreeMap<(u64, u64), (u64, Zxid, Payload)>,
    /// The term of every committed entry, and in which term that was seen first.
    committed: BTreeMap<u64, (u64, u64)>,
    /// What is applied, wherever.
    order: Vec<(Zxid, Item)>,
    /// The term of each leader, and what it had committed when it was looked at last.
    decided: BTreeMap<u64, (u64, u64)>,
    /// The term of each member; behind a restart at least the durable one.
    terms: BTreeMap<u64, u64>,
}

impl Room {
    /// A member goes on with what is durable.
    pub(super) fn started(&mut self, id: u64) {
        let term = self.disks[&id].term();
        self.truth.terms.insert(id, term);
    }

    /// After a step of this member.
    pub(super) fn check(&mut self, id: u64) {
        if self.strangers.contains(&id) {
            return;
        }
        let Some(member) = self.members.get(&id) else { return };
        let status = member.engine.status();
        let core = &member.engine.core;
        assert!(member.fatal.is_none(), "{id}: {:?}", member.fatal);
        assert!(status.committed <= status.last_index, "R6: {status:?}");
        let truth = &mut self.truth;
        let before = truth.terms.insert(id, status.term);
        assert!(before <= Some(status.term), "R10: the term of {id} went back");
        // R3: the same index and term, the same entry and the same term before it.
        let (base, base_term) = core.log.base();
        let mut before = base_term;
        for (index, entry) in (base + 1..).zip(core.log.entries_from(base + 1)) {
            let known = (before, entry.at, entry.payload.clone());
            let key = (index, entry.term);
            let first = truth.entries.entry(key).or_insert_with(|| known.clone());
            assert_eq!(*first, known, "R3: entry {key:?} at {id}");
            before = entry.term;
        }
        // R5, by indexes: what is committed is the same everywhere.
        for index in base.max(1)..=status.committed {
            let term = core.log.term(index).expect("it is in memory, or the base");
            let seen = truth.committed.entry(index).or_insert((term, status.term));
            assert_eq!(seen.0, term, "R5: entry {index} is committed at {id}");
        }
        if status.role == Role::Leader {
            self.check_leader(id, status.term);
        }
    }

    fn check_leader(&mut self, id: u64, term: u64) {
        let first = *self.truth.leaders.entry(term).or_insert(id);
        assert_eq!(first, id, "R1: two members lead term {term}");
        let disk = &self.disks[&id];
        assert!(disk.term() >= term, "R14: {id} leads term {term}, which it could forget");
        let core = &self.members[&id].engine.core;
        let (base, _) = core.log.base();
        for (index, (of, seen)) in self.truth.committed.range(base + 1..) {
            if *seen < term {
                let has = core.log.term(*index);
                assert_eq!(has, Some(*of), "R4: {id} leads term {term} without entry {index}");
            }
        }
        // R9: a quorum has it on its disks.
        let committed = core.log.committed();
        let Some(of) = core.log.term(committed).filter(|of| *of == term) else { return };
        // At the moment of the decision, by the configuration that is in force then.
        if self.truth.decided.insert(id, (term, committed)) == Some((term, committed)) {
            return;
        }
        let configuration = core.log.configuration().1;
        let has = |node: NodeId| self.disks.get(&node.0).is_some_and(|d| d.holds(committed, of));
        let is_played = |node: NodeId| self.played.contains(&node.0);
        let is_durable = configuration.is_quorum(|node| has(node) || is_played(node));
        assert!(is_durable, "R9: {committed} of term {of} is committed at {id}, not durable");
    }

    /// R14: what a frame says of its sender's disk is so.
    pub(super) fn check_claims(&self, from: u64, link: LinkId, frame: &Bytes) {
        let disk = &self.disks[&from];
        let peer = || {
            let (conn, side) = self.net.find(from, link)?;
            Some(NodeId(self.net.conns[&conn][1 - side].node))
        };
        for message in messages(frame) {
            match message {
                Message::VoteResponse { term, pre: false, granted: true } => {
                    assert!(
                        disk.term() >= term,
                        "{from} votes in {term}, durable is {}",
                        disk.term()
                    );
                    let is_vote = disk.term() > term || peer().is_none() || disk.vote() == peer();
                    assert!(is_vote, "{from} votes for {:?}, durable is {:?}", peer(), disk.vote());
                }
                Message::AppendResponse { term, index, hint: None } => {
                    assert!(disk.term() >= term, "{from} acknowledges in {term}, it could forget");
                    let last = disk.last();
                    assert!(last >= index, "{from} acknowledges {index}, durable is {last}");
                }
                Message::HeartbeatResponse { term, .. } => {
                    assert!(disk.term() >= term, "{from} confirms {term}, which it could forget");
                }
                _ => {}
            }
        }
    }

    /// R5: what a member applies is what is applied everywhere.
    pub(super) fn applied(&mut self, id: u64) {
        let state = &self.members[&id].state;
        let order = &mut self.truth.order;
        let both = state.len().min(order.len());
        assert_eq!(state[both.saturating_sub(1)..both], order[both.saturating_sub(1)..both], "R5");
        order.extend_from_slice(&state[both..]);
    }

    /// The last place that is applied anywhere.
    pub(super) fn decided(&self) -> Zxid {
        self.truth.order.last().map_or(Zxid::ZERO, |(at, _)| *at)
    }

    pub(crate) fn order(&self) -> &[(Zxid, Item)] {
        &self.truth.order
    }

    pub(crate) fn led(&self) -> usize {
        self.truth.leaders.len()
    }
}
