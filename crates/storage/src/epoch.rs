//! Epoch files and `myid`: one number in a file, replaced as a whole or not at all.

use crate::error::At;
use crate::{Disk, DiskFile, Error};
use base::Zxid;
use std::path::{Path, PathBuf};

/// What a member has promised and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epochs {
    /// The highest epoch that it has promised to follow.
    pub accepted: i64,
    /// The epoch of the leader that it last synchronized with.
    pub current: i64,
}

/// Reads the epoch files of `dir` (`version-2` of the data directory) for a member whose last
/// transaction is `last`; missing ones are written, as of that transaction.
///
/// A transaction of a later epoch than `currentEpoch` is what a crash leaves between the sync of
/// what a leader sent and the file. The log has no gap, so all that came before that epoch is
/// there: the member has synchronized with its leader, and the file is written now. The reference
/// refuses unless it finds the file half written.
///
/// # Errors
/// [`Error::BadFile`] if they contradict the log or each other; [`Error::Io`].
pub fn load_epochs<D: Disk>(disk: &D, dir: &Path, last: Zxid) -> Result<Epochs, Error> {
    // Of an empty disk nothing is known: the place -1 has no epoch.
    let of_last = i64::from(last.max(Zxid::ZERO).epoch());
    let accepted_path = dir.join(ACCEPTED_EPOCH);
    let accepted = read_or_write(disk, &accepted_path, of_last)?;
    let current_path = dir.join(CURRENT_EPOCH);
    let mut current = read_or_write(disk, &current_path, of_last)?;
    if of_last > current {
        // No leader sends anything before it has the promise.
        if of_last > accepted {
            let what = "less than the last transaction's epoch: the file or the log is not this \
                        member's; move version-2 aside and let the member synchronize";
            return Err(Error::BadFile { path: accepted_path, what });
        }
        // The reference, which goes by this one, may have got further than the log says.
        let pending = read_number(disk, &temporary(&current_path)).ok().flatten();
        current = pending.unwrap_or(of_last).clamp(of_last, accepted);
        write_number(disk, &current_path, current)?;
    }
    if accepted < current {
        return Err(Error::BadFile {
            path: accepted_path,
            what: "less than currentEpoch: a promise was lost; move version-2 aside and let the \
                   member synchronize",
        });
    }
    Ok(Epochs { accepted, current })
}

