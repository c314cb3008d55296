//! The directories of a simulated disk: which names can be seen, and which would survive.

use base::Rng;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How unsynced changes of names survive a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetadataMode {
    /// As with ext4 and XFS: changes reach the disk in order, so that a crash keeps a prefix of
    /// them, and a sync of any directory covers all.
    #[default]
    Ordered,
    /// What POSIX promises: each change survives or not on its own, and a sync of a directory
    /// covers that directory.
    Strict,
}

/// Names and the changes that are not durable.
#[derive(Clone, Debug)]
pub(super) struct Names {
    mode: MetadataMode,
    cached: BTreeMap<PathBuf, u64>,
    durable: BTreeMap<PathBuf, u64>,
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Link { path: PathBuf, inode: u64 },
    Unlink { path: PathBuf },
    Rename { from: PathBuf, to: PathBuf, inode: u64 },
}

impl Names {
    pub(super) fn new(mode: MetadataMode) -> Names {
        Names { mode, cached: BTreeMap::new(), durable: BTreeMap::new(), pending: Vec::new() }
    }

    pub(super) fn find(&self, path: &Path) -> Option<u64> {
        self.cached.get(path).copied()
    }

    pub(super) fn inodes(&self) -> impl Iterator<Item = u64> {
        self.cached.values().copied()
    }

    pub(super) fn refers_to(&self, inode: u64) -> bool {
        self.cached.values().any(|other| *other == inode)
    }

    pub(super) fn in_dir(&self, dir: &Path) -> impl Iterator<Item = (&str, u64)> {
        self.cached
            .iter()
            .filter(move |(path, _)| path.parent() == Some(dir))
            .filter_map(|(path, inode)| Some((path.file_name()?.to_str()?, *inode)))
    }

    pub(super) fn install(&mut self, path: &Path, inode: u64) {
        self.cached.insert(path.to_owned(), inode);
        self.durable.insert(path.to_owned(), inode);
    }

    pub(super) fn link(&mut self, path: &Path, inode: u64) {
        self.change(Change::Link { path: path.to_owned(), inode });
    }

    pub(super) fn unlink(&mut self, path: &Path) -> bool {
        let found = self.find(path).is_some();
        if found {
            self.change(Change::Unlink { path: path.to_owned() });
        }
        found
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> bool {
        let Some(inode) = self.find(from) else { return false };
        self.change(Change::Rename { from: from.to_owned(), to: to.to_owned(), inode });
        true
    }

    pub(super) fn sync(&mut self, dir: &Path) {
        let mode = self.mode;
        let (done, left) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|change| mode == MetadataMode::Ordered || change.touches(dir));
        self.pending = left;
        let done: Vec<Change> = done;
        done.iter().for_each(|change| change.apply(&mut self.durable));
    }

    pub(super) fn crash(&mut self, rng: &mut Rng) {
        let pending = std::mem::take(&mut self.pending);
        let kept = rng.between(0, pending.len() as u64) as usize;
        for (position, change) in pending.iter().enumerate() {
            let survives = match self.mode {
                MetadataMode::Ordered => position < kept,
                MetadataMode::Strict => rng.percent(50),
            };
            if survives {
                change.apply(&mut self.durable);
            }
        }
        self.cached = self.durable.clone();
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.cached);
        self.pending.push(change);
    }
}

impl Change {
    fn touches(&self, dir: &Path) -> bool {
        match self {
            Change::Link { path, .. } | Change::Unlink { path } => path.parent() == Some(dir),
            Change::Rename { from, to, .. } => {
                from.parent() == Some(dir) || to.parent() == Some(dir)
            }
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Change::Link { path, inode } => {
                names.insert(path.clone(), *inode);
            }
            Change::Unlink { path } => {
                names.remove(path);
            }
            Change::Rename { from, to, inode } => {
                if names.get(from) == Some(inode) {
                    names.remove(from);
                }
                names.insert(to.clone(), *inode);
            }
        }
    }
}
