//! One request as a whole: the single operations by their number, and the multi.

use super::{Outcome, Preparation};
use jute::{Decode, Error, Reader, put_int};
use wire::{
    Acls, CheckVersionRequest, CreateMode, CreateRequest, DeleteRequest, ErrorCode, MultiIter,
    OpCode, ReconfigRequest, SetAclRequest, SetDataRequest, Txn,
};

/// A multi's operation, read.
enum SubRequest<'a> {
    Create(OpCode, CreateRequest<'a>),
    Delete(DeleteRequest<'a>),
    SetData(SetDataRequest<'a>),
    Check(CheckVersionRequest<'a>),
}

impl Preparation<'_> {
    /// Prepares a client's write and appends the transaction's body to `out`.
    pub(crate) fn write(&mut self, op: OpCode, body: &[u8], out: &mut Vec<u8>) -> Outcome<OpCode> {
        let limit = self.config.field_size_max;
        let mut r = Reader::with_length_max(body, limit);
        match op {
            OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
                let has_ttl = op == OpCode::CreateTtl;
                let decode =
                    if has_ttl { CreateRequest::decode_ttl } else { CreateRequest::decode };
                let request = decode(&mut r).map_err(|_| self.malformed_create(op, body))?;
                self.create(op, &request, false, out)
            }
            OpCode::Delete => self.delete(&read(DeleteRequest::decode(&mut r))?, false, out),
            OpCode::SetData => self.set_data(&read(SetDataRequest::decode(&mut r))?, false, out),
            OpCode::SetAcl => self.set_acl(&read(SetAclRequest::decode(&mut r))?, out),
            OpCode::Multi => self.multi(r, out),
            OpCode::Reconfig => self.reconfig(&read(ReconfigRequest::decode(&mut r))?, out),
            OpCode::CloseSession => self.close_session(out),
            OpCode::Error
            | OpCode::CreateSession
            | OpCode::Exists
            | OpCode::GetData
            | OpCode::GetAcl
            | OpCode::GetChildren
            | OpCode::Sync
            | OpCode::Ping
            | OpCode::GetChildren2
            | OpCode::Check
            | OpCode::CheckWatches
            | OpCode::RemoveWatches
            | OpCode::DeleteContainer
            | OpCode::MultiRead
            | OpCode::Auth
            | OpCode::SetWatches
            | OpCode::Sasl
            | OpCode::GetEphemerals
            | OpCode::GetAllChildrenNumber
            | OpCode::SetWatches2
            | OpCode::AddWatch
            | OpCode::WhoAmI => Err(ErrorCode::Unimplemented),
        }
    }

    /// Why a create cannot be read: if nothing but its path is null, its flags are complained of
    /// first.
    fn malformed_create(&self, op: OpCode, body: &[u8]) -> ErrorCode {
        let mut r = Reader::with_length_max(body, self.config.field_size_max);
        let mut without_path = || -> Result<CreateRequest<'_>, Error> {
            r.string()?;
            let (path, data, acl) = ("".into(), r.buffer()?, Acls::decode(&mut r)?);
            let flags = r.int()?;
            let ttl_ms = if op == OpCode::CreateTtl { r.long()? } else { -1 };
            Ok(CreateRequest { path, data, acl, flags, ttl_ms })
        };
        let flaw = without_path().ok().and_then(|request| self.create_mode(op, &request).err());
        flaw.unwrap_or(ErrorCode::MarshallingError)
    }

    /// All operations or none. A failed one is a transaction all the same: it tells every
    /// replica what the results are.
    fn multi(&mut self, request: Reader<'_>, out: &mut Vec<u8>) -> Outcome<OpCode> {
        let requests = read(read_multi(request))?;
        put_int(out, i32::try_from(requests.len()).expect("counts are bounded by frames"));
        self.changes.begin();
        let mut failed = false;
        for request in &requests {
            if failed {
                Txn::error(ErrorCode::RuntimeInconsistency).encode_in_multi(out);
                continue;
            }
            let start = out.len();
            if let Err(code) = self.sub_request(request, out) {
                if code == ErrorCode::MarshallingError {
                    self.changes.roll_back(); // no result of one operation: the request is no multi
                    return Err(code);
                }
                out.truncate(start);
                Txn::error(code).encode_in_multi(out);
                failed = true;
            }
        }
        if failed {
            self.changes.roll_back()
        } else {
            self.changes.keep()
        }
        Ok(OpCode::Multi)
    }

    fn sub_request(&mut self, request: &SubRequest<'_>, out: &mut Vec<u8>) -> Outcome<OpCode> {
        match request {
            SubRequest::Create(op, request) => self.create(*op, request, true, out),
            SubRequest::Delete(request) => self.delete(request, true, out),
            SubRequest::SetData(request) => self.set_data(request, true, out),
            SubRequest::Check(request) => self.check(request, out),
        }
    }
}

