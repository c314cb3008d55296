//! Reading the records of a directory's logs in order, from a zxid on.
//!
//! Which files are opened is the reference's rule: the last one named below the start, and all
//! later ones. Where a file stops making sense this reader is stricter than the reference, which
//! silently goes on with the next file after most kinds of damage and refuses any bad checksum:
//! here a tail that a crash can have torn is cut and reported, and everything else is refused.

use super::scan::{Opened, Scan, Step};
use super::settle::Visited;
use crate::names::{LogFile, list_logs};
use crate::{Damage, Disk, Error};
use base::Zxid;
use std::collections::VecDeque;
use std::ops::Range;
use std::path::{Path, PathBuf};
use wire::TxnHeader;

/// Whether anyone may be writing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tail {
    /// No writer lives: what follows the last record of the last file is judged.
    #[default]
    Closed,
    /// A writer is at work in the last file: whatever is no record there is simply the end.
    Live,
}

/// How logs are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// Longest payload in bytes: `jute.maxbuffer` and `zookeeper.jute.maxbuffer.extrasize`.
    pub record_size_max: usize,
    /// Whether anyone may be writing.
    pub tail: Tail,
    /// Whether a gap in the zxids of one epoch is refused; else it is only reported.
    pub refuse_gaps: bool,
}

impl Default for ReadOptions {
    fn default() -> Self {
        ReadOptions { record_size_max: 2 * 0xf_ffff, tail: Tail::Closed, refuse_gaps: true }
    }
}

/// Something unusual that does not stop the reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The last file ends in what a crash left of records that nobody was promised.
    TornTail {
        /// The file.
        path: PathBuf,
        /// Where its good part ends.
        offset: u64,
        /// What was wrong there.
        damage: Damage,
        /// The last good record.
        after: Zxid,
    },
    /// The same in an earlier file: the next file goes on where its good part ends.
    TornMiddle {
        /// The file.
        path: PathBuf,
        /// Where its good part ends.
        offset: u64,
    },
    /// The last file was begun and has no header: it can be removed.
    Unbegun(PathBuf),
    /// A record that is not later than the one before it. It counts all the same.
    OutOfOrder {
        /// The one before it.
        after: Zxid,
        /// The record.
        zxid: Zxid,
    },
    /// Transactions that are in no file.
    Gap {
        /// The last one before the gap.
        after: Zxid,
        /// The first one after it.
        next: Zxid,
    },
}

/// A record in place.
#[derive(Clone, Copy, Debug)]
pub struct LogRecord<'a> {
    /// Its header.
    pub header: TxnHeader,
    /// The whole payload, header included.
    pub payload: &'a [u8],
    /// The file that it is in.
    pub path: &'a Path,
    /// Where it begins in that file, in bytes.
    pub offset: u64,
    /// Where the next one begins.
    pub end: u64,
}

impl LogRecord<'_> {
    /// Its place in the order.
    #[must_use]
    pub fn zxid(&self) -> Zxid {
        Zxid(self.header.zxid)
    }
}

/// Reads the logs of a directory.
#[derive(Debug)]
pub struct LogReader<D: Disk> {
    disk: D,
    options: ReadOptions,
    start: Zxid,
    files: VecDeque<LogFile>,
    current: Option<Scan<D::File>>,
    /// The last record read, also of those before the start.
    last: Option<Zxid>,
    /// The last of those before the start.
    skipped: Option<Zxid>,
    /// An earlier file that ended badly: the next record must continue it.
    torn: Option<Torn>,
    findings: Vec<Finding>,
    visited: Vec<Visited>,
}

#[derive(Debug)]
struct Torn {
    path: PathBuf,
    offset: u64,
    damage: Damage,
}

struct Found {
    header: TxnHeader,
    payload: Range<usize>,
    offset: u64,
}

