//! The primary: requests become transactions, validated against the tree and everything pending.
//!
//! One queue holds what its own clients wait for, in the order in which it was prepared; what
//! others asked for has its place there too, and nobody to answer.
//! Invariant: whatever stands ahead of a transaction in the queue is answered before that is
//! applied.

use super::batch::{Batch, BatchSize};
use super::letters::Letter;
use super::locals::{Admission, Local};
use super::outgoing::Outgoing;
use super::reads::Reads;
use super::syncs::Syncs;
use super::{Asked, Moment, Ready, Service, millis};
use crate::prepare::{Changes, Preparation};
use crate::reaper::Reaper;
use crate::session::{Owner, Place};
use crate::submission::{Ask, Submission, Submissions};
use crate::{Clients, Config, Ids};
use base::{ConnectionId, SessionId, Time, Zxid};
use broadcast::{Context, ReadLevel};
use jute::{Encode, put_int};
use std::collections::VecDeque;
use trace::Event;
use tree::Foreseen;
use wire::{ErrorCode, OpCode, TxnHeader};

/// What a primary knows beyond what everyone does.
#[derive(Debug)]
pub(super) struct Primary {
    changes: Changes,
    reaper: Reaper,
    /// The last place that was taken.
    last: Zxid,
    /// The last place that is applied.
    applied: Zxid,
    /// The last change of the members.
    reconfigured: Zxid,
    pub(super) last_batch: BatchSize,
    inflight: VecDeque<Inflight>,
    pub(super) syncs: Syncs,
    /// Own clients' linearizable reads.
    reads: Reads,
    /// The last round that the engine was asked for on their behalf.
    round: Context,
    /// Letters behind a sync of their link that is not answered.
    pub(super) held: Vec<Letter>,
    no_ids: Ids,
}

/// What was prepared and is not yet answered.
#[derive(Debug)]
enum Inflight {
    /// Waits for its delivery.
    Proposed { at: Zxid, origin: Asked },
    /// Needs no place in the order, only its turn.
    Answer { origin: Asked, err: i32 },
    /// The oldest of the own syncs: needs its turn and what [`Syncs`] waits for.
    Sync { origin: Asked },
}

/// Whose transaction it is.
pub(super) struct Head {
    pub(super) connection: ConnectionId,
    pub(super) session: SessionId,
    pub(super) xid: i32,
    pub(super) op: OpCode,
    pub(super) owner: Owner,
}

impl Head {
    /// Of what nobody here waits for.
    pub(super) fn unasked(session: SessionId, xid: i32, op: OpCode, owner: Owner) -> Head {
        Head { connection: ConnectionId::NONE, session, xid, op, owner }
    }
}

impl Primary {
    /// Goes on after `last`, which is the last place that is taken, and applied.
    pub(super) fn new(config: &Config, last: Zxid, now: Time) -> Primary {
        Primary {
            changes: Changes::default(),
            reaper: Reaper::new(config.reaper, now),
            last,
            applied: last,
            reconfigured: last,
            last_batch: BatchSize::default(),
            inflight: VecDeque::new(),
            syncs: Syncs::default(),
            reads: Reads::default(),
            round: Context(0),
            held: Vec::new(),
            no_ids: Ids::default(),
        }
    }

    pub(super) fn outstanding(&self) -> usize {
        self.inflight.len()
    }

    pub(super) fn reaper_deadline(&self) -> Time {
        self.reaper.deadline()
    }

    /// What becomes of everything under way is unknown.
    pub(super) fn abandon(&mut self, ready: &mut Vec<Ready>) {
        ready.extend(self.inflight.drain(..).map(|inflight| {
            let (Inflight::Proposed { origin, .. }
            | Inflight::Answer { origin, .. }
            | Inflight::Sync { origin }) = inflight;
            Ready::Close { connection: origin.connection }
        }));
    }

