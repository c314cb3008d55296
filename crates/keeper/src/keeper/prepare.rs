//! From requests to proposals.

use super::{Asked, Inflight, Keeper, Ready, millis};
use crate::prepare::Preparation;
use crate::session::password;
use crate::submission::{Ask, Submission, Submissions};
use crate::{Clients, Ids};
use base::{ConnectionId, SessionId, Time, WallTime, Zxid};
use broadcast::{Context, Proposal};
use bytes::Bytes;
use jute::{Encode, put_int};
use trace::Event;
use tree::Tree;
use wire::{ErrorCode, OpCode, TxnHeader};

/// Transactions under construction: one buffer for a whole batch.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    ends: Vec<(Zxid, usize)>,
}

impl Batch {
    /// Room for a batch like the last one, so that it need not grow step by step.
    fn like(last: BatchSize) -> Batch {
        let BatchSize { bytes, ends } = last;
        Batch { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(ends) }
    }

    fn size(&self) -> BatchSize {
        let BatchSize { bytes, ends } = BATCH_SIZE_EXPECTED_MAX;
        BatchSize { bytes: self.bytes.len().min(bytes), ends: self.ends.len().min(ends) }
    }

    /// The transactions as slices of one allocation.
    fn into_proposals(self) -> impl Iterator<Item = Proposal> {
        let all = Bytes::from(self.bytes);
        let mut start = 0;
        self.ends.into_iter().map(move |(at, end)| {
            let item = all.slice(start..end);
            start = end;
            Proposal { context: Context(at.0.cast_unsigned()), at, item }
        })
    }
}

/// How large a batch was.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BatchSize {
    bytes: usize,
    ends: usize,
}

/// No larger batch is expected: memory is not to be held on a guess.
const BATCH_SIZE_EXPECTED_MAX: BatchSize = BatchSize { bytes: 1 << 20, ends: 1 << 12 };

/// A transaction's head.
struct Head {
    connection: ConnectionId,
    session: SessionId,
    xid: i32,
    op: OpCode,
}

impl Keeper {
    /// Prepares what connections ask for, in order; what has a place in the order is appended to
    /// `out`.
    pub fn prepare(
        &mut self,
        tree: &Tree,
        now: Time,
        wall: WallTime,
        submissions: &Submissions,
        out: &mut Vec<Proposal>,
    ) {
        let mut batch = Batch::like(self.last_batch);
        for (submission, body) in submissions.iter() {
            match &submission.ask {
                Ask::Write(op) => self.write(*op, submission, body, tree, now, wall, &mut batch),
                Ask::Open { timeout_ms } => {
                    self.open(*timeout_ms, submission, tree, now, wall, &mut batch);
                }
                Ask::Renew { timeout_ms, password } => {
                    self.renew(*timeout_ms, *password, submission, now);
                }
                Ask::Detach { last_heard } => {
                    self.expiry.detach(submission.session, submission.connection, *last_heard);
                }
            }
        }
        self.last_batch = batch.size();
        out.extend(batch.into_proposals());
    }

    /// Ends the sessions whose time is up and the nodes that are to go.
    pub fn expire(
        &mut self,
        tree: &Tree,
        now: Time,
        wall: WallTime,
        clients: &mut dyn Clients,
        out: &mut Vec<Proposal>,
    ) {
        if !self.primary {
            return;
        }
        let mut batch = Batch::default();
        for (session, timeout) in self.expiry.expired(now, |c| clients.last_heard(c)) {
            let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
            self.events.push(Event::SessionExpired { session, timeout_ms });
            let op = OpCode::CloseSession;
            let head = Head { connection: ConnectionId::NONE, session, xid: 0, op };
            let ids = Ids::clone(&self.no_ids);
            self.propose(head, &ids, tree, wall, &mut batch, |p, out| p.close_session(out));
        }
        for path in self.reaper.due(tree, now, wall) {
            let (connection, session) = (ConnectionId::NONE, SessionId::NONE);
            let head = Head { connection, session, xid: 0, op: OpCode::DeleteContainer };
            let ids = Ids::clone(&self.no_ids);
            self.propose(head, &ids, tree, wall, &mut batch, |p, out| p.reap(&path, out));
            self.events.push(Event::NodeReaped { path });
        }
        out.extend(batch.into_proposals());
    }

