//! The watches of one connection, and which events they are due.

use crate::model::{Change, EventKind, split};
use std::collections::BTreeMap;

/// What is set on one path of one manager.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Set {
    once: bool,
    persistent: bool,
    recursive: bool,
}

impl Set {
    fn is_empty(self) -> bool {
        self == Set::default()
    }
}

/// The watches of a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watches {
    data: BTreeMap<String, Set>,
    child: BTreeMap<String, Set>,
}

impl Watches {
    pub(crate) fn once_data(&mut self, path: &str) {
        self.data.entry(path.into()).or_default().once = true;
    }

    pub(crate) fn once_child(&mut self, path: &str) {
        self.child.entry(path.into()).or_default().once = true;
    }

    pub(crate) fn stay(&mut self, path: &str, recursive: bool) {
        let data = self.data.entry(path.into()).or_default();
        if recursive {
            data.recursive = true;
        } else {
            data.persistent = true;
            self.child.entry(path.into()).or_default().persistent = true;
        }
    }

    /// Whether the change is to be told; one-shot watches are used up by it.
    pub(crate) fn takes(&mut self, change: &Change) -> bool {
        let path = &*change.path;
        match change.kind {
            EventKind::Created | EventKind::Data => self.data_hit(path),
            EventKind::Children => hit(&mut self.child, path),
            EventKind::Deleted => {
                let by_data = self.data_hit(path);
                hit(&mut self.child, path) || by_data
            }
        }
    }

    fn data_hit(&mut self, path: &str) -> bool {
        let mut is_hit = hit(&mut self.data, path);
        let mut at = path;
        while at != "/"
            && let Some((parent, _)) = split(at)
        {
            is_hit |= self.data.get(parent).is_some_and(|set| set.recursive);
            at = parent;
        }
        is_hit
    }

    /// Whether such a watch is set, by the number of its type.
    pub(crate) fn has(&self, path: &str, of: i32) -> bool {
        let data = self.data.get(path).copied().unwrap_or_default();
        let child = self.child.get(path).copied().unwrap_or_default();
        match of {
            1 => child.once,
            2 => data.once,
            4 => data.persistent,
            5 => data.recursive,
            _ => !data.is_empty() || !child.is_empty(),
        }
    }

    /// Removes such watches; says whether there were any.
    pub(crate) fn remove(&mut self, path: &str, of: i32) -> bool {
        let data = self.data.entry(path.into()).or_default();
        let child = self.child.entry(path.into()).or_default();
        let (data_before, child_before) = (*data, *child);
        match of {
            1 => child.once = false,
            2 => data.once = false,
            4 => (data.persistent, child.persistent) = (false, false),
            5 => data.recursive = false,
            _ => (*data, *child) = (Set::default(), Set::default()),
        }
        (data_before, child_before) != (*data, *child)
    }
}

fn hit(map: &mut BTreeMap<String, Set>, path: &str) -> bool {
    let Some(set) = map.get_mut(path) else { return false };
    let is_hit = !set.is_empty();
    set.once = false;
    is_hit
}
