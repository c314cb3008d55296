//! Wrong checksums over whole transactions: found, told, and replaced on request.
//!
//! A checksum that does not match says that some bit of it or of its record is wrong, not which.
//! Taken as they stand are records that end where their length says, hold a transaction that can
//! be decoded, and follow the one before them. What they hold is printed for a person to judge;
//! the digests in the log tell afterwards whether the tree came out right (`inspect verify`).

use crate::Verdict;
use crate::backup::back_up;
use crate::disk::Inspected;
use crate::records::{Record, Records};
use crate::repair::examine;
use crate::txn_text::{self, Detail};
use anyhow::{Context, Result, bail};
use base::Zxid;
use std::io::Write;
use std::path::Path;
use storage::{Disk, DiskFile};
use wire::TxnRecord;

/// What a walk through a log found.
pub(crate) struct Found {
    /// Records with wrong checksums that can be taken.
    pub(crate) wrong: Vec<Wrong>,
    /// Why the walk ended early, if a wrong checksum was not all that was wrong there.
    stopped: Option<String>,
}

/// A whole transaction under a wrong checksum.
pub(crate) struct Wrong {
    offset: u64,
    /// The right one.
    checksum: u64,
    /// The transaction, as `inspect log` prints it.
    text: String,
}

impl Found {
    /// Lists them.
    pub(crate) fn tell(&self, what: &str, out: &mut dyn Write) -> Result<()> {
        for wrong in &self.wrong {
            writeln!(out, "{what} - {}", wrong.text)?;
        }
        if let Some(why) = &self.stopped {
            writeln!(out, "{why}")?;
        }
        Ok(())
    }
}

/// Looks for wrong checksums.
///
/// # Errors
/// If the file cannot be read.
pub(crate) fn find(path: &Path) -> Result<Found> {
    let mut found = Found { wrong: Vec::new(), stopped: None };
    let mut records = Records::from(path, Records::FIRST)?;
    let mut last = None;
    while let Some(record) = records.next_record()? {
        match judge(&record, last) {
            Ok((zxid, text)) => {
                last = Some(zxid);
                if !record.is_sealed {
                    let Record { offset, checksum, .. } = record;
                    found.wrong.push(Wrong { offset, checksum, text });
                }
            }
            // What is sealed is as it was written.
            Err(_) if record.is_sealed => {}
            Err(why) => {
                let name = path.display();
                found.stopped = Some(format!("{name}: at byte {}: {why}", record.offset));
                break;
            }
        }
    }
    Ok(found)
}

/// Whether a record can be a log's next: its zxid and its text, or why not.
fn judge(record: &Record, last: Option<Zxid>) -> Result<(Zxid, String), String> {
    let txn = TxnRecord::decode(&record.payload)
        .map_err(|error| format!("not only the checksum is wrong: {error}"))?;
    let zxid = Zxid(txn.header.zxid);
    let begins_epoch = |last: Zxid| zxid.epoch() > last.epoch() && zxid.counter() <= 1;
    let follows = last.is_none_or(|last| zxid == last.next() || begins_epoch(last));
    if !follows && !record.is_sealed {
        let last = last.unwrap_or_default();
        return Err(format!("not only the checksum is wrong: zxid {zxid} does not follow {last}"));
    }
    Ok((zxid, txn_text::line(&txn, Detail::Short)))
}

/// Replaces them, after a backup.
///
/// # Errors
/// If there are none though the log is damaged, or a file cannot be read or written.
pub(crate) fn fix(path: &Path, backup: &Path, out: &mut dyn Write) -> Result<Verdict> {
    let found = find(path)?;
    if found.wrong.is_empty() {
        if let Some(wound) = examine(path)? {
            found.tell("CRC ERROR", out)?;
            bail!("no checksum can be mended: {}", wound.text);
        }
        writeln!(out, "{}: nothing to repair", path.display())?;
        return Ok(Verdict::Good);
    }
    back_up(path, backup)?;
    writeln!(out, "copied to {}", backup.display())?;
    let context = || path.display().to_string();
    let mut file = Inspected::read_only().writable().open_rw(path).with_context(context)?;
    for wrong in &found.wrong {
        file.write_at(wrong.offset, &wrong.checksum.to_be_bytes()).with_context(context)?;
    }
    file.sync_data().with_context(context)?;
    found.tell("CRC FIXED", out)?;
    if let Some(wound) = examine(path)? {
        writeln!(out, "{}", wound.text)?;
        return Ok(Verdict::Bad);
    }
    let name = path.display();
    writeln!(out, "{name}: {} checksums fixed; verify its directory", found.wrong.len())?;
    Ok(Verdict::Good)
}
