//! From when on a member serves, and whom it listens to: what only whole services notice.

use super::room::{Room, item, members};
use crate::frames::Message;
use crate::log::{Entry, Payload};
use crate::status::Role;
use base::{NodeId, Zxid};
use broadcast::{LinkId, View};

/// Member 1 of three; the test plays the others.
fn alone() -> Room {
    let mut room = Room::empty(&[1, 2, 3], &[]);
    [2, 3].into_iter().for_each(|id| room.play(id));
    room.start(1);
    room
}

fn entries(from: i64, to: i64) -> Vec<Entry> {
    let entry = |at| Entry::new(1, Zxid(at), Payload::Item(item("x")));
    (from..=to).map(entry).collect()
}

fn append(prev_index: u64, commit: u64, entries: Vec<Entry>) -> Message {
    Message::Append { term: 1, prev_index, prev_term: 1, commit, entries }
}

fn number_asked(room: &mut Room, link: LinkId) -> Option<u64> {
    let heard = room.heard(2, link).expect("the connection is there");
    let number = |message: &Message| {
        if let Message::Read { number, .. } = message { Some(*number) } else { None }
    };
    heard.iter().find_map(number)
}

#[test]
fn a_state_that_came_is_served_once_all_in_it_is_known_to_be_committed() {
    let mut room = alone();
    let link = room.dial_as(2, 1);
    let configuration = members(&[1, 2, 3], &[]);
    let (index, index_term, at, history) = (10, 1, Zxid(10), 1);
    let message = Message::Snapshot { term: 1, history, index, index_term, at, configuration };
    room.say(2, link, &message);
    room.say_state(2, link, (1..=12).map(|at| (Zxid(at), item("x"))).collect());
    assert_eq!(room.status(1).committed, 10);
    let number = number_asked(&mut room, link).expect("it asks what is committed by now");
    let beat = Message::Heartbeat { term: 1, commit: 10, round: 1, beat: false };
    room.say(2, link, &beat);
    assert_eq!(room.members[&1].view, View::Apart, "that was written before all of it was here");
    room.say(2, link, &Message::ReadResponse { number, at: None });
    assert_eq!(number_asked(&mut room, link), None);
    room.say(2, link, &beat);
    let number = number_asked(&mut room, link).expect("it asks again");
    room.say(2, link, &Message::ReadResponse { number, at: Some(Zxid(12)) });
    room.say(2, link, &append(10, 11, entries(11, 11)));
    assert_eq!(room.members[&1].view, View::Apart, "the state holds some of 12");
    room.say(2, link, &append(11, 12, entries(12, 12)));
    assert_eq!(room.members[&1].view, View::Replica { primary: NodeId(2) });
}

#[test]
fn who_follows_serves_what_its_leader_had_committed_when_it_was_heard() {
    let mut room = alone();
    let link = room.dial_as(2, 1);
    room.say(2, link, &append(0, 3, entries(1, 2)));
    assert_eq!(room.members[&1].view, View::Apart, "its own state may hold some of 3");
    room.say(2, link, &append(2, 3, entries(3, 3)));
    assert_eq!(room.members[&1].view, View::Replica { primary: NodeId(2) });
    // On another connection letters and reads of the first are lost.
    let other = room.dial_as(2, 1);
    assert_ne!(room.members[&1].view, View::Replica { primary: NodeId(2) });
    room.say(2, other, &append(3, 3, Vec::new()));
    assert_eq!(room.members[&1].view, View::Replica { primary: NodeId(2) });
}

#[test]
fn a_letter_is_read_in_its_own_term_and_once_there_is_a_primary() {
    let mut room = alone();
    let link = room.dial_as(2, 1);
    room.say(2, link, &Message::TimeoutNow { term: 4 });
    room.answer_as(2, 1, &Message::VoteResponse { term: 5, pre: false, granted: true });
    assert_eq!(room.role(1), Role::Leader);
    let forward = |term, text| Message::Forward { term, letter: item(text) };
    room.answer_as(2, 1, &forward(5, "early"));
    assert!(room.members[&1].letters.is_empty(), "nobody may propose yet");
    room.answer_as(2, 1, &Message::AppendResponse { term: 5, index: 1, hint: None });
    assert_eq!(room.members[&1].letters, [item("early")]);
    room.answer_as(2, 1, &forward(4, "late"));
    room.answer_as(2, 1, &forward(5, "in time"));
    assert_eq!(room.members[&1].letters, [item("early"), item("in time")]);
}

#[test]
fn who_knows_nothing_founds_no_ensemble_of_which_others_know_nothing() {
    let mut room = alone();
    let ask = |room: &mut Room, id, last| {
        let link = room.dial_as(id, 1);
        let (last_index, last_term, transfer) = (last, last, false);
        let vote = Message::Vote { term: 1, last_index, last_term, pre: true, transfer };
        room.say(id, link, &vote);
        let heard = room.heard(id, link).expect("it answers");
        heard.iter().any(|message| matches!(message, Message::VoteResponse { granted: true, .. }))
    };
    assert!(!ask(&mut room, 9, 0), "one that is to be added later");
    assert!(ask(&mut room, 2, 0));
    assert!(ask(&mut room, 9, 1), "one that was added by an entry that this member has not");
}
