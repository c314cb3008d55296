//! Well-formed requests drawn from few paths, so that they meet each other.

use arbitrary::Arbitrary;
use jute::{Encode, Writer, put_buffer, put_int, put_long, put_string};
use wire::{Acl, Id, MULTI_END, MultiHeader, OpCode, perms};

/// What happens next.
#[derive(Arbitrary, Debug)]
pub(crate) enum Step {
    Ask(u8, Request),
    Open(u8),
    Reconnect(u8),
    Steal(u8, u8),
    Drop(u8),
    Take(u8),
    Prepare,
    Deliver(u8),
    Wait(u8),
    BeginSnapshot,
    WalkSnapshot(u8),
}

/// A client's request.
#[derive(Arbitrary, Debug)]
pub(crate) enum Request {
    One(Op, Part),
    Multi(Vec<(Op, Part)>),
    MultiRead(Vec<(Op, Part)>),
}

/// What of it.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Op {
    Create,
    Create2,
    CreateContainer,
    CreateTtl,
    Delete,
    SetData,
    SetAcl,
    Check,
    Reconfig,
    CloseSession,
    Exists,
    GetData,
    GetAcl,
    GetChildren,
    GetChildren2,
    GetAllChildrenNumber,
    GetEphemerals,
    Sync,
    Ping,
    WhoAmI,
    AddWatch,
    CheckWatches,
    RemoveWatches,
    SetWatches,
    SetWatches2,
    Auth,
    Sasl,
}

/// What with. Each operation takes what it needs.
#[derive(Arbitrary, Clone, Copy, Debug, Default)]
pub(crate) struct Part {
    path: u8,
    number: i8,
    data: u8,
    list: u8,
}

impl Request {
    /// The frame of it.
    pub(crate) fn frame(&self, xid: i32) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Request::One(op, part) => {
                Writer::new(&mut out).int(xid).int(op.code().number());
                op.put(*part, &mut out);
            }
            Request::Multi(parts) => put_parts(xid, OpCode::Multi, parts, &mut out),
            Request::MultiRead(parts) => put_parts(xid, OpCode::MultiRead, parts, &mut out),
        }
        out
    }
}

fn put_parts(xid: i32, op: OpCode, parts: &[(Op, Part)], out: &mut Vec<u8>) {
    Writer::new(out).int(xid).int(op.number());
    for (op, part) in parts {
        MultiHeader { op: op.code().number(), done: false, err: -1 }.encode(out);
        op.put(*part, out);
    }
    MULTI_END.encode(out);
}

impl Op {
    fn code(self) -> OpCode {
        match self {
            Op::Create => OpCode::Create,
            Op::Create2 => OpCode::Create2,
            Op::CreateContainer => OpCode::CreateContainer,
            Op::CreateTtl => OpCode::CreateTtl,
            Op::Delete => OpCode::Delete,
            Op::SetData => OpCode::SetData,
            Op::SetAcl => OpCode::SetAcl,
            Op::Check => OpCode::Check,
            Op::Reconfig => OpCode::Reconfig,
            Op::CloseSession => OpCode::CloseSession,
            Op::Exists => OpCode::Exists,
            Op::GetData => OpCode::GetData,
            Op::GetAcl => OpCode::GetAcl,
            Op::GetChildren => OpCode::GetChildren,
            Op::GetChildren2 => OpCode::GetChildren2,
            Op::GetAllChildrenNumber => OpCode::GetAllChildrenNumber,
            Op::GetEphemerals => OpCode::GetEphemerals,
            Op::Sync => OpCode::Sync,
            Op::Ping => OpCode::Ping,
            Op::WhoAmI => OpCode::WhoAmI,
            Op::AddWatch => OpCode::AddWatch,
            Op::CheckWatches => OpCode::CheckWatches,
            Op::RemoveWatches => OpCode::RemoveWatches,
            Op::SetWatches => OpCode::SetWatches,
            Op::SetWatches2 => OpCode::SetWatches2,
            Op::Auth => OpCode::Auth,
            Op::Sasl => OpCode::Sasl,
        }
    }

