//! Replication and commitment.

use super::room::{Room, item, ms};
use crate::frames::Message;
use crate::log::{Entry, Payload};
use crate::{Replication, Role};
use base::{NodeId, Zxid};
use broadcast::{Decision, Input, LinkId, Refusal};

fn entry(term: u64, at: i64) -> Entry {
    Entry::new(term, Zxid(at), Payload::Item(item(&format!("{term}.{at}"))))
}

fn append(term: u64, prev: (u64, u64), commit: u64, entries: Vec<Entry>) -> Message {
    let (prev_index, prev_term) = prev;
    Message::Append { term, prev_index, prev_term, commit, entries }
}

fn accepted(term: u64, index: u64) -> Option<Vec<Message>> {
    Some(vec![Message::AppendResponse { term, index, hint: None }])
}

fn rejected(term: u64, index: u64, hint: (u64, u64)) -> Option<Vec<Message>> {
    Some(vec![Message::AppendResponse { term, index, hint: Some(hint) }])
}

/// Member 1, followed by the test as its leader 2.
fn follower() -> (Room, LinkId) {
    let mut room = Room::empty(&[1, 2, 3], &[]);
    [2, 3].into_iter().for_each(|id| room.play(id));
    room.start(1);
    let link = room.dial_as(2, 1);
    (room, link)
}

#[test]
fn scenario_39_proposals_reach_everybody_and_are_answered_where_they_were_made() {
    let mut room = Room::of(5);
    let leader = room.elect();
    let contexts = room.propose(leader, &["a", "b", "c"]);
    room.run(ms(200));
    room.assert_all(&["a", "b", "c"]);
    assert!(contexts.iter().all(|context| room.outcome(leader, *context) == Some(None)));
}

#[test]
fn scenario_39_a_letter_of_a_replica_reaches_the_primary_and_its_answer_comes_back() {
    let mut room = Room::of(3);
    let leader = room.elect();
    let replica = if leader == 1 { 2 } else { 1 };
    room.give(replica, Input::Forward { letter: item("do it") });
    room.flow();
    assert!(room.members[&leader].letters.contains(&item("do it")));
    let to = room.members[&leader].forwarder.expect("it was forwarded");
    room.propose_only(leader, &["it"]);
    room.give(leader, Input::Answer { to, letter: item("done") });
    room.run(ms(300));
    assert!(room.members[&replica].letters.contains(&item("done")));
    let beats = room.members[&leader].letters.iter().filter(|letter| ***letter == *b"beat");
    assert!(beats.count() >= 2, "replicas' services say that they are there");
}

#[test]
fn scenario_44_the_matrix_of_appends() {
    let (mut room, link) = follower();
    let mut say = |message: Message| {
        room.say(2, link, &message);
        let last = room.heard(2, link).and_then(|mut heard| heard.pop());
        (last.map(|last| vec![last]), room.status(1))
    };
    let (heard, _) = say(append(1, (0, 0), 0, vec![entry(1, 1), entry(1, 2)]));
    assert_eq!(heard, accepted(1, 2));
    let (heard, _) = say(append(1, (5, 1), 0, vec![]));
    assert_eq!(heard, rejected(1, 5, (2, 1)), "what is before it is missing");
    let (heard, status) = say(append(2, (2, 2), 0, vec![entry(2, 3)]));
    assert_eq!(
        (heard, status.last_index),
        (rejected(2, 2, (2, 1)), 2),
        "what is before it differs"
    );
    let (heard, status) = say(append(2, (1, 1), 0, vec![entry(2, 2), entry(2, 3)]));
    assert_eq!((heard, status.last_index), (accepted(2, 3), 3), "what differs is cut");
    let (heard, status) = say(append(2, (1, 1), 0, vec![entry(2, 2)]));
    assert_eq!((heard, status.last_index), (accepted(2, 3), 3), "what is equal is kept");
    let (_, status) = say(append(2, (3, 2), 99, vec![]));
    assert_eq!(status.committed, 3, "no further than what is there");
    let (heard, status) = say(append(2, (1, 1), 0, vec![]));
    assert_eq!((heard, status.committed), (accepted(2, 3), 3), "late, and committed long ago");
    assert_eq!(room.state(1), ["1.1", "2.2", "2.3"]);
}

