//! What one connection has done, as `cons` and the metrics show it: since it was accepted
//! ([`Stats`]), and since its driver last asked ([`Tally`]).

use super::Reply;
use base::{Time, Zxid};
use metrics::Sizes;
use std::time::Duration;
use wire::OpCode;

/// Counts and latencies of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// When it was accepted.
    pub established: Time,
    /// Frames that came in.
    pub received: u64,
    /// Frames that went out.
    pub sent: u64,
    /// The operation that was answered last.
    pub last_op: Option<OpCode>,
    /// The xid that was answered last; -1 if none.
    pub last_xid: i32,
    /// The zxid of the last reply.
    pub last_zxid: Zxid,
    /// When the last reply was made.
    pub last_response: Time,
    /// How long the last request took.
    pub last_latency: Duration,
    /// How long reads took.
    pub reads: Latency,
    /// How long writes took.
    pub writes: Latency,
}

/// What a connection counts for its server's metrics between two looks of its driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Frames that came in.
    pub received: u64,
    /// Frames that went out.
    pub sent: u64,
    /// Bytes of replies and events without their lengths; connect responses do not count.
    pub response_sizes: Sizes,
    /// Bytes of the events among them.
    pub event_bytes: u64,
    /// Auth packets that proved nothing.
    pub auth_failures: u64,
    /// Reads that were served at the moment of their arrival.
    pub reads_at_once: u64,
    /// How long the other reads took.
    pub reads_waited: Latency,
    /// How long writes took.
    pub writes: Latency,
}

impl Tally {
    /// A write was answered.
    pub(super) fn answered(&mut self, latency: Duration) {
        self.writes.record(latency);
    }

    /// A read was served.
    pub(super) fn served(&mut self, latency: Duration) {
        if latency.is_zero() {
            self.reads_at_once += 1;
        } else {
            self.reads_waited.record(latency);
        }
    }
}

/// The spread of a duration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// How many were measured.
    pub count: u64,
    /// Their sum.
    pub sum: Duration,
    /// The shortest; zero if none was measured.
    pub min: Duration,
    /// The longest.
    pub max: Duration,
}

impl Latency {
    /// Adds one.
    pub fn record(&mut self, latency: Duration) {
        self.min = if self.count == 0 { latency } else { self.min.min(latency) };
        self.max = self.max.max(latency);
        self.sum += latency;
        self.count += 1;
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Latency) {
        if other.count > 0 {
            self.min = if self.count == 0 { other.min } else { self.min.min(other.min) };
            self.max = self.max.max(other.max);
            self.sum += other.sum;
            self.count += other.count;
        }
    }
}

impl Stats {
    /// Of a fresh connection.
    #[must_use]
    pub fn new(now: Time) -> Stats {
        Stats {
            established: now,
            received: 0,
            sent: 0,
            last_op: None,
            last_xid: -1,
            last_zxid: Zxid::ZERO,
            last_response: Time::ZERO,
            last_latency: Duration::ZERO,
            reads: Latency::default(),
            writes: Latency::default(),
        }
    }

    /// Forgets all counts (`crst`).
    pub fn reset(&mut self) {
        *self = Stats::new(self.established);
    }

    /// A write was answered.
    pub(super) fn answered(&mut self, op: OpCode, reply: Reply, latency: Duration, now: Time) {
        self.writes.record(latency);
        self.note(op, reply.xid, reply.zxid, latency, now);
    }

    /// A read was served.
    pub(super) fn served(
        &mut self,
        op: OpCode,
        xid: i32,
        zxid: Zxid,
        latency: Duration,
        now: Time,
    ) {
        self.reads.record(latency);
        self.note(op, xid, zxid, latency, now);
    }

    fn note(&mut self, op: OpCode, xid: i32, zxid: Zxid, latency: Duration, now: Time) {
        self.last_op = Some(op);
        self.last_xid = xid;
        self.last_zxid = zxid;
        self.last_latency = latency;
        self.last_response = now;
    }
}
