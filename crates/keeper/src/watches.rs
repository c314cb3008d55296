//! The watch table: who wants to know of what, by path and by connection.
//!
//! A watch is a bit per (path, connection, mode) in one of two managers: data (getData, exists,
//! addWatch) and child (getChildren, addWatch persistent). Watches belong to a connection and go
//! with it. Invariant: a path is in a connection's index exactly if the connection is in the
//! path's entry.

use base::ConnectionId;
use metrics::{Metrics, Summary};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use wire::{AddWatchMode, EventType, WatcherType};

/// A set of watch modes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Modes(u8);

const STANDARD: Modes = Modes(1);
const PERSISTENT: Modes = Modes(2);
const RECURSIVE: Modes = Modes(4);
const ALL: Modes = Modes(7);

impl Modes {
    fn has(self, other: Modes) -> bool {
        self.0 & other.0 != 0
    }

    fn with(self, other: Modes) -> Modes {
        Modes(self.0 | other.0)
    }

    fn without(self, other: Modes) -> Modes {
        Modes(self.0 & !other.0)
    }
}

/// The watchers of one path: nearly always one.
#[derive(Debug)]
enum Watchers {
    One(ConnectionId, Modes),
    Many(BTreeMap<ConnectionId, Modes>),
}

/// One manager.
#[derive(Debug, Default)]
struct Manager {
    paths: FxHashMap<Arc<str>, Watchers>,
    connections: FxHashMap<ConnectionId, BTreeSet<Arc<str>>>,
    /// How many (path, connection) pairs there are.
    watches: usize,
    /// How many of them are recursive: while none is, no ancestor is looked at.
    recursive: usize,
}

/// All watches of this server's connections.
#[derive(Debug, Default)]
pub struct Watches {
    data: Manager,
    child: Manager,
    /// Reused by [`Watches::triggered`].
    hit: Vec<ConnectionId>,
    metrics: Metrics,
}

impl Watches {
    /// What is counted by whoever has the table: triggered watches here, and in the apply section
    /// whatever else it counts.
    pub fn metrics(&mut self) -> &mut Metrics {
        &mut self.metrics
    }

    /// A one-shot watch on data or existence.
    pub fn watch_data(&mut self, connection: ConnectionId, path: &str) {
        self.data.add(connection, path, STANDARD);
    }

    /// A one-shot watch on the list of children.
    pub fn watch_children(&mut self, connection: ConnectionId, path: &str) {
        self.child.add(connection, path, STANDARD);
    }

    /// A watch that stays.
    pub fn add(&mut self, connection: ConnectionId, path: &str, mode: AddWatchMode) {
        match mode {
            AddWatchMode::Persistent => {
                self.data.add(connection, path, PERSISTENT);
                self.child.add(connection, path, PERSISTENT);
            }
            AddWatchMode::PersistentRecursive => self.data.add(connection, path, RECURSIVE),
        }
    }

    /// Whether such a watch is set.
    #[must_use]
    pub fn contains(&self, connection: ConnectionId, path: &str, of: WatcherType) -> bool {
        match of {
            WatcherType::Children => self.child.modes(connection, path).has(STANDARD),
            WatcherType::Data => self.data.modes(connection, path).has(STANDARD),
            WatcherType::Any => {
                self.data.modes(connection, path).has(ALL)
                    || self.child.modes(connection, path).has(ALL)
            }
            WatcherType::Persistent => self.data.modes(connection, path).has(PERSISTENT),
            WatcherType::PersistentRecursive => self.data.modes(connection, path).has(RECURSIVE),
        }
    }

    /// Removes such watches. Says whether there were any.
    pub fn remove(&mut self, connection: ConnectionId, path: &str, of: WatcherType) -> bool {
        match of {
            WatcherType::Children => self.child.remove(connection, path, STANDARD),
            WatcherType::Data => self.data.remove(connection, path, STANDARD),
            WatcherType::Any => {
                let data = self.data.remove(connection, path, ALL);
                self.child.remove(connection, path, ALL) || data
            }
            WatcherType::Persistent => {
                let data = self.data.remove(connection, path, PERSISTENT);
                self.child.remove(connection, path, PERSISTENT) || data
            }
            WatcherType::PersistentRecursive => self.data.remove(connection, path, RECURSIVE),
        }
    }

