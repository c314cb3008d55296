//! What servers answer, read into owned values; data stays a slice of its frame.

use crate::{Chroot, Error};
use bytes::Bytes;
use jute::{Decode, Reader};
use wire::{Acl, Acls, ErrorCode, Id, MultiHeader, OpCode, Stat, Strings};

/// The answer to a request that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is done.
    Done,
    /// A path: of sync.
    Path(String),
    /// The created node's path and stat.
    Created(String, Stat),
    /// A stat.
    Stat(Stat),
    /// The stat, if there is a node.
    Exists(Option<Stat>),
    /// Data, which may be null, and stat.
    Data(Option<Bytes>, Stat),
    /// Names of children, in no order.
    Children(Vec<String>),
    /// Names of children, in no order, and the parent's stat.
    ChildrenWithStat(Vec<String>, Stat),
    /// An access list and the node's stat.
    Acl(Vec<Acl>, Stat),
    /// A result for every operation.
    Multi(Vec<OpResult>),
    /// A result for every read.
    MultiRead(Vec<Result<ReadResult, Error>>),
    /// Paths: of ephemeral nodes.
    Paths(Vec<String>),
    /// A count of nodes.
    Count(i32),
    /// Identities; the id is the user's name.
    Identities(Vec<Id>),
}

/// What one operation of a multi did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpResult {
    /// It created a node with that path and stat.
    Created(String, Stat),
    /// It deleted a node.
    Deleted,
    /// It set data; this is the new stat.
    Set(Stat),
    /// The version was right.
    Checked,
}

/// What one read of a multi-read saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadResult {
    /// Data, which may be null, and stat.
    Data(Option<Bytes>, Stat),
    /// Names of children, in no order.
    Children(Vec<String>),
}

/// Which record answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    Nothing,
    Path,
    Created,
    Stat,
    Exists,
    Data,
    Children,
    ChildrenWithStat,
    Acl,
    Multi,
    MultiRead,
    Paths,
    Count,
    Identities,
}

/// Stat is 68 bytes and each of the others has a length at least.
const STRING_SIZE_MIN: usize = 4;

impl Expect {
    /// The outcome that a reply with error number `err` and its body in `frame` from `at` on means.
    ///
    /// # Errors
    /// The refusal, or [`Error::BadReply`].
    pub(crate) fn outcome(
        self,
        chroot: &Chroot,
        err: i32,
        frame: &Bytes,
        at: usize,
    ) -> Result<Reply, Error> {
        if err == ErrorCode::NoNode.number() && self == Expect::Exists {
            return Ok(Reply::Exists(None));
        }
        if err != 0 {
            return Err(Error::of_code(err));
        }
        let mut body = Body { frame, chroot, r: Reader::new(&frame[at..]) };
        match self.read(&mut body) {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::BadReply),
        }
    }

    fn read(self, body: &mut Body<'_>) -> Result<Result<Reply, Error>, jute::Error> {
        Ok(Ok(match self {
            Expect::Nothing => Reply::Done,
            Expect::Path => Reply::Path(body.path()?),
            Expect::Created => Reply::Created(body.path()?, body.stat()?),
            Expect::Stat => Reply::Stat(body.stat()?),
            Expect::Exists => Reply::Exists(Some(body.stat()?)),
            Expect::Data => Reply::Data(body.data()?, body.stat()?),
            Expect::Children => Reply::Children(body.names()?),
            Expect::ChildrenWithStat => Reply::ChildrenWithStat(body.names()?, body.stat()?),
            Expect::Acl => {
                let acl = Acls::decode(&mut body.r)?.map(|acl| acl.to_vec()).unwrap_or_default();
                Reply::Acl(acl, body.stat()?)
            }
            Expect::Multi => return body.multi(),
            Expect::MultiRead => Reply::MultiRead(body.multi_read()?),
            Expect::Paths => Reply::Paths(
                body.names()?.iter().map(|path| body.chroot.strip(path).to_owned()).collect(),
            ),
            Expect::Count => Reply::Count(body.r.int()?),
            Expect::Identities => Reply::Identities(body.identities()?),
        }))
    }
}

struct Body<'a> {
    frame: &'a Bytes,
    chroot: &'a Chroot,
    r: Reader<'a>,
}

impl Body<'_> {
    fn path(&mut self) -> Result<String, jute::Error> {
        let path = self.r.string()?.unwrap_or_default();
        Ok(self.chroot.strip(&path).to_owned())
    }

    fn stat(&mut self) -> Result<Stat, jute::Error> {
        Stat::decode(&mut self.r)
    }

    fn data(&mut self) -> Result<Option<Bytes>, jute::Error> {
        Ok(self.r.buffer()?.map(|data| self.frame.slice_ref(data)))
    }

    fn names(&mut self) -> Result<Vec<String>, jute::Error> {
        let names = Strings::decode(&mut self.r)?.unwrap_or_default();
        Ok(names.iter().map(|name| name.into_owned()).collect())
    }

    fn identities(&mut self) -> Result<Vec<Id>, jute::Error> {
        let count = self.r.count(2 * STRING_SIZE_MIN)?.unwrap_or(0);
        (0..count)
            .map(|_| {
                let scheme = self.r.string()?.unwrap_or_default().into_owned();
                Ok(Id { scheme, id: self.r.string()?.unwrap_or_default().into_owned() })
            })
            .collect()
    }

    /// All results, or the refusal of the one operation that failed: those before it carry 0 and
    /// those after it a code of their own.
    fn multi(&mut self) -> Result<Result<Reply, Error>, jute::Error> {
        let mut results = Vec::new();
        let mut refused = None;
        for index in 0.. {
            let header = MultiHeader::decode(&mut self.r)?;
            if header.done {
                break;
            }
            match OpCode::from_number(header.op) {
                Some(OpCode::Error) => {
                    let code = self.r.int()?;
                    if code != 0 && refused.is_none() {
                        refused = Some(Error::MultiRefused { index, code });
                    }
                }
                Some(OpCode::Create) => {
                    results.push(OpResult::Created(self.path()?, Stat::default()));
                }
                Some(OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl) => {
                    results.push(OpResult::Created(self.path()?, self.stat()?));
                }
                Some(OpCode::Delete) => results.push(OpResult::Deleted),
                Some(OpCode::SetData) => results.push(OpResult::Set(self.stat()?)),
                Some(OpCode::Check) => results.push(OpResult::Checked),
                Some(_) | None => return Err(jute::Error::BadValue(header.op)),
            }
        }
        Ok(refused.map_or(Ok(Reply::Multi(results)), Err))
    }

    fn multi_read(&mut self) -> Result<Vec<Result<ReadResult, Error>>, jute::Error> {
        let mut results = Vec::new();
        loop {
            let header = MultiHeader::decode(&mut self.r)?;
            if header.done {
                return Ok(results);
            }
            results.push(match OpCode::from_number(header.op) {
                Some(OpCode::Error) => Err(Error::of_code(self.r.int()?)),
                Some(OpCode::GetData) => Ok(ReadResult::Data(self.data()?, self.stat()?)),
                Some(OpCode::GetChildren) => Ok(ReadResult::Children(self.names()?)),
                Some(_) | None => return Err(jute::Error::BadValue(header.op)),
            });
        }
    }
}
