//! Properties of every record: what is encoded reads back, a record that is cut anywhere is
//! refused, and what follows a record is left alone.

use crate::*;
use jute::{Decode, Encode, Reader, Writer, put_buffer, put_int};
use proptest::collection::vec;
use proptest::prelude::*;

/// Reads `$bytes` whole, with bytes behind them, and cut at every place.
macro_rules! reads_back {
    ($bytes:expr, $decode:path, $expected:expr) => {{
        let (bytes, expected) = (&$bytes[..], $expected);
        let long = [bytes, BEHIND].concat();
        let mut reader = Reader::new(&long);
        prop_assert_eq!($decode(&mut reader), Ok(expected));
        prop_assert_eq!(reader.rest(), BEHIND);
        for end in 0..bytes.len() {
            let cut = $decode(&mut Reader::new(&bytes[..end]));
            prop_assert!(cut.is_err(), "{:?} of {} bytes, cut at {}", cut, bytes.len(), end);
        }
    }};
}

const BEHIND: &[u8] = &[0xff, 0, 0x7f];

fn bytes_of(value: &impl Encode) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    bytes
}

fn written(write: impl FnOnce(Writer<'_>) -> Writer<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(Writer::new(&mut bytes));
    bytes
}

fn path() -> impl Strategy<Value = String> {
    prop_oneof!["(/[a-z.é]{1,3}){1,3}", any::<String>()]
}

fn data() -> impl Strategy<Value = Option<Vec<u8>>> {
    proptest::option::of(vec(any::<u8>(), 0..20))
}

fn acl() -> impl Strategy<Value = Acl> {
    (any::<i32>(), "[a-z]{0,6}", any::<String>())
        .prop_map(|(perms, scheme, id)| Acl { perms, id: Id::new(scheme, id) })
}

/// An access list as it is encoded.
fn list() -> impl Strategy<Value = Vec<u8>> {
    vec(acl(), 0..4).prop_map(|list| written(|w| w.vector(&list)))
}

fn acls(bytes: &[u8]) -> Acls<'_> {
    Acls::decode(&mut Reader::new(bytes)).unwrap().unwrap()
}

/// A vector of paths as it is encoded.
fn paths() -> impl Strategy<Value = Vec<u8>> {
    vec(path(), 0..4).prop_map(|paths| {
        let mut bytes = Vec::new();
        Txn::encode_paths(&mut bytes, &paths);
        bytes
    })
}

fn strings(bytes: &[u8]) -> Strings<'_> {
    Strings::decode(&mut Reader::new(bytes)).unwrap().unwrap()
}

fn stat() -> impl Strategy<Value = Stat> {
    let (longs, ints) = (any::<[i64; 6]>(), any::<[i32; 5]>());
    (longs, ints).prop_map(|([czxid, mzxid, ctime, mtime, ephemeral_owner, pzxid], ints)| {
        let [version, cversion, aversion, data_length, num_children] = ints;
        Stat {
            czxid,
            mzxid,
            ctime,
            mtime,
            version,
            cversion,
            aversion,
            ephemeral_owner,
            data_length,
            num_children,
            pzxid,
        }
    })
}

