//! From the order to the tree, the watchers and the client that asked.

use super::results::{put_multi_results, put_result, put_synced, read_sync};
use super::{Asked, Keeper, LocalSessions, Outgoing, Ready, Role, millis};
use crate::connection::{Access, Connection, Desk, Reply, Then};
use crate::session::Place;
use crate::{Clients, Submissions, Watches, namespaces};
use base::{ConnectionId, SessionId, Time, Zxid};
use trace::Event;
use tree::{Change, OpResult, Results, Tree};
use wire::{ErrorCode, OpCode, Txn, TxnRecord};

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
    /// What the service wants sent.
    pub outgoing: &'a mut Outgoing,
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
        let session = SessionId(record.header.client_id);
        let origin = self.take(&record);
        if !self.service.ready.is_empty() {
            self.perform_ready(section); // before the change can be seen
        }
        let applied = {
            let Section { tree, watches, clients, .. } = section;
            let config = &self.service.config;
            let mut notify = |change: Change<'_>| notify(config, watches, *clients, at, change);
            match &self.role {
                Role::Primary(primary) if origin.is_some() => {
                    tree.apply_foreseen(&record, primary.foreseen(at), &mut notify)
                }
                Role::Primary(_)
                | Role::Replica(_)
                | Role::Apart { .. }
                | Role::ReadOnly
                | Role::Silent => tree.apply(&record, &mut notify),
            }
        };
        namespaces::written(section.watches.metrics(), &record.txn, applied.results.ops());
        if let Role::Primary(primary) = &mut self.role {
            primary.applied(at);
        }
        if applied.digest_mismatch.is_some() {
            self.service.events.push(Event::DigestMismatch { zxid: at });
        }
        if let Txn::CreateSession { timeout_ms } = record.txn {
            self.begin_session(session, timeout_ms, origin, section.now);
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
        if let Role::Replica(replica) = &mut self.role {
            if origin.is_some() {
                replica.release(session, &mut self.service.ready);
            }
            replica.applied(at, &record.header, &mut self.service.ready, section.outgoing);
        }
        self.answer_ready(section);
    }

    /// Takes what waits for this transaction, if somebody here does. What was to be answered
    /// before it is ready then.
    fn take(&mut self, record: &TxnRecord<'_>) -> Option<Asked> {
        let ready = &mut self.service.ready;
        match &mut self.role {
            Role::Primary(primary) => primary.take(Zxid(record.header.zxid), ready),
            Role::Replica(replica) => {
                let (session, cxid) = (SessionId(record.header.client_id), record.header.cxid);
                replica.take(session, cxid, &record.txn, ready)
            }
            Role::Apart { .. } | Role::ReadOnly | Role::Silent => None,
        }
    }

    /// Does what needs no place in the order, or whose turn has come.
    pub fn answer_ready(&mut self, section: &mut Section<'_>) {
        if !self.has_ready() {
            return;
        }
        if let Role::Primary(primary) = &mut self.role {
            primary.release(&mut self.service.ready, section.outgoing);
        }
        self.perform_ready(section);
    }

    fn perform_ready(&mut self, section: &mut Section<'_>) {
        let access = self.access();
        for ready in std::mem::take(&mut self.service.ready) {
            let clients = &mut *section.clients;
            match ready {
                Ready::Established { connection, session, timeout_ms } => {
                    clients.with(connection, &mut |c| c.established(session, timeout_ms, access));
                }
                Ready::Refused { connection } => {
                    clients.with(connection, &mut |c| c.refused(access));
                }
                Ready::Close { connection } => clients.with(connection, &mut |c| c.close()),
                Ready::Confirmed { connection } => {
                    self.with_desk(section, connection, |connection, desk| {
                        connection.confirmed(desk);
                    });
                }
                Ready::CloseAll => clients.close_all(),
                Ready::Answer { origin, err } => {
                    if err == ErrorCode::ThrottledOp.number() {
                        section.watches.metrics().counters.throttled_ops += 1;
                    }
                    self.answer(section, origin, section.tree.last_zxid(), err, &|_| {});
                }
                Ready::Synced { origin, body } => self.answer_sync(section, origin, &body),
            }
        }
    }

    fn answer_sync(&self, section: &mut Section<'_>, origin: Asked, body: &[u8]) {
        let zxid = section.tree.last_zxid();
        match read_sync(body, self.service.config.field_size_max) {
            Ok(path) => self.answer(section, origin, zxid, 0, &|out| put_synced(&path, out)),
            Err(code) => self.answer(section, origin, zxid, code.number(), &|_| {}),
        }
    }

    fn begin_session(
        &mut self,
        session: SessionId,
        timeout_ms: i32,
        origin: Option<Asked>,
        now: Time,
    ) {
        let sessions = &mut self.service.sessions;
        if sessions.get(session).is_none() {
            // Opened by a replica's client, this one's or another's, or before this was primary.
            let place = origin.map_or(Place::default(), |origin| Place::on(origin.connection));
            sessions.track(session, millis(timeout_ms), place, now);
        }
        self.service.events.push(Event::SessionOpened { session, timeout_ms });
    }

    /// Forgets the session; gives the connection that it was on.
    fn end_session(&mut self, session: SessionId) -> Option<ConnectionId> {
        self.service.events.push(Event::SessionClosed { session });
        if self.service.config.local_sessions != LocalSessions::Off {
            self.service.ended.note(session);
        }
        self.service.sessions.remove(session)?.connection
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
            let session = SessionId(record.header.client_id);
            section.clients.with(origin.connection, &mut |c| {
                if let Txn::CreateSession { timeout_ms } = record.txn {
                    c.established(session, timeout_ms, Access::Full);
                } else {
                    c.close(); // the id is that of a session whose end is under way
                }
            });
            return;
        }
        let (err, is_multi) = match results {
            Results::One(result) => (result.err, false),
            // A multi's failure is in its results, never in its header.
            Results::Multi(results) => (moved(results), true),
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
            return; // the member's own, or a replica's
        }
        if err == ErrorCode::SessionMoved.number() {
            // The client is elsewhere: what it hears from here it would take for an answer there.
            return section.clients.with(origin.connection, &mut |c| c.close());
        }
        let ends = origin.op == OpCode::CloseSession && err == 0;
        let then = if ends { Then::Close } else { Then::GoOn };
        let reply = Reply { xid: origin.xid, zxid, err, then };
        let is_there = self.with_desk(section, origin.connection, |connection, desk| {
            connection.answer(desk, reply, body);
        });
        if !is_there {
            section.watches.metrics().counters.stale_replies += 1;
        }
    }

    /// Whether the connection is there. It may do `step` then.
    fn with_desk(
        &self,
        section: &mut Section<'_>,
        connection: ConnectionId,
        step: impl Fn(&mut Connection, &mut Desk<'_>),
    ) -> bool {
        let Section { tree, watches, clients, submissions, now, .. } = section;
        let config = &self.service.config;
        let mut is_there = false;
        clients.with(connection, &mut |connection| {
            is_there = true;
            let mut desk = Desk { now: *now, config, tree, watches: &mut **watches, submissions };
            step(connection, &mut desk);
        });
        is_there
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

/// The error of a multi as a whole: only that its session is elsewhere is one.
fn moved(results: &[OpResult]) -> i32 {
    const MOVED: i32 = ErrorCode::SessionMoved.number();
    if results.iter().any(|result| result.err == MOVED) { MOVED } else { ErrorCode::Ok.number() }
}