#[test]
fn scenario_43_words_of_an_earlier_term_are_answered_with_the_later_one() {
    let (mut room, link) = follower();
    room.say(2, link, &append(4, (0, 0), 0, vec![entry(4, 1)]));
    room.heard(2, link);
    let old = room.dial_as(3, 1);
    room.say(3, old, &append(3, (0, 0), 0, vec![entry(3, 1)]));
    assert_eq!(room.heard(3, old), rejected(4, 0, (0, 0)));
    assert_eq!((room.status(1).leader, room.status(1).term), (Some(NodeId(2)), 4));
}

#[test]
fn scenario_45_a_commit_counts_only_for_what_is_known_to_be_the_leaders() {
    let (mut room, link) = follower();
    room.say(2, link, &append(1, (0, 0), 0, vec![entry(1, 1), entry(1, 2), entry(1, 3)]));
    let other = room.dial_as(3, 1);
    // The leader of term 2 shares the first entry alone, and has committed another second one.
    room.say(3, other, &append(2, (1, 1), 0, vec![]));
    room.say(3, other, &Message::Commit { term: 2, commit: 3 });
    assert_eq!(room.status(1).committed, 1);
    room.say(3, other, &Message::Heartbeat { term: 2, commit: 2, round: 1, beat: false });
    assert_eq!(room.status(1).committed, 1);
}

#[test]
fn scenario_112_an_acknowledgement_waits_for_the_disk() {
    let (mut room, link) = follower();
    room.hold_disk(1);
    room.say(2, link, &append(1, (0, 0), 0, vec![entry(1, 1), entry(1, 2)]));
    assert_eq!(room.heard(2, link), Some(vec![]));
    room.sync(1, 2); // the term, the first entry
    room.flow();
    assert_eq!(room.heard(2, link), accepted(1, 1));
    room.release_disk(1);
    assert_eq!(room.heard(2, link), accepted(1, 2));
}

#[test]
fn a_leader_counts_itself_when_its_disk_has_it_and_others_without() {
    let mut room = Room::of(3);
    room.elect_one(1);
    [2, 3].into_iter().for_each(|id| room.hold_disk(id));
    room.propose(1, &["a"]);
    assert_eq!(room.status(1).committed_at, Zxid(0), "its own disk is one of three");
    room.release_disk(2);
    assert_eq!(room.status(1).committed_at, Zxid(1));
    room.hold_disk(1);
    room.release_disk(3);
    room.propose(1, &["b"]);
    assert_eq!(room.status(1).committed_at, Zxid(2), "without its own disk");
    assert_eq!(room.state(1), ["a"], "nothing is applied before it is durable here");
    room.release_disk(1);
    assert_eq!(room.state(1), ["a", "b"]);
}

/// Scenarios 40 and 41, figure 8: an entry of an earlier term on a majority is not committed by
/// that, but by one of the leader's own term behind it.
#[test]
fn scenarios_40_41_an_old_entry_is_committed_with_one_of_the_own_term() {
    let mut room = Room::empty(&[1, 2, 3], &[]);
    [2, 3].into_iter().for_each(|id| room.play(id));
    room.start(1);
    let link = room.dial_as(2, 1);
    room.say(2, link, &append(1, (0, 0), 0, vec![entry(1, 1)]));
    // It stands for election in term 2, and 2 elects it.
    room.say(2, link, &Message::TimeoutNow { term: 1 });
    let term = room.status(1).term;
    assert_eq!((room.role(1), term), (Role::Candidate, 2));
    room.answer_as(2, 1, &Message::VoteResponse { term, pre: false, granted: true });
    assert_eq!(room.role(1), Role::Leader);
    room.answer_as(2, 1, &Message::AppendResponse { term, index: 1, hint: None });
    assert_eq!(room.status(1).committed, 0, "the entry of term 1 is on two of three");
    room.answer_as(2, 1, &Message::AppendResponse { term, index: 2, hint: None });
    assert_eq!(room.status(1).committed, 2);
    assert_eq!(room.state(1), ["1.1"]);
    assert_eq!(room.primary(), Some(1), "and only now the service may propose");
}

