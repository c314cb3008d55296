//! `inspect summary` of logs: how many transactions of which kind, by whom, when, and which nodes
//! they change, summed up over all that is below each node.

use crate::{Verdict, log, txn_text};
use anyhow::Result;
use base::{WallTime, Zxid};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use wire::{Txn, TxnRecord};

/// What is counted.
#[derive(Debug, Default)]
struct Sums {
    count: u64,
    bytes: u64,
    /// The first and the last record: zxid and time in ms.
    ends: Option<[(Zxid, i64); 2]>,
    sessions: BTreeSet<i64>,
    /// By the name of the type; the parts of a multi count besides it.
    types: BTreeMap<&'static str, Sum>,
    /// By path, of changes to it and to what is below it; the root's is "/".
    paths: BTreeMap<String, Sum>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    count: u64,
    bytes: u64,
}

impl Sum {
    fn add(&mut self, bytes: usize) {
        self.count += 1;
        self.bytes += bytes as u64;
    }
}

/// Sums up a log, or all logs of a directory, and prints nodes from `node` on.
///
/// # Errors
/// If the log is damaged, or no transaction changes `node` or anything below it.
pub(crate) fn run(path: &Path, node: &str, depth: usize, out: &mut dyn Write) -> Result<Verdict> {
    let mut sums = Sums::default();
    let verdict = log::each(path, |record, _| {
        sums.add(&TxnRecord::decode(record.payload)?, record.payload.len());
        Ok(())
    })?;
    sums.print(out)?;
    sums.print_nodes(node, depth, out)?;
    Ok(verdict)
}

impl Sums {
    fn add(&mut self, record: &TxnRecord<'_>, size: usize) {
        let header = &record.header;
        let here = (Zxid(header.zxid), header.time);
        self.count += 1;
        self.bytes += size as u64;
        self.ends = Some([self.ends.map_or(here, |[first, _]| first), here]);
        self.sessions.insert(header.client_id);
        self.types.entry(txn_text::name(&record.txn)).or_default().add(size);
        self.add_paths(&record.txn);
    }

    fn add_paths(&mut self, txn: &Txn<'_>) {
        match txn {
            Txn::Create(create) => self.add_path(&create.path, create.data.map_or(0, <[u8]>::len)),
            Txn::SetData { path, data, .. } => self.add_path(path, data.map_or(0, <[u8]>::len)),
            Txn::Delete { path, .. } | Txn::SetAcl { path, .. } => self.add_path(path, 0),
            Txn::CloseSession { paths: Some(paths) } => {
                paths.iter().for_each(|path| self.add_path(&path, 0));
            }
            // The parts before the one that failed are in the log as if they had been done.
            Txn::Multi(multi) if multi.iter().any(|(_, part)| matches!(part, Txn::Error(_))) => {
                self.types.entry("error in multi").or_default().add(0);
            }
            Txn::Multi(multi) => {
                for (_, part) in multi.iter() {
                    self.types.entry(txn_text::name(&part)).or_default().add(0);
                    self.add_paths(&part);
                }
            }
            Txn::Check { .. }
            | Txn::CreateSession { .. }
            | Txn::CloseSession { paths: None }
            | Txn::Error(_) => {}
        }
    }

    /// Adds a change to a node and to all above it.
    fn add_path(&mut self, path: &str, bytes: usize) {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for end in ends.filter(|end| *end > 0 || path.len() > 1) {
            let above = if end == 0 { "/" } else { &path[..end] };
            match self.paths.get_mut(above) {
                Some(sum) => sum.add(bytes),
                None => self.paths.entry(above.to_owned()).or_default().add(bytes),
            }
        }
        if path == "/" {
            self.paths.entry(path.to_owned()).or_default().add(bytes);
        }
    }

    fn print(&self, out: &mut dyn Write) -> Result<()> {
        let Sums { count, bytes, .. } = self;
        writeln!(out, "Transactions: {count}\nBytes: {bytes}\nSessions: {}", self.sessions.len())?;
        if let Some([(first, from), (last, until)]) = self.ends {
            let date = |ms| words::java_date(WallTime(ms));
            writeln!(out, "Zxids: {first} to {last}")?;
            writeln!(out, "Times: {} to {}", date(from), date(until))?;
        }
        for (name, Sum { count, bytes }) in &self.types {
            writeln!(out, "Type {name}: {count} transactions, {bytes} bytes")?;
        }
        Ok(())
    }

    fn print_nodes(&self, top: &str, depth: usize, out: &mut dyn Write) -> Result<()> {
        let base = depth_of(top);
        let is_below = |path: &str| {
            let rest = if top == "/" { Some(path) } else { path.strip_prefix(top) };
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let mut nodes: Vec<(&String, &Sum)> =
            self.paths.iter().filter(|(path, _)| is_below(path)).collect();
        nodes.sort_by(|(a, _), (b, _)| a.split('/').cmp(b.split('/')));
        for (path, Sum { count, bytes }) in nodes {
            let level = depth_of(path) - base;
            if depth > 0 && level > depth {
                continue;
            }
            let indent = "--".repeat(level);
            writeln!(out, "{indent} {path}")?;
            writeln!(out, "{indent}   changes: {count}\n{indent}   data: {bytes}")?;
        }
        Ok(())
    }
}

fn depth_of(path: &str) -> usize {
    if path == "/" { 0 } else { path.matches('/').count() }
}
