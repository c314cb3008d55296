//! What the judge knows of configurations: which was in force where, and who decides in it.

use crate::engines::change::Members;
use crate::engines::history::Chain;
use crate::engines::judge::{Change, Judge, Step, violated};
use crate::engines::quorums::Quorums;
use base::NodeId;

impl Judge {
    /// This entry makes these the members.
    pub(crate) fn changes(&mut self, chain: Chain, members: &Members) {
        let Some(entry) = self.entries.get_mut(&chain) else { return };
        if entry.configuration == chain {
            return;
        }
        let before = std::mem::replace(&mut entry.configuration, chain);
        let votes = |index: &usize| members.voters.contains(&self.nodes[*index]);
        let quorums = Quorums::majorities((0..self.nodes.len()).filter(votes));
        self.changes.insert(chain, Change { members: members.clone(), quorums, before });
    }

    /// What is in force at the end of a history.
    pub(super) fn configuration(&self, chain: Chain) -> &Change {
        let last = self.entries.get(&chain).map_or(Chain::ROOT, |entry| entry.configuration);
        &self.changes[&last]
    }

    /// I16: what is decided to change the members is durable at a quorum of those before, too.
    pub(super) fn judge_change(&self, chain: Chain) -> Step {
        let Some(change) = self.changes.get(&chain) else { return Ok(()) };
        let depth = self.entries[&chain].depth;
        let holds =
            |member: usize| self.lost[member] || self.position(self.holdings[member].tip) >= depth;
        if self.changes[&change.before].quorums.is_quorum(holds) {
            return Ok(());
        }
        let evidence = format!("{} is decided without those before", self.describe(chain));
        violated("I16 a change takes a quorum of both configurations", evidence)
    }

    /// How many changes of the members are decided.
    pub(crate) fn decided_changes(&self) -> u64 {
        self.order.iter().filter(|chain| self.changes.contains_key(chain)).count() as u64
    }

    /// Who the members are by the last decided change.
    pub(crate) fn members(&self) -> &Members {
        &self.configuration(self.frontier()).members
    }

    /// Whether this is one of them.
    pub(crate) fn is_member(&self, index: usize) -> bool {
        self.members().has(self.nodes[index])
    }

    /// Whether a member has a vote in any configuration that there ever was.
    pub(crate) fn may_have_voted(&self, index: usize) -> bool {
        self.changes.values().any(|change| change.quorums.weighs(index))
    }

    /// Whether those that have a vote are a majority of the voters.
    pub(crate) fn is_able(&self, members: &Members) -> bool {
        let votes = |node: &&NodeId| {
            let index = self.nodes.iter().position(|other| other == *node);
            index.is_some_and(|index| !self.lost[index])
        };
        members.voters.iter().filter(votes).count() * 2 > members.voters.len()
    }

    /// Whether these, without those that have no vote, are a quorum: of what is in force, of what
    /// was before, and of what may still be decided.
    pub(crate) fn can_elect(&self, is_in: impl Fn(usize) -> bool) -> bool {
        let votes = |member: usize| !self.lost[member] && is_in(member);
        let in_force = self.configuration(self.frontier());
        let may_come = self.changes.iter().filter(|(chain, _)| {
            self.entries.get(chain).is_some_and(|entry| entry.depth > self.order.len())
        });
        let changes = may_come.map(|(_, change)| change).chain([in_force]);
        changes.into_iter().all(|change| {
            change.quorums.is_quorum(votes) && self.changes[&change.before].quorums.is_quorum(votes)
        })
    }

    /// A slot of a log of its own, and the history that ends there: the same wherever it is.
    pub(crate) fn slot(&mut self, by: NodeId, slot: (u64, u64), chain: Chain) -> Step {
        let known = *self.slots.entry(slot).or_insert(chain);
        if known == chain {
            return Ok(());
        }
        let ((period, index), other) = (slot, self.describe(known));
        let evidence = format!(
            "slot {index} of {period} ends {other}, and at node {} {}",
            by.0,
            self.describe(chain)
        );
        violated("R3 equal slots have equal histories", evidence)
    }
}
