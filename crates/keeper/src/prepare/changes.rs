//! What is proposed but not yet applied: the tree as it will be, where it differs.
//!
//! One entry per change, in the order of the transactions; an index leads from a path to its
//! latest. Paths lie in one buffer, so that a change allocates nothing once the buffers have grown.
//! Invariants: the index names the last entry of a path, and only entries that are there; an entry
//! goes when its transaction is applied; without an entry the tree speaks for itself.

use crate::Config;
use base::Zxid;
use hashbrown::HashTable;
use rustc_hash::FxHasher;
use std::collections::VecDeque;
use std::hash::Hasher;
use std::ops::Range;
use std::sync::Arc;
use tree::{DigestPrefix, Foreseen, Neighbourhood, NodeHint, NodeIndex, Tree, digest_of};
use wire::{Acl, ErrorCode, StatPersisted};

/// A node as it will be.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) stat: StatPersisted,
    pub(crate) children: i64,
    /// In bytes; for a node of the tree 0 where no quota is enforced, since nobody asks.
    pub(crate) data_size: i64,
    pub(crate) acl: AclState,
    /// Its part of the tree's digest; 0 where none is kept.
    pub(crate) digest: u32,
    /// The digest of all but the stat.
    pub(crate) prefix: Prefix,
    /// Where the tree has it, if it does.
    pub(crate) hint: Option<NodeHint>,
}

/// Where a node's access list is found.
#[derive(Clone, Debug)]
pub(crate) enum AclState {
    /// Everyone may do everything.
    Open,
    /// As the tree has it.
    InTree(NodeIndex),
    /// A list that the tree does not have yet.
    New(Arc<[Acl]>),
}

/// The part of a node's digest that its path and its data make.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Prefix {
    /// No digests are kept.
    Off,
    /// That of the tree's node, not computed yet.
    InTree(NodeIndex),
    /// It is in the digest, behind the stat.
    Behind,
    /// This.
    Known(DigestPrefix),
}

impl Pending {
    /// Takes the digest that follows from other data, or of a node that is new, and from the stat;
    /// `path` is the node's.
    pub(crate) fn seal(&mut self, path: &str, data: Option<&[u8]>) {
        if !matches!(self.prefix, Prefix::Off) {
            self.prefix = Prefix::Behind;
            self.digest = digest_of(path, data, &self.stat);
        }
    }

    /// Changes the stat alone, and with it the digest; `path` is the node's.
    pub(crate) fn restate(
        &mut self,
        tree: &Tree,
        path: &str,
        change: impl FnOnce(&mut StatPersisted),
    ) {
        let prefix = match self.prefix {
            Prefix::Off => return change(&mut self.stat),
            Prefix::InTree(node) => tree.digest_prefix(node, canonical(path)),
            Prefix::Behind => DigestPrefix::behind(path, self.digest, &self.stat),
            Prefix::Known(prefix) => prefix,
        };
        change(&mut self.stat);
        self.prefix = Prefix::Known(prefix);
        self.digest = prefix.with_stat(&self.stat);
    }
}

/// Where a path stands in the index, so that a change need not look for it once more. It holds
/// until the path's next change is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    hash: u64,
    /// The path's latest entry.
    latest: Option<u64>,
}

#[derive(Debug)]
struct Entry {
    zxid: Zxid,
    /// Its path's place in all that was ever put into [`Changes::paths`].
    path: Range<usize>,
    /// Its path's place in the index before this entry.
    before: Place,
    /// `None`: it will not exist.
    node: Option<Pending>,
}

/// All pending changes.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    entries: VecDeque<Entry>,
    /// The number of `entries[0]`; numbers are never used again.
    first: u64,
    /// Numbers of the latest entries, by path.
    latest: HashTable<u64>,
    paths: Vec<u8>,
    /// The place of `paths[0]`.
    paths_start: usize,
    /// The digest after all of them; `None` while there are none.
    digest: Option<u64>,
    /// What to go back to if the multi under way fails.
    undo: Option<Undo>,
    /// Where the tree's nodes were last looked for.
    near: Neighbourhood,
}

#[derive(Debug)]
struct Undo {
    entries: usize,
    digest: Option<u64>,
}

impl Changes {
    /// The node as it will be, if it will exist.
    #[inline]
    pub(crate) fn get(
        &mut self,
        tree: &Tree,
        path: &str,
        config: &Config,
    ) -> Result<(Pending, Place), ErrorCode> {
        let path = canonical(path);
        let place = self.place(path);
        if let Some(entry) = self.at(place) {
            return Ok((entry.node.clone().ok_or(ErrorCode::NoNode)?, place));
        }
        let node = tree.find_near(path, &mut self.near).ok_or(ErrorCode::NoNode)?;
        let acl = if tree.is_open(node) { AclState::Open } else { AclState::InTree(node) };
        let pending = Pending {
            stat: tree.stat_persisted(node),
            children: i64::try_from(tree.num_children(node)).unwrap_or(i64::MAX),
            data_size: if config.enforce_quota { super::size(tree.data(node)) } else { 0 },
            acl,
            digest: tree.node_digest(node),
            prefix: if config.digest { Prefix::InTree(node) } else { Prefix::Off },
            hint: Some(tree.hint(node)),
        };
        Ok((pending, place))
    }

    /// The place of a path whose node will not exist; `None` if it will.
    pub(crate) fn vacant(&mut self, tree: &Tree, path: &str) -> Option<Place> {
        let place = self.place(canonical(path));
        let exists = match self.at(place) {
            Some(entry) => entry.node.is_some(),
            None => tree.find_near(path, &mut self.near).is_some(),
        };
        (!exists).then_some(place)
    }

