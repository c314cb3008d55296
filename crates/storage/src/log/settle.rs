//! After a start: what was read may be known to others from now on, so it must be durable.
//!
//! A process that died without a power failure leaves its last writes in the page cache: they are
//! read back, and may yet be lost. Worse, after a failed sync the kernel takes pages for clean that
//! the disk never got, and a new sync would not write them. So what may not be durable is written
//! again.

use super::{HEADER_SIZE, MARK_OFFSET};
use crate::error::At;
use crate::{Disk, DiskFile, Error};
use std::path::{Path, PathBuf};

/// A file that was read to the end of its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Visited {
    pub(crate) path: PathBuf,
    /// The durable mark; zero for none.
    pub(crate) mark: u64,
    /// Where the last record ends.
    pub(crate) end: u64,
}

impl Visited {
    /// Whether there is no record in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.end <= HEADER_SIZE
    }
}

/// Makes the records of `files`, in the order of reading, durable under their names.
pub(crate) fn settle<D: Disk>(disk: &D, dir: &Path, files: &[Visited]) -> Result<(), Error> {
    let Some((last, earlier)) = files.split_last() else { return Ok(()) };
    for Visited { path, .. } in earlier {
        // A writer that rolled after a failed sync would not have lived to write the next file.
        disk.open_rw(path).at(path)?.sync_data().at(path)?;
    }
    rewrite(disk, last)?;
    disk.sync_dir(dir).at(dir)
}

/// Writes what follows the mark in place again. Whatever a crash leaves of that is what an earlier
/// crash could have left of the first write.
fn rewrite<D: Disk>(disk: &D, file: &Visited) -> Result<(), Error> {
    let path = &file.path;
    let mut handle = disk.open_rw(path).at(path)?;
    write_again(&mut handle, path, file.mark.max(HEADER_SIZE), file.end)?;
    handle.sync_data().at(path)?;
    if file.mark != 0 && file.mark < file.end {
        handle.write_at(MARK_OFFSET, &file.end.to_be_bytes()).at(path)?;
        handle.sync_data().at(path)?;
    }
    Ok(())
}

/// Writes what stands from `from` to `end` in place again, for a sync to take it to the disk.
pub(crate) fn write_again<F: DiskFile>(
    handle: &mut F,
    path: &Path,
    from: u64,
    end: u64,
) -> Result<(), Error> {
    let mut at = from;
    let mut chunk = vec![0; CHUNK_SIZE.min(end.saturating_sub(at)) as usize];
    while at < end {
        let size = (end - at).min(CHUNK_SIZE) as usize;
        let read = handle.read_at(at, &mut chunk[..size]).at(path)?;
        if read == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof)).at(path);
        }
        handle.write_at(at, &chunk[..read]).at(path)?;
        at += read as u64;
    }
    Ok(())
}

/// How much is rewritten at a time, in bytes.
const CHUNK_SIZE: u64 = 1024 * 1024;
