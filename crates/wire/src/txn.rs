//! Transactions: what a log keeps, what a leader proposes, what every replica applies.
//!
//! A log record's payload is a header, a body by the header's type, and a digest where the
//! proposer computes digests. Everything in a body is final: names are numbered, access lists are
//! expanded, versions are computed.

use crate::{Acls, ErrorCode, OpCode, Strings};
use jute::{Decode, Encode, Error, Reader, Writer, put_buffer, put_int, put_long, put_string};
use std::borrow::Cow;

/// Opens every transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxnHeader {
    /// The session; 0 for the server's own.
    pub client_id: i64,
    /// The request's xid; 0 for the server's own.
    pub cxid: i32,
    /// The place in the total order.
    pub zxid: i64,
    /// The proposer's wall time in ms.
    pub time: i64,
    /// The operation's number, or -1 for an error.
    pub op: i32,
}

impl TxnHeader {
    /// Size in bytes.
    pub const SIZE: usize = 32;
    /// Where [`TxnHeader::op`] stands in it.
    pub const OP_OFFSET: usize = 28;
}

impl Encode for TxnHeader {
    fn encode(&self, out: &mut Vec<u8>) {
        Writer::new(out)
            .long(self.client_id)
            .int(self.cxid)
            .long(self.zxid)
            .long(self.time)
            .int(self.op);
    }
}

impl<'a> Decode<'a> for TxnHeader {
    fn decode(r: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(TxnHeader {
            client_id: r.long()?,
            cxid: r.int()?,
            zxid: r.long()?,
            time: r.long()?,
            op: r.int()?,
        })
    }
}

/// The digest of the tree after a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxnDigest {
    /// How it is computed; 2.
    pub version: i32,
    /// The sum over all nodes.
    pub tree: u64,
}

impl TxnDigest {
    /// The way of computing that this implementation knows.
    pub const VERSION: i32 = 2;
}

impl Encode for TxnDigest {
    fn encode(&self, out: &mut Vec<u8>) {
        put_int(out, self.version);
        put_long(out, self.tree as i64);
    }
}

impl<'a> Decode<'a> for TxnDigest {
    fn decode(r: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(TxnDigest { version: r.int()?, tree: r.long()? as u64 })
    }
}

/// Which create record it is: the type is taken from the request's operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateKind {
    /// A plain or ephemeral node.
    Create,
    /// The same, asked for by create2.
    Create2,
    /// A container.
    Container,
    /// A node that expires after that many ms.
    Ttl(i64),
}

/// A node comes into being.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateTxn<'a> {
    /// Which record.
    pub kind: CreateKind,
    /// The node's final path.
    pub path: Cow<'a, str>,
    /// Its data.
    pub data: Option<&'a [u8]>,
    /// Its access list; null counts as empty.
    pub acl: Acls<'a>,
    /// Whether it lives with the header's session.
    pub ephemeral: bool,
    /// The parent's persisted cversion after this; -1 for "one more than it has".
    pub parent_cversion: i32,
}

/// What a transaction does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Txn<'a> {
    /// Creates a node.
    Create(CreateTxn<'a>),
    /// Deletes a node.
    Delete {
        /// The node.
        path: Cow<'a, str>,
        /// Whether the server does it of its own accord (type 20 in place of 2).
        by_reaper: bool,
    },
    /// Replaces a node's data.
    SetData {
        /// The node.
        path: Cow<'a, str>,
        /// The new data.
        data: Option<&'a [u8]>,
        /// The new version.
        version: i32,
        /// Whether it is a new ensemble configuration (type 16 in place of 5).
        reconfig: bool,
    },
    /// Replaces a node's access list.
    SetAcl {
        /// The node.
        path: Cow<'a, str>,
        /// The new list.
        acl: Acls<'a>,
        /// The list's new version.
        version: i32,
    },
    /// Checks a version; only inside a multi.
    Check {
        /// The node.
        path: Cow<'a, str>,
        /// The version.
        version: i32,
    },
    /// Opens the header's session.
    CreateSession {
        /// The negotiated time-out in ms.
        timeout_ms: i32,
    },
    /// Ends the header's session.
    CloseSession {
        /// Its ephemeral nodes, in the order in which they go; `None` in the old form.
        paths: Option<Strings<'a>>,
    },
    /// A write that failed.
    Error(i32),
    /// Several of them at once.
    Multi(MultiTxn<'a>),
}

/// The sub-transactions of a multi, in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MultiTxn<'a> {
    count: usize,
    bytes: &'a [u8],
    has_failed: bool,
}

