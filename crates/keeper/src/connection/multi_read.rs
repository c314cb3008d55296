//! multiRead: several reads in one request, each with its own result.

use super::reads::Asker;
use super::{Connection, Desk, Reply};
use crate::prepare::{decode_create_in_multi, decode_set_data_in_multi};
use base::Zxid;
use jute::{Decode, Encode, Error, Reader, put_int};
use std::borrow::Cow;
use wire::{
    CheckVersionRequest, CreateRequest, ErrorCode, MULTI_END, MultiHeader, MultiIter, OpCode,
};

/// What a multiRead asks for.
enum Asked<'a> {
    /// The reads, up to one with a null path: the reference notices only when it runs that.
    Reads(Vec<(OpCode, Option<Cow<'a, str>>)>),
    /// Writes, and no reads among them: it notices only when it runs the first.
    Writes,
}

impl Connection {
    pub(super) fn multi_read(
        &mut self,
        xid: i32,
        zxid: Zxid,
        request: Reader<'_>,
        asker: &Asker<'_>,
        desk: &mut Desk<'_>,
    ) {
        let malformed = ErrorCode::MarshallingError;
        match decode(request) {
            Err(_) => self.reply(Reply::new(xid, zxid, 0), |_| Err(malformed)),
            Ok(Asked::Writes) => self.reply(Reply::new(xid, zxid, malformed.number()), |out| {
                MULTI_END.encode(out);
                Ok(())
            }),
            Ok(Asked::Reads(reads)) => {
                let whole = reads.iter().all(|(_, path)| path.is_some());
                let err = if whole { ErrorCode::Ok } else { malformed };
                self.reply(Reply::new(xid, zxid, err.number()), |out| {
                    for (op, path) in &reads {
                        let Some(path) = path else { break };
                        put_result(*op, path, asker, desk, out);
                    }
                    MULTI_END.encode(out);
                    Ok(())
                });
            }
        }
    }
}

fn put_result(op: OpCode, path: &str, asker: &Asker<'_>, desk: &mut Desk<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    MultiHeader { op: op.number(), done: false, err: 0 }.encode(out);
    let outcome = if op == OpCode::GetData {
        asker.put_data(path, desk, out)
    } else {
        asker.put_children(path, desk, out).map(drop)
    };
    if let Err(code) = outcome {
        out.truncate(start);
        let err = code.number();
        MultiHeader { op: OpCode::Error.number(), done: false, err }.encode(out);
        put_int(out, err);
    }
}

/// Reads the whole request: a malformed one has no results, and reads are not mixed with writes.
fn decode(request: Reader<'_>) -> Result<Asked<'_>, Error> {
    let mut ops = MultiIter::new(request);
    let (mut reads, mut writes) = (Vec::new(), false);
    while let Some(number) = ops.next_op()? {
        let r = &mut ops.reader;
        match OpCode::from_number(number) {
            Some(op @ (OpCode::GetData | OpCode::GetChildren)) => {
                // The watch flag is read and dropped: no watch is set by a multiRead.
                reads.push((op, r.string()?));
                r.bool()?;
            }
            Some(OpCode::Create | OpCode::Create2 | OpCode::CreateContainer) => {
                decode_create_in_multi(r)?;
                writes = true;
            }
            Some(OpCode::CreateTtl) => {
                CreateRequest::decode_ttl(r)?;
                writes = true;
            }
            Some(OpCode::Delete | OpCode::Check) => {
                CheckVersionRequest::decode(r)?;
                writes = true;
            }
            Some(OpCode::SetData) => {
                decode_set_data_in_multi(r)?;
                writes = true;
            }
            _ => return Err(Error::BadValue(number)),
        }
    }
    match (writes, reads.is_empty()) {
        (true, true) => Ok(Asked::Writes),
        (true, false) => Err(Error::BadValue(OpCode::MultiRead.number())),
        (false, _) => Ok(Asked::Reads(reads)),
    }
}
