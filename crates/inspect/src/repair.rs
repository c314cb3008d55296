//! `inspect repair`: cuts a log where it stops making sense, after a backup.
//!
//! Guarantee: without `--cut` nothing is written. With it, the whole file is copied first, synced
//! and read back; only then the original is cut. Whole records behind the damage may have been
//! acknowledged: losing them takes a flag of its own.

use crate::disk::Inspected;
use crate::{Verdict, log};
use anyhow::{Context, Result, bail};
use base::Zxid;
use clap::Args;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use storage::{Error, Finding, LogReader, Tail, truncate_log};

/// Say where a log is damaged; with --cut, cut it there.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The log; no server may be running on it
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// Cut the file after its last good record
    #[arg(long, requires = "backup_to")]
    cut: bool,
    /// Where the file is copied before it is cut; must not exist
    #[arg(long, value_name = "PATH")]
    backup_to: Option<PathBuf>,
    /// Cut even if whole records follow the damage: they may have been acknowledged to clients
    #[arg(long, requires = "cut")]
    lose_records: bool,
}

/// Where and how a log is damaged.
struct Wound {
    /// The last good record before it.
    after: Option<Zxid>,
    text: String,
    /// Whether no crash explains it: good records may follow.
    is_inside: bool,
}

pub(crate) fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<Verdict> {
    let path = &arguments.path;
    let Some(wound) = examine(path)? else {
        writeln!(out, "{}: nothing to repair", path.display())?;
        return Ok(Verdict::Good);
    };
    writeln!(out, "{}", wound.text)?;
    let (true, Some(backup)) = (arguments.cut, &arguments.backup_to) else {
        writeln!(out, "nothing was changed: --cut --backup-to PATH cuts the file there")?;
        return Ok(Verdict::Bad);
    };
    if wound.is_inside && !arguments.lose_records {
        bail!(
            "{}: what follows the damage may have been acknowledged. On a member of a healthy \
             ensemble move version-2 aside and let it synchronize; else --lose-records cuts it",
            path.display()
        );
    }
    let Some(after) = wound.after else {
        bail!("{}: holds no good record: move the file away", path.display());
    };
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

fn examine(path: &Path) -> Result<Option<Wound>> {
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

/// Copies the file, durably, and compares.
fn back_up(from: &Path, to: &Path) -> Result<()> {
    let context = || format!("backup to {}", to.display());
    let mut copy =
        OpenOptions::new().write(true).create_new(true).open(to).with_context(context)?;
    io::copy(&mut File::open(from)?, &mut copy).with_context(context)?;
    copy.sync_all().with_context(context)?;
    let dir = to.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir)?.sync_all().with_context(context)?;
    if !is_same(from, to).with_context(context)? {
        bail!("{}: the backup is not what was copied; nothing was cut", to.display());
    }
    Ok(())
}

fn is_same(left: &Path, right: &Path) -> io::Result<bool> {
    let (mut left, mut right) = (File::open(left)?, File::open(right)?);
    if left.metadata()?.len() != right.metadata()?.len() {
        return Ok(false);
    }
    let (mut a, mut b) = (vec![0; CHUNK_SIZE], vec![0; CHUNK_SIZE]);
    loop {
        let size = left.read(&mut a)?;
        if size == 0 {
            return Ok(true);
        }
        right.read_exact(&mut b[..size])?;
        if a[..size] != b[..size] {
            return Ok(false);
        }
    }
}

/// How much is compared at a time, in bytes.
const CHUNK_SIZE: usize = 1 << 20;
