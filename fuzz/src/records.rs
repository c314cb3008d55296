//! The records of client sockets: what decodes must encode to something that decodes the same.

use jute::{Decode, Encode, Error, Reader};
use wire::{
    AddWatchRequest, AuthPacket, CheckWatchesRequest, ConnectRequest, ConnectResponse,
    CreateRequest, DeleteRequest, MultiHeader, MultiIter, PathRequest, PathWatchRequest,
    ReconfigRequest, ReplyHeader, RequestHeader, SetAclRequest, SetDataRequest, SetWatchesRequest,
    Stat, StatPersisted, Strings,
};

/// Decodes, encodes and decodes again. A macro, since the two values borrow from different bytes.
macro_rules! round_trip {
    ($data:expr, $decode:path, $encode:path) => {
        if let Ok(value) = $decode(&mut Reader::new($data)) {
            let mut bytes = Vec::new();
            $encode(&value, &mut bytes);
            let mut again = Reader::new(&bytes);
            assert_eq!($decode(&mut again), Ok(value));
            assert!(again.is_empty());
        }
    };
}

/// Connect requests and their answers.
pub(crate) fn connect(data: &[u8]) {
    round_trip!(data, ConnectRequest::decode, ConnectRequest::encode);
    round_trip!(data, ConnectResponse::decode, ConnectResponse::encode);
}

/// Every request's body over the same bytes, by itself and with the header before it.
pub(crate) fn requests(data: &[u8]) {
    for data in [data, data.get(8..).unwrap_or_default()] {
        round_trip!(data, CreateRequest::decode, CreateRequest::encode);
        round_trip!(data, CreateRequest::decode_ttl, CreateRequest::encode_ttl);
        round_trip!(data, DeleteRequest::decode, DeleteRequest::encode);
        round_trip!(data, SetDataRequest::decode, SetDataRequest::encode);
        round_trip!(data, PathWatchRequest::decode, PathWatchRequest::encode);
        if let Some(request) = read(data, SetAclRequest::decode)
            && let Some(acls) = request.acl
        {
            assert_eq!(acls.iter().count(), acls.len());
        }
        read(data, PathRequest::decode);
        read(data, ReconfigRequest::decode);
        read(data, CheckWatchesRequest::decode);
        read(data, AddWatchRequest::decode);
        read(data, AuthPacket::decode);
        if let Some(request) = read(data, SetWatchesRequest::decode2) {
            let SetWatchesRequest { data, exist, child, persistent, persistent_recursive, .. } =
                &request;
            for strings in [data, exist, child, persistent, persistent_recursive] {
                check_strings(strings);
            }
        }
        read(data, SetWatchesRequest::decode);
        multi(data);
        paths(data);
    }
    round_trip!(data, RequestHeader::decode, RequestHeader::encode);
}

/// What a server sends: headers and stats.
pub(crate) fn replies(data: &[u8]) {
    round_trip!(data, ReplyHeader::decode, ReplyHeader::encode);
    round_trip!(data, Stat::decode, Stat::encode);
    round_trip!(data, StatPersisted::decode, StatPersisted::encode);
    round_trip!(data, MultiHeader::decode, MultiHeader::encode);
}

/// The framing of a multi, with set-data requests as bodies.
fn multi(data: &[u8]) {
    let mut ops = MultiIter::new(Reader::new(data));
    let mut left = data.len();
    while let Ok(Some(_)) = ops.next_op() {
        if SetDataRequest::decode(&mut ops.reader).is_err() {
            break;
        }
        let rest = ops.reader.rest().len();
        assert!(rest < left, "each operation takes bytes");
        left = rest;
    }
}

/// A path that is allowed has a parent that is allowed, and the two make it up.
fn paths(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if wire::validate_path(&text).is_err() || text == "/" {
        return;
    }
    let (parent, name) = wire::parent_and_name(&text).expect("an allowed path has a slash");
    assert_eq!(format!("{parent}/{name}"), text);
    assert!(!name.is_empty());
    assert!(parent.is_empty() || wire::validate_path(parent).is_ok());
}

fn check_strings(strings: &Strings<'_>) {
    assert_eq!(strings.iter().count(), strings.len());
    let mut bytes = Vec::new();
    strings.encode(&mut bytes);
    let again =
        Strings::decode(&mut Reader::new(&bytes)).map(|found| found.unwrap_or(Strings::NULL));
    assert_eq!(again, Ok(*strings));
}

fn read<'a, T>(data: &'a [u8], decode: impl Fn(&mut Reader<'a>) -> Result<T, Error>) -> Option<T> {
    decode(&mut Reader::new(data)).ok()
}
