//! The sending side: a walk over the tree, encoded piece by piece.

use super::{END_MARK, SIGNATURE};
use base::Zxid;
use bytes::Bytes;
use jute::{Encode, Writer, put_int, put_long, put_string};
use tree::{Tree, Walk};

/// Sends a tree while it changes. Between two pieces writes go on: the stream holds all that was
/// applied when it began, and perhaps some of what was applied later; the receiver applies that
/// again. Dropping it releases the tree's cursor.
#[derive(Debug)]
pub struct SnapshotSender {
    walk: Walk,
    section: Section,
}

/// What comes next: a count, an element by its position, or nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    SessionCount,
    Session(usize),
    AclCount,
    Acl(usize),
    Nodes,
    Ended,
}

impl SnapshotSender {
    /// Begins at what is applied now. Any number of senders and snapshots may be under way.
    #[must_use]
    pub fn new(tree: &Tree) -> SnapshotSender {
        SnapshotSender { walk: tree.begin_walk(), section: Section::SessionCount }
    }

    /// What was applied when it began: what the SNAP packet says.
    #[must_use]
    pub fn zxid(&self) -> Zxid {
        self.walk.start
    }

    /// The next piece of the stream: `target_bytes` and up to a MiB more. `None` at the end, and
    /// for a tree that is not the one that it began with: then [`SnapshotSender::is_complete`]
    /// is false, and the receiver must be cut off.
    pub fn next_chunk(&mut self, tree: &Tree, target_bytes: usize) -> Option<Bytes> {
        let mut out = Vec::new();
        while out.len() < target_bytes.max(1) && self.section != Section::Ended {
            if !self.step(tree, &mut out) {
                return None;
            }
        }
        (!out.is_empty()).then(|| Bytes::from(out))
    }

    /// Whether all of the stream was given.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.section == Section::Ended
    }

    /// Encodes the next element, or the next few nodes. False if the tree is another one.
    fn step(&mut self, tree: &Tree, out: &mut Vec<u8>) -> bool {
        let Walk { sessions, acls, .. } = &self.walk;
        self.section = match self.section {
            Section::SessionCount => {
                put_int(out, count(sessions.len()));
                Section::Session(0)
            }
            Section::Session(at) => match sessions.get(at) {
                Some((session, timeout_ms)) => {
                    put_long(out, session.0);
                    put_int(out, *timeout_ms);
                    Section::Session(at + 1)
                }
                None => Section::AclCount,
            },
            Section::AclCount => {
                put_int(out, count(acls.len()));
                Section::Acl(0)
            }
            Section::Acl(at) => match acls.get(at) {
                Some((id, list)) => {
                    Writer::new(out).long(*id).vector(list);
                    Section::Acl(at + 1)
                }
                None => Section::Nodes,
            },
            Section::Nodes => return self.nodes(tree, out),
            Section::Ended => Section::Ended,
        };
        true
    }

    fn nodes(&mut self, tree: &Tree, out: &mut Vec<u8>) -> bool {
        let walk = &mut self.walk;
        if tree.walk_next(walk, NODES_PER_STEP, &mut |node| node.encode(out)) {
            return true;
        }
        if walk.is_done() {
            put_string(out, END_MARK);
            put_string(out, SIGNATURE);
            self.section = Section::Ended;
        }
        walk.is_done()
    }
}

fn count(n: usize) -> i32 {
    i32::try_from(n).expect("counts are bounded by memory far below 2^31")
}

/// Nodes that are encoded before the size of a piece is looked at again.
const NODES_PER_STEP: usize = 16;
