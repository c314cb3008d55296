//! One client connection: handshake, requests in, replies and events out.
//!
//! Sans-IO and driven from two sides that its driver keeps apart: its own task feeds frames and
//! takes bytes to send ([`Connection::receive`], [`Connection::take_output`]), the member answers
//! writes and hands in events ([`Connection::answer`], [`Connection::notify`]).
//! Guarantees: replies leave in request order; a read behind an unfinished write of its session
//! runs after that write and before the next one; an event leaves before any reply that shows
//! its change, because both go through the one outbox while the tree stands still; a linearizable
//! read runs on a tree that has all that was acknowledged before it came.

mod gate;
mod handshake;
mod multi_read;
mod read_level;
mod reads;
mod requests;
mod stats;

pub use stats::{Latency, Stats, Tally};

use crate::{Config, Ids, Submissions, Watches};
use base::{ConnectionId, SessionId, Time, Zxid};
use gate::Gate;
use jute::Encode;
use metrics::Metrics;
use read_level::ReadLevel;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tree::Tree;
use wire::{Acl, ErrorCode, EventType, ReplyHeader, encode_event, perms};

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing was received.
    Fresh,
    /// The session was asked for; nothing is read until it is settled.
    Establishing {
        /// Whether the client said if a read-only server will do: then it is told.
        read_only_known: bool,
    },
    /// Requests are taken.
    Open,
    /// The client asked for the session's end: what follows is not read.
    Ending,
    /// To be closed once the outbox is sent.
    Closed,
}

/// What a server grants, or a client is content with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everything.
    Full,
    /// Reads and watches, on what a member without a quorum has.
    ReadOnly,
}

/// What a connection needs of the world around it in one step.
#[allow(missing_debug_implementations)]
pub struct Desk<'a> {
    /// The time.
    pub now: Time,
    /// The service's configuration.
    pub config: &'a Config,
    /// The tree, which stands still during the step.
    pub tree: &'a Tree,
    /// The watch table; a driver may lock it when it is first asked for.
    pub watches: &'a mut dyn WatchSource,
    /// Where requests for the member go.
    pub submissions: &'a mut Submissions,
}

/// Gives the watch table.
pub trait WatchSource {
    /// The table.
    fn watches(&mut self) -> &mut Watches;

    /// Where a step counts. It is the table's own block unless the driver has another, which
    /// nobody waits for.
    fn metrics(&mut self) -> &mut Metrics {
        self.watches().metrics()
    }
}

impl WatchSource for Watches {
    fn watches(&mut self) -> &mut Watches {
        self
    }
}

/// A client connection.
#[derive(Debug)]
pub struct Connection {
    id: ConnectionId,
    remote: SocketAddr,
    phase: Phase,
    session: SessionId,
    timeout: Duration,
    ids: Ids,
    /// What the session has said of its reads.
    read_level: ReadLevel,
    /// Whether its reads wait for a round.
    reads_linearizably: bool,
    gate: Gate,
    outbox: Vec<u8>,
    last_heard: Time,
    /// What `cons` and the metrics show.
    pub stats: Stats,
    tally: Tally,
}

impl Connection {
    /// A connection that was just accepted.
    #[must_use]
    pub fn new(id: ConnectionId, remote: SocketAddr, now: Time, config: &Config) -> Connection {
        Connection {
            id,
            remote,
            phase: Phase::Fresh,
            session: SessionId::NONE,
            timeout: Duration::ZERO,
            ids: Arc::new(config.auth.initial_ids(remote.ip())),
            read_level: ReadLevel::Unsaid,
            reads_linearizably: ReadLevel::Unsaid.is_linearizable(config),
            gate: Gate::default(),
            outbox: Vec::new(),
            last_heard: now,
            stats: Stats::new(now),
            tally: Tally::default(),
        }
    }

    /// Which connection it is.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// The client's address.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Its session; [`SessionId::NONE`] until there is one.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// The negotiated session time-out; zero until there is one.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// When a frame last came in.
    #[must_use]
    pub fn last_heard(&self) -> Time {
        self.last_heard
    }

    /// When the driver is to close it unless something comes in before: a client that does not
    /// open a session in time, or that is silent for longer than its session may be.
    #[must_use]
    pub fn idle_deadline(&self, sessionless: Duration) -> Time {
        match self.phase {
            Phase::Fresh => self.last_heard + sessionless,
            Phase::Establishing { .. } | Phase::Open | Phase::Ending | Phase::Closed => {
                self.last_heard + self.timeout.max(sessionless)
            }
        }
    }

