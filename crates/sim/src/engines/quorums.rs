//! Who is a quorum, counted anew: the judge shares nothing with an engine.

use crate::engines::subject::Setup;

/// Groups of voters with their weights, by index of the member: a quorum is more than half of the
/// groups, of each more than half of its weight. Without groups all are one, of weight 1 each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorums {
    groups: Vec<Vec<(usize, u64)>>,
}

impl Quorums {
    /// Those of an ensemble.
    pub fn of(setup: &Setup) -> Quorums {
        let members = setup.members();
        let index = |node| members.iter().position(|member| *member == node);
        let group = |group: &Vec<(base::NodeId, u64)>| {
            let weighed = group.iter().filter(|(_, weight)| *weight > 0);
            weighed.filter_map(|(node, weight)| Some((index(*node)?, *weight))).collect()
        };
        let mut groups: Vec<Vec<_>> = setup.groups.iter().map(group).collect();
        if setup.groups.is_empty() {
            groups = vec![(0..setup.voters.len()).map(|member| (member, 1)).collect()];
        }
        groups.retain(|group| !group.is_empty());
        Quorums { groups }
    }

    /// Majorities of these, by index.
    pub(crate) fn majorities(voters: impl Iterator<Item = usize>) -> Quorums {
        Quorums { groups: vec![voters.map(|member| (member, 1)).collect()] }
    }

    /// Whether those of whom it is true are one.
    pub fn is_quorum(&self, is_in: impl Fn(usize) -> bool) -> bool {
        let weight = |group: &[(usize, u64)], is_in: &dyn Fn(usize) -> bool| {
            group.iter().filter(|(member, _)| is_in(*member)).map(|(_, weight)| weight).sum::<u64>()
        };
        let won = |group: &&Vec<(usize, u64)>| weight(group, &is_in) * 2 > weight(group, &|_| true);
        self.groups.iter().filter(won).count() * 2 > self.groups.len()
    }

    /// Whether a member has any weight: who has none never leads.
    pub fn weighs(&self, member: usize) -> bool {
        self.groups.iter().flatten().any(|(with, _)| *with == member)
    }
}
