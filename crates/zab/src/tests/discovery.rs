//! Discovery: how an epoch is agreed on, and what happens when it is not.

use super::room::{Room, ensemble_text};
use super::{at, ms, z};
use crate::{ELECTION, QUORUM, Role};
use wire::quorum::PacketKind;
use wire::quorum::ServerState::Looking;

#[test]
fn scenario_03_the_longest_history_comes_too_late_and_is_cut() {
    let mut room = Room::empty(&ensemble_text(3, 0));
    room.give(1, (1, 1), &[(z(1, 1), "a")]);
    room.give(2, (1, 1), &[(z(1, 1), "a")]);
    room.give(3, (1, 1), &[(z(1, 1), "a"), (z(1, 2), "late")]);
    room.restart(1);
    room.restart(2);
    assert_eq!(room.elect(), 2);
    room.restart(3);
    assert_eq!(room.elect(), 2, "the leader stays");
    room.all_have(&["a"]);
    assert_eq!(room.on_disk(3), ["a"]);
}

#[test]
fn scenario_04_a_leader_without_a_quorum_gives_way_to_a_longer_history() {
    let mut room = Room::empty(&ensemble_text(3, 0));
    room.give(1, (1, 1), &[(z(1, 1), "a")]);
    room.give(2, (1, 1), &[(z(1, 1), "a")]);
    room.give(3, (1, 1), &[(z(1, 1), "a"), (z(1, 2), "b")]);
    room.hold(1, 2, QUORUM);
    room.restart(1);
    room.restart(2);
    room.run(ms(300));
    assert_eq!(room.status(2).role, Role::Leading);
    room.restart(3);
    assert_eq!(room.elect(), 3);
    room.all_have(&["a", "b"]);
}

#[test]
fn scenario_04_a_follower_that_is_ahead_is_refused() {
    let mut room = led_by_3();
    let link = room.learner(1, 3, PacketKind::FollowerInfo);
    room.promise(1, link, 1, z(1, 1));
    assert!(!room.connected(1, link));
    assert_eq!(room.lost(3), ["1: it is ahead: 0x1 and 0x100000001 against 0x0 and 0x0"]);
}

/// A real member 3 that peers 1 and 2 elected.
fn led_by_3() -> Room {
    let mut room = Room::empty(&ensemble_text(3, 0));
    room.play(1);
    room.play(2);
    room.restart(3);
    room.flow();
    room.support(1, 3);
    assert_eq!(room.status(3).role, Role::Leading);
    room
}

#[test]
fn scenario_14_a_leader_whose_voter_follows_another_looks_again() {
    let mut room = led_by_3();
    room.run(ms(19_000));
    assert_eq!(room.status(3).role, Role::Leading);
    room.run(ms(2_000));
    assert_eq!(room.status(3).role, Role::Looking, "no quorum came in time");
    assert_eq!(room.marks(3).accepted_epoch, 0, "and no epoch was used up");
}

/// Whoever is elected may wait for a better vote as long as that, and whoever elects as well.
/// Seed 38433 of the simulator's engines.
#[test]
fn who_decided_waits_for_those_who_still_wait_for_a_better_vote() {
    let mut room = led_by_3();
    room.run(ms(20_100));
    assert_eq!(room.status(3).role, Role::Leading);

    let mut room = Room::empty(&ensemble_text(3, 0));
    [2, 3].into_iter().for_each(|id| room.play(id));
    room.restart(1);
    room.flow();
    let [two, three] = [2, 3].map(|id| room.open(id, 1));
    room.vote(2, two, Looking, (3, 0, 0, 1));
    room.vote(3, three, Looking, (3, 0, 0, 1));
    room.run(ms(300));
    assert_eq!(room.status(1).role, Role::Following);
    room.run(ms(19_800));
    assert_eq!(room.status(1).role, Role::Following);
    room.run(ms(200));
    assert_eq!(room.status(1).role, Role::Looking, "nothing was heard of the leader");
}

