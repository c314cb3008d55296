//! What can go wrong, by what the operator can do about it.

use crate::journal::Refusal;
use base::Zxid;
use std::io;
use std::path::{Path, PathBuf};

/// Why storage refuses to go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk failed. Nothing is retried: what it holds is known only after a new start.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// An earlier write or sync of this log failed, so that nothing after it may be claimed.
    #[error("the log failed before; restart the server to recover from the disk")]
    Poisoned,
    /// A file holds damage that no crash of a writer can explain.
    #[error(
        "{}: {damage} at byte {offset} (after zxid {after}); recovery refuses to skip what may have \
         been acknowledged: restore the file from a backup, or on a member of a healthy ensemble \
         move its version-2 directory aside and let it synchronize",
        path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where the damage begins: a position of the uncompressed bytes.
        offset: u64,
        /// What is wrong there.
        damage: Damage,
        /// The last good record before it; zero if there is none.
        after: Zxid,
    },
    /// A whole record that is longer than the configured limit.
    #[error(
        "{}: the record at byte {offset} has {len} bytes, more than the limit of {limit}: \
         raise jute.maxbuffer", path.display()
    )]
    RecordTooLong {
        /// The file.
        path: PathBuf,
        /// Where the record begins.
        offset: u64,
        /// Its length in bytes.
        len: u64,
        /// The limit in bytes.
        limit: usize,
    },
    /// Transactions are missing between two records, or between the snapshot and the first record.
    #[error(
        "{}: transactions {after} and {next} follow each other, those between them are missing: \
         restore the missing log file", path.display()
    )]
    Gap {
        /// The file that holds the later record.
        path: PathBuf,
        /// The last one before the gap.
        after: Zxid,
        /// The first one after it.
        next: Zxid,
    },
    /// The directory is missing and may not be made.
    #[error(
        "{}: missing, and zookeeper.datadir.autocreate is false: create it or correct dataDir",
        .0.display()
    )]
    MissingDir(PathBuf),
    /// Snapshots in the log directory.
    #[error(
        "{}: log directory has snapshot files: check that dataLogDir and dataDir are right",
        .0.display()
    )]
    SnapshotsAmongLogs(PathBuf),
    /// Logs in the snapshot directory.
    #[error(
        "{}: snapshot directory has log files: check that dataLogDir and dataDir are right",
        .0.display()
    )]
    LogsAmongSnapshots(PathBuf),
    /// Snapshots of a member whose directory of logs is gone.
    #[error(
        "{}: missing, although there are snapshots: what was acknowledged after the last of them \
         is lost, and this member must not vote: correct dataLogDir, or move version-2 of dataDir \
         aside and let the member synchronize", .0.display()
    )]
    LostLogs(PathBuf),
    /// Logs but no snapshot: the snapshot was lost.
    #[error(
        "{}: no snapshot found, but there are log entries: restore a snapshot, or set \
         zookeeper.snapshot.trust.empty=true once if this server never took one", .0.display()
    )]
    NoSnapshot(PathBuf),
    /// Snapshots, none of which can be read.
    #[error("{}: none of {tried} snapshots is valid; the newest: {newest}", dir.display())]
    NoValidSnapshot {
        /// Where they are.
        dir: PathBuf,
        /// How many were tried.
        tried: usize,
        /// What is wrong with the newest.
        newest: Box<Error>,
    },
    /// The log holds no such transaction.
    #[error("{}: no transaction {zxid} to truncate to", dir.display())]
    NotInLog {
        /// The log directory.
        dir: PathBuf,
        /// What was looked for.
        zxid: Zxid,
    },
    /// A snapshot that was taken while transactions were applied that are not wanted.
    #[error("{}: holds some of what comes after {at}", path.display())]
    TooLate {
        /// The file.
        path: PathBuf,
        /// The place that is wanted.
        at: Zxid,
    },
    /// A snapshot of a tree that another one has taken the place of.
    #[error("{}: given up, for its tree has been replaced", path.display())]
    Superseded {
        /// The file that was to be.
        path: PathBuf,
    },
    /// A small file (an epoch, `myid`) does not hold what it must.
    #[error("{}: {what}", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        what: &'static str,
    },
    /// A journal that is not recovered.
    #[error(transparent)]
    Journal(#[from] Refusal),
}

/// What is wrong with a file's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Not the magic number of this kind of file.
    #[error("bad magic number")]
    Magic,
    /// The file ends before its header does.
    #[error("the header is cut short")]
    Header,
    /// A record whose checksum does not match, or a seal of a snapshot.
    #[error("checksum mismatch")]
    Checksum,
    /// A length that cannot be one.
    #[error("impossible length")]
    Length,
    /// A record that does not end in 'B'.
    #[error("missing end of record")]
    Trailer,
    /// Zeros or the end of the file where more must follow.
    #[error("data is missing")]
    Missing,
    /// Bytes with a good checksum that are no record, or fields that cannot be.
    #[error("malformed record")]
    Malformed,
    /// A record that is good by itself, but does not follow the one before it.
    #[error("a record that belongs elsewhere")]
    Chain,
    /// A compressed stream that cannot be decompressed.
    #[error("bad compressed data")]
    Compression,
}

/// Names the path in what the disk says.
pub(crate) trait At<T> {
    fn at(self, path: &Path) -> Result<T, Error>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: &Path) -> Result<T, Error> {
        self.map_err(|source| Error::Io { path: path.to_owned(), source })
    }
}
