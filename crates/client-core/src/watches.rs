//! The local watchers: who waits for what, over any number of connections.
//!
//! A server knows one bit per path and kind; here any number of watchers share it. Paths are the
//! server's. Invariant: `owner` and `by_path` say the same; no list in `by_path` is empty.

use std::collections::BTreeMap;
use wire::{EventType, WatcherType};

/// A watcher, by the number that the caller gave it. Never used twice in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatcherId(pub u64);

/// What a watcher is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// The node was created.
    Created,
    /// The node was deleted.
    Deleted,
    /// The node's data was set.
    DataChanged,
    /// A child came or went.
    ChildrenChanged,
    /// The watch was set again after a lost connection: changes in between were not told. Only
    /// to watches that stay; one-shot watches are told what they missed.
    Resumed,
    /// The watch was removed: nothing follows.
    Removed,
}

/// A notice to one watcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// To which node, in the client's names.
    pub path: String,
    /// The transaction that did it; -1 where the server does not say.
    pub zxid: i64,
}

/// Kinds of watch, as they are kept apart when they are set again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// One-shot, on a node that was there.
    Data,
    /// One-shot, on a node that was not there.
    Exist,
    /// One-shot, on children.
    Child,
    /// Stays.
    Persistent,
    /// Stays, with all below it.
    Recursive,
}

impl Kind {
    pub(crate) const ALL: [Kind; 5] =
        [Kind::Data, Kind::Exist, Kind::Child, Kind::Persistent, Kind::Recursive];

    /// What the server calls it in a removal.
    pub(crate) fn watcher_type(self) -> WatcherType {
        match self {
            Kind::Data | Kind::Exist => WatcherType::Data,
            Kind::Child => WatcherType::Children,
            Kind::Persistent => WatcherType::Persistent,
            Kind::Recursive => WatcherType::PersistentRecursive,
        }
    }

    fn is_one_shot(self) -> bool {
        matches!(self, Kind::Data | Kind::Exist | Kind::Child)
    }

    /// Whether a removal of `which` takes it.
    fn is_in(self, which: WatcherType) -> bool {
        which == WatcherType::Any || self.watcher_type() == which
    }
}

/// A watch that a request sets if it succeeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Registration {
    /// For whom; `None` once the caller has lost interest.
    pub(crate) watcher: Option<WatcherId>,
    pub(crate) kind: Kind,
    pub(crate) path: String,
}

/// Lists of paths, one per kind in the order of [`Kind::ALL`].
pub(crate) type PathLists<'a> = [Vec<&'a str>; 5];

/// Path text in one setWatches, in bytes, as the reference's clients bound it.
const SET_WATCHES_TEXT_MAX: usize = 128 * 1024;

/// The registry.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    by_path: BTreeMap<Kind, BTreeMap<String, Vec<WatcherId>>>,
    owner: BTreeMap<WatcherId, (Kind, String)>,
    /// Requests outstanding that set a watch, by path and what the server calls it.
    pending: BTreeMap<(String, i32), u32>,
}

impl Watches {
    pub(crate) fn len(&self) -> usize {
        self.owner.len()
    }

    /// Notes that a request which sets this watch is outstanding.
    pub(crate) fn note_pending(&mut self, registration: &Registration) {
        *self.pending.entry(pending_key(registration)).or_default() += 1;
    }

