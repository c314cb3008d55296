//! A whole tree as one client reads it: to be held against what clients saw, or another server.
//!
//! Guarantees: everything that a client can learn of a node is in it, times and zxids included.

use crate::play::{Client, Item};
use crate::program::{Request, Value};
use anyhow::{Context, Result, bail, ensure};
use jute::{Decode, Reader};
use std::collections::BTreeMap;
use wire::{OpCode, ReplyHeader, Stat};

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Znode {
    /// Its data; null stays null.
    pub data: Option<Vec<u8>>,
    /// Its access list, as it is encoded in replies.
    pub acl: Vec<u8>,
    /// The rest.
    pub stat: Stat,
}

/// Nodes by path.
pub type Tree = BTreeMap<String, Znode>;

/// How many nodes are read in one write.
const BATCH: usize = 200;
/// What ends the reply to getACL.
const STAT_SIZE: usize = 68;

/// Reads every node that the client may read.
///
/// # Errors
/// If the connection ends or a node that is there cannot be read.
pub fn read(client: &mut Client) -> Result<Tree> {
    let mut tree = Tree::new();
    let mut level = vec!["/".to_owned()];
    while !level.is_empty() {
        let mut below = Vec::new();
        for batch in level.chunks(BATCH) {
            let requests: Vec<Request> = batch.iter().flat_map(|path| reads(path)).collect();
            let replies = answers(client, &requests)?;
            for (path, replies) in batch.iter().zip(replies.chunks(3)) {
                let (node, children) = node(replies).with_context(|| path.clone())?;
                let parent = path.trim_end_matches('/');
                below.extend(children.iter().map(|child| format!("{parent}/{child}")));
                tree.insert(path.clone(), node);
            }
        }
        level = below;
    }
    Ok(tree)
}

/// Sends requests and gives the reply to each.
///
/// # Errors
/// If one is not answered.
pub fn answers(client: &mut Client, requests: &[Request]) -> Result<Vec<(ReplyHeader, Vec<u8>)>> {
    replies(client.exchange(requests)?, requests.len())
}

/// The replies among what came, which must be `wanted`.
pub(crate) fn replies(items: Vec<Item>, wanted: usize) -> Result<Vec<(ReplyHeader, Vec<u8>)>> {
    let (mut replies, mut others) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Item::Reply { header, body, .. } => replies.push((header, body)),
            Item::Hello(_)
            | Item::Barrier(_)
            | Item::Event { .. }
            | Item::Missing { .. }
            | Item::Unexpected(_)
            | Item::Closed
            | Item::Silence => others.push(item),
        }
    }
    ensure!(replies.len() == wanted, "{} replies of {wanted}, {others:?}", replies.len());
    Ok(replies)
}

/// The first differences of two trees, for a message; `None` if there are none.
#[must_use]
pub fn difference(left: &Tree, right: &Tree) -> Option<String> {
    let paths = left.keys().chain(right.keys().filter(|path| !left.contains_key(*path)));
    let lines: Vec<String> = paths
        .filter(|path| left.get(*path) != right.get(*path))
        .take(5)
        .map(|path| format!("{path}:\n  {:?}\n  {:?}", left.get(path), right.get(path)))
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn reads(path: &str) -> [Request; 3] {
    let path = || Value::Text(path.to_owned());
    [
        Request::new(OpCode::GetData, vec![path(), Value::Bool(false)]),
        Request::new(OpCode::GetAcl, vec![path()]),
        Request::new(OpCode::GetChildren, vec![path(), Value::Bool(false)]),
    ]
}

fn node(replies: &[(ReplyHeader, Vec<u8>)]) -> Result<(Znode, Vec<String>)> {
    if let Some((header, _)) = replies.iter().find(|(header, _)| header.err != 0) {
        bail!("cannot be read: {}", header.err);
    }
    let mut reader = Reader::new(&replies[0].1);
    let data = reader.buffer()?.map(<[u8]>::to_vec);
    let stat = Stat::decode(&mut reader)?;
    let acl = &replies[1].1;
    let acl = acl[..acl.len().saturating_sub(STAT_SIZE)].to_vec();
    let mut reader = Reader::new(&replies[2].1);
    let count = reader.count(4)?.unwrap_or(0);
    let mut children = Vec::with_capacity(count);
    for _ in 0..count {
        children.push(reader.string()?.unwrap_or_default().into_owned());
    }
    Ok((Znode { data, acl, stat }, children))
}
