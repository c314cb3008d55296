//! `inspect verify`: would a server start on this directory, and with the state that it had?
//!
//! Every snapshot is read to its last seal. Every log is read. Then the newest good snapshot is
//! loaded into a tree and the log replayed on it, with the digests that it carries compared at
//! each transaction, as a server does when it starts, but nothing is repaired.

use crate::disk::Inspected;
use crate::kind::Kind;
use crate::snapshot::{Census, OWNERS, census, zxid_by_name};
use crate::{Verdict, log};
use anyhow::{Context, Result, bail};
use base::Zxid;
use clap::Args;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use storage::{
    Error, Finding, LogReader, ReadOptions, SnapshotFile, SnapshotItem, Tail, list_logs,
    list_snapshots,
};
use tree::{Config, Tree, TreeBuilder};
use wire::{TxnDigest, TxnRecord};

/// Check a whole data directory, or one file: seals, checksums, gaps, torn tails, digests.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The dataDir, or its version-2, or one log or snapshot
    #[arg(value_name = "DIR | FILE")]
    path: PathBuf,
    /// The dataLogDir, or its version-2, if it is another
    #[arg(long, value_name = "DIR")]
    log_dir: Option<PathBuf>,
    /// A server is writing: whatever is no record behind the last one is its end
    #[arg(long)]
    live: bool,
}

/// How many digests that do not match are listed.
const MISMATCHES_SHOWN: u64 = 10;

pub(crate) fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<Verdict> {
    let tail = if arguments.live { Tail::Live } else { Tail::Closed };
    let path = &arguments.path;
    let (options, verdict) = (log::reading(tail), Verdict::Good);
    if path.is_file() {
        let (disk, dir) = Inspected::one_log(path);
        let mut check = Check { disk, options, out, verdict };
        match Kind::of(path)? {
            Kind::Snapshot(_) => check.snapshot(path)?,
            Kind::Log | Kind::Directory => check.logs(&dir)?,
        }
        return check.conclude();
    }
    let dir = version_dir(path)?;
    let log_dir = arguments.log_dir.as_deref().map_or(Ok(dir.clone()), version_dir)?;
    let mut check = Check { disk: Inspected::read_only(), options, out, verdict };
    let newest = check.snapshots(&dir)?;
    check.logs(&log_dir)?;
    match newest {
        Some(newest) => check.replay(&newest, &log_dir)?,
        None => check.bad("no good snapshot: a server does not start on this directory")?,
    }
    check.conclude()
}

/// Where the files of a data directory are.
///
/// # Errors
/// If there is no such directory.
pub(crate) fn version_dir(dir: &Path) -> Result<PathBuf> {
    let inner = dir.join("version-2");
    if inner.is_dir() {
        return Ok(inner);
    }
    if !dir.is_dir() {
        bail!("{}: no such directory", dir.display());
    }
    Ok(dir.to_owned())
}

struct Check<'a> {
    disk: Inspected,
    options: ReadOptions,
    out: &'a mut dyn Write,
    verdict: Verdict,
}

