//! Writes on the model: the checks in ZooKeeper's order, then the effect.

use crate::errors::*;
use crate::model::{Change, EventKind, Kind, Model, Node, split};
use crate::record::{Acl, Body, Mode, Op, Part, perms};
use std::collections::BTreeSet;

/// Where a write stands, and who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) zxid: i64,
    pub(crate) time: i64,
    pub(crate) session: i64,
    /// Whether only one server knows the session, and so the order does not.
    pub(crate) local: bool,
    pub(crate) ids: &'a [(String, String)],
}

/// What a write gives: an error in the header, or a body.
pub(crate) type Outcome = Result<Body, i32>;

impl Model {
    /// Does one client's write. The changes are what watchers are told, in order.
    pub(crate) fn write(&mut self, op: &Op, at: Place<'_>, changes: &mut Vec<Change>) -> Outcome {
        match op {
            Op::Create { path, data, acl, mode, with_stat } => {
                let created = self.create(path, data.as_deref(), acl, *mode, at, changes)?;
                let stat = self.nodes[&created].stat();
                Ok(if *with_stat { Body::PathStat(created, stat) } else { Body::Path(created) })
            }
            Op::Delete { path, version } => self.delete(path, *version, at, changes),
            Op::SetData { path, data, version } => {
                self.set_data(path, data.as_deref(), *version, at, changes)
            }
            Op::SetAcl { path, acl, version } => self.set_acl(path, acl, *version, at),
            Op::Check { path, version } => self.check(path, *version, at),
            Op::Multi(parts) => Ok(Body::Parts(self.multi(parts, at, changes))),
            Op::Reconfig(change) => self.reconfigure(change, at, 0, changes),
            Op::Close => {
                self.close(at.session, at.zxid, changes);
                Ok(Body::Empty)
            }
            Op::Exists { .. }
            | Op::GetData { .. }
            | Op::GetChildren { .. }
            | Op::GetAcl { .. }
            | Op::CountDescendants { .. }
            | Op::GetEphemerals { .. }
            | Op::MultiRead(_)
            | Op::Sync { .. }
            | Op::Ping
            | Op::AddWatch { .. }
            | Op::CheckWatches { .. }
            | Op::RemoveWatches { .. }
            | Op::SetWatches(_) => Err(UNIMPLEMENTED),
        }
    }

    /// Ends a session: its ephemeral nodes go in the order of their paths.
    pub(crate) fn close(&mut self, session: i64, zxid: i64, changes: &mut Vec<Change>) {
        for path in self.ephemerals(session) {
            self.remove(&path, zxid, changes);
        }
        self.sessions.remove(&session);
    }

    /// The server's own delete; `Err` if it had no right to it.
    pub(crate) fn reap(
        &mut self,
        path: &str,
        zxid: i64,
        changes: &mut Vec<Change>,
    ) -> Result<(), String> {
        let node = self.nodes.get(path).ok_or_else(|| format!("{path} is not there"))?;
        if !node.children.is_empty() || matches!(node.kind, Kind::Ephemeral(_)) {
            return Err(format!("{path} has children or is ephemeral: {node:?}"));
        }
        self.remove(path, zxid, changes);
        Ok(())
    }

