//! The walk of a fuzzy snapshot: all nodes, parents first, in batches between which writes go on.
//!
//! The tree itself knows the cursors of all walks under way, so that a delete can move them on;
//! there is no copy of anything but the sessions and the table of access lists, which are taken
//! when a walk begins. A walk that is dropped is over, and the tree forgets its cursor.
//! New children come first among their siblings: a child created after its parent was listed is
//! behind the cursor and is not listed, so a listed stat agrees with the listed children but for
//! deletes, which a replay does again. Source: disk format, sections 9 and 13.

use crate::nodes::{Nodes, ROOT};
use crate::slab::NONE;
use crate::tree::Tree;
use base::{SessionId, Zxid};
use std::borrow::Cow;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use wire::{Acl, NodeRecord};

/// A batch ends after so many bytes of data, however few nodes that is: it holds up the writes.
const BATCH_SIZE_MAX: usize = 1 << 20;

/// A walk that has begun, over one tree. Any number of them may be under way.
#[derive(Debug)]
pub struct Walk {
    cursor: Cursor,
    /// The last transaction that is in the snapshot as a whole: the snapshot's name.
    pub start: Zxid,
    /// The sessions and their time-outs in ms.
    pub sessions: Vec<(SessionId, i32)>,
    /// The access lists by id. Nodes may refer to lists that came later.
    pub acls: Vec<(i64, Arc<[Acl]>)>,
}

impl Walk {
    /// Whether every node has been listed.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.cursor.load(Ordering::Relaxed) == NONE
    }
}

/// The next node that a walk lists, or none. Atomic, since a walk holds the tree shared; the lock
/// that guards the tree's writes orders it.
type Cursor = Arc<AtomicU32>;

/// The cursors of the walks under way. Behind a lock of its own, since walks begin on a tree that
/// is shared; nothing waits while it is held.
#[derive(Debug, Default)]
pub(crate) struct Cursors(Mutex<Vec<Cursor>>);

impl Cursors {
    /// Moves on from a leaf that is about to be removed.
    pub(crate) fn leave(&mut self, nodes: &Nodes, node: u32) {
        let cursors = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if cursors.is_empty() {
            return;
        }
        forget_dropped(cursors);
        for cursor in cursors {
            if cursor.load(Ordering::Relaxed) == node {
                let next = nodes.after_subtree(node, ROOT).unwrap_or(NONE);
                cursor.store(next, Ordering::Relaxed);
            }
        }
    }

    fn begin(&self) -> Cursor {
        let cursor = Arc::new(AtomicU32::new(ROOT));
        let mut cursors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        forget_dropped(&mut cursors);
        cursors.push(Arc::clone(&cursor));
        cursor
    }

    fn knows(&self, cursor: &Cursor) -> bool {
        let cursors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cursors.iter().any(|known| Arc::ptr_eq(known, cursor))
    }
}

/// The tree's own reference is the last one when the walk is gone.
fn forget_dropped(cursors: &mut Vec<Cursor>) {
    cursors.retain(|cursor| Arc::strong_count(cursor) > 1);
}

impl Tree {
    /// Begins a walk, beside those that are under way.
    pub fn begin_walk(&self) -> Walk {
        Walk {
            cursor: self.cursors.begin(),
            start: self.last_txn,
            sessions: self.sessions().collect(),
            acls: self.acls.all(),
        }
    }

    /// Lists up to `nodes_max` nodes, or about a MiB, parents first and the root as "". Answers
    /// whether there are more; also "no" to a walk of another tree, which this one may have taken
    /// the place of: then [`Walk::is_done`] stays false.
    pub fn walk_next(
        &self,
        walk: &mut Walk,
        nodes_max: usize,
        list: &mut impl FnMut(NodeRecord<'_>),
    ) -> bool {
        if !self.cursors.knows(&walk.cursor) {
            return false;
        }
        let mut next = match walk.cursor.load(Ordering::Relaxed) {
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
        walk.cursor.store(next.unwrap_or(NONE), Ordering::Relaxed);
        next.is_some()
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
