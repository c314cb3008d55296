//! What a caller can ask for, checked and written as the bytes of a frame.
//!
//! Paths are the client's; the chroot is added when they are written. Versions are -1 for any.

use crate::op::{Op, ReadOp, encode_multi, encode_multi_read};
use crate::reply::Expect;
use crate::watches::{Kind, Registration, WatcherId};
use crate::{Chroot, Error};
use bytes::Bytes;
use jute::{Encode, put_bool, put_buffer, put_int, put_long, put_string};
use wire::{Acl, AddWatchMode, OpCode, WatcherType};

/// The version that matches every version.
pub const ANY_VERSION: i32 = -1;
/// Where the ensemble's configuration stands, outside of every chroot.
pub const CONFIG_PATH: &str = "/zookeeper/config";

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// One write; a check alone is no request and is refused.
    Write(Op),
    /// Several writes, all or none.
    Multi(Vec<Op>),
    /// Several reads in one round trip.
    MultiRead(Vec<ReadOp>),
    /// Asks whether a node exists; a watch is set also where there is none.
    Exists {
        /// The node.
        path: String,
        /// Who is to be told of the next change.
        watch: Option<WatcherId>,
    },
    /// Reads data and stat.
    GetData {
        /// The node.
        path: String,
        /// Who is to be told of the next change.
        watch: Option<WatcherId>,
    },
    /// Reads the ensemble's configuration, which no chroot hides.
    GetConfig {
        /// Who is to be told of the next change.
        watch: Option<WatcherId>,
    },
    /// Lists children.
    Children {
        /// The node.
        path: String,
        /// Who is to be told of the next change.
        watch: Option<WatcherId>,
    },
    /// Lists children; answers with the stat too.
    ChildrenWithStat {
        /// The node.
        path: String,
        /// Who is to be told of the next change.
        watch: Option<WatcherId>,
    },
    /// Reads the access list and the stat.
    GetAcl {
        /// The node.
        path: String,
    },
    /// Replaces the access list.
    SetAcl {
        /// The node.
        path: String,
        /// The new list; not empty.
        acl: Vec<Acl>,
        /// The version that the list must have.
        version: i32,
    },
    /// Waits until this server has all that the leader had committed.
    Sync {
        /// Any path.
        path: String,
    },
    /// Sets a watch that stays.
    AddWatch {
        /// The node.
        path: String,
        /// Alone, or with all below it.
        mode: AddWatchMode,
        /// Who is to be told.
        watcher: WatcherId,
    },
    /// Removes one local watcher.
    RemoveWatcher(WatcherId),
    /// Removes all local watchers of a type from a path.
    RemoveWatches {
        /// The node.
        path: String,
        /// Which.
        which: WatcherType,
    },
    /// Lists the session's ephemeral nodes.
    Ephemerals {
        /// What their paths begin with.
        prefix: String,
    },
    /// Counts all descendants.
    DescendantCount {
        /// The node.
        path: String,
    },
    /// Lists the connection's identities.
    WhoAmI,
    /// Changes the ensemble.
    Reconfig {
        /// Members to add or change, `server.N=...` separated by commas.
        joining: Option<String>,
        /// Ids of members to remove, separated by commas.
        leaving: Option<String>,
        /// The whole new membership.
        members: Option<String>,
        /// The version that the configuration must have; -1 for any.
        config_id: i64,
    },
    /// Adds an identity to this connection and to all that follow it.
    Auth {
        /// Which scheme the credentials are for.
        scheme: String,
        /// The credentials.
        credentials: Bytes,
    },
}

impl Request {
    /// Checks what can be checked without a server.
    ///
    /// # Errors
    /// [`Error::InvalidPath`] and [`Error::InvalidArgument`].
    pub(crate) fn validate(&self) -> Result<(), Error> {
        match self {
            Request::Write(Op::Check { .. }) => {
                Err(Error::InvalidArgument("a check has a meaning only within a multi"))
            }
            Request::Write(op) => op.validate(),
            Request::Multi(ops) => ops.iter().try_for_each(Op::validate),
            Request::MultiRead(ops) => ops.iter().try_for_each(|op| match op {
                ReadOp::Data(path) | ReadOp::Children(path) => valid(path),
            }),
            Request::SetAcl { path, acl, .. } => valid(path).and_then(|()| usable(acl)),
            Request::Exists { path, .. }
            | Request::GetData { path, .. }
            | Request::Children { path, .. }
            | Request::ChildrenWithStat { path, .. }
            | Request::GetAcl { path }
            | Request::Sync { path }
            | Request::AddWatch { path, .. }
            | Request::RemoveWatches { path, .. }
            | Request::Ephemerals { prefix: path }
            | Request::DescendantCount { path } => valid(path),
            Request::GetConfig { .. }
            | Request::RemoveWatcher(_)
            | Request::WhoAmI
            | Request::Reconfig { .. }
            | Request::Auth { .. } => Ok(()),
        }
    }

    /// Whether it may change something, so that a lost connection leaves its outcome unknown.
    pub(crate) fn is_write(&self) -> bool {
        match self {
            Request::Write(_)
            | Request::Multi(_)
            | Request::SetAcl { .. }
            | Request::Reconfig { .. } => true,
            Request::MultiRead(_)
            | Request::Exists { .. }
            | Request::GetData { .. }
            | Request::GetConfig { .. }
            | Request::Children { .. }
            | Request::ChildrenWithStat { .. }
            | Request::GetAcl { .. }
            | Request::Sync { .. }
            | Request::AddWatch { .. }
            | Request::RemoveWatcher(_)
            | Request::RemoveWatches { .. }
            | Request::Ephemerals { .. }
            | Request::DescendantCount { .. }
            | Request::WhoAmI
            | Request::Auth { .. } => false,
        }
    }