/// Whether a write is to make an ephemeral node, as far as it can be read.
pub(crate) fn makes_ephemeral(op: OpCode, body: &[u8], length_max: usize) -> bool {
    let mut r = Reader::with_length_max(body, length_max);
    let is_create = |op| matches!(op, OpCode::Create | OpCode::Create2);
    let is_ephemeral = |request: &CreateRequest<'_>| {
        CreateMode::from_flags(request.flags).is_some_and(|mode| mode.ephemeral)
    };
    if op == OpCode::Multi {
        return read_multi(r).is_ok_and(|requests| {
            requests.iter().any(|request| {
                matches!(request, SubRequest::Create(op, create) if is_create(*op) && is_ephemeral(create))
            })
        });
    }
    is_create(op) && CreateRequest::decode(&mut r).is_ok_and(|request| is_ephemeral(&request))
}

/// Reads all operations: one that a multi may not hold makes the whole request malformed.
fn read_multi(request: Reader<'_>) -> Result<Vec<SubRequest<'_>>, Error> {
    let mut ops = MultiIter::new(request);
    let mut requests = Vec::with_capacity(REQUESTS_EXPECTED);
    while let Some(number) = ops.next_op()? {
        let r = &mut ops.reader;
        requests.push(match OpCode::from_number(number) {
            Some(op @ (OpCode::Create | OpCode::Create2 | OpCode::CreateContainer)) => {
                SubRequest::Create(op, decode_create_in_multi(r)?)
            }
            Some(op @ OpCode::CreateTtl) => SubRequest::Create(op, CreateRequest::decode_ttl(r)?),
            Some(OpCode::Delete) => SubRequest::Delete(DeleteRequest::decode(r)?),
            Some(OpCode::SetData) => SubRequest::SetData(decode_set_data_in_multi(r)?),
            Some(OpCode::Check) => SubRequest::Check(CheckVersionRequest::decode(r)?),
            _ => return Err(Error::BadValue(number)),
        });
    }
    Ok(requests)
}

/// A create without a time to live: inside a multi its flags are looked at when it is read.
pub(crate) fn decode_create_in_multi<'a>(r: &mut Reader<'a>) -> Result<CreateRequest<'a>, Error> {
    let request = CreateRequest::decode(r)?;
    if CreateMode::from_flags(request.flags).is_none_or(|mode| mode.ttl) {
        return Err(Error::BadValue(request.flags));
    }
    Ok(request)
}

/// A setData, whose path inside a multi may not be null.
pub(crate) fn decode_set_data_in_multi<'a>(
    r: &mut Reader<'a>,
) -> Result<SetDataRequest<'a>, Error> {
    let path = r.string()?.ok_or(Error::BadLength(-1))?;
    Ok(SetDataRequest { path, data: r.buffer()?, version: r.int()? })
}

/// Operations that most multis do not exceed.
const REQUESTS_EXPECTED: usize = 16;

fn read<T>(read: Result<T, Error>) -> Outcome<T> {
    read.map_err(|_| ErrorCode::MarshallingError)
}
