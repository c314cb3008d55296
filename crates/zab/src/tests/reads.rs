//! Reads that must see what was proposed, or decided anywhere.

use super::room::{Room, packet};
use super::{at, ms, z};
use crate::QUORUM;
use broadcast::{Decision, ReadLevel, Refusal};
use wire::quorum::PacketKind;

#[test]
fn scenario_76_a_sync_waits_for_what_was_proposed_before_it() {
    let mut room = Room::of(3);
    room.elect();
    [1, 2].into_iter().for_each(|id| room.hold_disk(id));
    room.propose(3, &["a"]);
    let read = room.read(3, ReadLevel::Proposed);
    assert_eq!(room.read_at(3, read), None);
    room.release_disk(1);
    assert_eq!(room.read_at(3, read), Some(at(1, 1)));
}

#[test]
fn scenario_76_a_linearizable_read_takes_a_round_to_a_quorum() {
    let mut room = Room::of(3);
    room.elect();
    room.propose(3, &["a"]);
    [1, 2].into_iter().for_each(|id| room.hold(id, 3, QUORUM));
    let read = room.read(3, ReadLevel::Linearizable);
    assert_eq!(room.read_at(3, read), None);
    room.release(1, 3, QUORUM);
    assert_eq!(room.read_at(3, read), Some(at(1, 1)), "3 and 1 are a quorum");
}

#[test]
fn scenario_76_zk_2136_a_deposed_leader_answers_no_linearizable_read() {
    let mut room = Room::of(3);
    room.elect();
    for follower in [1, 2] {
        room.hold(3, follower, QUORUM);
        room.hold(follower, 3, QUORUM);
    }
    let read = room.read(3, ReadLevel::Linearizable);
    room.run(ms(30_000));
    assert_eq!(room.read_at(3, read), None);
}

#[test]
fn scenario_75_a_read_names_a_place_that_its_reader_waits_for() {
    let mut room = Room::of(3);
    room.elect();
    room.hold_disk(3);
    room.propose(3, &["a"]);
    let read = room.read(3, ReadLevel::Proposed);
    assert_eq!(room.read_at(3, read), Some(at(1, 1)), "decided by 1 and 2");
    assert!(room.state(3).is_empty(), "the reader has to wait until it is applied");
}

#[test]
fn reads_are_answered_in_order_and_share_rounds() {
    let mut room = Room::of(3);
    room.elect();
    let reads: Vec<_> = (0..10).map(|_| room.read(3, ReadLevel::Linearizable)).collect();
    for read in reads {
        assert_eq!(room.read_at(3, read), Some(at(1, 0)));
    }
    let refused = room.read(1, ReadLevel::Linearizable);
    let not_primary = Decision::Rejected(Refusal::NotPrimary);
    assert_eq!(room.outcome(1, refused), Some(not_primary));
}

/// A learner answers no pings before it serves: they are not waited for afterwards.
#[test]
fn a_read_is_quick_after_a_learner_was_pinged_while_it_joined() {
    let mut room = Room::of(3);
    room.elect();
    room.crash(1);
    room.restart(1);
    room.hold_disk(1); // it cannot acknowledge NEWLEADER, and is pinged all the same
    room.run(ms(5_000));
    room.release_disk(1);
    room.elect();
    room.crash(2);
    let read = room.read(3, ReadLevel::Linearizable);
    assert!(room.read_at(3, read).is_some(), "one round");
}

#[test]
fn pings_of_a_leader_are_answered_in_order() {
    let mut room = Room::empty(&super::room::ensemble_text(3, 0));
    room.play(2);
    room.play(3);
    room.restart(1);
    room.flow();
    let link = room.lead(3, 1, 0, 0);
    room.offer(3, link, 1);
    for (kind, zxid) in [(PacketKind::Diff, 0), (PacketKind::NewLeader, z(1, 0))] {
        room.say(3, link, &packet(kind, zxid, None));
    }
    room.say(3, link, &packet(PacketKind::Ping, z(1, 0), None));
    room.say(3, link, &packet(PacketKind::UpToDate, -1, None));
    assert_eq!(room.pings(3, link), 0, "before it serves, like the reference");
    room.say(3, link, &packet(PacketKind::Ping, z(1, 0), None));
    assert_eq!(room.pings(3, link), 1);
}
