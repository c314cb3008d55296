//! Changes of the configuration.

use super::room::{Room, ensemble_text, members_text as members, packet};
use super::{at, ms, z};
use crate::{ELECTION, QUORUM, Role};
use broadcast::LinkId;
use jute::Encode;
use trace::SyncMethod;
use wire::quorum::{LearnerInfo, PacketKind, ServerState};

/// An ensemble of `size` whose configuration has its first version.
fn changeable(size: u64) -> Room {
    let mut room = Room::empty(&ensemble_text(size, 0));
    room.setup.reconfig = true;
    room.start_all();
    room.elect();
    room
}

#[test]
fn the_first_epoch_gives_the_configuration_its_first_version() {
    let room = changeable(3);
    for id in 1..=3 {
        assert_eq!(room.version(id), z(1, 0), "member {id}");
    }
}

#[test]
fn scenario_70_a_member_is_added() {
    let mut room = changeable(3);
    room.propose(3, &["a"]);
    room.join(4, &[1, 2, 3]);
    assert!(room.status(4).serving, "as one whose acknowledgements do not count");
    room.reconfigure(3, &members(&[1, 2, 3, 4]));
    room.run(ms(100));
    assert_eq!(room.leader(), Some(3), "the leader stays");
    (1..=4).for_each(|id| assert_eq!(room.version(id), z(1, 2), "member {id}"));
    room.crash(1);
    room.crash(2);
    room.settle();
    assert_eq!(room.leader(), None, "two of four are no quorum");
}

#[test]
fn scenario_70_a_member_is_removed_and_goes_on_without_a_vote() {
    let mut room = changeable(3);
    room.reconfigure(3, &members(&[2, 3]));
    room.propose(3, &["a"]);
    room.run(ms(1_000));
    assert_eq!(room.leader(), Some(3));
    assert!(room.status(1).serving, "it still follows");
    room.crash(2);
    room.settle();
    assert_eq!(room.leader(), None, "1 is no voter");
}

/// Who has a larger id calls, and its configuration does not say where.
#[test]
fn a_member_that_was_removed_says_where_it_is_called_back() {
    let mut room = changeable(3);
    room.reconfigure(3, &members(&[2, 3]));
    room.run(ms(1_000));
    room.isolate(1);
    for id in [2, 3] {
        room.crash(id);
        room.restart(id);
    }
    room.until("3 leads", |room| room.leader() == Some(3));
    room.heal();
    room.until("1 follows again", |room| room.follows(1, Some(3)));
}

#[test]
fn scenario_70_a_leader_that_is_removed_hands_over_without_an_election() {
    let mut room = changeable(3);
    room.propose(3, &["a"]);
    let rounds = [1, 2].map(|id| room.count(id, "looking for a leader"));
    room.reconfigure(3, &members(&[1, 2]));
    room.run(ms(1_000));
    let leader = room.leader().expect("the designated one");
    assert_ne!(leader, 3);
    assert_eq!([1, 2].map(|id| room.count(id, "looking for a leader")), rounds, "no election");
    room.propose(leader, &["b"]);
    room.run(ms(5_000));
    assert_eq!(room.state(1).len(), 3);
    assert!(room.follows(3, Some(leader)), "it follows, and has no vote");
}

#[test]
fn scenario_70_what_is_behind_a_hand_over_is_left_to_the_next_leader() {
    let mut room = changeable(3);
    [1, 2].into_iter().for_each(|id| room.hold(id, 3, QUORUM));
    room.reconfigure(3, &members(&[1, 2]));
    room.propose(3, &["behind"]);
    room.heal();
    room.run(ms(3_000));
    let leader = room.leader().expect("the designated one");
    assert_ne!(leader, 3);
    assert_eq!(room.state(leader)[1..], ["behind"]);
}

#[test]
fn scenario_71_a_change_that_nobody_else_has_is_lost_with_its_leader() {
    let mut room = changeable(3);
    [1, 2].into_iter().for_each(|id| room.hold(3, id, QUORUM));
    room.reconfigure(3, &members(&[2, 3]));
    room.crash(3);
    room.heal();
    let leader = room.elect();
    room.restart(3);
    room.elect();
    room.propose(leader, &["a"]);
    (1..=3).for_each(|id| assert_eq!(room.state(id), ["a"], "member {id}"));
    (1..=3).for_each(|id| assert_eq!(room.version(id), room.version(leader), "member {id}"));
    assert_eq!(room.status(1).role, Role::Following, "still a voter");
}

