//! Appending: records gather in one buffer, one write takes them to the file, one sync claims them.
//!
//! Whoever journals owns the [`TxnLog`] (it is `Send`): inline, or on a thread of its own. The
//! steps are apart so that a host can choose when to pay for which: [`TxnLog::append`] and
//! [`TxnLog::flush`] as requests come, [`TxnLog::sync`] once for all of them. Invariants: a file's
//! name and header are durable before its first record is written; a rolled file is durable before
//! the next is begun; after an error nothing more is written, for ever.

use super::ahead::{Preparations, make_spare};
use super::{HEADER_SIZE, MARK_OFFSET, PREFIX_SIZE, TRAILER, adler32};
use crate::error::At;
use crate::names::{BEGUN_LOG_NAME, log_name};
use crate::{Disk, DiskFile, Error};
use base::Zxid;
use jute::Encode;
use std::path::PathBuf;
use wire::SnapshotHeader;

/// How a log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// Step by which files grow, in bytes (`zookeeper.preAllocSize`, there in KiB); 0 for none.
    pub preallocation: u64,
    /// Roll when a synced file is longer than this, in bytes and with its padding
    /// (`zookeeper.txnLogSizeLimitInKb`); none by default.
    pub size_limit: Option<u64>,
    /// Whether `sync` reaches the disk (`zookeeper.forceSync`). If not, nothing is durable.
    pub force_sync: bool,
    /// Whether to keep the durable mark, without which a torn batch may be taken for damage.
    pub durable_mark: bool,
}

impl Default for LogOptions {
    fn default() -> Self {
        let preallocation = 64 * 1024 * 1024;
        LogOptions { preallocation, size_limit: None, force_sync: true, durable_mark: true }
    }
}

/// Writes the transaction logs of a directory.
#[derive(Debug)]
pub struct TxnLog<D: Disk> {
    pub(super) disk: D,
    pub(super) dir: PathBuf,
    pub(super) options: LogOptions,
    pub(super) current: Option<Current<D::File>>,
    pub(super) ahead: Preparations<D::File>,
    /// Records that no write has taken.
    buffer: Vec<u8>,
    /// How many there are in `buffer`.
    buffered: u64,
    last_appended: Option<Zxid>,
    last_synced: Option<Zxid>,
    /// Padded size of the files rolled since [`TxnLog::reset_total_size`].
    rolled_size: u64,
    /// How many files were begun.
    files: u64,
    /// How many of them were begun before the last truncation.
    cut_files: u64,
    pub(super) failed: bool,
}

#[derive(Debug)]
pub(super) struct Current<F> {
    /// Which file of this log it is: after a truncation a name may come again.
    pub(super) serial: u64,
    pub(super) file: F,
    /// Another handle on it, for syncs beside the log; away while one is under way.
    pub(super) beside: Option<F>,
    pub(super) path: PathBuf,
    /// Where the buffer will be written.
    pub(super) position: u64,
    /// Length with the padding that the reference would have given it.
    pub(super) allocated: u64,
    /// Length with what was reserved ahead.
    pub(super) reserved: u64,
    /// All before it is durable.
    pub(super) synced: u64,
    /// The durable mark in the file.
    mark: u64,
    /// Records written since the mark was.
    unmarked: u64,
}

impl<D: Disk> TxnLog<D> {
    /// A log in `dir`, which must exist. No file is touched before the first record: an older one
    /// is never appended to.
    pub fn new(disk: D, dir: impl Into<PathBuf>, options: LogOptions) -> TxnLog<D> {
        TxnLog {
            disk,
            dir: dir.into(),
            options,
            current: None,
            ahead: Preparations::default(),
            buffer: Vec::new(),
            buffered: 0,
            last_appended: None,
            last_synced: None,
            rolled_size: 0,
            files: 0,
            cut_files: 0,
            failed: false,
        }
    }

    /// Adds a record. `payload` is a header, a body and maybe a digest, and is not empty.
    ///
    /// # Errors
    /// [`Error::Io`] if a new file or a large buffer could not be written; [`Error::Poisoned`].
    pub fn append(&mut self, zxid: Zxid, payload: &[u8]) -> Result<(), Error> {
        self.append_with(zxid, |out| out.extend_from_slice(payload))
    }

