//! The replica: what its clients want written is forwarded, and answered when it is applied.
//!
//! Letters keep their order on the link, and so do the transactions that they lead to; a lost
//! link ends the role, and what was forwarded is unknown then.
//! Source: the reference's `FollowerRequestProcessor`, `CommitProcessor` and `Learner`.

use super::locals::Local;
use super::outgoing::{BadLetter, Outgoing};
use super::reads::{Question, Reads};
use super::waiting::{Queues, Waiting};
use super::{Asked, Ready, Section, Service, timeout_ms};
use crate::Clients;
use crate::session::Expiry;
use crate::submission::{Ask, Submission, Submissions};
use base::{ConnectionId, SessionId, Time, Zxid};
use bytes::Bytes;
use jute::{Decode, Encode, Reader};
use std::collections::VecDeque;
use std::time::Duration;
use tree::Tree;
use wire::quorum::{
    ForwardedRequest, Packet, PacketKind, Revalidate, RevalidateReply, put_packet_with_data,
    put_request, put_touch,
};
use wire::{ErrorCode, OpCode, Txn, TxnHeader};

/// What a replica knows beyond what everyone does.
#[derive(Debug, Default)]
pub(super) struct Replica {
    queues: Queues,
    /// Sessions whose syncs the primary has not answered, in the order of the letters.
    syncs: VecDeque<SessionId>,
    /// How many syncs it has answered.
    synced: u64,
    /// Connections that want to go on with a session, in the order of the letters.
    renewals: VecDeque<Renewal>,
    /// Linearizable reads.
    reads: Reads,
    /// What the primary was last asked on their behalf.
    question: Option<Question>,
    /// When the primary was last told who was heard.
    told: Time,
    /// Sessions that were heard since and have no connection any more.
    left: Vec<(SessionId, Duration)>,
}

#[derive(Debug)]
struct Renewal {
    session: SessionId,
    connection: ConnectionId,
    timeout_ms: i32,
}

impl Replica {
    pub(super) fn outstanding(&self) -> usize {
        self.queues.len()
    }

    /// Forwards what connections ask for, in order.
    pub(super) fn forward(
        &mut self,
        service: &mut Service,
        tree: &Tree,
        now: Time,
        submissions: &Submissions,
        out: &mut Outgoing,
    ) {
        for (submission, body) in submissions.iter() {
            let Submission { session, connection, .. } = *submission;
            match submission.ask {
                Ask::Write(op) => self.write(service, op, submission, body, now, out),
                Ask::Open { timeout_ms, .. }
                    if service.opens_local(tree, connection, timeout_ms, now) => {}
                Ask::Open { timeout_ms, .. } => {
                    let session = service.fresh_session(tree);
                    self.open(session, connection, timeout_ms, out);
                }
                Ask::Renew { timeout_ms, password, .. } => {
                    if !service.is_password(submission, password) {
                        continue;
                    }
                    if service.is_local(session) {
                        service.renewed(session, connection, timeout_ms, now);
                    } else {
                        service.leave_before(session, connection, now);
                        self.renew(session, connection, timeout_ms, out);
                    }
                }
                Ask::ReadIndex => {
                    self.reads.wait(connection);
                    self.question.get_or_insert_with(|| Question {
                        session_id: service.fresh_session(tree).0,
                        number: 0,
                    });
                }
                Ask::Detach { last_heard } => {
                    let detached = service.detach(session, connection, last_heard);
                    if let Some(timeout) = detached.filter(|_| last_heard >= self.told) {
                        self.left.push((session, timeout));
                    }
                }
            }
        }
        self.begin_round(out);
    }

    /// Asks the primary what the reads must see that wait for a round, if none is under way.
    fn begin_round(&mut self, out: &mut Outgoing) {
        if let Some(question) = &mut self.question
            && self.reads.begin()
        {
            question.number = question.number.wrapping_add(1);
            question.put(&mut out.letters);
        }
    }

    /// The last question was answered, by a letter or out of the order.
    fn end_round(&mut self, at_least: Zxid, out: &mut Outgoing) {
        self.reads.answer(at_least);
        self.begin_round(out);
    }

    /// Whether this is what came of the last question, and that is not answered.
    fn is_answer(&self, session_id: i64, number: i32) -> bool {
        let is_it = |question: Question| question.is_answered_by(session_id, number);
        self.reads.is_under_way() && self.question.is_some_and(is_it)
    }

    /// Everything up to this place is in the tree.
    pub(super) fn applied(
        &mut self,
        at: Zxid,
        header: &TxnHeader,
        ready: &mut Vec<Ready>,
        out: &mut Outgoing,
    ) {
        if self.is_answer(header.client_id, header.cxid) {
            self.end_round(at, out);
        }
        self.reads.release(at, ready);
    }

    fn write(
        &mut self,
        service: &mut Service,
        op: OpCode,
        submission: &Submission,
        body: &[u8],
        now: Time,
        out: &mut Outgoing,
    ) {
        let Submission { connection, session, xid, .. } = *submission;
        if service.has_left(submission) {
            return;
        }
        let origin = Asked { connection, xid, op };
        if service.is_throttled(op, submission, now) {
            return self.answer_in_turn(service, session, origin, ErrorCode::ThrottledOp);
        }
        match service.local_write(session, op, body, now) {
            None | Some(Local::Write) => {}
            Some(Local::Upgrade { timeout_ms }) => put_session(session, timeout_ms, out),
            // Of a multi the primary refuses that part.
            Some(Local::Refused) if op == OpCode::Multi => {}
            Some(Local::Refused) => {
                let err = ErrorCode::EphemeralOnLocalSession;
                return self.answer_in_turn(service, session, origin, err);
            }
            Some(Local::Closed) => {
                return self.answer_in_turn(service, session, origin, ErrorCode::Ok);
            }
        }
        let op = op.number();
        let request = ForwardedRequest { session_id: session.0, cxid: xid, op, body };
        put_request(&mut out.letters, &request, Some(&submission.ids));
        if origin.op == OpCode::Sync {
            self.syncs.push_back(session);
            let number = self.synced + self.syncs.len() as u64;
            self.queues.push(session, Waiting::Sync { number, origin, body: body.into() });
        } else {
            self.queues.push(session, Waiting::Write { origin });
        }
    }

