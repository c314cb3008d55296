//! Building a tree from a snapshot's parts, in the order in which the file has them.
//!
//! A fuzzy snapshot may refer to an access list that it does not hold; the replay of the log gives
//! such nodes their lists. Until then nobody may do anything with them.
//! Source: disk format, sections 9, 10 and 12.

use crate::acl_cache;
use crate::nodes::{Nodes, ROOT};
use crate::quota;
use crate::tree::{Config, Tree, data_size};
use base::{SessionId, Zxid};
use rustc_hash::FxHashMap;
use wire::{Acl, Id, NodeRecord, OPEN_ACL_ID};

/// Why a snapshot is no tree. The snapshot is corrupt; an older one may do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// A node came before its parent, or without it.
    #[error("the parent of node \"{0}\" is not in the snapshot before it")]
    MissingParent(String),
    /// A node came twice.
    #[error("node \"{0}\" is in the snapshot twice")]
    Duplicate(String),
    /// There is no root.
    #[error("the snapshot has no root")]
    NoRoot,
}

/// A tree in the making.
pub struct TreeBuilder {
    tree: Tree,
    has_root: bool,
    /// Slots by the ids of the snapshot. For look-ups only.
    acls: FxHashMap<i64, u32>,
    /// The parent of the last node: mostly that of the next, too.
    parent: (String, u32),
}

impl TreeBuilder {
    /// Nothing yet.
    #[must_use]
    pub fn new(config: Config) -> TreeBuilder {
        TreeBuilder {
            tree: Tree::bare(config),
            has_root: false,
            acls: FxHashMap::default(),
            parent: (String::new(), ROOT),
        }
    }

    /// Takes a session and its time-out in ms.
    pub fn session(&mut self, session: SessionId, timeout_ms: i32) {
        self.tree.sessions.insert(session, timeout_ms);
    }

    /// Takes an access list.
    pub fn acl(&mut self, id: i64, list: Vec<Acl>) {
        if id != OPEN_ACL_ID {
            let slot = self.tree.acls.restore(id, list);
            self.acls.insert(id, slot);
        }
    }

    /// Takes a node; the root has the path "" and comes first.
    ///
    /// # Errors
    /// If its parent did not come before it, or it came already.
    pub fn node(&mut self, node: &NodeRecord<'_>) -> Result<(), RestoreError> {
        let path = &*node.path;
        if path.is_empty() {
            return self.root(node);
        }
        let missing = || RestoreError::MissingParent(path.to_owned());
        if !self.has_root {
            return Err(missing());
        }
        let (parent_path, name) = wire::parent_and_name(path).ok_or_else(missing)?;
        if self.parent.0 != parent_path {
            let parent = self.tree.nodes.find_parent(parent_path).ok_or_else(missing)?;
            parent_path.clone_into(&mut self.parent.0);
            self.parent.1 = parent;
        }
        let parent = self.parent.1;
        if path == "/" || self.tree.nodes.child(parent, name).is_some() {
            return Err(RestoreError::Duplicate(path.to_owned()));
        }
        let acl = self.acl_slot(node.acl_id);
        self.tree.insert_at((parent, name), path, node.data, acl, &node.stat, None);
        Ok(())
    }

    /// The tree, as of `last_zxid`.
    ///
    /// # Errors
    /// If there was no root.
    pub fn finish(mut self, last_zxid: Zxid) -> Result<Tree, RestoreError> {
        if !self.has_root {
            return Err(RestoreError::NoRoot);
        }
        (self.tree.last_zxid, self.tree.last_txn) = (last_zxid, last_zxid);
        self.tree.acls.purge();
        self.tree.restore_quotas();
        Ok(self.tree)
    }

    fn root(&mut self, node: &NodeRecord<'_>) -> Result<(), RestoreError> {
        if std::mem::replace(&mut self.has_root, true) {
            return Err(RestoreError::Duplicate(String::new()));
        }
        let acl = self.acl_slot(node.acl_id);
        self.tree.nodes = Nodes::new(node.data, acl, &node.stat);
        self.tree.size += 2 * data_size(node.data);
        self.tree.redigest(ROOT, "", node.data, None);
        Ok(())
    }

    fn acl_slot(&mut self, id: i64) -> u32 {
        if id == OPEN_ACL_ID {
            return acl_cache::OPEN;
        }
        match self.acls.get(&id) {
            Some(slot) => {
                self.tree.acls.add_reference(*slot);
                *slot
            }
            None => {
                let nobody = Acl { perms: 0, id: Id::new("world", "anyone") };
                self.tree.acls.intern_list(vec![nobody])
            }
        }
    }
}

impl Tree {
    /// Finds the paths that have quotas and counts what they hold.
    fn restore_quotas(&mut self) {
        let Some(top) = self.nodes.find(quota::QUOTA_ROOT) else { return };
        let mut subjects = Vec::new();
        for node in self.nodes.subtree(top) {
            if self.nodes.name(node) == quota::LIMITS_NAME && self.nodes.first_child(node).is_none()
            {
                let mut path = String::new();
                self.nodes.push_path(self.nodes.record(node).parent, &mut path);
                subjects.extend(quota::subject(&path).map(str::to_owned));
            }
        }
        for subject in subjects {
            self.recount_quota(&subject);
            self.quotas.insert(&subject);
        }
    }
}
