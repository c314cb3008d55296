//! Elections: who may lead, and that one does.

use super::room::{Room, ms};
use crate::Role;
use crate::frames::Message;
use crate::log::{Entry, Payload};
use base::NodeId;
use broadcast::Input;
use std::time::Duration;

#[test]
fn scenarios_1_2_10_a_group_elects_one_with_and_without_prevote() {
    for (size, dead, pre_vote) in
        [(1, 0, true), (1, 0, false), (3, 0, true), (3, 1, false), (5, 2, true), (5, 0, false)]
    {
        let mut room = Room::empty(&(1..=size).collect::<Vec<_>>(), &[]);
        room.setup.pre_vote = pre_vote;
        (1..=size - dead).for_each(|id| room.start(id));
        let leader = room.elect();
        room.propose(leader, &["a", "b"]);
        room.run(ms(500));
        room.assert_all(&["a", "b"]);
    }
}

#[test]
fn scenario_1_without_a_quorum_nobody_leads() {
    let mut room = Room::empty(&[1, 2, 3, 4, 5], &[]);
    [1, 2].into_iter().for_each(|id| room.start(id));
    room.run(ms(20_000));
    assert_eq!(room.primary(), None);
    assert_eq!(room.status(1).term, 0, "a pre-candidate raises no term");
}

#[test]
fn scenario_3_every_member_can_lead() {
    let mut room = Room::of(3);
    for id in [1, 2, 3, 1] {
        room.elect_one(id);
        room.propose(id, &["x"]);
    }
    room.run(ms(500));
    room.assert_all(&["x"; 4]);
}

#[test]
fn scenario_4_who_lacks_what_is_committed_is_not_elected() {
    let mut room = Room::of(3);
    room.elect_one(1);
    room.isolate(3);
    room.propose(1, &["a"]);
    room.run(ms(300));
    room.crash(1);
    room.heal_anew();
    let leader = room.elect();
    assert_eq!(leader, 2, "3 has not what 1 and 2 decided");
    room.assert_all(&["a"]);
}

/// Scenarios 5 and 6, at a follower that the test plays the peers of.
fn voter() -> (Room, broadcast::LinkId) {
    let mut room = Room::empty(&[1, 2, 3], &[]);
    [2, 3].into_iter().for_each(|id| room.play(id));
    room.start(1);
    let link = room.dial_as(2, 1);
    (room, link)
}

fn vote(term: u64, last: (u64, u64), pre: bool) -> Message {
    let (last_index, last_term) = last;
    Message::Vote { term, last_index, last_term, pre, transfer: false }
}

fn append(term: u64, prev: (u64, u64), commit: u64) -> Message {
    let ((prev_index, prev_term), entries) = (prev, Vec::new());
    Message::Append { term, prev_index, prev_term, commit, entries }
}

#[test]
fn scenario_5_a_vote_is_given_once_in_a_term() {
    let (mut room, link) = voter();
    room.say(2, link, &vote(5, (0, 0), false));
    let granted = |term, granted| vec![Message::VoteResponse { term, pre: false, granted }];
    assert_eq!(room.heard(2, link), Some(granted(5, true)));
    let other = room.dial_as(3, 1);
    room.say(3, other, &vote(5, (9, 4), false));
    assert_eq!(room.heard(3, other), Some(granted(5, false)), "it is given away");
    room.say(2, link, &vote(5, (0, 0), false));
    assert_eq!(room.heard(2, link), Some(granted(5, true)), "the same one asks again");
    room.restart(1);
    let other = room.dial_as(3, 1);
    room.say(3, other, &vote(5, (9, 4), false));
    assert_eq!(room.heard(3, other), Some(granted(5, false)), "also after a restart");
    room.say(3, other, &vote(6, (9, 4), false));
    assert_eq!(room.heard(3, other), Some(granted(6, true)));
}

#[test]
fn scenario_6_a_question_before_an_election_changes_nothing() {
    let (mut room, link) = voter();
    room.say(2, link, &vote(5, (0, 0), true));
    let answer = |term, granted| vec![Message::VoteResponse { term, pre: true, granted }];
    assert_eq!(room.heard(2, link), Some(answer(5, true)), "with the term that was asked for");
    assert_eq!((room.status(1).term, room.status(1).vote), (0, None));
    room.say(2, link, &vote(7, (0, 0), false));
    room.heard(2, link);
    room.say(2, link, &vote(7, (0, 0), true));
    assert_eq!(room.heard(2, link), Some(answer(7, false)), "with its own");
}

