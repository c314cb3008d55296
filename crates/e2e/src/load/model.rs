//! What the subtree of one worker must be, as its replies tell.
//!
//! A worker writes alone below its own node, so its writes in their order decide that subtree:
//! results, versions, sequence numbers and access lists follow from the writes, zxids from the
//! replies. A zxid is unknown where a write was found done that nobody acknowledged.

use super::op::{Op, Outcome, access_list};
use crate::tree::{Tree, Znode};
use jute::Writer;
use std::collections::BTreeMap;
use wire::{ErrorCode, OpCode};

/// A node as it must be.
#[derive(Clone, Debug)]
struct Known {
    data: Vec<u8>,
    acl: usize,
    owner: i64,
    version: i32,
    aversion: i32,
    /// How many children were ever created: the next sequence number.
    created: i32,
    children: i32,
    czxid: Option<i64>,
    mzxid: Option<i64>,
    pzxid: Option<i64>,
}

/// A worker's subtree.
#[derive(Clone, Debug)]
pub(super) struct Model {
    base: String,
    nodes: BTreeMap<String, Known>,
}

type Applied<T> = Result<T, ErrorCode>;

impl Model {
    /// The subtree that is only its root, created with open access and that zxid.
    #[must_use]
    pub(super) fn new(base: &str, zxid: i64) -> Model {
        let root = Known::new(Vec::new(), 0, 0, Some(zxid));
        Model { base: base.to_owned(), nodes: BTreeMap::from([(base.to_owned(), root)]) }
    }

    /// All paths.
    #[must_use]
    pub(super) fn paths(&self) -> Vec<&str> {
        self.nodes.keys().map(String::as_str).collect()
    }

    /// The version of a node.
    #[must_use]
    pub(super) fn version(&self, path: &str) -> Option<i32> {
        self.nodes.get(path).map(|node| node.version)
    }

    /// Does what `session` asks for, and says what the reply must be.
    pub(super) fn apply(&mut self, op: &Op, session: i64, zxid: Option<i64>) -> Outcome {
        match op {
            Op::Create { path, data, flags, acl, op } => {
                match self.create(path, data, *acl, mode(*op, *flags), session, zxid) {
                    Ok(path) => Outcome::Created(path),
                    Err(error) => Outcome::Failed(error.number()),
                }
            }
            Op::Delete { path, version } => done(self.delete(path, *version, zxid)),
            Op::Set { path, data, version } => done(self.set(path, data, *version, zxid)),
            Op::SetAcl { path, acl, version } => done(self.set_acl(path, *acl, *version)),
            Op::Check { path, version } => done(self.check(path, *version)),
            Op::Multi(ops) => self.multi(ops, session, zxid),
            Op::Draw => Outcome::Drawn,
            Op::Return(_) => Outcome::Done,
            Op::Close => {
                self.end_session(session, zxid);
                Outcome::Done
            }
        }
    }

    fn multi(&mut self, ops: &[Op], session: i64, zxid: Option<i64>) -> Outcome {
        let mut trial = self.clone();
        for (at, op) in ops.iter().enumerate() {
            if let Outcome::Failed(error) = trial.apply(op, session, zxid) {
                let inconsistency = ErrorCode::RuntimeInconsistency.number();
                let after = std::iter::repeat_n(inconsistency, ops.len() - at - 1);
                let before = std::iter::repeat_n(0, at);
                return Outcome::Multi(before.chain([error]).chain(after).collect());
            }
        }
        *self = trial;
        Outcome::Multi(vec![0; ops.len()])
    }

