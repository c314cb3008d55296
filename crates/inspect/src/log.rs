//! `inspect log`: the records of one log, or of all logs of a directory.
//!
//! Printing ends where a server would refuse to read on; what is unusual but no damage is told on
//! stderr.

use crate::disk::Inspected;
use crate::records::Records;
use crate::txn_text::Detail;
use crate::verify::version_dir;
use crate::{Verdict, txn_json, txn_text};
use anyhow::{Context, Result, anyhow, bail};
use base::Zxid;
use clap::Args;
use std::io::Write;
use std::path::{Path, PathBuf};
use storage::{Error, Finding, LogReader, LogRecord, ReadOptions, Tail, list_logs};
use wire::TxnRecord;

/// Print the transactions of a log, or of all logs in a directory.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A log file, or a directory of them, or one with a version-2
    #[arg(value_name = "FILE | DIR")]
    path: PathBuf,
    /// All data of each transaction, and its digest
    #[arg(long, short)]
    verbose: bool,
    /// One JSON object per transaction and line, with data in base64
    #[arg(long, conflicts_with = "verbose")]
    json: bool,
    /// Also what follows damage, as far as it has a record's length and end; of one file
    #[arg(long, conflicts_with = "json")]
    past_damage: bool,
}

pub(crate) fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<Verdict> {
    let (disk, mut reader) = open(&arguments.path)?;
    if !arguments.json && arguments.path.is_file() {
        writeln!(out, "{}", heading(&arguments.path)?)?;
    }
    let mut count = 0_u64;
    let failure = loop {
        let record = match reader.next_record() {
            Ok(Some(record)) => record,
            Ok(None) => break None,
            Err(error) => break Some(error),
        };
        count += 1;
        print(arguments, &disk, &record, out)?;
    };
    if !arguments.json {
        let end = if failure.is_none() { "EOF reached" } else { "Stopped at damage" };
        writeln!(out, "{end} after {count} txns.")?;
    }
    if let (true, Some(Error::Corrupt { offset, .. })) = (arguments.past_damage, &failure) {
        print_past(arguments, *offset, out)?;
    }
    out.flush()?;
    let mut verdict = Verdict::Good;
    for finding in reader.findings() {
        eprintln!("{}", describe(&disk, finding));
        verdict = verdict_of(finding).unwrap_or(verdict);
    }
    match failure {
        Some(error) => Err(anyhow!("{}", explain(&disk, &error))),
        None => Ok(verdict),
    }
}

fn print(
    arguments: &Arguments,
    disk: &Inspected,
    record: &LogRecord<'_>,
    out: &mut dyn Write,
) -> Result<()> {
    let file = disk.real_path(record.path);
    let txn = TxnRecord::decode(record.payload).with_context(|| {
        format!("{}: malformed transaction at byte {}", file.display(), record.offset)
    })?;
    if arguments.json {
        writeln!(out, "{}", txn_json::object(&txn, &file.to_string_lossy(), record.offset))?;
    } else {
        let detail = if arguments.verbose { Detail::Full } else { Detail::Short };
        writeln!(out, "{}", txn_text::line(&txn, detail))?;
    }
    Ok(())
}

/// Prints what a walk by the lengths finds from the damage on.
fn print_past(arguments: &Arguments, offset: u64, out: &mut dyn Write) -> Result<()> {
    if !arguments.path.is_file() {
        bail!("--past-damage takes one file: lengths lead from record to record within it");
    }
    let detail = if arguments.verbose { Detail::Full } else { Detail::Short };
    let mut records = Records::from(&arguments.path, offset.max(Records::FIRST))?;
    let mut count = 0_u64;
    while let Some(record) = records.next_record()? {
        count += 1;
        let mark = if record.is_sealed { "" } else { "CRC ERROR - " };
        match TxnRecord::decode(&record.payload) {
            Ok(txn) => writeln!(out, "{mark}{}", txn_text::line(&txn, detail))?,
            Err(error) => writeln!(out, "{mark}byte {}: {error}", record.offset)?,
        }
    }
    writeln!(out, "{count} txns past the damage, up to byte {}.", records.position())?;
    Ok(())
}

