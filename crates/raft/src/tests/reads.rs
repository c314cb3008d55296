//! Reads that must see what was decided, or proposed.

use super::room::{Room, ms};
use crate::frames::Message;
use crate::log::{Entry, Payload};
use crate::{Lease, Role};
use base::{Machine, NodeId, Zxid};
use broadcast::{Context, Decision, Input, Output, ReadLevel, Refusal};

#[test]
fn scenarios_73_74_reads_at_the_leader_a_follower_and_a_learner() {
    let mut room = Room::empty(&[1, 2, 3], &[4]);
    (1..=4).for_each(|id| room.start(id));
    room.elect_one(1);
    room.propose(1, &["a"]);
    for id in 1..=4 {
        let read = room.read(id, ReadLevel::Linearizable);
        assert_eq!(room.read_at(id, read), Some(1), "at {id}");
        let read = room.read(id, ReadLevel::Proposed);
        assert_eq!(room.read_at(id, read), Some(1), "at {id}");
    }
}

#[test]
fn a_read_takes_a_round_that_a_quorum_answers_and_many_share_it() {
    let mut room = Room::of(3);
    room.elect_one(1);
    room.propose(1, &["a"]);
    [2, 3].into_iter().for_each(|id| room.net.block(id, 1));
    let reads: Vec<_> = (0..50).map(|_| room.read(1, ReadLevel::Linearizable)).collect();
    assert!(reads.iter().all(|read| room.read_at(1, *read).is_none()));
    let waiting = room.net.waiting(1);
    assert!(waiting <= 4, "fifty reads are one round: {waiting} pieces");
    room.heal();
    assert!(reads.iter().all(|read| room.read_at(1, *read) == Some(1)));
}

#[test]
fn scenario_82_a_leader_that_is_cut_off_answers_no_safe_read() {
    let mut room = Room::of(3);
    room.elect_one(1);
    room.isolate(1);
    let read = room.read(1, ReadLevel::Linearizable);
    room.until("another one leads", |room| room.primary().is_some_and(|id| id != 1));
    let leader = room.primary().expect("it was seen");
    room.propose(leader, &["b"]);
    room.run(ms(5_000));
    assert_eq!(room.read_at(1, read), None);
}

/// A leader that stood still does not know that it was replaced: its answer takes a round.
#[test]
fn a_leader_that_stood_still_answers_no_old_read() {
    let mut room = Room::of(3);
    room.elect_one(1);
    room.pause(1);
    room.until("another one leads", |room| room.primary().is_some_and(|id| id != 1));
    let leader = room.primary().expect("it was seen");
    room.propose(leader, &["b"]);
    let read = room.read_only(1, ReadLevel::Linearizable);
    assert_eq!(room.read_at(1, read), None, "before anything of it reaches others");
    room.resume(1);
    room.run(ms(3_000));
    assert_eq!(room.read_at(1, read), None);
}

#[test]
fn scenario_75_a_new_leader_waits_for_an_entry_of_its_own_term() {
    let mut room = Room::empty(&[1, 2, 3], &[]);
    [2, 3].into_iter().for_each(|id| room.play(id));
    room.start(1);
    let link = room.dial_as(2, 1);
    room.say(2, link, &Message::TimeoutNow { term: 4 });
    room.answer_as(2, 1, &Message::VoteResponse { term: 5, pre: false, granted: true });
    assert_eq!(room.role(1), Role::Leader);
    let read = room.read(1, ReadLevel::Linearizable);
    room.run(ms(150));
    for round in 1..4 {
        room.answer_as(2, 1, &Message::HeartbeatResponse { term: 5, round });
    }
    assert_eq!(room.read_at(1, read), None, "whatever rounds are answered");
    room.answer_as(2, 1, &Message::AppendResponse { term: 5, index: 1, hint: None });
    room.run(ms(150));
    room.answer_as(2, 1, &Message::HeartbeatResponse { term: 5, round: 9 });
    assert_eq!(room.read_at(1, read), Some(0));
}

#[test]
fn a_round_that_began_before_the_read_answers_it_not() {
    let mut room = Room::of(3);
    room.elect_one(1);
    [2, 3].into_iter().for_each(|id| room.net.block(id, 1));
    let first = room.read(1, ReadLevel::Linearizable);
    let second = room.read(1, ReadLevel::Linearizable);
    // What is on its way back answers the first round alone; then nothing gets to them any more.
    [2, 3].into_iter().for_each(|id| room.net.block(1, id));
    room.net.unblock(2, 1);
    room.net.unblock(3, 1);
    room.flow();
    assert_eq!(room.read_at(1, first), Some(0));
    assert_eq!(room.read_at(1, second), None);
}