    /// Forgets a connection that is gone.
    pub fn remove_connection(&mut self, connection: ConnectionId) {
        self.data.remove_connection(connection);
        self.child.remove_connection(connection);
    }

    /// Takes the connections that get `event` for `path`, each once; one-shot watches are gone
    /// with it.
    pub fn triggered(&mut self, event: EventType, path: &str) -> &[ConnectionId] {
        self.hit.clear();
        if self.is_empty() {
            return &self.hit;
        }
        let Watches { data, child, hit, metrics } = self;
        let counts = &mut metrics.summaries;
        match event {
            EventType::NodeCreated => {
                data.trigger(path, hit);
                settle(hit, 0, &mut counts.node_created_watch_count);
            }
            EventType::NodeDataChanged => {
                data.trigger(path, hit);
                settle(hit, 0, &mut counts.node_changed_watch_count);
            }
            EventType::NodeChildrenChanged => {
                child.trigger(path, hit);
                settle(hit, 0, &mut counts.node_children_watch_count);
            }
            EventType::NodeDeleted => {
                data.trigger(path, hit);
                let of_data = settle(hit, 0, &mut counts.node_deleted_watch_count);
                child.trigger(path, hit);
                settle(hit, of_data, &mut counts.node_deleted_watch_count);
            }
        }
        &self.hit
    }

    /// Whether there are no watches at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data.paths.is_empty() && self.child.paths.is_empty()
    }

    /// All watches of both managers, each (path, connection) of a manager once.
    #[must_use]
    pub fn count(&self) -> usize {
        self.data.watches + self.child.watches
    }

    /// For `wchs`: connections, paths and watches of the data manager.
    #[must_use]
    pub fn data_summary(&self) -> (usize, usize, usize) {
        (self.data.connections.len(), self.data.paths.len(), self.data.watches)
    }

    /// For `wchc` and `wchp`: the data manager's paths by connection.
    #[must_use]
    pub fn data_by_connection(&self) -> BTreeMap<ConnectionId, Vec<Arc<str>>> {
        let paths = |set: &BTreeSet<Arc<str>>| set.iter().map(Arc::clone).collect();
        self.data.connections.iter().map(|(c, set)| (*c, paths(set))).collect()
    }
}

impl Manager {
    fn add(&mut self, connection: ConnectionId, path: &str, mode: Modes) {
        let before = match self.paths.get_mut(path) {
            Some(watchers) => watchers.add(connection, mode),
            None => {
                let path: Arc<str> = Arc::from(path);
                self.connections.entry(connection).or_default().insert(Arc::clone(&path));
                self.paths.insert(path, Watchers::One(connection, mode));
                self.watches += 1;
                self.recursive += usize::from(mode.has(RECURSIVE));
                return;
            }
        };
        self.recursive += usize::from(mode.has(RECURSIVE) && !before.has(RECURSIVE));
        if before == Modes::default() {
            self.watches += 1;
            let (path, _) = self.paths.get_key_value(path).expect("found above");
            self.connections.entry(connection).or_default().insert(Arc::clone(path));
        }
    }

    fn modes(&self, connection: ConnectionId, path: &str) -> Modes {
        self.paths.get(path).map_or(Modes::default(), |w| w.modes(connection))
    }

    fn remove(&mut self, connection: ConnectionId, path: &str, modes: Modes) -> bool {
        let Some(watchers) = self.paths.get_mut(path) else { return false };
        let before = watchers.modes(connection);
        if !before.has(modes) {
            return false;
        }
        let left = before.without(modes);
        watchers.set(connection, left);
        self.recursive -= usize::from(before.has(RECURSIVE) && !left.has(RECURSIVE));
        if left == Modes::default() {
            self.watches -= 1;
            if watchers.is_empty() {
                self.paths.remove(path);
            }
            self.leave(connection, path);
        }
        true
    }

    fn leave(&mut self, connection: ConnectionId, path: &str) {
        if let Some(set) = self.connections.get_mut(&connection) {
            set.remove(path);
            if set.is_empty() {
                self.connections.remove(&connection);
            }
        }
    }

