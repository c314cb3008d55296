//! `inspect snapshot`: the nodes and sessions of a snapshot, in the shape of ZooKeeper's
//! `SnapshotFormatter`.
//!
//! The file is read twice: the first pass checks every seal, so that nothing is printed of a file
//! that no server would take.

use crate::Verdict;
use crate::disk::Inspected;
use crate::kind::Kind;
use crate::ncdu::Ncdu;
use anyhow::Result;
use base::{SessionId, WallTime, Zxid};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use storage::{Compression, SnapshotItem, SnapshotReader, SnapshotTrailer};
use wire::{NodeRecord, OwnerKind, OwnerRules};

/// Print the nodes and sessions of a snapshot: plain, gzip or snappy.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The snapshot
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// The data of each node in base64, in place of its length
    #[arg(long, short)]
    data: bool,
    /// Nodes and sizes as ncdu reads them: `ncdu -f`
    #[arg(long, conflicts_with = "data")]
    json: bool,
}

/// What a good snapshot holds, by numbers.
#[derive(Debug, Default)]
pub(crate) struct Census {
    /// Nodes, the root once.
    pub(crate) nodes: u64,
    /// Bytes of data.
    pub(crate) bytes: u64,
    /// Sessions: time-out in ms, ephemeral nodes.
    pub(crate) sessions: BTreeMap<SessionId, (i32, u64)>,
    /// What follows the nodes.
    pub(crate) trailer: SnapshotTrailer,
    /// The latest zxid that any node carries.
    latest: Zxid,
}

impl Census {
    /// What was applied when the snapshot was done, as far as the file says.
    pub(crate) fn last_zxid(&self, path: &Path) -> Zxid {
        self.trailer.last_zxid.or_else(|| zxid_by_name(path)).unwrap_or(self.latest)
    }
}

/// What was applied when a snapshot was begun, if it has its own name.
pub(crate) fn zxid_by_name(path: &Path) -> Option<Zxid> {
    let name = path.file_name()?.to_str()?.strip_prefix("snapshot.")?;
    i64::from_str_radix(name.split('.').next()?, 16).ok().map(Zxid)
}

/// How sessions are told from other owners: a TTL's owner is no session.
pub(crate) const OWNERS: OwnerRules = OwnerRules { extended_types: true, emulate_353_ttl: false };

pub(crate) fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<Verdict> {
    let path = &arguments.path;
    let census = census(path)?;
    if arguments.json {
        let mut ncdu = Ncdu::begin(out)?;
        each_node(path, |node| ncdu.node(&node.path, node.data.map_or(0, <[u8]>::len)))?;
        ncdu.end()?;
        return Ok(Verdict::Good);
    }
    // The reference keeps the root under two names and counts both.
    writeln!(out, "ZNode Details (count={}):", census.nodes + 1)?;
    each_node(path, |node| print(node, arguments.data, out))?;
    writeln!(out, "----")?;
    writeln!(out, "Session Details (sid, timeout, ephemeralCount):")?;
    for (session, (timeout_ms, ephemerals)) in &census.sessions {
        writeln!(out, "{:#x}, {timeout_ms}, {ephemerals}", session.0)?;
    }
    writeln!(out, "----")?;
    writeln!(out, "Last zxid: {}", census.last_zxid(path))?;
    Ok(Verdict::Good)
}

/// Reads a snapshot to its end and counts.
///
/// # Errors
/// If any seal or record is not good.
pub(crate) fn census(path: &Path) -> Result<Census> {
    let mut census = Census::default();
    let mut reader = open(path)?;
    while let Some(item) = reader.next_item()? {
        match item {
            SnapshotItem::Session(session, timeout_ms) => {
                census.sessions.insert(session, (timeout_ms, 0));
            }
            SnapshotItem::Acl(..) => {}
            SnapshotItem::Node(node) => {
                census.nodes += 1;
                census.bytes += node.data.map_or(0, <[u8]>::len) as u64;
                let stat = &node.stat;
                census.latest = census.latest.max(Zxid(stat.czxid.max(stat.mzxid).max(stat.pzxid)));
                if let OwnerKind::Ephemeral(session) = OWNERS.kind(stat.ephemeral_owner) {
                    census.sessions.entry(session).or_insert((0, 0)).1 += 1;
                }
            }
            SnapshotItem::End(trailer) => census.trailer = trailer,
        }
    }
    Ok(census)
}

/// Opens a snapshot of any name: how it is compressed is told by its first bytes.
pub(crate) fn open(path: &Path) -> Result<SnapshotReader<Inspected>> {
    let compression = match Kind::of(path)? {
        Kind::Snapshot(compression) => compression,
        // Its reader says what is wrong with it.
        Kind::Log | Kind::Directory => Compression::None,
    };
    Ok(SnapshotReader::open(&Inspected::read_only(), path, compression)?)
}

/// Calls `visit` with every node, parents first.
fn each_node(path: &Path, mut visit: impl FnMut(&NodeRecord<'_>) -> Result<()>) -> Result<()> {
    let mut reader = open(path)?;
    while let Some(item) = reader.next_item()? {
        if let SnapshotItem::Node(node) = item {
            visit(&node)?;
        }
    }
    Ok(())
}

fn print(node: &NodeRecord<'_>, with_data: bool, out: &mut dyn Write) -> Result<()> {
    let stat = &node.stat;
    let date = |ms| words::java_date(WallTime(ms));
    writeln!(out, "----\n{}", if node.path.is_empty() { "/" } else { &*node.path })?;
    writeln!(out, "  cZxid = {:#016x}\n  ctime = {}", stat.czxid, date(stat.ctime))?;
    writeln!(out, "  mZxid = {:#016x}\n  mtime = {}", stat.mzxid, date(stat.mtime))?;
    writeln!(out, "  pZxid = {:#016x}\n  cversion = {}", stat.pzxid, stat.cversion)?;
    writeln!(out, "  dataVersion = {}\n  aclVersion = {}", stat.version, stat.aversion)?;
    writeln!(out, "  ephemeralOwner = {:#016x}", stat.ephemeral_owner)?;
    let data = node.data.unwrap_or_default();
    if with_data {
        writeln!(out, "  data = {}", BASE64_STANDARD.encode(data))?;
    } else {
        writeln!(out, "  dataLength = {}", data.len())?;
    }
    Ok(())
}