/// One entry is decided, and the leader has a lease for clocks that go a quarter faster.
fn led_by_1_with_leases() -> Room {
    let mut room = Room::empty(&[1, 2, 3], &[]);
    room.setup.lease = Some(Lease { drift_percent: 25 });
    (1..=3).for_each(|id| room.start(id));
    room.elect_one(1);
    room.propose(1, &["a"]);
    room.run(ms(300));
    room
}

#[test]
fn scenario_76_a_lease_answers_without_a_round_until_it_is_over() {
    let mut room = led_by_1_with_leases();
    let began = room.now;
    room.isolate(1);
    let read = room.read(1, ReadLevel::Linearizable);
    assert_eq!(room.read_at(1, read), Some(1), "at once");
    // 1000 ms by clocks that go a quarter faster are 800 ms.
    room.run(ms(810));
    assert!(room.now.since(began) < ms(1000) && room.role(1) == Role::Leader);
    let read = room.read(1, ReadLevel::Linearizable);
    assert_eq!(room.read_at(1, read), None, "it is over before anybody else can be elected");
}

#[test]
#[should_panic(expected = "R13: a read at 0x1, decided was 0x2")]
fn scenario_83_a_lease_by_a_clock_that_is_beyond_the_bound_is_found_out() {
    let mut room = led_by_1_with_leases();
    // From here on the leader's clock stands still.
    let stood_still = room.now;
    room.isolate(1);
    room.pause(1);
    room.until("another leads", |room| room.primary().is_some_and(|leader| leader != 1));
    let leader = room.primary().expect("it was seen");
    room.propose(leader, &["b"]);
    assert_eq!(room.status(leader).committed_at, Zxid(2));
    room.resume(1);
    room.now = stood_still;
    room.read_only(1, ReadLevel::Linearizable);
}

#[test]
fn scenario_77_every_question_has_its_answer_also_under_the_same_mark() {
    let mut room = Room::of(1);
    room.elect();
    let mut out = Vec::new();
    for _ in 0..2 {
        let (context, level) = (Context(7), ReadLevel::Linearizable);
        let engine = &mut room.members.get_mut(&1).expect("it runs").engine;
        engine.handle(room.now, Input::ReadRequested { context, level }, &mut out);
    }
    let answer = Output::ReadReady { context: Context(7), at_least: Zxid(0) };
    assert_eq!(out, [answer.clone(), answer]);
}

#[test]
fn scenario_79_what_a_lost_leader_was_asked_is_forgotten() {
    let mut room = Room::empty(&[1, 2, 3], &[]);
    [2, 3].into_iter().for_each(|id| room.play(id));
    room.start(1);
    let append = |room: &mut Room, link, term, prev: (u64, u64)| {
        let entries = vec![Entry::new(term, Zxid(0), Payload::NoOp)];
        let (prev_index, prev_term) = prev;
        let commit = prev_index + 1;
        room.say(2, link, &Message::Append { term, prev_index, prev_term, commit, entries });
    };
    let link = room.dial_as(2, 1);
    append(&mut room, link, 1, (0, 0));
    let first = room.read(1, ReadLevel::Linearizable);
    assert!(room.heard(2, link).is_some_and(|heard| {
        heard.contains(&Message::Read { number: 1, level: ReadLevel::Linearizable })
    }));
    let link = room.dial_as(2, 1);
    append(&mut room, link, 2, (1, 1));
    let second = room.read(1, ReadLevel::Linearizable);
    let answer = |number| Message::ReadResponse { number, at: Some(Zxid(0)) };
    room.say(2, link, &answer(1));
    assert_eq!((room.read_at(1, first), room.read_at(1, second)), (None, None));
    room.say(2, link, &answer(2));
    assert_eq!((room.read_at(1, first), room.read_at(1, second)), (None, Some(0)));
    // Somebody else leads, and what the last one says comes late.
    let other = room.dial_as(3, 1);
    let entries = vec![Entry::new(3, Zxid(0), Payload::NoOp)];
    let (prev_index, prev_term, commit) = (2, 2, 3);
    room.say(3, other, &Message::Append { term: 3, prev_index, prev_term, commit, entries });
    let third = room.read(1, ReadLevel::Linearizable);
    room.say(2, link, &answer(3));
    room.say(2, link, &Message::Answer { term: 2, behind: 1, letter: super::room::item("late") });
    assert_eq!((room.read_at(1, third), room.members[&1].letters.len()), (None, 0));
    room.say(3, other, &answer(3));
    assert_eq!(room.read_at(1, third), Some(0));
}

