//! The requests of the batches, as clients frame them.

use jute::{Encode, put_int};
use std::borrow::Cow;
use wire::{
    Acls, ConnectRequest, CreateRequest, DeleteRequest, MULTI_END, MultiHeader, OpCode,
    PathWatchRequest, RequestHeader, SetDataRequest,
};

/// What a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// The data of a node that is there.
    Get,
    /// The same, with a watch.
    Watch,
    /// The names of the children of the nodes' parent.
    Children,
    /// Other data for a node that is there.
    Set,
    /// A node that is not there.
    Create,
    /// A node that is there goes.
    Delete,
    /// [`PARTS`] nodes at once that are not there.
    Multi,
    /// Other data for [`PARTS`] nodes at once that are there.
    MultiSet,
    /// The session's end.
    Close,
}

impl Request {
    /// Its operation.
    pub(crate) fn op(self) -> OpCode {
        match self {
            Request::Get | Request::Watch => OpCode::GetData,
            Request::Children => OpCode::GetChildren,
            Request::Set => OpCode::SetData,
            Request::Create => OpCode::Create,
            Request::Delete => OpCode::Delete,
            Request::Multi | Request::MultiSet => OpCode::Multi,
            Request::Close => OpCode::CloseSession,
        }
    }

    /// Appends its body; `number` picks the node.
    pub(crate) fn body(self, number: usize, out: &mut Vec<u8>) {
        let path = Cow::Owned(old(number));
        match self {
            Request::Get => PathWatchRequest { path, watch: false }.encode(out),
            Request::Watch => PathWatchRequest { path, watch: true }.encode(out),
            Request::Children => {
                PathWatchRequest { path: Cow::Borrowed(PARENT), watch: false }.encode(out);
            }
            Request::Set => set(number, out),
            Request::Create => create(number, out),
            Request::Delete => DeleteRequest { path, version: -1 }.encode(out),
            Request::Multi => multi(OpCode::Create, create, number, out),
            Request::MultiSet => multi(OpCode::SetData, set, number, out),
            Request::Close => {}
        }
    }

    /// Appends it as a frame.
    pub(crate) fn frame(self, xid: i32, number: usize, out: &mut Vec<u8>) {
        frame(out, |out| {
            RequestHeader { xid, op: self.op().number() }.encode(out);
            self.body(number, out);
        });
    }
}

/// So many frames, one for each node from 0 on.
pub(crate) fn frames(request: Request, count: usize) -> Vec<u8> {
    let mut out = Vec::new();
    (0..count).for_each(|number| request.frame(1, number, &mut out));
    out
}

/// Appends the frame that opens a session.
pub(crate) fn connect(out: &mut Vec<u8>) {
    let request = ConnectRequest::new_session(30_000);
    frame(out, |out| request.encode(out));
}

/// A node that is there.
pub(crate) fn old(number: usize) -> String {
    format!("{PARENT}/node-{number:06}")
}

/// A node that is not there.
pub(crate) fn new(number: usize) -> String {
    format!("{PARENT}/new-{number:06}")
}

fn create(number: usize, out: &mut Vec<u8>) {
    CreateRequest {
        path: Cow::Owned(new(number)),
        data: Some(&DATA),
        acl: Some(Acls::OPEN),
        flags: 0,
        ttl_ms: -1,
    }
    .encode(out);
}

fn set(number: usize, out: &mut Vec<u8>) {
    let path = Cow::Owned(old(number));
    SetDataRequest { path, data: Some(&OTHER_DATA), version: -1 }.encode(out);
}

fn multi(op: OpCode, part: fn(usize, &mut Vec<u8>), number: usize, out: &mut Vec<u8>) {
    for at in 0..PARTS {
        MultiHeader { op: op.number(), done: false, err: -1 }.encode(out);
        part(number * PARTS + at, out);
    }
    MULTI_END.encode(out);
}

fn frame(out: &mut Vec<u8>, payload: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    put_int(out, 0);
    payload(out);
    let length = i32::try_from(out.len() - start - 4).expect("requests are small");
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// The parent of all nodes that requests name.
pub(crate) const PARENT: &str = "/app/members";
/// What nodes hold: 100 bytes, as in `quorate bench`.
pub(crate) const DATA: [u8; 100] = [0x5a; 100];
const OTHER_DATA: [u8; 100] = [0xa5; 100];
/// Operations of a multi.
pub(crate) const PARTS: usize = 10;
