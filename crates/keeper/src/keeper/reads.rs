//! Linearizable reads: each waits until this member has all that was acknowledged to anybody
//! before the read came.
//!
//! The primary's engine says what that is, for its own clients and for replicas that ask; it goes
//! round a quorum for it. All reads that come while a round is under way share the next one.
//! A replica asks by a request in the name of no session, which nothing can come of but an error.
//! A primary of Quorate's knows it by its id, and writes what the reads must see; any other puts
//! the error into the order, behind everything that was acknowledged before.
//! Invariant: a read is let through by a round that began after the read had come.

use super::Ready;
use base::{ConnectionId, NodeId, Zxid};
use bytes::Bytes;
use jute::Encode;
use std::collections::VecDeque;
use wire::quorum::{AuthIds, ForwardedRequest, PacketKind, put_packet_with_data, put_request};
use wire::{CheckVersionRequest, Id, OpCode};

/// Connections whose reads wait, once for each read or for several that came together.
#[derive(Debug, Default)]
pub(super) struct Reads {
    /// For a round that is yet to begin.
    next: Vec<ConnectionId>,
    /// For the answer to the round under way.
    under_way: Option<Vec<ConnectionId>>,
    /// For this place to be applied.
    answered: VecDeque<(Zxid, Vec<ConnectionId>)>,
}

impl Reads {
    /// A read has come.
    pub(super) fn wait(&mut self, connection: ConnectionId) {
        self.next.push(connection);
    }

    /// Whether a round is to begin. It is under way then.
    pub(super) fn begin(&mut self) -> bool {
        let begins = self.under_way.is_none() && !self.next.is_empty();
        if begins {
            self.under_way = Some(std::mem::take(&mut self.next));
        }
        begins
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// The round under way is over: its reads must see everything up to this place.
    pub(super) fn answer(&mut self, at_least: Zxid) {
        self.answered.extend(self.under_way.take().map(|reads| (at_least, reads)));
    }

    /// Whether reads wait for nothing any more.
    pub(super) fn is_ready(&self, applied: Zxid) -> bool {
        self.answered.front().is_some_and(|(at_least, _)| *at_least <= applied)
    }

    /// Lets those reads through.
    pub(super) fn release(&mut self, applied: Zxid, ready: &mut Vec<Ready>) {
        while let Some((_, reads)) = self.answered.pop_front_if(|(at, _)| *at <= applied) {
            ready.extend(reads.into_iter().map(|connection| Ready::Confirmed { connection }));
        }
    }
}

/// A replica's question, by which its answer is known again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// An id that no session has, and no other member or role of this one asks under.
    pub(super) session_id: i64,
    /// The round's number.
    pub(super) number: i32,
}

impl Question {
    /// Appends the letter to the primary.
    pub(super) fn put(self, letters: &mut Vec<u8>) {
        let mut body = Vec::new();
        // No node has this path, and no request may name it.
        CheckVersionRequest { path: "".into(), version: 0 }.encode(&mut body);
        let Question { session_id, number } = self;
        let op = OpCode::Check.number();
        let request = ForwardedRequest { session_id, cxid: number, op, body: &body };
        put_request(letters, &request, Some(&[Id::new(SCHEME, ID)]));
    }

    /// The question that a request is, if it is one. Clients have no such id: no scheme gives it.
    pub(super) fn of(
        request: &ForwardedRequest<'_>,
        ids: Option<&AuthIds<'_>>,
    ) -> Option<Question> {
        let mut ids = ids?.iter();
        let is_id = ids.next().is_some_and(|(scheme, id)| scheme == SCHEME && id == ID);
        let is_question = is_id && ids.next().is_none() && request.op == OpCode::Check.number();
        is_question.then_some(Question { session_id: request.session_id, number: request.cxid })
    }

    /// Whether that member asks it, and not one behind it: ids begin with their member's number.
    pub(super) fn is_of(self, node: NodeId) -> bool {
        self.session_id.to_be_bytes()[0] == node.0.to_le_bytes()[0]
    }

    /// The primary's letter: everything up to this place must be seen.
    pub(super) fn answer(self, at_least: Zxid) -> Bytes {
        let mut letter = Vec::new();
        put_packet_with_data(&mut letter, PacketKind::Request, at_least.0, |out| {
            let Question { session_id, number } = self;
            let op = OpCode::Check.number();
            ForwardedRequest { session_id, cxid: number, op, body: &[] }.encode(out);
        });
        Bytes::from(letter)
    }

    /// Whether this is what came of the question.
    pub(super) fn is_answered_by(self, session_id: i64, number: i32) -> bool {
        self == Question { session_id, number }
    }
}

/// The id under which replicas ask.
const SCHEME: &str = "quorate";
const ID: &str = "read-index";
