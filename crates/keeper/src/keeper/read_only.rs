//! Read-only mode: a member that finds no quorum for long serves what it has to clients that ask for
//! no more.
//!
//! Sessions are local to it, and end with the mode: a client goes on to a server that takes writes
//! with a new one. A session that all members know is none for here: it lives, or ends, elsewhere.
//! Source: the reference's `ReadOnlyZooKeeperServer` and `ReadOnlyRequestProcessor`. Deviation:
//! sessions are local also where `localSessionsEnabled` is off, where the reference grants none.

use super::{Asked, Keeper, Ready, Role, Service};
use crate::Access;
use crate::submission::{Ask, Submission};
use base::Time;
use trace::Event;
use tree::Tree;
use wire::{ErrorCode, OpCode};

impl Keeper {
    /// Whether it serves reads alone, because it belongs to nothing.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        matches!(self.role, Role::ReadOnly)
    }

    /// The engine looks for other members: if it goes on to do so, this member is to serve reads.
    pub fn looks_for_others(&mut self, now: Time) {
        if let Role::Apart { read_only_at } = &mut self.role
            && let Some(after) = self.service.config.read_only_after
        {
            read_only_at.get_or_insert(now + after);
        }
    }

    /// The engine has found other members, and may belong to them soon.
    pub fn has_found_others(&mut self) {
        match &mut self.role {
            Role::Apart { read_only_at } => *read_only_at = None,
            Role::ReadOnly => self.become_apart(),
            Role::Primary(_) | Role::Replica(_) | Role::Silent => {}
        }
    }

    pub(super) fn access(&self) -> Access {
        if self.is_read_only() { Access::ReadOnly } else { Access::Full }
    }

    pub(super) fn read_only_if_due(&mut self, now: Time) {
        if let Role::Apart { read_only_at: Some(at) } = self.role
            && at <= now
        {
            self.role = Role::ReadOnly;
            self.service.events.push(Event::ReadOnlyBegan);
        }
    }
}

impl Service {
    /// What a connection asks of a member that only reads.
    pub(super) fn read_only(&mut self, submission: &Submission, tree: &Tree, now: Time) {
        let Submission { connection, session, xid, .. } = *submission;
        match submission.ask {
            Ask::Write(op) => {
                let err = if op == OpCode::CloseSession && self.is_local(session) {
                    self.close_local(session);
                    ErrorCode::Ok
                } else {
                    ErrorCode::NotReadOnly
                };
                let origin = Asked { connection, xid, op };
                self.ready.push(Ready::Answer { origin, err: err.number() });
            }
            // Nobody here knows what was acknowledged: a linearizable read waits elsewhere.
            Ask::ReadIndex
            | Ask::Open { access: Access::Full, .. }
            | Ask::Renew { access: Access::Full, .. } => {
                self.ready.push(Ready::Close { connection });
            }
            Ask::Open { timeout_ms, access: Access::ReadOnly } => {
                self.open_local(tree, connection, timeout_ms, now);
            }
            Ask::Renew { timeout_ms, access: Access::ReadOnly, password } => {
                if tree.session_timeout(session).is_some() {
                    self.ready.push(Ready::Close { connection });
                } else if !self.is_local(session) {
                    self.refuse_session(session, connection);
                } else if self.is_password(submission, password) {
                    self.renewed(session, connection, timeout_ms, now);
                }
            }
            Ask::Detach { last_heard } => {
                self.detach(session, connection, last_heard);
            }
        }
    }
}
