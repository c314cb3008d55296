//! Work ahead of the log: space that is found before a record needs it, on a thread of the host.
//!
//! Reserving 64 MiB and making it durable takes long enough for clients to notice, so it is not
//! done between two records. [`TxnLog::plan_ahead`] says what is wanted, [`AheadPlan::perform`] does
//! it beside the log, [`TxnLog::done_ahead`] takes what came of it. A host that does not ask loses
//! nothing but time: the log then does it itself.
//!
//! Two things are done ahead. A *spare* is the next file with its header and its space, durable,
//! under a name that is no log's to any reader; when its first record is known it is renamed, and
//! the new name made durable, before that record is written. *Growth* is space for the file that is
//! being written; the records in it are made durable by the log as ever.

use super::writer::{TxnLog, header};
use super::{HEADER_SIZE, LogOptions, padded_size};
use crate::error::At;
use crate::names::SPARE_LOG_NAME;
use crate::{Disk, DiskFile, Error};
use std::path::{Path, PathBuf};

/// What is wanted ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AheadPlan(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Spare { path: PathBuf, size: u64, header: Vec<u8>, force_sync: bool },
    Growth { path: PathBuf, serial: u64, from: u64, to: u64 },
}

/// What was done ahead.
#[derive(Debug)]
pub struct Ahead<F>(Done<F>);

#[derive(Debug)]
enum Done<F> {
    Spare(Spare<F>),
    Growth { serial: u64, to: u64 },
}

/// The next file, without a log's name.
#[derive(Debug)]
pub(crate) struct Spare<F> {
    pub(crate) file: F,
    pub(crate) path: PathBuf,
    /// Its length, all of it reserved.
    pub(crate) size: u64,
}

/// What a log knows of its work ahead.
#[derive(Debug)]
pub(crate) struct Preparations<F> {
    spare: Option<Spare<F>>,
    is_under_way: bool,
    /// A plan failed: nothing more is tried before the next file.
    gave_up: bool,
}

impl<F> Default for Preparations<F> {
    fn default() -> Self {
        Preparations { spare: None, is_under_way: false, gave_up: false }
    }
}

impl<F> Preparations<F> {
    /// Takes the spare for a file that is begun now.
    pub(crate) fn begin_file(&mut self) -> Option<Spare<F>> {
        self.gave_up = false;
        self.spare.take()
    }

    /// A plan for the next file of a journal, which has no header before it is begun.
    pub(crate) fn plan_blank(&mut self, path: &Path, size: u64) -> Option<AheadPlan> {
        if self.spare.is_some() || self.is_under_way || self.gave_up {
            return None;
        }
        self.is_under_way = true;
        let (path, header) = (path.to_owned(), Vec::new());
        Some(AheadPlan(Kind::Spare { path, size, header, force_sync: true }))
    }

    /// Takes what came of it.
    pub(crate) fn done_blank(&mut self, result: Result<Ahead<F>, Error>) {
        self.is_under_way = false;
        match result {
            Ok(Ahead(Done::Spare(spare))) => self.spare = Some(spare),
            Ok(Ahead(Done::Growth { .. })) | Err(_) => self.gave_up = true,
        }
    }

    /// Removes the spare, and has none made any more.
    pub(crate) fn discard<D: Disk<File = F>>(&mut self, disk: &D) -> Result<(), Error> {
        self.gave_up = true;
        match self.spare.take() {
            Some(spare) => disk.remove(&spare.path).at(&spare.path),
            None => Ok(()),
        }
    }
}

impl AheadPlan {
    /// Does it. May be called on any thread, and may take long.
    ///
    /// # Errors
    /// [`Error::Io`]. The log is told with [`TxnLog::done_ahead`] in any case.
    pub fn perform<D: Disk>(&self, disk: &D) -> Result<Ahead<D::File>, Error> {
        match &self.0 {
            Kind::Spare { path, size, header, force_sync } => {
                let made = make_spare(disk, path.clone(), *size, header, *force_sync)?;
                Ok(Ahead(Done::Spare(made)))
            }
            Kind::Growth { path, serial, from, to } => {
                let mut file = disk.open_rw(path).at(path)?;
                let mut size = *from;
                while size < *to {
                    // The file is locked during a step, and its writer waits.
                    size = (size + GROWTH_STEP).min(*to);
                    file.allocate(size).at(path)?;
                }
                Ok(Ahead(Done::Growth { serial: *serial, to: *to }))
            }
        }
    }
}

/// A file with its header and its space, under a name that is no log's: who finds a log finds its
/// header.
pub(crate) fn make_spare<D: Disk>(
    disk: &D,
    path: PathBuf,
    size: u64,
    header: &[u8],
    force_sync: bool,
) -> Result<Spare<D::File>, Error> {
    let make = || {
        let mut file = disk.create(&path).at(&path)?;
        file.write_at(0, header).at(&path)?;
        file.allocate(size).at(&path)?;
        if force_sync {
            file.sync_data().at(&path)?;
        }
        Ok(file)
    };
    match make() {
        Ok(file) => Ok(Spare { file, path, size }),
        Err(error) => {
            // It may hold the space that was too little; a start removes it else.
            let _ = disk.remove(&path);
            Err(error)
        }
    }
}

impl<D: Disk> TxnLog<D> {
    /// What is wanted ahead now: to be performed, and answered with [`TxnLog::done_ahead`]. Nothing
    /// while a plan is under way, without preallocation, or once the log has failed.
    pub fn plan_ahead(&mut self) -> Option<AheadPlan> {
        let step = self.options.preallocation;
        let ahead = &self.ahead;
        if self.failed || step == 0 || ahead.is_under_way || ahead.gave_up {
            return None;
        }
        let kind = self.growth_wanted(step).or_else(|| self.spare_wanted(step))?;
        self.ahead.is_under_way = true;
        Some(AheadPlan(kind))
    }

    fn growth_wanted(&self, step: u64) -> Option<Kind> {
        let current = self.current.as_ref()?;
        let is_wanted = current.reserved == current.allocated
            && current.position + step / 4 > current.allocated;
        let (from, to) = (current.allocated, current.allocated + step);
        let serial = current.serial;
        is_wanted.then(|| Kind::Growth { path: current.path.clone(), serial, from, to })
    }

    fn spare_wanted(&self, step: u64) -> Option<Kind> {
        if self.ahead.spare.is_some() {
            return None;
        }
        let LogOptions { durable_mark, force_sync, .. } = self.options;
        let size = padded_size(HEADER_SIZE, HEADER_SIZE, step);
        let (path, header) = (self.dir.join(SPARE_LOG_NAME), header(durable_mark));
        Some(Kind::Spare { path, size, header, force_sync })
    }

    /// Takes what came of a plan. A failure costs only time: whatever was wanted is then done when
    /// it is needed.
    pub fn done_ahead(&mut self, result: Result<Ahead<D::File>, Error>) {
        self.ahead.is_under_way = false;
        match result {
            Ok(Ahead(Done::Spare(spare))) => self.ahead.spare = Some(spare),
            Ok(Ahead(Done::Growth { serial, to })) => {
                // Another file may have been begun meanwhile.
                if let Some(current) = self.current.as_mut().filter(|file| file.serial == serial) {
                    current.reserved = current.reserved.max(to);
                }
            }
            Err(_) => self.ahead.gave_up = true,
        }
    }

    /// Removes the spare: for a log that will not be written any more. A start does so as well.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn discard_spare(&mut self) -> Result<(), Error> {
        self.ahead.discard(&self.disk)
    }
}

/// Bytes by which a file grows at a time while it is being written.
const GROWTH_STEP: u64 = 4 * 1024 * 1024;
