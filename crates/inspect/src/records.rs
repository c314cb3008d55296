//! The records of a log as they stand, also where their checksums are wrong: what printing past
//! damage and mending checksums are made of.
//!
//! The server's reader stops at the first wrong checksum, and so does everything else here. This
//! walk goes by the lengths, as ZooKeeper's toolkit does, and ends where they lead nowhere.

use crate::disk::{Inspected, InspectedFile};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use storage::{Disk, DiskFile, record_checksum};

/// A walk through one file.
#[derive(Debug)]
pub(crate) struct Records {
    path: PathBuf,
    file: InspectedFile,
    position: u64,
    len: u64,
}

/// Bytes that have a record's length and its end.
#[derive(Debug)]
pub(crate) struct Record {
    /// Where it begins, in bytes; its checksum is its first field.
    pub(crate) offset: u64,
    pub(crate) payload: Vec<u8>,
    /// The checksum that its payload has.
    pub(crate) checksum: u64,
    /// Whether the file has that one.
    pub(crate) is_sealed: bool,
}

impl Records {
    /// The records from `offset` on, which is where one begins.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(crate) fn from(path: &Path, offset: u64) -> Result<Records> {
        let file = Inspected::read_only().open(path).with_context(|| path.display().to_string())?;
        let len = file.len()?;
        Ok(Records { path: path.to_owned(), file, position: offset, len })
    }

    /// The first record's place.
    pub(crate) const FIRST: u64 = wire::SnapshotHeader::SIZE as u64;

    /// Where the walk is: after `None`, where it ended.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The next record; `None` where there is no length and end of one.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(crate) fn next_record(&mut self) -> Result<Option<Record>> {
        let mut prefix = [0; PREFIX_SIZE];
        if !self.read(self.position, &mut prefix)? {
            return Ok(None);
        }
        let [c0, c1, c2, c3, c4, c5, c6, c7, length @ ..] = prefix;
        let in_file = u64::from_be_bytes([c0, c1, c2, c3, c4, c5, c6, c7]);
        let start = self.position + PREFIX_SIZE as u64;
        let length = u64::try_from(i32::from_be_bytes(length)).unwrap_or(0);
        if length == 0 || length >= self.len.saturating_sub(start) {
            return Ok(None);
        }
        // The file's size bounds it, and a length is an i32.
        let mut payload = vec![0; length as usize + 1];
        if !self.read(start, &mut payload)? || payload.pop() != Some(TRAILER) {
            return Ok(None);
        }
        let offset = self.position;
        self.position = start + length + 1;
        let checksum = record_checksum(&payload);
        Ok(Some(Record { offset, payload, checksum, is_sealed: checksum == in_file }))
    }

    /// False if the file ends before.
    fn read(&self, at: u64, buffer: &mut [u8]) -> Result<bool> {
        let mut have = 0;
        while have < buffer.len() {
            let read = self.file.read_at(at + have as u64, &mut buffer[have..]);
            match read.with_context(|| self.path.display().to_string())? {
                0 => return Ok(false),
                read => have += read,
            }
        }
        Ok(true)
    }
}

/// checksum: long, length: int.
const PREFIX_SIZE: usize = 12;
/// Ends every record.
const TRAILER: u8 = b'B';
