//! One log file, record by record, and what stops the reading of it.
//!
//! Reads go through a window of about a mebibyte. What a length field claims is compared with the
//! file's size before the window grows to hold it.

use super::{HEADER_SIZE, PREFIX_SIZE, TRAILER, adler32};
use crate::error::At;
use crate::{Damage, Disk, DiskFile, Error};
use jute::{Decode, Reader};
use std::ops::Range;
use std::path::PathBuf;
use wire::{SnapshotHeader, TxnHeader};

/// A file under way.
#[derive(Debug)]
pub(super) struct Scan<F> {
    pub(super) file: F,
    pub(super) path: PathBuf,
    /// The file's length when it was opened; what is appended later is not read.
    pub(super) len: u64,
    /// The durable mark; zero for none.
    pub(super) mark: u64,
    /// Longest payload that is accepted, in bytes.
    record_size_max: usize,
    window: Vec<u8>,
    /// The file's offset of the window's first byte.
    window_at: u64,
    /// What of the window is done.
    done: usize,
}

/// What stands at the position.
#[derive(Debug)]
pub(super) enum Step {
    /// A good record: its header, and where in the window its payload is.
    Record { header: TxnHeader, payload: Range<usize>, offset: u64 },
    /// The end of the file, or zeros.
    End,
    /// No record.
    Bad(Damage),
}

/// How a file begins.
#[derive(Debug)]
pub(super) enum Opened<F> {
    /// A log.
    Log(Scan<F>),
    /// Too short for a header.
    Short,
    /// Not a log's magic; whether there is anything but zeros.
    NoLog { all_zeros: bool },
}

impl<F: DiskFile> Scan<F> {
    pub(super) fn open<D: Disk<File = F>>(
        disk: &D,
        path: PathBuf,
        record_size_max: usize,
    ) -> Result<Opened<F>, Error> {
        let file = disk.open(&path).at(&path)?;
        let len = file.len().at(&path)?;
        if len < HEADER_SIZE {
            return Ok(Opened::Short);
        }
        let mut scan = Scan {
            file,
            path,
            len,
            mark: 0,
            record_size_max,
            window: Vec::new(),
            window_at: 0,
            done: 0,
        };
        scan.fill(HEADER_SIZE as usize)?;
        let mut reader = Reader::new(&scan.window);
        match SnapshotHeader::decode(&mut reader) {
            Ok(header) if header.magic == SnapshotHeader::LOG_MAGIC => {
                // Zero, and whatever other implementations may have put there, promise nothing.
                scan.mark = u64::try_from(header.dbid).unwrap_or(0);
                scan.done = HEADER_SIZE as usize;
                Ok(Opened::Log(scan))
            }
            Ok(_) | Err(_) => Ok(Opened::NoLog { all_zeros: scan.rest_is_zero()? }),
        }
    }

    /// The file's offset of what comes next.
    pub(super) fn position(&self) -> u64 {
        self.window_at + self.done as u64
    }

    /// Whether the position is one that was durable once: then what is there is no torn write. A
    /// file that ends before its mark was cut on purpose, by an implementation without marks.
    pub(super) fn is_before_mark(&self) -> bool {
        self.position() < self.mark && self.mark <= self.len
    }

    pub(super) fn payload(&self, range: Range<usize>) -> &[u8] {
        &self.window[range]
    }

    /// Reads what comes next, and goes past it if it is a record.
    pub(super) fn step(&mut self) -> Result<Step, Error> {
        let offset = self.position();
        let left = self.len - offset;
        if left < PREFIX_SIZE as u64 {
            let all_zeros = self.rest_is_zero()?;
            return Ok(if all_zeros { Step::End } else { Step::Bad(Damage::Missing) });
        }
        self.fill(PREFIX_SIZE)?;
        let prefix = &self.window[self.done..self.done + PREFIX_SIZE];
        let (checksum, len) = parse_prefix(prefix);
        if len == 0 {
            let all_zeros = checksum == 0 && self.rest_is_zero()?;
            return Ok(if all_zeros { Step::End } else { Step::Bad(Damage::Missing) });
        }
        let Ok(len) = usize::try_from(len) else { return Ok(Step::Bad(Damage::Length)) };
        if record_size(len) > left {
            return Ok(Step::Bad(Damage::Missing));
        }
        if len > self.record_size_max {
            return self.too_long(offset, checksum, len);
        }
        self.fill(PREFIX_SIZE + len + 1)?;
        self.check(offset, checksum, len)
    }

