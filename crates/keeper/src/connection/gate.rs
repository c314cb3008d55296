//! The session's FIFO gate: what waits behind an unfinished write, and only that.
//!
//! Writes pass through it to the member at once, also behind waiting reads, so that a pipelining
//! client's writes share a batch. The reads between them run inside the apply section, each
//! between the write before it and the one behind it. Behind a read that waits for a round writes
//! wait too, for they might be applied before that read may run. Bodies of waiting requests lie in one
//! buffer, so that a waiting request costs no allocation.

use super::{Connection, Desk, OUTBOX_PAUSE_BYTES};
use crate::submission::{Ask, Ids, Origin};
use base::Time;
use std::collections::VecDeque;
use wire::OpCode;

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Gate {
    waiting: VecDeque<Waiting>,
    bodies: Vec<u8>,
    /// The place of `bodies[0]` in all that was ever put there.
    bodies_start: usize,
    /// Writes with the member.
    submitted: usize,
    /// Reads in `waiting`, weighted by what their replies may hold.
    reads_weight: usize,
    /// Writes in `waiting` that the member has not been given.
    held: usize,
    /// Rounds that the member was asked for on behalf of linearizable reads, and those that are
    /// over.
    asked: u64,
    confirmed: u64,
}

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) op: OpCode,
    pub(super) xid: i32,
    pub(super) arrived: Time,
    kind: Kind,
    body: std::ops::Range<usize>,
}

#[derive(Debug)]
enum Kind {
    /// With the member.
    Submitted,
    /// A read: runs as soon as it is in front and this round is over; 0 is none.
    Read { ids: Ids, round: u64 },
    /// A write behind reads that it might overtake: so many, or one that waits for a round.
    Held(Ids),
}

impl Gate {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= WAITING_MAX || self.bodies.len() >= BODIES_MAX_BYTES
    }

    /// Whether a write may go to the member although reads wait in front of it.
    pub(super) fn is_open_for_writes(&self) -> bool {
        self.held == 0 && self.reads_weight <= READS_AHEAD_MAX && self.confirmed == self.asked
    }

    /// Notes a write that the member was given.
    pub(super) fn submitted(&mut self, op: OpCode, xid: i32, arrived: Time) {
        self.submitted += 1;
        let at = self.bodies_start + self.bodies.len();
        self.waiting.push_back(Waiting { op, xid, arrived, kind: Kind::Submitted, body: at..at });
    }

    /// The oldest write is answered; `None` if the member has none.
    pub(super) fn answer(&mut self) -> Option<Waiting> {
        if !matches!(self.waiting.front()?.kind, Kind::Submitted) {
            return None;
        }
        self.submitted -= 1;
        let answered = self.waiting.pop_front();
        self.release();
        answered
    }

    fn keep(&mut self, op: OpCode, xid: i32, arrived: Time, kind: Kind, body: &[u8]) {
        match kind {
            Kind::Read { .. } => self.reads_weight += weight(op),
            Kind::Held(_) => self.held += 1,
            Kind::Submitted => {}
        }
        let start = self.bodies_start + self.bodies.len();
        self.bodies.extend_from_slice(body);
        let body = start..start + body.len();
        self.waiting.push_back(Waiting { op, xid, arrived, kind, body });
    }

    /// Gives memory back: all of it when nothing waits, else what lies before the front once it
    /// is the larger part.
    fn release(&mut self) {
        match self.waiting.front() {
            None => {
                self.bodies_start += self.bodies.len();
                self.bodies.clear();
                self.bodies.shrink_to(BODIES_KEPT_BYTES);
            }
            Some(front) => {
                let passed = front.body.start - self.bodies_start;
                if passed > BODIES_KEPT_BYTES && passed > self.bodies.len() / 2 {
                    self.bodies.drain(..passed);
                    self.bodies_start += passed;
                }
            }
        }
    }
}

impl Connection {
    /// Keeps a read that has to wait.
    pub(super) fn keep_read(&mut self, op: OpCode, xid: i32, body: &[u8], now: Time) {
        let kind = Kind::Read { ids: Ids::clone(&self.ids), round: 0 };
        self.gate.keep(op, xid, now, kind, body);
    }