    fn create(
        &mut self,
        path: &str,
        data: &[u8],
        acl: usize,
        mode: (bool, bool),
        session: i64,
        zxid: Option<i64>,
    ) -> Applied<String> {
        let (ephemeral, sequential) = mode;
        let parent_path = parent(path);
        let parent = self.nodes.get(parent_path).ok_or(ErrorCode::NoNode)?;
        let path =
            if sequential { format!("{path}{:010}", parent.created) } else { path.to_owned() };
        if self.nodes.contains_key(&path) {
            return Err(ErrorCode::NodeExists);
        }
        if parent.owner != 0 {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        let owner = if ephemeral { session } else { 0 };
        self.nodes.insert(path.clone(), Known::new(data.to_vec(), acl, owner, zxid));
        let parent = self.nodes.get_mut(parent_path).ok_or(ErrorCode::NoNode)?;
        parent.created += 1;
        parent.children += 1;
        parent.pzxid = zxid;
        Ok(path)
    }

    fn delete(&mut self, path: &str, version: i32, zxid: Option<i64>) -> Applied<()> {
        self.check(path, version)?;
        if self.nodes[path].children != 0 {
            return Err(ErrorCode::NotEmpty);
        }
        self.remove(path, zxid);
        Ok(())
    }

    fn remove(&mut self, path: &str, zxid: Option<i64>) {
        self.nodes.remove(path);
        if let Some(parent) = self.nodes.get_mut(parent(path)) {
            parent.children -= 1;
            parent.pzxid = zxid;
        }
    }

    fn set(&mut self, path: &str, data: &[u8], version: i32, zxid: Option<i64>) -> Applied<()> {
        self.check(path, version)?;
        let node = self.nodes.get_mut(path).ok_or(ErrorCode::NoNode)?;
        data.clone_into(&mut node.data);
        node.version += 1;
        node.mzxid = zxid;
        Ok(())
    }

    fn set_acl(&mut self, path: &str, acl: usize, version: i32) -> Applied<()> {
        let node = self.nodes.get_mut(path).ok_or(ErrorCode::NoNode)?;
        if version != -1 && version != node.aversion {
            return Err(ErrorCode::BadVersion);
        }
        node.acl = acl;
        node.aversion += 1;
        Ok(())
    }

    fn check(&self, path: &str, version: i32) -> Applied<()> {
        let node = self.nodes.get(path).ok_or(ErrorCode::NoNode)?;
        if version != -1 && version != node.version {
            return Err(ErrorCode::BadVersion);
        }
        Ok(())
    }

    fn end_session(&mut self, session: i64, zxid: Option<i64>) {
        let owned = self.nodes.iter().filter(|(_, node)| node.owner == session);
        let paths: Vec<String> = owned.map(|(path, _)| path.clone()).collect();
        paths.iter().for_each(|path| self.remove(path, zxid));
    }

    /// Where a tree is not as it must be. A zxid that is not known must be above `floor`.
    #[must_use]
    pub(super) fn difference(&self, tree: &Tree, floor: i64) -> Option<String> {
        let below = format!("{}/", self.base);
        let is_mine = |path: &&String| **path == self.base || path.starts_with(&below);
        if let Some(path) = tree.keys().filter(is_mine).find(|path| !self.nodes.contains_key(*path))
        {
            return Some(format!("{path} should not be there"));
        }
        self.nodes.iter().find_map(|(path, known)| match tree.get(path) {
            None => Some(format!("{path} is missing: {known:?}")),
            Some(node) if known.matches(node, floor) => None,
            Some(node) => Some(format!("{path} is {node:?}, not {known:?}")),
        })
    }

    /// Takes what was unknown from a tree that has no difference.
    pub(super) fn learn(&mut self, tree: &Tree) {
        for (path, known) in &mut self.nodes {
            let stat = tree[path].stat;
            known.czxid = Some(stat.czxid);
            known.mzxid = Some(stat.mzxid);
            known.pzxid = Some(stat.pzxid);
        }
    }
}

impl Known {
    fn new(data: Vec<u8>, acl: usize, owner: i64, zxid: Option<i64>) -> Known {
        let (version, aversion, created, children) = (0, 0, 0, 0);
        let (czxid, mzxid, pzxid) = (zxid, zxid, zxid);
        Known { data, acl, owner, version, aversion, created, children, czxid, mzxid, pzxid }
    }

    fn matches(&self, node: &Znode, floor: i64) -> bool {
        let stat = &node.stat;
        let zxid = |known: Option<i64>, found: i64| match known {
            Some(zxid) => zxid == found,
            None => found > floor,
        };
        let mut acl = Vec::new();
        Writer::new(&mut acl).vector(&access_list(self.acl));
        node.data.as_deref() == Some(&self.data[..])
            && node.acl == acl
            && stat.ephemeral_owner == self.owner
            && stat.version == self.version
            && stat.aversion == self.aversion
            && stat.cversion == 2 * self.created - self.children
            && stat.num_children == self.children
            && usize::try_from(stat.data_length).ok() == Some(self.data.len())
            && zxid(self.czxid, stat.czxid)
            && zxid(self.mzxid, stat.mzxid)
            && zxid(self.pzxid, stat.pzxid)
    }
}

fn done(result: Applied<()>) -> Outcome {
    match result {
        Ok(()) => Outcome::Done,
        Err(error) => Outcome::Failed(error.number()),
    }
}

/// Whether a create makes an ephemeral node, and a sequential one.
fn mode(op: OpCode, flags: i32) -> (bool, bool) {
    let plain = matches!(op, OpCode::Create | OpCode::Create2);
    (plain && matches!(flags, 1 | 3), matches!(flags, 2 | 3 | 6))
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

#[cfg(test)]
mod tests {
    use super::{Model, Op, Outcome};
    use wire::OpCode;

    fn create(path: &str, flags: i32) -> Op {
        Op::Create { op: OpCode::Create, path: path.into(), data: Vec::new(), flags, acl: 0 }
    }

    #[test]
    fn a_failed_multi_leaves_nothing_and_uses_up_no_number() {
        let mut model = Model::new("/w", 1);
        let check = Op::Check { path: "/w".into(), version: 7 };
        let multi = Op::Multi(vec![create("/w/s-", 2), check, create("/w/a", 0)]);
        assert_eq!(model.apply(&multi, 5, Some(2)), Outcome::Multi(vec![0, -103, -2]));
        let first = Outcome::Created("/w/s-0000000000".into());
        assert_eq!(model.apply(&create("/w/s-", 2), 5, Some(3)), first);
    }

    #[test]
    fn the_end_of_a_session_takes_its_nodes_alone() {
        let mut model = Model::new("/w", 1);
        model.apply(&create("/w/mine", 1), 5, Some(2));
        model.apply(&create("/w/other", 1), 6, Some(3));
        model.apply(&Op::Close, 5, Some(4));
        assert_eq!(model.paths(), ["/w", "/w/other"]);
    }
}