proptest! {
    #[test]
    fn headers(xid: i32, op: i32, zxid: i64, err: i32, done: bool) {
        let request = RequestHeader { xid, op };
        reads_back!(bytes_of(&request), RequestHeader::decode, request);
        let reply = ReplyHeader { xid, zxid, err };
        prop_assert_eq!(bytes_of(&reply).len(), REPLY_HEADER_SIZE);
        reads_back!(bytes_of(&reply), ReplyHeader::decode, reply);
        let multi = MultiHeader { op, done, err };
        reads_back!(bytes_of(&multi), MultiHeader::decode, multi);
        let file = SnapshotHeader { magic: xid, version: op, dbid: zxid };
        prop_assert_eq!(bytes_of(&file).len(), SnapshotHeader::SIZE);
        reads_back!(bytes_of(&file), SnapshotHeader::decode, file);
        let txn = TxnHeader { client_id: zxid, cxid: xid, zxid: !zxid, time: 3, op };
        let bytes = bytes_of(&txn);
        prop_assert_eq!(bytes.len(), TxnHeader::SIZE);
        prop_assert_eq!(&bytes[TxnHeader::OP_OFFSET..], op.to_be_bytes());
        reads_back!(bytes, TxnHeader::decode, txn);
        let digest = TxnDigest { version: op, tree: zxid as u64 };
        reads_back!(bytes_of(&digest), TxnDigest::decode, digest);
    }

    #[test]
    fn stats(stat in stat()) {
        reads_back!(bytes_of(&stat), Stat::decode, stat);
        let Stat { czxid, mzxid, ctime, mtime, version, cversion, aversion, .. } = stat;
        let Stat { ephemeral_owner, pzxid, .. } = stat;
        let stored = StatPersisted {
            czxid, mzxid, ctime, mtime, version, cversion, aversion, ephemeral_owner, pzxid,
        };
        reads_back!(bytes_of(&stored), StatPersisted::decode, stored);
    }

    #[test]
    fn handshakes(
        protocol_version: i32,
        last_zxid_seen: i64,
        timeout_ms: i32,
        session_id: i64,
        password in vec(any::<u8>(), 0..20),
        own_password: [u8; PASSWORD_SIZE],
        read_only: bool,
    ) {
        let mut request = ConnectRequest {
            protocol_version,
            last_zxid_seen,
            timeout_ms,
            session_id,
            password: &password,
            read_only: None,
        };
        // The last field may be left out: bytes behind the old form are taken for it.
        let old = bytes_of(&request);
        prop_assert_eq!(ConnectRequest::decode(&mut Reader::new(&old)), Ok(request.clone()));
        for end in 0..old.len() {
            prop_assert!(ConnectRequest::decode(&mut Reader::new(&old[..end])).is_err());
        }
        request.read_only = Some(read_only);
        let new = [bytes_of(&request), BEHIND.to_vec()].concat();
        prop_assert_eq!(ConnectRequest::decode(&mut Reader::new(&new)), Ok(request));

        let mut response =
            ConnectResponse { timeout_ms, session_id, password: own_password, read_only: None };
        let old = bytes_of(&response);
        prop_assert_eq!(ConnectResponse::decode(&mut Reader::new(&old)), Ok(response.clone()));
        for end in 0..old.len() {
            prop_assert!(ConnectResponse::decode(&mut Reader::new(&old[..end])).is_err());
        }
        response.read_only = Some(read_only);
        let new = [bytes_of(&response), BEHIND.to_vec()].concat();
        prop_assert_eq!(ConnectResponse::decode(&mut Reader::new(&new)), Ok(response));
    }

    #[test]
    fn access_lists(list in vec(acl(), 0..4)) {
        let bytes = written(|w| w.vector(&list));
        let acls = acls(&bytes);
        prop_assert_eq!(acls.to_vec(), list);
        prop_assert_eq!(bytes_of(&acls), &bytes[..]);
        reads_back!(bytes, Acls::decode, Some(acls));
        reads_back!([0xff; 4], Acls::decode, None::<Acls<'_>>);
    }

    #[test]
    fn creates_and_other_writes(
        path in path(),
        data in data(),
        list in list(),
        flags: i32,
        ttl_ms: i64,
        version: i32,
        has_list: bool,
    ) {
        let data = data.as_deref();
        let acl = has_list.then(|| acls(&list));
        let create = CreateRequest { path: path.as_str().into(), data, acl, flags, ttl_ms: -1 };
        let mut bytes = Vec::new();
        create.encode(&mut bytes);
        reads_back!(bytes, CreateRequest::decode, create.clone());
        let create = CreateRequest { ttl_ms, ..create };
        let mut bytes = Vec::new();
        create.encode_ttl(&mut bytes);
        reads_back!(bytes, CreateRequest::decode_ttl, create.clone());
        let delete = DeleteRequest { path: path.as_str().into(), version };
        reads_back!(bytes_of(&delete), DeleteRequest::decode, delete);
        let set = SetDataRequest { path: path.as_str().into(), data, version };
        reads_back!(bytes_of(&set), SetDataRequest::decode, set);
        let mut bytes = written(|w| w.string(&path));
        match &acl {
            Some(acl) => acl.encode(&mut bytes),
            None => put_int(&mut bytes, -1),
        }
        put_int(&mut bytes, version);
        let set = SetAclRequest { path: path.as_str().into(), acl, version };
        reads_back!(bytes, SetAclRequest::decode, set);
    }

    #[test]
    fn reads_and_watches(path in path(), watch: bool, number: i32, auth in data()) {
        let read = PathWatchRequest { path: path.as_str().into(), watch };
        reads_back!(bytes_of(&read), PathWatchRequest::decode, read);
        let bytes = written(|w| w.string(&path));
        let request = PathRequest { path: Some(path.as_str().into()) };
        reads_back!(bytes, PathRequest::decode, request);
        reads_back!([0xff; 4], PathRequest::decode, PathRequest { path: None });
        let bytes = written(|w| w.string(&path).int(number));
        let check = CheckWatchesRequest { path: path.as_str().into(), watcher_type: number };
        reads_back!(bytes, CheckWatchesRequest::decode, check);
        let add = AddWatchRequest { path: path.as_str().into(), mode: number };
        reads_back!(bytes, AddWatchRequest::decode, add);
        let auth = auth.as_deref();
        let bytes = written(|w| w.int(number).string(&path).buffer(auth));
        let packet = AuthPacket { auth_type: number, scheme: Some(path.as_str().into()), auth };
        reads_back!(bytes, AuthPacket::decode, packet);
        let bytes = written(|w| w.buffer(None).string(&path).buffer(None).long(7));
        let (joining, members) = (None, None);
        let leaving = Some(path.as_str().into());
        let reconfig = ReconfigRequest { joining, leaving, members, config_id: 7 };
        reads_back!(bytes, ReconfigRequest::decode, reconfig);
    }

    #[test]
    fn watches_that_are_set_again(zxid: i64, lists in prop::array::uniform5(paths())) {
        let [data, exist, child, persistent, persistent_recursive] =
            lists.each_ref().map(|list| strings(list));
        let head = [&zxid.to_be_bytes()[..], &lists[0], &lists[1], &lists[2]].concat();
        let request = SetWatchesRequest {
            relative_zxid: zxid, data, exist, child, ..SetWatchesRequest::default()
        };
        reads_back!(head, SetWatchesRequest::decode, request.clone());
        let bytes = [&head[..], &lists[3], &lists[4]].concat();
        let request = SetWatchesRequest { persistent, persistent_recursive, ..request };
        reads_back!(bytes, SetWatchesRequest::decode2, request);
    }

    #[test]
    fn string_vectors(paths in vec(path(), 0..5)) {
        let mut bytes = Vec::new();
        Txn::encode_paths(&mut bytes, &paths);
        let strings = strings(&bytes);
        prop_assert!(strings.iter().eq(paths.iter().map(String::as_str)));
        prop_assert_eq!(strings.len(), paths.len());
        prop_assert_eq!(bytes_of(&strings), &bytes[..]);
        reads_back!(bytes, Strings::decode, Some(strings));
    }

    #[test]
    fn events(zxid: i64, path in path()) {
        let mut bytes = Vec::new();
        encode_event(&mut bytes, zxid, EventType::NodeDeleted, &path);
        let mut r = Reader::new(&bytes);
        let header = ReplyHeader { xid: xid::NOTIFICATION, zxid, err: 0 };
        prop_assert_eq!(ReplyHeader::decode(&mut r), Ok(header));
        prop_assert_eq!((r.int(), r.int()), (Ok(2), Ok(3)));
        prop_assert_eq!(r.string().unwrap().unwrap(), path);
        prop_assert!(r.is_empty());
    }

    #[test]
    fn any_bytes_are_a_transaction_or_none(bytes in vec(any::<u8>(), 0..60), op in -12..23) {
        let mut record = vec![0; TxnHeader::OP_OFFSET];
        put_int(&mut record, op);
        record.extend_from_slice(&bytes);
        if let Ok(read) = TxnRecord::decode(&record) {
            let again = bytes_of(&read);
            prop_assert_eq!(TxnRecord::decode(&again), Ok(read));
        }
    }
}

/// What a transaction is made of.
#[derive(Clone, Debug)]
struct Parts {
    path: String,
    data: Option<Vec<u8>>,
    list: Vec<u8>,
    paths: Vec<u8>,
    number: i32,
    ttl_ms: i64,
    flag: bool,
}

prop_compose! {
    fn parts()(
        path in path(), data in data(), list in list(), paths in paths(),
        number: i32, ttl_ms: i64, flag: bool,
    ) -> Parts {
        Parts { path, data, list, paths, number, ttl_ms, flag }
    }
}

impl Parts {
    fn create(&self, kind: CreateKind) -> Txn<'_> {
        let ephemeral = self.flag && matches!(kind, CreateKind::Create | CreateKind::Create2);
        Txn::Create(CreateTxn {
            kind,
            path: self.path.as_str().into(),
            data: self.data.as_deref(),
            acl: acls(&self.list),
            ephemeral,
            parent_cversion: self.number,
        })
    }

    /// Every transaction that may be part of a multi.
    fn simple(&self) -> Vec<Txn<'_>> {
        let path = || self.path.as_str().into();
        let version = self.number;
        vec![
            self.create(CreateKind::Create),
            self.create(CreateKind::Create2),
            self.create(CreateKind::Container),
            self.create(CreateKind::Ttl(self.ttl_ms)),
            Txn::Delete { path: path(), by_reaper: self.flag },
            Txn::SetData { path: path(), data: self.data.as_deref(), version, reconfig: self.flag },
            Txn::SetAcl { path: path(), acl: acls(&self.list), version },
            Txn::Check { path: path(), version },
            Txn::CreateSession { timeout_ms: version },
            Txn::CloseSession { paths: Some(strings(&self.paths)) },
            Txn::Error(version),
        ]
    }
}

