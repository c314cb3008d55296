//! The bodies of replies to writes, from the transaction and what applying it gave.

use jute::{Decode, Encode, Reader, put_buffer, put_int, put_string};
use tree::OpResult;
use wire::{
    CreateTxn, ErrorCode, MULTI_END, MultiHeader, MultiTxn, OpCode, PathRequest, Stat, Txn,
};

/// The body of a successful write's reply.
pub(super) fn put_result(op: OpCode, txn: &Txn<'_>, result: Option<&OpResult>, out: &mut Vec<u8>) {
    let put_stat = |out: &mut Vec<u8>| match result {
        Some(result) => put_stat(result, out),
        None => Stat::default().encode(out),
    };
    match txn {
        Txn::Create(CreateTxn { path, .. }) => {
            put_string(out, path);
            if op != OpCode::Create {
                put_stat(out);
            }
        }
        Txn::SetData { data, reconfig: true, .. } => {
            put_buffer(out, *data);
            put_stat(out);
        }
        Txn::SetData { .. } | Txn::SetAcl { .. } => put_stat(out),
        Txn::Delete { .. }
        | Txn::Check { .. }
        | Txn::CreateSession { .. }
        | Txn::CloseSession { .. }
        | Txn::Error(_)
        | Txn::Multi(_) => {}
    }
}

pub(super) fn put_multi_results(multi: &MultiTxn<'_>, results: &[OpResult], out: &mut Vec<u8>) {
    let failed = results.iter().any(|result| result.err != 0);
    out.reserve(results.len() * SUB_RESULT_SIZE_EXPECTED);
    for ((op, body), result) in multi.parts().zip(results) {
        if failed {
            put_error_result(result.err, out);
        } else {
            put_sub_result(op, body, result, out);
        }
    }
    MULTI_END.encode(out);
}

fn put_error_result(err: i32, out: &mut Vec<u8>) {
    MultiHeader { op: OpCode::Error.number(), done: false, err }.encode(out);
    put_int(out, err);
}

/// The result of one operation; only a create's record is looked into, for its path.
fn put_sub_result(op: i32, body: &[u8], result: &OpResult, out: &mut Vec<u8>) {
    let header = |op: OpCode, out: &mut Vec<u8>| {
        MultiHeader { op: op.number(), done: false, err: ErrorCode::Ok.number() }.encode(out);
    };
    match OpCode::from_number(op) {
        Some(OpCode::Create) => {
            header(OpCode::Create, out);
            put_path_of(body, out);
        }
        // Containers and TTL nodes answer as create2 does.
        Some(OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl) => {
            header(OpCode::Create2, out);
            put_path_of(body, out);
            put_stat(result, out);
        }
        Some(OpCode::SetData) => {
            header(OpCode::SetData, out);
            put_stat(result, out);
        }
        Some(OpCode::Delete) => header(OpCode::Delete, out),
        Some(OpCode::Check) => header(OpCode::Check, out),
        // No proposer puts others into a multi.
        _ => put_error_result(ErrorCode::RuntimeInconsistency.number(), out),
    }
}

fn put_stat(result: &OpResult, out: &mut Vec<u8>) {
    match &result.stat {
        Some(stat) => stat.encode(out),
        None => Stat::default().encode(out),
    }
}

/// The path that a record begins with, as text: the reply is what the log says.
fn put_path_of(body: &[u8], out: &mut Vec<u8>) {
    let path = Reader::new(body).string().ok().flatten();
    put_string(out, &path.unwrap_or_default());
}

/// The path of a sync, which is its reply.
pub(super) fn put_synced(path: &PathRequest<'_>, out: &mut Vec<u8>) {
    put_buffer(out, path.path.as_deref().map(str::as_bytes));
}

/// What most results in a multi take: a header, and a stat or a path.
const SUB_RESULT_SIZE_EXPECTED: usize = 9 + Stat::SIZE;

/// A sync, read when it is answered.
pub(super) fn read_sync(body: &[u8], length_max: usize) -> Result<PathRequest<'_>, ErrorCode> {
    let mut request = Reader::with_length_max(body, length_max);
    PathRequest::decode(&mut request).map_err(|_| ErrorCode::MarshallingError)
}
