//! The transaction log: `log.<zxid>` files of checksummed records, padded with zeros.
//!
//! A file is a header of 16 bytes (magic, version, and the *durable mark*, see below), then records
//! `checksum: long, length: int, payload, 'B'`, then zeros. The checksum is the payload's Adler-32.
//!
//! The durable mark is ours: the reference writes zero into that field (`dbid`) and never looks at
//! it. We keep a position there up to which the file was known to be on the disk when the mark was
//! written, so that recovery can tell sectors that a crash tore within the last batch from damage
//! to what was acknowledged. A mark of zero, as in the reference's files, promises nothing.

mod ahead;
mod beside;
mod entries;
mod reader;
mod scan;
mod settle;
mod survey;
#[cfg(test)]
mod tests;
mod truncate;
mod writer;

pub use ahead::{Ahead, AheadPlan};
pub(crate) use ahead::{Preparations, Spare};
pub use beside::{SyncDone, SyncJob};
pub use entries::{LogEntry, read_entries};
pub use reader::{FINDINGS_MAX, Finding, LogReader, LogRecord, ReadOptions, Tail, last_logged};
pub(crate) use settle::{settle, write_again};
pub use truncate::truncate_log;
pub(crate) use truncate::{cut, remove_after};
pub use writer::{LogOptions, TxnLog, padded_size};

/// checksum and length, before the payload.
const PREFIX_SIZE: usize = 12;
/// Ends every record.
const TRAILER: u8 = b'B';
/// Where the durable mark is in the header.
const MARK_OFFSET: u64 = 8;
/// Where the first record is.
const HEADER_SIZE: u64 = wire::SnapshotHeader::SIZE as u64;

/// The checksum that a record of this payload has in the file.
#[must_use]
pub fn record_checksum(payload: &[u8]) -> u64 {
    adler32(payload)
}

fn adler32(bytes: &[u8]) -> u64 {
    u64::from(simd_adler32::adler32(&bytes))
}
