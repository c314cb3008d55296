//! Cutting the log after a transaction, which a leader asks for with TRUNC.
//!
//! Later files go first, newest first and each for good, so that a crash leaves a log that is only
//! too long, and the leader asks again. Deviation: the reference, asked for a zxid that is not in
//! the log, keeps one record too many; here nothing is touched.

use super::reader::{LogReader, ReadOptions};
use super::{HEADER_SIZE, MARK_OFFSET};
use crate::error::At;
use crate::names::list_logs;
use crate::{Disk, DiskFile, Error};
use base::Zxid;
use std::path::Path;

/// Removes every record after `zxid`, durably. No writer may have the log open.
///
/// # Errors
/// [`Error::NotInLog`] if there is no record `zxid`; otherwise as [`LogReader::next_record`].
pub fn truncate_log<D: Disk>(
    disk: &D,
    dir: &Path,
    zxid: Zxid,
    options: ReadOptions,
) -> Result<(), Error> {
    let options = ReadOptions { refuse_gaps: false, ..options };
    let mut reader = LogReader::open(disk.clone(), dir, zxid, options)?;
    let not_in_log = || Error::NotInLog { dir: dir.to_owned(), zxid };
    let record = reader.next_record()?.ok_or_else(not_in_log)?;
    if record.zxid() != zxid {
        return Err(not_in_log());
    }
    let (path, end) = (record.path.to_owned(), record.end);
    cut_after(disk, dir, &path, end)
}

/// Removes every record after `zxid`, which need not be in the log.
pub(crate) fn remove_after<D: Disk>(
    disk: &D,
    dir: &Path,
    zxid: Zxid,
    options: ReadOptions,
) -> Result<(), Error> {
    let options = ReadOptions { refuse_gaps: false, ..options };
    let mut reader = LogReader::open(disk.clone(), dir, zxid.next(), options)?;
    match reader.next_record()? {
        Some(record) => {
            let (path, begin) = (record.path.to_owned(), record.offset);
            cut_after(disk, dir, &path, begin)
        }
        None => Ok(()),
    }
}

/// Removes all files after `path`, and what it holds itself from `end` on.
fn cut_after<D: Disk>(disk: &D, dir: &Path, path: &Path, end: u64) -> Result<(), Error> {
    let remove = |path: &Path| {
        disk.remove(path).at(path)?;
        disk.sync_dir(dir).at(dir)
    };
    let logs = list_logs(disk, dir)?;
    for log in logs.iter().rev().take_while(|log| log.path != path) {
        remove(&log.path)?;
    }
    // A file without records would have the name that the next one may get.
    if end <= HEADER_SIZE { remove(path) } else { cut(disk, path, end) }
}

/// Cuts a file after its good part, padding included; it is never appended to again.
pub(crate) fn cut<D: Disk>(disk: &D, path: &Path, end: u64) -> Result<(), Error> {
    let mut file = disk.open_rw(path).at(path)?;
    let mut mark = [0; 8];
    let read = file.read_at(MARK_OFFSET, &mut mark).at(path)?;
    let mark = u64::from_be_bytes(mark);
    if read == size_of_val(&mark) && mark != 0 && mark != end && end >= HEADER_SIZE {
        file.write_at(MARK_OFFSET, &end.to_be_bytes()).at(path)?;
    }
    file.set_len(end).at(path)?;
    file.sync_data().at(path)
}
