//! What lies behind the point where a file stops making sense: is it a torn tail, or damage?
//!
//! A crash may tear only what was not synced. So if a whole record follows, the bad one was either
//! part of the same unsynced batch, or it was damaged after it was acknowledged. The durable mark
//! tells which; without it the answer is damage.

use super::scan::{CHUNK_SIZE, Scan, is_zero, parse_prefix, record_size};
use super::{PREFIX_SIZE, TRAILER};
use crate::error::At;
use crate::{DiskFile, Error};
use wire::TxnHeader;

impl<F: DiskFile> Scan<F> {
    /// Whether a whole record begins anywhere behind the position.
    pub(super) fn has_record_behind(&self) -> Result<bool, Error> {
        let mut at = self.position() + 1;
        let mut chunk = vec![0; CHUNK_SIZE.min(self.len as usize)];
        while at + PREFIX_SIZE as u64 <= self.len {
            let size = (self.len - at).min(chunk.len() as u64) as usize;
            let read = self.file.read_at(at, &mut chunk[..size]).at(&self.path)?;
            if read < PREFIX_SIZE {
                break;
            }
            if self.has_record_in(&chunk[..read], at)? {
                return Ok(true);
            }
            // A prefix may lie across the border of two chunks.
            at += (read - PREFIX_SIZE + 1) as u64;
        }
        Ok(false)
    }

    fn has_record_in(&self, chunk: &[u8], chunk_at: u64) -> Result<bool, Error> {
        if is_zero(chunk) {
            return Ok(false);
        }
        for (start, prefix) in chunk.windows(PREFIX_SIZE).enumerate() {
            // The checksum's upper half is zero, its lower half is not.
            if prefix[..4] == [0; 4]
                && prefix[4..8] != [0; 4]
                && self.is_record(prefix, chunk_at + start as u64)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_record(&self, prefix: &[u8], offset: u64) -> Result<bool, Error> {
        let (checksum, len) = parse_prefix(prefix);
        let Ok(len) = usize::try_from(len) else { return Ok(false) };
        if len < TxnHeader::SIZE || record_size(len) > self.len - offset {
            return Ok(false);
        }
        let start = offset + PREFIX_SIZE as u64;
        let end = start + len as u64;
        Ok(self.byte_at(end)? == Some(TRAILER) && self.checksum_of(start, end)? == checksum)
    }
}
