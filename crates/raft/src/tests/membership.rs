//! Changes of the members.

use super::room::{Room, ms};
use crate::Role;
use base::NodeId;
use broadcast::{Decision, Refusal};

fn voters(room: &Room, id: u64) -> Vec<u64> {
    room.status(id).configuration.voters().map(|node| node.0).collect()
}

#[test]
fn scenarios_84_85_voters_are_added_through_a_joint_configuration() {
    let mut room = Room::of(3);
    room.elect_one(1);
    room.propose(1, &["a"]);
    for id in [4, 5] {
        room.setup.initial = super::room::members(&[1, 2, 3], &[]);
        room.start(id);
    }
    room.propose(1, &["members 1,2,3,4,5 "]);
    room.run(ms(3_000));
    for id in 1..=5 {
        assert_eq!(voters(&room, id), [1, 2, 3, 4, 5], "as {id} knows");
        assert!(!room.status(id).configuration.is_joint());
        assert_eq!(room.state(id).len(), 2);
    }
    [1, 2].into_iter().for_each(|id| room.crash(id));
    let leader = room.lead();
    room.propose(leader, &["b"]);
    room.run(ms(500));
    assert_eq!(room.state(5).len(), 3, "3, 4 and 5 are a quorum");
}

#[test]
fn a_joint_configuration_takes_both_majorities() {
    let mut room = Room::empty(&[1, 2, 3], &[]);
    (1..=3).for_each(|id| room.start(id));
    room.elect_one(1);
    // 4 and 5 do not run: the new half has no majority.
    room.propose(1, &["members 1,4,5 "]);
    room.propose(1, &["b"]);
    room.run(ms(500));
    assert!(room.state(1).is_empty(), "two of three of the old half are not enough");
    assert!(room.status(1).configuration.is_joint());
    room.run(ms(5_000));
    assert_eq!(room.primary(), None, "and it cannot lead without the new half");
    for id in [4, 5] {
        room.start(id);
    }
    let leader = room.lead();
    room.run(ms(3_000));
    assert_eq!(voters(&room, leader), [1, 4, 5]);
    assert_eq!(room.state(4), ["members 1,4,5 ", "b"], "what was proposed survives");
}

#[test]
fn scenario_88_one_change_at_a_time() {
    let mut room = Room::of(3);
    room.elect_one(1);
    [2, 3].into_iter().for_each(|id| room.hold_disk(id));
    room.propose(1, &["members 1,2 "]);
    assert!(!room.members[&1].engine.may_reconfigure());
    let contexts = room.propose(1, &["members 1,3 "]);
    let refused = Some(Some(Decision::Rejected(Refusal::Reconfiguring)));
    assert_eq!(room.outcome(1, contexts[0]), refused);
    [2, 3].into_iter().for_each(|id| room.release_disk(id));
    room.run(ms(500));
    assert_eq!(voters(&room, 1), [1, 2]);
    assert!(room.members[&1].engine.may_reconfigure());
}

#[test]
fn scenarios_86_87_a_leader_that_is_removed_hands_over() {
    let mut room = Room::of(3);
    room.elect_one(1);
    room.propose(1, &["members 2,3 "]);
    room.run(ms(300));
    let leader = room.primary().expect("it took no time-out");
    assert!(leader != 1);
    room.propose(leader, &["b"]);
    room.run(ms(5_000));
    assert_eq!(room.state(leader).len(), 2);
    assert_eq!(room.primary(), Some(leader), "the old one disturbs nobody");
    assert_eq!(room.state(1).len(), 1, "and is told no more");
}

#[test]
fn scenario_92_a_removal_shrinks_the_quorum() {
    let mut room = Room::of(4);
    room.elect_one(1);
    [3, 4].into_iter().for_each(|id| room.crash(id));
    room.propose(1, &["a"]);
    assert!(room.state(1).is_empty(), "two of four");
    room.start(3);
    room.run(ms(1_000));
    let leader = room.lead();
    room.propose(leader, &["members 1,2,3 "]);
    room.run(ms(500));
    let other = if leader == 3 { 2 } else { 3 };
    room.crash(other);
    room.propose(leader, &["b"]);
    assert_eq!(room.state(leader).last().map(String::as_str), Some("b"), "two of three");
}