    /// Adds a record whose payload `encode` appends to what it is given, without a copy.
    ///
    /// # Errors
    /// As [`TxnLog::append`].
    ///
    /// # Panics
    /// If `encode` appends nothing or more than 2 GiB.
    pub fn append_with(
        &mut self,
        zxid: Zxid,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Error> {
        self.guarded(|log| log.begin_record(zxid))?;
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; PREFIX_SIZE]);
        let payload_at = self.buffer.len();
        encode(&mut self.buffer);
        let payload = &self.buffer[payload_at..];
        assert!(!payload.is_empty(), "an empty record would read as padding");
        let len = i32::try_from(payload.len()).expect("requests are bounded far below 2 GiB");
        let checksum = adler32(payload);
        self.buffer[start..start + 8].copy_from_slice(&checksum.to_be_bytes());
        self.buffer[start + 8..payload_at].copy_from_slice(&len.to_be_bytes());
        self.buffer.push(TRAILER);
        self.buffered += 1;
        self.last_appended = Some(zxid);
        Ok(())
    }

    /// Writes what is buffered, in one piece. It is not durable yet.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Poisoned`].
    pub fn flush(&mut self) -> Result<(), Error> {
        self.guarded(TxnLog::write_buffer)
    }

    /// Makes durable what was flushed. With a size limit it may also roll.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Poisoned`]: what was not durable before must count as lost.
    pub fn sync(&mut self) -> Result<(), Error> {
        self.guarded(|log| {
            log.sync_current()?;
            log.roll_if_large()
        })
    }

    pub(super) fn roll_if_large(&mut self) -> Result<(), Error> {
        match (self.options.size_limit, &self.current) {
            (Some(limit), Some(current)) if current.allocated > limit => {
                self.write_buffer()?;
                self.close_current()
            }
            _ => Ok(()),
        }
    }

    /// Everything up to `last` is durable, as a sync of that file says.
    pub(super) fn note_synced(&mut self, serial: u64, last: Option<Zxid>) {
        if serial > self.cut_files {
            self.last_synced = self.last_synced.max(last);
        }
    }

    /// Flushes and syncs: when it returns, every record appended is durable.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Poisoned`].
    pub fn commit(&mut self) -> Result<(), Error> {
        self.flush()?;
        self.sync()
    }

    /// Ends the current file, durably; the next record begins another.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Poisoned`].
    pub fn roll(&mut self) -> Result<(), Error> {
        self.guarded(|log| {
            log.write_buffer()?;
            log.close_current()
        })
    }

    /// What was appended after `to` is void, and nothing that it awaited is to be told of.
    pub(crate) fn forget_after(&mut self, to: Zxid) {
        self.cut_files = self.files;
        self.last_appended = self.last_appended.min(Some(to));
        self.last_synced = self.last_synced.min(Some(to));
    }

    /// The last record that was appended by this process.
    #[must_use]
    pub fn last_appended(&self) -> Option<Zxid> {
        self.last_appended
    }

    /// The last record that is durable, of those appended by this process.
    #[must_use]
    pub fn last_synced(&self) -> Option<Zxid> {
        self.last_synced
    }

    /// Bytes that await a flush.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Size of the current file with its padding, in bytes; 0 if there is none.
    #[must_use]
    pub fn file_size(&self) -> u64 {
        self.current.as_ref().map_or(0, |current| current.allocated)
    }

    /// The current file's size and those rolled since [`TxnLog::reset_total_size`], in bytes: what
    /// `zookeeper.snapSizeLimitInKb` is compared with.
    #[must_use]
    pub fn total_size(&self) -> u64 {
        self.rolled_size + self.file_size()
    }

    /// Begins a new count of [`TxnLog::total_size`]: call it after the roll for a snapshot.
    pub fn reset_total_size(&mut self) {
        self.rolled_size = 0;
    }

    /// The disk that it is on.
    pub(crate) fn disk(&self) -> &D {
        &self.disk
    }

    /// Ends this log, as an error of its own would: for what belongs to it and has failed.
    pub fn fail(&mut self) {
        self.failed = true;
    }

    /// Whether an error has ended this log.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Runs a step; its failure ends the log.
    pub(crate) fn guarded<T>(
        &mut self,
        step: impl FnOnce(&mut TxnLog<D>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.failed {
            return Err(Error::Poisoned);
        }
        let result = step(self);
        self.failed = result.is_err();
        result
    }

    fn begin_record(&mut self, zxid: Zxid) -> Result<(), Error> {
        if self.current.is_none() {
            self.current = Some(self.create_file(zxid)?);
        }
        if self.buffer.len() >= BUFFER_SIZE_MAX { self.write_buffer() } else { Ok(()) }
    }

    /// A file of the same name can hold no record, else it would not be this record's turn. The
    /// reference refuses a directory with a log that has no header yet: there is none at any time.
    fn create_file(&mut self, first: Zxid) -> Result<Current<D::File>, Error> {
        let path = self.dir.join(log_name(first));
        let LogOptions { preallocation, force_sync, durable_mark, .. } = self.options;
        let spare = match self.ahead.begin_file() {
            Some(spare) => spare,
            None => {
                let unnamed = self.dir.join(BEGUN_LOG_NAME);
                let size = padded_size(HEADER_SIZE, HEADER_SIZE, preallocation);
                make_spare(&self.disk, unnamed, size, &header(durable_mark), force_sync)?
            }
        };
        self.disk.rename(&spare.path, &path).at(&path)?;
        let (file, allocated) = (spare.file, spare.size);
        if force_sync {
            self.disk.sync_dir(&self.dir).at(&self.dir)?;
        }
        let mark = if durable_mark { HEADER_SIZE } else { 0 };
        let (position, synced, reserved) = (HEADER_SIZE, HEADER_SIZE, allocated);
        let (beside, unmarked) = (None, 0);
        self.files += 1;
        let serial = self.files;
        Ok(Current {
            serial,
            file,
            beside,
            path,
            position,
            allocated,
            reserved,
            synced,
            mark,
            unmarked,
        })
    }

    fn write_buffer(&mut self) -> Result<(), Error> {
        let Some(current) = &mut self.current else { return Ok(()) };
        if self.buffer.is_empty() {
            return Ok(());
        }
        let end = current.position + self.buffer.len() as u64;
        current.make_room(end, self.options.preallocation)?;
        if self.options.durable_mark {
            current.keep_mark(self.buffered)?;
        }
        current.file.write_at(current.position, &self.buffer).at(&current.path)?;
        current.position = end;
        current.allocated = current.allocated.max(end);
        current.reserved = current.reserved.max(end);
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_SIZE_KEPT);
        self.buffered = 0;
        Ok(())
    }

    fn sync_current(&mut self) -> Result<(), Error> {
        let Some(current) = &mut self.current else { return Ok(()) };
        if current.synced < current.position {
            if self.options.force_sync {
                current.file.sync_data().at(&current.path)?;
            }
            current.synced = current.position;
        }
        if self.buffer.is_empty() {
            self.last_synced = self.last_appended;
        }
        Ok(())
    }

    /// The rolled file must be durable before the next one: a hole between them cannot be told
    /// from a lost file.
    fn close_current(&mut self) -> Result<(), Error> {
        self.sync_current()?;
        if let Some(mut current) = self.current.take() {
            if self.options.durable_mark && self.options.force_sync {
                current.seal()?;
            }
            self.rolled_size += current.allocated;
        }
        Ok(())
    }
}