/// Scenario 47, figure 7: a new leader brings logs of all kinds in line with few questions.
#[test]
fn scenario_47_logs_that_differ_are_brought_in_line_with_a_question_per_term() {
    let mut room = Room::empty(&[1, 2, 3], &[]);
    [2, 3].into_iter().for_each(|id| room.play(id));
    room.start(1);
    let link = room.dial_as(2, 1);
    let terms = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    let entries = (1..).zip(terms).map(|(at, term)| entry(term, at)).collect();
    room.say(2, link, &append(6, (0, 0), 0, entries));
    room.say(2, link, &Message::TimeoutNow { term: 6 });
    room.asked_of(3, 1);
    room.answer_as(2, 1, &Message::VoteResponse { term: 7, pre: false, granted: true });
    // A follower with terms 1 1 1 2 2 2 3 3 3 3 3: figure 7, (f).
    let prev = |heard: Vec<Message>| match &heard[..] {
        [Message::Append { prev_index, prev_term, .. }] => (*prev_index, *prev_term),
        other => panic!("{other:?}"),
    };
    assert_eq!(prev(room.asked_of(3, 1)), (10, 6));
    let hint = Some((10, 3));
    room.answer_as(3, 1, &Message::AppendResponse { term: 7, index: 10, hint });
    assert_eq!(prev(room.asked_of(3, 1)), (3, 1), "nothing of the terms 2 and 3 is here");
}

#[test]
fn scenario_50_a_commit_reaches_followers_at_once() {
    let mut room = Room::of(3);
    let leader = room.elect();
    room.propose(leader, &["a"]);
    room.assert_all(&["a"]);
}

#[test]
fn scenarios_51_116_what_is_not_taken_is_refused_with_its_reason() {
    let mut room = Room::empty(&[1], &[]);
    room.setup.limits.uncommitted_bytes_max = 5;
    room.start(1);
    room.elect();
    room.hold_disk(1);
    let contexts = room.propose(1, &["a first one, however large"]);
    assert_eq!(room.outcome(1, contexts[0]), None);
    let contexts = room.propose(1, &["b"]);
    let full = Some(Some(Decision::Rejected(Refusal::Full)));
    assert_eq!(room.outcome(1, contexts[0]), full);
    let contexts = room.propose(1, &["c"]);
    let order = Some(Some(Decision::Rejected(Refusal::OutOfOrder)));
    assert_eq!(room.outcome(1, contexts[0]), order, "its place is not the next one");
    room.release_disk(1);
    assert_eq!(room.state(1).len(), 1);
}

#[test]
fn scenario_116_who_does_not_lead_refuses_and_who_leads_no_more_says_apart() {
    let mut room = Room::of(3);
    room.elect_one(1);
    let contexts = room.propose(2, &["a"]);
    let refused = Some(Some(Decision::Rejected(Refusal::NotPrimary)));
    assert_eq!(room.outcome(2, contexts[0]), refused);
    room.isolate(1);
    let contexts = room.propose(1, &["lost"]);
    room.run(ms(5_000));
    assert_eq!(room.outcome(1, contexts[0]), None, "nobody knows");
    assert_eq!(room.members[&1].view, broadcast::View::Apart);
    let leader = room.lead();
    room.propose(leader, &["b"]);
    room.heal_anew();
    room.elect();
    room.run(ms(1_000));
    room.assert_all(&["b"]);
}

