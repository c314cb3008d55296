//! Calls on registers as requests, and replies as answers.

use crate::program::{Request, Value};
use anyhow::{Context, Result, bail, ensure};
use check::registers::{Answer, Asked, Shown, Write};
use jute::{Decode, Reader};
use wire::{MultiHeader, OpCode, ReplyHeader, Stat};

/// The parent of all registers.
pub(super) const ROOT: &str = "/registers";
const BAD_VERSION: i32 = -103;

/// Where a register is.
pub(super) fn path(group: usize, register: usize) -> String {
    format!("{ROOT}/{group}-{register}")
}

/// Which register is there.
pub(super) fn register(path: &str) -> Result<(usize, usize)> {
    let name = path.strip_prefix(ROOT).and_then(|rest| rest.strip_prefix('/'));
    let (group, register) = name.and_then(|name| name.split_once('-')).context("no register")?;
    Ok((group.parse()?, register.parse()?))
}

/// A value as data.
pub(super) fn data(value: u64) -> Vec<u8> {
    format!("{value:020}").into_bytes()
}

pub(super) fn request(group: usize, asked: &Asked) -> Request {
    match asked {
        Asked::Sync => Request::new(OpCode::Sync, vec![Value::Text(ROOT.to_owned())]),
        Asked::Read { register, watches, .. } => {
            let values = vec![Value::Text(path(group, *register)), Value::Bool(*watches)];
            Request::new(OpCode::GetData, values)
        }
        Asked::Write(writes) => match &writes[..] {
            [one @ Write { value: Some(_), .. }] => part(group, one),
            _ => {
                let parts = writes.iter().map(|write| part(group, write)).collect();
                Request::new(OpCode::Multi, vec![Value::Operations(parts)])
            }
        },
    }
}

fn part(group: usize, write: &Write) -> Request {
    let path = Value::Text(path(group, write.register));
    let version = Value::Int(write.version.unwrap_or(-1));
    match write.value {
        Some(value) => {
            Request::new(OpCode::SetData, vec![path, Value::Bytes(data(value)), version])
        }
        None => Request::new(OpCode::Check, vec![path, version]),
    }
}

/// What a reply says.
///
/// # Errors
/// If it is none to such a call.
pub(super) fn answer(asked: &Asked, header: ReplyHeader, body: &[u8]) -> Result<Answer> {
    let mut reader = Reader::new(body);
    match asked {
        Asked::Sync => {
            ensure!(header.err == 0, "sync: {}", header.err);
            Ok(Answer::Empty)
        }
        Asked::Read { .. } => {
            ensure!(header.err == 0, "get: {}", header.err);
            let data = reader.buffer()?.context("no data")?;
            let value = std::str::from_utf8(data)?.parse()?;
            let stat = Stat::decode(&mut reader)?;
            Ok(Answer::Read(Shown { version: stat.version, value }, stat.mzxid))
        }
        Asked::Write(writes) if matches!(&writes[..], [Write { value: Some(_), .. }]) => {
            match header.err {
                0 => Ok(Answer::Written(vec![Stat::decode(&mut reader)?.version])),
                BAD_VERSION => Ok(Answer::BadVersion(0)),
                other => bail!("set: {other}"),
            }
        }
        Asked::Write(writes) => multi(writes, header, reader),
    }
}

fn multi(writes: &[Write], header: ReplyHeader, mut reader: Reader<'_>) -> Result<Answer> {
    let mut versions = Vec::new();
    let mut refused = None;
    for (n, write) in writes.iter().enumerate() {
        let result = MultiHeader::decode(&mut reader)
            .with_context(|| format!("multi: {} at {n}", header.err))?;
        if result.op == OpCode::SetData.number() {
            versions.push(Stat::decode(&mut reader)?.version);
        } else if result.op == OpCode::Check.number() {
            versions.push(write.version.unwrap_or(-1));
        } else if reader.int()? == BAD_VERSION {
            refused = Some(n);
        }
    }
    match refused {
        Some(n) => Ok(Answer::BadVersion(n)),
        None if versions.len() == writes.len() => Ok(Answer::Written(versions)),
        None => bail!("multi: {}", header.err),
    }
}
