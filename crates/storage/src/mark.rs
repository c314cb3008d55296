//! Has there been a database here? What tells a member that lost its disk from a new one.
//!
//! A member that has forgotten what it acknowledged must not vote: with it, others who have not
//! heard of it either could be a quorum. The reference trusts an empty directory unless
//! `zookeeper.db.autocreate` is false. Here two more things speak against a new member that has no
//! snapshot: an epoch file, and a mark outside of `version-2`, which is left behind when that
//! directory is lost or moved aside. A member that comes back so is marked as lost until it stands
//! in an epoch again: the state that it fetches is older than what the leader sends behind it. The
//! marker `initialize` overrules all of it.

use crate::epoch::{highest_epoch, write_text};
use crate::error::At;
use crate::names::{Dirs, list_snapshots};
use crate::{Disk, Error};
use std::path::PathBuf;

/// Whether there is no snapshot although there has been a database, or there was none and the member
/// has not synchronized since. To be asked before a recovery makes the directories.
///
/// # Errors
/// [`Error::LostLogs`] if there are snapshots, but the directory of the logs is gone;
/// [`Error::Io`].
pub fn is_database_lost<D: Disk>(disk: &D, dirs: &Dirs) -> Result<bool, Error> {
    let marker = dirs.log.join(INITIALIZE);
    if disk.exists(&marker).at(&marker)? {
        return Ok(false);
    }
    let lost = lost(dirs);
    if disk.exists(&lost).at(&lost)? {
        return Ok(true);
    }
    let (mark, snapshots, logs) = (mark(dirs), dirs.snapshots(), dirs.logs());
    let is_marked = disk.exists(&mark).at(&mark)?;
    let has_dir = disk.exists(&snapshots).at(&snapshots)?;
    if !has_dir || list_snapshots(disk, &snapshots)?.is_empty() {
        return Ok(is_marked || (has_dir && highest_epoch(disk, &snapshots)? > 0));
    }
    if is_marked && !disk.exists(&logs).at(&logs)? {
        return Err(Error::LostLogs(logs));
    }
    Ok(false)
}

/// Whether there has certainly been a database.
///
/// # Errors
/// [`Error::Io`].
pub fn has_mark<D: Disk>(disk: &D, dirs: &Dirs) -> Result<bool, Error> {
    let mark = mark(dirs);
    disk.exists(&mark).at(&mark)
}

/// Notes that there is a database.
///
/// # Errors
/// [`Error::Io`].
pub fn mark_database<D: Disk>(disk: &D, dirs: &Dirs) -> Result<(), Error> {
    let mark = mark(dirs);
    if disk.exists(&mark).at(&mark)? {
        return Ok(());
    }
    write_text(disk, &mark, Some(MARK_TEXT))
}

/// Notes that the database is lost, or that it is not: it began anew, or has synchronized.
///
/// # Errors
/// [`Error::Io`].
pub fn mark_lost<D: Disk>(disk: &D, dirs: &Dirs, is_lost: bool) -> Result<(), Error> {
    let lost = lost(dirs);
    if disk.exists(&lost).at(&lost)? == is_lost {
        return Ok(());
    }
    write_text(disk, &lost, is_lost.then_some(LOST_TEXT))
}

fn lost(dirs: &Dirs) -> PathBuf {
    dirs.data.join(LOST)
}

fn mark(dirs: &Dirs) -> PathBuf {
    dirs.data.join(MARK)
}

/// Says that an empty server is meant.
pub(crate) const INITIALIZE: &str = "initialize";
const MARK: &str = "quorate.database";
const LOST: &str = "quorate.lost";
const LOST_TEXT: &str = "The database here was lost. This member does not vote before it has \
                         synchronized; then this file goes by itself.\n";
const MARK_TEXT: &str = "There has been a database here. If version-2 is missing or empty, this \
                         member does not vote before it has synchronized.\n";

#[cfg(test)]
mod tests {
    use super::{is_database_lost, mark_database, mark_lost};
    use crate::simulated::SimulatedDisk;
    use crate::testing::in_dir;
    use crate::{Dirs, Disk, Error, write_number};
    use base::Rng;
    use std::path::Path;

    #[test]
    fn a_lost_database_is_told_from_a_new_member() {
        let disk = SimulatedDisk::default();
        let dirs = Dirs::single("/data");
        disk.install(Path::new("/data/myid"), b"1");
        let lost = |disk: &SimulatedDisk| is_database_lost(disk, &dirs).unwrap();
        assert!(!lost(&disk), "a new member");
        disk.install(&in_dir("acceptedEpoch"), b"0");
        assert!(!lost(&disk), "a member that has promised nothing");
        write_number(&disk, &in_dir("acceptedEpoch"), 3).unwrap();
        assert!(lost(&disk), "who promised?");
        disk.install(&in_dir("snapshot.0"), b"");
        assert!(!lost(&disk));
        mark_database(&disk, &dirs).unwrap();
        mark_database(&disk, &dirs).unwrap();
        assert!(!lost(&disk));
        for name in ["snapshot.0", "acceptedEpoch"] {
            disk.remove(&in_dir(name)).unwrap();
        }
        assert!(lost(&disk), "version-2 was moved aside");
        disk.install(Path::new("/data/initialize"), b"");
        assert!(!lost(&disk), "someone says that it is to begin anew");
    }

    #[test]
    fn a_lost_database_is_lost_until_someone_says_that_it_is_not() {
        let disk = SimulatedDisk::default();
        let dirs = Dirs::single("/data");
        disk.install(&in_dir("snapshot.0"), b"");
        mark_lost(&disk, &dirs, false).unwrap();
        mark_lost(&disk, &dirs, true).unwrap();
        disk.crash(&mut Rng::new(1));
        assert!(is_database_lost(&disk, &dirs).unwrap(), "a snapshot is not all");
        mark_lost(&disk, &dirs, false).unwrap();
        disk.crash(&mut Rng::new(1));
        assert!(!is_database_lost(&disk, &dirs).unwrap());
    }

    #[test]
    fn snapshots_without_the_directory_of_the_logs_are_refused() {
        let disk = SimulatedDisk::default();
        let dirs = Dirs { data: "/data".into(), log: "/log".into() };
        disk.install(&in_dir("snapshot.5"), b"");
        assert!(!is_database_lost(&disk, &dirs).unwrap(), "nobody knows that there were logs");
        mark_database(&disk, &dirs).unwrap();
        assert!(matches!(is_database_lost(&disk, &dirs), Err(Error::LostLogs(_))));
        disk.create_dir_all(&dirs.logs()).unwrap();
        assert!(!is_database_lost(&disk, &dirs).unwrap());
    }
}