    /// Prepares what connections ask for, in order.
    pub(super) fn prepare(
        &mut self,
        service: &mut Service,
        moment: Moment<'_>,
        submissions: &Submissions,
        out: &mut Outgoing,
    ) {
        let mut batch = Batch::like(self.last_batch);
        for (submission, body) in submissions.iter() {
            match &submission.ask {
                Ask::Write(OpCode::Sync) => {
                    self.sync(service, submission, body, moment.now, out);
                }
                Ask::Write(op) => self.write(service, *op, submission, body, moment, &mut batch),
                Ask::Open { timeout_ms, .. } => {
                    self.open(service, *timeout_ms, submission, moment, &mut batch);
                }
                Ask::Renew { timeout_ms, password, .. } => {
                    let Submission { session, connection, .. } = *submission;
                    if !service.sessions.is_open(session) && !service.is_local(session) {
                        service.refuse_session(session, connection);
                    } else if service.is_password(submission, *password) {
                        service.renewed(session, connection, *timeout_ms, moment.now);
                    }
                }
                Ask::ReadIndex => self.reads.wait(submission.connection),
                Ask::Detach { last_heard } => {
                    let Submission { session, connection, .. } = *submission;
                    service.detach(session, connection, *last_heard);
                }
            }
        }
        self.finish(batch, out);
        self.begin_round(out);
    }

    /// Asks the engine what the reads must see that wait for a round, if none is under way.
    fn begin_round(&mut self, out: &mut Outgoing) {
        if self.reads.begin() {
            self.round = self.syncs.next_context();
            out.reads.push((self.round, ReadLevel::Linearizable));
        }
    }

    /// The engine's answer to what it was asked: a round's or a sync's.
    pub(super) fn must_see(&mut self, context: Context, at_least: Zxid, out: &mut Outgoing) {
        if context == self.round {
            self.reads.answer(at_least);
            self.begin_round(out);
        } else {
            self.syncs.must_see(context, at_least);
        }
    }

    /// Hands the transactions of a batch over.
    pub(super) fn finish(&mut self, batch: Batch, out: &mut Outgoing) {
        self.last_batch = batch.size();
        out.proposals.extend(batch.into_proposals());
    }

    /// Ends the sessions whose time is up and the nodes that are to go.
    pub(super) fn expire(
        &mut self,
        service: &mut Service,
        moment: Moment<'_>,
        clients: &mut dyn Clients,
        out: &mut Outgoing,
    ) {
        let mut batch = Batch::default();
        let expired = service.sessions.expired(moment.now, |c| clients.last_heard(c));
        for (session, timeout) in expired {
            let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
            service.events.push(Event::SessionExpired { session, timeout_ms });
            let head = Head::unasked(session, 0, OpCode::CloseSession, Owner::Here);
            let ids = Ids::clone(&self.no_ids);
            self.propose(service, head, &ids, moment, &mut batch, |p, out| p.close_session(out));
        }
        for path in self.reaper.due(moment.tree, moment.now, moment.wall) {
            let op = OpCode::DeleteContainer;
            let head = Head::unasked(SessionId::NONE, 0, op, Owner::Here);
            let ids = Ids::clone(&self.no_ids);
            self.propose(service, head, &ids, moment, &mut batch, |p, out| p.reap(&path, out));
            service.events.push(Event::NodeReaped { path });
        }
        out.proposals.extend(batch.into_proposals());
    }

