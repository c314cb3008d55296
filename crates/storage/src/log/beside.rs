//! Syncing beside the log: while one batch is made durable on a thread of the host, the next ones
//! are appended.
//!
//! [`TxnLog::begin_sync`] writes what has gathered and says what is to be synced, [`SyncJob::perform`]
//! does it anywhere, [`TxnLog::end_sync`] takes what came of it. One job at a time. Invariant:
//! nothing counts as durable before a sync that was begun after it was written has ended well; after
//! one that did not, nothing is written any more.

use super::writer::{Current, TxnLog};
use crate::error::At;
use crate::{Disk, DiskFile, Error};
use base::Zxid;
use std::io;
use std::path::PathBuf;

/// What is to be synced.
#[derive(Debug)]
pub struct SyncJob<F> {
    file: F,
    written: Written,
}

/// What was written when a job was made.
#[derive(Debug)]
struct Written {
    path: PathBuf,
    serial: u64,
    /// All of the file before it.
    position: u64,
    last: Option<Zxid>,
}

/// What came of a job.
#[derive(Debug)]
pub struct SyncDone<F> {
    file: F,
    written: Written,
    result: io::Result<()>,
}

impl<F> SyncJob<F> {
    /// A job for what was written of another kind of file, up to `position`.
    pub(crate) fn of(file: F, path: PathBuf, serial: u64, position: u64) -> SyncJob<F> {
        SyncJob { file, written: Written { path, serial, position, last: None } }
    }
}

impl<F> SyncDone<F> {
    /// The file, what [`SyncJob::of`] was told, and what the disk said.
    pub(crate) fn into_parts(self) -> (F, PathBuf, u64, u64, io::Result<()>) {
        let SyncDone { file, written, result } = self;
        (file, written.path, written.serial, written.position, result)
    }
}

impl<F: DiskFile> SyncJob<F> {
    /// Does it. May be called on any thread, and may take long.
    #[must_use]
    pub fn perform(self) -> SyncDone<F> {
        let SyncJob { mut file, written } = self;
        let result = file.sync_data();
        SyncDone { file, written, result }
    }
}

impl<D: Disk> TxnLog<D> {
    /// Writes what is buffered; gives the job that makes it durable, or `None` if it is already.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Poisoned`].
    pub fn begin_sync(&mut self) -> Result<Option<SyncJob<D::File>>, Error> {
        self.flush()?;
        if !self.options.force_sync {
            return self.sync().map(|()| None);
        }
        self.guarded(TxnLog::sync_job)
    }

    fn sync_job(&mut self) -> Result<Option<SyncJob<D::File>>, Error> {
        let last = self.last_appended();
        let Some(current) = self.current.as_mut().filter(|file| file.synced < file.position) else {
            return Ok(None);
        };
        let file = match current.beside.take() {
            Some(file) => file,
            None => current.file.another().at(&current.path)?,
        };
        let Current { path, serial, position, .. } = current;
        let written = Written { path: path.clone(), serial: *serial, position: *position, last };
        Ok(Some(SyncJob { file, written }))
    }

    /// Takes what came of the job. With a size limit it may also roll.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Poisoned`]: what was not durable before must count as lost.
    pub fn end_sync(&mut self, done: SyncDone<D::File>) -> Result<(), Error> {
        let SyncDone { file, written, result } = done;
        self.guarded(|log| {
            result.at(&written.path)?;
            // The file may have been rolled meanwhile, which made all of it durable, and cut.
            let same = |file: &&mut Current<D::File>| file.serial == written.serial;
            if let Some(current) = log.current.as_mut().filter(same) {
                current.synced = current.synced.max(written.position);
                current.beside = Some(file);
            }
            log.note_synced(written.serial, written.last);
            log.roll_if_large()
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::Error;
    use crate::simulated::Operation;
    use crate::testing::{disk, log, payload, reader, zxids};
    use base::{Rng, Zxid};

    #[test]
    fn what_is_appended_meanwhile_waits_for_the_next_sync() {
        let disk = disk();
        let mut log = log(&disk);
        log.append(Zxid(1), &payload(1, 10)).unwrap();
        let job = log.begin_sync().unwrap().expect("something to sync");
        log.append(Zxid(2), &payload(2, 10)).unwrap();
        assert_eq!(log.last_synced(), None, "not before the job has ended");
        log.end_sync(job.perform()).unwrap();
        assert_eq!(log.last_synced(), Some(Zxid(1)));
        let job = log.begin_sync().unwrap().expect("the second record");
        log.end_sync(job.perform()).unwrap();
        assert_eq!(log.last_synced(), Some(Zxid(2)));
        assert!(log.begin_sync().unwrap().is_none(), "all is durable");
        disk.crash(&mut Rng::new(7));
        assert_eq!(zxids(&mut reader(&disk, 1)).unwrap(), [1, 2]);
    }

    #[test]
    fn a_sync_that_fails_ends_the_log() {
        let disk = disk();
        let mut log = log(&disk);
        log.append(Zxid(1), &payload(1, 10)).unwrap();
        log.commit().unwrap();
        log.append(Zxid(2), &payload(2, 10)).unwrap();
        let job = log.begin_sync().unwrap().expect("something to sync");
        disk.fail_after(Operation::Sync, 0);
        let done = job.perform();
        assert!(matches!(log.end_sync(done), Err(Error::Io { .. })));
        assert!(matches!(log.append(Zxid(3), &payload(3, 10)), Err(Error::Poisoned)));
        assert_eq!(log.last_synced(), Some(Zxid(1)));
    }

    #[test]
    fn a_roll_meanwhile_makes_all_of_the_old_file_durable_itself() {
        let disk = disk();
        let mut log = log(&disk);
        log.append(Zxid(1), &payload(1, 10)).unwrap();
        let job = log.begin_sync().unwrap().expect("something to sync");
        log.append(Zxid(2), &payload(2, 10)).unwrap();
        log.roll().unwrap();
        log.append(Zxid(3), &payload(3, 10)).unwrap();
        log.end_sync(job.perform()).unwrap();
        assert_eq!(log.last_synced(), Some(Zxid(2)), "not the first record of the new file");
        let job = log.begin_sync().unwrap().expect("the new file");
        log.end_sync(job.perform()).unwrap();
        disk.crash(&mut Rng::new(7));
        assert_eq!(zxids(&mut reader(&disk, 1)).unwrap(), [1, 2, 3]);
    }
}
