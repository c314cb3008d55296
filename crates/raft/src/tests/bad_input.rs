//! Strangers, and members that say what cannot be: each ends its own connection, with one reason.

use super::room::{CLUSTER, Room, frame, item};
use crate::frames::{Message, VERSION};
use crate::log::{Entry, Payload};
use base::{NodeId, Zxid};
use broadcast::LinkId;

fn refusals(room: &Room) -> Vec<String> {
    let events = room.members[&1].events.iter();
    let reasons = events.filter_map(|event| {
        let trace::Ensemble::LinkRefused { reason, .. } = event else { return None };
        Some(reason.clone())
    });
    reasons.collect()
}

fn member() -> Room {
    let mut room = Room::empty(&[1, 2, 3], &[]);
    [2, 3].into_iter().for_each(|id| room.play(id));
    room.start(1);
    room
}

#[track_caller]
fn is_refused(room: &mut Room, link: LinkId, with: &str) {
    assert_eq!(room.heard(2, link), None, "the connection is closed");
    let reasons = refusals(room);
    assert!(reasons.len() == 1 && reasons[0].contains(with), "{reasons:?}");
}

#[test]
fn strangers_are_refused() {
    let hello = |version, cluster, from, to| {
        let (history, from, to) = (0, NodeId(from), NodeId(to));
        Message::Hello { version, cluster, history, from, to }
    };
    let told = [
        (hello(VERSION, 9, 2, 1), "cluster 0x9"),
        (hello(VERSION + 1, CLUSTER, 2, 1), "version 2"),
        (hello(VERSION, CLUSTER, 2, 3), "looks for 3"),
        (hello(VERSION, CLUSTER, 1, 1), "member 1 looks for 1"),
        (Message::TimeoutNow { term: 9 }, "does not greet"),
    ];
    for (message, reason) in told {
        let mut room = member();
        let link = room.dial_silently(2, 1);
        room.say(2, link, &message);
        is_refused(&mut room, link, reason);
        assert_eq!(room.status(1).term, 0);
    }
}

#[test]
fn bytes_that_cannot_be_read_close_one_connection_only() {
    let mut wrong = frame(&Message::TimeoutNow { term: 1 }).to_vec();
    wrong[9] ^= 1;
    for (bytes, reason) in [
        (wrong, "checksum"),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "longer than any"),
        (vec![0; 20], "empty"),
    ] {
        let mut room = member();
        let other = room.dial_as(3, 1);
        let link = room.dial_as(2, 1);
        room.say_bytes(2, link, item(&String::from_utf8_lossy(&bytes)).slice(..0));
        room.say_bytes(2, link, bytes.into());
        is_refused(&mut room, link, reason);
        assert!(room.heard(3, other).is_some(), "the other one stays");
    }
}

#[test]
fn who_says_nothing_is_closed_after_a_while() {
    let mut room = member();
    let link = room.dial_silently(2, 1);
    room.run(super::room::ms(6_000));
    is_refused(&mut room, link, "did not say whose");
}

#[test]
fn what_a_leader_cannot_say_is_refused() {
    let append = |term, entries| {
        let (prev_index, prev_term, commit) = (0, 0, 0);
        Message::Append { term, prev_index, prev_term, commit, entries }
    };
    let entry = |term, at| Entry::new(term, Zxid(at), Payload::Item(item("x")));
    let noop = |term, at| Entry::new(term, Zxid(at), Payload::NoOp);
    for entries in [
        vec![entry(3, 1)],              // of a term that is yet to come
        vec![entry(2, 1), entry(1, 2)], // terms go back
        vec![entry(2, 1), entry(2, 1)], // a place twice
        vec![entry(2, 1), noop(2, 2)],  // an empty entry takes no place
    ] {
        let mut room = member();
        let link = room.dial_as(2, 1);
        room.say(2, link, &append(2, entries));
        is_refused(&mut room, link, "cannot be behind");
    }
    let mut room = member();
    let (link, other) = (room.dial_as(2, 1), room.dial_as(3, 1));
    room.say(3, other, &append(2, vec![]));
    room.say(2, link, &append(2, vec![]));
    is_refused(&mut room, link, "3 leads term 2");
}

#[test]
fn words_in_the_wrong_direction_are_refused() {
    let mut room = member();
    let link = room.dial_as(2, 1);
    room.say(2, link, &Message::AppendResponse { term: 1, index: 0, hint: None });
    is_refused(&mut room, link, "the other side");
}

#[test]
fn a_member_that_comes_again_ends_its_earlier_connection() {
    let mut room = member();
    let old = room.dial_as(2, 1);
    let new = room.dial_as(2, 1);
    assert_eq!(room.heard(2, old), None);
    assert!(room.heard(2, new).is_some());
    assert!(refusals(&room).is_empty());
}
