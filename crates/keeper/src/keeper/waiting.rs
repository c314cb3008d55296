//! What a replica's clients wait for: a queue for each session that has something under way.
//!
//! A transaction that comes out of the order is the answer to the oldest write of its session's
//! queue if both have the same number; it is somebody else's otherwise.
//! Invariant: a session's answers leave in the order in which it asked.

use super::{Asked, Ready};
use base::SessionId;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use wire::{OpCode, Txn};

/// What was asked for and is not answered.
#[derive(Debug)]
pub(super) enum Waiting {
    /// Forwarded: waits for its transaction.
    Write { origin: Asked },
    /// Forwarded: waits for the primary's letter, of which it is the `number`th.
    Sync { number: u64, origin: Asked, body: Box<[u8]> },
    /// Waits for its turn.
    Answer { origin: Asked, err: i32 },
}

impl Waiting {
    fn into_ready(self) -> Option<Ready> {
        match self {
            Waiting::Write { .. } => None,
            Waiting::Sync { origin, body, .. } => Some(Ready::Synced { origin, body }),
            Waiting::Answer { origin, err } => Some(Ready::Answer { origin, err }),
        }
    }
}

/// All queues.
#[derive(Debug, Default)]
pub(super) struct Queues {
    queues: FxHashMap<SessionId, VecDeque<Waiting>>,
    /// Memory of queues that are empty.
    spare: Vec<VecDeque<Waiting>>,
    len: usize,
}

impl Queues {
    /// How much there is in all of them.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether the session waits for something.
    pub(super) fn has(&self, session: SessionId) -> bool {
        self.queues.contains_key(&session)
    }

    pub(super) fn push(&mut self, session: SessionId, waiting: Waiting) {
        let Queues { queues, spare, len } = self;
        let queue = queues.entry(session).or_insert_with(|| spare.pop().unwrap_or_default());
        queue.push_back(waiting);
        *len += 1;
    }

    /// Takes the write that this transaction answers. What stands ahead of it is ready now: that
    /// the order has it shows that the primary had what came before it on the link.
    pub(super) fn take(
        &mut self,
        session: SessionId,
        cxid: i32,
        txn: &Txn<'_>,
        ready: &mut Vec<Ready>,
    ) -> Option<Asked> {
        let queue = self.queues.get_mut(&session)?;
        let mut writes = queue.iter().enumerate().filter_map(|(place, waiting)| match waiting {
            Waiting::Write { origin } => Some((place, *origin)),
            Waiting::Sync { .. } | Waiting::Answer { .. } => None,
        });
        let (place, origin) = writes.next()?;
        if origin.xid != cxid || !is_outcome(txn, origin.op) {
            return None;
        }
        self.len -= place + 1;
        ready.extend(queue.drain(..=place).filter_map(Waiting::into_ready));
        self.retire(session);
        Some(origin)
    }

    /// Moves what stands at the head of the session's queue and waits for nothing; of the
    /// primary's letters so many have come.
    pub(super) fn release(&mut self, session: SessionId, synced: u64, ready: &mut Vec<Ready>) {
        let Some(queue) = self.queues.get_mut(&session) else { return };
        while let Some(waiting) = queue.pop_front_if(|waiting| match waiting {
            Waiting::Write { .. } => false,
            Waiting::Sync { number, .. } => *number <= synced,
            Waiting::Answer { .. } => true,
        }) {
            self.len -= 1;
            ready.extend(waiting.into_ready());
        }
        self.retire(session);
    }

    /// Forgets the session's queue if it is empty.
    fn retire(&mut self, session: SessionId) {
        if self.queues.get(&session).is_some_and(VecDeque::is_empty)
            && let Some(queue) = self.queues.remove(&session)
            && self.spare.len() < SPARE_MAX
        {
            self.spare.push(queue);
        }
    }
}

/// Whether an operation can have this outcome: numbers of requests may be used again, and what
/// servers do for themselves has the number 0.
fn is_outcome(txn: &Txn<'_>, op: OpCode) -> bool {
    match txn {
        Txn::Error(_) => true,
        Txn::CreateSession { .. } => op == OpCode::CreateSession,
        Txn::CloseSession { .. } => op == OpCode::CloseSession,
        Txn::Multi(_) => op == OpCode::Multi,
        Txn::Create(_)
        | Txn::Delete { .. }
        | Txn::SetData { .. }
        | Txn::SetAcl { .. }
        | Txn::Check { .. } => {
            !matches!(op, OpCode::CreateSession | OpCode::CloseSession | OpCode::Multi)
        }
    }
}

/// Empty queues that are kept: sessions that have something under way at the same time.
const SPARE_MAX: usize = 1 << 10;