#[test]
fn scenario_71_a_change_that_a_quorum_has_is_completed() {
    let mut room = changeable(3);
    [1, 2].into_iter().for_each(|id| room.hold(id, 3, QUORUM));
    room.reconfigure(3, &members(&[1, 2]));
    room.crash(3);
    room.heal();
    room.run(ms(5_000));
    let leader = room.leader().expect("one of the new configuration");
    for id in [1, 2] {
        assert_eq!(room.version(id), z(1, 1), "member {id}");
        assert_eq!(room.state(id).len(), 1, "member {id}");
    }
    assert_eq!(leader, 2);
}

#[test]
fn scenario_71_both_quorums_decide_a_change() {
    let mut room = changeable(3);
    for id in [4, 5] {
        room.join(id, &[1, 2, 3]);
    }
    [4, 5].into_iter().for_each(|id| room.hold_disk(id));
    room.reconfigure(3, &members(&[3, 4, 5]));
    room.propose(3, &["behind"]);
    room.run(ms(1_000));
    assert_eq!(room.status(3).committed, at(1, 0), "the old quorum is not enough");
    room.release_disk(4);
    assert_eq!(room.status(3).committed, at(1, 2));
    assert_eq!(room.version(3), z(1, 1));
}

#[test]
fn scenario_73_a_second_change_waits_for_the_first() {
    let mut room = changeable(3);
    [1, 2].into_iter().for_each(|id| room.hold(id, 3, QUORUM));
    room.reconfigure(3, &members(&[2, 3]));
    let second = room.reconfigure(3, &members(&[1, 3]));
    room.heal();
    room.run(ms(1_000));
    let refused = broadcast::Decision::Rejected(broadcast::Refusal::OutOfOrder);
    assert_eq!(room.outcome(3, second), Some(refused));
    assert_eq!(room.version(3), z(1, 1));
}

#[test]
fn scenario_74_a_learner_with_a_later_configuration_is_refused() {
    let mut room = Room::empty(&ensemble_text(3, 0));
    room.setup.reconfig = true;
    room.play(1);
    room.restart(2);
    room.restart(3);
    room.elect();
    let link = room.call(1, 3, QUORUM);
    let mut data = Vec::new();
    LearnerInfo::new(1, z(9, 9)).encode(&mut data);
    room.say(1, link, &packet(PacketKind::FollowerInfo, 0, Some(&data)));
    assert!(!room.connected(1, link));
    assert_eq!(room.refusals(3), ["its configuration 900000009 is later than 100000000"]);
}

#[test]
fn an_observer_becomes_a_participant() {
    let mut room = Room::empty(&ensemble_text(2, 1));
    room.setup.reconfig = true;
    room.start_all();
    room.elect();
    assert_eq!(room.status(3).role, Role::Observing);
    room.reconfigure(2, &members(&[1, 2, 3]));
    room.run(ms(3_000));
    assert_eq!(room.leader(), Some(2));
    assert_eq!((room.status(3).role, room.status(3).serving), (Role::Following, true));
    room.crash(1);
    room.propose(2, &["a"]);
    assert_eq!(room.state(3)[1..], ["a"], "2 and 3 are a quorum");
}

/// Participants 1 and 3 have logged that 2, which observes, takes the place of 1, and nobody knows
/// that it is decided. The two begin anew, and 2 has seen more elections than they have.
#[test]
fn an_observer_votes_if_the_participants_need_it_and_it_does_not_know() {
    let mut room = Room::empty(&format!("{}{}", members(&[1, 3]), observer(2)));
    room.setup.reconfig = true;
    room.start_all();
    assert_eq!(room.elect(), 3);
    room.propose(3, &["a"]);
    room.hold(1, 3, QUORUM);
    room.reconfigure(3, &members(&[2, 3]));
    [1, 3].into_iter().for_each(|id| room.crash(id));
    room.run(ms(1_000));
    let rounds = room.marks(2).round;
    room.heal();
    [1, 3].into_iter().for_each(|id| room.restart(id));
    assert!([1, 3].iter().all(|id| room.knows_next(*id) && room.marks(*id).round < rounds));
    let leader = room.elect();
    assert_eq!((leader, room.epochs(3)), (3, (2, 2)), "it is in both, and leads once");
    (1..=3).for_each(|id| assert_eq!(room.version(id), z(1, 2), "member {id}"));
    room.crash(1);
    room.propose(3, &["b"]);
    assert_eq!(room.state(2)[2..], ["b"], "2 and 3 are a quorum");
}