    /// The watch that its success sets.
    pub(crate) fn registration(&self, chroot: &Chroot) -> Option<Registration> {
        let (watcher, kind, path) = match self {
            Request::Exists { path, watch } | Request::GetData { path, watch } => {
                ((*watch)?, Kind::Data, chroot.add(path))
            }
            Request::GetConfig { watch } => ((*watch)?, Kind::Data, CONFIG_PATH.to_owned()),
            Request::Children { path, watch } | Request::ChildrenWithStat { path, watch } => {
                ((*watch)?, Kind::Child, chroot.add(path))
            }
            Request::AddWatch { path, mode, watcher } => {
                let kind = match mode {
                    AddWatchMode::Persistent => Kind::Persistent,
                    AddWatchMode::PersistentRecursive => Kind::Recursive,
                };
                (*watcher, kind, chroot.add(path))
            }
            Request::Write(_)
            | Request::Multi(_)
            | Request::MultiRead(_)
            | Request::GetAcl { .. }
            | Request::SetAcl { .. }
            | Request::Sync { .. }
            | Request::RemoveWatcher(_)
            | Request::RemoveWatches { .. }
            | Request::Ephemerals { .. }
            | Request::DescendantCount { .. }
            | Request::WhoAmI
            | Request::Reconfig { .. }
            | Request::Auth { .. } => return None,
        };
        Some(Registration { watcher: Some(watcher), kind, path })
    }

    /// Which operation it is, and what answers it.
    pub(crate) fn code(&self) -> (OpCode, Expect) {
        match self {
            Request::Write(op) => op.code(),
            Request::Multi(_) => (OpCode::Multi, Expect::Multi),
            Request::MultiRead(_) => (OpCode::MultiRead, Expect::MultiRead),
            Request::Exists { .. } => (OpCode::Exists, Expect::Exists),
            Request::GetData { .. } | Request::GetConfig { .. } => (OpCode::GetData, Expect::Data),
            Request::Children { .. } => (OpCode::GetChildren, Expect::Children),
            Request::ChildrenWithStat { .. } => (OpCode::GetChildren2, Expect::ChildrenWithStat),
            Request::GetAcl { .. } => (OpCode::GetAcl, Expect::Acl),
            Request::SetAcl { .. } => (OpCode::SetAcl, Expect::Stat),
            Request::Sync { .. } => (OpCode::Sync, Expect::Path),
            Request::AddWatch { .. } => (OpCode::AddWatch, Expect::Nothing),
            Request::Ephemerals { .. } => (OpCode::GetEphemerals, Expect::Paths),
            Request::DescendantCount { .. } => (OpCode::GetAllChildrenNumber, Expect::Count),
            Request::WhoAmI => (OpCode::WhoAmI, Expect::Identities),
            Request::Reconfig { .. } => (OpCode::Reconfig, Expect::Data),
            Request::RemoveWatcher(_) | Request::RemoveWatches { .. } => {
                (OpCode::RemoveWatches, Expect::Nothing)
            }
            Request::Auth { .. } => (OpCode::Auth, Expect::Nothing),
        }
    }

    /// Appends the body to `out`. Removals and auth have frames of their own, which the session
    /// makes.
    pub(crate) fn encode(&self, chroot: &Chroot, out: &mut Vec<u8>) {
        match self {
            Request::Write(op) => op.encode(chroot, out),
            Request::Multi(ops) => encode_multi(ops, chroot, out),
            Request::MultiRead(ops) => encode_multi_read(ops, chroot, out),
            Request::Exists { path, watch }
            | Request::GetData { path, watch }
            | Request::Children { path, watch }
            | Request::ChildrenWithStat { path, watch } => {
                put_string(out, &chroot.add(path));
                put_bool(out, watch.is_some());
            }
            Request::GetConfig { watch } => {
                put_string(out, CONFIG_PATH);
                put_bool(out, watch.is_some());
            }
            Request::GetAcl { path }
            | Request::Sync { path }
            | Request::Ephemerals { prefix: path }
            | Request::DescendantCount { path } => put_string(out, &chroot.add(path)),
            Request::SetAcl { path, acl, version } => {
                put_string(out, &chroot.add(path));
                put_acl(out, acl);
                put_int(out, *version);
            }
            Request::AddWatch { path, mode, .. } => {
                put_string(out, &chroot.add(path));
                put_int(out, *mode as i32);
            }
            Request::Reconfig { joining, leaving, members, config_id } => {
                for text in [joining, leaving, members] {
                    put_buffer(out, text.as_deref().map(str::as_bytes));
                }
                put_long(out, *config_id);
            }
            Request::WhoAmI
            | Request::RemoveWatcher(_)
            | Request::RemoveWatches { .. }
            | Request::Auth { .. } => {}
        }
    }
}

pub(crate) fn put_acl(out: &mut Vec<u8>, acl: &[Acl]) {
    put_int(out, i32::try_from(acl.len()).expect("an access list is bounded by its frame"));
    acl.iter().for_each(|entry| entry.encode(out));
}

pub(crate) fn valid(path: &str) -> Result<(), Error> {
    wire::validate_path(path).map_err(|_| Error::InvalidPath(path.to_owned()))
}

pub(crate) fn usable(acl: &[Acl]) -> Result<(), Error> {
    if acl.is_empty() {
        return Err(Error::InvalidArgument("an access list must not be empty"));
    }
    Ok(())
}
