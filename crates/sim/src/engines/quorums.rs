//! Who is a quorum, counted anew: the judge shares nothing with an engine.

use crate::engines::subject::Setup;

/// Groups of voters with their weights, by index of the member: a quorum is more than half of the
/// groups, of each more than half of its weight. Without groups all are one, of weight 1 each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quorums {
    groups: Vec<Vec<(usize, u64)>>,
}

impl Quorums {
    /// Those of an ensemble.
    pub(crate) fn of(setup: &Setup) -> Quorums {
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

    /// Whether those of whom it is true are one.
    pub(crate) fn is_quorum(&self, is_in: impl Fn(usize) -> bool) -> bool {
        let weight = |group: &[(usize, u64)], is_in: &dyn Fn(usize) -> bool| {
            group.iter().filter(|(member, _)| is_in(*member)).map(|(_, weight)| weight).sum::<u64>()
        };
        let won = |group: &&Vec<(usize, u64)>| weight(group, &is_in) * 2 > weight(group, &|_| true);
        self.groups.iter().filter(won).count() * 2 > self.groups.len()
    }

    /// Whether a member has any weight: who has none never leads.
    pub(crate) fn weighs(&self, member: usize) -> bool {
        self.groups.iter().flatten().any(|(with, _)| *with == member)
    }
}

#[cfg(test)]
mod tests {
    use super::Quorums;
    use crate::engines::subject::Setup;
    use base::NodeId;

    fn quorums(groups: &[&[(u64, u64)]]) -> Quorums {
        let group = |group: &&[(u64, u64)]| {
            group.iter().map(|(id, weight)| (NodeId(*id), *weight)).collect()
        };
        let groups = groups.iter().map(group).collect();
        let voters = (1..=6).map(NodeId).collect();
        Quorums::of(&Setup { voters, observers: vec![NodeId(7)], groups })
    }

    #[test]
    fn more_than_half_of_all_without_groups() {
        let quorums = quorums(&[]);
        assert!(quorums.is_quorum(|member| member < 4));
        assert!(!quorums.is_quorum(|member| !(3..=5).contains(&member)));
    }

    #[test]
    fn more_than_half_of_the_groups_that_weigh_anything() {
        let quorums = quorums(&[&[(1, 1), (2, 1)], &[(3, 3), (4, 1)], &[(5, 0), (6, 0)]]);
        assert!(quorums.is_quorum(|member| member < 3));
        assert!(!quorums.is_quorum(|member| member != 2), "4 has a quarter of its group");
        assert!(!quorums.is_quorum(|member| member != 0));
        assert!(quorums.weighs(3) && !quorums.weighs(4));
    }
}
