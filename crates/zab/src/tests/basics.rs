//! The engine at its simplest.

use super::room::Room;

#[test]
fn three_members_elect_the_largest_id_and_take_proposals() {
    let mut room = Room::of(3);
    assert_eq!(room.elect(), 3, "same histories: the id decides");
    room.propose(3, &["a", "b", "c"]);
    room.all_have(&["a", "b", "c"]);
}

#[test]
fn the_others_go_on_when_the_leader_crashes() {
    let mut room = Room::of(3);
    room.elect();
    room.propose(3, &["a", "b"]);
    room.crash(3);
    assert_eq!(room.elect(), 2);
    room.propose(2, &["c", "d"]);
    room.restart(3);
    assert_eq!(room.elect(), 2, "the leader stays");
    room.propose(2, &["e"]);
    room.all_have(&["a", "b", "c", "d", "e"]);
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
    assert_eq!(room.elect(), 3);
}

#[test]
fn one_member_alone_is_a_quorum_of_itself() {
    let mut room = Room::of(1);
    room.elect();
    room.propose(1, &["a", "b"]);
    room.all_have(&["a", "b"]);
}

#[test]
fn frames_may_come_byte_by_byte() {
    let mut room = Room::of(3);
    room.cut_into(1);
    room.elect();
    room.propose(3, &["a", "b"]);
    room.crash(1);
    room.setup.limits.force_snapshot = true;
    room.restart(1);
    room.elect();
    room.all_have(&["a", "b"]);
}
