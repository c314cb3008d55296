//! ZooKeeper's transaction logs, snapshots and epoch files, over a [`Disk`] that may fail.
//!
//! Everything in `version-2/` is read and written as the reference does it, both ways: a Java
//! server starts on what this crate wrote, and this crate on what Java wrote, also after a crash of
//! either. The crate does no I/O of its own: a [`Disk`] comes in as an argument, real or simulated.
//!
//! What it guarantees: a record is read back once [`TxnLog::sync`] has covered it, in order; damage
//! to such records is refused with the file, the offset and what to do, never skipped; the tail of
//! a write that a crash tore is cut and reported. A failed write or sync is never retried.

mod disk;
mod epoch;
mod error;
pub mod journal;
mod log;
mod mark;
mod names;
mod purge;
mod recovery;
mod reset;
pub mod simulated;
mod snapshot;
#[cfg(test)]
mod testing;

pub use disk::{Disk, DiskFile, Entry};
pub use epoch::{
    Epochs, highest_epoch, load_epochs, read_myid, read_number, write_bytes, write_number,
    write_text,
};
pub use error::{Damage, Error};
pub use log::{
    Ahead, AheadPlan, FINDINGS_MAX, Finding, LogEntry, LogOptions, LogReader, LogRecord,
    ReadOptions, SyncDone, SyncJob, Tail, TxnLog, last_logged, padded_size, read_entries,
    record_checksum, truncate_log,
};
pub use mark::{has_mark, is_database_lost, mark_database, mark_lost};
pub use names::{Compression, Dirs, LogFile, SnapshotFile, list_logs, list_snapshots};
pub use purge::{RETAIN_MIN, purge};
pub use recovery::{Begin, Outcome, Recovery, RecoveryOptions, Restore, RestoreError, Restored};
pub use reset::{Truncated, has_unfinished_install};
pub use snapshot::{
    SnapshotDigest, SnapshotItem, SnapshotReader, SnapshotTrailer, SnapshotWriter, WrittenSnapshot,
    looks_complete, newest_valid,
};