impl<'a> MultiTxn<'a> {
    fn decode(r: &mut Reader<'a>) -> Result<Self, Error> {
        let count = r.count(8)?.unwrap_or(0);
        let start = r.rest();
        let mut has_failed = false;
        for _ in 0..count {
            let op = r.int()?;
            skim(op, r.buffer()?.unwrap_or_default())?;
            has_failed |= op == OpCode::Error.number();
        }
        Ok(MultiTxn { count, bytes: &start[..start.len() - r.rest().len()], has_failed })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The sub-transactions with their types' numbers.
    pub fn iter(&self) -> impl Iterator<Item = (i32, Txn<'a>)> + use<'a> {
        self.parts().map(|(op, body)| {
            let mut r = Reader::new(body);
            let txn = match op {
                SET_DATA => decode_set_data(&mut r, false), // what multis mostly hold
                _ => Txn::decode_body(op, &mut r),
            };
            (op, txn.expect("checked when read"))
        })
    }

    /// The types' numbers and the bodies, not taken apart.
    pub fn parts(&self) -> impl Iterator<Item = (i32, &'a [u8])> + use<'a> {
        let mut r = Reader::new(self.bytes);
        (0..self.count).map(move |_| {
            let op = r.int().expect("checked when read");
            (op, r.buffer().expect("checked when read").unwrap_or_default())
        })
    }

    /// Whether any of them is an error: then none takes effect.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.has_failed
    }
}

impl<'a> Txn<'a> {
    /// Reads the body of a transaction of type `op`. A digest may follow it.
    ///
    /// # Errors
    /// If the type is none that logs hold, or the bytes are no such record.
    pub fn decode_body(op: i32, r: &mut Reader<'a>) -> Result<Txn<'a>, Error> {
        let Some(code) = OpCode::from_number(op) else { return Err(Error::BadValue(op)) };
        Ok(match code {
            OpCode::Create => Txn::Create(decode_create(CreateKind::Create, r)?),
            OpCode::Create2 => Txn::Create(decode_create(CreateKind::Create2, r)?),
            OpCode::CreateContainer => Txn::Create(decode_create(CreateKind::Container, r)?),
            OpCode::CreateTtl => Txn::Create(decode_create(CreateKind::Ttl(0), r)?),
            OpCode::Delete => Txn::Delete { path: path(r)?, by_reaper: false },
            OpCode::DeleteContainer => Txn::Delete { path: path(r)?, by_reaper: true },
            OpCode::SetData => decode_set_data(r, false)?,
            OpCode::Reconfig => decode_set_data(r, true)?,
            OpCode::SetAcl => Txn::SetAcl { path: path(r)?, acl: acls(r)?, version: r.int()? },
            OpCode::Check => Txn::Check { path: path(r)?, version: r.int()? },
            OpCode::CreateSession => Txn::CreateSession { timeout_ms: r.int()? },
            OpCode::CloseSession => Txn::CloseSession { paths: decode_close_session(r)? },
            OpCode::Error => Txn::Error(r.int()?),
            OpCode::Multi => Txn::Multi(MultiTxn::decode(r)?),
            OpCode::Exists
            | OpCode::GetData
            | OpCode::GetAcl
            | OpCode::GetChildren
            | OpCode::Sync
            | OpCode::Ping
            | OpCode::GetChildren2
            | OpCode::CheckWatches
            | OpCode::RemoveWatches
            | OpCode::MultiRead
            | OpCode::Auth
            | OpCode::SetWatches
            | OpCode::Sasl
            | OpCode::GetEphemerals
            | OpCode::GetAllChildrenNumber
            | OpCode::SetWatches2
            | OpCode::AddWatch
            | OpCode::WhoAmI => return Err(Error::BadValue(op)),
        })
    }

    /// Appends the body.
    pub fn encode_body(&self, out: &mut Vec<u8>) {
        match self {
            Txn::Create(create) => create.encode(out),
            Txn::Delete { path, .. } => put_string(out, path),
            Txn::SetData { path, data, version, .. } => {
                Writer::new(out).string(path).buffer(*data).int(*version);
            }
            Txn::SetAcl { path, acl, version } => {
                Writer::new(out).string(path).record(acl).int(*version);
            }
            Txn::Check { path, version } => {
                Writer::new(out).string(path).int(*version);
            }
            Txn::CreateSession { timeout_ms } => put_int(out, *timeout_ms),
            Txn::CloseSession { paths: Some(paths) } => paths.encode(out),
            Txn::CloseSession { paths: None } => {}
            Txn::Error(err) => put_int(out, *err),
            Txn::Multi(multi) => {
                put_int(out, i32::try_from(multi.count).expect("counts are bounded by frames"));
                out.extend_from_slice(multi.bytes);
            }
        }
    }

    /// The type that the header of such a transaction carries.
    #[must_use]
    pub fn op(&self) -> OpCode {
        match self {
            Txn::Create(create) => match create.kind {
                CreateKind::Create => OpCode::Create,
                CreateKind::Create2 => OpCode::Create2,
                CreateKind::Container => OpCode::CreateContainer,
                CreateKind::Ttl(_) => OpCode::CreateTtl,
            },
            Txn::Delete { by_reaper: false, .. } => OpCode::Delete,
            Txn::Delete { by_reaper: true, .. } => OpCode::DeleteContainer,
            Txn::SetData { reconfig: false, .. } => OpCode::SetData,
            Txn::SetData { reconfig: true, .. } => OpCode::Reconfig,
            Txn::SetAcl { .. } => OpCode::SetAcl,
            Txn::Check { .. } => OpCode::Check,
            Txn::CreateSession { .. } => OpCode::CreateSession,
            Txn::CloseSession { .. } => OpCode::CloseSession,
            Txn::Error(_) => OpCode::Error,
            Txn::Multi(_) => OpCode::Multi,
        }
    }

    /// Appends this as an element of a multi: type, and the body as a buffer.
    pub fn encode_in_multi(&self, out: &mut Vec<u8>) {
        let [op_0, op_1, op_2, op_3] = self.op().number().to_be_bytes();
        out.extend_from_slice(&[op_0, op_1, op_2, op_3, 0, 0, 0, 0]);
        let body_at = out.len();
        self.encode_body(out);
        let length = i32::try_from(out.len() - body_at).expect("bounded by frames");
        out[body_at - 4..body_at].copy_from_slice(&length.to_be_bytes());
    }

    /// An error's transaction.
    #[must_use]
    pub fn error(code: ErrorCode) -> Txn<'static> {
        Txn::Error(code.number())
    }
}

const SET_DATA: i32 = OpCode::SetData.number();

/// Whether the body of a multi's part can be read.
fn skim(op: i32, body: &[u8]) -> Result<(), Error> {
    let mut r = Reader::skimming(body);
    match OpCode::from_number(op) {
        Some(OpCode::Multi) => Err(Error::BadValue(op)), // no multi holds another
        // What multis mostly hold: a path, data, a version.
        Some(OpCode::SetData) => {
            r.buffer()?.ok_or(Error::BadLength(-1))?;
            r.buffer()?;
            r.int().map(drop)
        }
        _ => Txn::decode_body(op, &mut r).map(drop),
    }
}

fn path<'a>(r: &mut Reader<'a>) -> Result<Cow<'a, str>, Error> {
    r.string()?.ok_or(Error::BadLength(-1))
}