    /// Keeps a linearizable read, and has the member ask what it must see: with one question for
    /// all reads that come before the member takes it.
    pub(super) fn keep_linearizable_read(
        &mut self,
        op: OpCode,
        xid: i32,
        body: &[u8],
        desk: &mut Desk<'_>,
    ) {
        if !desk.submissions.ends_with_read_index(self.id) {
            self.gate.asked += 1;
            let (connection, session, ids) = (self.id, self.session, &self.ids);
            let origin = Origin { connection, session, xid, ids, arrived: desk.now };
            desk.submissions.ask(origin, Ask::ReadIndex);
        }
        let kind = Kind::Read { ids: Ids::clone(&self.ids), round: self.gate.asked };
        self.gate.keep(op, xid, desk.now, kind, body);
    }

    /// The member's answer to the oldest [`Ask::ReadIndex`]: what those reads must see is in the
    /// tree.
    pub fn confirmed(&mut self, desk: &mut Desk<'_>) {
        self.gate.confirmed = self.gate.asked.min(self.gate.confirmed + 1);
        self.drain_gate(desk);
    }

    /// Gives a write to the member, or keeps it while too many reads are in front of it.
    pub(super) fn submit(&mut self, op: OpCode, xid: i32, body: &[u8], desk: &mut Desk<'_>) {
        if self.gate.is_open_for_writes() {
            self.gate.submitted(op, xid, desk.now);
            let ids = &self.ids;
            let (connection, session, arrived) = (self.id, self.session, desk.now);
            let origin = Origin { connection, session, xid, ids, arrived };
            desk.submissions.write(origin, op, body);
        } else {
            let kind = Kind::Held(Ids::clone(&self.ids));
            self.gate.keep(op, xid, desk.now, kind, body);
        }
    }

    /// Runs the reads that are in front, and submits held writes that come to the front.
    ///
    /// With a write submitted behind them the reads must run now, for that write may be applied
    /// next; without one they stop while the client does not take its replies.
    pub(super) fn drain_gate(&mut self, desk: &mut Desk<'_>) {
        while let Some(front) = self.gate.waiting.front() {
            match front.kind {
                Kind::Submitted => break,
                Kind::Read { round, .. } if round > self.gate.confirmed => break,
                Kind::Read { .. }
                    if self.gate.submitted == 0 && self.outbox.len() >= OUTBOX_PAUSE_BYTES =>
                {
                    break;
                }
                Kind::Read { .. } | Kind::Held(_) => {}
            }
            let Some(waiting) = self.gate.waiting.pop_front() else { break };
            // The bodies are lent out while the connection works on one of them.
            let bodies = std::mem::take(&mut self.gate.bodies);
            let start = self.gate.bodies_start;
            let body = &bodies[waiting.body.start - start..waiting.body.end - start];
            self.pass(&waiting, body, desk);
            if self.gate.bodies_start == start {
                self.gate.bodies = bodies;
            }
            self.gate.release();
        }
    }

    fn pass(&mut self, waiting: &Waiting, body: &[u8], desk: &mut Desk<'_>) {
        match &waiting.kind {
            Kind::Read { ids, .. } => {
                self.gate.reads_weight -= weight(waiting.op);
                self.serve(waiting, body, ids, desk);
            }
            Kind::Held(ids) => {
                self.gate.held -= 1;
                self.gate.submitted += 1;
                let at = waiting.body.end;
                self.gate.waiting.push_front(Waiting {
                    op: waiting.op,
                    xid: waiting.xid,
                    arrived: waiting.arrived,
                    kind: Kind::Submitted,
                    body: at..at,
                });
                let (xid, arrived) = (waiting.xid, waiting.arrived);
                let (connection, session) = (self.id, self.session);
                let origin = Origin { connection, session, xid, ids, arrived };
                desk.submissions.write(origin, waiting.op, body);
            }
            Kind::Submitted => {}
        }
    }

    /// Runs a waiting read.
    fn serve(&mut self, waiting: &Waiting, body: &[u8], ids: &Ids, desk: &mut Desk<'_>) {
        self.read(waiting.op, waiting.xid, body, ids, waiting.arrived, desk);
    }
}

/// A read's share of [`READS_AHEAD_MAX`]: one multiRead may hold as much as many reads.
fn weight(op: OpCode) -> usize {
    if op == OpCode::MultiRead { READS_AHEAD_MAX + 1 } else { 1 }
}

/// Requests of one connection that may wait.
const WAITING_MAX: usize = 2048;
/// Bodies of waiting requests of one connection, in bytes, before no more are read.
const BODIES_MAX_BYTES: usize = 4 << 20;
/// Memory that an idle gate keeps, in bytes.
const BODIES_KEPT_BYTES: usize = 4096;
/// Reads that a write may overtake on its way to the member. Their replies are made inside the
/// apply section whether or not the client takes them, so their number is bounded.
const READS_AHEAD_MAX: usize = 64;
