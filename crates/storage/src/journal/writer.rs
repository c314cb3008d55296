//! Appending: records gather in one buffer, one write takes them to the segment, one sync claims
//! them, inline or beside the journal.
//!
//! Invariants: nothing counts as durable before a sync that was begun after it was written has
//! ended well; a segment is durable to its end before the next one has its name; after an error
//! nothing more is written, for ever.

use super::format::{ALIGNMENT, PREFIX_SIZE, put_record};
use super::recover::SPARE_NAME;
use super::state::State;
use super::{Entries, Identity, Kept, Record, TornTail};
use crate::error::At;
use crate::log::Preparations;
use crate::{Ahead, AheadPlan, Disk, DiskFile, Error, SyncDone, SyncJob};
use base::{Lsn, Zxid};
use std::path::PathBuf;

/// How a journal is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The length of a segment in bytes, all reserved when it is begun. One record that is longer
    /// has a segment of its own.
    pub segment_size: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options { segment_size: 64 * 1024 * 1024 }
    }
}

/// What recovery gives.
#[allow(missing_debug_implementations)]
pub struct Recovered<D: Disk> {
    /// The journal, open for appending.
    pub journal: Journal<D>,
    /// What was cut: to be logged.
    pub torn: Option<TornTail>,
    /// Whether there was none, and one was begun.
    pub is_new: bool,
}

/// A journal that is open for appending. Whoever journals owns it; it is `Send`.
#[derive(Debug)]
pub struct Journal<D: Disk> {
    pub(super) disk: D,
    pub(super) dir: PathBuf,
    pub(super) identity: Identity,
    pub(super) options: Options,
    /// The number of the oldest segment.
    pub(super) oldest: u64,
    /// Whether segments are being removed.
    pub(super) is_removing: bool,
    pub(super) current: Current<D::File>,
    pub(super) state: State,
    /// Records that no write has taken.
    pub(super) buffer: Vec<u8>,
    pub(super) ahead: Preparations<D::File>,
    pub(super) appended: Lsn,
    /// What the sync under way beside the journal covers.
    pub(super) syncing: Option<Lsn>,
    pub(super) durable: Lsn,
    pub(super) failed: bool,
}

/// The segment that is written.
#[derive(Debug)]
pub(super) struct Current<F> {
    pub(super) number: u64,
    pub(super) file: F,
    /// Another handle on it, for syncs beside the journal; away while one is under way.
    pub(super) beside: Option<F>,
    pub(super) path: PathBuf,
    /// Where the buffer will be written.
    pub(super) position: u64,
    pub(super) reserved: u64,
    /// All before it is durable.
    pub(super) synced: u64,
    /// What the last mark says, or stands for.
    pub(super) marked: u64,
    /// Where the records end that repeat what is kept.
    pub(super) begin: u64,
    pub(super) salt: u32,
    pub(super) chain: u32,
}

impl<D: Disk> Journal<D> {
    /// Adds a record. It is durable when [`Journal::durable`] has reached `lsn`.
    ///
    /// # Errors
    /// [`Error::Io`] if a new segment or a large buffer could not be written; [`Error::Poisoned`].
    ///
    /// # Panics
    /// If `lsn` is not after the last one, the record is not one that may come now (an entry that
    /// does not follow the last, a truncation or a checkpoint before the checkpoint, one name too
    /// many), or it is beyond a limit.
    pub fn append(&mut self, lsn: Lsn, record: &Record<'_>) -> Result<(), Error> {
        if self.failed {
            return Err(Error::Poisoned);
        }
        assert!(lsn > self.appended, "an lsn is never used twice");
        assert!(
            !matches!(record, Record::Mark { .. } | Record::Successor { .. }),
            "the journal writes its own"
        );
        assert!(record.is_within_limits(), "a {} beyond its limits", record.name());
        assert!(self.state.accepts(record), "a {} that does not follow", record.name());
        self.guarded(|journal| {
            journal.make_room(record)?;
            journal.put(record);
            journal.appended = lsn;
            Ok(())
        })
    }

    /// Writes what was appended, and gives the job that makes it durable: to be performed beside
    /// the journal and answered with [`Journal::end_sync`]. `None` if it is already.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Poisoned`].
    ///
    /// # Panics
    /// If a job is under way.
    pub fn begin_sync(&mut self) -> Result<Option<SyncJob<D::File>>, Error> {
        assert!(self.syncing.is_none(), "one sync at a time");
        self.guarded(|journal| {
            journal.write_buffer()?;
            let current = &mut journal.current;
            if current.synced == current.position {
                journal.durable = journal.appended;
                return Ok(None);
            }
            let file = match current.beside.take() {
                Some(file) => file,
                None => current.file.another().at(&current.path)?,
            };
            journal.syncing = Some(journal.appended);
            let Current { path, number, position, .. } = current;
            Ok(Some(SyncJob::of(file, path.clone(), *number, *position)))
        })
    }

    /// Takes what came of the job; everything up to what it gives is durable.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Poisoned`]: what was not durable before must count as lost.
    pub fn end_sync(&mut self, done: SyncDone<D::File>) -> Result<Lsn, Error> {
        let (file, path, number, position, result) = done.into_parts();
        self.guarded(|journal| {
            result.at(&path)?;
            // The segment may have ended meanwhile, which made all of it durable.
            if journal.current.number == number {
                journal.current.synced = journal.current.synced.max(position);
                journal.current.beside = Some(file);
            }
            let covered = journal.syncing.take().unwrap_or(journal.durable);
            journal.durable = journal.durable.max(covered);
            Ok(journal.durable)
        })
    }

