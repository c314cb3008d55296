//! What connections hand to the member: requests in order, their bodies in one buffer.
//!
//! A batch is filled by many connections and drained whole; both its vectors are used again, so
//! a request costs one copy of its body and no allocation.

use crate::Access;
use base::{ConnectionId, SessionId, Time};
use std::ops::Range;
use std::sync::Arc;
use wire::{Id, OpCode, PASSWORD_SIZE};

/// The identities of a connection at the time of a request.
pub type Ids = Arc<Vec<Id>>;

/// What is asked of the member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A write of an open session.
    Write(OpCode),
    /// A new session.
    Open {
        /// The negotiated time-out in ms.
        timeout_ms: i32,
        /// The least that will do.
        access: Access,
    },
    /// A session that the client holds already.
    Renew {
        /// The negotiated time-out in ms.
        timeout_ms: i32,
        /// The least that will do.
        access: Access,
        /// What the client gave as the password.
        password: Option<[u8; PASSWORD_SIZE]>,
    },
    /// Reads wait for what a linearizable read must see: [`crate::Connection::confirmed`].
    ReadIndex,
    /// The connection is gone; the session may come back on another.
    Detach {
        /// When the client was last heard.
        last_heard: Time,
    },
}

/// One request.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Where the reply goes.
    pub connection: ConnectionId,
    /// Whose it is.
    pub session: SessionId,
    /// The client's number of it.
    pub xid: i32,
    /// What is asked.
    pub ask: Ask,
    /// Who asks.
    pub ids: Ids,
    /// When it came in.
    pub arrived: Time,
    body: Range<usize>,
}

/// Requests in the order in which they are to be prepared.
#[derive(Debug, Default)]
pub struct Submissions {
    items: Vec<Submission>,
    bodies: Vec<u8>,
}

impl Submissions {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// The requests with their bodies.
    pub fn iter(&self) -> impl Iterator<Item = (&Submission, &[u8])> {
        self.items.iter().map(|item| (item, &self.bodies[item.body.clone()]))
    }

    /// Forgets all, and keeps the memory unless a burst made it large.
    pub fn clear(&mut self) {
        self.items.clear();
        self.bodies.clear();
        self.bodies.shrink_to(BODIES_KEPT_MAX);
        self.items.shrink_to(ITEMS_KEPT_MAX);
    }

    /// Adds a write with its body.
    pub fn write(&mut self, from: Origin<'_>, op: OpCode, body: &[u8]) {
        let start = self.bodies.len();
        self.bodies.extend_from_slice(body);
        self.push(from, Ask::Write(op), start..self.bodies.len());
    }

    /// Adds anything else.
    pub fn ask(&mut self, from: Origin<'_>, ask: Ask) {
        let end = self.bodies.len();
        self.push(from, ask, end..end);
    }

    /// Whether the last request is this connection's [`Ask::ReadIndex`].
    pub(crate) fn ends_with_read_index(&self, connection: ConnectionId) -> bool {
        self.items
            .last()
            .is_some_and(|last| last.connection == connection && last.ask == Ask::ReadIndex)
    }

    /// Moves all of `other` behind what is here.
    pub fn append(&mut self, other: &mut Submissions) {
        let shift = self.bodies.len();
        self.bodies.append(&mut other.bodies);
        self.items.extend(other.items.drain(..).map(|mut item| {
            item.body = item.body.start + shift..item.body.end + shift;
            item
        }));
    }

    fn push(&mut self, from: Origin<'_>, ask: Ask, body: Range<usize>) {
        self.items.push(Submission {
            connection: from.connection,
            session: from.session,
            xid: from.xid,
            ask,
            ids: Arc::clone(from.ids),
            arrived: from.arrived,
            body,
        });
    }
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// Where the reply goes.
    pub connection: ConnectionId,
    /// Whose it is.
    pub session: SessionId,
    /// The client's number of it.
    pub xid: i32,
    /// Who asks.
    pub ids: &'a Ids,
    /// When it came in.
    pub arrived: Time,
}

/// Memory that an idle batch keeps, in bytes: a few full socket buffers.
const BODIES_KEPT_MAX: usize = 1 << 20;
/// Requests that an idle batch keeps room for.
const ITEMS_KEPT_MAX: usize = 1 << 12;
