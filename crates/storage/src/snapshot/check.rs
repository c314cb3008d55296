//! The quick check: is a snapshot worth reading? It looks at a few bytes, as the reference does.

use super::xerial::MAGIC;
use crate::error::At;
use crate::names::{Compression, SnapshotFile, list_snapshots};
use crate::{Disk, DiskFile, Error};
use std::io;
use std::path::Path;

/// Whether the file is not obviously cut short: plain ones end in a seal, others have their magic.
///
/// # Errors
/// [`Error::Io`].
pub fn looks_complete<D: Disk>(disk: &D, snapshot: &SnapshotFile) -> Result<bool, Error> {
    let path = &snapshot.path;
    let file = disk.open(path).at(path)?;
    match snapshot.compression {
        Compression::None => {
            let len = file.len().at(path)?;
            Ok(len >= PLAIN_SIZE_MIN
                && holds(&file, len - PLAIN_END.len() as u64, &PLAIN_END).at(path)?)
        }
        Compression::Gzip => holds(&file, 0, &GZIP_MAGIC).at(path),
        Compression::Snappy => holds(&file, 0, &MAGIC).at(path),
    }
}

/// Up to `count` snapshots of `dir` that pass the quick check, newest first.
///
/// # Errors
/// [`Error::Io`].
pub fn newest_valid<D: Disk>(
    disk: &D,
    dir: &Path,
    count: usize,
) -> Result<Vec<SnapshotFile>, Error> {
    let mut valid = Vec::new();
    for snapshot in list_snapshots(disk, dir)? {
        if valid.len() == count {
            break;
        }
        if looks_complete(disk, &snapshot)? {
            valid.push(snapshot);
        }
    }
    Ok(valid)
}

fn holds<F: DiskFile>(file: &F, offset: u64, expected: &[u8]) -> io::Result<bool> {
    let mut found = vec![0; expected.len()];
    let mut have = 0;
    while have < found.len() {
        match file.read_at(offset + have as u64, &mut found[have..])? {
            0 => return Ok(false),
            read => have += read,
        }
    }
    Ok(found == expected)
}

/// "/" as a string.
const PLAIN_END: [u8; 5] = [0, 0, 0, 1, b'/'];
const PLAIN_SIZE_MIN: u64 = 10;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