    /// Makes everything durable that was appended: one write and one sync.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Poisoned`]: what was not durable before must count as lost.
    ///
    /// # Panics
    /// If a job is under way.
    pub fn commit(&mut self) -> Result<Lsn, Error> {
        assert!(self.syncing.is_none(), "the sync under way ends first");
        self.guarded(Journal::sync_all)?;
        Ok(self.durable)
    }

    /// As [`Journal::commit`], also beside a sync under way.
    ///
    /// # Errors
    /// As [`Journal::commit`].
    pub fn flush(&mut self) -> Result<(), Error> {
        self.guarded(Journal::sync_all)
    }

    /// Ends the journal: something that belongs to it has failed elsewhere.
    pub fn fail(&mut self) {
        self.failed = true;
    }

    /// Makes all durable and says so in the stream: damage in it can never be taken for a torn
    /// tail. For a process that ends.
    ///
    /// # Errors
    /// As [`Journal::commit`].
    pub fn close(mut self) -> Result<(), Error> {
        self.commit()?;
        self.mark_durable()?;
        self.discard_spare()
    }

    /// Live entries from `from` on, read from the disk; `None` if it is before
    /// [`Journal::first`]. What is buffered is written first.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Poisoned`].
    pub fn entries(&mut self, from: Zxid) -> Result<Option<Entries<'_, D>>, Error> {
        self.guarded(Journal::write_buffer)?;
        let is_there = from >= self.state.first();
        Ok(is_there.then(|| Entries::new(&self.disk, &self.dir, &self.state, from)))
    }

    /// Registers, texts and the last checkpoint, as appended.
    #[must_use]
    pub fn kept(&self) -> &Kept {
        &self.state.kept
    }

    /// The first entry that can be read; [`Journal::next`] if there is none.
    #[must_use]
    pub fn first(&self) -> Zxid {
        self.state.first()
    }

    /// The place of the next entry.
    #[must_use]
    pub fn next(&self) -> Zxid {
        self.state.next
    }

    /// Everything up to here is durable.
    #[must_use]
    pub fn durable(&self) -> Lsn {
        self.durable
    }

    /// The last record that was appended.
    #[must_use]
    pub fn appended(&self) -> Lsn {
        self.appended
    }

    /// Size of the segment that is written, in bytes.
    #[must_use]
    pub fn file_size(&self) -> u64 {
        self.current.position
    }

    /// Whether something waits to be made durable, beside what is being made so.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.appended > self.syncing.unwrap_or(self.durable)
    }

    /// Whether a sync is under way beside the journal.
    #[must_use]
    pub fn is_syncing(&self) -> bool {
        self.syncing.is_some()
    }

    /// Whether an error has ended this journal.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// The numbers of the oldest segment and of the one that is written.
    #[must_use]
    pub fn segments(&self) -> (u64, u64) {
        (self.oldest, self.current.number)
    }

    /// The next segment, if it is to be prepared beside the journal: to be performed, and answered
    /// with [`Journal::done_ahead`]. Without it the journal does so itself when it is needed.
    pub fn plan_ahead(&mut self) -> Option<AheadPlan> {
        if self.failed {
            return None;
        }
        self.ahead.plan_blank(&self.dir.join(SPARE_NAME), self.options.segment_size)
    }

    /// Takes what came of a plan. A failure costs only time.
    pub fn done_ahead(&mut self, result: Result<Ahead<D::File>, Error>) {
        self.ahead.done_blank(result);
    }

    /// Removes what was made ahead and never used; nothing is to be written after it.
    ///
    /// # Errors
    /// If the disk cannot. Nothing is lost: the next start removes it.
    pub fn discard_spare(&mut self) -> Result<(), Error> {
        self.ahead.discard(&self.disk)
    }

    /// Runs a step; its failure ends the journal.
    pub(super) fn guarded<T>(
        &mut self,
        step: impl FnOnce(&mut Journal<D>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.failed {
            return Err(Error::Poisoned);
        }
        let result = step(self);
        self.failed = result.is_err();
        result
    }

    /// Puts a record into the buffer.
    pub(super) fn put(&mut self, record: &Record<'_>) {
        let current = &mut self.current;
        let offset = current.position + self.buffer.len() as u64;
        let seal = (current.salt, current.chain);
        current.chain = put_record(&mut self.buffer, seal, record.kind(), |out| record.encode(out));
        self.state.apply(record, current.number, offset);
    }

    /// Begins another segment if the record would not fit into this one.
    fn make_room(&mut self, record: &Record<'_>) -> Result<(), Error> {
        let size = PREFIX_SIZE as u64 + (record.size() as u64).next_multiple_of(ALIGNMENT);
        let at = self.current.position + self.buffer.len() as u64;
        if at > self.current.begin && at + size + END_SIZE > self.options.segment_size {
            return self.roll();
        }
        if self.buffer.len() >= BUFFER_SIZE_MAX { self.write_buffer() } else { Ok(()) }
    }
}

/// Room for a last mark and the record of the successor, in bytes.
const END_SIZE: u64 = 2 * (PREFIX_SIZE as u64 + 8);
/// A buffer of this many bytes is written before it grows further.
const BUFFER_SIZE_MAX: usize = 4 * 1024 * 1024;
