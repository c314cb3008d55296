//! A snapshot as a whole, by sizes: what summaries and comparisons are made of.

use crate::snapshot::open;
use anyhow::Result;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use storage::SnapshotItem;
use wire::{Acl, OPEN_ACL_ID, StatPersisted};

/// A node and what is below it.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// The whole path; the root's is "/".
    pub(crate) path: String,
    /// 0 for the root.
    pub(crate) depth: usize,
    /// Bytes of data, of it and all below.
    pub(crate) bytes: u64,
    /// How many nodes are below it.
    pub(crate) descendants: u64,
    /// The node itself, for exact comparison.
    pub(crate) stat: StatPersisted,
    /// Data and access list, as a fingerprint of this process.
    pub(crate) data: u64,
    /// The access list's fingerprint.
    pub(crate) acl: u64,
}

/// All nodes of a snapshot by path.
#[derive(Debug)]
pub(crate) struct Contents {
    /// In the order of their paths, segment by segment: parents first.
    pub(crate) nodes: Vec<Node>,
}

impl Contents {
    /// Reads a snapshot.
    ///
    /// # Errors
    /// If any seal or record is not good.
    pub(crate) fn read(path: &Path) -> Result<Contents> {
        let mut nodes = Vec::new();
        let mut acls: BTreeMap<i64, u64> = BTreeMap::from([(OPEN_ACL_ID, hash(&Acl::open()))]);
        let mut reader = open(path)?;
        while let Some(item) = reader.next_item()? {
            match item {
                SnapshotItem::Acl(id, list) => {
                    acls.insert(id, hash(&list.to_vec()));
                }
                SnapshotItem::Node(node) => nodes.push(Node {
                    depth: node.path.matches('/').count(),
                    path: if node.path.is_empty() { "/".into() } else { node.path.into_owned() },
                    bytes: node.data.map_or(0, <[u8]>::len) as u64,
                    descendants: 0,
                    stat: node.stat,
                    data: hash(&node.data),
                    acl: acls.get(&node.acl_id).copied().unwrap_or_default(),
                }),
                SnapshotItem::Session(..) | SnapshotItem::End(_) => {}
            }
        }
        nodes.sort_by(|a, b| a.path.split('/').cmp(b.path.split('/')));
        add_up(&mut nodes);
        Ok(Contents { nodes })
    }

    /// The nodes from `path` on that are it or below it.
    pub(crate) fn subtree(&self, path: &str) -> Option<&[Node]> {
        let at = self.nodes.iter().position(|node| node.path == path)?;
        let size = 1 + usize::try_from(self.nodes[at].descendants).ok()?;
        self.nodes.get(at..at + size)
    }
}

/// Gives every node the sums of what is below it; parents come first.
fn add_up(nodes: &mut [Node]) {
    // The indexes of the ancestors of the node at hand, by depth.
    let mut ancestors: Vec<usize> = Vec::new();
    for at in 0..nodes.len() {
        ancestors.truncate(nodes[at].depth);
        for ancestor in &ancestors {
            nodes[*ancestor].bytes += nodes[at].bytes;
            nodes[*ancestor].descendants += 1;
        }
        ancestors.push(at);
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
