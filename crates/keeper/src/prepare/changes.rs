//! What is proposed but not yet applied: the tree as it will be, where it differs.
//!
//! Invariant: the record of a path is the one of its latest pending transaction, and goes when
//! that is applied; without a record the tree speaks for itself.

use base::Zxid;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use tree::{DigestPrefix, NodeIndex, Tree};
use wire::{Acl, StatPersisted};

/// A node as it will be.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) stat: StatPersisted,
    pub(crate) children: i64,
    pub(crate) data_size: i64,
    pub(crate) acl: AclState,
    /// Its part of the tree's digest; 0 where none is kept.
    pub(crate) digest: u32,
    /// The digest of all but the stat.
    pub(crate) prefix: Option<DigestPrefix>,
}

/// Where a node's access list is found.
#[derive(Clone, Debug)]
pub(crate) enum AclState {
    /// Everyone may do everything.
    Open,
    /// As the tree has it.
    InTree(NodeIndex),
    /// A list that the tree does not have yet.
    New(Arc<[Acl]>),
}

impl Pending {
    /// Takes the digest that follows from the stat.
    pub(crate) fn seal(&mut self) {
        self.digest = self.prefix.map_or(0, |prefix| prefix.with_stat(&self.stat));
    }
}

#[derive(Debug)]
struct Record {
    zxid: Zxid,
    /// `None`: it will not exist.
    node: Option<Pending>,
}

/// All pending changes.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    records: FxHashMap<Arc<str>, Record>,
    queue: VecDeque<(Zxid, Arc<str>)>,
    /// The digest after all of them; `None` while there are none.
    digest: Option<u64>,
    /// What to put back if the multi under way fails.
    undo: Option<Undo>,
}

#[derive(Debug)]
struct Undo {
    queue_length: usize,
    digest: Option<u64>,
    records: Vec<(Arc<str>, Option<Record>)>,
}

impl Changes {
    /// The node as it will be; `None` if it will not exist.
    pub(crate) fn get(&self, tree: &Tree, path: &str, digest: bool) -> Option<Pending> {
        let path = canonical(path);
        if let Some(record) = self.records.get(path) {
            return record.node.clone();
        }
        let node = tree.find(path)?;
        let acl = if tree.acl(node).is_none() { AclState::Open } else { AclState::InTree(node) };
        let data = tree.data(node);
        Some(Pending {
            stat: tree.stat_persisted(node),
            children: i64::try_from(tree.num_children(node)).unwrap_or(i64::MAX),
            data_size: super::size(data),
            acl,
            digest: tree.node_digest(node),
            prefix: digest.then(|| DigestPrefix::new(path, data)),
        })
    }

    /// Whether the node will exist.
    pub(crate) fn exists(&self, tree: &Tree, path: &str) -> bool {
        match self.records.get(canonical(path)) {
            Some(record) => record.node.is_some(),
            None => tree.find(path).is_some(),
        }
    }

    /// The paths that will exist with their stats, and those that will not.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Option<&Pending>)> {
        // In the order of the transactions, a path at its latest one: never in the map's order.
        self.queue.iter().filter_map(|(zxid, path)| {
            let record = self.records.get(path).filter(|record| record.zxid == *zxid)?;
            Some((&**path, record.node.as_ref()))
        })
    }

    /// The node will be `node` after `zxid`. `old_digest` is what it was counted with before.
    pub(crate) fn put(
        &mut self,
        tree: &Tree,
        zxid: Zxid,
        path: &str,
        old_digest: u32,
        node: Option<Pending>,
    ) {
        let path = canonical(path);
        let new_digest = node.as_ref().map_or(0, |node| node.digest);
        let digest = self.digest(tree).wrapping_sub(u64::from(old_digest));
        self.digest = Some(digest.wrapping_add(u64::from(new_digest)));
        let key = match self.records.get_key_value(path) {
            Some((key, _)) => Arc::clone(key),
            None => Arc::from(path),
        };
        let replaced = self.records.insert(Arc::clone(&key), Record { zxid, node });
        if let Some(undo) = &mut self.undo {
            undo.records.push((Arc::clone(&key), replaced));
        }
        self.queue.push_back((zxid, key));
    }

    /// The tree's digest after all that is pending.
    pub(crate) fn digest(&self, tree: &Tree) -> u64 {
        self.digest.unwrap_or_else(|| tree.digest())
    }

    /// Everything up to `zxid` is in the tree.
    pub(crate) fn applied(&mut self, zxid: Zxid) {
        while let Some((at, _)) = self.queue.front()
            && *at <= zxid
        {
            let Some((at, path)) = self.queue.pop_front() else { break };
            if self.records.get(&path).is_some_and(|record| record.zxid <= at) {
                self.records.remove(&path);
            }
        }
        if self.queue.is_empty() {
            self.digest = None;
        }
    }

    /// From here on changes can be taken back.
    pub(crate) fn begin(&mut self) {
        self.undo =
            Some(Undo { queue_length: self.queue.len(), digest: self.digest, records: Vec::new() });
    }

    /// Changes since [`Changes::begin`] stay.
    pub(crate) fn keep(&mut self) {
        self.undo = None;
    }

    /// Changes since [`Changes::begin`] are taken back.
    pub(crate) fn roll_back(&mut self) {
        let Some(undo) = self.undo.take() else { return };
        for (path, record) in undo.records.into_iter().rev() {
            match record {
                Some(record) => self.records.insert(path, record),
                None => self.records.remove(&path),
            };
        }
        self.queue.truncate(undo.queue_length);
        self.digest = undo.digest;
    }

    /// Forgets everything: none of it will ever be applied.
    pub(crate) fn clear(&mut self) {
        *self = Changes::default();
    }
}

/// The root has one name here.
fn canonical(path: &str) -> &str {
    if path == "/" { "" } else { path }
}
