//! Single writes and reads, as they stand alone or within a multi, and the kinds of node.

use crate::reply::Expect;
use crate::request::{put_acl, usable, valid};
use crate::{Chroot, Error};
use bytes::Bytes;
use jute::{Encode, put_bool, put_buffer, put_int, put_long, put_string};
use std::borrow::Cow;
use std::time::Duration;
use wire::{Acl, MULTI_END, MultiHeader, OpCode, TTL_MAX_MS};

/// What kind of node to create.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Stays until it is deleted.
    #[default]
    Persistent,
    /// Goes with its session.
    Ephemeral,
    /// Stays, and gets ten digits appended to its name.
    PersistentSequential,
    /// Goes with its session, and gets ten digits appended to its name.
    EphemeralSequential,
    /// Goes some time after its last child went.
    Container,
    /// Goes when it had neither children nor writes for that long: at least 1 ms.
    PersistentWithTtl(Duration),
    /// The same with ten digits appended to its name.
    PersistentSequentialWithTtl(Duration),
}

impl Mode {
    fn flags(self) -> i32 {
        match self {
            Mode::Persistent => 0,
            Mode::Ephemeral => 1,
            Mode::PersistentSequential => 2,
            Mode::EphemeralSequential => 3,
            Mode::Container => 4,
            Mode::PersistentWithTtl(_) => 5,
            Mode::PersistentSequentialWithTtl(_) => 6,
        }
    }

    fn ttl(self) -> Option<Duration> {
        match self {
            Mode::PersistentWithTtl(ttl) | Mode::PersistentSequentialWithTtl(ttl) => Some(ttl),
            Mode::Persistent
            | Mode::Ephemeral
            | Mode::PersistentSequential
            | Mode::EphemeralSequential
            | Mode::Container => None,
        }
    }

    fn is_sequential(self) -> bool {
        matches!(
            self,
            Mode::PersistentSequential
                | Mode::EphemeralSequential
                | Mode::PersistentSequentialWithTtl(_)
        )
    }

    fn op(self) -> OpCode {
        match self {
            Mode::Container => OpCode::CreateContainer,
            Mode::PersistentWithTtl(_) | Mode::PersistentSequentialWithTtl(_) => OpCode::CreateTtl,
            Mode::Persistent
            | Mode::Ephemeral
            | Mode::PersistentSequential
            | Mode::EphemeralSequential => OpCode::Create2,
        }
    }
}

/// One write of a multi.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Creates a node.
    Create {
        /// Its path, before a sequence number.
        path: String,
        /// Its data; null stays null.
        data: Option<Bytes>,
        /// Its access list; not empty.
        acl: Vec<Acl>,
        /// Its kind.
        mode: Mode,
    },
    /// Deletes a node.
    Delete {
        /// Its path.
        path: String,
        /// The version that it must have.
        version: i32,
    },
    /// Replaces a node's data.
    SetData {
        /// Its path.
        path: String,
        /// The new data; null stays null.
        data: Option<Bytes>,
        /// The version that it must have.
        version: i32,
    },
    /// Changes nothing, and fails the multi if the version is another.
    Check {
        /// The node's path.
        path: String,
        /// The version that it must have.
        version: i32,
    },
}

/// One read of a multi-read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadOp {
    /// Reads a node's data.
    Data(String),
    /// Lists a node's children.
    Children(String),
}

impl Op {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        match self {
            Op::Create { path, acl, mode, .. } => {
                // A sequence number makes a name of what ends with a slash.
                let full: Cow<'_, str> =
                    if mode.is_sequential() { format!("{path}1").into() } else { path.into() };
                if wire::validate_path(&full).is_err() {
                    return Err(Error::InvalidPath(path.clone()));
                }
                usable(acl)?;
                match mode.ttl().map(|ttl| ttl.as_millis()) {
                    Some(ms) if ms < 1 || ms > TTL_MAX_MS as u128 => {
                        Err(Error::InvalidArgument("a time to live is 1 ms to 2^40 - 1 ms"))
                    }
                    Some(_) | None => Ok(()),
                }
            }
            Op::Delete { path, .. } | Op::SetData { path, .. } | Op::Check { path, .. } => {
                valid(path)
            }
        }
    }

    /// Which operation it is, and what answers it.
    pub(crate) fn code(&self) -> (OpCode, Expect) {
        match self {
            Op::Create { mode, .. } => (mode.op(), Expect::Created),
            Op::Delete { .. } => (OpCode::Delete, Expect::Nothing),
            Op::SetData { .. } => (OpCode::SetData, Expect::Stat),
            Op::Check { .. } => (OpCode::Check, Expect::Nothing),
        }
    }

    /// Appends the record to `out`.
    pub(crate) fn encode(&self, chroot: &Chroot, out: &mut Vec<u8>) {
        match self {
            Op::Create { path, data, acl, mode } => {
                put_string(out, &chroot.add(path));
                put_buffer(out, data.as_deref());
                put_acl(out, acl);
                put_int(out, mode.flags());
                if let Some(ttl) = mode.ttl() {
                    put_long(out, i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX));
                }
            }
            Op::SetData { path, data, version } => {
                put_string(out, &chroot.add(path));
                put_buffer(out, data.as_deref());
                put_int(out, *version);
            }
            Op::Delete { path, version } | Op::Check { path, version } => {
                put_string(out, &chroot.add(path));
                put_int(out, *version);
            }
        }
    }
}

pub(crate) fn encode_multi(ops: &[Op], chroot: &Chroot, out: &mut Vec<u8>) {
    for op in ops {
        MultiHeader { op: op.code().0.number(), done: false, err: -1 }.encode(out);
        op.encode(chroot, out);
    }
    MULTI_END.encode(out);
}

pub(crate) fn encode_multi_read(ops: &[ReadOp], chroot: &Chroot, out: &mut Vec<u8>) {
    for op in ops {
        let (code, path) = match op {
            ReadOp::Data(path) => (OpCode::GetData, path),
            ReadOp::Children(path) => (OpCode::GetChildren, path),
        };
        MultiHeader { op: code.number(), done: false, err: -1 }.encode(out);
        put_string(out, &chroot.add(path));
        put_bool(out, false);
    }
    MULTI_END.encode(out);
}