/// A leader with that change in its log, which an observer has elected that does not know it.
fn led_by_3_with_an_observer() -> (Room, LinkId) {
    let mut room = Room::empty(&format!("{}{}", members(&[1, 3]), observer(2)));
    room.setup.reconfig = true;
    room.start_all();
    assert_eq!(room.elect(), 3);
    room.propose(3, &["a"]);
    room.hold(1, 3, QUORUM);
    room.reconfigure(3, &members(&[2, 3]));
    (1..=3).for_each(|id| room.crash(id));
    room.heal();
    room.play(2);
    room.restart(3);
    room.flow();
    room.support(2, 3);
    room.restart(1);
    let link = room.open(2, 1);
    room.vote(2, link, ServerState::Looking, (3, 1, z(1, 2), 1));
    room.until("it leads", |room| room.status(3).role == Role::Leading);
    let link = room.learner(2, 3, PacketKind::ObserverInfo);
    (room, link)
}

#[test]
fn an_observer_that_lacks_something_is_sent_the_state_before_it_counts() {
    let (mut room, link) = led_by_3_with_an_observer();
    room.promise(2, link, 1, z(1, 1));
    let snap = Some(SyncMethod::Snap);
    assert_eq!(room.method(3, 2), snap, "one of the reference logs a difference later");
    assert_eq!(room.leaders(), [0; 0], "1 alone is no quorum of the next configuration");
    room.ack(2, link, z(2, 0));
    assert_eq!(room.leaders(), [3]);
}

#[test]
fn an_observer_that_has_everything_is_sent_nothing_and_counts() {
    let (mut room, link) = led_by_3_with_an_observer();
    room.promise(2, link, 1, z(1, 2));
    let heard: Vec<PacketKind> = room.heard(2, link).iter().map(|(kind, _)| *kind).collect();
    assert_eq!(heard, [PacketKind::LeaderInfo, PacketKind::Diff, PacketKind::NewLeader]);
    room.ack(2, link, z(2, 0));
    assert_eq!(room.leaders(), [3]);
    room.hang_up(2, link);
    room.run(ms(1_000));
    assert_eq!(room.leaders(), [3], "it comes again as what it is");
    room.run(ms(20_000));
    assert_eq!(room.leaders(), [0; 0], "or it does not");
}

/// All have logged that 3 leaves, and nobody knows that it is decided; 3 is elected once more.
#[test]
fn a_leader_that_completes_its_own_removal_hands_over() {
    let mut room = Room::empty(&format!("{}{}", members(&[1, 2, 3]), observer(4)));
    room.setup.reconfig = true;
    room.start_all();
    assert_eq!(room.elect(), 3);
    [1, 2].into_iter().for_each(|id| room.hold(id, 3, QUORUM));
    room.reconfigure(3, &format!("{}{}", members(&[1, 2]), observer(4)));
    (1..=3).for_each(|id| room.crash(id));
    room.heal();
    room.restart(3);
    [1, 2].into_iter().for_each(|id| room.restart(id));
    room.until("one of the others leads", |room| matches!(room.leader(), Some(1 | 2)));
    assert_eq!(room.count(3, "leading: a quorum"), 1, "it was the best one");
    let reason = "leading no more epoch=0x2 reason=\"by the configuration that it completed";
    assert_eq!(room.count(3, reason), 1, "it does not wait until nobody follows");
    let leader = room.elect();
    assert!(leader != 3 && room.follows(4, Some(leader)), "who observes finds it");
    room.propose(leader, &["a"]);
    (1..=4).for_each(|id| assert_eq!(room.state(id)[1..], ["a"], "member {id}"));
}

fn observer(id: u64) -> String {
    format!("server.{id}=m{id}:2888:3888:observer\n")
}