    /// Whether a session is open on it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Ending)
    }

    /// Whether it is to be closed once its output is sent.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Whether [`Connection::receive`] may be called with another frame: not while the session is
    /// being settled, too much waits in the gate, or the client does not take its replies.
    #[must_use]
    pub fn wants_more(&self) -> bool {
        matches!(self.phase, Phase::Fresh | Phase::Open)
            && !self.gate.is_full()
            && self.outbox.len() < OUTBOX_PAUSE_BYTES
    }

    /// How many requests wait for their reply.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.gate.len()
    }

    /// Whether there are bytes to send.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Swaps the bytes to send with `empty`, whose memory is used for what comes next.
    pub fn take_output(&mut self, empty: &mut Vec<u8>) {
        empty.clear();
        std::mem::swap(&mut self.outbox, empty);
    }

    /// Takes what was counted since the last call.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// Takes one frame (without its length). Only while [`Connection::wants_more`].
    pub fn receive(&mut self, frame: &[u8], desk: &mut Desk<'_>) {
        self.last_heard = desk.now;
        self.stats.received += 1;
        self.tally.received += 1;
        match self.phase {
            Phase::Fresh => self.shake_hands(frame, desk),
            Phase::Open => self.request(frame, desk),
            Phase::Establishing { .. } | Phase::Ending | Phase::Closed => {}
        }
    }

    /// Goes on with reads that waited for the client to take its replies. The driver calls it
    /// after it has sent the output.
    pub fn resume(&mut self, desk: &mut Desk<'_>) {
        self.drain_gate(desk);
    }

    /// The member's answer to the oldest submitted write: `write` appends the reply's payload.
    /// `ends` says that the session is over with it.
    pub fn answer(&mut self, desk: &mut Desk<'_>, reply: Reply, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(submitted) = self.gate.answer() else {
            // The connection was closed meanwhile.
            desk.watches.metrics().counters.stale_replies += 1;
            return;
        };
        self.reply(reply, |out| {
            write(out);
            Ok(())
        });
        let latency = desk.now.since(submitted.arrived);
        self.tally.answered(latency);
        self.stats.answered(submitted.op, reply, latency, desk.now);
        match reply.then {
            Then::GoOn => self.drain_gate(desk),
            Then::Close => self.close(),
        }
    }

    /// A watch event. `acl` is the list that must let the client read.
    pub fn notify(
        &mut self,
        config: &Config,
        zxid: Zxid,
        event: EventType,
        path: &str,
        acl: Option<&[Acl]>,
    ) {
        if self.is_open() && config.auth.permits(acl, &self.ids, perms::READ) {
            self.event(zxid.0, event, path);
            if self.outbox.len() > OUTBOX_MAX_BYTES {
                // It takes nothing and will not: its memory goes to those who do.
                self.outbox.clear();
                self.close();
            }
        }
    }

    /// To be closed once the outbox is sent; takes nothing more.
    pub fn close(&mut self) {
        self.phase = Phase::Closed;
        self.gate = Gate::default();
    }

    fn event(&mut self, zxid: i64, event: EventType, path: &str) {
        let start = self.begin_frame();
        encode_event(&mut self.outbox, zxid, event, path);
        let size = self.end_frame(start);
        self.tally.event_bytes += size as u64;
        self.tally.response_sizes.record(size);
    }

    /// Appends a reply frame; an error of `body` takes the place of what it has written.
    fn reply(&mut self, reply: Reply, body: impl FnOnce(&mut Vec<u8>) -> Result<(), ErrorCode>) {
        let Reply { xid, zxid, err, .. } = reply;
        let start = self.begin_frame();
        ReplyHeader { xid, zxid: zxid.0, err }.encode(&mut self.outbox);
        if let Err(code) = body(&mut self.outbox) {
            self.outbox.truncate(start + FRAME_LENGTH_SIZE);
            ReplyHeader { xid, zxid: zxid.0, err: code.number() }.encode(&mut self.outbox);
        }
        let size = self.end_frame(start);
        self.tally.response_sizes.record(size);
    }

    fn begin_frame(&mut self) -> usize {
        let start = self.outbox.len();
        self.outbox.reserve(FRAME_SIZE_EXPECTED);
        self.outbox.extend_from_slice(&[0; FRAME_LENGTH_SIZE]);
        start
    }

    /// Writes the frame's length in front of it, and gives it.
    fn end_frame(&mut self, start: usize) -> usize {
        let size = self.outbox.len() - start - FRAME_LENGTH_SIZE;
        let length = i32::try_from(size).expect("a reply is bounded by the tree's node sizes");
        self.outbox[start..start + FRAME_LENGTH_SIZE].copy_from_slice(&length.to_be_bytes());
        self.stats.sent += 1;
        self.tally.sent += 1;
        size
    }
}

/// The head of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The request's xid.
    pub xid: i32,
    /// The position that the client is told.
    pub zxid: Zxid,
    /// An error's number, or 0.
    pub err: i32,
    /// What happens to the connection.
    pub then: Then,
}

/// What happens to a connection after a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It goes on.
    GoOn,
    /// It is closed.
    Close,
}

impl Reply {
    /// The head of a reply after which the connection goes on.
    #[must_use]
    pub fn new(xid: i32, zxid: Zxid, err: i32) -> Reply {
        Reply { xid, zxid, err, then: Then::GoOn }
    }
}

/// Replies that wait to be sent before no more requests are read, in bytes. Enough to fill any
/// socket buffer several times.
pub const OUTBOX_PAUSE_BYTES: usize = 1 << 20;
/// Replies and events that wait before a client that does not read them is cut off, in bytes.
pub const OUTBOX_MAX_BYTES: usize = 64 << 20;
const FRAME_LENGTH_SIZE: usize = 4;
/// Most replies with their length: the first one need not grow step by step.
const FRAME_SIZE_EXPECTED: usize = 64;