impl<F: DiskFile> Current<F> {
    /// Extends the padding so that it goes beyond `end`.
    fn make_room(&mut self, end: u64, step: u64) -> Result<(), Error> {
        loop {
            let size = padded_size(end, self.allocated, step);
            if size <= self.allocated {
                return Ok(());
            }
            if size > self.reserved {
                self.file.allocate(size).at(&self.path)?;
                self.reserved = size;
            }
            self.allocated = size;
        }
    }

    /// Marks all of a synced file, durably: no damage in it can be taken for a torn tail.
    fn seal(&mut self) -> Result<(), Error> {
        if self.mark < self.synced {
            self.file.write_at(MARK_OFFSET, &self.synced.to_be_bytes()).at(&self.path)?;
            self.file.sync_data().at(&self.path)?;
            self.mark = self.synced;
        }
        Ok(())
    }

    /// Renews the mark unless few records have been written since it was: it costs a second page
    /// in the sync. An old mark is as true as a new one, only less sharp.
    fn keep_mark(&mut self, records: u64) -> Result<(), Error> {
        self.unmarked += records;
        if self.unmarked > MARK_LAG_MAX && self.mark < self.synced {
            self.file.write_at(MARK_OFFSET, &self.synced.to_be_bytes()).at(&self.path)?;
            self.mark = self.synced;
            self.unmarked = records;
        }
        Ok(())
    }
}

/// A file's header, with a mark that covers itself or none.
pub(super) fn header(durable_mark: bool) -> Vec<u8> {
    let dbid = if durable_mark { HEADER_SIZE as i64 } else { 0 };
    let mut header = Vec::new();
    SnapshotHeader { dbid, ..SnapshotHeader::LOG }.encode(&mut header);
    header
}

/// The size to which the reference pads a file of `size` bytes before it writes at `position`, in
/// steps of `step` bytes; 0 for no padding. With the default step the first size is 64 MiB + 16.
#[must_use]
pub fn padded_size(position: u64, size: u64, step: u64) -> u64 {
    if step == 0 || position + PADDING_MARGIN < size {
        return size;
    }
    if position > size {
        let size = position + step;
        return size - size % step;
    }
    size + step
}

/// Less padding than this is too little, in bytes; the reference's number.
const PADDING_MARGIN: u64 = 4096;
/// A buffer of this many bytes is written before it grows further.
const BUFFER_SIZE_MAX: usize = 4 * 1024 * 1024;
/// Capacity that the buffer keeps between writes, in bytes.
const BUFFER_SIZE_KEPT: usize = 1024 * 1024;
/// How many records the durable mark may lag behind while they come one by one.
const MARK_LAG_MAX: u64 = 8;
