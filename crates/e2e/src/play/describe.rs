//! Replies and events as lines of a transcript.

use super::client::Item;
use super::names::{Decoded, Names, derived_password};
use crate::program::hex;
use jute::{Decode, Error, Reader};
use wire::{ConnectResponse, MultiHeader, OpCode, ReplyHeader};

/// One line for what a client saw.
pub(super) fn item(item: &Item, names: &mut Names) -> String {
    match item {
        Item::Hello(bytes) => hello(bytes, names),
        Item::Reply { op, header, body } => {
            format!("{} {}", op_name(*op), reply(*op, *header, body, names))
        }
        Item::Barrier(header) if header.err == 0 => format!("at {}", names.zxid(header.zxid)),
        Item::Barrier(header) => format!("ping refused: {}", header.err),
        Item::Event { header, body } => event(*header, body, names),
        Item::Missing { op } => format!("{} no reply", op_name(*op)),
        Item::Unexpected(frame) => format!("unexpected frame {}", hex(frame)),
        Item::Closed => "closed".to_owned(),
        Item::Silence => "silence".to_owned(),
    }
}

/// An operation's name, or its number.
#[must_use]
pub fn op_name(op: i32) -> String {
    OpCode::from_number(op).map_or_else(|| format!("op={op}"), |op| op.name().to_owned())
}

fn hello(bytes: &[u8], names: &mut Names) -> String {
    let mut reader = Reader::new(bytes);
    let Ok(answer) = ConnectResponse::decode(&mut reader) else {
        return format!("unknown answer to connect {}", hex(bytes));
    };
    let size = bytes.len();
    let read_only = answer.read_only;
    if answer.session_id == 0 {
        let zeros = answer.password == [0; 16];
        let timeout = answer.timeout_ms;
        return format!("refused timeout={timeout} zeros={zeros} ro={read_only:?} size={size}");
    }
    let derived = answer.password[..] == derived_password(answer.session_id);
    let name = names.open_session(answer.session_id);
    let timeout = answer.timeout_ms;
    format!("session {name} timeout={timeout} derived={derived} ro={read_only:?} size={size}")
}

fn event(header: ReplyHeader, body: &[u8], names: &Names) -> String {
    let mut reader = Reader::new(body);
    let mut decode = || -> Decoded<(i32, i32, String)> {
        Ok((reader.int()?, reader.int()?, text(&mut reader)?))
    };
    match decode() {
        Ok((kind, state, path)) => {
            let kind = match kind {
                1 => "NodeCreated".to_owned(),
                2 => "NodeDeleted".to_owned(),
                3 => "NodeDataChanged".to_owned(),
                4 => "NodeChildrenChanged".to_owned(),
                other => format!("type {other}"),
            };
            let zxid = names.zxid(header.zxid);
            format!("event {kind} {path} zxid={zxid} state={state} err={}", header.err)
        }
        Err(_) => format!("event {}", hex(body)),
    }
}

fn reply(op: i32, header: ReplyHeader, body: &[u8], names: &mut Names) -> String {
    let position = format!("{} err={}", names.zxid(header.zxid), header.err);
    if body.is_empty() {
        return position;
    }
    let mut reader = Reader::new(body);
    match record(op, &mut reader, names) {
        Ok(text) if reader.is_empty() => format!("{position} {text}"),
        Ok(text) => format!("{position} {text} and {}", hex(reader.rest())),
        Err(_) => format!("{position} undecodable {}", hex(body)),
    }
}

