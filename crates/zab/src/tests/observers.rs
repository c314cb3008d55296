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