#[test]
fn scenario_91_learners_come_are_promoted_and_go() {
    let mut room = Room::of(1);
    room.elect();
    room.propose(1, &["a"]);
    room.start(2);
    room.propose(1, &["members 1 2"]);
    room.run(ms(1_000));
    assert_eq!(room.state(2).len(), 2);
    room.crash(2);
    room.propose(1, &["b"]);
    assert_eq!(room.state(1).len(), 3, "a learner does not count");
    room.start(2);
    room.run(ms(1_000));
    room.propose(1, &["members 1,2 "]);
    room.run(ms(500));
    room.hold_disk(2);
    room.propose(1, &["c"]);
    assert_eq!(room.state(1).len(), 4, "a voter does");
    room.release_disk(2);
    room.propose(1, &["members 2 "]);
    room.run(ms(3_000));
    assert_eq!(room.primary(), Some(2), "scenario 16: it can lead now");
    assert_eq!(room.state(2).len(), 6);
}

#[test]
fn a_change_that_is_cut_takes_its_configuration_with_it() {
    let mut room = Room::of(3);
    room.elect_one(1);
    room.isolate(1);
    room.propose(1, &["members 1 "]);
    assert!(room.status(1).configuration.is_joint(), "it counts from the log on");
    room.until("another one leads", |room| room.primary().is_some_and(|id| id != 1));
    let leader = room.primary().expect("it was seen");
    room.propose(leader, &["b"]);
    room.heal_anew();
    room.elect();
    room.run(ms(500));
    assert_eq!(voters(&room, 1), [1, 2, 3]);
    assert!(room.status(1).configuration.is_voter(NodeId(3)));
    room.assert_all(&["b"]);
}

#[test]
fn scenario_90_who_is_named_again_changes_nothing() {
    let mut room = Room::of(3);
    room.elect_one(1);
    room.propose_only(1, &["members 1,2,3 "]);
    assert!(!room.status(1).configuration.is_joint());
    room.run(ms(300));
    assert!(room.members[&1].engine.may_reconfigure());
    room.propose(1, &["members 1,2 "]);
    room.propose(1, &["members 1,2 "]);
    room.run(ms(300));
    assert_eq!(voters(&room, 1), [1, 2]);
    assert_eq!(room.state(2).len(), 3);
}

#[test]
fn scenario_94_who_is_new_counts_as_heard() {
    let mut room = Room::of(1);
    room.elect();
    room.run(ms(5_000));
    room.propose(1, &["members 1,2,3 "]);
    room.run(ms(500));
    assert_eq!(room.role(1), Role::Leader, "they have had no time to answer");
    room.run(ms(1_000));
    assert!(room.role(1) != Role::Leader, "and by now they should have");
}

#[test]
fn scenarios_97_110_what_a_removed_member_writes_late_means_nothing() {
    let mut room = Room::of(3);
    room.elect_one(1);
    room.hold_disk(3);
    room.propose(1, &["a"]);
    room.propose(1, &["members 1,2 "]);
    room.run(ms(300));
    assert_eq!(voters(&room, 1), [1, 2]);
    room.release_disk(3);
    room.run(ms(5_000));
    assert_eq!(room.primary(), Some(1));
    room.hold_disk(2);
    room.propose(1, &["b"]);
    assert_eq!(room.state(1).len(), 2, "3 does not count, 2 is slow");
    room.release_disk(2);
    assert_eq!(room.state(1).len(), 3);
}

#[test]
fn scenario_93_a_new_leader_ends_the_change_that_it_finds() {
    let mut room = Room::of(3);
    room.elect_one(1);
    room.propose_only(1, &["members 1,2 "]);
    [2, 3].into_iter().for_each(|id| room.hold_disk(id));
    room.flow();
    [2, 3].into_iter().for_each(|id| room.sync(id, usize::MAX));
    room.crash(1);
    [2, 3].into_iter().for_each(|id| room.release_disk(id));
    room.run(ms(5_000));
    assert_eq!(room.primary(), None, "2 and 3 are no majority of 1 and 2");
    room.start(1);
    room.lead();
    room.run(ms(3_000));
    for id in [1, 2] {
        assert_eq!(voters(&room, id), [1, 2]);
    }
}