/// A response record.
fn record(op: i32, r: &mut Reader<'_>, names: &mut Names) -> Decoded<String> {
    let Some(op) = OpCode::from_number(op) else { return Err(Error::BadValue(op)) };
    match op {
        OpCode::Create | OpCode::Sync => text(r),
        OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
            Ok(format!("{} {}", text(r)?, names.stat(r)?))
        }
        OpCode::Exists | OpCode::SetData | OpCode::SetAcl => names.stat(r),
        OpCode::GetData | OpCode::Reconfig => Ok(format!("{} {}", data(r)?, names.stat(r)?)),
        OpCode::GetAcl => Ok(format!("{} {}", acl(r)?, names.stat(r)?)),
        OpCode::GetChildren | OpCode::GetEphemerals => texts(r),
        OpCode::GetChildren2 => Ok(format!("{} {}", texts(r)?, names.stat(r)?)),
        OpCode::GetAllChildrenNumber | OpCode::AddWatch | OpCode::Error => Ok(r.int()?.to_string()),
        OpCode::Multi | OpCode::MultiRead => multi(r, names),
        OpCode::WhoAmI => {
            let count = r.count(8)?.unwrap_or(0);
            let users: Decoded<Vec<_>> =
                (0..count).map(|_| Ok(format!("{}={}", text(r)?, text(r)?))).collect();
            let mut users = users?; // a set, which the reference lists in the order of its hashes
            users.sort();
            Ok(users.join(","))
        }
        OpCode::Sasl => data(r),
        OpCode::Delete
        | OpCode::Ping
        | OpCode::Check
        | OpCode::CheckWatches
        | OpCode::RemoveWatches
        | OpCode::DeleteContainer
        | OpCode::Auth
        | OpCode::SetWatches
        | OpCode::SetWatches2
        | OpCode::CreateSession
        | OpCode::CloseSession => Err(Error::BadLength(0)),
    }
}

fn multi(r: &mut Reader<'_>, names: &mut Names) -> Decoded<String> {
    let mut results = Vec::new();
    loop {
        let header = MultiHeader::decode(r)?;
        if header.done {
            let end = format!("end {}/{}", header.op, header.err);
            results.push(if header == wire::MULTI_END { "end".to_owned() } else { end });
            return Ok(format!("[{}]", results.join("; ")));
        }
        let empty = [OpCode::Delete, OpCode::Check].map(OpCode::number).contains(&header.op);
        let body = if empty { String::new() } else { record(header.op, r, names)? };
        results.push(format!("{} {} {body}", op_name(header.op), header.err));
    }
}

/// A list without an order: the reference gives that of a hash table.
fn texts(r: &mut Reader<'_>) -> Decoded<String> {
    let Some(count) = r.count(4)? else { return Ok("null".to_owned()) };
    let mut all = (0..count).map(|_| text(r)).collect::<Decoded<Vec<_>>>()?;
    all.sort();
    Ok(format!("{all:?}"))
}

/// A string.
///
/// # Errors
/// If the bytes end early.
pub(super) fn text(r: &mut Reader<'_>) -> Decoded<String> {
    Ok(r.string()?.map_or_else(|| "null".to_owned(), std::borrow::Cow::into_owned))
}

/// Data longer than this is shown by its size and a checksum.
const LONG: usize = 200;

/// A buffer: as text where it is text.
///
/// # Errors
/// If the bytes end early.
pub(super) fn data(r: &mut Reader<'_>) -> Decoded<String> {
    Ok(match r.buffer()? {
        None => "null".to_owned(),
        Some(bytes) if bytes.len() > LONG => {
            let sum = bytes.iter().fold(0u32, |sum, b| sum.rotate_left(3) ^ u32::from(*b));
            format!("{} bytes {sum:08x}", bytes.len())
        }
        Some(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
    })
}

/// An access list.
///
/// # Errors
/// If the bytes end early.
pub(super) fn acl(r: &mut Reader<'_>) -> Decoded<String> {
    let Some(count) = r.count(12)? else { return Ok("null".to_owned()) };
    let entries: Decoded<Vec<_>> =
        (0..count).map(|_| Ok(format!("{}:{}:{}", r.int()?, text(r)?, text(r)?))).collect();
    Ok(format!("acl{:?}", entries?))
}
