//! A segment read through a window: one record at a time, each checked before it is looked at.

use super::format::{ALIGNMENT, PREFIX_SIZE, Prefix, be64, checksum};
use super::header::HEADER_SIZE;
use super::record::MARK;
use super::{Record, SegmentHeader};
use crate::error::At;
use crate::{Damage, Disk, DiskFile, Error};
use std::io;
use std::path::{Path, PathBuf};

/// An open segment.
#[derive(Debug)]
pub(super) struct Window<F> {
    pub(super) path: PathBuf,
    file: F,
    pub(super) len: u64,
    /// The checksum of the header, which all others begin with.
    pub(super) salt: u32,
    buffer: Vec<u8>,
    /// Where the buffer's first byte is in the file.
    start: u64,
}

/// What is at a position.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// A whole record, and how long it is.
    Record { record: Record<'a>, prefix: Prefix },
    /// A whole record, whose payload means nothing.
    Meaningless,
    /// Zeros or the end of the file.
    End,
    /// Anything else.
    Damaged(Damage),
}

/// What lies behind a point where records end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Behind {
    /// Up to where the segment was durable, as the marks behind the point say; 0 if none does.
    pub(super) durable: u64,
    /// The end of what is not zero, in bytes; 0 if all is.
    pub(super) end: u64,
}

impl<F: DiskFile> Window<F> {
    /// Opens a segment and reads its header.
    ///
    /// # Errors
    /// [`Error::Io`]; what [`SegmentHeader::decode`] says.
    pub(super) fn open<D: Disk<File = F>>(
        disk: &D,
        path: &Path,
    ) -> Result<(Window<F>, SegmentHeader), Error> {
        let file = disk.open(path).at(path)?;
        let len = file.len().at(path)?;
        let (buffer, path) = (Vec::new(), path.to_owned());
        let mut window = Window { path, file, len, salt: 0, buffer, start: 0 };
        window.load(0, len.min(HEADER_SIZE) as usize)?;
        let (header, salt) = SegmentHeader::decode(&window.path, &window.buffer)?;
        window.salt = salt;
        Ok((window, header))
    }

    /// What is at `offset`, by itself: the chain is for the caller to check.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn at(&mut self, offset: u64) -> Result<Found<'_>, Error> {
        let left = self.len.saturating_sub(offset);
        if left < PREFIX_SIZE as u64 {
            return Ok(Found::End);
        }
        let salt = self.salt;
        let prefix = match Prefix::parse(self.fill(offset, PREFIX_SIZE)?) {
            Ok(Some(prefix)) => prefix,
            Ok(None) => return Ok(Found::End),
            Err(damage) => return Ok(Found::Damaged(damage)),
        };
        if prefix.size() > left {
            return Ok(Found::Damaged(Damage::Length));
        }
        // No more than the file has: what the length says is not believed before.
        let bytes = self.fill(offset, prefix.size() as usize)?;
        if checksum(salt, bytes) != prefix.checksum {
            return Ok(Found::Damaged(Damage::Checksum));
        }
        let payload = &bytes[PREFIX_SIZE..PREFIX_SIZE + prefix.len as usize];
        Ok(match Record::decode(prefix.kind, payload) {
            Some(record) => Found::Record { record, prefix },
            None => Found::Meaningless,
        })
    }

    /// Looks through everything from `offset` on.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn behind(&mut self, offset: u64) -> Result<Behind, Error> {
        let mut behind = Behind::default();
        let mut at = offset;
        while at < self.len {
            let size = (self.len - at).min(WINDOW_SIZE as u64) as usize;
            let salt = self.salt;
            let bytes = self.fill(at, size)?;
            if let Some(last) = last_written(bytes) {
                behind.end = at + last as u64 + 1;
                for start in (0..size.saturating_sub(MARK_SIZE - 1)).step_by(ALIGNMENT as usize) {
                    let mark = mark(salt, &bytes[start..start + MARK_SIZE]);
                    behind.durable = behind.durable.max(mark.unwrap_or(0));
                }
            }
            if size < WINDOW_SIZE {
                break;
            }
            // A mark may lie across the border of two windows.
            at += (size - MARK_SIZE + ALIGNMENT as usize) as u64;
        }
        Ok(behind)
    }

    /// Bytes of the file, of which there must be as many.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn fill(&mut self, offset: u64, size: usize) -> Result<&[u8], Error> {
        let end = self.start + self.buffer.len() as u64;
        if offset < self.start || offset + size as u64 > end {
            let available = self.len.saturating_sub(offset);
            self.load(offset, (size.max(WINDOW_SIZE) as u64).min(available) as usize)?;
        }
        let start = (offset - self.start) as usize;
        Ok(&self.buffer[start..start + size])
    }

    fn load(&mut self, offset: u64, size: usize) -> Result<(), Error> {
        self.buffer.resize(size, 0);
        self.start = offset;
        let mut done = 0;
        while done < size {
            let rest = &mut self.buffer[done..];
            match self.file.read_at(offset + done as u64, rest).at(&self.path)? {
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)).at(&self.path),
                read => done += read,
            }
        }
        Ok(())
    }
}

/// What a mark says, if there is one in these bytes.
fn mark(salt: u32, bytes: &[u8]) -> Option<u64> {
    let is_one = bytes[..5] == [0, 0, 0, 8, MARK];
    let prefix = if is_one { Prefix::parse(&bytes[..PREFIX_SIZE]).ok()?? } else { return None };
    (checksum(salt, bytes) == prefix.checksum).then(|| be64(&bytes[PREFIX_SIZE..]))
}

/// A mark's length in bytes.
const MARK_SIZE: usize = PREFIX_SIZE + 8;
/// How much is read at a time, in bytes; a multiple of the alignment.
const WINDOW_SIZE: usize = 256 * 1024;

/// Where the last byte is that is not zero. Most of a segment is zeros: they are passed by in blocks,
/// each with one comparison.
fn last_written(bytes: &[u8]) -> Option<usize> {
    let mut blocks = bytes.chunks(ZEROS.len()).enumerate().rev();
    let (number, block) = blocks.find(|(_, block)| **block != ZEROS[..block.len()])?;
    let last = block.iter().rposition(|byte| *byte != 0)?;
    Some(number * ZEROS.len() + last)
}

const ZEROS: [u8; 4096] = [0; 4096];

#[cfg(test)]
mod tests {
    use super::{ZEROS, last_written};

    #[test]
    fn the_last_byte_that_is_not_zero_is_found_in_every_block() {
        for len in [1, ZEROS.len() - 1, ZEROS.len(), ZEROS.len() + 1, 3 * ZEROS.len()] {
            let mut bytes = vec![0; len];
            assert_eq!(last_written(&bytes), None);
            for at in [0, len / 2, len - 1] {
                bytes[at] = 1;
                assert_eq!(last_written(&bytes), Some(at), "of {len}");
            }
        }
    }
}
