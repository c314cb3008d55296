//! `inspect journal`: the records of the journal that an engine other than ZooKeeper's keeps.
//!
//! Reads as a member does when it starts, so that what is called good here is what it starts on;
//! but nothing is written. `repair` cuts a torn tail and nothing else: what a start does as well,
//! with a copy of the file first.

use crate::Verdict;
use crate::backup::back_up;
use crate::disk::Inspected;
use crate::slots::{Slots, base_of};
use crate::txn_text::Detail;
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::path::PathBuf;
use storage::journal::{Checkpoint, Item, MAGIC, Record, Survey, TornTail, read_journal};
use storage::{Disk, DiskFile};

/// Print the records of a journal, or check it, or sum it up.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The directory of its segments
    #[arg(value_name = "DIR")]
    path: PathBuf,
    /// No records, only whether a member would start on it
    #[arg(long, conflicts_with = "summary")]
    check: bool,
    /// All data of each transaction, and its digest
    #[arg(long, short, conflicts_with_all = ["check", "summary"])]
    verbose: bool,
    /// No records, but how many of which kind, and what they amount to
    #[arg(long)]
    summary: bool,
}

pub(crate) fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<Verdict> {
    let Arguments { path, check, verbose, summary } = arguments;
    let detail = if *verbose { Detail::Full } else { Detail::Short };
    let (mut sums, mut slots) = (BTreeMap::new(), Slots::default());
    let mut written = Ok(());
    let read = read_journal(&Inspected::read_only(), path, None, |item| {
        let sum: &mut (u64, u64) = sums.entry(item.record.name()).or_default();
        *sum = (sum.0 + 1, sum.1 + item.size);
        // What a segment repeats was counted before.
        let meaning = if item.is_repeated {
            Slots::default().read(&item.record, detail)
        } else {
            slots.read(&item.record, detail)
        };
        if !check && !summary && written.is_ok() {
            written = print(&item, meaning, out);
        }
    });
    written?;
    let survey = match read {
        Ok(survey) => survey,
        Err(error) => {
            if !check {
                writeln!(out, "Stopped at damage.")?;
            }
            return Err(error.into());
        }
    };
    let Some(last) = survey.segments.last() else {
        bail!("{}: no segment of a journal", path.display());
    };
    if *summary {
        sum_up(&survey, &sums, &slots, out)?;
    }
    let count = survey.segments.len();
    let (name, end) = (file_name(&last.path), survey.end());
    writeln!(out, "{count} segments, the records end in {name} at byte {end}")?;
    let Some(torn) = &survey.torn else { return Ok(Verdict::Good) };
    writeln!(out, "{}", describe(torn))?;
    Ok(Verdict::Bad)
}

fn print(item: &Item<'_>, meaning: Option<String>, out: &mut dyn Write) -> io::Result<()> {
    let Item { path, offset, size, is_repeated, .. } = item;
    let again = if *is_repeated { " (repeated)" } else { "" };
    let what = meaning.unwrap_or_else(|| match item.record {
        Record::Entry { at, bytes } => format!("{}, {} bytes", at.0, bytes.len()),
        Record::Truncate { to } => format!("to {}", to.0),
        Record::Register { name, value } => format!("{name} = {value}"),
        Record::Text { name, text: None } => format!("{name} removed"),
        Record::Text { name, text: Some(text) } => format!("{name}, {} bytes", text.len()),
        Record::Checkpoint { at, state } => format!("{}, {} bytes", at.0, state.len()),
        Record::Mark { durable } => format!("durable to byte {durable}"),
        Record::Successor { number } => format!("{number}"),
    });
    let (file, kind) = (file_name(path), item.record.name());
    writeln!(out, "{file} {offset} {size} {kind} {what}{again}")
}

fn sum_up(
    survey: &Survey,
    sums: &BTreeMap<&'static str, (u64, u64)>,
    slots: &Slots,
    out: &mut dyn Write,
) -> Result<()> {
    if let Some(identity) = survey.identity {
        let cluster: String = identity.cluster.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(out, "Cluster: {cluster}\nMember: {}", identity.member.0)?;
    }
    for (kind, (count, bytes)) in sums {
        writeln!(out, "Kind {kind}: {count} records, {bytes} bytes")?;
    }
    let (first, next) = (survey.first().0, survey.next().0);
    writeln!(out, "Live entries: {}, the next is {next}", next - first)?;
    if next > first {
        writeln!(out, "Entries: {first} to {}", next - 1)?;
    }
    for line in slots.summary() {
        writeln!(out, "{line}")?;
    }
    if let Some(checkpoint) = &survey.kept().checkpoint {
        let Checkpoint { at, state } = checkpoint;
        let bytes = || format!("{}, {} bytes", at.0, state.len());
        writeln!(out, "Checkpoint: {}", base_of(checkpoint).unwrap_or_else(bytes))?;
    }
    for (name, value) in &survey.kept().registers {
        writeln!(out, "Register {name}: {value}")?;
    }
    for (name, text) in &survey.kept().texts {
        writeln!(out, "Text {name}: {} bytes", text.len())?;
    }
    Ok(())
}

fn describe(torn: &TornTail) -> String {
    let TornTail { path, offset, bytes, damage } = torn;
    let path = path.display();
    format!(
        "{path}: torn tail at byte {offset} ({damage}, {bytes} bytes): a crash left it, a member \
         cuts it when it starts"
    )
}

/// Whether a file is a segment, by its first bytes.
pub(crate) fn is_segment(path: &Path) -> Result<bool> {
    let mut start = Vec::new();
    let name = || path.display().to_string();
    File::open(path).with_context(name)?.take(8).read_to_end(&mut start).with_context(name)?;
    Ok(start == MAGIC)
}

/// Says what is wrong with the journal that a segment belongs to, and cuts its torn tail if there
/// is a place for a copy.
///
/// # Errors
/// If the journal is damaged, or what is torn is not this file: nothing was changed.
pub(crate) fn repair(path: &Path, backup: Option<&Path>, out: &mut dyn Write) -> Result<Verdict> {
    let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let dir = parent.unwrap_or(Path::new("."));
    let survey = read_journal(&Inspected::read_only(), dir, None, |_| {})?;
    let Some(torn) = survey.torn else {
        writeln!(out, "{}: nothing to repair", path.display())?;
        return Ok(Verdict::Good);
    };
    writeln!(out, "{}", describe(&torn))?;
    let Some(backup) = backup else {
        writeln!(out, "nothing was changed; --cut --backup-to PATH cuts it")?;
        return Ok(Verdict::Bad);
    };
    if torn.path.file_name() != path.file_name() {
        bail!("{}: is not torn; nothing was changed", path.display());
    }
    back_up(path, backup)?;
    writeln!(out, "copied to {}", backup.display())?;
    let context = || path.display().to_string();
    let mut file = Inspected::read_only().writable().open_rw(path).with_context(context)?;
    file.set_len(torn.offset).with_context(context)?;
    file.sync_data().with_context(context)?;
    let again = read_journal(&Inspected::read_only(), dir, None, |_| {})?;
    if again.torn.is_some() {
        return Err(anyhow!("{}: still torn after the cut; restore it", path.display()));
    }
    writeln!(out, "{}: cut at byte {}", path.display(), torn.offset)?;
    Ok(Verdict::Good)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
