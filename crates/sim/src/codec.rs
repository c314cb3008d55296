//! Between the checker's plain records and the bytes of the client protocol.

use check::{Acl, Body, Op, Part, Reconfiguration, Stat, WatchLists};
use jute::{Decode, Error, Reader, Writer, put_buffer, put_int, put_long, put_string};
use wire::{MULTI_END, MultiHeader, OpCode, RequestHeader};

/// The operation's number on the wire.
pub(crate) fn opcode(op: &Op) -> OpCode {
    match op {
        Op::Create { mode, .. } if mode.ttl_ms.is_some() => OpCode::CreateTtl,
        Op::Create { mode, .. } if mode.container => OpCode::CreateContainer,
        Op::Create { with_stat: true, .. } => OpCode::Create2,
        Op::Create { .. } => OpCode::Create,
        Op::Delete { .. } => OpCode::Delete,
        Op::SetData { .. } => OpCode::SetData,
        Op::SetAcl { .. } => OpCode::SetAcl,
        Op::Check { .. } => OpCode::Check,
        Op::Multi(_) => OpCode::Multi,
        Op::Reconfig(_) => OpCode::Reconfig,
        Op::Close => OpCode::CloseSession,
        Op::Exists { .. } => OpCode::Exists,
        Op::GetData { .. } => OpCode::GetData,
        Op::GetChildren { with_stat: true, .. } => OpCode::GetChildren2,
        Op::GetChildren { .. } => OpCode::GetChildren,
        Op::GetAcl { .. } => OpCode::GetAcl,
        Op::CountDescendants { .. } => OpCode::GetAllChildrenNumber,
        Op::GetEphemerals { .. } => OpCode::GetEphemerals,
        Op::MultiRead(_) => OpCode::MultiRead,
        Op::Sync { .. } => OpCode::Sync,
        Op::Ping => OpCode::Ping,
        Op::AddWatch { .. } => OpCode::AddWatch,
        Op::CheckWatches { .. } => OpCode::CheckWatches,
        Op::RemoveWatches { .. } => OpCode::RemoveWatches,
        Op::SetWatches(_) => OpCode::SetWatches2,
    }
}

/// A whole frame with its length.
pub(crate) fn frame(payload: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    payload(&mut bytes);
    let length = bytes.len() as i32 - 4;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    bytes
}

/// A request's frame.
pub(crate) fn request(xid: i32, op: &Op) -> Vec<u8> {
    frame(|out| {
        let number = opcode(op).number();
        jute::Encode::encode(&RequestHeader { xid, op: number }, out);
        put_op(op, out);
    })
}

fn put_op(op: &Op, out: &mut Vec<u8>) {
    match op {
        Op::Create { path, data, acl, mode, .. } => {
            put_string(out, path);
            put_buffer(out, data.as_deref());
            put_acl(acl, out);
            let flags = match (mode.ttl_ms.is_some(), mode.container) {
                (true, _) => 5 + i32::from(mode.sequential),
                (false, true) => 4,
                (false, false) => i32::from(mode.ephemeral) + 2 * i32::from(mode.sequential),
            };
            put_int(out, flags);
            if let Some(ms) = mode.ttl_ms {
                put_long(out, ms);
            }
        }
        Op::Delete { path, version } | Op::Check { path, version } => {
            Writer::new(out).string(path).int(*version);
        }
        Op::SetData { path, data, version } => {
            Writer::new(out).string(path).buffer(data.as_deref()).int(*version);
        }
        Op::SetAcl { path, acl, version } => {
            put_string(out, path);
            put_acl(acl, out);
            put_int(out, *version);
        }
        Op::Multi(parts) | Op::MultiRead(parts) => {
            for part in parts {
                let op = opcode(part).number();
                jute::Encode::encode(&MultiHeader { op, done: false, err: -1 }, out);
                put_op(part, out);
            }
            jute::Encode::encode(&MULTI_END, out);
        }
        Op::Reconfig(change) => put_change(change, out),
        Op::Close | Op::Ping => {}
        Op::Exists { path, watch } | Op::GetData { path, watch } => {
            Writer::new(out).string(path).bool(*watch);
        }
        Op::GetChildren { path, watch, .. } => {
            Writer::new(out).string(path).bool(*watch);
        }
        Op::GetAcl { path } | Op::CountDescendants { path } | Op::Sync { path } => {
            put_string(out, path);
        }
        Op::GetEphemerals { prefix } => put_string(out, prefix),
        Op::AddWatch { path, recursive } => {
            Writer::new(out).string(path).int(i32::from(*recursive));
        }
        Op::CheckWatches { path, of } | Op::RemoveWatches { path, of } => {
            Writer::new(out).string(path).int(*of);
        }
        Op::SetWatches(lists) => put_watches(lists, out),
    }
}

