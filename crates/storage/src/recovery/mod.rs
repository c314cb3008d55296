//! Recovery: from what is on the disk to a tree, by way of a visitor.
//!
//! [`Recovery::open`] checks the directories and finds the snapshots; [`Recovery::restore`] feeds
//! the newest good one to a [`Restore`], then every later record of the log, and repairs what a
//! crash left: what may not be durable is written again, a torn tail is cut off its file, a log
//! that was never begun and a half-written snapshot are removed, an install is completed. A server and the simulator use the
//! same driver.
//!
//! Deviations from the reference, all towards refusing: transactions that are missing between the
//! snapshot and the log, or within one epoch, are an error at once.

mod restore;
#[cfg(test)]
mod tests;

pub use restore::{Begin, Outcome, Restore, RestoreError, Restored};

use crate::error::At;
use crate::log::{Finding, LogReader, ReadOptions, Tail};
use crate::mark::INITIALIZE;
use crate::names::{Dirs, SnapshotFile, is_unfinished, list_logs, list_snapshots};
use crate::reset::resume_install;
use crate::snapshot::newest_valid;
use crate::{Disk, Error};
use base::Zxid;
use std::path::Path;

/// The server's options that decide what may be recovered from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveryOptions {
    /// `zookeeper.datadir.autocreate`: missing directories are made.
    pub create_dirs: bool,
    /// `zookeeper.db.autocreate`: a server without data begins with an empty tree.
    pub create_database: bool,
    /// `zookeeper.snapshot.trust.empty`: logs without any snapshot are replayed.
    pub trust_empty_snapshot: bool,
    /// How the log is read.
    pub read: ReadOptions,
}

impl Default for RecoveryOptions {
    fn default() -> Self {
        RecoveryOptions {
            create_dirs: true,
            create_database: true,
            trust_empty_snapshot: false,
            read: ReadOptions::default(),
        }
    }
}

/// A data directory that has passed the first checks.
#[derive(Debug)]
pub struct Recovery<D: Disk> {
    disk: D,
    dirs: Dirs,
    options: RecoveryOptions,
    /// Snapshots that pass the quick check, newest first.
    candidates: Vec<SnapshotFile>,
}

impl<D: Disk> Recovery<D> {
    /// Checks the directories, makes missing ones, and lists the snapshots.
    ///
    /// # Errors
    /// [`Error::MissingDir`], [`Error::SnapshotsAmongLogs`], [`Error::LogsAmongSnapshots`],
    /// [`Error::Io`].
    pub fn open(disk: D, dirs: Dirs, options: RecoveryOptions) -> Result<Recovery<D>, Error> {
        let (snapshots, logs) = (dirs.snapshots(), dirs.logs());
        for dir in [&snapshots, &logs] {
            ensure_dir(&disk, dir, options.create_dirs)?;
        }
        if snapshots != logs {
            if !list_snapshots(&disk, &logs)?.is_empty() {
                return Err(Error::SnapshotsAmongLogs(logs));
            }
            if !list_logs(&disk, &snapshots)?.is_empty() {
                return Err(Error::LogsAmongSnapshots(snapshots));
            }
        }
        let candidates = newest_valid(&disk, &snapshots, CANDIDATES_MAX)?;
        Ok(Recovery { disk, dirs, options, candidates })
    }

    /// The snapshots that will be tried, newest first.
    #[must_use]
    pub fn candidates(&self) -> &[SnapshotFile] {
        &self.candidates
    }

    /// Brings `target` to the last state that the disk knows, and repairs the disk.
    ///
    /// # Errors
    /// What the storage refuses, or what `target` said to a transaction.
    pub fn restore<R: Restore>(&self, target: &mut R) -> Result<Restored, RestoreError<R::Error>> {
        let (snapshots, logs) = (self.dirs.snapshots(), self.dirs.logs());
        remove_unfinished(&self.disk, &snapshots)?;
        if logs != snapshots {
            remove_unfinished(&self.disk, &logs)?;
        }
        if resume_install(&self.disk, &self.dirs, self.options.read)? {
            // The snapshots are others now.
            let recovery = Recovery::open(self.disk.clone(), self.dirs.clone(), self.options)?;
            return recovery.restore(target);
        }
        let was_initialized = self.take_initialize()?;
        let mut skipped = Vec::new();
        let start = self.load_snapshot(target, &mut skipped)?;
        if start.is_none() {
            let without_data = self.without_snapshot(was_initialized)?;
            target.begin(Begin::Empty).map_err(RestoreError::Target)?;
            if let Some(restored) = without_data {
                return Ok(restored);
            }
        }
        let mut restored = self.replay(target, start)?;
        restored.skipped_snapshots = skipped;
        Ok(restored)
    }