#[test]
fn scenario_111_a_vote_is_told_when_it_is_durable() {
    let (mut room, link) = voter();
    room.hold_disk(1);
    room.say(2, link, &vote(5, (0, 0), false));
    assert_eq!(room.heard(2, link), Some(vec![]));
    room.sync(1, 2); // the term and the vote, but not whose term it is
    room.flow();
    assert_eq!(room.heard(2, link), Some(vec![]));
    room.release_disk(1);
    assert_eq!(room.heard(2, link).map(|heard| heard.len()), Some(1));
}

#[test]
fn scenario_12_its_own_vote_counts_when_it_is_durable() {
    let mut room = Room::of(1);
    room.hold_disk(1);
    room.run(ms(5_000));
    assert_eq!(room.role(1), Role::Candidate);
    room.release_disk(1);
    assert_eq!(room.role(1), Role::Leader);
}

#[test]
fn votes_of_others_alone_elect_nobody_who_could_forget_the_term() {
    let mut room = Room::empty(&[1, 2, 3, 4, 5], &[]);
    room.setup.pre_vote = false;
    (1..=5).for_each(|id| room.start(id));
    room.flow();
    room.hold_disk(1);
    room.time_out(1);
    room.flow();
    assert_eq!(room.role(1), Role::Candidate, "a quorum has voted for it");
    room.release_disk(1);
    assert_eq!(room.role(1), Role::Leader);
}

#[test]
fn scenario_9_a_candidate_concedes_to_the_leader_of_its_term() {
    let (mut room, link) = voter();
    room.setup.pre_vote = false;
    room.restart(1);
    room.run(ms(2_500));
    assert_eq!(room.role(1), Role::Candidate);
    let term = room.status(1).term;
    assert_eq!(room.heard(2, link), None, "of the run before");
    let link = room.dial_as(2, 1);
    room.say(2, link, &append(term, (0, 0), 0));
    assert_eq!((room.role(1), room.status(1).leader), (Role::Follower, Some(NodeId(2))));
}

#[test]
fn scenario_11_timeouts_are_random_and_within_their_bounds() {
    let first_asks = |pre_vote: bool, role: Role| -> Vec<u128> {
        let first = |seed| {
            let mut room = Room::empty(&[1, 2, 3], &[]).seeded(seed);
            room.setup.pre_vote = pre_vote;
            room.start(1);
            room.until("it asks", |room| room.role(1) == role);
            room.now.as_millis().into()
        };
        (0..40).map(first).collect()
    };
    let spread = |all: &[u128], unit: u128| {
        let seen: std::collections::BTreeSet<u128> = all.iter().map(|ms| ms / unit).collect();
        assert!(seen.len() > 6, "{all:?}");
    };
    let waits = first_asks(false, Role::Candidate);
    assert!(waits.iter().all(|ms| (1000..2000).contains(ms)), "{waits:?}");
    spread(&waits, 100);
    // Whoever only asks disturbs nobody, and knows of no leader at its start.
    let waits = first_asks(true, Role::PreCandidate);
    assert!(waits.iter().all(|ms| (50..250).contains(ms)), "{waits:?}");
    spread(&waits, 20);
}

/// Who leads in place of the third of five, and how long after it was lost.
fn replacement(seed: u64, gone: Option<u64>) -> (Option<u64>, Duration) {
    let mut room = Room::empty(&[1, 2, 3, 4, 5], &[]).seeded(seed);
    (1..=5).for_each(|id| room.start(id));
    room.elect_one(3);
    room.run(ms(500)); // all have all
    gone.into_iter().for_each(|id| room.crash(id));
    let start = room.now;
    room.crash(3);
    room.until("another leads", |room| room.primary().is_some());
    (room.primary(), room.now.since(start))
}

#[test]
fn voters_take_turns_by_their_ids_when_the_leaders_connection_breaks() {
    for seed in 0..40 {
        let (leader, time) = replacement(seed, None);
        assert!(leader == Some(5) && time < ms(30), "{leader:?} after {time:?}");
        let (leader, time) = replacement(seed, Some(5));
        assert!(leader == Some(4), "{leader:?} after {time:?}");
        assert!(time >= ms(50) && time < ms(80), "{leader:?} after {time:?}");
    }
}

