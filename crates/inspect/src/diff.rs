//! `inspect diff`: how two snapshots differ, by sizes per depth, in the shape of ZooKeeper's
//! `SnapshotComparer`; with `--exact` also node by node. Logs are compared by zxid.

use crate::contents::{Contents, Node};
use crate::kind::Kind;
use crate::{Verdict, log_diff};
use anyhow::{Result, bail};
use clap::Args;
use std::cmp::Ordering;
use std::io::Write;
use std::path::PathBuf;

/// Compare two snapshots, or two logs or directories of logs: exit code 1 if anything is listed.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[arg(value_name = "LEFT")]
    left: PathBuf,
    #[arg(value_name = "RIGHT")]
    right: PathBuf,
    /// Of snapshots: list nodes whose data, with all below them, differs by more bytes than this
    #[arg(long, short, default_value_t = 0, value_name = "N")]
    bytes: u64,
    /// Of snapshots: list nodes whose number of descendants differs by more than this
    #[arg(long, short, default_value_t = 0, value_name = "N")]
    nodes: u64,
    /// Of snapshots: also list nodes of the same size that differ in data, access list or stat
    #[arg(long)]
    exact: bool,
}

pub(crate) fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<Verdict> {
    match (Kind::of(&arguments.left)?, Kind::of(&arguments.right)?) {
        (Kind::Snapshot(_), Kind::Snapshot(_)) => snapshots(arguments, out),
        (Kind::Log | Kind::Directory, Kind::Log | Kind::Directory) => {
            log_diff::run(&arguments.left, &arguments.right, out)
        }
        (Kind::Snapshot(_), _) | (_, Kind::Snapshot(_)) => {
            bail!("a snapshot can be compared with a snapshot, and logs with logs")
        }
    }
}

fn snapshots(arguments: &Arguments, out: &mut dyn Write) -> Result<Verdict> {
    let left = Contents::read(&arguments.left)?;
    let right = Contents::read(&arguments.right)?;
    print_totals(&left, out)?;
    print_totals(&right, out)?;
    writeln!(
        out,
        "Printing analysis for nodes difference larger than {} bytes or node count difference \
         larger than {}.",
        arguments.bytes, arguments.nodes
    )?;
    let mut verdict = Verdict::Good;
    for depth in 0..depths(&left).max(depths(&right)) {
        writeln!(out, "Analysis for depth {depth}")?;
        for line in compare(arguments, &layer(&left, depth), &layer(&right, depth)) {
            verdict = Verdict::Bad;
            writeln!(out, "{line}")?;
        }
    }
    writeln!(out, "All layers compared.")?;
    Ok(verdict)
}

fn print_totals(contents: &Contents, out: &mut dyn Write) -> Result<()> {
    let size = contents.nodes.first().map_or(0, |root| root.bytes);
    writeln!(out, "Node count: {}\nTotal size: {size}", contents.nodes.len())?;
    writeln!(out, "Max depth: {}", depths(contents))?;
    for depth in 0..depths(contents) {
        writeln!(out, "Count of nodes at depth {depth}: {}", layer(contents, depth).len())?;
    }
    writeln!(out)?;
    Ok(())
}

/// How many layers there are.
fn depths(contents: &Contents) -> usize {
    contents.nodes.iter().map(|node| node.depth + 1).max().unwrap_or(0)
}

fn layer(contents: &Contents, depth: usize) -> Vec<&Node> {
    contents.nodes.iter().filter(|node| node.depth == depth).collect()
}

/// The lines on one layer; both sides are in the order of their paths.
fn compare(arguments: &Arguments, left: &[&Node], right: &[&Node]) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut l, mut r) = (left.iter().peekable(), right.iter().peekable());
    loop {
        let order = match (l.peek(), r.peek()) {
            (None, None) => return lines,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.path.split('/').cmp(b.path.split('/')),
        };
        lines.extend(match order {
            Ordering::Less => l.next().and_then(|node| only(arguments, node, "left")),
            Ordering::Greater => r.next().and_then(|node| only(arguments, node, "right")),
            Ordering::Equal => {
                l.next().zip(r.next()).and_then(|(left, right)| both(arguments, left, right))
            }
        });
    }
}

fn only(arguments: &Arguments, node: &Node, side: &str) -> Option<String> {
    let Node { path, bytes, descendants, .. } = node;
    let is_told = *bytes > arguments.bytes || *descendants > arguments.nodes || arguments.exact;
    is_told.then(|| {
        format!(
            "Node {path} found only in {side} tree. Descendant size: {bytes}. \
             Descendant count: {descendants}"
        )
    })
}

fn both(arguments: &Arguments, left: &Node, right: &Node) -> Option<String> {
    let path = &left.path;
    if left.bytes.abs_diff(right.bytes) > arguments.bytes
        || left.descendants.abs_diff(right.descendants) > arguments.nodes
    {
        let bytes = i128::from(right.bytes) - i128::from(left.bytes);
        let descendants = i128::from(right.descendants) - i128::from(left.descendants);
        return Some(format!(
            "Node {path} found in both trees. Delta: {bytes} bytes, {descendants} descendants"
        ));
    }
    if !arguments.exact {
        return None;
    }
    let differing: Vec<&str> = [
        ("data", left.data != right.data),
        ("access list", left.acl != right.acl),
        ("stat", left.stat != right.stat),
    ]
    .into_iter()
    .filter_map(|(what, differs)| differs.then_some(what))
    .collect();
    (!differing.is_empty())
        .then(|| format!("Node {path} found in both trees. Different: {}", differing.join(", ")))
}