#[test]
fn scenario_15_a_promised_epoch_is_not_used_again_when_its_leader_dies() {
    let mut room = Room::empty(&ensemble_text(3, 0));
    room.hold_disk(3);
    room.start_all();
    room.run(ms(300));
    room.hold(1, 3, QUORUM);
    room.hold(2, 3, QUORUM);
    room.release_disk(3);
    assert_eq!([1, 2, 3].map(|id| room.epochs(id)), [(1, 0); 3], "all promised");
    room.crash(3);
    assert_eq!(room.elect(), 2);
    assert_eq!(room.epochs(2), (2, 2));
}

#[test]
fn scenario_16_who_installed_the_epoch_of_a_dead_leader_wins() {
    let mut room = Room::empty(&ensemble_text(3, 0));
    for id in 1..=2 {
        room.give(id, (1, 1), &[(z(1, 1), "a")]);
    }
    room.give(3, (1, 1), &[(z(1, 1), "a"), (z(1, 2), "b")]);
    room.hold(2, 3, QUORUM);
    room.hold_disk(1);
    room.start_all();
    room.run(ms(300));
    room.sync_disk(1, 1);
    assert_eq!(room.epochs(1), (2, 1), "it promised");
    room.hold(1, 3, QUORUM);
    room.release_disk(1);
    assert_eq!(room.epochs(1), (2, 2), "and has the history");
    room.crash(3);
    room.run(ms(12_000));
    assert_eq!(room.elect(), 1);
    assert_eq!(room.marks(1).current_epoch, 3);
    room.all_have(&["a", "b"]);
}

#[test]
fn scenario_17_who_promised_the_epoch_before_is_synchronized_and_not_counted() {
    let mut room = Room::empty(&ensemble_text(3, 0));
    room.give(1, (1, 0), &[]);
    room.restart(2);
    room.restart(3);
    room.elect();
    room.restart(1);
    room.elect();
    assert_eq!(room.epochs(1), (1, 1));
    let text = room.transcript.take().join("\n");
    assert!(text.contains("1 -> 3  ACKEPOCH current=(promised before) last=0x0"), "{text}");

    let mut room = led_by_3();
    let link = room.learner(1, 3, PacketKind::FollowerInfo);
    let minus_one = (-1_i32).to_be_bytes();
    room.say(1, link, &super::room::packet(PacketKind::AckEpoch, 0, Some(&minus_one)));
    assert_eq!(room.heard(1, link), [(PacketKind::LeaderInfo, at(1, 0))], "no promise: no quorum");
}

#[test]
fn scenario_18_who_promised_a_later_epoch_refuses_the_leader_until_there_is_a_later_one() {
    let mut room = Room::empty(&ensemble_text(3, 0));
    room.give(1, (9, 0), &[]);
    room.restart(2);
    room.restart(3);
    room.elect();
    room.propose(3, &["a"]);
    room.restart(1);
    room.elect();
    let refusals = room.refusals(1);
    let reason = "its epoch 0x1 is older than the promised 0x9";
    assert!(refusals.iter().any(|refusal| refusal == reason), "{refusals:?}");
    assert_eq!(room.epochs(1), (10, 10), "at once, and not epoch by epoch");
    room.all_have(&["a"]);
}

#[test]
fn scenario_19_a_leader_that_comes_back_takes_a_larger_epoch() {
    let mut room = Room::empty(&ensemble_text(3, 0));
    room.hold(3, 1, QUORUM);
    room.hold(3, 2, QUORUM);
    room.start_all();
    room.run(ms(300));
    assert_eq!([1, 2, 3].map(|id| room.epochs(id).0), [0, 0, 1]);
    room.part(1, 2); // they wait for 3
    room.crash(3);
    room.restart(3);
    room.heal();
    assert_eq!(room.elect(), 3);
    assert_eq!(room.epochs(3), (2, 2));
}