/// A reader of one log, or of all logs of a directory.
///
/// # Errors
/// If there is none.
pub(crate) fn open(path: &Path) -> Result<(Inspected, LogReader<Inspected>)> {
    let meta = std::fs::metadata(path).with_context(|| path.display().to_string())?;
    let (disk, dir) = if meta.is_dir() {
        (Inspected::read_only(), version_dir(path)?)
    } else {
        Inspected::one_log(path)
    };
    if list_logs(&disk, &dir)?.is_empty() {
        bail!("{}: holds no logs", dir.display());
    }
    let reader = LogReader::open(disk.clone(), &dir, Zxid::ZERO, reading(Tail::Closed))?;
    Ok((disk, reader))
}

/// Calls `visit` with every record; tells what is unusual on stderr.
///
/// # Errors
/// If the log is damaged, or `visit` fails.
pub(crate) fn each(
    path: &Path,
    mut visit: impl FnMut(&LogRecord<'_>, &Inspected) -> Result<()>,
) -> Result<Verdict> {
    let (disk, mut reader) = open(path)?;
    loop {
        match reader.next_record() {
            Ok(Some(record)) => visit(&record, &disk)?,
            Ok(None) => break,
            Err(error) => return Err(anyhow!("{}", explain(&disk, &error))),
        }
    }
    let mut verdict = Verdict::Good;
    for finding in reader.findings() {
        eprintln!("{}", describe(&disk, finding));
        verdict = verdict_of(finding).unwrap_or(verdict);
    }
    Ok(verdict)
}

fn heading(path: &Path) -> Result<String> {
    use std::io::Read;
    let mut header = Vec::new();
    let mut file = std::fs::File::open(path)?.take(wire::SnapshotHeader::SIZE as u64);
    file.read_to_end(&mut header)?;
    let Ok(header) = <[u8; wire::SnapshotHeader::SIZE]>::try_from(header) else {
        return Ok(format!("{}: too short for a header", path.display()));
    };
    let [_, _, _, _, v0, v1, v2, v3, dbid @ ..] = header;
    let (version, dbid) = (i32::from_be_bytes([v0, v1, v2, v3]), i64::from_be_bytes(dbid));
    Ok(format!("ZooKeeper Transactional Log File with dbid {dbid} txnlog format version {version}"))
}

/// Records of any length are read: the file's own size bounds them.
pub(crate) fn reading(tail: Tail) -> ReadOptions {
    ReadOptions { record_size_max: i32::MAX as usize, tail, refuse_gaps: false }
}

/// Whether a finding is damage; disorder of zxids is not.
pub(crate) fn verdict_of(finding: &Finding) -> Option<Verdict> {
    match finding {
        Finding::TornTail { .. } | Finding::TornMiddle { .. } | Finding::Gap { .. } => {
            Some(Verdict::Bad)
        }
        Finding::Unbegun(_) | Finding::OutOfOrder { .. } => None,
    }
}

/// A finding as a line for a person.
pub(crate) fn describe(disk: &Inspected, finding: &Finding) -> String {
    let name = |path| disk.real_path(path).display();
    match finding {
        Finding::TornTail { path, offset, damage, after } => format!(
            "{}: torn tail at byte {offset} ({damage}, after zxid {after}): a crash left it, a \
             server cuts it when it starts",
            name(path)
        ),
        Finding::TornMiddle { path, offset } => format!(
            "{}: torn at byte {offset}; the next file goes on where its good part ends",
            name(path)
        ),
        Finding::Unbegun(path) => format!("{}: begun, and holds nothing", name(path)),
        Finding::OutOfOrder { after, zxid } => format!("zxid {zxid} follows {after}"),
        Finding::Gap { after, next } => {
            format!("transactions between {after} and {next} are missing")
        }
    }
}

/// An error of the storage, with the file's real name.
pub(crate) fn explain(disk: &Inspected, error: &storage::Error) -> String {
    let text = error.to_string();
    let storage::Error::Corrupt { path, .. } = error else { return text };
    text.replacen(&path.display().to_string(), &disk.real_path(path).display().to_string(), 1)
}
