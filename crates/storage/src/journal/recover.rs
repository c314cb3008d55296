//! Recovery: read all, cut what was torn, make durable what was read, go on behind it.
//!
//! What was read may be known to others from now on. A process that died may have left it in the
//! page cache alone, and after a failed sync the kernel takes for clean what the disk never got: so
//! whatever no mark covers is written again, synced, and marked.

use super::reader::{Survey, read_journal};
use super::writer::{Current, Journal, Options, Recovered};
use super::{Identity, Refusal};
use crate::error::At;
use crate::log::{Preparations, write_again};
use crate::{Disk, DiskFile, Error};
use base::Lsn;
use std::path::{Path, PathBuf};

/// A file of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it is.
    pub path: PathBuf,
    /// Its number, by its name.
    pub number: u64,
    /// Its length in bytes when it was listed, padding included.
    pub len: u64,
}

/// The segments of `dir`, oldest first. Other files are ignored.
///
/// # Errors
/// [`Refusal::Duplicate`], [`Refusal::Missing`] for a hole between two; [`Error::Io`].
pub fn list_segments<D: Disk>(disk: &D, dir: &Path) -> Result<Vec<Segment>, Error> {
    let segment = |entry: crate::Entry| {
        let number = parse_name(&entry.name)?;
        Some(Segment { path: dir.join(&entry.name), number, len: entry.len })
    };
    let mut segments: Vec<Segment> =
        disk.list(dir).at(dir)?.into_iter().filter_map(segment).collect();
    segments.sort_by(|a, b| (a.number, &a.path).cmp(&(b.number, &b.path)));
    for pair in segments.windows(2) {
        let [before, after] = pair else { continue };
        if before.number == after.number {
            let (first, second) = (before.path.clone(), after.path.clone());
            return Err(Refusal::Duplicate { first, second }.into());
        }
        if before.number + 1 != after.number {
            let (dir, number) = (dir.to_owned(), before.number + 1);
            let why = "there are segments before and after it";
            return Err(Refusal::Missing { dir, number, why }.into());
        }
    }
    Ok(segments)
}

impl<D: Disk> Journal<D> {
    /// Recovers the journal in `dir`, which must exist, and opens it for appending. An empty
    /// directory is a new journal: whether there may be one is for the caller to know, for a voter
    /// that has lost its journal must not vote (see [`crate::is_database_lost`]).
    ///
    /// # Errors
    /// [`Refusal`]: nothing was changed. [`Error::Io`]: to be tried again with the next start; what
    /// is durable stays so.
    ///
    /// # Panics
    /// If the options are impossible.
    pub fn recover(
        disk: D,
        dir: impl Into<PathBuf>,
        identity: Identity,
        options: Options,
    ) -> Result<Recovered<D>, Error> {
        assert!(
            options.segment_size >= SEGMENT_SIZE_MIN,
            "a segment of so few bytes holds nothing"
        );
        let dir = dir.into();
        let survey = read_journal(&disk, &dir, Some(identity), |_| {})?;
        let spare = dir.join(SPARE_NAME);
        if disk.exists(&spare).at(&spare)? {
            disk.remove(&spare).at(&spare)?;
        }
        let Some(last) = survey.segments.last() else {
            return new_journal(disk, dir, identity, options, survey);
        };
        let current = settle(&disk, &dir, last, &survey, options)?;
        let oldest = survey.segments[0].number;
        let Survey { state, torn, .. } = survey;
        let mut journal = Journal::over(disk, dir, identity, options, state, current);
        journal.oldest = oldest;
        journal.mark_durable()?;
        Ok(Recovered { journal, torn, is_new: false })
    }

    fn over(
        disk: D,
        dir: PathBuf,
        identity: Identity,
        options: Options,
        state: super::state::State,
        current: Current<D::File>,
    ) -> Journal<D> {
        Journal {
            disk,
            dir,
            identity,
            options,
            oldest: current.number,
            is_removing: false,
            current,
            state,
            buffer: Vec::new(),
            ahead: Preparations::default(),
            appended: Lsn::ZERO,
            syncing: None,
            durable: Lsn::ZERO,
            failed: false,
        }
    }
}

fn new_journal<D: Disk>(
    disk: D,
    dir: PathBuf,
    identity: Identity,
    options: Options,
    survey: Survey,
) -> Result<Recovered<D>, Error> {
    let state = survey.state;
    let start = super::batch::Start { number: 1, previous_end: 0, previous_chain: 0 };
    let current = super::batch::begin_segment(&disk, &dir, identity, options, &state, start, None)?;
    let journal = Journal::over(disk, dir, identity, options, state, current);
    Ok(Recovered { journal, torn: None, is_new: true })
}

/// Cuts the last segment behind its last record, and makes it durable up to there.
fn settle<D: Disk>(
    disk: &D,
    dir: &Path,
    segment: &Segment,
    survey: &Survey,
    options: Options,
) -> Result<Current<D::File>, Error> {
    let (path, end) = (&segment.path, &survey.end);
    let mut file = disk.open_rw(path).at(path)?;
    if survey.torn.is_some() {
        // The cut is durable before anything is written behind it: what was torn never comes back.
        file.set_len(end.offset).at(path)?;
        file.sync_data().at(path)?;
    }
    write_again(&mut file, path, end.durable, end.offset)?;
    let reserved = options.segment_size.max(end.offset);
    file.allocate(reserved).at(path)?;
    file.sync_data().at(path)?;
    disk.sync_dir(dir).at(dir)?;
    Ok(Current {
        number: segment.number,
        file,
        beside: None,
        path: path.clone(),
        position: end.offset,
        reserved,
        synced: end.offset,
        marked: end.durable,
        begin: end.repeated_end,
        salt: end.salt,
        chain: end.chain,
    })
}

pub(super) fn segment_name(number: u64) -> String {
    format!("{PREFIX}{number:016x}")
}

fn parse_name(name: &str) -> Option<u64> {
    let hex = name.strip_prefix(PREFIX)?;
    if !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None; // the parser would take a sign
    }
    u64::from_str_radix(hex, 16).ok()
}

const PREFIX: &str = "journal.";
/// The name of a segment that is not begun. It is no segment's name to any reader.
pub(super) const SPARE_NAME: &str = "new-journal.tmp";
/// The shortest that segments may be, in bytes: a page.
const SEGMENT_SIZE_MIN: u64 = 4096;