/// Two real members, 4 and 5, which both lead: peers 1 to 3 voted for both.
fn two_leaders() -> Room {
    let mut room = Room::empty(&ensemble_text(5, 0));
    (1..=3).for_each(|id| room.play(id));
    room.part(4, 5);
    for leader in [4, 5] {
        room.restart(leader);
        room.flow();
        room.support(1, leader);
        room.support(2, leader);
        room.run(ms(300));
        assert_eq!(room.status(leader).role, Role::Leading);
    }
    room
}

#[test]
fn scenario_20_of_two_leaders_with_disjoint_minorities_none_is_established() {
    let mut room = two_leaders();
    for (peer, leader) in [(1, 4), (2, 5)] {
        room.learner(peer, leader, PacketKind::FollowerInfo);
    }
    room.run(ms(25_000));
    assert_eq!([4, 5].map(|id| room.status(id).role), [Role::Looking; 2]);
}

#[test]
fn scenario_21_a_member_between_two_leaders_establishes_the_second() {
    let mut room = two_leaders();
    let one = room.learner(1, 4, PacketKind::FollowerInfo);
    let three = room.learner(3, 4, PacketKind::FollowerInfo);
    for (id, link) in [(1, one), (3, three)] {
        room.promise(id, link, 0, 0);
    }
    room.ack(1, one, z(1, 0));
    room.hang_up(3, three);
    let two = room.learner(2, 5, PacketKind::FollowerInfo);
    let three = room.call(3, 5, QUORUM);
    let mut data = Vec::new();
    jute::Encode::encode(&wire::quorum::LearnerInfo::new(3, 0), &mut data);
    let info = super::room::packet(PacketKind::FollowerInfo, z(1, 0), Some(&data));
    room.say(3, three, &info);
    for (id, link) in [(2, two), (3, three)] {
        assert_eq!(room.heard(id, link), [(PacketKind::LeaderInfo, at(2, 0))]);
        room.promise(id, link, 0, 0);
    }
    room.ack(2, two, z(2, 0));
    room.ack(3, three, z(2, 0));
    assert_eq!(room.leaders(), [5]);
}

#[test]
fn scenario_22_a_late_follower_does_not_change_the_epoch() {
    let mut room = Room::empty(&ensemble_text(3, 0));
    room.give(3, (4, 4), &[]);
    room.restart(2);
    room.restart(3);
    room.elect();
    room.restart(1);
    room.elect();
    assert_eq!([1, 2, 3].map(|id| room.epochs(id)), [(5, 5); 3]);
}

/// A member that one of two played voters has elected, and that nobody follows.
fn followed_by_nobody(wait: Option<u64>) -> (Room, [broadcast::LinkId; 2]) {
    let mut room = Room::empty(&ensemble_text(3, 0));
    room.setup.limits.disloyal_wait = wait.map(ms);
    [1, 2].into_iter().for_each(|id| room.play(id));
    room.start_all();
    room.flow();
    let links = [1, 2].map(|id| room.link_to(id, ELECTION));
    room.vote(1, links[0], Looking, (3, 0, 0, 1));
    room.until("it leads", |room| room.status(3).role == Role::Leading);
    (room, links)
}

#[test]
fn disloyal_voter_a_leader_gives_up_when_who_elected_it_looks_again() {
    let stepped_down = |room: &Room| room.count(3, "leading no more");
    let (mut room, [one, two]) = followed_by_nobody(Some(300));
    room.vote(1, one, Looking, (1, 0, 0, 2));
    assert_eq!(stepped_down(&room), 0, "not before its time");
    room.run(ms(400));
    room.vote(2, two, Looking, (2, 0, 0, 2));
    assert_eq!(stepped_down(&room), 0, "this one has not elected it");
    room.vote(1, one, Looking, (1, 0, 0, 3));
    assert_eq!((stepped_down(&room), room.count(3, "a voter that elected")), (1, 1));
    assert_eq!(room.status(3).role, Role::Looking);
}

#[test]
fn by_default_a_leader_waits_for_a_quorum_whoever_looks_again() {
    let (mut room, [one, _]) = followed_by_nobody(None);
    room.run(ms(400));
    room.vote(1, one, Looking, (1, 0, 0, 2));
    assert_eq!(room.status(3).role, Role::Leading);
}