#[test]
fn scenarios_15_18_a_learner_stands_for_nothing_and_votes_when_it_is_asked() {
    let mut room = Room::empty(&[2, 3], &[1]);
    [2, 3].into_iter().for_each(|id| room.play(id));
    room.start(1);
    room.run(ms(10_000));
    assert_eq!((room.role(1), room.status(1).term), (Role::Follower, 0));
    let link = room.dial_as(2, 1);
    room.say(2, link, &vote(2, (0, 0), false));
    let granted = Message::VoteResponse { term: 2, pre: false, granted: true };
    assert_eq!(room.heard(2, link), Some(vec![granted]));
    room.say(2, link, &Message::TimeoutNow { term: 2 });
    assert_eq!(room.role(1), Role::Follower, "scenario 17");
}

#[test]
fn scenarios_27_28_a_leader_that_hears_no_quorum_steps_down() {
    let mut room = Room::of(3);
    let leader = room.elect();
    let followers: Vec<u64> = (1..=3).filter(|id| *id != leader).collect();
    room.cut(leader, followers[0]);
    room.run(ms(5_000));
    assert_eq!(room.role(leader), Role::Leader, "two of three hear each other");
    room.cut(leader, followers[1]);
    room.run(ms(1_200));
    assert_eq!(room.role(leader), Role::Follower);
    assert_eq!(room.status(leader).leader, None);
}

#[test]
fn scenario_33_a_member_that_was_cut_off_disturbs_nobody() {
    let mut room = Room::of(3);
    room.elect_one(1);
    let term = room.status(1).term;
    room.isolate(3);
    room.run(ms(20_000));
    room.heal_anew();
    room.elect();
    assert_eq!((room.primary(), room.status(1).term), (Some(1), term));
}

#[test]
fn scenarios_32_30_without_prevote_a_higher_term_ends_the_leader_and_somebody_leads() {
    let mut room = Room::empty(&[1, 2, 3], &[]);
    room.setup.pre_vote = false;
    (1..=3).for_each(|id| room.start(id));
    room.elect_one(1);
    room.isolate(3);
    room.run(ms(20_000));
    let term = room.status(3).term;
    assert!(term > room.status(1).term, "it stood for election all the time");
    room.heal_anew();
    room.elect();
    assert!(room.status(1).term >= term, "the stuck candidate is freed by its answer");
}

#[test]
fn scenarios_24_29_who_hears_a_leader_refuses_others() {
    let (mut room, link) = voter();
    room.say(2, link, &append(3, (0, 0), 0));
    room.heard(2, link);
    let other = room.dial_as(3, 1);
    room.say(3, other, &vote(9, (9, 9), false));
    assert_eq!(room.heard(3, other), Some(vec![]), "not even the term is taken");
    assert_eq!(room.status(1).term, 3);
    room.say(3, other, &vote(9, (9, 9), true));
    let refused = Message::VoteResponse { term: 3, pre: true, granted: false };
    assert_eq!(room.heard(3, other), Some(vec![refused]));
    let transfer =
        Message::Vote { term: 9, last_index: 9, last_term: 9, pre: false, transfer: true };
    room.say(3, other, &transfer);
    let granted = Message::VoteResponse { term: 9, pre: false, granted: true };
    assert_eq!(room.heard(3, other), Some(vec![granted]), "the leader itself wants it");
}

#[test]
fn scenario_20_who_missed_terms_takes_part_again() {
    let mut room = Room::of(3);
    room.elect_one(1);
    room.isolate(3);
    for id in [2, 1, 2] {
        room.give(room.primary().expect("one leads"), Input::TransferRequested { to: NodeId(id) });
        room.until("it leads", |room| room.primary() == Some(id));
    }
    assert!(room.status(3).term < room.status(2).term);
    room.heal_anew();
    room.crash(1);
    let leader = room.elect();
    room.propose(leader, &["a"]);
    room.run(ms(500));
    room.assert_all(&["a"]);
}

#[test]
fn scenarios_21_38_members_that_are_told_different_things_get_on() {
    let mut room = Room::empty(&[1, 2, 3], &[]);
    (room.setup.pre_vote, room.setup.check_quorum) = (false, false);
    (1..=3).for_each(|id| room.start(id));
    let mut texts = Vec::new();
    for (id, pre_vote, check_quorum) in
        [(1, true, false), (2, false, true), (3, true, true), (1, true, true), (2, true, true)]
    {
        let leader = room.elect();
        texts.push(format!("{}", texts.len()));
        room.propose(leader, &[texts.last().expect("one was pushed")]);
        (room.setup.pre_vote, room.setup.check_quorum) = (pre_vote, check_quorum);
        room.run(ms(300));
        room.restart(id);
    }
    room.elect();
    room.run(ms(1_000));
    assert_eq!(room.state(3), texts, "it went on in every mixture");
}

