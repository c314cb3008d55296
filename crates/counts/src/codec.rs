//! Requests decoded, replies and events encoded: bytes on one side, records on the other.

use crate::batch::{Batch, Benchmark};
use crate::house::WALL;
use crate::requests::{DATA, PARTS, Request, frames, old};
use jute::{Decode, Encode, Reader, put_buffer};
use keeper::{Frame, Frames};
use std::hint::black_box;
use wire::{
    CreateRequest, EventType, MultiIter, OpCode, PathWatchRequest, ReplyHeader, RequestHeader,
    SetDataRequest, Stat, encode_event,
};

pub(crate) const BENCHMARKS: &[Benchmark] = &[
    Benchmark { name: "decode-get", operations: COUNT, set_up: || decode(Request::Get) },
    Benchmark { name: "decode-set", operations: COUNT, set_up: || decode(Request::Set) },
    Benchmark { name: "decode-create", operations: COUNT, set_up: || decode(Request::Create) },
    Benchmark { name: "decode-multi10", operations: COUNT, set_up: || decode(Request::Multi) },
    Benchmark { name: "encode-data", operations: COUNT, set_up: || encode(put_data) },
    Benchmark { name: "encode-event", operations: COUNT, set_up: || encode(put_event) },
];

const COUNT: usize = 1000;

/// Frames that are cut and decoded.
struct Decoding {
    request: Request,
    bytes: Vec<u8>,
    decoded: usize,
}

fn decode(request: Request) -> Box<dyn Batch> {
    Box::new(Decoding { request, bytes: frames(request, COUNT), decoded: 0 })
}

impl Batch for Decoding {
    fn run(&mut self) -> usize {
        let mut frames = Frames::new(self.bytes.len());
        let mut at = 0;
        while let Ok(Frame::Payload(range)) = frames.next(&self.bytes[at..], |_| false) {
            let mut reader = Reader::new(&self.bytes[at + range.start..at + range.end]);
            let header = RequestHeader::decode(&mut reader);
            self.decoded += usize::from(header.is_ok()) * body(self.request, &mut reader);
            at += range.end;
        }
        self.decoded
    }

    fn check(&mut self) {
        let each = if self.request == Request::Multi { PARTS } else { 1 };
        assert_eq!(self.decoded, COUNT * each, "all were decoded");
    }
}

/// Decodes a body; gives how many records were well-formed.
fn body(request: Request, reader: &mut Reader<'_>) -> usize {
    let is_ok = match request {
        Request::Set => black_box(SetDataRequest::decode(reader)).is_ok(),
        Request::Create => black_box(CreateRequest::decode(reader)).is_ok(),
        Request::Multi => return multi(reader.clone()),
        Request::Get | Request::Watch | Request::Children => {
            black_box(PathWatchRequest::decode(reader)).is_ok()
        }
        Request::Delete | Request::MultiSet | Request::Close => false,
    };
    usize::from(is_ok)
}

fn multi(reader: Reader<'_>) -> usize {
    let mut parts = MultiIter::new(reader);
    let mut count = 0;
    while let Ok(Some(op)) = parts.next_op() {
        let is_create = op == OpCode::Create.number();
        count +=
            usize::from(is_create && black_box(CreateRequest::decode(&mut parts.reader)).is_ok());
    }
    count
}

/// Payloads that are appended to one buffer, whose memory is there already.
struct Encoding {
    put: fn(&mut Vec<u8>, &str, i64),
    paths: Vec<String>,
    out: Vec<u8>,
}

fn encode(put: fn(&mut Vec<u8>, &str, i64)) -> Box<dyn Batch> {
    let paths = (0..COUNT).map(old).collect();
    Box::new(Encoding { put, paths, out: Vec::with_capacity(1 << 20) })
}

impl Batch for Encoding {
    fn run(&mut self) -> usize {
        for (zxid, path) in (1..).zip(&self.paths) {
            (self.put)(&mut self.out, path, zxid);
        }
        self.out.len()
    }

    fn check(&mut self) {
        assert!(self.out.len() >= COUNT * 50 && self.out.capacity() <= 1 << 20);
    }
}

/// The reply to a getData.
fn put_data(out: &mut Vec<u8>, _: &str, zxid: i64) {
    ReplyHeader { xid: 1, zxid, err: 0 }.encode(out);
    put_buffer(out, Some(&DATA));
    Stat { czxid: zxid, mzxid: zxid, ctime: WALL.0, ..Stat::default() }.encode(out);
}

fn put_event(out: &mut Vec<u8>, path: &str, zxid: i64) {
    encode_event(out, zxid, EventType::NodeDataChanged, path);
}
