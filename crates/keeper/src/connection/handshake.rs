//! The first frame of a connection, and its answer.

use super::{Access, Connection, Desk, Phase};
use crate::session::password;
use crate::submission::{Ask, Origin};
use base::SessionId;
use jute::{Encode, Reader};
use std::time::Duration;
use wire::{ConnectRequest, ConnectResponse};

impl Connection {
    /// Whether nothing was received yet: the next frame opens a session, or closes the connection.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.phase == Phase::Fresh
    }

    /// Takes the connect request: malformed, or from a client that has seen more than this server
    /// has, it closes the connection without a word, so that the client tries another server.
    pub(super) fn shake_hands(&mut self, frame: &[u8], desk: &mut Desk<'_>) {
        let Ok(request) = ConnectRequest::decode(&mut Reader::new(frame)) else {
            return self.close();
        };
        if request.last_zxid_seen > desk.tree.last_zxid().0 {
            return self.close();
        }
        let timeout_ms = desk.config.negotiate_timeout(request.timeout_ms);
        self.phase = Phase::Establishing { read_only_known: request.read_only.is_some() };
        self.timeout = millis(timeout_ms);
        let session = SessionId(request.session_id);
        let access = match request.read_only {
            Some(true) => Access::ReadOnly,
            Some(false) | None => Access::Full,
        };
        let ask = if session == SessionId::NONE {
            Ask::Open { timeout_ms, access }
        } else {
            Ask::Renew { timeout_ms, access, password: request.password.try_into().ok() }
        };
        let (connection, ids, arrived) = (self.id, &self.ids, desk.now);
        desk.submissions.ask(Origin { connection, session, xid: 0, ids, arrived }, ask);
    }

    /// The member's answer: the session is open on this connection.
    pub fn established(&mut self, session: SessionId, timeout_ms: i32, access: Access) {
        let Phase::Establishing { read_only_known } = self.phase else { return };
        self.phase = Phase::Open;
        self.session = session;
        self.timeout = millis(timeout_ms);
        self.respond(&ConnectResponse {
            timeout_ms,
            session_id: session.0,
            password: password(session),
            read_only: read_only_known.then_some(access == Access::ReadOnly),
        });
    }

    /// The member's answer: the session is over, or the password is not its own.
    pub fn refused(&mut self, access: Access) {
        let Phase::Establishing { read_only_known } = self.phase else { return };
        let read_only = read_only_known.then_some(access == Access::ReadOnly);
        self.respond(&ConnectResponse::refused(read_only));
        self.close();
    }

    fn respond(&mut self, response: &ConnectResponse) {
        let start = self.begin_frame();
        response.encode(&mut self.outbox);
        self.end_frame(start);
    }
}

fn millis(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}
