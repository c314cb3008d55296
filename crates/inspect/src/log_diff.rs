//! `inspect diff` of logs: which transactions are in one only, and which are not the same in both.
//!
//! Members of an ensemble have the same transaction under each zxid; where they do not, they have
//! diverged. Logs, or directories of logs, are read side by side, by zxid.

use crate::Verdict;
use crate::disk::Inspected;
use crate::log;
use crate::txn_text::{self, Detail};
use anyhow::{Context, Result, anyhow};
use std::cmp::Ordering;
use std::io::Write;
use std::path::Path;
use storage::LogReader;
use wire::TxnRecord;

/// One of the two, with the record that it is at.
struct Side {
    disk: Inspected,
    reader: LogReader<Inspected>,
    /// Zxid and payload; `None` at the end.
    at: Option<(i64, Vec<u8>)>,
}

/// How many transactions there are of each kind.
#[derive(Debug, Default)]
struct Counts {
    alike: u64,
    left: u64,
    right: u64,
    different: u64,
}

pub(crate) fn run(left: &Path, right: &Path, out: &mut dyn Write) -> Result<Verdict> {
    let (mut left, mut right) = (Side::open(left)?, Side::open(right)?);
    let mut counts = Counts::default();
    loop {
        let order = match (&left.at, &right.at) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((l, _)), Some((r, _))) => l.cmp(r),
        };
        match order {
            Ordering::Less => {
                counts.left += 1;
                only(&left, "left", out)?;
                left.advance()?;
            }
            Ordering::Greater => {
                counts.right += 1;
                only(&right, "right", out)?;
                right.advance()?;
            }
            Ordering::Equal => {
                if left.at == right.at {
                    counts.alike += 1;
                } else {
                    counts.different += 1;
                    different(&left, &right, out)?;
                }
                left.advance()?;
                right.advance()?;
            }
        }
    }
    let Counts { alike, left, right, different } = counts;
    writeln!(
        out,
        "{alike} transactions in both, {left} only in left, {right} only in right, {different} \
         different."
    )?;
    Ok(if left + right + different == 0 { Verdict::Good } else { Verdict::Bad })
}

impl Side {
    fn open(path: &Path) -> Result<Side> {
        let (disk, reader) = log::open(path)?;
        let mut side = Side { disk, reader, at: None };
        side.advance()?;
        Ok(side)
    }

    fn advance(&mut self) -> Result<()> {
        let record = self.reader.next_record();
        let record = record.map_err(|error| anyhow!("{}", log::explain(&self.disk, &error)))?;
        self.at = record.map(|record| (record.zxid().0, record.payload.to_vec()));
        Ok(())
    }

    /// The record as a line.
    fn line(&self, detail: Detail) -> Result<String> {
        let (zxid, payload) = self.at.as_ref().context("a side that has ended has no line")?;
        let txn = TxnRecord::decode(payload);
        let txn = txn.with_context(|| format!("malformed transaction {zxid:#x}"))?;
        Ok(txn_text::line(&txn, detail))
    }
}

fn only(side: &Side, name: &str, out: &mut dyn Write) -> Result<()> {
    writeln!(out, "Transaction found only in {name} log: {}", side.line(Detail::Short)?)?;
    Ok(())
}

/// Both lines, in full if they look the same in short.
fn different(left: &Side, right: &Side, out: &mut dyn Write) -> Result<()> {
    let is_alike = left.line(Detail::Short)? == right.line(Detail::Short)?;
    let detail = if is_alike { Detail::Full } else { Detail::Short };
    writeln!(out, "Transaction differs:")?;
    writeln!(out, "  left:  {}\n  right: {}", left.line(detail)?, right.line(detail)?)?;
    Ok(())
}