    fn put(self, part: Part, out: &mut Vec<u8>) {
        let number = i32::from(part.number);
        match self {
            Op::Create | Op::Create2 | Op::CreateContainer | Op::CreateTtl => {
                part.put_path(out);
                part.put_data(out);
                part.put_list(out);
                put_int(out, self.flags(number));
                if matches!(self, Op::CreateTtl) {
                    put_long(out, i64::from(part.number) * 500);
                }
            }
            Op::Delete | Op::Check => {
                part.put_path(out);
                put_int(out, number);
            }
            Op::SetData => {
                part.put_path(out);
                part.put_data(out);
                put_int(out, number);
            }
            Op::SetAcl => {
                part.put_path(out);
                part.put_list(out);
                put_int(out, number);
            }
            Op::Exists | Op::GetData | Op::GetChildren | Op::GetChildren2 => {
                part.put_path(out);
                out.push(u8::from(part.number < 0));
            }
            Op::GetAcl | Op::Sync | Op::GetAllChildrenNumber | Op::GetEphemerals => {
                part.put_path(out);
            }
            Op::AddWatch | Op::CheckWatches | Op::RemoveWatches => {
                part.put_path(out);
                put_int(out, number.rem_euclid(8));
            }
            Op::SetWatches | Op::SetWatches2 => {
                put_long(out, i64::from(part.number));
                let vectors = if matches!(self, Op::SetWatches) { 3 } else { 5 };
                (0..vectors).for_each(|nth| part.put_paths(nth, out));
            }
            Op::Reconfig => {
                for text in ["server.1=127.0.0.1:1:2;3", "", ""] {
                    put_string(out, text);
                }
                put_long(out, i64::from(part.number));
            }
            Op::Auth => {
                put_int(out, 0);
                put_string(out, if part.number < 100 { "digest" } else { "ip" });
                let user = format!("user{}:word", part.data % 3);
                put_buffer(out, Some(user.as_bytes()));
            }
            Op::Sasl => put_buffer(out, Some(&[part.data])),
            Op::CloseSession | Op::Ping | Op::WhoAmI => {}
        }
    }

    fn flags(self, number: i32) -> i32 {
        if matches!(self, Op::CreateTtl) {
            5 + (number & 1)
        } else if matches!(self, Op::CreateContainer) {
            4
        } else {
            number.rem_euclid(8)
        }
    }
}

impl Part {
    fn path(self) -> &'static str {
        PATHS[usize::from(self.path) % PATHS.len()]
    }

    fn put_path(self, out: &mut Vec<u8>) {
        put_string(out, self.path());
    }

    fn put_paths(self, nth: u8, out: &mut Vec<u8>) {
        let count = (self.list >> nth) & 1;
        put_int(out, i32::from(count));
        if count == 1 {
            put_string(out, PATHS[usize::from(self.path.wrapping_add(nth)) % PATHS.len()]);
        }
    }

    fn put_data(self, out: &mut Vec<u8>) {
        match self.data {
            0 => put_buffer(out, None),
            1..=15 => put_string(out, LIMITS[usize::from(self.data) % LIMITS.len()]),
            _ => put_buffer(out, Some(&vec![b'd'; usize::from(self.data) - 16])),
        }
    }

    fn put_list(self, out: &mut Vec<u8>) {
        let acl = |perms, scheme: &str, id: &str| Acl { perms, id: Id::new(scheme, id) };
        let list = match self.list {
            0 => return put_int(out, -1),
            1 => vec![],
            2 => Acl::read_only(),
            3 => vec![acl(perms::ALL, "auth", "")],
            4 => vec![acl(perms::ALL, "ip", "127.0.0.1/8"), acl(perms::READ, "world", "anyone")],
            5 => vec![acl(perms::ALL, "digest", "user0:nobody knows")],
            6 => vec![acl(perms::ALL, "digest", "no hash")],
            _ => Acl::open(),
        };
        Writer::new(out).vector(&list);
    }
}

/// Paths that hold each other, that get numbers, that quotas are about, and bad ones.
const PATHS: [&str; 22] = [
    "/",
    "/a",
    "/a/b",
    "/a/b/c",
    "/a/s",
    "/a/s0000000000",
    "/a/s0000000001",
    "/q",
    "/q/in",
    "/q/in/deep",
    "/acl",
    "/container",
    "/container/c",
    "/ttl",
    "/zookeeper",
    "/zookeeper/config",
    "/zookeeper/quota/q",
    "/zookeeper/quota/q/zookeeper_limits",
    "/zookeeper/quota/q/zookeeper_stats",
    "",
    "/a/",
    "no slash",
];

const LIMITS: [&str; 4] =
    ["count=2,bytes=10", "count=-1,bytes=-1=;byteHardLimit=40;countHardLimit=3", "", "count=x"];