    /// What is not forwarded is answered behind what the session waits for.
    fn answer_in_turn(
        &mut self,
        service: &mut Service,
        session: SessionId,
        origin: Asked,
        err: ErrorCode,
    ) {
        let err = err.number();
        if self.queues.has(session) {
            self.queues.push(session, Waiting::Answer { origin, err });
        } else {
            service.ready.push(Ready::Answer { origin, err });
        }
    }

    /// A new session: its id is taken now, and is the client's once the order has it.
    fn open(
        &mut self,
        session: SessionId,
        connection: ConnectionId,
        timeout_ms: i32,
        out: &mut Outgoing,
    ) {
        put_session(session, timeout_ms, out);
        let origin = Asked { connection, xid: 0, op: OpCode::CreateSession };
        self.queues.push(session, Waiting::Write { origin });
    }

    /// A session that the client holds: only the primary knows whether it lives.
    fn renew(
        &mut self,
        session: SessionId,
        connection: ConnectionId,
        timeout_ms: i32,
        out: &mut Outgoing,
    ) {
        let question = Revalidate { session_id: session.0, timeout_ms };
        put_packet_with_data(&mut out.letters, PacketKind::Revalidate, -1, |out| {
            question.encode(out);
        });
        self.renewals.push_back(Renewal { session, connection, timeout_ms });
    }

    /// Takes a letter of the primary.
    pub(super) fn answered(
        &mut self,
        service: &mut Service,
        letter: &[u8],
        section: &mut Section<'_>,
    ) -> Result<(), BadLetter> {
        let packet = Packet::decode(letter)?;
        match packet.kind() {
            Some(PacketKind::Revalidate) => {
                let mut data = Reader::new(packet.data.unwrap_or_default());
                self.revalidated(service, RevalidateReply::decode(&mut data)?, section.now)
            }
            Some(PacketKind::Request) => {
                let mut data = Reader::new(packet.data.unwrap_or_default());
                let ForwardedRequest { session_id, cxid, .. } =
                    ForwardedRequest::decode(&mut data)?;
                if !self.is_answer(session_id, cxid) {
                    return Err(BadLetter("nobody asked for that read"));
                }
                self.end_round(Zxid(packet.zxid), section.outgoing);
                self.reads.release(section.tree.last_zxid(), &mut service.ready);
                Ok(())
            }
            Some(PacketKind::Sync) => {
                let session = self.syncs.pop_front().ok_or(BadLetter("nobody asked for a sync"))?;
                self.synced += 1;
                self.release(session, &mut service.ready);
                Ok(())
            }
            Some(_) | None => Err(BadLetter("a letter of a kind that primaries do not write")),
        }
    }

    fn revalidated(
        &mut self,
        service: &mut Service,
        reply: RevalidateReply,
        now: Time,
    ) -> Result<(), BadLetter> {
        let session = SessionId(reply.session_id);
        let asked = self.renewals.iter().position(|renewal| renewal.session == session);
        let renewal = asked.and_then(|place| self.renewals.remove(place));
        let Renewal { connection, timeout_ms, .. } =
            renewal.ok_or(BadLetter("nobody asked for that session"))?;
        if reply.is_valid {
            service.renewed(session, connection, timeout_ms, now);
        } else {
            service.refuse_session(session, connection);
        }
        Ok(())
    }

    /// Takes the write that this transaction answers; `None` if it is somebody else's.
    pub(super) fn take(
        &mut self,
        session: SessionId,
        cxid: i32,
        txn: &Txn<'_>,
        ready: &mut Vec<Ready>,
    ) -> Option<Asked> {
        self.queues.take(session, cxid, txn, ready)
    }

    /// Moves what the session waits for and whose turn has come.
    pub(super) fn release(&mut self, session: SessionId, ready: &mut Vec<Ready>) {
        self.queues.release(session, self.synced, ready);
    }

    /// Who was heard since the last call, with their time-outs; the primary knows nothing of local
    /// sessions.
    pub(super) fn heartbeat(
        &mut self,
        locals: &Expiry,
        clients: &mut dyn Clients,
        now: Time,
    ) -> Bytes {
        let mut touches = Vec::new();
        for (session, timeout) in self.left.drain(..) {
            put_touch(&mut touches, session.0, timeout_ms(timeout));
        }
        // What is heard at this very moment may be told twice, but never not at all.
        let since = std::mem::replace(&mut self.told, now);
        clients.look_at_all(&mut |connection| {
            let session = connection.session();
            if connection.is_open()
                && connection.last_heard() >= since
                && locals.get(session).is_none()
            {
                put_touch(&mut touches, session.0, timeout_ms(connection.timeout()));
            }
        });
        Bytes::from(touches)
    }
}

/// A letter that asks for a session to be made.
fn put_session(session: SessionId, timeout_ms: i32, out: &mut Outgoing) {
    let (session_id, op) = (session.0, OpCode::CreateSession.number());
    let body = &timeout_ms.to_be_bytes();
    put_request(&mut out.letters, &ForwardedRequest { session_id, cxid: 0, op, body }, None);
}