impl Check<'_> {
    /// The last line.
    fn conclude(self) -> Result<Verdict> {
        let text = if self.verdict == Verdict::Good { "good" } else { "NOT good" };
        writeln!(self.out, "{text}")?;
        Ok(self.verdict)
    }

    /// Checks one snapshot, also against its own digest.
    fn snapshot(&mut self, path: &Path) -> Result<()> {
        // Without its name it is not known whether its digest is of the nodes as they stand.
        let begun = zxid_by_name(path).unwrap_or(Zxid(i64::MAX));
        let checked = census(path).and_then(|census| load(path, begun).map(|_| census));
        match checked {
            Ok(census) => self.good_snapshot(path, &census),
            Err(error) => self.bad(&format!("{error:#}")),
        }
    }

    fn good_snapshot(&mut self, path: &Path, census: &Census) -> Result<()> {
        writeln!(
            self.out,
            "ok   {}: {} nodes, {} bytes of data, {} sessions, last zxid {}",
            path.display(),
            census.nodes,
            census.bytes,
            census.sessions.len(),
            census.last_zxid(path)
        )?;
        Ok(())
    }

    fn bad(&mut self, text: &str) -> Result<()> {
        self.verdict = Verdict::Bad;
        writeln!(self.out, "BAD  {text}")?;
        Ok(())
    }

    fn note(&mut self, text: &str) -> Result<()> {
        writeln!(self.out, "note {text}")?;
        Ok(())
    }

    /// Checks every snapshot; answers with the newest good one.
    fn snapshots(&mut self, dir: &Path) -> Result<Option<SnapshotFile>> {
        let mut newest = None;
        for snapshot in list_snapshots(&self.disk, dir)? {
            match census(&snapshot.path) {
                Ok(census) => {
                    self.good_snapshot(&snapshot.path, &census)?;
                    newest = newest.or(Some(snapshot));
                }
                Err(error) => self.bad(&format!("{error:#}"))?,
            }
        }
        Ok(newest)
    }

    /// Checks every log, and that they continue each other.
    fn logs(&mut self, dir: &Path) -> Result<()> {
        let mut files: BTreeMap<PathBuf, (u64, Zxid, Zxid)> = BTreeMap::new();
        let mut reader = LogReader::open(self.disk.clone(), dir, Zxid::ZERO, self.options)?;
        let failure = loop {
            match reader.next_record() {
                Ok(Some(record)) => {
                    let zxid = record.zxid();
                    match files.get_mut(record.path) {
                        Some((count, _, last)) => (*count, *last) = (*count + 1, zxid),
                        None => {
                            files.insert(record.path.to_owned(), (1, zxid, zxid));
                        }
                    }
                }
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        let findings = reader.findings().to_vec();
        let mut damaged: Vec<&Path> = findings.iter().filter_map(damaged_file).collect();
        if let Some(Error::Corrupt { path, .. }) = &failure {
            damaged.push(path);
        }
        for file in list_logs(&self.disk, dir)? {
            let name = self.disk.real_path(&file.path).display().to_string();
            let verdict = if damaged.contains(&file.path.as_path()) { "BAD " } else { "ok  " };
            match files.get(&file.path) {
                Some((count, first, last)) => {
                    writeln!(
                        self.out,
                        "{verdict} {name}: {count} transactions, {first} to {last}"
                    )?;
                }
                None if failure.is_some() => writeln!(self.out, "BAD  {name}: not read")?,
                None => writeln!(self.out, "{verdict} {name}: no transactions")?,
            }
        }
        self.findings(&findings)?;
        match failure {
            Some(error) => self.bad(&log::explain(&self.disk.clone(), &error)),
            None => Ok(()),
        }
    }

    fn findings(&mut self, findings: &[Finding]) -> Result<()> {
        for finding in findings {
            let text = log::describe(&self.disk, finding);
            match log::verdict_of(finding) {
                Some(_) => self.bad(&text)?,
                None => self.note(&text)?,
            }
        }
        Ok(())
    }

    /// Builds the tree that a server would start on.
    fn replay(&mut self, snapshot: &SnapshotFile, log_dir: &Path) -> Result<()> {
        let mut tree = match load(&snapshot.path, snapshot.zxid) {
            Ok(tree) => tree,
            Err(error) => return self.bad(&format!("{error:#}")),
        };
        let start = snapshot.zxid;
        // A gap here may lie between the snapshot and the log, which the pass before cannot see.
        let options = ReadOptions { refuse_gaps: true, ..self.options };
        let mut reader = LogReader::open(self.disk.clone(), log_dir, start.next(), options)?;
        let (mut replayed, mut compared, mut wrong) = (0_u64, 0_u64, 0_u64);
        let failure = loop {
            let record = match reader.next_record() {
                Ok(Some(record)) => record,
                Ok(None) => break None,
                Err(error) => break Some(error),
            };
            let txn = TxnRecord::decode(record.payload).with_context(|| {
                format!("{}: malformed record at byte {}", record.path.display(), record.offset)
            })?;
            if record.zxid() <= tree.last_zxid() {
                continue;
            }
            replayed += 1;
            compared += u64::from(txn.digest.is_some());
            let applied = tree.apply(&txn, &mut |_| {});
            if let Some(mismatch) = applied.digest_mismatch {
                wrong += 1;
                if wrong <= MISMATCHES_SHOWN {
                    let (want, got) = (mismatch.expected, mismatch.actual);
                    self.bad(&format!(
                        "digest after {}: the log says {want:#x}, the tree has {got:#x}",
                        record.zxid()
                    ))?;
                }
            }
        };
        let is_good = failure.is_none() && wrong == 0;
        if let Some(error) = failure {
            self.bad(&format!("replay: {}", log::explain(&self.disk.clone(), &error)))?;
        }
        if wrong > 0 {
            self.bad(&format!("{wrong} digests do not match: the replica has diverged"))?;
        }
        writeln!(
            self.out,
            "{} replay: {replayed} transactions on {}, {compared} digests compared, {} nodes, \
             last zxid {}",
            if is_good { "ok  " } else { "BAD " },
            snapshot.path.display(),
            tree.node_count(),
            tree.last_zxid()
        )?;
        Ok(())
    }
}

/// The file that a finding calls damaged.
fn damaged_file(finding: &Finding) -> Option<&Path> {
    match finding {
        Finding::TornTail { path, .. } | Finding::TornMiddle { path, .. } => Some(path),
        Finding::Unbegun(_) | Finding::OutOfOrder { .. } | Finding::Gap { .. } => None,
    }
}

/// Builds the tree of a snapshot that was begun at `begun`.
fn load(path: &Path, begun: Zxid) -> Result<Tree> {
    let name = || path.display().to_string();
    let mut builder = TreeBuilder::new(Config { digest: true, owners: OWNERS });
    let mut expected = None;
    let mut reader = crate::snapshot::open(path)?;
    while let Some(item) = reader.next_item()? {
        match item {
            SnapshotItem::Session(session, timeout_ms) => builder.session(session, timeout_ms),
            SnapshotItem::Acl(id, acl) => builder.acl(id, acl.to_vec()),
            SnapshotItem::Node(node) => builder.node(&node).with_context(name)?,
            SnapshotItem::End(trailer) => {
                expected =
                    trailer.digest.filter(|d| d.version == TxnDigest::VERSION && d.zxid >= begun);
            }
        }
    }
    let mut tree = builder.finish(begun).with_context(name)?;
    if let Some(digest) = expected
        && let Some(mismatch) = tree.expect_digest(digest.zxid, digest.tree)
    {
        let (want, got) = (mismatch.expected, mismatch.actual);
        bail!("{}: its digest is {want:#x}, its nodes have {got:#x}", name());
    }
    Ok(tree)
}
