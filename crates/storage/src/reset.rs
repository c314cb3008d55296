//! Taking back what is void: after a leader's TRUNC, and around a state that a leader sent.
//!
//! A member's history may end in what no leader knows of. [`TxnLog::truncate`] cuts it off.
//! [`TxnLog::begin_install`] and [`TxnLog::installed`] stand before and behind the snapshot of a
//! received state, which may be of another history altogether: what was on the disk must lead
//! nowhere any more, or a start that finds the new snapshot bad would take the old ones up.
//!
//! Every step is durable before the next, and a crash between two leaves a beginning of the old
//! history or the new state, never a mixture and never a hole that was not there: snapshots go
//! when what is to stay has been read, and then records from their end backwards. An install leaves
//! a note until it is complete; a start completes it. Nothing may begin to write a snapshot
//! meanwhile; one that is half written loses its file. Source: disk format, sections 8 and 12; quorum protocol, section 9.3.

#[cfg(test)]
mod tests;

use crate::error::At;
use crate::log::remove_after;
use crate::names::{SPARE_LOG_NAME, is_unfinished, list_logs, list_snapshots};
use crate::{
    Begin, Dirs, Disk, Error, LogReader, ReadOptions, Recovery, RecoveryOptions, Restore,
    RestoreError, SnapshotTrailer, TxnLog, read_number, write_number, write_text,
};
use base::{SessionId, Zxid};
use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use wire::{Acls, NodeRecord, TxnRecord};

/// What came of a truncation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truncated {
    /// The disk leads to the place that was asked for and no further.
    Done,
    /// No snapshot and log lead there: nothing was touched.
    NotThere,
}

impl<D: Disk> TxnLog<D> {
    /// Removes every record of after `to`, and every snapshot that may hold something of them;
    /// the next record begins a new file. First all that leads to `to` is read: if `to` is not
    /// there, nothing is touched.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Poisoned`], or what is wrong with the records on the way to `to`.
    pub fn truncate(
        &mut self,
        dirs: &Dirs,
        to: Zxid,
        read: ReadOptions,
    ) -> Result<Truncated, Error> {
        self.roll()?;
        let disk = self.disk().clone();
        let truncated = self.guarded(|_| truncate(&disk, dirs, to, read))?;
        if truncated == Truncated::Done {
            self.forget_after(to);
        }
        Ok(truncated)
    }

    /// To be called before the snapshot of a received state is written: removes every record of
    /// after `at`, its place, so that none is taken for one of the new history.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Poisoned`], or what is wrong with the last file that stays.
    pub fn begin_install(&mut self, dirs: &Dirs, at: Zxid, read: ReadOptions) -> Result<(), Error> {
        self.roll()?;
        let disk = self.disk().clone();
        self.guarded(|_| {
            write_number(&disk, &note(dirs), at.0)?;
            let base = recovery(&disk, dirs, read)?.newest_before(at)?;
            cut(&disk, dirs, (base, at), read)
        })?;
        self.forget_after(at);
        Ok(())
    }

    /// To be called when the snapshot of a received state is complete: removes all others and all
    /// records, which are of another history.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Poisoned`].
    pub fn installed(&mut self, dirs: &Dirs, at: Zxid) -> Result<(), Error> {
        let disk = self.disk().clone();
        self.guarded(|_| complete_install(&disk, dirs, at))
    }
}

/// Whether an install has begun and is not complete.
///
/// # Errors
/// [`Error::Io`].
pub fn has_unfinished_install<D: Disk>(disk: &D, dirs: &Dirs) -> Result<bool, Error> {
    let note = note(dirs);
    disk.exists(&note).at(&note)
}

/// Completes an install that a crash has interrupted, if its snapshot is there; says whether.
pub(crate) fn resume_install<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    read: ReadOptions,
) -> Result<bool, Error> {
    let note = note(dirs);
    let at = match read_number(disk, &note) {
        Ok(None) => return Ok(false),
        Ok(Some(at)) => Some(Zxid(at)),
        Err(Error::BadFile { .. }) => None,
        Err(error) => return Err(error),
    };
    if let Some(at) = at
        && recovery(disk, dirs, read)?.has_good(at)?
    {
        complete_install(disk, dirs, at)?;
        return Ok(true);
    }
    write_text(disk, &note, None)?;
    Ok(false)
}

fn complete_install<D: Disk>(disk: &D, dirs: &Dirs, at: Zxid) -> Result<(), Error> {
    forget_all_but(disk, dirs, at)?;
    write_text(disk, &note(dirs), None)
}

fn recovery<D: Disk>(disk: &D, dirs: &Dirs, read: ReadOptions) -> Result<Recovery<D>, Error> {
    let options = RecoveryOptions { create_dirs: false, read, ..RecoveryOptions::default() };
    Recovery::open(disk.clone(), dirs.clone(), options)
}

