//! The reads: run against the tree as it stands, where the connection runs.

use super::{Connection, Desk, Reply};
use crate::namespaces;
use crate::submission::Ids;
use base::{ConnectionId, SessionId, Time};
use jute::{Decode, Encode, Reader, put_buffer, put_int, put_string};
use tree::NodeIndex;
use wire::{
    Acl, AddWatchMode, AddWatchRequest, CheckWatchesRequest, ErrorCode, EventType, OpCode,
    PathRequest, PathWatchRequest, SetWatchesRequest, Strings, WatcherType, perms, xid,
};

/// Who reads.
pub(super) struct Asker<'a> {
    pub(super) connection: ConnectionId,
    pub(super) session: SessionId,
    pub(super) ids: &'a Ids,
}

type Outcome = Result<(), ErrorCode>;

impl Connection {
    /// Serves one read and appends its reply.
    pub(super) fn read(
        &mut self,
        op: OpCode,
        xid: i32,
        body: &[u8],
        ids: &Ids,
        arrived: Time,
        desk: &mut Desk<'_>,
    ) {
        let zxid = desk.tree.last_zxid();
        let request = Reader::with_length_max(body, desk.config.field_size_max);
        let asker = Asker { connection: self.id, session: self.session, ids };
        let xid = if op == OpCode::Ping { xid::PING } else { xid };
        if matches!(op, OpCode::SetWatches | OpCode::SetWatches2) {
            let outcome = self.set_watches(op, request, desk);
            self.reply(Reply::new(xid, zxid, 0), |_| outcome);
        } else if op == OpCode::MultiRead {
            self.multi_read(xid, zxid, request, &asker, desk);
        } else {
            self.reply(Reply::new(xid, zxid, 0), |out| asker.run(op, request, desk, out));
        }
        let latency = desk.now.since(arrived);
        self.tally.served(latency);
        self.stats.served(op, xid, zxid, latency, desk.now);
    }

    /// Sets watches again after a reconnect, and sends the events that the client missed.
    fn set_watches(&mut self, op: OpCode, mut request: Reader<'_>, desk: &mut Desk<'_>) -> Outcome {
        let request = if op == OpCode::SetWatches2 {
            SetWatchesRequest::decode2(&mut request)
        } else {
            SetWatchesRequest::decode(&mut request)
        }
        .map_err(|_| ErrorCode::MarshallingError)?;
        let seen = request.relative_zxid;
        let (id, tree) = (self.id, desk.tree);
        for path in listed(request.data)?.iter() {
            match tree.find(&path) {
                None => self.event(REPLAYED, EventType::NodeDeleted, &path),
                Some(node) if tree.stat(node).mzxid > seen => {
                    self.event(REPLAYED, EventType::NodeDataChanged, &path);
                }
                Some(_) => desk.watches.watches().watch_data(id, &path),
            }
        }
        for path in listed(request.exist)?.iter() {
            match tree.find(&path) {
                Some(_) => self.event(REPLAYED, EventType::NodeCreated, &path),
                None => desk.watches.watches().watch_data(id, &path),
            }
        }
        for path in listed(request.child)?.iter() {
            match tree.find(&path) {
                None => self.event(REPLAYED, EventType::NodeDeleted, &path),
                Some(node) if tree.stat(node).pzxid > seen => {
                    self.event(REPLAYED, EventType::NodeChildrenChanged, &path);
                }
                Some(_) => desk.watches.watches().watch_children(id, &path),
            }
        }
        for path in listed(request.persistent)?.iter() {
            desk.watches.watches().add(id, &path, AddWatchMode::Persistent);
        }
        for path in listed(request.persistent_recursive)?.iter() {
            desk.watches.watches().add(id, &path, AddWatchMode::PersistentRecursive);
        }
        Ok(())
    }
}

