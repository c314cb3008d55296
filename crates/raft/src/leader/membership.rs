//! Changes of the members, by who leads.
//!
//! An item that names other voters brings a joint configuration as soon as it is in the log; when
//! that is committed the leader ends it by an entry of its own, and when that is committed those
//! that are no members any more are told so and left. A leader that is none of the voters by then
//! hands over. Source: dissertation, section 4.3.

use super::Leader;
use crate::core::Core;
use crate::engine::{Raft, Role};
use crate::frames::Message;
use crate::log::{Entry, Payload};
use crate::progress::Progress;
use base::{Lsn, NodeId, Time};
use broadcast::Output;
use std::sync::Arc;

impl Raft {
    /// Goes on with a change that is under way.
    pub(super) fn settle_membership(&mut self, now: Time, out: &mut Vec<Output>) {
        let Role::Leader(leader) = &mut self.role else { return };
        let core = &mut self.core;
        let (index, configuration) = core.log.configuration();
        let is_committed = index <= core.log.committed();
        if configuration.is_joint() && is_committed && core.log.committed() >= leader.first {
            let next = Payload::Configuration(Arc::new(configuration.leave()));
            let leave = Entry::new(core.term, core.log.last_at(), next);
            core.log.append(leave, &mut core.journal, out);
        }
        leader.follow_members(core, now, out);
    }

    /// Leaves, if this member is none of the voters any more.
    pub(super) fn settle_removal(&mut self, now: Time, out: &mut Vec<Output>) {
        let Role::Leader(leader) = &self.role else { return };
        let core = &mut self.core;
        let (index, configuration) = core.log.configuration();
        if index > core.log.committed() || configuration.is_voter(core.me()) {
            return;
        }
        let voters = leader.peers.iter().filter(|(node, _)| configuration.is_voter(**node));
        let reachable = voters.filter_map(|(node, p)| Some((p.matched, core.links.to(*node)?)));
        if let Some((_, link)) = reachable.max_by_key(|(matched, _)| *matched) {
            let message = Message::TimeoutNow { term: core.term };
            core.links.send(link, &message, Lsn::ZERO, out);
        }
        self.step_down("this member votes no more".to_owned(), now, out);
    }
}

impl Leader {
    fn follow_members(&mut self, core: &mut Core, now: Time, out: &mut Vec<Output>) {
        let (index, configuration) = core.log.configuration();
        let is_committed = index <= core.log.committed();
        let (known, is_settled) = self.members;
        if (known, is_settled) == (index, is_committed) {
            return;
        }
        self.members = (index, is_committed);
        let configuration = Arc::clone(configuration);
        let (me, last) = (core.me(), core.log.last_index());
        if known != index {
            for node in configuration.members().filter(|node| *node != me) {
                self.peers.entry(node).or_insert_with(|| Progress::new(last, now));
            }
        }
        if is_committed {
            let is_gone = |node: &NodeId| !configuration.is_member(*node);
            let gone: Vec<NodeId> = self.peers.keys().copied().filter(is_gone).collect();
            for node in gone {
                self.part(core, node, out);
            }
            if self.transfer.as_ref().is_some_and(|to| !configuration.is_voter(to.node())) {
                self.end_transfer(core);
            }
        }
    }

    /// A last word to a member that is one no more.
    fn part(&mut self, core: &mut Core, node: NodeId, out: &mut Vec<Output>) {
        let Some(progress) = self.peers.remove(&node) else { return };
        if let Some(link) = core.links.to(node) {
            let commit = core.log.committed().min(progress.next - 1);
            let message = Message::Commit { term: core.term, commit };
            core.links.send(link, &message, Lsn::ZERO, out);
        }
    }
}