    /// The marker that says that an empty server is meant; it counts once.
    fn take_initialize(&self) -> Result<bool, Error> {
        let marker = self.dirs.log.join(INITIALIZE);
        if !self.disk.exists(&marker).at(&marker)? {
            return Ok(false);
        }
        self.disk.remove(&marker).at(&marker)?;
        self.disk.sync_dir(&self.dirs.log).at(&self.dirs.log)?;
        Ok(true)
    }

    /// What there is to begin with if there is no snapshot; `None` to replay the whole log.
    fn without_snapshot(&self, was_initialized: bool) -> Result<Option<Restored>, Error> {
        let logs = self.dirs.logs();
        if self.has_records(&logs)? {
            if self.options.trust_empty_snapshot {
                return Ok(None);
            }
            return Err(Error::NoSnapshot(logs));
        }
        let may_begin = was_initialized || self.options.create_database;
        let outcome = if may_begin { Outcome::Empty } else { Outcome::Unknown };
        Ok(Some(Restored::without_data(outcome)))
    }

    /// Anything in a log but a header and zeros counts, a torn record as well: a server writes its
    /// first snapshot before its first record, so that one was lost.
    fn has_records(&self, logs: &Path) -> Result<bool, Error> {
        let options = ReadOptions { tail: Tail::Closed, refuse_gaps: false, ..self.options.read };
        let mut reader = LogReader::open(self.disk.clone(), logs, Zxid::ZERO, options)?;
        if reader.next_record()?.is_some() {
            return Ok(true);
        }
        let findings = reader.findings();
        if findings.iter().any(|finding| !matches!(finding, Finding::Unbegun(_))) {
            return Ok(true);
        }
        repair(&self.disk, logs, findings)?;
        Ok(false)
    }
}

/// Brings the disk in order after the log was read to its end.
fn repair<D: Disk>(disk: &D, logs: &Path, findings: &[Finding]) -> Result<(), Error> {
    for finding in findings {
        match finding {
            Finding::TornTail { path, offset, .. } => crate::log::cut(disk, path, *offset)?,
            Finding::Unbegun(path) => {
                disk.remove(path).at(path)?;
                disk.sync_dir(logs).at(logs)?;
            }
            Finding::TornMiddle { .. } | Finding::OutOfOrder { .. } | Finding::Gap { .. } => {}
        }
    }
    Ok(())
}

fn ensure_dir<D: Disk>(disk: &D, dir: &Path, may_create: bool) -> Result<(), Error> {
    if disk.exists(dir).at(dir)? {
        return Ok(());
    }
    if !may_create {
        return Err(Error::MissingDir(dir.to_owned()));
    }
    let mut missing = Vec::new();
    for ancestor in dir.ancestors().filter(|ancestor| !ancestor.as_os_str().is_empty()) {
        if disk.exists(ancestor).at(ancestor)? {
            break;
        }
        missing.push(ancestor);
    }
    disk.create_dir_all(dir).at(dir)?;
    // Each new directory is a name in the one above it; a relative path begins in ".".
    for parent in missing.iter().filter_map(|new| new.parent()) {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        disk.sync_dir(parent).at(parent)?;
    }
    Ok(())
}

fn remove_unfinished<D: Disk>(disk: &D, dir: &Path) -> Result<(), Error> {
    for entry in disk.list(dir).at(dir)? {
        if is_unfinished(&entry.name) {
            let path = dir.join(&entry.name);
            disk.remove(&path).at(&path)?;
        }
    }
    Ok(())
}

/// How many snapshots are tried at most; the reference's number.
const CANDIDATES_MAX: usize = 100;