fn note(dirs: &Dirs) -> PathBuf {
    dirs.snapshots().join(INSTALL_NOTE)
}

fn truncate<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    to: Zxid,
    read: ReadOptions,
) -> Result<Truncated, Error> {
    let restored = recovery(disk, dirs, read)?.restore_to(&mut Nobody, to);
    let base = match restored {
        Ok(restored) => restored.snapshot,
        Err(RestoreError::Storage(error @ Error::Io { .. })) => return Err(error),
        // Damage on the way there is met again by whoever reads that way; it is none of ours.
        Err(RestoreError::Storage(_)) => return Ok(Truncated::NotThere),
    };
    cut(disk, dirs, (base, to), read)?;
    // Those are left if records are missing behind the base, or damaged.
    remove_snapshots(disk, dirs, |zxid| Some(zxid) > base)?;
    Ok(Truncated::Done)
}

/// Removes the records of after `to`. First, if the log is whole from the snapshot `base` on,
/// later snapshots: they are damaged, or hold something of what is to go.
fn cut<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    (base, to): (Option<Zxid>, Zxid),
    read: ReadOptions,
) -> Result<(), Error> {
    remove_unfinished_snapshots(disk, &dirs.snapshots())?;
    if let Some(base) = base
        && is_whole(disk, &dirs.logs(), base, read)?
    {
        remove_snapshots(disk, dirs, |zxid| zxid > base)?;
    }
    remove_after(disk, &dirs.logs(), to, read)
}

/// Whether all records after `base` can be read.
fn is_whole<D: Disk>(disk: &D, dir: &Path, base: Zxid, read: ReadOptions) -> Result<bool, Error> {
    let read = ReadOptions { refuse_gaps: true, ..read };
    let mut reader = LogReader::open(disk.clone(), dir, base.next(), read)?;
    loop {
        match reader.next_record() {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(true),
            Err(error @ Error::Io { .. }) => return Err(error),
            Err(_) => return Ok(false),
        }
    }
}

/// Snapshots first: an older one would be a way into the old history as long as it has records.
/// Those of later places would be taken for newer than the one that stays.
fn forget_all_but<D: Disk>(disk: &D, dirs: &Dirs, at: Zxid) -> Result<(), Error> {
    remove_unfinished_snapshots(disk, &dirs.snapshots())?;
    remove_snapshots(disk, dirs, |zxid| zxid != at)?;
    let logs = dirs.logs();
    for log in list_logs(disk, &logs)?.iter().rev() {
        remove(disk, &log.path)?;
        disk.sync_dir(&logs).at(&logs)?;
    }
    Ok(())
}

/// Removes snapshots, newest first and each for good.
fn remove_snapshots<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    is_void: impl Fn(Zxid) -> bool,
) -> Result<(), Error> {
    let dir = dirs.snapshots();
    for snapshot in list_snapshots(disk, &dir)? {
        if is_void(snapshot.zxid) {
            remove(disk, &snapshot.path)?;
            disk.sync_dir(&dir).at(&dir)?;
        }
    }
    Ok(())
}

/// Takes the files of snapshots that are being written: their ends find nothing to rename.
fn remove_unfinished_snapshots<D: Disk>(disk: &D, dir: &Path) -> Result<(), Error> {
    for entry in disk.list(dir).at(dir)? {
        if is_unfinished(&entry.name) && entry.name != SPARE_LOG_NAME {
            remove(disk, &dir.join(&entry.name))?;
        }
    }
    disk.sync_dir(dir).at(dir)
}

/// A purge may have been there first.
fn remove<D: Disk>(disk: &D, path: &Path) -> Result<(), Error> {
    match disk.remove(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.at(path),
    }
}

/// What a start finds of an install that was interrupted: the snapshot's place, as a number.
const INSTALL_NOTE: &str = "quorate.install";

/// Takes anything.
pub(crate) struct Nobody;

impl Restore for Nobody {
    type Error = Infallible;

    fn begin(&mut self, _: Begin) -> Result<(), Infallible> {
        Ok(())
    }

    fn session(&mut self, _: SessionId, _: i32) -> Result<(), Infallible> {
        Ok(())
    }

    fn acl(&mut self, _: i64, _: &Acls<'_>) -> Result<(), Infallible> {
        Ok(())
    }

    fn node(&mut self, _: &NodeRecord<'_>) -> Result<(), Infallible> {
        Ok(())
    }

    fn snapshot_done(&mut self, _: Zxid, _: &SnapshotTrailer) -> Result<(), Infallible> {
        Ok(())
    }

    fn txn(&mut self, _: &TxnRecord<'_>, _: &[u8]) -> Result<(), Infallible> {
        Ok(())
    }
}
