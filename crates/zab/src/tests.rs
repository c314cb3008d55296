//! Whole ensembles of engines in one room: links that never fail and disks that are quick, unless
//! a test says otherwise.

mod room;

use room::Room;

#[test]
fn three_members_elect_the_largest_id_and_take_proposals() {
    let mut room = Room::of(3);
    room.settle();
    let leader = room.leader().expect("an established leader");
    assert_eq!(leader, 3, "same histories: the id decides");
    room.propose(leader, 5);
    room.settle();
    for node in 1..=3 {
        assert_eq!(room.delivered(node).len(), 5, "member {node}");
    }
}

#[test]
fn the_others_go_on_when_the_leader_crashes() {
    let mut room = Room::of(3);
    room.settle();
    room.propose(3, 2);
    room.settle();
    room.crash(3);
    let crashed = room.now();
    while room.leader().is_none() {
        room.step();
    }
    assert_eq!(room.now(), crashed, "who is out of reach is not waited for");
    room.settle();
    let leader = room.leader().expect("another leader");
    assert_eq!(leader, 2);
    room.propose(leader, 2);
    room.settle();
    assert_eq!(room.delivered(1).len(), 4);
    room.restart(3);
    room.settle();
    assert_eq!(room.leader(), Some(2), "the leader stays");
    assert_eq!(room.delivered(3).len(), 4, "the one that came back has caught up");
    room.propose(2, 1);
    room.settle();
    assert_eq!(room.delivered(3).len(), 5);
}

#[test]
fn a_minority_serves_nobody() {
    let mut room = Room::of(3);
    room.settle();
    room.crash(1);
    room.crash(2);
    room.settle();
    assert_eq!(room.leader(), None);
    room.restart(1);
    room.settle();
    assert_eq!(room.leader(), Some(3));
}

#[test]
fn one_member_alone_is_a_quorum_of_itself() {
    let mut room = Room::of(1);
    room.settle();
    room.propose(1, 3);
    room.settle();
    assert_eq!(room.delivered(1).len(), 3);
}