impl Asker<'_> {
    fn run(
        &self,
        op: OpCode,
        request: Reader<'_>,
        desk: &mut Desk<'_>,
        out: &mut Vec<u8>,
    ) -> Outcome {
        match op {
            OpCode::Exists => self.exists(request, desk, out),
            OpCode::GetData => self.get_data(request, desk, out),
            OpCode::GetChildren => self.get_children(request, desk, out).map(drop),
            OpCode::GetChildren2 => {
                let node = self.get_children(request, desk, out)?;
                desk.tree.stat(node).encode(out);
                Ok(())
            }
            OpCode::GetAcl => self.get_acl(request, desk, out),
            OpCode::GetAllChildrenNumber => self.count_descendants(request, desk, out),
            OpCode::GetEphemerals => self.get_ephemerals(request, desk, out),
            OpCode::Sync => self.sync(request, out),
            OpCode::CheckWatches => self.check_watches(request, desk),
            OpCode::RemoveWatches => self.remove_watches(request, desk),
            OpCode::AddWatch => self.add_watch(request, desk, out),
            OpCode::WhoAmI => self.who_am_i(desk, out),
            OpCode::Ping => Ok(()),
            OpCode::MultiRead
            | OpCode::SetWatches
            | OpCode::SetWatches2
            | OpCode::Error
            | OpCode::CreateSession
            | OpCode::CloseSession
            | OpCode::Create
            | OpCode::Delete
            | OpCode::SetData
            | OpCode::SetAcl
            | OpCode::Check
            | OpCode::Multi
            | OpCode::Create2
            | OpCode::Reconfig
            | OpCode::CreateContainer
            | OpCode::DeleteContainer
            | OpCode::CreateTtl
            | OpCode::Auth
            | OpCode::Sasl => Err(ErrorCode::Unimplemented),
        }
    }

    /// The node, if it exists and the client may read it.
    fn readable(&self, path: &str, desk: &Desk<'_>) -> Result<NodeIndex, ErrorCode> {
        let node = desk.tree.find(path).ok_or(ErrorCode::NoNode)?;
        self.may(desk, node, perms::READ)?;
        Ok(node)
    }

    fn may(&self, desk: &Desk<'_>, node: NodeIndex, perms: i32) -> Outcome {
        if desk.config.auth.permits(desk.tree.acl(node), self.ids, perms) {
            Ok(())
        } else {
            Err(ErrorCode::NoAuth)
        }
    }

    fn exists(&self, request: Reader<'_>, desk: &mut Desk<'_>, out: &mut Vec<u8>) -> Outcome {
        let PathWatchRequest { path, watch } = decode(request)?;
        if path.contains('\0') {
            return Err(ErrorCode::BadArguments);
        }
        let node = desk.tree.find(&path);
        if let Some(node) = node {
            self.may(desk, node, perms::READ)?;
        }
        if watch {
            desk.watches.watches().watch_data(self.connection, &path);
        }
        desk.tree.stat(node.ok_or(ErrorCode::NoNode)?).encode(out);
        namespaces::read(desk.watches.metrics(), &path, 0);
        Ok(())
    }

    fn get_data(&self, request: Reader<'_>, desk: &mut Desk<'_>, out: &mut Vec<u8>) -> Outcome {
        let PathWatchRequest { path, watch } = decode(request)?;
        self.put_data(&path, desk, out)?;
        if watch {
            desk.watches.watches().watch_data(self.connection, &path);
        }
        Ok(())
    }

    /// Appends a getData result.
    pub(super) fn put_data(&self, path: &str, desk: &mut Desk<'_>, out: &mut Vec<u8>) -> Outcome {
        let node = self.readable(path, desk)?;
        let data = desk.tree.data(node);
        put_buffer(out, data);
        desk.tree.stat(node).encode(out);
        namespaces::read(desk.watches.metrics(), path, data.map_or(0, |data| data.len()));
        Ok(())
    }

    fn get_children(
        &self,
        request: Reader<'_>,
        desk: &mut Desk<'_>,
        out: &mut Vec<u8>,
    ) -> Result<NodeIndex, ErrorCode> {
        let PathWatchRequest { path, watch } = decode(request)?;
        let node = self.put_children(&path, desk, out)?;
        if watch {
            desk.watches.watches().watch_children(self.connection, &path);
        }
        Ok(node)
    }

    /// Appends a getChildren result.
    pub(super) fn put_children(
        &self,
        path: &str,
        desk: &mut Desk<'_>,
        out: &mut Vec<u8>,
    ) -> Result<NodeIndex, ErrorCode> {
        let node = self.readable(path, desk)?;
        let start = out.len();
        desk.tree.put_children(node, out);
        let lengths = LENGTH_SIZE * (1 + desk.tree.num_children(node));
        namespaces::read(desk.watches.metrics(), path, out.len() - start - lengths);
        Ok(node)
    }

    fn get_acl(&self, request: Reader<'_>, desk: &Desk<'_>, out: &mut Vec<u8>) -> Outcome {
        let PathRequest { path } = decode(request)?;
        let path = path.ok_or(ErrorCode::MarshallingError)?;
        let node = desk.tree.find(&path).ok_or(ErrorCode::NoNode)?;
        self.may(desk, node, perms::READ | perms::ADMIN)?;
        let sees_all = self.may(desk, node, perms::ADMIN).is_ok();
        let open = Acl::open();
        let list = desk.tree.acl(node).unwrap_or(&open);
        put_int(out, count(list.len()));
        for acl in list {
            if sees_all { acl.encode(out) } else { auth::mask(acl).encode(out) }
        }
        desk.tree.stat(node).encode(out);
        Ok(())
    }

    fn count_descendants(
        &self,
        request: Reader<'_>,
        desk: &Desk<'_>,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let PathRequest { path } = decode(request)?;
        let path = path.ok_or(ErrorCode::MarshallingError)?;
        let node = self.readable(&path, desk)?;
        // Under its other name the root counts as its own descendant, as in the reference.
        put_int(out, count(desk.tree.descendants(node) + usize::from(path.is_empty())));
        Ok(())
    }

    fn get_ephemerals(&self, request: Reader<'_>, desk: &Desk<'_>, out: &mut Vec<u8>) -> Outcome {
        let PathRequest { path } = decode(request)?;
        let prefix = path.as_deref().filter(|path| !names_all(path)).unwrap_or_default();
        let at = out.len();
        put_int(out, 0);
        let mut found = 0;
        for path in desk.tree.ephemerals(self.session) {
            if path.starts_with(prefix) {
                put_string(out, &path);
                found += 1;
            }
        }
        out[at..at + 4].copy_from_slice(&count(found).to_be_bytes());
        Ok(())
    }

    /// Answers with the path: on a server without peers all that was decided is here.
    fn sync(&self, request: Reader<'_>, out: &mut Vec<u8>) -> Outcome {
        let PathRequest { path } = decode(request)?;
        put_buffer(out, path.as_deref().map(str::as_bytes));
        Ok(())
    }

    fn check_watches(&self, request: Reader<'_>, desk: &mut Desk<'_>) -> Outcome {
        let (path, of) = watcher(request)?;
        if desk.watches.watches().contains(self.connection, &path, of) {
            Ok(())
        } else {
            Err(ErrorCode::NoWatcher)
        }
    }

    fn remove_watches(&self, request: Reader<'_>, desk: &mut Desk<'_>) -> Outcome {
        let (path, of) = watcher(request)?;
        if desk.watches.watches().remove(self.connection, &path, of) {
            Ok(())
        } else {
            Err(ErrorCode::NoWatcher)
        }
    }

    fn add_watch(&self, request: Reader<'_>, desk: &mut Desk<'_>, out: &mut Vec<u8>) -> Outcome {
        let AddWatchRequest { path, mode } = decode(request)?;
        let mode = AddWatchMode::from_number(mode).ok_or(ErrorCode::MarshallingError)?;
        desk.watches.watches().add(self.connection, &path, mode);
        put_int(out, 0);
        Ok(())
    }

    fn who_am_i(&self, desk: &Desk<'_>, out: &mut Vec<u8>) -> Outcome {
        put_int(out, count(self.ids.len()));
        for id in self.ids.iter() {
            put_string(out, &id.scheme);
            put_string(out, desk.config.auth.user_name(id));
        }
        Ok(())
    }
}

fn decode<'a, T: Decode<'a>>(mut request: Reader<'a>) -> Result<T, ErrorCode> {
    T::decode(&mut request).map_err(|_| ErrorCode::MarshallingError)
}

fn watcher(request: Reader<'_>) -> Result<(std::borrow::Cow<'_, str>, WatcherType), ErrorCode> {
    let CheckWatchesRequest { path, watcher_type } = decode(request)?;
    let of = WatcherType::from_number(watcher_type).ok_or(ErrorCode::MarshallingError)?;
    Ok((path, of))
}

/// Whether a prefix stands for all paths: blank, or the root among blanks and controls.
fn names_all(prefix: &str) -> bool {
    prefix.chars().all(char::is_whitespace) || prefix.trim_matches(|c| c <= ' ') == "/"
}

fn listed(paths: Strings<'_>) -> Result<Strings<'_>, ErrorCode> {
    if paths.is_null() { Err(ErrorCode::MarshallingError) } else { Ok(paths) }
}

fn count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// Bytes of a count or a length.
const LENGTH_SIZE: usize = 4;
/// The zxid of events that are made up for what a client missed.
const REPLAYED: i64 = -1;
