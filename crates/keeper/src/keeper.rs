//! The member's half of the service: what is asked goes into the order, what comes out of it is
//! applied and answered.
//!
//! Invariants: every write that was prepared is answered exactly once, in the order in which it
//! was prepared; while the journal works, nothing is answered before it is delivered.

mod apply;
mod prepare;

pub use apply::Section;
use prepare::BatchSize;

use crate::prepare::Changes;
use crate::reaper::Reaper;
use crate::session::{Expiry, SessionIds};
use crate::{Config, Ids};
use base::{ConnectionId, SessionId, Time, WallTime, Zxid};
use std::collections::VecDeque;
use std::sync::Arc;
use trace::Event;
use tree::Tree;
use wire::OpCode;

/// The service of one member.
#[derive(Debug)]
pub struct Keeper {
    config: Arc<Config>,
    expiry: Expiry,
    session_ids: SessionIds,
    changes: Changes,
    reaper: Reaper,
    /// The last place that was taken.
    last: Zxid,
    /// Whether this member may propose. Once it may not, it never may again: the disk has failed.
    primary: bool,
    last_batch: BatchSize,
    inflight: VecDeque<Inflight>,
    ready: Vec<Ready>,
    events: Vec<Event>,
    no_ids: Ids,
}

/// What was prepared and is not yet answered.
#[derive(Debug)]
enum Inflight {
    /// Waits for its delivery.
    Proposed { at: Zxid, origin: Asked },
    /// Needs no place in the order, only its turn.
    Answer { origin: Asked, err: i32 },
}

/// Who asked, and what.
#[derive(Clone, Copy, Debug)]
struct Asked {
    connection: ConnectionId,
    xid: i32,
    op: OpCode,
}

/// What is to be done to a connection at the next chance.
#[derive(Debug)]
enum Ready {
    Established { connection: ConnectionId, session: SessionId, timeout_ms: i32 },
    Refused { connection: ConnectionId },
    Close { connection: ConnectionId },
}

impl Keeper {
    /// Goes on with a recovered tree. Every session gets its full time-out from `now`.
    #[must_use]
    pub fn recover(config: Arc<Config>, tree: &Tree, now: Time, wall: WallTime) -> Keeper {
        let mut expiry = Expiry::new(config.tick);
        for (session, timeout_ms) in tree.sessions() {
            expiry.track(session, millis(timeout_ms), None, now);
        }
        Keeper {
            expiry,
            session_ids: SessionIds::new(config.server_id, wall),
            changes: Changes::default(),
            reaper: Reaper::new(config.reaper, now),
            last: tree.last_zxid(),
            primary: false,
            last_batch: BatchSize::default(),
            inflight: VecDeque::new(),
            ready: Vec::new(),
            events: Vec::new(),
            no_ids: Ids::default(),
            config,
        }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// The sessions by deadline.
    #[must_use]
    pub fn expiry(&self) -> &Expiry {
        &self.expiry
    }

    /// How many writes are prepared and not answered.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.inflight.len()
    }

    /// Takes what happened since the last call.
    pub fn take_events(&mut self, into: &mut Vec<Event>) {
        into.append(&mut self.events);
    }

    /// This member may propose, from the place after `last` on.
    pub fn become_primary(&mut self, last: Zxid) {
        self.last = last;
        self.primary = true;
    }

    /// This member may not propose any more: the outcome of what is under way is unknown, so its
    /// connections are closed; everything that is asked from now on is refused.
    pub fn become_silent(&mut self) {
        self.primary = false;
        self.changes.clear();
        for inflight in self.inflight.drain(..) {
            let (Inflight::Proposed { origin, .. } | Inflight::Answer { origin, .. }) = inflight;
            self.ready.push(Ready::Close { connection: origin.connection });
        }
    }

    /// Whether [`Keeper::answer_ready`] has something to do.
    #[must_use]
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty() || matches!(self.inflight.front(), Some(Inflight::Answer { .. }))
    }

    /// When it wants [`Keeper::expire`] to be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        if !self.primary {
            return None; // nothing can be ended any more
        }
        let reaper = self.reaper.deadline();
        Some(self.expiry.deadline().map_or(reaper, |expiry| expiry.min(reaper)))
    }
}

fn millis(ms: i32) -> std::time::Duration {
    std::time::Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}