    /// The paths that will exist with their stats, and those that will not.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Option<&Pending>)> {
        // In the order of the transactions, a path at its latest one: never in the index's order.
        (self.first..).zip(&self.entries).filter_map(|(number, entry)| {
            let path = self.path(entry);
            let is_latest = self.number_of(entry.before.hash, path) == Some(number);
            is_latest.then_some((path, entry.node.as_ref()))
        })
    }

    /// The node will be `node` after `zxid`. `old_digest` is what it was counted with before, and
    /// `place` where it was found or missed.
    pub(crate) fn put(
        &mut self,
        tree: &Tree,
        zxid: Zxid,
        (path, place): (&str, Place),
        old_digest: u32,
        node: Option<Pending>,
    ) {
        let path = canonical(path);
        debug_assert_eq!(place, self.place(path), "{path} was changed since it was looked for");
        let new_digest = node.as_ref().map_or(0, |node| node.digest);
        let digest = self.digest(tree).wrapping_sub(u64::from(old_digest));
        self.digest = Some(digest.wrapping_add(u64::from(new_digest)));
        let number = self.first + self.entries.len() as u64;
        let start = self.paths_start + self.paths.len();
        self.paths.extend_from_slice(path.as_bytes());
        let path = start..start + path.len();
        self.entries.push_back(Entry { zxid, path, before: place, node });
        let Changes { entries, first, latest, .. } = self;
        let known = place.latest.and_then(|old| latest.find_mut(place.hash, |other| *other == old));
        match known {
            Some(found) => *found = number,
            None => {
                let hash = |number: &u64| entries[at(*first, *number)].before.hash;
                latest.insert_unique(place.hash, number, hash);
            }
        }
    }

    /// The tree's digest after all that is pending.
    pub(crate) fn digest(&self, tree: &Tree) -> u64 {
        self.digest.unwrap_or_else(|| tree.digest())
    }

    /// What the transaction at `zxid`, the next to be applied, does to each node.
    pub(crate) fn foreseen(&self, zxid: Zxid) -> impl Iterator<Item = Foreseen> {
        self.entries.iter().take_while(move |entry| entry.zxid == zxid).map(|entry| {
            let node = entry.node.as_ref();
            node.map_or(Foreseen::default(), |n| Foreseen { hint: n.hint, digest: n.digest })
        })
    }

    /// Everything up to `zxid` is in the tree.
    pub(crate) fn applied(&mut self, zxid: Zxid) {
        let mut count = 0;
        for entry in self.entries.iter().take_while(|entry| entry.zxid <= zxid) {
            // The index is told apart by number alone: its latest entry may be a later one.
            let number = self.first + count as u64;
            let hash = entry.before.hash;
            if let Ok(found) = self.latest.find_entry(hash, |other| *other == number) {
                found.remove();
            }
            count += 1;
        }
        self.entries.drain(..count);
        self.first += count as u64;
        match self.entries.front() {
            None => {
                self.digest = None;
                self.paths_start += self.paths.len();
                self.paths.clear();
                self.paths.shrink_to(PATHS_KEPT_BYTES);
                self.near = Neighbourhood::default();
            }
            Some(front) => {
                let passed = front.path.start - self.paths_start;
                if passed > PATHS_KEPT_BYTES {
                    self.paths.drain(..passed);
                    self.paths_start += passed;
                }
            }
        }
    }

    /// From here on changes can be taken back.
    pub(crate) fn begin(&mut self) {
        self.undo = Some(Undo { entries: self.entries.len(), digest: self.digest });
    }

    /// Changes since [`Changes::begin`] stay.
    pub(crate) fn keep(&mut self) {
        self.undo = None;
    }

    /// Changes since [`Changes::begin`] are taken back.
    pub(crate) fn roll_back(&mut self) {
        let Some(undo) = self.undo.take() else { return };
        while self.entries.len() > undo.entries {
            let Some(entry) = self.entries.pop_back() else { break };
            let number = self.first + self.entries.len() as u64;
            let Place { hash, latest } = entry.before;
            if let Ok(mut found) = self.latest.find_entry(hash, |other| *other == number) {
                match latest {
                    Some(before) => *found.get_mut() = before,
                    None => drop(found.remove()),
                }
            }
            self.paths.truncate(entry.path.start - self.paths_start);
        }
        self.digest = undo.digest;
    }

    /// Looks for a path, which is canonical.
    fn place(&self, path: &str) -> Place {
        let hash = hash(path);
        Place { hash, latest: self.number_of(hash, path) }
    }

    /// The latest entry of that place.
    fn at(&self, place: Place) -> Option<&Entry> {
        place.latest.map(|number| &self.entries[at(self.first, number)])
    }

    fn number_of(&self, hash: u64, path: &str) -> Option<u64> {
        self.latest.find(hash, |number| self.is_of(*number, path)).copied()
    }

    fn is_of(&self, number: u64, path: &str) -> bool {
        *self.path_bytes(&self.entries[at(self.first, number)]) == *path.as_bytes()
    }

    fn path_bytes(&self, entry: &Entry) -> &[u8] {
        let Range { start, end } = entry.path;
        &self.paths[start - self.paths_start..end - self.paths_start]
    }

    fn path(&self, entry: &Entry) -> &str {
        std::str::from_utf8(self.path_bytes(entry)).expect("stored from a string")
    }
}

/// Where the entry of that number stands.
fn at(first: u64, number: u64) -> usize {
    usize::try_from(number - first).expect("fewer entries than bytes of memory")
}

fn hash(path: &str) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(path.as_bytes());
    hasher.finish()
}

/// The root has one name here.
fn canonical(path: &str) -> &str {
    if path == "/" { "" } else { path }
}

/// Memory that paths of applied changes may take, in bytes.
const PATHS_KEPT_BYTES: usize = 64 << 10;
