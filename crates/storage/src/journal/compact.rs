//! Compaction: segments whose live entries a durable checkpoint covers are removed.
//!
//! Oldest first, one at a time, each durably before the next: whatever a crash leaves is a journal.
//! Every segment repeats what is kept at its beginning, so that none needs an earlier one but for
//! its entries.

use super::recover::segment_name;
use super::writer::Journal;
use crate::error::At;
use crate::{Disk, DiskFile, Error};
use base::Zxid;
use std::path::{Path, PathBuf};

/// How much of a removed file is given back at once, in bytes: a file system frees it in one
/// transaction, for which syncs of other files wait.
const PIECE_SIZE: u64 = 4 << 20;

/// Segments that are to be removed: may be done on any thread, and may take long.
#[derive(Debug)]
pub struct Removal<D> {
    disk: D,
    dir: PathBuf,
    from: u64,
    /// The first that stays.
    to: u64,
}

impl<D: Disk> Removal<D> {
    /// Does it; gives how many were removed.
    ///
    /// # Errors
    /// [`Error::Io`]. The journal is told with [`Journal::end_removal`] in any case.
    pub fn perform(self) -> Result<u64, Error> {
        for number in self.from..self.to {
            self.remove(&self.dir.join(segment_name(number)))?;
        }
        Ok(self.to - self.from)
    }

    fn remove(&self, path: &Path) -> Result<(), Error> {
        let mut file = self.disk.open_rw(path).at(path)?;
        self.disk.remove(path).at(path)?;
        // A later one must not be gone while this one is back, nor this one be back and cut.
        self.disk.sync_dir(&self.dir).at(&self.dir)?;
        let mut len = file.len().at(path)?;
        while len > PIECE_SIZE {
            len -= PIECE_SIZE;
            file.set_len(len).at(path)?;
        }
        Ok(())
    }
}

impl<D: Disk> Journal<D> {
    /// Gives up entries up to `covered` that the last checkpoint covers, as far as whole segments
    /// hold nothing else; never one after either. Everything appended is made durable first. `None`
    /// if there is nothing to remove, or a removal is under way.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Poisoned`].
    pub fn compact(&mut self, covered: Zxid) -> Result<Option<Removal<D>>, Error> {
        if self.is_removing {
            return Ok(None);
        }
        self.guarded(Journal::sync_all)?;
        let covered = covered.min(self.state.checkpoint_at());
        let (from, last) = (self.oldest, self.current.number);
        let is_needed =
            |number: &u64| self.state.index.last_in(*number).is_some_and(|last| last > covered);
        let to = (from..last).find(is_needed).unwrap_or(last);
        if to == from {
            return Ok(None);
        }
        self.state.index.forget_before(to);
        self.oldest = to;
        self.is_removing = true;
        Ok(Some(Removal { disk: self.disk.clone(), dir: self.dir.clone(), from, to }))
    }

    /// Takes what came of a removal.
    ///
    /// # Errors
    /// What it says: the journal has ended. Nothing is lost, and the next start finds a journal.
    pub fn end_removal(&mut self, result: Result<u64, Error>) -> Result<u64, Error> {
        self.is_removing = false;
        self.guarded(|_| result)
    }
}