    fn write(
        &mut self,
        service: &mut Service,
        op: OpCode,
        submission: &Submission,
        body: &[u8],
        moment: Moment<'_>,
        batch: &mut Batch,
    ) {
        let Submission { connection, session, xid, .. } = *submission;
        if service.is_throttled(op, submission, moment.now) {
            let origin = Asked { connection, xid, op };
            let err = ErrorCode::ThrottledOp.number();
            self.inflight.push_back(Inflight::Answer { origin, err });
            return;
        }
        match service.local_write(session, op, body, moment.now) {
            // What is refused is so in its turn, by `admit`.
            None | Some(Local::Write | Local::Refused) => {}
            Some(Local::Upgrade { timeout_ms }) => {
                self.upgrade(service, session, timeout_ms, moment, batch);
            }
            Some(Local::Closed) => {
                let origin = Asked { connection, xid, op };
                let err = ErrorCode::Ok.number();
                return self.inflight.push_back(Inflight::Answer { origin, err });
            }
        }
        let head = Head { connection, session, xid, op, owner: Owner::Here };
        let ids = &submission.ids;
        self.propose(service, head, ids, moment, batch, |p, out| p.write(op, body, out));
        if op == OpCode::CloseSession {
            service.sessions.set_closing(session); // from here on it takes nothing
        }
    }

