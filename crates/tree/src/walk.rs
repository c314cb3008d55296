//! The walk of a fuzzy snapshot: all nodes, parents first, in batches between which writes go on.
//!
//! The tree itself holds the cursor, so that a delete can move it on; there is no copy of
//! anything but the sessions and the table of access lists, which are taken when the walk begins.
//! New children come first among their siblings: a child created after its parent was listed is
//! behind the cursor and is not listed, so a listed stat agrees with the listed children but for
//! deletes, which a replay does again. Source: disk format, sections 9 and 13.

use crate::nodes::{Nodes, ROOT};
use crate::slab::NONE;
use crate::tree::Tree;
use base::{SessionId, Zxid};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use wire::{Acl, NodeRecord};

/// A batch ends after so many bytes of data, however few nodes that is: it holds up the writes.
const BATCH_SIZE_MAX: usize = 1 << 20;

/// A walk that has begun. One at a time: an older one ends when the next begins.
#[derive(Debug)]
pub struct Walk {
    number: u64,
    /// The last transaction that is in the snapshot as a whole: the snapshot's name.
    pub start: Zxid,
    /// The sessions and their time-outs in ms.
    pub sessions: Vec<(SessionId, i32)>,
    /// The access lists by id. Nodes may refer to lists that came later.
    pub acls: Vec<(i64, Arc<[Acl]>)>,
}

/// Where the current walk is. Atomic, since a walk holds the tree shared; the lock that guards
/// the tree's writes orders it.
#[derive(Debug)]
pub(crate) struct Cursor {
    /// Which walk it belongs to.
    number: AtomicU64,
    /// The next node to list, or none.
    at: AtomicU32,
}

impl Default for Cursor {
    fn default() -> Cursor {
        Cursor { number: AtomicU64::new(0), at: AtomicU32::new(NONE) }
    }
}

impl Cursor {
    /// Moves on from a leaf that is about to be removed.
    pub(crate) fn leave(&mut self, nodes: &Nodes, node: u32) {
        if *self.at.get_mut() == node {
            *self.at.get_mut() = nodes.after_subtree(node, ROOT).unwrap_or(NONE);
        }
    }
}

impl Tree {
    /// Begins a walk.
    pub fn begin_walk(&self) -> Walk {
        let number = self.cursor.number.fetch_add(1, Ordering::Relaxed) + 1;
        self.cursor.at.store(ROOT, Ordering::Relaxed);
        Walk {
            number,
            start: self.last_zxid,
            sessions: self.sessions().collect(),
            acls: self.acls.all(),
        }
    }

    /// Lists up to `nodes_max` nodes, or about a MiB, parents first and the root as "". Answers
    /// whether there are more; also "no" if another walk has begun since, which the caller sees
    /// by [`Tree::is_current`].
    pub fn walk_next(
        &self,
        walk: &mut Walk,
        nodes_max: usize,
        list: &mut impl FnMut(NodeRecord<'_>),
    ) -> bool {
        if !self.is_current(walk) {
            return false;
        }
        let mut next = match self.cursor.at.load(Ordering::Relaxed) {
            NONE => return false,
            node => Some(node),
        };
        let mut path = String::new();
        self.nodes.push_path(next.unwrap_or(ROOT), &mut path);
        let mut size = 0;
        for _ in 0..nodes_max {
            let Some(node) = next else { break };
            let data = self.nodes.blob(node).data;
            size += path.len() + data.map_or(0, <[u8]>::len);
            list(NodeRecord {
                path: Cow::Borrowed(&path),
                data,
                acl_id: self.acls.id(self.nodes.record(node).acl),
                stat: self.nodes.stat(node),
            });
            next = self.advance(node, &mut path);
            if size >= BATCH_SIZE_MAX {
                break;
            }
        }
        self.cursor.at.store(next.unwrap_or(NONE), Ordering::Relaxed);
        next.is_some()
    }

    /// Whether no other walk has begun since this one.
    pub fn is_current(&self, walk: &Walk) -> bool {
        walk.number == self.cursor.number.load(Ordering::Relaxed)
    }

    /// The node after `node`, with `path` made its own.
    fn advance(&self, node: u32, path: &mut String) -> Option<u32> {
        let next = self.nodes.after(node, ROOT)?;
        let parent = self.nodes.record(next).parent;
        let mut at = node;
        while at != parent {
            path.truncate(path.rfind('/').unwrap_or(0));
            at = self.nodes.record(at).parent;
        }
        path.push('/');
        path.push_str(self.nodes.name(next));
        Some(next)
    }
}
