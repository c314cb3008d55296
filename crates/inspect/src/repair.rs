//! `inspect repair`: says where a log is damaged, and mends it in one of three ways, after a backup.
//!
//! Guarantee: without a flag that names a way nothing is written. With one, the whole file is
//! copied first, synced and read back; only then the original is changed. Whole records behind
//! damage may have been acknowledged: losing them takes a flag of its own, or a zxid.

use crate::backup::back_up;
use crate::disk::Inspected;
use crate::{Verdict, checksums, journal, log};
use anyhow::{Result, bail};
use base::Zxid;
use clap::Args;
use std::io::Write;
use std::path::{Path, PathBuf};
use storage::{Error, Finding, LogReader, Tail, list_logs, list_snapshots, truncate_log};

/// Say where a log is damaged; with a flag and a backup, mend it.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("way").requires("backup_to"))]
pub(crate) struct Arguments {
    /// The log; no server may be running on it
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// Cut the file after its last good record
    #[arg(long, group = "way")]
    cut: bool,
    /// Cut the file after this transaction, which must be in it: 0x and hexadecimal, or decimal
    #[arg(long, group = "way", value_name = "ZXID", value_parser = zxid)]
    chop: Option<Zxid>,
    /// Write right checksums where whole transactions have wrong ones, and take what they hold
    #[arg(long, group = "way")]
    fix_checksums: bool,
    /// Where the file is copied before it is changed; must not exist
    #[arg(long, value_name = "PATH")]
    backup_to: Option<PathBuf>,
    /// Cut even if whole records follow the damage: they may have been acknowledged to clients
    #[arg(long, requires = "cut")]
    lose_records: bool,
}

/// Reads a zxid as Java's toolkit does.
fn zxid(text: &str) -> Result<Zxid, String> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let parsed = match digits {
        Some(hex) => i64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map(Zxid).map_err(|error| format!("{error}: 0x and hexadecimal, or decimal"))
}

/// Where and how a log is damaged.
pub(crate) struct Wound {
    /// The last good record before it.
    after: Option<Zxid>,
    pub(crate) text: String,
    /// Whether no crash explains it: good records may follow.
    is_inside: bool,
}

pub(crate) fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<Verdict> {
    let path = &arguments.path;
    if journal::is_segment(path)? {
        if arguments.chop.is_some() || arguments.fix_checksums {
            bail!("{}: a segment of a journal; only --cut is for it", path.display());
        }
        let backup = arguments.backup_to.as_deref().filter(|_| arguments.cut);
        return journal::repair(path, backup, out);
    }
    let Some(backup) = &arguments.backup_to else { return tell(path, out) };
    if let Some(zxid) = arguments.chop {
        return chop(path, zxid, backup, out);
    }
    if arguments.fix_checksums {
        return checksums::fix(path, backup, out);
    }
    if arguments.cut {
        return cut(path, backup, arguments.lose_records, out);
    }
    bail!("--backup-to alone changes nothing: --cut, --chop or --fix-checksums says what to do");
}

/// Says what is wrong, and what could be done.
fn tell(path: &Path, out: &mut dyn Write) -> Result<Verdict> {
    let Some(wound) = examine(path)? else { return nothing(path, out) };
    writeln!(out, "{}", wound.text)?;
    let found = checksums::find(path)?;
    found.tell("CRC ERROR", out)?;
    writeln!(out, "nothing was changed; with --backup-to PATH:")?;
    match wound.after {
        Some(after) => writeln!(out, "  --cut cuts the file after zxid {after}")?,
        None => writeln!(out, "  it holds no good record to cut it after: move the file away")?,
    }
    if !found.wrong.is_empty() {
        let count = found.wrong.len();
        writeln!(out, "  --fix-checksums takes {count} transactions as they stand")?;
    }
    Ok(Verdict::Bad)
}

fn nothing(path: &Path, out: &mut dyn Write) -> Result<Verdict> {
    writeln!(out, "{}: nothing to repair", path.display())?;
    Ok(Verdict::Good)
}