#[test]
fn scenario_115_what_nobody_knows_the_outcome_of_is_applied_once_or_never() {
    let mut room = Room::of(3);
    room.elect_one(1);
    // One that the next leader has, and one that it has not.
    [2, 3].into_iter().for_each(|id| room.hold_disk(id));
    let contexts = room.propose(1, &["kept"]);
    room.isolate(1);
    [2, 3].into_iter().for_each(|id| room.release_disk(id));
    let lost = room.propose(1, &["lost"]);
    room.until("another leads", |room| room.primary().is_some_and(|leader| leader != 1));
    assert_eq!((room.outcome(1, contexts[0]), room.outcome(1, lost[0])), (None, None));
    // Whoever asks again asks for one more.
    let leader = room.primary().expect("it was seen");
    room.propose(leader, &["again"]);
    room.heal_anew();
    room.elect();
    room.run(ms(1_000));
    room.assert_all(&["kept", "again"]);
}

#[test]
fn scenarios_56_58_a_window_bounds_what_is_on_its_way_to_a_silent_follower() {
    let mut room = Room::empty(&[1, 2, 3], &[]);
    (room.setup.limits.inflight_max, room.setup.limits.append_size_max) = (3, 1);
    (1..=3).for_each(|id| room.start(id));
    room.elect_one(1);
    room.hold_disk(3);
    for n in 0..20 {
        room.propose(1, &[&format!("{n}")]);
    }
    assert_eq!(room.status(1).committed_at, Zxid(20), "the others go on");
    assert_eq!(room.status(3).last, Zxid(3), "three frames of one entry");
    assert_eq!(room.status(1).followers[&NodeId(3)].1, Replication::Replicate);
    room.release_disk(3);
    room.run(ms(100));
    assert_eq!(room.state(3).len(), 20);
}

/// Member 1, leading term 2 of three, whose other members the test plays.
fn leader(append_size_max: usize) -> Room {
    let mut room = Room::empty(&[1, 2, 3], &[]);
    room.setup.limits.append_size_max = append_size_max;
    [2, 3].into_iter().for_each(|id| room.play(id));
    room.start(1);
    let link = room.dial_as(2, 1);
    room.say(2, link, &Message::TimeoutNow { term: 1 });
    room.answer_as(2, 1, &Message::VoteResponse { term: 2, pre: false, granted: true });
    room.answer_as(2, 1, &Message::AppendResponse { term: 2, index: 1, hint: None });
    assert_eq!(room.primary(), Some(1));
    room
}

fn sizes(heard: &[Message]) -> Vec<usize> {
    let count = |message: &Message| {
        let Message::Append { entries, .. } = message else { return None };
        Some(entries.len())
    };
    heard.iter().filter_map(count).collect()
}

#[test]
fn scenario_46_a_heartbeat_that_is_answered_asks_again_who_has_not_said_how_far_it_is() {
    let mut room = leader(1 << 20);
    room.run(ms(110));
    [2, 3].into_iter().for_each(|id| {
        room.asked_of(id, 1);
        room.answer_as(id, 1, &Message::HeartbeatResponse { term: 2, round: 1 });
    });
    assert_eq!(sizes(&room.asked_of(2, 1)), [0_usize; 0], "it has all");
    assert_eq!(sizes(&room.asked_of(3, 1)), [0], "a question, without entries");
}

