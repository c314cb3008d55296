//! From the order to the tree, the watchers and the client that asked.

use super::{Asked, Inflight, Keeper, Ready, millis};
use crate::connection::{Desk, Reply, Then};
use crate::{Clients, Submissions, Watches, namespaces};
use base::{ConnectionId, SessionId, Time, Zxid};
use jute::{Encode, Reader, put_int, put_string};
use trace::Event;
use tree::{Change, OpResult, Results, Tree};
use wire::{CreateTxn, ErrorCode, MULTI_END, MultiHeader, MultiTxn, OpCode, Txn, TxnRecord};

/// What the apply section works on: the member has it to itself.
#[allow(missing_debug_implementations)]
pub struct Section<'a> {
    /// The tree.
    pub tree: &'a mut Tree,
    /// The watch table.
    pub watches: &'a mut Watches,
    /// The connections.
    pub clients: &'a mut dyn Clients,
    /// What connections submit when an answer lets them go on.
    pub submissions: &'a mut Submissions,
    /// The time.
    pub now: Time,
}

impl Keeper {
    /// Applies the next transaction of the order, tells the watchers, and answers who asked.
    ///
    /// # Panics
    /// If `item` is not a transaction: the order holds nothing else, so the member must stop.
    pub fn apply(&mut self, section: &mut Section<'_>, at: Zxid, item: &[u8]) {
        let record = TxnRecord::decode(item).expect("the order holds transactions only");
        assert_eq!(record.header.zxid, at.0, "a transaction stands where it says it does");
        let origin = self.take_proposed(at);
        let applied = {
            let Section { tree, watches, clients, .. } = section;
            let config = &self.config;
            let mut notify = |change: Change<'_>| notify(config, watches, *clients, at, change);
            if origin.is_some() {
                tree.apply_foreseen(&record, self.changes.foreseen(at), &mut notify)
            } else {
                tree.apply(&record, &mut notify)
            }
        };
        namespaces::written(section.watches.metrics(), &record.txn, applied.results.ops());
        self.changes.applied(at);
        if applied.digest_mismatch.is_some() {
            self.events.push(Event::DigestMismatch { zxid: at });
        }
        let session = SessionId(record.header.client_id);
        if let Txn::CreateSession { timeout_ms } = record.txn {
            self.begin_session(session, timeout_ms, section.now);
        }
        let ends = matches!(record.txn, Txn::CloseSession { .. });
        let ended = if ends { self.end_session(session) } else { None };
        if let Some(origin) = origin {
            self.answer_applied(section, origin, &record, &applied.results);
        }
        if let Some(connection) = ended {
            section.clients.with(connection, &mut |c| {
                if c.session() == session {
                    c.close();
                }
            });
        }
        self.answer_ready(section);
    }

    /// Does what needs no place in the order, or whose turn has come.
    pub fn answer_ready(&mut self, section: &mut Section<'_>) {
        for ready in std::mem::take(&mut self.ready) {
            match ready {
                Ready::Established { connection, session, timeout_ms } => {
                    section.clients.with(connection, &mut |c| c.established(session, timeout_ms));
                }
                Ready::Refused { connection } => {
                    section.clients.with(connection, &mut |c| c.refused());
                }
                Ready::Close { connection } => {
                    section.clients.with(connection, &mut |c| c.close());
                }
            }
        }
        while let Some(Inflight::Answer { origin, err }) = self.inflight.front() {
            let (origin, err) = (*origin, *err);
            self.inflight.pop_front();
            if err == ErrorCode::ThrottledOp.number() {
                section.watches.metrics().counters.throttled_ops += 1;
            }
            let zxid = section.tree.last_zxid();
            self.answer(section, origin, zxid, err, &|_| {});
        }
    }

    fn begin_session(&mut self, session: SessionId, timeout_ms: i32, now: Time) {
        if self.expiry.get(session).is_none() {
            // Opened by another member, or before this one was primary.
            self.expiry.track(session, millis(timeout_ms), None, now);
        }
        self.events.push(Event::SessionOpened { session, timeout_ms });
    }

    /// Forgets the session; gives the connection that it was on.
    fn end_session(&mut self, session: SessionId) -> Option<ConnectionId> {
        self.events.push(Event::SessionClosed { session });
        self.expiry.remove(session)?.connection
    }

    fn take_proposed(&mut self, at: Zxid) -> Option<Asked> {
        match self.inflight.front() {
            Some(Inflight::Proposed { at: proposed, origin }) if *proposed == at => {
                let origin = *origin;
                self.inflight.pop_front();
                Some(origin)
            }
            _ => None, // proposed by another member
        }
    }