fn acls<'a>(r: &mut Reader<'a>) -> Result<Acls<'a>, Error> {
    const NO_ENTRIES: &[u8] = &[0, 0, 0, 0];
    match Acls::decode(r)? {
        Some(acls) => Ok(acls),
        None => Ok(Acls::decode(&mut Reader::new(NO_ENTRIES))?.expect("an empty list is not null")),
    }
}

fn decode_create<'a>(kind: CreateKind, r: &mut Reader<'a>) -> Result<CreateTxn<'a>, Error> {
    let (path, data, acl) = (path(r)?, r.buffer()?, acls(r)?);
    let mut create = CreateTxn { kind, path, data, acl, ephemeral: false, parent_cversion: -1 };
    match kind {
        CreateKind::Create | CreateKind::Create2 => {
            create.ephemeral = r.bool()?;
            // The old record ends here. A digest (12 bytes) cannot follow it: it is newer.
            if !r.is_empty() {
                create.parent_cversion = r.int()?;
            }
        }
        CreateKind::Container => create.parent_cversion = r.int()?,
        CreateKind::Ttl(_) => {
            create.parent_cversion = r.int()?;
            create.kind = CreateKind::Ttl(r.long()?);
        }
    }
    Ok(create)
}

#[inline]
fn decode_set_data<'a>(r: &mut Reader<'a>, reconfig: bool) -> Result<Txn<'a>, Error> {
    Ok(Txn::SetData { path: path(r)?, data: r.buffer()?, version: r.int()?, reconfig })
}

/// The old form has no body; what is left may then be nothing, or a digest of 12 bytes, whose
/// first four read as the count 2 and whose rest cannot hold two strings.
fn decode_close_session<'a>(r: &mut Reader<'a>) -> Result<Option<Strings<'a>>, Error> {
    if r.is_empty() || (r.rest().len() == DIGEST_SIZE && r.rest()[..4] == [0, 0, 0, 2]) {
        let mut probe = r.clone();
        match Strings::decode(&mut probe) {
            Ok(Some(paths)) if probe.is_empty() && !r.is_empty() => {
                *r = probe;
                return Ok(Some(paths));
            }
            _ => return Ok(None),
        }
    }
    Ok(Some(Strings::decode(r)?.unwrap_or_default()))
}