    /// Notes that such a request is no longer outstanding.
    pub(crate) fn note_settled(&mut self, registration: &Registration) {
        let key = pending_key(registration);
        if let Some(count) = self.pending.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.pending.remove(&key);
            }
        }
    }

    pub(crate) fn insert(&mut self, watcher: WatcherId, kind: Kind, path: String) {
        let earlier = self.owner.insert(watcher, (kind, path.clone()));
        assert!(earlier.is_none(), "a watcher's id is used once");
        self.by_path.entry(kind).or_default().entry(path).or_default().push(watcher);
    }

    /// Takes a watcher out; says what it watched.
    pub(crate) fn remove(&mut self, watcher: WatcherId) -> Option<(Kind, String)> {
        let (kind, path) = self.owner.remove(&watcher)?;
        if let Some(paths) = self.by_path.get_mut(&kind)
            && let Some(list) = paths.get_mut(&path)
        {
            list.retain(|w| *w != watcher);
            if list.is_empty() {
                paths.remove(&path);
            }
        }
        Some((kind, path))
    }

    pub(crate) fn get(&self, watcher: WatcherId) -> Option<(Kind, &str)> {
        self.owner.get(&watcher).map(|(kind, path)| (*kind, path.as_str()))
    }

    /// The watchers on a path that a removal of `which` takes.
    pub(crate) fn on(&self, path: &str, which: WatcherType) -> Vec<WatcherId> {
        Kind::ALL
            .into_iter()
            .filter(|kind| kind.is_in(which))
            .filter_map(|kind| self.by_path.get(&kind)?.get(path))
            .flatten()
            .copied()
            .collect()
    }

    /// Whether a request is outstanding that will set such a watch.
    pub(crate) fn is_pending(&self, path: &str, which: WatcherType) -> bool {
        let types = Kind::ALL.into_iter().filter(|k| k.is_in(which)).map(Kind::watcher_type);
        types.into_iter().any(|t| self.pending.contains_key(&(path.to_owned(), t as i32)))
    }

    /// Whether a path is watched, or about to be, in a way that a removal of `which` leaves.
    pub(crate) fn has_others(&self, path: &str, which: WatcherType) -> bool {
        let others = [
            WatcherType::Data,
            WatcherType::Children,
            WatcherType::Persistent,
            WatcherType::PersistentRecursive,
        ];
        which != WatcherType::Any
            && others
                .into_iter()
                .filter(|other| *other != which)
                .any(|other| !self.on(path, other).is_empty() || self.is_pending(path, other))
    }

    /// Who is to be told of `event` on `path`; one-shot watches are used up.
    pub(crate) fn trigger(&mut self, event: EventType, path: &str) -> Vec<WatcherId> {
        let kinds: &[Kind] = match event {
            EventType::NodeCreated | EventType::NodeDataChanged => {
                &[Kind::Data, Kind::Exist, Kind::Persistent]
            }
            EventType::NodeDeleted => &[Kind::Data, Kind::Exist, Kind::Child, Kind::Persistent],
            EventType::NodeChildrenChanged => &[Kind::Child, Kind::Persistent],
        };
        let mut told = Vec::new();
        for kind in kinds {
            let Some(paths) = self.by_path.get_mut(kind) else { continue };
            if kind.is_one_shot() {
                let used_up = paths.remove(path).unwrap_or_default();
                used_up.iter().for_each(|watcher| {
                    self.owner.remove(watcher);
                });
                told.extend(used_up);
            } else if let Some(list) = paths.get(path) {
                told.extend(list);
            }
        }
        if event != EventType::NodeChildrenChanged
            && let Some(paths) = self.by_path.get(&Kind::Recursive)
        {
            told.extend(ancestors(path).filter_map(|above| paths.get(above)).flatten());
        }
        told
    }

    /// The watchers that stay, with their paths.
    pub(crate) fn lasting(&self) -> Vec<(WatcherId, String)> {
        [Kind::Persistent, Kind::Recursive]
            .iter()
            .filter_map(|kind| self.by_path.get(kind))
            .flatten()
            .flat_map(|(path, list)| list.iter().map(move |w| (*w, path.clone())))
            .collect()
    }

    /// All that is watched, in lists whose path text stays below the bound of one request.
    pub(crate) fn chunks(&self) -> Vec<PathLists<'_>> {
        let mut chunks: Vec<PathLists<'_>> = Vec::new();
        let mut text = usize::MAX;
        for (kind, paths) in &self.by_path {
            for path in paths.keys() {
                if text.saturating_add(path.len()) >= SET_WATCHES_TEXT_MAX {
                    chunks.push(PathLists::default());
                    text = 0;
                }
                text += path.len();
                let chunk = chunks.last_mut().expect("one was pushed");
                chunk[*kind as usize].push(path);
            }
        }
        chunks
    }
}

