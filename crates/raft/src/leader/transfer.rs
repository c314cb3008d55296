//! Leadership transfer: the service rests, the target is brought up to date and told to stand for
//! election at once; after an election timeout this leader goes on. It has no leases any more: the
//! target may hear of it later yet.
//!
//! Source: dissertation, section 3.10.

use super::Leader;
use crate::core::{Core, Timer};
use crate::engine::{Raft, Role};
use crate::frames::Message;
use base::{Lsn, NodeId, Time};
use broadcast::{Output, View};

/// A transfer under way.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Transfer {
    to: NodeId,
    /// Whether the target was told.
    is_told: bool,
}

impl Transfer {
    pub(super) fn node(&self) -> NodeId {
        self.to
    }
}

impl Raft {
    /// The service asks that another member leads; nothing comes of it unless that can.
    pub(crate) fn transfer(&mut self, to: NodeId, now: Time, out: &mut Vec<Output>) {
        let Role::Leader(leader) = &mut self.role else { return };
        let core = &mut self.core;
        let votes = core.log.configuration().1.voters().any(|voter| voter == to);
        let is_same = leader.transfer.is_some_and(|transfer| transfer.to == to);
        if to == core.me() || !votes || is_same {
            return;
        }
        leader.transfer = Some(Transfer { to, is_told: false });
        leader.is_primary = false;
        core.log.forget_contexts();
        core.say(View::Apart, out);
        core.timers.set(Timer::Transfer, now + core.config.limits.election_timeout);
    }

    /// The target did not take over.
    pub(crate) fn transfer_due(&mut self) {
        if let Role::Leader(leader) = &mut self.role {
            leader.end_transfer(&mut self.core);
        }
    }
}

impl Raft {
    /// Behind a transfer that came to nothing: letters that came meanwhile are lost, and those who
    /// wrote them learn it by the loss of their links.
    pub(super) fn part_if_must(&mut self, now: Time, out: &mut Vec<Output>) {
        let Role::Leader(leader) = &mut self.role else { return };
        if !std::mem::take(&mut leader.must_part) {
            return;
        }
        let nodes: Vec<NodeId> = leader.peers.keys().copied().collect();
        for node in nodes {
            if let Some(link) = self.core.links.to(node) {
                self.refuse(link, "leadership was not handed over".to_owned(), now, out);
            }
        }
    }
}

impl Leader {
    pub(super) fn end_transfer(&mut self, core: &mut Core) {
        self.transfer = None;
        self.must_part = true;
        core.timers.clear(Timer::Transfer);
    }

    pub(super) fn settle_transfer(&mut self, core: &mut Core, out: &mut Vec<Output>) {
        let Some(transfer) = self.transfer.as_mut().filter(|transfer| !transfer.is_told) else {
            return;
        };
        let is_level = |matched: u64| matched == core.log.last_index();
        let Some(link) = core.links.to(transfer.to) else { return };
        if self.peers.get(&transfer.to).is_some_and(|progress| is_level(progress.matched)) {
            transfer.is_told = true;
            self.has_let_go = true;
            let message = Message::TimeoutNow { term: core.term };
            core.links.send(link, &message, Lsn::ZERO, out);
        }
    }
}