    #[allow(clippy::too_many_arguments)]
    fn write(
        &mut self,
        op: OpCode,
        submission: &Submission,
        body: &[u8],
        tree: &Tree,
        now: Time,
        wall: WallTime,
        batch: &mut Batch,
    ) {
        let Submission { connection, session, xid, .. } = *submission;
        let waited = now.since(submission.arrived);
        let refusal = if !self.primary {
            Some(ErrorCode::SystemError)
        } else if op != OpCode::CloseSession
            && self.config.throttled_op_wait.is_some_and(|limit| waited > limit)
        {
            Some(ErrorCode::ThrottledOp)
        } else {
            None
        };
        if let Some(code) = refusal {
            let origin = Asked { connection, xid, op };
            self.inflight.push_back(Inflight::Answer { origin, err: code.number() });
            return;
        }
        let head = Head { connection, session, xid, op };
        self.propose(head, &submission.ids, tree, wall, batch, |p, out| p.write(op, body, out));
        if op == OpCode::CloseSession {
            self.expiry.set_closing(session); // from here on it takes nothing
        }
    }

    /// Gives the request a place, prepares it there, and appends the transaction: the request's,
    /// or that of its failure, which takes a place all the same.
    fn propose(
        &mut self,
        head: Head,
        ids: &Ids,
        tree: &Tree,
        wall: WallTime,
        batch: &mut Batch,
        prepare: impl FnOnce(&mut Preparation<'_>, &mut Vec<u8>) -> Result<OpCode, ErrorCode>,
    ) {
        let zxid = self.last.next();
        self.last = zxid;
        let Head { connection, session, xid, op } = head;
        let start = batch.bytes.len();
        let time = wall.0;
        let header = |op| TxnHeader { client_id: session.0, cxid: xid, zxid: zxid.0, time, op };
        header(op.number()).encode(&mut batch.bytes);
        let mut soft_quota = Vec::new();
        let mut preparation = Preparation {
            config: &self.config,
            tree,
            changes: &mut self.changes,
            zxid,
            time: wall,
            session,
            session_open: self.expiry.is_open(session),
            ids,
            soft_quota: &mut soft_quota,
        };
        match prepare(&mut preparation, &mut batch.bytes) {
            Ok(op) => {
                batch.bytes[start + TxnHeader::OP_OFFSET..start + TxnHeader::SIZE]
                    .copy_from_slice(&op.number().to_be_bytes());
                if let Some(digest) = preparation.digest() {
                    digest.encode(&mut batch.bytes);
                }
            }
            Err(code) => {
                batch.bytes.truncate(start);
                header(OpCode::Error.number()).encode(&mut batch.bytes);
                put_int(&mut batch.bytes, code.number());
            }
        }
        self.events.extend(soft_quota.into_iter().map(|path| Event::QuotaExceeded { path }));
        batch.ends.push((zxid, batch.bytes.len()));
        let origin = Asked { connection, xid, op };
        self.inflight.push_back(Inflight::Proposed { at: zxid, origin });
    }

    /// A new session: its id is taken now, and is the client's once the order has it.
    fn open(
        &mut self,
        timeout_ms: i32,
        submission: &Submission,
        tree: &Tree,
        now: Time,
        wall: WallTime,
        batch: &mut Batch,
    ) {
        let connection = submission.connection;
        if !self.primary {
            self.ready.push(Ready::Close { connection });
            return;
        }
        let expiry = &self.expiry;
        let session = self
            .session_ids
            .fresh(|id| expiry.get(id).is_some() || tree.session_timeout(id).is_some());
        self.expiry.track(session, millis(timeout_ms), Some(connection), now);
        let head = Head { connection, session, xid: 0, op: OpCode::CreateSession };
        self.propose(head, &submission.ids, tree, wall, batch, |_, out| {
            put_int(out, timeout_ms);
            Ok(OpCode::CreateSession)
        });
    }

    /// A session that the client holds: the password is compared before anything is done to the
    /// connection that has it now.
    fn renew(
        &mut self,
        timeout_ms: i32,
        given: Option<[u8; wire::PASSWORD_SIZE]>,
        submission: &Submission,
        now: Time,
    ) {
        let Submission { connection, session, .. } = *submission;
        if !self.expiry.is_open(session) || given != Some(password(session)) {
            self.events.push(Event::SessionRefused { session });
            self.ready.push(Ready::Refused { connection });
            return;
        }
        let before = self.expiry.get(session).and_then(|liveness| liveness.connection);
        if let Some(before) = before.filter(|before| *before != connection) {
            self.ready.push(Ready::Close { connection: before });
        }
        self.expiry.track(session, millis(timeout_ms), Some(connection), now);
        self.events.push(Event::SessionRenewed { session });
        self.ready.push(Ready::Established { connection, session, timeout_ms });
    }
}
