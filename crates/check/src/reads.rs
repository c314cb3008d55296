//! Reads on the model, and the watches that they set.

use crate::errors::*;
use crate::model::Model;
use crate::record::{Acl, Body, Op, Part, WatchLists, perms};
use crate::watches::Watches;
use crate::writes::Outcome;

/// Who reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) session: i64,
    pub(crate) ids: &'a [(String, String)],
}

impl Model {
    pub(crate) fn read(&self, op: &Op, who: Reader<'_>, watches: &mut Watches) -> Outcome {
        match op {
            Op::Exists { path, watch } => {
                let node = self.node(path);
                if node.is_some_and(|node| !node.permits(who.ids, perms::READ)) {
                    return Err(NO_AUTH);
                }
                if *watch {
                    watches.once_data(path);
                }
                Ok(Body::Stat(node.ok_or(NO_NODE)?.stat()))
            }
            Op::GetData { path, watch } => {
                let body = self.data_of(path, who)?;
                if *watch {
                    watches.once_data(path);
                }
                Ok(body)
            }
            Op::GetChildren { path, watch, with_stat } => {
                let body = self.children_of(path, *with_stat, who)?;
                if *watch {
                    watches.once_child(path);
                }
                Ok(body)
            }
            Op::GetAcl { path } => self.acl_of(path, who),
            Op::CountDescendants { path } => {
                self.readable(path, who)?;
                let prefix = if path == "/" { "/".into() } else { format!("{path}/") };
                let below = self.nodes.keys().filter(|p| p.starts_with(&prefix) && *p != "/");
                Ok(Body::Count(below.count() as i32))
            }
            Op::GetEphemerals { prefix } => {
                let mut own = self.ephemerals(who.session);
                own.retain(|path| path.starts_with(prefix));
                Ok(Body::Names(own))
            }
            Op::MultiRead(reads) => {
                let part = |read: &Op| {
                    if let Op::GetChildren { path, .. } = read {
                        self.children_of(path, false, who)
                    } else if let Op::GetData { path, .. } = read {
                        self.data_of(path, who)
                    } else {
                        Err(UNIMPLEMENTED)
                    }
                };
                let part = |read| part(read).map_or_else(Part::Failed, Part::Done);
                Ok(Body::Parts(reads.iter().map(part).collect()))
            }
            Op::Sync { path } => Ok(Body::Path(path.clone())),
            Op::Ping | Op::SetWatches(_) => Ok(Body::Empty),
            Op::AddWatch { path, recursive } => {
                watches.stay(path, *recursive);
                Ok(Body::Count(0))
            }
            Op::CheckWatches { path, of } => found(watches.has(path, *of)),
            Op::RemoveWatches { path, of } => found(watches.remove(path, *of)),
            Op::Create { .. }
            | Op::Delete { .. }
            | Op::SetData { .. }
            | Op::SetAcl { .. }
            | Op::Check { .. }
            | Op::Multi(_)
            | Op::Reconfig(_)
            | Op::Close => Err(UNIMPLEMENTED),
        }
    }

    /// Sets watches again; gives the events that make up for what was missed, in order.
    pub(crate) fn set_watches(
        &self,
        lists: &WatchLists,
        watches: &mut Watches,
    ) -> Vec<(i32, String)> {
        let mut events = Vec::new();
        for path in &lists.data {
            match self.node(path) {
                None => events.push((2, path.clone())),
                Some(node) if node.mzxid > lists.relative => events.push((3, path.clone())),
                Some(_) => watches.once_data(path),
            }
        }
        for path in &lists.exist {
            match self.node(path) {
                Some(_) => events.push((1, path.clone())),
                None => watches.once_data(path),
            }
        }
        for path in &lists.child {
            match self.node(path) {
                None => events.push((2, path.clone())),
                Some(node) if node.pzxid > lists.relative => events.push((4, path.clone())),
                Some(_) => watches.once_child(path),
            }
        }
        lists.persistent.iter().for_each(|path| watches.stay(path, false));
        lists.recursive.iter().for_each(|path| watches.stay(path, true));
        events
    }

    fn readable(&self, path: &str, who: Reader<'_>) -> Result<&crate::Node, i32> {
        let node = self.node(path).ok_or(NO_NODE)?;
        if node.permits(who.ids, perms::READ) { Ok(node) } else { Err(NO_AUTH) }
    }

    fn data_of(&self, path: &str, who: Reader<'_>) -> Outcome {
        let node = self.readable(path, who)?;
        Ok(Body::Data(node.data.clone(), node.stat()))
    }

    fn children_of(&self, path: &str, with_stat: bool, who: Reader<'_>) -> Outcome {
        let node = self.readable(path, who)?;
        let names = node.children.iter().cloned().collect();
        Ok(if with_stat { Body::NamesStat(names, node.stat()) } else { Body::Names(names) })
    }

    fn acl_of(&self, path: &str, who: Reader<'_>) -> Outcome {
        let node = self.node(path).ok_or(NO_NODE)?;
        if !node.permits(who.ids, perms::READ | perms::ADMIN) {
            return Err(NO_AUTH);
        }
        let sees_all = node.permits(who.ids, perms::ADMIN);
        let shown = |acl: &Acl| match acl.id.split_once(':') {
            Some((user, _)) if acl.scheme == "digest" && !sees_all => {
                Acl { id: format!("{user}:x"), ..acl.clone() }
            }
            _ => acl.clone(),
        };
        Ok(Body::Acl(node.acl.iter().map(shown).collect(), node.stat()))
    }
}

fn found(is_there: bool) -> Outcome {
    if is_there { Ok(Body::Empty) } else { Err(NO_WATCHER) }
}