/// The highest epoch that the files of `dir` speak of, as far as they can be read: more than zero
/// says that there was a database.
///
/// # Errors
/// [`Error::Io`].
pub fn highest_epoch<D: Disk>(disk: &D, dir: &Path) -> Result<i64, Error> {
    let mut highest = 0;
    for name in [ACCEPTED_EPOCH, CURRENT_EPOCH] {
        match read_number(disk, &dir.join(name)) {
            Ok(number) => highest = highest.max(number.unwrap_or(0)),
            Err(Error::BadFile { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(highest)
}

/// Reads `myid` of the data directory.
///
/// # Errors
/// [`Error::BadFile`] if it is missing or no number; [`Error::Io`].
pub fn read_myid<D: Disk>(disk: &D, data: &Path) -> Result<u64, Error> {
    let path = data.join("myid");
    let text = read_text(disk, &path)?;
    let what = match text {
        None => "missing: put this server's number of server.N into it",
        Some(text) => match text.trim().parse() {
            Ok(id) => return Ok(id),
            Err(_) => "must hold nothing but this server's number of server.N",
        },
    };
    Err(Error::BadFile { path, what })
}

/// Reads a file whose first line is a decimal number; `None` if there is no file.
///
/// # Errors
/// [`Error::BadFile`] if it holds something else; [`Error::Io`].
pub fn read_number<D: Disk>(disk: &D, path: &Path) -> Result<Option<i64>, Error> {
    let Some(text) = read_text(disk, path)? else { return Ok(None) };
    match text.lines().next().unwrap_or_default().parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => {
            let what = "must hold a decimal number in its first line, without blanks";
            Err(Error::BadFile { path: path.to_owned(), what })
        }
    }
}

/// Replaces the file by one that holds `number`, atomically and durably.
///
/// # Errors
/// [`Error::Io`]; the file is then what it was or what it was to be.
pub fn write_number<D: Disk>(disk: &D, path: &Path, number: i64) -> Result<(), Error> {
    write_text(disk, path, Some(&number.to_string()))
}

/// Replaces the file by one that holds `text`, or removes it, atomically and durably.
///
/// # Errors
/// [`Error::Io`]; the file is then what it was or what it was to be.
pub fn write_text<D: Disk>(disk: &D, path: &Path, text: Option<&str>) -> Result<(), Error> {
    write_bytes(disk, path, text.map(str::as_bytes))
}

/// As [`write_text`], for what may be no text.
///
/// # Errors
/// As [`write_text`].
pub fn write_bytes<D: Disk>(disk: &D, path: &Path, bytes: Option<&[u8]>) -> Result<(), Error> {
    match bytes {
        Some(bytes) => replace(disk, path, bytes)?,
        None => match disk.remove(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            other => other.at(path)?,
        },
    }
    let dir = path.parent().unwrap_or(Path::new("/"));
    // A bare name is one in the working directory.
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    disk.sync_dir(dir).at(dir)
}

fn replace<D: Disk>(disk: &D, path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let temporary = temporary(path);
    let written =
        write_synced(disk, &temporary, bytes).and_then(|()| disk.rename(&temporary, path).at(path));
    if written.is_err() {
        // The error that is reported is the first one; a leftover is overwritten next time.
        let _ = disk.remove(&temporary);
    }
    written
}

fn write_synced<D: Disk>(disk: &D, path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut file = disk.create(path).at(path)?;
    file.write_at(0, bytes).at(path)?;
    file.sync_data().at(path)
}

fn read_or_write<D: Disk>(disk: &D, path: &Path, default: i64) -> Result<i64, Error> {
    if let Some(number) = read_number(disk, path)? {
        return Ok(number);
    }
    write_number(disk, path, default)?;
    Ok(default)
}

/// The beginning of a small file as text; `None` if there is no file.
fn read_text<D: Disk>(disk: &D, path: &Path) -> Result<Option<String>, Error> {
    let file = match disk.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).at(path),
    };
    let mut bytes = vec![0; TEXT_SIZE_MAX];
    let mut have = 0;
    while have < bytes.len() {
        match file.read_at(have as u64, &mut bytes[have..]).at(path)? {
            0 => break,
            read => have += read,
        }
    }
    Ok(Some(String::from_utf8_lossy(&bytes[..have]).into_owned()))
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    path.with_file_name(name)
}

/// The longest number file that makes sense, in bytes.
const TEXT_SIZE_MAX: usize = 256;
const CURRENT_EPOCH: &str = "currentEpoch";
const ACCEPTED_EPOCH: &str = "acceptedEpoch";

#[cfg(test)]
mod tests {
    use super::{
        Epochs, highest_epoch, load_epochs, read_myid, read_number, write_number, write_text,
    };
    use crate::Error;
    use crate::simulated::Operation;
    use crate::testing::{DIR, disk, in_dir};
    use base::{Rng, Zxid};
    use std::path::Path;

    #[test]
    fn missing_files_are_made_of_the_last_transaction() {
        let disk = disk();
        let epochs = load_epochs(&disk, Path::new(DIR), Zxid(0x3_0000_0001)).unwrap();
        assert_eq!(epochs, Epochs { accepted: 3, current: 3 });
        assert_eq!(disk.contents(&in_dir("currentEpoch")).unwrap(), b"3");
        write_number(&disk, &in_dir("acceptedEpoch"), 12).unwrap();
        let epochs = load_epochs(&disk, Path::new(DIR), Zxid(0)).unwrap();
        assert_eq!(epochs, Epochs { accepted: 12, current: 3 });
    }

    #[test]
    fn a_crash_before_the_new_epoch_was_written_is_made_good() {
        let disk = disk();
        write_number(&disk, &in_dir("currentEpoch"), 1).unwrap();
        write_number(&disk, &in_dir("acceptedEpoch"), 3).unwrap();
        let last = Zxid(0x2_0000_0001);
        let epochs = load_epochs(&disk, Path::new(DIR), last).unwrap();
        assert_eq!(epochs, Epochs { accepted: 3, current: 2 });
        assert_eq!(read_number(&disk, &in_dir("currentEpoch")).unwrap(), Some(2));
        // What the reference left half written counts, as far as it was promised.
        for (pending, current) in [(&b"3"[..], 3), (b"9", 3), (b"1", 2), (b"x", 2)] {
            write_number(&disk, &in_dir("currentEpoch"), 1).unwrap();
            disk.install(&in_dir("currentEpoch.tmp"), pending);
            let epochs = load_epochs(&disk, Path::new(DIR), last).unwrap();
            assert_eq!(epochs, Epochs { accepted: 3, current });
        }
    }

    #[test]
    fn a_promise_that_was_lost_is_fatal() {
        let disk = disk();
        let refused = |disk| {
            let refused = load_epochs(disk, Path::new(DIR), Zxid(0x2_0000_0001)).unwrap_err();
            matches!(refused, Error::BadFile { path, .. } if path == in_dir("acceptedEpoch"))
        };
        write_number(&disk, &in_dir("acceptedEpoch"), 1).unwrap();
        write_number(&disk, &in_dir("currentEpoch"), 1).unwrap();
        assert!(refused(&disk), "a transaction of an epoch that was not promised");
        write_number(&disk, &in_dir("currentEpoch"), 2).unwrap();
        assert!(refused(&disk), "less than the current epoch");
    }

    #[test]
    fn of_an_unknown_state_there_is_no_epoch() {
        let disk = disk();
        assert_eq!(highest_epoch(&disk, Path::new(DIR)).unwrap(), 0);
        let epochs = load_epochs(&disk, Path::new(DIR), Zxid(-1)).unwrap();
        assert_eq!(epochs, Epochs { accepted: 0, current: 0 });
        assert_eq!(highest_epoch(&disk, Path::new(DIR)).unwrap(), 0);
        write_number(&disk, &in_dir("acceptedEpoch"), 7).unwrap();
        assert_eq!(highest_epoch(&disk, Path::new(DIR)).unwrap(), 7);
    }

    #[test]
    fn a_text_is_replaced_and_removed_for_good() {
        let disk = disk();
        let path = in_dir("zoo.cfg.dynamic.next");
        write_text(&disk, &path, None).unwrap();
        for text in ["server.1=a", "server.1=b\nversion=2"] {
            write_text(&disk, &path, Some(text)).unwrap();
            disk.crash(&mut Rng::new(1));
            assert_eq!(disk.contents(&path).unwrap(), text.as_bytes());
        }
        write_text(&disk, &path, None).unwrap();
        disk.crash(&mut Rng::new(1));
        assert_eq!(disk.contents(&path), None);
    }

    #[test]
    fn numbers_are_read_as_the_reference_reads_them() {
        let disk = disk();
        let path = in_dir("n");
        assert_eq!(read_number(&disk, &path).unwrap(), None);
        for (text, number) in [("7", Some(7)), ("-1\njunk", Some(-1)), (" 7", None), ("", None)] {
            disk.install(&path, text.as_bytes());
            assert_eq!(read_number(&disk, &path).ok().flatten(), number, "{text}");
        }
        assert!(read_myid(&disk, Path::new(DIR)).unwrap_err().to_string().contains("missing"));
        for (text, id) in [("5\n", Some(5)), ("x", None), ("-1", None)] {
            disk.install(&in_dir("myid"), text.as_bytes());
            assert_eq!(read_myid(&disk, Path::new(DIR)).ok(), id, "{text}");
        }
    }

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let operations = [Operation::Write, Operation::Sync, Operation::Name, Operation::SyncDir];
        for seed in 0..400 {
            let disk = disk();
            let path = in_dir("currentEpoch");
            write_number(&disk, &path, 1).unwrap();
            let mut rng = Rng::new(seed);
            disk.fail_after(*rng.pick(&operations), rng.below(3));
            let written = write_number(&disk, &path, 2);
            disk.crash(&mut rng);
            let found = read_number(&disk, &path).unwrap();
            assert!(found == Some(2) || (found == Some(1) && written.is_err()), "{found:?}");
        }
    }
}