#[test]
fn scenario_53_entries_travel_in_frames_of_bounded_size() {
    // An entry of one byte takes 22 bytes of a frame.
    let mut room = leader(60);
    [2, 3].into_iter().for_each(|id| drop(room.asked_of(id, 1)));
    let texts: Vec<String> = (0..9).map(|n| n.to_string()).collect();
    room.propose(1, &texts.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(sizes(&room.asked_of(2, 1)), [2, 2, 2, 2, 1]);
    assert_eq!(sizes(&room.asked_of(3, 1)), [0_usize; 0], "its first frame is not answered");
    room.answer_as(3, 1, &Message::AppendResponse { term: 2, index: 1, hint: None });
    assert_eq!(sizes(&room.asked_of(3, 1)), [2, 2, 2, 2, 1]);
}

#[test]
fn scenario_107_two_appends_on_their_way_to_the_disk_are_acknowledged_one_by_one() {
    let (mut room, link) = follower();
    room.hold_disk(1);
    room.say(2, link, &append(1, (0, 0), 0, vec![entry(1, 1)]));
    room.say(2, link, &append(1, (1, 1), 0, vec![entry(1, 2)]));
    assert_eq!(room.heard(2, link), Some(vec![]), "nothing is durable");
    let pending = room.disks[&1].pending();
    room.sync(1, pending - 1);
    room.flow();
    assert_eq!(room.heard(2, link), accepted(1, 1));
    room.release_disk(1);
    assert_eq!(room.heard(2, link), accepted(1, 2));
}

#[test]
fn scenario_109_a_leader_whose_disk_is_slow_is_replaced_and_keeps_what_was_decided() {
    let mut room = Room::of(3);
    room.elect_one(1);
    room.hold_disk(1);
    room.propose(1, &["a"]);
    assert_eq!((room.state(1).len(), room.state(2).len()), (0, 1), "its own disk has it not");
    room.give(1, Input::TransferRequested { to: NodeId(2) });
    room.until("2 leads", |room| room.primary() == Some(2));
    room.propose(2, &["b"]);
    room.crash(1);
    room.start(1);
    room.elect();
    room.run(ms(500));
    room.assert_all(&["a", "b"]);
}

/// A leader whose window is full sends nothing more: it must hear how far a follower is from one
/// that has asked in vain whether it would be elected, and that went on with the same connection.
#[test]
fn scenario_59_who_goes_on_with_its_leader_acknowledges_what_came_before() {
    let (mut room, link) = follower();
    room.hold_disk(1);
    room.say(2, link, &append(1, (0, 0), 0, vec![entry(1, 1), entry(1, 2)]));
    room.time_out(1);
    assert_eq!(room.role(1), Role::PreCandidate);
    room.release_disk(1);
    room.heard(2, link);
    room.say(2, link, &Message::Heartbeat { term: 1, commit: 2, round: 1, beat: false });
    let heard = room.heard(2, link).unwrap_or_default();
    let accepted = Message::AppendResponse { term: 1, index: 2, hint: None };
    assert!(heard.contains(&accepted), "{heard:?}");
    assert_eq!(room.status(1).committed, 2, "and knows what of it is committed");
}

#[test]
fn scenario_60_a_follower_that_comes_back_is_served_at_once() {
    let mut room = Room::of(3);
    room.elect_one(1);
    room.propose(1, &["a"]);
    room.restart(3);
    room.run(ms(600));
    assert_eq!(room.status(1).followers[&NodeId(3)].1, Replication::Replicate);
    room.propose(1, &["b"]);
    room.assert_all(&["a", "b"]);
}

#[test]
fn scenario_54_what_is_proposed_together_travels_together() {
    let mut room = Room::empty(&[1, 2], &[]);
    room.start(1);
    room.start(2);
    room.elect_one(1);
    let texts: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    room.propose_only(1, &texts);
    let frames = room.net.waiting(2);
    assert_eq!(frames, 1, "one burst for one follower");
    room.flow();
    assert_eq!(room.state(2).len(), 100);
}

#[test]
fn a_follower_that_fails_its_disk_is_silent_for_ever() {
    let mut room = Room::of(3);
    room.elect_one(1);
    room.give(2, Input::DiskFailed { at: base::Lsn(9) });
    assert_eq!(room.role(2), Role::Silent);
    room.propose(1, &["a"]);
    room.run(ms(5_000));
    assert_eq!(room.state(3), ["a"]);
    assert!(room.state(2).is_empty(), "scenario 113");
    let contexts = room.propose(2, &["b"]);
    let refused = Some(Some(Decision::Rejected(Refusal::DiskFailed)));
    assert_eq!(room.outcome(2, contexts[0]), refused);
}
