//! Who is a quorum.

use base::NodeId;
use sim::engines::{Quorums, Setup};

fn quorums(groups: &[&[(u64, u64)]]) -> Quorums {
    let group =
        |group: &&[(u64, u64)]| group.iter().map(|(id, weight)| (NodeId(*id), *weight)).collect();
    let groups = groups.iter().map(group).collect();
    let voters = (1..=6).map(NodeId).collect();
    Quorums::of(&Setup {
        voters,
        observers: vec![NodeId(7)],
        groups,
        spares: vec![],
        changes: false,
    })
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
