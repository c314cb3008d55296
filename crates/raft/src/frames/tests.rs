//! Codecs: round trips, cut frames, flipped bits.

use super::{Message, frame_len};
use crate::configuration::tests::of;
use crate::log::{Entry, Payload};
use base::{NodeId, Rng, Zxid};
use broadcast::ReadLevel;
use bytes::Bytes;
use std::sync::Arc;

fn all() -> Vec<Message> {
    let item = Payload::Item(Bytes::from_static(b"an item"));
    let entries = vec![
        Entry::new(3, Zxid(4), Payload::NoOp),
        Entry::new(3, Zxid(5), item),
        Entry::new(4, Zxid(5), Payload::Configuration(Arc::new(of(&[1, 2, 3], &[4])))),
    ];
    let joint = of(&[1, 2, 3], &[]).enter(&of(&[2, 4], &[3]));
    let letter = Bytes::from_static(b"a letter");
    vec![
        Message::Hello { version: 1, cluster: 7, history: 6, from: NodeId(1), to: NodeId(2) },
        Message::Welcome { version: 1, cluster: 7, history: 6, from: NodeId(2) },
        Message::Vote { term: 9, last_index: 8, last_term: 7, pre: true, transfer: false },
        Message::Vote { term: 9, last_index: 8, last_term: 7, pre: false, transfer: true },
        Message::VoteResponse { term: 9, pre: false, granted: true },
        Message::Append { term: 9, prev_index: 8, prev_term: 7, commit: 6, entries },
        Message::Append { term: 9, prev_index: 8, prev_term: 7, commit: 6, entries: vec![] },
        Message::AppendResponse { term: 9, index: 8, hint: None },
        Message::AppendResponse { term: 9, index: 8, hint: Some((3, 2)) },
        Message::Heartbeat { term: 9, commit: 8, round: 7, beat: true },
        Message::HeartbeatResponse { term: 9, round: 7 },
        Message::Commit { term: 9, commit: 8 },
        Message::Snapshot {
            term: 9,
            history: 5,
            index: 8,
            index_term: 7,
            at: Zxid(6),
            configuration: joint,
        },
        Message::TimeoutNow { term: 9 },
        Message::Read { number: 3, level: ReadLevel::Proposed },
        Message::ReadResponse { number: 3, at: Some(Zxid(5)) },
        Message::ReadResponse { number: 3, at: None },
        Message::Forward { term: 3, letter: letter.clone() },
        Message::Answer { term: 3, behind: 7, letter: letter.clone() },
        Message::Touch { term: 3, letter },
    ]
}

fn frame(message: &Message) -> Bytes {
    let mut bytes = Vec::new();
    message.put(&mut bytes);
    bytes.into()
}

#[test]
fn every_message_comes_out_as_it_went_in() {
    for message in all() {
        let bytes = frame(&message);
        assert_eq!(frame_len(&bytes, 1000), Ok(Some(bytes.len())));
        assert_eq!(Message::decode(&bytes).as_ref(), Ok(&message));
    }
}

#[test]
fn a_flipped_bit_is_found_and_nothing_panics() {
    let mut rng = Rng::new(1);
    for message in all() {
        let bytes = frame(&message);
        for bit in 32..bytes.len() * 8 {
            let mut wrong = bytes.to_vec();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(Message::decode(&wrong.into()).is_err(), "{message:?}, bit {bit}");
        }
        // The checksum matches, and yet it makes no sense.
        for _ in 0..200 {
            let mut body = bytes[super::HEADER..].to_vec();
            let at = rng.below(body.len() as u64) as usize;
            body[at] = rng.next_u64() as u8;
            body.truncate(rng.between(1, body.len() as u64) as usize);
            let mut wrong = Vec::new();
            super::frame(&mut wrong, |out| out.extend_from_slice(&body));
            let _may_be_either = Message::decode(&wrong.into());
        }
    }
}

#[test]
fn lengths_are_bounded_before_anything_is_kept() {
    assert_eq!(frame_len(&[1, 0, 0], 10), Ok(None));
    assert!(frame_len(&[11, 0, 0, 0], 10).is_err());
    assert!(frame_len(&[0, 0, 0, 0], 10).is_err());
    assert_eq!(frame_len(&[1, 0, 0, 0, 0, 0, 0, 0], 10), Ok(None));
    assert_eq!(frame_len(&[1, 0, 0, 0, 0, 0, 0, 0, 9], 10), Ok(Some(9)));
}