/// Whether the first `end` bytes of a body are one as well: a create of the old form, or a session's
/// end of the old form, alone or with 12 bytes behind it that open as a digest does.
fn is_older_form(txn: &Txn<'_>, body: &[u8], end: usize) -> bool {
    if let Txn::CloseSession { .. } = txn {
        return end == 0 || (end == 12 && body[..4] == [0, 0, 0, 2]);
    }
    matches!(txn.op(), OpCode::Create | OpCode::Create2) && body.len() - end == 4
}

proptest! {
    #[test]
    fn transactions(parts in parts(), tree: u64) {
        let mut multi = written(|w| w.int(parts.simple().len() as i32));
        parts.simple().iter().for_each(|txn| txn.encode_in_multi(&mut multi));
        let multi = Txn::decode_body(OpCode::Multi.number(), &mut Reader::new(&multi)).unwrap();
        let Txn::Multi(inside) = &multi else { panic!("a multi is read as one") };
        prop_assert!(inside.iter().map(|(_, txn)| txn).eq(parts.simple()));
        prop_assert!(inside.has_failed());

        let old_close = Txn::CloseSession { paths: None };
        let digest = Some(TxnDigest { version: TxnDigest::VERSION, tree });
        for txn in parts.simple().into_iter().chain([multi.clone(), old_close]) {
            let op = txn.op().number();
            for digest in [None, digest] {
                let header = TxnHeader { client_id: 1, cxid: 2, zxid: 3, time: 4, op };
                let record = TxnRecord { header, txn: txn.clone(), digest };
                let bytes = bytes_of(&record);
                prop_assert_eq!(TxnRecord::decode(&bytes), Ok(record));
            }
            let mut body = Vec::new();
            txn.encode_body(&mut body);
            for end in 0..body.len() {
                let cut = Txn::decode_body(op, &mut Reader::new(&body[..end]));
                let is_old = is_older_form(&txn, &body, end);
                prop_assert_eq!(cut.is_ok(), is_old, "{:?} cut at {}", txn, end);
            }
        }
    }

    #[test]
    fn a_damaged_multi_is_refused_whole(parts in parts(), length in -4..4_i32) {
        let mut bytes = written(|w| w.int(2));
        parts.create(CreateKind::Create).encode_in_multi(&mut bytes);
        put_int(&mut bytes, OpCode::Check.number());
        put_buffer(&mut bytes, Some(&length.to_be_bytes()));
        let op = OpCode::Multi.number();
        prop_assert!(Txn::decode_body(op, &mut Reader::new(&bytes)).is_err());
    }
}