    fn multi(&mut self, parts: &[Op], at: Place<'_>, changes: &mut Vec<Change>) -> Vec<Part> {
        let (before, changes_before) = (self.nodes.clone(), changes.len());
        let mut done = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            match self.write(part, at, changes) {
                Ok(body) => done.push(Part::Done(body)),
                Err(code) => {
                    self.nodes = before;
                    changes.truncate(changes_before);
                    let failed = |i: usize| match i.cmp(&index) {
                        std::cmp::Ordering::Less => 0,
                        std::cmp::Ordering::Equal => code,
                        std::cmp::Ordering::Greater => NOT_REACHED,
                    };
                    return (0..parts.len()).map(|i| Part::Failed(failed(i))).collect();
                }
            }
        }
        done
    }

    pub(crate) fn check_session(&self, at: Place<'_>) -> Result<(), i32> {
        let lives = at.local || self.sessions.contains_key(&at.session);
        if lives { Ok(()) } else { Err(SESSION_EXPIRED) }
    }

    fn reachable(&self, path: &str, perms: i32, at: Place<'_>) -> Result<&Node, i32> {
        let node = self.nodes.get(path).ok_or(NO_NODE)?;
        if node.permits(at.ids, perms) { Ok(node) } else { Err(NO_AUTH) }
    }

    fn create(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        acl: &[Acl],
        mode: Mode,
        at: Place<'_>,
        changes: &mut Vec<Change>,
    ) -> Result<String, i32> {
        if mode.ttl_ms.is_some() && !self.config.ttl_nodes {
            return Err(UNIMPLEMENTED);
        }
        self.check_session(at)?;
        if mode.ephemeral && at.local {
            return Err(EPHEMERAL_ON_LOCAL_SESSION);
        }
        let (parent_path, _) = split(path).ok_or(BAD_ARGUMENTS)?;
        let acl = fixed(acl, at.ids)?;
        let parent = self.reachable(parent_path, perms::CREATE, at)?;
        let number =
            if mode.sequential { format!("{:010}", parent.created) } else { String::new() };
        let full = format!("{path}{number}");
        check_path(&full)?;
        if self.nodes.contains_key(&full) {
            return Err(NODE_EXISTS);
        }
        if matches!(parent.kind, Kind::Ephemeral(_)) {
            return Err(NO_CHILDREN_FOR_EPHEMERALS);
        }
        let kind = match mode {
            Mode { ttl_ms: Some(ms), .. } => Kind::Ttl(ms),
            Mode { container: true, .. } => Kind::Container,
            Mode { ephemeral: true, .. } => Kind::Ephemeral(at.session),
            Mode { .. } => Kind::Plain,
        };
        self.add(&full, data, acl, kind, at, changes);
        Ok(full)
    }

    fn add(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        acl: Vec<Acl>,
        kind: Kind,
        at: Place<'_>,
        changes: &mut Vec<Change>,
    ) {
        let Some((parent_path, name)) = split(path) else { return };
        let Some(parent) = self.nodes.get_mut(parent_path) else { return };
        parent.created += 1;
        parent.pzxid = at.zxid;
        parent.children.insert(name.into());
        let parent_acl = parent.acl.clone();
        changes.push(Change { kind: EventKind::Created, path: path.into(), acl: acl.clone() });
        changes.push(Change {
            kind: EventKind::Children,
            path: parent_path.into(),
            acl: parent_acl,
        });
        let node = Node {
            data: data.map(<[u8]>::to_vec),
            acl,
            kind,
            czxid: at.zxid,
            mzxid: at.zxid,
            pzxid: at.zxid,
            ctime: at.time,
            mtime: at.time,
            version: 0,
            aversion: 0,
            created: 0,
            children: BTreeSet::new(),
        };
        self.nodes.insert(path.into(), node);
    }

    fn delete(
        &mut self,
        path: &str,
        version: i32,
        at: Place<'_>,
        changes: &mut Vec<Change>,
    ) -> Outcome {
        self.check_session(at)?;
        const KEPT: [&str; 4] = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];
        let (parent_path, _) =
            split(path).filter(|_| !KEPT.contains(&path)).ok_or(BAD_ARGUMENTS)?;
        self.reachable(parent_path, perms::DELETE, at)?;
        let node = self.nodes.get(path).ok_or(NO_NODE)?;
        expect_version(node.version, version)?;
        if !node.children.is_empty() {
            return Err(NOT_EMPTY);
        }
        self.remove(path, at.zxid, changes);
        Ok(Body::Empty)
    }

    fn remove(&mut self, path: &str, zxid: i64, changes: &mut Vec<Change>) {
        let (Some((parent_path, name)), Some(node)) = (split(path), self.nodes.remove(path)) else {
            return;
        };
        changes.push(Change { kind: EventKind::Deleted, path: path.into(), acl: node.acl });
        let Some(parent) = self.nodes.get_mut(parent_path) else { return };
        parent.children.remove(name);
        parent.pzxid = zxid;
        let acl = parent.acl.clone();
        changes.push(Change { kind: EventKind::Children, path: parent_path.into(), acl });
    }

    fn set_data(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        version: i32,
        at: Place<'_>,
        changes: &mut Vec<Change>,
    ) -> Outcome {
        self.check_session(at)?;
        check_path(path)?;
        let node = self.reachable(path, perms::WRITE, at)?;
        expect_version(node.version, version)?;
        let Some(node) = self.nodes.get_mut(path) else { return Err(NO_NODE) };
        node.version += 1;
        node.data = data.map(<[u8]>::to_vec);
        node.mzxid = at.zxid;
        node.mtime = at.time;
        changes.push(Change { kind: EventKind::Data, path: path.into(), acl: node.acl.clone() });
        Ok(Body::Stat(node.stat()))
    }

    fn set_acl(&mut self, path: &str, acl: &[Acl], version: i32, at: Place<'_>) -> Outcome {
        self.check_session(at)?;
        check_path(path)?;
        let acl = fixed(acl, at.ids)?;
        let node = self.reachable(path, perms::ADMIN, at)?;
        expect_version(node.aversion, version)?;
        let Some(node) = self.nodes.get_mut(path) else { return Err(NO_NODE) };
        node.aversion += 1;
        node.acl = acl;
        Ok(Body::Stat(node.stat()))
    }

    fn check(&self, path: &str, version: i32, at: Place<'_>) -> Outcome {
        self.check_session(at)?;
        check_path(path)?;
        expect_version(self.reachable(path, perms::READ, at)?.version, version)?;
        Ok(Body::Empty)
    }
}

fn expect_version(current: i32, expected: i32) -> Result<(), i32> {
    if expected == -1 || expected == current { Ok(()) } else { Err(BAD_VERSION) }
}

/// The list with `auth` entries replaced by what the client proved, repeated ones left out.
fn fixed(acl: &[Acl], ids: &[(String, String)]) -> Result<Vec<Acl>, i32> {
    let mut list = Vec::new();
    let mut seen: Vec<&Acl> = Vec::new();
    for entry in acl {
        if seen.contains(&entry) {
            continue;
        }
        seen.push(entry);
        if entry.scheme == "auth" {
            let before = list.len();
            let proved = ids.iter().filter(|(scheme, _)| scheme == "digest");
            list.extend(proved.map(|(scheme, id)| Acl {
                perms: entry.perms,
                scheme: scheme.clone(),
                id: id.clone(),
            }));
            if list.len() == before {
                return Err(INVALID_ACL);
            }
        } else {
            list.push(entry.clone());
        }
    }
    if list.is_empty() { Err(INVALID_ACL) } else { Ok(list) }
}

/// The rules for paths, as far as histories go: printable ASCII.
fn check_path(path: &str) -> Result<(), i32> {
    let is_root = path == "/";
    let segments = path.strip_prefix('/').ok_or(BAD_ARGUMENTS)?;
    let bad = |segment: &str| segment.is_empty() || segment == "." || segment == "..";
    if !is_root && segments.split('/').any(bad) { Err(BAD_ARGUMENTS) } else { Ok(()) }
}
