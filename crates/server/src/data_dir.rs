//! The data directory is one process's own.

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Holds a data directory for as long as it lives.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: File,
}

/// Why a directory cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error(
        "{} is in use by another Quorate process: stop that one, or choose another dataDir",
        .0.display()
    )]
    InUse(PathBuf),
    /// It is missing and may not be made.
    #[error("{}: missing, and automatic creation is off: create it or correct dataDir", .0.display())]
    Missing(PathBuf),
    /// It cannot be used.
    #[error("{}: {source}: check dataDir and who may write there", path.display())]
    Unusable {
        /// The directory or the lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl DirLock {
    /// Takes the directory, which is made if it may be.
    pub(crate) fn take(dir: &Path, may_create: bool) -> Result<DirLock, LockError> {
        let unusable = |path: &Path, source| LockError::Unusable { path: path.to_owned(), source };
        if !dir.try_exists().map_err(|error| unusable(dir, error))? {
            if !may_create {
                return Err(LockError::Missing(dir.to_owned()));
            }
            fs::create_dir_all(dir).map_err(|error| unusable(dir, error))?;
        }
        let path = dir.join(LOCK_NAME);
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|error| unusable(&path, error))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(DirLock { _file: file }),
            Err(Errno::WOULDBLOCK) => Err(LockError::InUse(dir.to_owned())),
            Err(errno) => Err(unusable(&path, errno.into())),
        }
    }
}

/// Beside `version-2`, where no ZooKeeper looks.
const LOCK_NAME: &str = "quorate.lock";