#[test]
fn scenario_22_a_pre_candidate_of_a_later_term_is_freed() {
    let mut room = Room::empty(&[1, 2, 3], &[]);
    [1, 2].into_iter().for_each(|id| room.start(id));
    room.setup.pre_vote = false;
    room.start(3);
    room.elect_one(1);
    room.isolate(3);
    room.run(ms(10_000));
    room.restart(3);
    let ahead = room.status(3).term;
    assert!(ahead > room.status(1).term + 2, "it stood for election again and again");
    room.crash(3);
    room.setup.pre_vote = true;
    room.start(3);
    room.heal_anew();
    let leader = room.elect();
    assert!(room.status(leader).term > ahead, "they go on in a term that suits all");
}

#[test]
fn scenario_23_questions_that_cross_each_other_end_in_an_election() {
    let mut room = Room::of(4);
    let leader = room.elect();
    room.crash(leader);
    room.flow();
    let others: Vec<u64> = (1..=4).filter(|id| *id != leader).collect();
    room.cut(others[0], others[1]);
    [others[0], others[1]].into_iter().for_each(|id| room.time_out(id));
    room.heal();
    let leader = room.elect();
    room.propose(leader, &["a"]);
    room.run(ms(500));
    room.assert_all(&["a"]);
}

/// Configurations count from the log on: who stands for election asks both halves of the change
/// that its log ends with, committed or not.
#[test]
fn scenario_19_who_has_a_change_in_its_log_needs_both_halves() {
    let mut room = Room::empty(&[1, 2, 3], &[]);
    [2, 3, 4, 5].into_iter().for_each(|id| room.play(id));
    room.start(1);
    let link = room.dial_as(2, 1);
    let change = Payload::Item(super::room::item("members 1,4,5 "));
    let entries = vec![Entry::new(1, base::Zxid(1), change)];
    let (prev_index, prev_term, commit) = (0, 0, 0);
    room.say(2, link, &Message::Append { term: 1, prev_index, prev_term, commit, entries });
    room.say(2, link, &Message::TimeoutNow { term: 1 });
    let granted = Message::VoteResponse { term: 2, pre: false, granted: true };
    [2, 3].into_iter().for_each(|id| room.answer_as(id, 1, &granted));
    assert_eq!(room.role(1), Role::Candidate, "all of the old half are not enough");
    room.answer_as(4, 1, &granted);
    assert_eq!(room.role(1), Role::Leader);
}

#[test]
fn scenario_7_two_candidates_and_one_of_them_wins() {
    let mut room = Room::empty(&[1, 2, 3], &[]);
    room.setup.pre_vote = false;
    (1..=3).for_each(|id| room.start(id));
    room.flow();
    room.cut(1, 3);
    [1, 3].into_iter().for_each(|id| room.time_out(id));
    room.heal();
    let leader = room.elect();
    room.propose(leader, &["a"]);
    room.run(ms(500));
    room.assert_all(&["a"]);
}

#[test]
fn who_finds_no_leader_says_who_is_missing_less_and_less_often() {
    let mut room = Room::of(3);
    room.elect_one(1);
    room.crash(1);
    room.crash(2);
    room.told(3);
    room.run(ms(60_000));
    let told = room.told(3);
    let stalled = told.iter().filter(|line| line.starts_with("there is no leader yet"));
    let stalled: Vec<&String> = stalled.collect();
    assert!((2..=4).contains(&stalled.len()), "{told:?}");
    assert!(stalled.iter().all(|line| line.contains("voted=3 missing=1,2")), "{told:?}");
    room.start(2);
    room.elect();
    room.told(3);
    room.run(ms(60_000));
    assert!(room.told(3).is_empty(), "with a leader nothing is missing");
}

#[test]
fn a_follower_whose_leader_falls_silent_says_so() {
    let mut room = Room::of(3);
    room.elect_one(1);
    room.told(3);
    room.pause(1);
    room.run(ms(3_000));
    let told = room.told(3);
    let is_lost = |line: &String| line.starts_with("following no more leader=1");
    assert_eq!(told.iter().filter(|line| is_lost(line)).count(), 1, "{told:?}");
}