    fn remove_connection(&mut self, connection: ConnectionId) {
        for path in self.connections.remove(&connection).unwrap_or_default() {
            let Some(watchers) = self.paths.get_mut(&path) else { continue };
            let before = watchers.modes(connection);
            watchers.set(connection, Modes::default());
            self.watches -= 1;
            self.recursive -= usize::from(before.has(RECURSIVE));
            if watchers.is_empty() {
                self.paths.remove(&path);
            }
        }
    }

    fn trigger(&mut self, path: &str, hit: &mut Vec<ConnectionId>) {
        if self.paths.is_empty() {
            return;
        }
        self.trigger_here(path, hit);
        if self.recursive > 0 {
            let mut ancestor = path;
            while let Some(parent) = parent_of(ancestor) {
                if let Some(watchers) = self.paths.get(parent) {
                    watchers.each(|c, modes| {
                        if modes.has(RECURSIVE) {
                            hit.push(c)
                        }
                    });
                }
                ancestor = parent;
            }
        }
    }

    fn trigger_here(&mut self, path: &str, hit: &mut Vec<ConnectionId>) {
        let Some(watchers) = self.paths.get_mut(path) else { return };
        let mut done = Vec::new();
        watchers.each(|connection, modes| {
            hit.push(connection);
            if modes.has(STANDARD) {
                done.push((connection, modes.without(STANDARD)));
            }
        });
        for &(connection, left) in &done {
            watchers.set(connection, left);
        }
        if watchers.is_empty() {
            self.paths.remove(path);
        }
        for (connection, left) in done {
            if left == Modes::default() {
                self.watches -= 1;
                self.leave(connection, path);
            }
        }
    }
}

impl Watchers {
    /// Adds modes; gives those that were there.
    fn add(&mut self, connection: ConnectionId, mode: Modes) -> Modes {
        let before = self.modes(connection);
        self.set(connection, before.with(mode));
        before
    }

    fn modes(&self, connection: ConnectionId) -> Modes {
        match self {
            Watchers::One(c, modes) if *c == connection => *modes,
            Watchers::One(..) => Modes::default(),
            Watchers::Many(map) => map.get(&connection).copied().unwrap_or_default(),
        }
    }

    fn set(&mut self, connection: ConnectionId, modes: Modes) {
        match self {
            Watchers::One(c, m) if *c == connection => *m = modes,
            Watchers::One(c, m) => {
                *self = Watchers::Many(BTreeMap::from([(*c, *m), (connection, modes)]));
            }
            Watchers::Many(map) if modes == Modes::default() => {
                map.remove(&connection);
            }
            Watchers::Many(map) => {
                map.insert(connection, modes);
            }
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Watchers::One(_, modes) => *modes == Modes::default(),
            Watchers::Many(map) => map.is_empty(),
        }
    }

    fn each(&self, mut f: impl FnMut(ConnectionId, Modes)) {
        match self {
            Watchers::One(c, modes) => f(*c, *modes),
            Watchers::Many(map) => map.iter().for_each(|(c, modes)| f(*c, *modes)),
        }
    }
}

/// Counts what one manager gave, `hit[from..]`, and leaves each connection in `hit` once: an
/// ancestor's watch can name it again in the first manager, and so can the second manager. Gives
/// how many are in `hit`.
fn settle(hit: &mut Vec<ConnectionId>, from: usize, count: &mut Summary) -> usize {
    let of_second = hit.len() - from;
    if hit.len() > 1 && of_second > 0 {
        hit.sort_unstable();
        hit.dedup();
    }
    // Only the first manager has recursive watches: the second names nobody twice.
    let triggered = if from == 0 { hit.len() } else { of_second };
    if triggered > 0 {
        count.record(triggered as u64);
    }
    hit.len()
}

/// The path one level up; `None` for the root.
fn parent_of(path: &str) -> Option<&str> {
    if path == "/" {
        return None;
    }
    match path.rfind('/') {
        Some(0) => Some("/"),
        Some(at) => Some(&path[..at]),
        None => None,
    }
}

#[cfg(test)]
mod tests;