    fn check(&mut self, offset: u64, checksum: u64, len: usize) -> Result<Step, Error> {
        let start = self.done + PREFIX_SIZE;
        let payload = start..start + len;
        if self.window[payload.end] != TRAILER {
            return Ok(Step::Bad(Damage::Trailer));
        }
        let bytes = &self.window[payload.clone()];
        if adler32(bytes) != checksum {
            return Ok(Step::Bad(Damage::Checksum));
        }
        let Ok(header) = TxnHeader::decode(&mut Reader::new(bytes)) else {
            return Ok(Step::Bad(Damage::Malformed));
        };
        self.done = payload.end + 1;
        Ok(Step::Record { header, payload, offset })
    }

    /// A record above the limit is refused if it is one: then the limit is wrong, not the file.
    fn too_long(&self, offset: u64, checksum: u64, len: usize) -> Result<Step, Error> {
        let start = offset + PREFIX_SIZE as u64;
        let end = start + len as u64;
        if self.byte_at(end)? == Some(TRAILER) && self.checksum_of(start, end)? == checksum {
            let (path, limit) = (self.path.clone(), self.record_size_max);
            return Err(Error::RecordTooLong { path, offset, len: len as u64, limit });
        }
        Ok(Step::Bad(Damage::Length))
    }

    /// Adler-32 of a range, read in chunks.
    pub(super) fn checksum_of(&self, start: u64, end: u64) -> Result<u64, Error> {
        let mut adler = simd_adler32::Adler32::new();
        self.each_chunk(start, end, |chunk| {
            adler.write(chunk);
            true
        })?;
        Ok(u64::from(adler.finish()))
    }

    pub(super) fn byte_at(&self, offset: u64) -> Result<Option<u8>, Error> {
        let mut byte = [0];
        let read = self.file.read_at(offset, &mut byte).at(&self.path)?;
        Ok((read == 1).then_some(byte[0]))
    }

    pub(super) fn rest_is_zero(&self) -> Result<bool, Error> {
        let mut all_zeros = true;
        self.each_chunk(self.position(), self.len, |chunk| {
            all_zeros = is_zero(chunk);
            all_zeros
        })?;
        Ok(all_zeros)
    }

    /// Calls `visit` with pieces of the range until it says false.
    fn each_chunk(
        &self,
        start: u64,
        end: u64,
        mut visit: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), Error> {
        let mut at = start;
        let mut chunk = vec![0; end.saturating_sub(start).min(CHUNK_SIZE as u64) as usize];
        while at < end {
            let size = (end - at).min(chunk.len() as u64) as usize;
            let read = self.file.read_at(at, &mut chunk[..size]).at(&self.path)?;
            if read == 0 || !visit(&chunk[..read]) {
                break;
            }
            at += read as u64;
        }
        Ok(())
    }

    /// Makes the window hold `size` bytes from the position; the caller knows that the file does.
    fn fill(&mut self, size: usize) -> Result<(), Error> {
        if self.window.len() - self.done >= size {
            return Ok(());
        }
        self.window.drain(..self.done);
        self.window_at += self.done as u64;
        self.done = 0;
        let left = (self.len - self.window_at).min(size.max(CHUNK_SIZE) as u64) as usize;
        let mut have = self.window.len();
        self.window.resize(left, 0);
        while have < left {
            let at = self.window_at + have as u64;
            match self.file.read_at(at, &mut self.window[have..]).at(&self.path)? {
                0 => {
                    return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof))
                        .at(&self.path);
                }
                read => have += read,
            }
        }
        Ok(())
    }
}

/// checksum and length.
pub(super) fn parse_prefix(prefix: &[u8]) -> (u64, i32) {
    let mut reader = Reader::new(prefix);
    let checksum = reader.long().expect("the caller has 12 bytes") as u64;
    (checksum, reader.int().expect("the caller has 12 bytes"))
}

/// Size of a record in the file, by its payload's.
pub(super) fn record_size(payload: usize) -> u64 {
    (PREFIX_SIZE + payload + 1) as u64
}

pub(super) fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<64>();
    rest.iter().all(|byte| *byte == 0) && words.iter().all(|word| word == &[0; 64])
}

/// How much is read at a time, in bytes.
pub(super) const CHUNK_SIZE: usize = 1024 * 1024;