fn pending_key(registration: &Registration) -> (String, i32) {
    (registration.path.clone(), registration.kind.watcher_type() as i32)
}

/// The path itself, then all above it up to the root.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| match path.rfind('/')? {
        0 if path.len() > 1 => Some("/"),
        0 => None,
        at => Some(&path[..at]),
    })
}

#[cfg(test)]
mod tests {
    use super::{Kind, SET_WATCHES_TEXT_MAX, WatcherId, Watches, ancestors};
    use wire::{EventType, WatcherType};

    fn watches(list: &[(u64, Kind, &str)]) -> Watches {
        let mut watches = Watches::default();
        for (id, kind, path) in list {
            watches.insert(WatcherId(*id), *kind, (*path).to_owned());
        }
        watches
    }

    #[test]
    fn paths_are_walked_up_to_the_root() {
        assert_eq!(ancestors("/a/b/c").collect::<Vec<_>>(), ["/a/b/c", "/a/b", "/a", "/"]);
        assert_eq!(ancestors("/").collect::<Vec<_>>(), ["/"]);
    }

    #[test]
    fn each_event_reaches_the_kinds_that_wait_for_it_and_uses_up_the_one_shot_ones() {
        let all = [
            (1, Kind::Data, "/a/b"),
            (2, Kind::Exist, "/a/b"),
            (3, Kind::Child, "/a/b"),
            (4, Kind::Persistent, "/a/b"),
            (5, Kind::Recursive, "/a/b"),
            (6, Kind::Recursive, "/"),
            (7, Kind::Persistent, "/a"),
            (8, Kind::Data, "/a"),
        ];
        let told = |event| {
            let mut watches = watches(&all);
            let ids = |told: Vec<WatcherId>| told.iter().map(|w| w.0).collect::<Vec<_>>();
            (ids(watches.trigger(event, "/a/b")), ids(watches.trigger(event, "/a/b")))
        };
        assert_eq!(told(EventType::NodeCreated), (vec![1, 2, 4, 5, 6], vec![4, 5, 6]));
        assert_eq!(told(EventType::NodeDataChanged), (vec![1, 2, 4, 5, 6], vec![4, 5, 6]));
        assert_eq!(told(EventType::NodeDeleted), (vec![1, 2, 3, 4, 5, 6], vec![4, 5, 6]));
        assert_eq!(told(EventType::NodeChildrenChanged), (vec![3, 4], vec![4]));
    }

    #[test]
    fn removals_take_their_type_only() {
        let mut watches = watches(&[
            (1, Kind::Data, "/a"),
            (2, Kind::Exist, "/a"),
            (3, Kind::Child, "/a"),
            (4, Kind::Persistent, "/a"),
        ]);
        assert_eq!(watches.on("/a", WatcherType::Data), [WatcherId(1), WatcherId(2)]);
        assert_eq!(watches.on("/a", WatcherType::Persistent), [WatcherId(4)]);
        assert_eq!(watches.on("/a", WatcherType::Any).len(), 4);
        assert_eq!(watches.remove(WatcherId(3)), Some((Kind::Child, "/a".to_owned())));
        assert_eq!(watches.remove(WatcherId(3)), None);
        assert_eq!(watches.len(), 3);
    }

    #[test]
    fn chunks_hold_everything_once_and_keep_the_bound() {
        let mut watches = Watches::default();
        for i in 0..3000 {
            let kind = Kind::ALL[i % 5];
            watches.insert(WatcherId(i as u64), kind, format!("/{i:0150}"));
        }
        let chunks = watches.chunks();
        assert!(chunks.len() > 3);
        let size = |chunk: &[Vec<&str>; 5]| chunk.iter().flatten().map(|p| p.len()).sum::<usize>();
        assert!(chunks.iter().all(|chunk| size(chunk) < SET_WATCHES_TEXT_MAX));
        assert_eq!(chunks.iter().flatten().flatten().count(), 3000);
        assert!(Watches::default().chunks().is_empty());
    }
}
