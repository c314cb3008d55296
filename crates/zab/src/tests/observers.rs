//! Observers: they learn what is decided, and count for nothing.

use super::room::{Room, ensemble_text};
use super::{ms, z};
use crate::Role;
use trace::SyncMethod;
use wire::quorum::PacketKind;

fn with_observer(voters: u64) -> Room {
    let mut room = Room::empty(&ensemble_text(voters, 1));
    room.start_all();
    room.elect();
    room
}

#[test]
fn scenario_68_an_observer_does_not_replace_a_participant() {
    let mut room = with_observer(2);
    room.propose(2, &["a"]);
    room.all_have(&["a"]);
    assert_eq!(room.status(3).role, Role::Observing);
    room.crash(1);
    room.settle();
    assert_eq!(room.leader(), None);
    room.restart(1);
    room.elect();
    room.all_have(&["a"]);
}

#[test]
fn scenario_69_an_observer_that_has_more_than_the_leader_is_cut() {
    let mut room = Room::empty(&ensemble_text(2, 1));
    for id in [1, 2] {
        room.give(id, (1, 1), &[(z(1, 1), "a")]);
    }
    room.give(3, (1, 1), &[(z(1, 1), "a"), (z(1, 2), "void")]);
    room.start_all();
    assert_eq!(room.elect(), 2);
    assert_eq!(room.method(2, 3), Some(SyncMethod::Trunc));
    room.all_have(&["a"]);
}

#[test]
fn an_observer_gets_what_is_decided_and_acknowledges_nothing() {
    let mut room = with_observer(3);
    room.transcript.take();
    room.propose(3, &["a"]);
    let text = room.transcript.take().join("\n");
    assert!(text.contains("3 -> 4  INFORM 0x100000001 \"a\""), "{text}");
    assert!(!text.contains("4 -> 3"), "{text}");
    assert!(!text.contains("3 -> 4  PROPOSAL"), "{text}");
}

#[test]
fn an_observer_catches_up_by_proposals_and_commits() {
    let mut room = with_observer(3);
    room.crash(4);
    room.propose(3, &["a", "b"]);
    room.restart(4);
    room.elect();
    room.all_have(&["a", "b"]);
    assert_eq!(room.status(3).observers.len(), 1);
}

#[test]
fn an_observer_that_acknowledges_is_closed() {
    let mut room = Room::empty(&ensemble_text(2, 1));
    room.play(3);
    room.start_all();
    room.elect();
    room.propose(2, &["a"]);
    let link = room.learner(3, 2, PacketKind::ObserverInfo);
    room.promise(3, link, 0, 0);
    room.ack(3, link, z(1, 0));
    room.ack(3, link, z(1, 1));
    assert!(!room.connected(3, link));
    assert_eq!(room.lost(2), ["3: an observer acknowledged 0x100000001"]);
}

#[test]
fn an_observer_is_no_reason_to_go_on_leading() {
    let mut room = with_observer(3);
    room.isolate(3);
    room.until("the others have another", |room| room.leaders() == [2]);
    room.heal();
    room.run(ms(100));
    room.elect();
}

/// Two observers that the test plays have come to the last of three voters, which sends one state at
/// a time and nothing else.
fn two_want_a_state() -> (Room, [broadcast::LinkId; 2]) {
    let mut room = Room::empty(&ensemble_text(3, 2));
    room.setup.limits.force_snapshot = true;
    room.setup.limits.snapshots_max = 1;
    [4, 5].into_iter().for_each(|id| room.play(id));
    room.start_all();
    room.elect();
    room.propose(3, &["a"]);
    let links = [4, 5].map(|id| {
        let link = room.learner(id, 3, PacketKind::ObserverInfo);
        room.promise(id, link, 0, 0);
        link
    });
    (room, links)
}

#[test]
fn an_observer_waits_for_its_turn_to_get_a_state() {
    let (mut room, [first, _]) = two_want_a_state();
    assert_eq!((room.method(3, 4), room.method(3, 5)), (Some(SyncMethod::Snap), None));
    room.ack(4, first, z(1, 0));
    assert_eq!(room.method(3, 5), Some(SyncMethod::Snap));
}

#[test]
fn an_observer_that_leaves_makes_room_for_the_next() {
    let (mut room, _) = two_want_a_state();
    room.isolate(4);
    room.flow();
    assert_eq!(room.method(3, 5), Some(SyncMethod::Snap));
}

#[test]
fn a_follower_does_not_wait_for_its_turn() {
    let (mut room, _) = two_want_a_state();
    room.crash(1);
    room.restart(1);
    room.until("the follower is back", |room| room.follows(1, Some(3)));
    assert_eq!((room.method(3, 1), room.method(3, 5)), (Some(SyncMethod::Snap), None));
}