#[test]
fn a_change_takes_effect_with_its_decision_also_at_who_comes_before() {
    let mut room = changeable(3);
    room.propose(3, &["a"]);
    [1, 2].into_iter().for_each(|id| room.hold_disk(id));
    room.reconfigure(3, &members(&[2, 3, 4]));
    room.join(4, &[1, 2, 3]);
    assert!(room.status(4).serving);
    assert_eq!(room.version(4), z(1, 0), "3 and 4 are no quorum of the old one");
    [1, 2].into_iter().for_each(|id| room.release_disk(id));
    (1..=4).for_each(|id| assert_eq!(room.version(id), z(1, 2), "member {id}"));
}

#[test]
fn a_change_that_only_its_name_is_known_of_is_void() {
    let mut room = changeable(3);
    room.propose(3, &["a"]);
    room.crash(2);
    room.hold_disk(1);
    room.reconfigure(3, &members(&[1, 2]));
    // 2 hears of it in NEWLEADER, and its disk takes no more than that.
    room.hold_disk(2);
    room.restart(2);
    room.run(ms(1_000));
    while !room.knows_next(2) {
        room.sync_disk(2, 1);
    }
    [1, 2, 3].into_iter().for_each(|id| room.crash(id));
    [1, 2].into_iter().for_each(|id| room.restart(id));
    let leader = room.elect();
    assert_eq!(leader, 2, "it is one of both configurations");
    room.restart(3);
    room.settle();
    room.propose(leader, &["b"]);
    (1..=3).for_each(|id| assert_eq!(room.version(id), z(1, 0), "member {id}"));
    (1..=3).for_each(|id| assert_eq!(room.state(id), ["a", "b"], "member {id}"));
}

#[test]
fn who_starts_outside_and_becomes_a_member_takes_votes() {
    let mut room = changeable(3);
    room.join(4, &[1, 2, 3]);
    room.crash(4);
    room.restart(4);
    room.run(ms(2_000));
    assert!(!room.listens(4, ELECTION), "nobody outside is called");
    room.reconfigure(3, &members(&[1, 2, 3, 4]));
    room.run(ms(1_000));
    assert!(room.listens(4, ELECTION), "before anybody looks for a leader");
    room.crash(3);
    assert_eq!(room.elect(), 4, "it calls those with smaller ids");
    room.crash(1);
    room.restart(1);
    room.settle();
    assert!(room.follows(1, Some(4)), "and is called by them");
}

/// One missed the change, the other was removed by it and is started anew with a file of version 0.
/// Both were a quorum of what was before, and have not what was decided since. Seed 530 of whole
/// members.
#[test]
fn who_was_removed_does_not_believe_a_configuration_that_is_over() {
    let mut room = changeable(3);
    room.join(4, &[1, 2, 3]);
    room.crash(1);
    room.reconfigure(3, &members(&[3, 4]));
    room.run(ms(1_000));
    let shown = room.version(2);
    assert_eq!(shown, room.version(3));
    room.crash(2);
    let leader = room.elect_among(&[3, 4]);
    room.propose(leader, &["decided"]);
    room.run(ms(1_000));
    assert_eq!(room.state(3)[1..], ["decided"]);
    room.crash(3);
    room.crash(4);
    room.restart(1);
    let text = format!("server.2=m2:2888:3888:observer\n{}", members(&[3, 4]));
    room.restart_with_file(2, &text, shown);
    room.run(ms(60_000));
    assert_eq!(room.leader(), None, "they are no quorum of what is in force");
    room.restart(3);
    room.restart(4);
    room.elect_among(&[3, 4]);
    assert_eq!(room.state(3)[1..], ["decided"]);
}

#[test]
fn who_learns_at_its_return_that_it_only_observes_comes_again_as_an_observer() {
    let mut room = changeable(3);
    room.crash(1);
    room.reconfigure(3, &format!("server.1=m1:2888:3888:observer\n{}", members(&[2, 3])));
    room.hold_disk(2);
    room.propose(3, &["a"]);
    room.restart(1);
    room.run(ms(1_000));
    room.release_disk(2);
    room.run(ms(1_000));
    assert_eq!((room.status(1).role, room.status(1).serving), (Role::Observing, true));
    assert_eq!(room.state(1)[1..], ["a"]);
}