impl<D: Disk> LogReader<D> {
    /// A reader of the records of `dir` with zxids from `start` on.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(
        disk: D,
        dir: &Path,
        start: Zxid,
        options: ReadOptions,
    ) -> Result<LogReader<D>, Error> {
        let mut files = list_logs(&disk, dir)?;
        let first = files.iter().rposition(|file| file.first < start).unwrap_or(0);
        let files = files.split_off(first).into();
        Ok(LogReader {
            disk,
            options,
            start,
            files,
            current: None,
            last: None,
            skipped: None,
            torn: None,
            findings: Vec::new(),
            visited: Vec::new(),
        })
    }

    /// Size of all files that are not read to their end, padding included, in bytes.
    #[must_use]
    pub fn remaining_size(&self) -> u64 {
        let current = self.current.as_ref().map_or(0, |scan| scan.len);
        current + self.files.iter().map(|file| file.len).sum::<u64>()
    }

    /// What was unusual so far. Of gaps and disorder the first [`FINDINGS_MAX`] are kept.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The last record that was met before the start.
    pub(crate) fn skipped(&self) -> Option<Zxid> {
        self.skipped
    }

    /// The files that were read to the end of their records.
    pub(crate) fn visited(&self) -> &[Visited] {
        &self.visited
    }

    /// The next record; `None` after the last.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Gap`], [`Error::RecordTooLong`] or [`Error::Io`].
    pub fn next_record(&mut self) -> Result<Option<LogRecord<'_>>, Error> {
        let Some(found) = self.advance()? else { return Ok(None) };
        let scan = self.current.as_ref().expect("a record was found in it");
        Ok(Some(LogRecord {
            header: found.header,
            payload: scan.payload(found.payload),
            path: &scan.path,
            offset: found.offset,
            end: scan.position(),
        }))
    }

    fn advance(&mut self) -> Result<Option<Found>, Error> {
        loop {
            let Some(scan) = &mut self.current else {
                if self.open_next()? {
                    continue;
                }
                self.judge_torn_without_successor();
                return Ok(None);
            };
            match scan.step()? {
                Step::Record { header, payload, offset } => {
                    self.follow(Zxid(header.zxid))?;
                    if header.zxid >= self.start.0 {
                        return Ok(Some(Found { header, payload, offset }));
                    }
                    self.skipped = self.skipped.max(Some(Zxid(header.zxid)));
                }
                Step::End if !scan.is_before_mark() => {
                    self.leave();
                }
                Step::End => self.judge(Damage::Missing)?,
                Step::Bad(damage) => self.judge(damage)?,
            }
        }
    }

    /// False if there is no further file.
    fn open_next(&mut self) -> Result<bool, Error> {
        let Some(LogFile { path, .. }) = self.files.pop_front() else { return Ok(false) };
        let damage = match Scan::open(&self.disk, path.clone(), self.options.record_size_max)? {
            Opened::Log(scan) => {
                self.current = Some(scan);
                return Ok(true);
            }
            Opened::NoLog { all_zeros: true } | Opened::Short if self.files.is_empty() => {
                // Its header is synced before its first record is written, so it holds none.
                self.note(Finding::Unbegun(path));
                return Ok(false);
            }
            Opened::NoLog { .. } => Damage::Magic,
            Opened::Short => Damage::Header,
        };
        Err(Error::Corrupt { path, offset: 0, damage, after: self.last_or_zero() })
    }

    /// Decides what a file's bad end is, and leaves the file if reading may go on.
    fn judge(&mut self, damage: Damage) -> Result<(), Error> {
        let scan = self.leave().expect("it was just read");
        let (path, offset) = (scan.path.clone(), scan.position());
        let is_last = self.files.is_empty();
        if is_last && self.options.tail == Tail::Live {
            return Ok(());
        }
        let after = self.last_or_zero();
        // A good checksum over no transaction was never written by a crash.
        let never_torn = damage == Damage::Malformed || scan.is_before_mark();
        if never_torn || (scan.mark == 0 && scan.has_record_behind()?) {
            return Err(Error::Corrupt { path, offset, damage, after });
        }
        if is_last {
            self.note(Finding::TornTail { path, offset, damage, after });
        } else {
            self.torn = Some(Torn { path, offset, damage });
        }
        Ok(())
    }

    /// A torn file with nothing but empty files behind it is the last one that counts. Ours was
    /// never rolled, for then it would be marked to its end; its tail is cut like any other.
    fn judge_torn_without_successor(&mut self) {
        if let Some(Torn { path, offset, damage }) = self.torn.take() {
            let after = self.last_or_zero();
            self.note(Finding::TornTail { path, offset, damage, after });
        }
    }

    fn leave(&mut self) -> Option<Scan<D::File>> {
        let scan = self.current.take()?;
        let (path, mark, end) = (scan.path.clone(), scan.mark, scan.position());
        self.visited.push(Visited { path, mark, end });
        Some(scan)
    }

    /// Compares a record with the one before it.
    fn follow(&mut self, zxid: Zxid) -> Result<(), Error> {
        let before_start = Zxid(self.start.0.saturating_sub(1));
        let after = self.last.map_or(before_start, |last| last.max(before_start));
        let is_gap = is_gap(after, zxid);
        if let Some(torn) = self.torn.take() {
            if is_gap {
                let Torn { path, offset, damage } = torn;
                return Err(Error::Corrupt { path, offset, damage, after });
            }
            self.note(Finding::TornMiddle { path: torn.path, offset: torn.offset });
        }
        if is_gap {
            if self.options.refuse_gaps {
                let path = self.current.as_ref().map(|scan| scan.path.clone()).unwrap_or_default();
                return Err(Error::Gap { path, after, next: zxid });
            }
            self.note(Finding::Gap { after, next: zxid });
        }
        if let Some(last) = self.last
            && zxid <= last
        {
            self.note(Finding::OutOfOrder { after: last, zxid });
        }
        self.last = Some(self.last.map_or(zxid, |last| last.max(zxid)));
        Ok(())
    }

    fn last_or_zero(&self) -> Zxid {
        self.last.unwrap_or_default()
    }

    /// What may come with every record is kept up to a limit; what needs a repair always.
    fn note(&mut self, finding: Finding) {
        let may_repeat = matches!(finding, Finding::OutOfOrder { .. } | Finding::Gap { .. });
        if !may_repeat || self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }
}

/// Whether transactions are missing between two: within an epoch none is left out, and every epoch
/// begins with its first. What the end of an earlier epoch lacks cannot be seen.
pub(super) fn is_gap(after: Zxid, next: Zxid) -> bool {
    if next.epoch() == after.epoch() {
        next.0 > after.0.saturating_add(1)
    } else {
        next.epoch() > after.epoch() && next.counter() > 1
    }
}

/// The last record of the logs of `dir`, by reading the newest file that has any.
///
/// # Errors
/// As [`LogReader::next_record`].
pub fn last_logged<D: Disk>(
    disk: &D,
    dir: &Path,
    options: ReadOptions,
) -> Result<Option<Zxid>, Error> {
    let options = ReadOptions { refuse_gaps: false, ..options };
    for file in list_logs(disk, dir)?.into_iter().rev() {
        let mut reader = LogReader::open(disk.clone(), dir, file.first, options)?;
        let mut last = None;
        while let Some(record) = reader.next_record()? {
            last = last.max(Some(record.zxid()));
        }
        if last.is_some() {
            return Ok(last);
        }
    }
    Ok(None)
}

/// How many gaps and records out of order a reader keeps.
pub const FINDINGS_MAX: usize = 1000;