fn cut(path: &Path, backup: &Path, lose_records: bool, out: &mut dyn Write) -> Result<Verdict> {
    let Some(wound) = examine(path)? else { return nothing(path, out) };
    writeln!(out, "{}", wound.text)?;
    if wound.is_inside && !lose_records {
        bail!(
            "{}: what follows the damage may have been acknowledged. On a member of a healthy \
             ensemble move version-2 aside and let it synchronize; else --lose-records cuts it",
            path.display()
        );
    }
    let Some(after) = wound.after else {
        bail!("{}: holds no good record: move the file away", path.display());
    };
    cut_after(path, after, backup, out)
}

fn chop(path: &Path, zxid: Zxid, backup: &Path, out: &mut dyn Write) -> Result<Verdict> {
    let Some(behind) = count_behind(path, zxid)? else {
        bail!("{}: holds no transaction {zxid} before its end or its damage", path.display());
    };
    if behind == 0 && examine(path)?.is_none() {
        writeln!(out, "{}: ends with {zxid}, nothing to chop", path.display())?;
        return Ok(Verdict::Good);
    }
    writeln!(out, "{}: {behind} good transactions follow {zxid}", path.display())?;
    for later in later_files(path, zxid)? {
        writeln!(out, "note {} holds what is later, too", later.display())?;
    }
    cut_after(path, zxid, backup, out)
}

/// How many good records follow that one; `None` if it is not among the good ones.
fn count_behind(path: &Path, zxid: Zxid) -> Result<Option<u64>> {
    let (disk, dir) = Inspected::one_log(path);
    let mut reader = LogReader::open(disk, &dir, Zxid::ZERO, log::reading(Tail::Closed))?;
    let mut behind = None;
    loop {
        match reader.next_record() {
            Ok(Some(record)) if record.zxid() == zxid => behind = Some(0),
            Ok(Some(_)) => behind = behind.map(|count| count + 1),
            Ok(None) | Err(Error::Corrupt { .. }) => return Ok(behind),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Logs and snapshots beside the log that begin after the zxid.
fn later_files(path: &Path, zxid: Zxid) -> Result<Vec<PathBuf>> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let disk = Inspected::read_only();
    let logs = list_logs(&disk, dir)?.into_iter().map(|log| (log.first, log.path));
    let snapshots = list_snapshots(&disk, dir)?.into_iter().map(|file| (file.zxid, file.path));
    Ok(logs.chain(snapshots).filter(|(at, _)| *at > zxid).map(|(_, path)| path).collect())
}

fn cut_after(path: &Path, after: Zxid, backup: &Path, out: &mut dyn Write) -> Result<Verdict> {
    back_up(path, backup)?;
    writeln!(out, "copied to {}", backup.display())?;
    let (disk, dir) = Inspected::one_log(path);
    truncate_log(&disk.writable(), &dir, after, log::reading(Tail::Closed))?;
    if examine(path)?.is_some() {
        bail!("{}: still damaged after the cut; restore {}", path.display(), backup.display());
    }
    writeln!(out, "{}: cut after zxid {after}", path.display())?;
    Ok(Verdict::Good)
}

/// Reads the log as a server does; tells where that would end.
pub(crate) fn examine(path: &Path) -> Result<Option<Wound>> {
    let (disk, dir) = Inspected::one_log(path);
    let mut reader = LogReader::open(disk.clone(), &dir, Zxid::ZERO, log::reading(Tail::Closed))?;
    let mut after = None;
    loop {
        match reader.next_record() {
            Ok(Some(record)) => after = Some(record.zxid()),
            Ok(None) => break,
            Err(error @ Error::Corrupt { .. }) => {
                let text = log::explain(&disk, &error);
                return Ok(Some(Wound { after, text, is_inside: true }));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let torn = reader.findings().iter().find(|finding| matches!(finding, Finding::TornTail { .. }));
    Ok(torn.map(|finding| Wound { after, text: log::describe(&disk, finding), is_inside: false }))
}

#[cfg(test)]
mod tests {
    use super::zxid;
    use base::Zxid;

    #[test]
    fn zxids_are_read_as_javas_toolkit_reads_them() {
        assert_eq!(zxid("0x10"), Ok(Zxid(16)));
        assert_eq!(zxid("0XfF"), Ok(Zxid(255)));
        assert_eq!(zxid("16"), Ok(Zxid(16)));
        for bad in ["", "0x", "f", "0x-"] {
            assert!(zxid(bad).is_err(), "{bad}");
        }
    }
}
