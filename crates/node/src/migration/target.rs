//! Where data is moved to, and what becomes of where it was.

use super::MigrateError;
use super::note::aside;
use super::source::{End, Source};
use crate::over_raft::configuration;
use crate::snapshot::{SnapshotOptions, SnapshotTask};
use base::Lsn;
use broadcast::Base;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use storage::journal::{Identity, Journal, Options, Record};
use storage::{Dirs, Disk, Error, Recovery, RecoveryOptions, write_number};

/// The directory in which there is anything that a server would take for data.
pub(super) fn in_use<D: Disk>(disk: &D, dirs: &Dirs) -> Result<Option<PathBuf>, Error> {
    for dir in both(dirs) {
        if !names(disk, &dir)?.is_empty() {
            return Ok(Some(dir));
        }
    }
    Ok(None)
}

/// Makes the directories, durably.
pub(super) fn make_dirs<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    options: RecoveryOptions,
) -> Result<(), Error> {
    let options = RecoveryOptions { create_dirs: true, ..options };
    Recovery::open(disk.clone(), dirs.clone(), options).map(|_| ())
}

/// Removes what a move has left that came to nothing.
pub(super) fn clear<D: Disk>(disk: &D, dirs: &Dirs) -> Result<(), Error> {
    for dir in both(dirs) {
        let left = names(disk, &dir)?;
        for name in &left {
            let path = dir.join(name);
            disk.remove(&path).map_err(|source| Error::Io { path, source })?;
        }
        if !left.is_empty() {
            sync_dir(disk, &dir)?;
        }
    }
    Ok(())
}

/// ZooKeeper's epochs, for a member whose log ended as the source's does.
pub(super) fn write_epochs<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    source: &Source,
) -> Result<(), MigrateError> {
    let of_zxid = u64::from(source.standing.zxid.epoch());
    let term = match source.standing.end {
        End::Epoch(_) => 0,
        End::Entry { term, .. } => term,
    };
    let epoch = term.max(of_zxid);
    // The next leader's is one more.
    let Some(number) = i32::try_from(epoch).ok().filter(|epoch| *epoch < i32::MAX) else {
        return Err(MigrateError::Term(epoch));
    };
    for name in ["acceptedEpoch", "currentEpoch"] {
        write_number(disk, &dirs.snapshots().join(name), i64::from(number))?;
    }
    Ok(())
}

/// A journal that begins behind the source's state.
pub(super) fn write_journal<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    (identity, options): (Identity, Options),
    source: &Source,
) -> Result<(), MigrateError> {
    let zxid = source.standing.zxid;
    let period = u64::from(zxid.epoch()).max(1);
    let mut encoded = Vec::new();
    configuration(&source.membership)?.encode(&mut encoded);
    let index = zxid.0.cast_unsigned();
    let base = Base { index, period, at: zxid, configuration: encoded.into() };
    let history = history(source, period);
    let found = Journal::recover(disk.clone(), dirs.logs(), identity, options)?;
    let mut journal = found.journal;
    let state = base.encode();
    let records = [
        Record::Register { name: raft::TERM, value: period.cast_signed() },
        Record::Register { name: raft::HISTORY, value: history.cast_signed() },
        Record::Checkpoint { at: zxid, state: &state },
    ];
    for (lsn, record) in (1..).zip(&records) {
        journal.append(Lsn(lsn), record)?;
    }
    Ok(journal.close()?)
}

/// The tree's snapshot.
pub(super) fn write_tree<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    source: &Source,
    options: SnapshotOptions,
) -> Result<(), Error> {
    SnapshotTask::take(disk.clone(), &dirs.snapshots(), &source.tree, options)?;
    storage::mark_database(disk, dirs)
}

/// Moves what is in the directories out of every server's sight; says where to.
pub(super) fn set_aside<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    number: u32,
) -> Result<Vec<PathBuf>, Error> {
    let mut places = Vec::new();
    let mut roots = vec![&dirs.data];
    if dirs.log != dirs.data {
        roots.push(&dirs.log);
    }
    // Snapshots first: of the logs alone no server makes a state.
    for (root, dir) in roots.into_iter().zip(both(dirs)) {
        let (mut left, place) = (names(disk, &dir)?, aside(root, number));
        let exists = disk.exists(&place);
        let is_begun = exists.map_err(|source| Error::Io { path: place.clone(), source })?;
        if left.is_empty() && !is_begun {
            continue;
        }
        left.sort_by_key(|name| (!name.starts_with("snapshot."), name.clone()));
        let failed = |source| Error::Io { path: place.clone(), source };
        disk.create_dir_all(&place).map_err(failed)?;
        sync_dir(disk, root)?;
        for name in left {
            let (path, to) = (dir.join(&name), place.join(&name));
            disk.rename(&path, &to).map_err(|source| Error::Io { path, source })?;
        }
        sync_dir(disk, &place)?;
        sync_dir(disk, &dir)?;
        places.push(place);
    }
    Ok(places)
}

/// What only a member has whose log begins with this state, under these voters: FNV-1a, and never
/// one of the numbers that mean something else.
fn history(source: &Source, period: u64) -> u64 {
    let (standing, first) = (&source.standing, 0xcbf2_9ce4_8422_2325_u64);
    let voters: BTreeSet<i64> = standing.voters.iter().copied().collect();
    let words = [standing.zxid.0.cast_unsigned(), period, standing.digest];
    let words = words.into_iter().chain(voters.into_iter().map(i64::cast_unsigned));
    let hash = words
        .flat_map(u64::to_be_bytes)
        .fold(first, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash | 1 << 63
}

/// The directories that there are: of snapshots, then of logs.
fn both(dirs: &Dirs) -> Vec<PathBuf> {
    let (snapshots, logs) = (dirs.snapshots(), dirs.logs());
    if snapshots == logs { vec![snapshots] } else { vec![snapshots, logs] }
}

/// The files of a directory; none if it is missing.
fn names<D: Disk>(disk: &D, dir: &Path) -> Result<Vec<String>, Error> {
    let failed = |source| Error::Io { path: dir.to_owned(), source };
    if !disk.exists(dir).map_err(failed)? {
        return Ok(Vec::new());
    }
    Ok(disk.list(dir).map_err(failed)?.into_iter().map(|entry| entry.name).collect())
}

fn sync_dir<D: Disk>(disk: &D, dir: &Path) -> Result<(), Error> {
    disk.sync_dir(dir).map_err(|source| Error::Io { path: dir.to_owned(), source })
}
