//! Requests of an open session: told apart here, once.

use super::read_level::READS_SCHEME;
use super::{Connection, Desk, Phase, Reply, Then};
use base::Zxid;
use jute::{Decode, Reader, put_int};
use std::sync::Arc;
use wire::{AuthPacket, ErrorCode, OpCode, RequestHeader};

/// How an operation is handled.
enum Route {
    /// At once, past whatever waits.
    Immediate,
    /// Against the tree as it stands, behind the session's writes.
    Read,
    /// Likewise, and the reply shows nodes: linearizable if the session wants that.
    ReadNodes,
    /// By the member.
    Write,
    /// Not for clients.
    Refused,
}

/// A server without peers has all that was decided, so that a sync is a read there.
fn route(op: OpCode, alone: bool) -> Route {
    match op {
        OpCode::Auth | OpCode::Sasl => Route::Immediate,
        OpCode::Exists
        | OpCode::GetData
        | OpCode::GetAcl
        | OpCode::GetChildren
        | OpCode::GetChildren2
        | OpCode::MultiRead
        | OpCode::GetEphemerals
        | OpCode::GetAllChildrenNumber => Route::ReadNodes,
        OpCode::Ping
        | OpCode::CheckWatches
        | OpCode::RemoveWatches
        | OpCode::SetWatches
        | OpCode::SetWatches2
        | OpCode::AddWatch
        | OpCode::WhoAmI => Route::Read,
        OpCode::Sync if alone => Route::Read,
        OpCode::Create
        | OpCode::Create2
        | OpCode::CreateContainer
        | OpCode::CreateTtl
        | OpCode::Delete
        | OpCode::SetData
        | OpCode::SetAcl
        | OpCode::Multi
        | OpCode::Reconfig
        | OpCode::CloseSession
        | OpCode::Sync => Route::Write,
        // The last two are the server's own. The reference takes them from clients, and lets
        // those delete what they may not, or confuse themselves.
        OpCode::Error | OpCode::Check | OpCode::CreateSession | OpCode::DeleteContainer => {
            Route::Refused
        }
    }
}

impl Connection {
    pub(super) fn request(&mut self, frame: &[u8], desk: &mut Desk<'_>) {
        let mut reader = Reader::with_length_max(frame, desk.config.field_size_max);
        let Ok(header) = RequestHeader::decode(&mut reader) else { return self.close() };
        let op = OpCode::from_number(header.op);
        let is_auth = matches!(op, Some(OpCode::Auth | OpCode::Sasl));
        if !is_auth && !desk.config.auth.is_enforced_satisfied(&self.ids) {
            let err = ErrorCode::SessionClosedRequireSaslAuth.number();
            return self.refuse(header.xid, Zxid::ZERO, err);
        }
        let body = reader.rest();
        match op.map(|op| (op, route(op, desk.config.alone))) {
            Some((op, Route::ReadNodes)) if self.reads_linearizably => {
                self.keep_linearizable_read(op, header.xid, body, desk);
            }
            Some((op, Route::Read | Route::ReadNodes)) => {
                self.take_read(op, header.xid, body, desk)
            }
            Some((op, Route::Write)) => self.take_write(op, header.xid, body, desk),
            Some((OpCode::Auth, _)) => self.authenticate(header.xid, reader, desk),
            Some((_, Route::Immediate)) => self.answer_sasl(header.xid, reader),
            Some((_, Route::Refused)) | None => {
                self.refuse(header.xid, Zxid(-1), ErrorCode::Unimplemented.number());
            }
        }
    }

    fn take_read(&mut self, op: OpCode, xid: i32, body: &[u8], desk: &mut Desk<'_>) {
        if self.gate.is_empty() {
            let ids = Arc::clone(&self.ids);
            self.read(op, xid, body, &ids, desk.now, desk);
        } else {
            self.keep_read(op, xid, body, desk.now);
        }
    }

    fn take_write(&mut self, op: OpCode, xid: i32, body: &[u8], desk: &mut Desk<'_>) {
        if op == OpCode::CloseSession {
            self.phase = Phase::Ending;
        }
        self.submit(op, xid, body, desk);
    }

    /// An auth packet: answered at arrival, before requests that wait. A malformed one closes the
    /// connection without a word.
    fn authenticate(&mut self, xid: i32, mut reader: Reader<'_>, desk: &mut Desk<'_>) {
        let Ok(packet) = AuthPacket::decode(&mut reader) else { return self.close() };
        if packet.scheme.as_deref() == Some(READS_SCHEME) {
            return self.choose_reads(xid, packet.auth.unwrap_or_default(), desk);
        }
        match self.with_proved(&packet, desk) {
            Some(ids) => {
                self.ids = Arc::new(ids);
                self.reply(Reply::new(xid, Zxid::ZERO, 0), |_| Ok(()));
            }
            None => {
                self.tally.auth_failures += 1;
                self.refuse(xid, Zxid::ZERO, ErrorCode::AuthFailed.number());
            }
        }
    }

    /// The ids with those that the packet proves; `None` if it proves nothing.
    fn with_proved(&self, packet: &AuthPacket<'_>, desk: &Desk<'_>) -> Option<Vec<wire::Id>> {
        let mut ids = Vec::clone(&self.ids);
        let (scheme, credentials) = (packet.scheme.as_deref()?, packet.auth?);
        desk.config.auth.authenticate(scheme, credentials, self.remote.ip(), &mut ids).ok()?;
        Some(ids)
    }

    /// A step of a SASL exchange with a server that has no SASL configuration: a null token. One
    /// that has no token itself closes the connection.
    fn answer_sasl(&mut self, xid: i32, mut reader: Reader<'_>) {
        if !matches!(reader.buffer(), Ok(Some(_))) {
            return self.close();
        }
        self.reply(Reply::new(xid, Zxid::ZERO, 0), |out| {
            put_int(out, -1);
            Ok(())
        });
    }

    /// Answers with an error and closes the connection.
    pub(super) fn refuse(&mut self, xid: i32, zxid: Zxid, err: i32) {
        self.reply(Reply { xid, zxid, err, then: Then::Close }, |_| Ok(()));
        self.close();
    }
}