#[test]
fn scenario_80_a_read_is_answered_by_the_quorum_that_is_left() {
    let mut room = Room::empty(&[1, 2, 3], &[]);
    [2, 3].into_iter().for_each(|id| room.play(id));
    room.start(1);
    let link = room.dial_as(2, 1);
    room.say(2, link, &Message::TimeoutNow { term: 1 });
    room.answer_as(2, 1, &Message::VoteResponse { term: 2, pre: false, granted: true });
    let accept = |room: &mut Room, index| {
        room.answer_as(2, 1, &Message::AppendResponse { term: 2, index, hint: None });
    };
    accept(&mut room, 1);
    room.propose(1, &["members 1 "]);
    let read = room.read(1, ReadLevel::Linearizable);
    assert_eq!(room.read_at(1, read), None, "nobody has answered its round");
    accept(&mut room, 2);
    assert_eq!(room.read_at(1, read), Some(0), "it is alone");
}

#[test]
fn a_leader_that_told_somebody_to_stand_has_no_leases_in_that_term() {
    let mut room = Room::empty(&[1, 2, 3], &[]);
    room.setup.lease = Some(Lease { drift_percent: 10 });
    (1..=3).for_each(|id| room.start(id));
    room.elect_one(1);
    room.propose(1, &["a"]);
    room.pause(3);
    room.give(1, Input::TransferRequested { to: NodeId(3) });
    room.run(ms(2_500));
    assert_eq!(room.primary(), Some(1), "the transfer came to nothing");
    room.cut(1, 2);
    room.net.block(3, 1);
    room.resume(3);
    room.flow();
    assert_eq!(room.role(3), Role::Leader, "it hears of the transfer now");
    room.propose(3, &["b"]);
    let read = room.read(1, ReadLevel::Linearizable);
    assert_eq!(room.read_at(1, read), None, "b is decided");
}

#[test]
fn with_leases_a_voter_holds_to_its_leader_across_a_restart() {
    let mut room = Room::empty(&[1, 2, 3], &[]);
    room.setup.lease = Some(Lease { drift_percent: 10 });
    (1..=3).for_each(|id| room.start(id));
    room.elect_one(1);
    room.run(ms(200));
    room.isolate(1);
    [2, 3].into_iter().for_each(|id| room.restart(id));
    room.run(ms(700));
    assert!(room.status(2).term == room.status(1).term, "nobody is elected meanwhile");
    let read = room.read(1, ReadLevel::Linearizable);
    assert_eq!(room.read_at(1, read), Some(0));
}

#[test]
fn scenario_78_who_knows_no_leader_says_so() {
    let mut room = Room::of(3);
    room.elect_one(1);
    room.crash(1);
    room.flow();
    let read = room.read(2, ReadLevel::Linearizable);
    let refused = Some(Some(Decision::Rejected(Refusal::NotPrimary)));
    assert_eq!(room.read_at(2, read), None);
    assert_eq!(room.refused_read(2, read), refused);
}

#[test]
fn a_proposed_read_waits_for_what_was_proposed_before_it() {
    let mut room = Room::of(3);
    room.elect_one(1);
    [2, 3].into_iter().for_each(|id| room.hold_disk(id));
    room.propose(1, &["a"]);
    let read = room.read(1, ReadLevel::Proposed);
    assert_eq!(room.read_at(1, read), None);
    room.release_disk(3);
    assert_eq!(room.read_at(1, read), Some(1));
    room.give(1, Input::TimerExpired);
}

#[test]
fn a_sync_is_a_barrier_a_leader_that_is_cut_off_answers_none() {
    let mut room = Room::of(3);
    room.elect_one(1);
    room.propose(1, &["a"]);
    let read = room.read(1, ReadLevel::Proposed);
    room.run(ms(150));
    assert_eq!(room.read_at(1, read), Some(1));
    room.isolate(1);
    let read = room.read(1, ReadLevel::Proposed);
    room.run(ms(500));
    assert_eq!(room.read_at(1, read), None, "nothing is under way, and another may lead by now");
    room.heal();
    room.run(ms(3_000));
    let (leader, read) = (room.lead(), room.read(1, ReadLevel::Proposed));
    room.propose(leader, &["b"]);
    room.run(ms(500));
    assert!(room.read_at(1, read).is_some_and(|at| at >= 1));
}