const DIGEST_SIZE: usize = 12;

impl Encode for CreateTxn<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        let w = Writer::new(out).string(&self.path).buffer(self.data).record(&self.acl);
        match self.kind {
            CreateKind::Create | CreateKind::Create2 => {
                w.bool(self.ephemeral).int(self.parent_cversion)
            }
            CreateKind::Container => w.int(self.parent_cversion),
            CreateKind::Ttl(ttl_ms) => w.int(self.parent_cversion).long(ttl_ms),
        };
    }
}

/// A whole log record's payload: header, body, digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnRecord<'a> {
    /// Who, when and where in the order.
    pub header: TxnHeader,
    /// What.
    pub txn: Txn<'a>,
    /// The tree's digest afterwards.
    pub digest: Option<TxnDigest>,
}

impl<'a> TxnRecord<'a> {
    /// Reads a payload.
    ///
    /// # Errors
    /// If the type is none that logs hold, or the bytes are no such record.
    pub fn decode(payload: &'a [u8]) -> Result<TxnRecord<'a>, Error> {
        let mut r = Reader::new(payload);
        let header = TxnHeader::decode(&mut r)?;
        let txn = Txn::decode_body(header.op, &mut r)?;
        let digest =
            if r.rest().len() >= DIGEST_SIZE { Some(TxnDigest::decode(&mut r)?) } else { None };
        Ok(TxnRecord { header, txn, digest })
    }
}

impl Encode for TxnRecord<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.header.encode(out);
        self.txn.encode_body(out);
        if let Some(digest) = &self.digest {
            digest.encode(out);
        }
    }
}

impl Txn<'_> {
    /// Appends the vector of `paths`, as [`Strings`] reads it.
    pub fn encode_paths<S: AsRef<str>>(out: &mut Vec<u8>, paths: &[S]) {
        put_int(out, i32::try_from(paths.len()).expect("counts are bounded by memory"));
        for path in paths {
            put_buffer(out, Some(path.as_ref().as_bytes()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CreateKind, CreateTxn, Txn, TxnDigest, TxnHeader, TxnRecord};
    use crate::Acls;
    use jute::{Encode, Reader};

    fn header(op: i32) -> TxnHeader {
        TxnHeader { client_id: 1, cxid: 2, zxid: 3, time: 4, op }
    }

    fn check(txn: Txn<'_>, digest: Option<TxnDigest>) {
        let record = TxnRecord { header: header(txn.op().number()), txn, digest };
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        assert_eq!(TxnRecord::decode(&bytes), Ok(record));
    }

    #[test]
    fn every_kind_reads_back_with_and_without_a_digest() {
        let digest = Some(TxnDigest { version: 2, tree: 0x51c6_d660 });
        let mut paths = Vec::new();
        Txn::encode_paths(&mut paths, &["/a", "/b"]);
        let paths = crate::Strings::decode(&mut Reader::new(&paths)).unwrap();
        for digest in [None, digest] {
            for kind in [
                CreateKind::Create,
                CreateKind::Create2,
                CreateKind::Container,
                CreateKind::Ttl(500),
            ] {
                let create = CreateTxn {
                    kind,
                    path: "/a".into(),
                    data: None,
                    acl: Acls::OPEN,
                    ephemeral: false,
                    parent_cversion: 9,
                };
                check(Txn::Create(create), digest);
            }
            check(Txn::Delete { path: "/a".into(), by_reaper: true }, digest);
            check(Txn::CreateSession { timeout_ms: 4000 }, digest);
            check(Txn::CloseSession { paths: None }, digest);
            check(Txn::CloseSession { paths: Some(crate::Strings::default()) }, digest);
            check(Txn::CloseSession { paths }, digest);
            check(Txn::Error(-101), digest);
        }
    }

    #[test]
    fn the_old_create_record_has_no_parent_cversion() {
        let create = CreateTxn {
            kind: CreateKind::Create,
            path: "/old".into(),
            data: Some(b"x"),
            acl: Acls::OPEN,
            ephemeral: true,
            parent_cversion: -1,
        };
        let record = TxnRecord { header: header(1), txn: Txn::Create(create), digest: None };
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        bytes.truncate(bytes.len() - 4);
        assert_eq!(TxnRecord::decode(&bytes), Ok(record));
    }

    #[test]
    fn a_multi_inside_a_multi_is_malformed() {
        let mut inner = Vec::new();
        jute::put_int(&mut inner, 1);
        jute::put_int(&mut inner, 14);
        jute::put_buffer(&mut inner, Some(&[0, 0, 0, 0]));
        assert!(Txn::decode_body(14, &mut Reader::new(&inner)).is_err());
    }
}