    fn answer_applied(
        &self,
        section: &mut Section<'_>,
        origin: Asked,
        record: &TxnRecord<'_>,
        results: &Results,
    ) {
        let zxid = Zxid(record.header.zxid);
        if origin.op == OpCode::CreateSession {
            let Txn::CreateSession { timeout_ms } = record.txn else { return };
            let session = SessionId(record.header.client_id);
            let connection = origin.connection;
            section.clients.with(connection, &mut |c| c.established(session, timeout_ms));
            return;
        }
        let (err, is_multi) = match results {
            Results::One(result) => (result.err, false),
            // A multi's failure is in its results, never in its header.
            Results::Multi(_) => (0, true),
        };
        self.answer(section, origin, zxid, err, &|out| {
            if is_multi {
                if let Txn::Multi(multi) = &record.txn {
                    put_multi_results(multi, results.ops(), out);
                }
            } else if err == 0 {
                put_result(origin.op, &record.txn, results.ops().first(), out);
            }
        });
    }

    fn answer(
        &self,
        section: &mut Section<'_>,
        origin: Asked,
        zxid: Zxid,
        err: i32,
        body: &dyn Fn(&mut Vec<u8>),
    ) {
        if origin.connection == ConnectionId::NONE {
            return; // the member's own
        }
        let ends = origin.op == OpCode::CloseSession && err == 0;
        let then = if ends { Then::Close } else { Then::GoOn };
        let reply = Reply { xid: origin.xid, zxid, err, then };
        let Section { tree, watches, clients, submissions, now } = section;
        let config = &self.config;
        let mut is_there = false;
        clients.with(origin.connection, &mut |connection| {
            is_there = true;
            let mut desk = Desk { now: *now, config, tree, watches: &mut **watches, submissions };
            connection.answer(&mut desk, reply, body);
        });
        if !is_there {
            watches.metrics().counters.stale_replies += 1;
        }
    }
}

fn notify(
    config: &crate::Config,
    watches: &mut Watches,
    clients: &mut dyn Clients,
    zxid: Zxid,
    change: Change<'_>,
) {
    for &connection in watches.triggered(change.event, change.path) {
        clients.with(connection, &mut |c| {
            c.notify(config, zxid, change.event, change.path, change.acl);
        });
    }
}

/// The body of a successful write's reply.
fn put_result(op: OpCode, txn: &Txn<'_>, result: Option<&OpResult>, out: &mut Vec<u8>) {
    let stat = || result.and_then(|result| result.stat).unwrap_or_default();
    match txn {
        Txn::Create(CreateTxn { path, .. }) => {
            put_string(out, path);
            if op != OpCode::Create {
                stat().encode(out);
            }
        }
        Txn::SetData { .. } | Txn::SetAcl { .. } => stat().encode(out),
        Txn::Delete { .. }
        | Txn::Check { .. }
        | Txn::CreateSession { .. }
        | Txn::CloseSession { .. }
        | Txn::Error(_)
        | Txn::Multi(_) => {}
    }
}

fn put_multi_results(multi: &MultiTxn<'_>, results: &[OpResult], out: &mut Vec<u8>) {
    let failed = results.iter().any(|result| result.err != 0);
    for ((op, body), result) in multi.parts().zip(results) {
        if failed {
            put_error_result(result.err, out);
        } else {
            put_sub_result(op, body, result, out);
        }
    }
    MULTI_END.encode(out);
}

fn put_error_result(err: i32, out: &mut Vec<u8>) {
    MultiHeader { op: OpCode::Error.number(), done: false, err }.encode(out);
    put_int(out, err);
}

/// The result of one operation; only a create's record is looked into, for its path.
fn put_sub_result(op: i32, body: &[u8], result: &OpResult, out: &mut Vec<u8>) {
    let header = |op: OpCode, out: &mut Vec<u8>| {
        MultiHeader { op: op.number(), done: false, err: ErrorCode::Ok.number() }.encode(out);
    };
    match OpCode::from_number(op) {
        Some(OpCode::Create) => {
            header(OpCode::Create, out);
            put_path_of(body, out);
        }
        // Containers and TTL nodes answer as create2 does.
        Some(OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl) => {
            header(OpCode::Create2, out);
            put_path_of(body, out);
            result.stat.unwrap_or_default().encode(out);
        }
        Some(OpCode::SetData) => {
            header(OpCode::SetData, out);
            result.stat.unwrap_or_default().encode(out);
        }
        Some(OpCode::Delete) => header(OpCode::Delete, out),
        Some(OpCode::Check) => header(OpCode::Check, out),
        // No proposer puts others into a multi.
        _ => put_error_result(ErrorCode::RuntimeInconsistency.number(), out),
    }
}

/// The path that a record begins with, as text: the reply is what the log says.
fn put_path_of(body: &[u8], out: &mut Vec<u8>) {
    let path = Reader::new(body).string().ok().flatten();
    put_string(out, &path.unwrap_or_default());
}