    /// Gives the request a place, prepares it there, and appends the transaction: the request's,
    /// or that of its failure, which takes a place all the same.
    pub(super) fn propose(
        &mut self,
        service: &mut Service,
        head: Head,
        ids: &Ids,
        moment: Moment<'_>,
        batch: &mut Batch,
        prepare: impl FnOnce(&mut Preparation<'_>, &mut Vec<u8>) -> Result<OpCode, ErrorCode>,
    ) {
        let zxid = self.last.next();
        self.last = zxid;
        let Head { connection, session, xid, op, owner } = head;
        let start = batch.bytes.len();
        let time = moment.wall.0;
        let header = |op| TxnHeader { client_id: session.0, cxid: xid, zxid: zxid.0, time, op };
        header(op.number()).encode(&mut batch.bytes);
        let Admission { any: session_state, ephemeral: ephemeral_state } =
            service.admit(session, owner);
        let mut soft_quota = Vec::new();
        let mut preparation = Preparation {
            config: &service.config,
            tree: moment.tree,
            changes: &mut self.changes,
            zxid,
            time: moment.wall,
            session,
            session_state,
            ephemeral_state,
            ids,
            members: moment.members,
            reconfiguring: self.reconfigured > self.applied,
            soft_quota: &mut soft_quota,
        };
        match prepare(&mut preparation, &mut batch.bytes) {
            Ok(op) => {
                if op == OpCode::Reconfig {
                    self.reconfigured = zxid;
                }
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
        service.events.extend(soft_quota.into_iter().map(|path| Event::QuotaExceeded { path }));
        batch.end(zxid);
        let origin = Asked { connection, xid, op };
        self.inflight.push_back(Inflight::Proposed { at: zxid, origin });
    }

    /// A new session: its id is taken now, and is the client's once the order has it.
    fn open(
        &mut self,
        service: &mut Service,
        timeout_ms: i32,
        submission: &Submission,
        moment: Moment<'_>,
        batch: &mut Batch,
    ) {
        let connection = submission.connection;
        if service.opens_local(moment.tree, connection, timeout_ms, moment.now) {
            return;
        }
        let session = service.fresh_session(moment.tree);
        let place = Place::on(connection);
        service.sessions.track(session, millis(timeout_ms), place, moment.now);
        let op = OpCode::CreateSession;
        let head = Head { connection, session, xid: 0, op, owner: Owner::Here };
        self.propose(service, head, &submission.ids, moment, batch, |_, out| {
            put_int(out, timeout_ms);
            Ok(OpCode::CreateSession)
        });
    }

    /// A local session of this member becomes everybody's.
    fn upgrade(
        &mut self,
        service: &mut Service,
        session: SessionId,
        timeout_ms: i32,
        moment: Moment<'_>,
        batch: &mut Batch,
    ) {
        let head = Head::unasked(session, 0, OpCode::CreateSession, Owner::Here);
        let ids = Ids::clone(&self.no_ids);
        self.propose(service, head, &ids, moment, batch, |_, out| {
            put_int(out, timeout_ms);
            Ok(OpCode::CreateSession)
        });
    }

    /// A sync of an own client: answered in its turn, when the engine has said that this member
    /// still is primary.
    fn sync(
        &mut self,
        service: &mut Service,
        submission: &Submission,
        body: &[u8],
        now: Time,
        out: &mut Outgoing,
    ) {
        let Submission { connection, session, xid, .. } = *submission;
        let origin = Asked { connection, xid, op: OpCode::Sync };
        let state = if service.is_throttled(OpCode::Sync, submission, now) {
            Err(ErrorCode::ThrottledOp)
        } else {
            service.admit(session, Owner::Here).any
        };
        self.inflight.push_back(match state {
            Ok(()) => {
                out.reads.push(self.syncs.own(ReadLevel::Proposed, body));
                Inflight::Sync { origin }
            }
            Err(code) => Inflight::Answer { origin, err: code.number() },
        });
    }

    /// Takes what waits for the delivery of this place. What stands ahead of it is ready now: that
    /// this is delivered shows that all before it is.
    pub(super) fn take(&mut self, at: Zxid, ready: &mut Vec<Ready>) -> Option<Asked> {
        match self.inflight.front() {
            Some(Inflight::Proposed { at: proposed, origin }) if *proposed == at => {
                let origin = *origin;
                self.inflight.pop_front();
                Some(origin)
            }
            Some(Inflight::Proposed { .. }) | None => None, // proposed by another member
            Some(Inflight::Answer { .. } | Inflight::Sync { .. }) => self.take_behind(at, ready),
        }
    }

    #[cold]
    fn take_behind(&mut self, at: Zxid, ready: &mut Vec<Ready>) -> Option<Asked> {
        let is_next = |inflight: &&Inflight| matches!(inflight, Inflight::Proposed { .. });
        let next = self.inflight.iter().find(is_next)?;
        if !matches!(next, Inflight::Proposed { at: proposed, .. } if *proposed == at) {
            return None;
        }
        loop {
            match self.inflight.pop_front()? {
                Inflight::Proposed { origin, .. } => return Some(origin),
                Inflight::Answer { origin, err } => ready.push(Ready::Answer { origin, err }),
                Inflight::Sync { origin } => {
                    let body = self.syncs.take_own();
                    ready.push(Ready::Synced { origin, body });
                }
            }
        }
    }

    /// What the transaction at this place, the next to be applied, does to each node.
    pub(super) fn foreseen(&self, at: Zxid) -> impl Iterator<Item = Foreseen> {
        self.changes.foreseen(at)
    }

    /// Everything up to this place is in the tree.
    pub(super) fn applied(&mut self, at: Zxid) {
        self.changes.applied(at);
        self.applied = at;
    }

    /// Whether something waits for nothing but its turn, which has come.
    pub(super) fn has_ready(&self) -> bool {
        self.syncs.has_links_ready(self.applied)
            || self.reads.is_ready(self.applied)
            || match self.inflight.front() {
                Some(Inflight::Answer { .. }) => true,
                Some(Inflight::Sync { .. }) => self.syncs.is_own_ready(self.applied),
                Some(Inflight::Proposed { .. }) | None => false,
            }
    }

    /// Moves what waits for nothing but its turn, and tells replicas whose syncs are done.
    pub(super) fn release(&mut self, ready: &mut Vec<Ready>, out: &mut Outgoing) {
        while self.has_ready() {
            self.syncs.answer_links(self.applied, out);
            self.reads.release(self.applied, ready);
            match self.inflight.front() {
                Some(Inflight::Answer { origin, err }) => {
                    let (origin, err) = (*origin, *err);
                    ready.push(Ready::Answer { origin, err });
                }
                Some(Inflight::Sync { origin }) if self.syncs.is_own_ready(self.applied) => {
                    let origin = *origin;
                    let body = self.syncs.take_own();
                    ready.push(Ready::Synced { origin, body });
                }
                Some(Inflight::Sync { .. } | Inflight::Proposed { .. }) | None => return,
            }
            self.inflight.pop_front();
        }
    }
}
