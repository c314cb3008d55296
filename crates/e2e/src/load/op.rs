//! The writes of a load, as requests and as what their replies must be.

use crate::program::{Request, Value};
use anyhow::{Context, Result, ensure};
use jute::{Decode, Reader};
use wire::{Acl, Id, MultiHeader, OpCode, ReplyHeader};

/// A write on the subtree of one worker, or on the shared node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// Any of the creates.
    Create {
        /// Which.
        op: OpCode,
        /// Where, without a sequence number.
        path: String,
        /// What.
        data: Vec<u8>,
        /// The mode's number.
        flags: i32,
        /// Which of [`access_list`].
        acl: usize,
    },
    /// delete.
    Delete {
        /// Where.
        path: String,
        /// Which version is expected.
        version: i32,
    },
    /// setData.
    Set {
        /// Where.
        path: String,
        /// What.
        data: Vec<u8>,
        /// Which version is expected.
        version: i32,
    },
    /// setACL.
    SetAcl {
        /// Where.
        path: String,
        /// Which of [`access_list`].
        acl: usize,
        /// Which version is expected.
        version: i32,
    },
    /// check, in a multi.
    Check {
        /// Where.
        path: String,
        /// Which version is expected.
        version: i32,
    },
    /// All of them or none.
    Multi(Vec<Op>),
    /// A sequential node under the node that all workers share.
    Draw,
    /// The deletion of such a node, by name.
    Return(String),
    /// The end of the session.
    Close,
}

/// What a reply must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// An error.
    Failed(i32),
    /// A path.
    Created(String),
    /// No error.
    Done,
    /// The errors of a multi, one for each operation.
    Multi(Vec<i32>),
    /// A path under the shared node, with a number that other workers decide, too.
    Drawn,
}

/// The node under which all workers draw numbers.
pub(super) const SHARED: &str = "/shared";
/// How long nodes with a time to live stay: longer than any test.
const TTL_MS: i64 = 86_400_000;

/// Access lists that forbid nothing, so that the outcome of a write does not depend on them.
#[must_use]
pub(super) fn access_list(number: usize) -> Vec<Acl> {
    let mut list = Acl::open();
    match number % ACCESS_LISTS {
        1 => list.push(Acl { perms: 1, id: Id::new("ip", "127.0.0.1") }),
        2 => list.push(Acl { perms: 31, id: Id::new("digest", "u:AAAAAAAAAAAAAAAAAAAAAAAAAAA=") }),
        _ => {}
    }
    list
}

/// How many lists there are.
pub(super) const ACCESS_LISTS: usize = 3;

fn acl_value(number: usize) -> Value {
    let mut bytes = Vec::new();
    jute::Writer::new(&mut bytes).vector(&access_list(number));
    Value::Raw(bytes)
}

impl Op {
    /// The request.
    #[must_use]
    pub(super) fn request(&self) -> Request {
        let text = |path: &String| Value::Text(path.clone());
        let versioned =
            |op, path, version: &i32| Request::new(op, vec![text(path), Value::Int(*version)]);
        match self {
            Op::Create { op, path, data, flags, acl } => {
                let bytes = Value::Bytes(data.clone());
                let mut values = vec![text(path), bytes, acl_value(*acl), Value::Int(*flags)];
                values.extend((*op == OpCode::CreateTtl).then_some(Value::Long(TTL_MS)));
                Request::new(*op, values)
            }
            Op::Delete { path, version } => versioned(OpCode::Delete, path, version),
            Op::Check { path, version } => versioned(OpCode::Check, path, version),
            Op::Set { path, data, version } => {
                let values = vec![text(path), Value::Bytes(data.clone()), Value::Int(*version)];
                Request::new(OpCode::SetData, values)
            }
            Op::SetAcl { path, acl, version } => {
                let values = vec![text(path), acl_value(*acl), Value::Int(*version)];
                Request::new(OpCode::SetAcl, values)
            }
            Op::Multi(ops) => {
                let ops = ops.iter().map(Op::request).collect();
                Request::new(OpCode::Multi, vec![Value::Operations(ops)])
            }
            Op::Draw => {
                let path = Value::Text(format!("{SHARED}/n-"));
                let values = vec![path, Value::Bytes(Vec::new()), acl_value(0), Value::Int(2)];
                Request::new(OpCode::Create, values)
            }
            Op::Return(name) => versioned(OpCode::Delete, &format!("{SHARED}/{name}"), &-1),
            Op::Close => Request::new(OpCode::CloseSession, Vec::new()),
        }
    }
}

impl Outcome {
    /// Holds a reply against it.
    ///
    /// # Errors
    /// If the reply says something else.
    pub(super) fn judge(&self, header: ReplyHeader, body: &[u8]) -> Result<()> {
        let expected = if let Outcome::Failed(err) = self { *err } else { 0 };
        ensure!(header.err == expected, "err={}, not {expected}", header.err);
        match self {
            Outcome::Failed(_) | Outcome::Done | Outcome::Drawn => {}
            Outcome::Created(path) => {
                let created = Reader::new(body).string()?.context("no path")?;
                ensure!(created == *path, "created {created}, not {path}");
            }
            Outcome::Multi(errors) => {
                let found = multi_errors(body, errors.len())?;
                ensure!(found == *errors, "a multi gave {found:?}, not {errors:?}");
            }
        }
        Ok(())
    }
}

/// The errors in a multi's reply; zeros if it succeeded.
fn multi_errors(body: &[u8], count: usize) -> Result<Vec<i32>> {
    let mut reader = Reader::new(body);
    let first = MultiHeader::decode(&mut reader)?;
    if first.op != OpCode::Error.number() {
        return Ok(vec![0; count]);
    }
    let mut errors = vec![reader.int()?];
    loop {
        let header = MultiHeader::decode(&mut reader)?;
        if header.done {
            return Ok(errors);
        }
        errors.push(reader.int()?);
    }
}
