//! What a proposer knows of a change before it is applied, so that nothing is worked out twice.
//!
//! Who prepared a transaction against this very tree has found its nodes and computed their
//! digests. Both only save work: a tree that is told nothing does the same. Builds with debug
//! assertions, the simulator's among them, compute everything all the same and compare.

use crate::tree::{NodeIndex, Tree};

/// Where a node was found. It says nothing any more once any node has been removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeHint {
    node: NodeIndex,
    /// How many nodes had been removed, wrapping: hints are kept for one batch or two.
    removals: u32,
}

/// One node that a transaction changes, as it will be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Foreseen {
    /// Where it is; `None` if it does not exist yet, or that is not known.
    pub hint: Option<NodeHint>,
    /// Its part of the tree's digest after the change; 0 for a node that goes or does not count.
    pub digest: u32,
}

/// The parent that was found last: its other children need no walk from the root. It is to be
/// forgotten before hints are.
#[derive(Debug, Default)]
pub struct Neighbourhood {
    path: String,
    parent: Option<NodeHint>,
}

impl Neighbourhood {
    pub(crate) fn forget(&mut self) {
        self.parent = None;
    }
}

impl Tree {
    /// As [`Tree::find`], by way of the parent if it is the one of the last call.
    pub fn find_near(&self, path: &str, near: &mut Neighbourhood) -> Option<NodeIndex> {
        let (parent_path, name) = match wire::parent_and_name(path) {
            Some((parent, name)) if !parent.is_empty() => (parent, name),
            _ => return self.find(path),
        };
        self.child(self.parent_near(parent_path, near)?, name)
    }

    /// The node whose children's paths start with `path` and a slash.
    fn parent_near(&self, path: &str, near: &mut Neighbourhood) -> Option<NodeIndex> {
        let known = near.parent.filter(|hint| hint.removals == self.removals);
        if let Some(hint) = known.filter(|_| near.path == path) {
            return Some(hint.node);
        }
        let parent = NodeIndex(self.nodes.find_parent(path)?);
        near.path.clear();
        near.path.push_str(path);
        near.parent = Some(self.hint(parent));
        Some(parent)
    }

    /// Where a node is, for as long as none is removed.
    #[must_use]
    pub fn hint(&self, node: NodeIndex) -> NodeHint {
        NodeHint { node, removals: self.removals }
    }

    /// The node at `path`, by the hint if that still says anything.
    pub(crate) fn find_foreseen(&mut self, path: &str, foreseen: Option<Foreseen>) -> Option<u32> {
        self.by_hint(path, foreseen).or_else(|| self.with_near(|t, near| t.find_near(path, near)))
    }

    /// The same of the node whose children's paths start with `path` and a slash.
    pub(crate) fn parent_foreseen(
        &mut self,
        path: &str,
        foreseen: Option<Foreseen>,
    ) -> Option<u32> {
        self.by_hint(path, foreseen).or_else(|| self.with_near(|t, near| t.parent_near(path, near)))
    }

    fn by_hint(&self, path: &str, foreseen: Option<Foreseen>) -> Option<u32> {
        let hint = foreseen.and_then(|foreseen| foreseen.hint);
        let hint = hint.filter(|hint| hint.removals == self.removals)?;
        debug_assert_eq!(self.nodes.find(path), Some(hint.node.0), "{path} has moved");
        Some(hint.node.0)
    }

    /// Looks near the last change. Who only applies has nothing else to go by.
    fn with_near(
        &mut self,
        find: impl FnOnce(&Tree, &mut Neighbourhood) -> Option<NodeIndex>,
    ) -> Option<u32> {
        let mut near = std::mem::take(&mut self.near);
        let found = find(self, &mut near);
        self.near = near;
        found.map(|node| node.0)
    }
}
