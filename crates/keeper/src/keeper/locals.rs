//! Local sessions: known to this member alone, which opens, renews and ends them without a word to
//! the others. What they write is ordered like all else.
//!
//! One that makes an ephemeral node is upgraded: it takes a place in the order ahead of the node, and
//! is everybody's from then on. A member that leaves its role forgets its local sessions.
//! Invariant: a session is local or everybody's, never both.
//! Source: the reference's `UpgradeableSessionTracker` and `QuorumZooKeeperServer`.

use super::{LocalSessions, Ready, Service, millis};
use crate::Clients;
use crate::prepare::makes_ephemeral;
use crate::session::{Owner, Place};
use base::{ConnectionId, SessionId, Time};
use rustc_hash::FxHashSet;
use std::collections::VecDeque;
use trace::Event;
use tree::Tree;
use wire::{ErrorCode, OpCode};

/// Whether what a session asks for is taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admission {
    /// Anything but an ephemeral node.
    pub(super) any: Result<(), ErrorCode>,
    /// An ephemeral node: that needs a session that all members know.
    pub(super) ephemeral: Result<(), ErrorCode>,
}

/// What a write of a local session comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Local {
    /// It goes the way of all writes.
    Write,
    /// So it does, behind an upgrade of its session with this time-out in ms.
    Upgrade { timeout_ms: i32 },
    /// It makes an ephemeral node, which the session may not have.
    Refused,
    /// The session's end: nobody else needs to know.
    Closed,
}

impl Service {
    /// Whether only this member knows the session.
    pub(super) fn is_local(&self, session: SessionId) -> bool {
        !self.locals.is_empty() && self.locals.is_open(session)
    }

    /// Opens a session if new ones are local; says whether they are.
    pub(super) fn opens_local(
        &mut self,
        tree: &Tree,
        connection: ConnectionId,
        timeout_ms: i32,
        now: Time,
    ) -> bool {
        if self.config.local_sessions == LocalSessions::Off {
            return false;
        }
        self.open_local(tree, connection, timeout_ms, now);
        true
    }

    /// Opens a session that only this member knows.
    pub(super) fn open_local(
        &mut self,
        tree: &Tree,
        connection: ConnectionId,
        timeout_ms: i32,
        now: Time,
    ) {
        let session = self.fresh_session(tree);
        self.locals.track(session, millis(timeout_ms), Place::on(connection), now);
        self.events.push(Event::SessionOpened { session, timeout_ms });
        self.ready.push(Ready::Established { connection, session, timeout_ms });
    }

    /// What a write comes to, if its session is local: `None` if that is not.
    pub(super) fn local_write(
        &mut self,
        session: SessionId,
        op: OpCode,
        body: &[u8],
        now: Time,
    ) -> Option<Local> {
        if !self.is_local(session) {
            return None;
        }
        if op == OpCode::CloseSession {
            self.close_local(session);
            return Some(Local::Closed);
        }
        if !makes_ephemeral(op, body, self.config.field_size_max) {
            return Some(Local::Write);
        }
        if self.config.local_sessions != LocalSessions::Upgradable {
            return Some(Local::Refused);
        }
        let liveness = self.locals.remove(session)?;
        let place = Place { connection: liveness.connection, owner: Some(Owner::Here) };
        self.sessions.track(session, liveness.timeout, place, now);
        self.events.push(Event::SessionUpgraded { session });
        Some(Local::Upgrade { timeout_ms: super::timeout_ms(liveness.timeout) })
    }

    /// A local session is over.
    pub(super) fn close_local(&mut self, session: SessionId) {
        if self.locals.remove(session).is_some() {
            self.events.push(Event::SessionClosed { session });
        }
    }

    /// Ends the local sessions whose time is up, and closes their connections.
    pub(super) fn expire_locals(&mut self, now: Time, clients: &mut dyn Clients) {
        for (session, timeout) in self.locals.expired(now, |c| clients.last_heard(c)) {
            let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
            self.events.push(Event::SessionExpired { session, timeout_ms });
            let connection = self.locals.get(session).and_then(|liveness| liveness.connection);
            self.ready.extend(connection.map(|connection| Ready::Close { connection }));
            self.close_local(session);
        }
    }

    /// A connection is gone. Says how long its session may be silent if all members know that one,
    /// and it is on no other connection.
    pub(super) fn detach(
        &mut self,
        session: SessionId,
        connection: ConnectionId,
        last_heard: Time,
    ) -> Option<std::time::Duration> {
        if self.is_local(session) {
            self.locals.detach(session, connection, last_heard);
            return None;
        }
        self.sessions.detach(session, connection, last_heard).map(|liveness| liveness.timeout)
    }

    /// Whether the primary takes what comes from there for this session.
    pub(super) fn admit(&mut self, session: SessionId, owner: Owner) -> Admission {
        let known = self.sessions.check(session, owner);
        if known == Err(ErrorCode::SessionExpired)
            && self.config.local_sessions != LocalSessions::Off
        {
            return self.admit_local(session, owner);
        }
        Admission { any: known, ephemeral: known }
    }

    /// A session that is not everybody's may be local, here or at the replica that speaks for it. A
    /// replica checks its own; only that it has moved here and is gone this member can tell.
    #[cold]
    fn admit_local(&mut self, session: SessionId, owner: Owner) -> Admission {
        let expired = Err(ErrorCode::SessionExpired);
        let (lives, ephemeral) = match owner {
            Owner::Here if self.is_local(session) => {
                (true, Err(ErrorCode::EphemeralOnLocalSession))
            }
            Owner::Here => (false, expired),
            Owner::Link(_) => {
                let is_elsewhere = server_of(session) != self.config.server_id;
                let may_live = is_elsewhere && !self.ended.has(session);
                (may_live && self.sessions.get(session).is_none(), expired)
            }
        };
        Admission { any: if lives { Ok(()) } else { expired }, ephemeral }
    }
}

/// Sessions that all members knew and that have ended, the last ones: what a member that they had
/// been on still brings in their name does not make them local sessions of that member. Deviation:
/// the reference takes it.
#[derive(Debug, Default)]
pub(super) struct Ended {
    ids: FxHashSet<SessionId>,
    order: VecDeque<SessionId>,
}

impl Ended {
    pub(super) fn note(&mut self, session: SessionId) {
        if self.ids.insert(session) {
            self.order.push_back(session);
        }
        if self.order.len() > ENDED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }

    fn has(&self, session: SessionId) -> bool {
        self.ids.contains(&session)
    }
}

/// Sessions that are remembered: more than end while a request is on its way between members.
const ENDED_MAX: usize = 1 << 14;

/// The server that gave the session its id.
fn server_of(session: SessionId) -> u8 {
    let [server, ..] = session.0.to_be_bytes();
    server
}