fn put_change(change: &Reconfiguration, out: &mut Vec<u8>) {
    let servers = |servers: &[(i64, String)]| -> Vec<String> {
        servers.iter().map(|(id, text)| format!("server.{id}={text}")).collect()
    };
    let leaving = change.leaving.iter().map(i64::to_string).collect();
    for list in [servers(&change.joining), leaving, servers(&change.members)] {
        let text = list.join(",");
        put_buffer(out, Some(text.as_bytes()).filter(|text| !text.is_empty()));
    }
    put_long(out, change.version);
}

fn put_acl(acl: &[Acl], out: &mut Vec<u8>) {
    put_int(out, acl.len() as i32);
    for entry in acl {
        Writer::new(out).int(entry.perms).string(&entry.scheme).string(&entry.id);
    }
}

fn put_watches(lists: &WatchLists, out: &mut Vec<u8>) {
    put_long(out, lists.relative);
    for list in [&lists.data, &lists.exist, &lists.child, &lists.persistent, &lists.recursive] {
        put_int(out, list.len() as i32);
        list.iter().for_each(|path| put_string(out, path));
    }
}

/// What follows the header of a reply to `op`.
pub(crate) fn body(op: &Op, err: i32, reader: &mut Reader<'_>) -> Body {
    let body = if err == 0 { decode(op, reader) } else { Ok(Body::Empty) };
    match body {
        Ok(body) if reader.is_empty() => body,
        Ok(_) | Err(_) => Body::Malformed,
    }
}

fn decode(op: &Op, r: &mut Reader<'_>) -> Result<Body, Error> {
    Ok(match op {
        Op::Create { mode, with_stat, .. } => {
            let path = string(r)?;
            if *with_stat || mode.container || mode.ttl_ms.is_some() {
                Body::PathStat(path, stat(r)?)
            } else {
                Body::Path(path)
            }
        }
        Op::SetData { .. } | Op::SetAcl { .. } | Op::Exists { .. } => Body::Stat(stat(r)?),
        Op::GetData { .. } | Op::Reconfig(_) => {
            Body::Data(r.buffer()?.map(<[u8]>::to_vec), stat(r)?)
        }
        Op::GetChildren { with_stat, .. } => {
            let names = names(r)?;
            if *with_stat { Body::NamesStat(names, stat(r)?) } else { Body::Names(names) }
        }
        Op::GetAcl { .. } => {
            let count = r.int()?;
            let entry = |r: &mut Reader<'_>| {
                Ok(Acl { perms: r.int()?, scheme: string(r)?, id: string(r)? })
            };
            let list = (0..count).map(|_| entry(r)).collect::<Result<_, Error>>()?;
            Body::Acl(list, stat(r)?)
        }
        Op::CountDescendants { .. } | Op::AddWatch { .. } => Body::Count(r.int()?),
        Op::GetEphemerals { .. } => Body::Names(names(r)?),
        Op::Sync { .. } => Body::Path(string(r)?),
        Op::Multi(parts) | Op::MultiRead(parts) => {
            let done = parts.iter().map(|op| part(op, r)).collect::<Result<_, Error>>()?;
            if MultiHeader::decode(r)? != MULTI_END {
                return Ok(Body::Malformed);
            }
            Body::Parts(done)
        }
        Op::Delete { .. }
        | Op::Check { .. }
        | Op::Close
        | Op::Ping
        | Op::CheckWatches { .. }
        | Op::RemoveWatches { .. }
        | Op::SetWatches(_) => Body::Empty,
    })
}

fn part(op: &Op, r: &mut Reader<'_>) -> Result<Part, Error> {
    let header = MultiHeader::decode(r)?;
    if header.op == OpCode::Error.number() {
        let err = r.int()?;
        return Ok(if err == header.err { Part::Failed(err) } else { Part::Done(Body::Malformed) });
    }
    // Containers and nodes with a time to live are answered as create2 is.
    let special = matches!(op, Op::Create { mode, .. } if mode.container || mode.ttl_ms.is_some());
    let answered = if special { OpCode::Create2 } else { opcode(op) };
    if header.op != answered.number() {
        return Ok(Part::Done(Body::Malformed));
    }
    Ok(Part::Done(decode(op, r)?))
}

fn string(r: &mut Reader<'_>) -> Result<String, Error> {
    Ok(r.string()?.ok_or(Error::BadLength(-1))?.into_owned())
}

fn names(r: &mut Reader<'_>) -> Result<Vec<String>, Error> {
    let count = r.int()?;
    let mut names = (0..count).map(|_| string(r)).collect::<Result<Vec<_>, _>>()?;
    names.sort();
    Ok(names)
}

fn stat(r: &mut Reader<'_>) -> Result<Stat, Error> {
    wire::Stat::decode(r).map(plain_stat)
}

/// The same in the checker's words.
pub(crate) fn plain_stat(stat: wire::Stat) -> Stat {
    Stat {
        czxid: stat.czxid,
        mzxid: stat.mzxid,
        ctime: stat.ctime,
        mtime: stat.mtime,
        version: stat.version,
        cversion: stat.cversion,
        aversion: stat.aversion,
        ephemeral_owner: stat.ephemeral_owner,
        data_length: stat.data_length,
        num_children: stat.num_children,
        pzxid: stat.pzxid,
    }
}
