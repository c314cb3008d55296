//! `inspect summary`: nodes and bytes below each node that has children; of logs, what they change.

use crate::contents::Contents;
use crate::kind::Kind;
use crate::{Verdict, log_summary};
use anyhow::{Context, Result};
use clap::Args;
use std::io::Write;
use std::path::PathBuf;

/// Sum up a snapshot (descendants and bytes of data, for every node that has children) or logs
/// (transactions by type, and changes to each node and all below it).
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A snapshot, a log, or a directory of logs
    #[arg(value_name = "FILE | DIR")]
    path: PathBuf,
    /// Where to begin
    #[arg(long, default_value = "/", value_name = "PATH")]
    node: String,
    /// How deep to go below it; 0 for no limit
    #[arg(long, default_value_t = 0, value_name = "N")]
    depth: usize,
}

pub(crate) fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<Verdict> {
    if matches!(Kind::of(&arguments.path)?, Kind::Log | Kind::Directory) {
        return log_summary::run(&arguments.path, &arguments.node, arguments.depth, out);
    }
    let contents = Contents::read(&arguments.path)?;
    let nodes = contents
        .subtree(&arguments.node)
        .with_context(|| format!("{}: no node {}", arguments.path.display(), arguments.node))?;
    let top = nodes[0].depth;
    for (at, node) in nodes.iter().enumerate() {
        let depth = node.depth - top;
        let is_too_deep = arguments.depth > 0 && depth > arguments.depth;
        if is_too_deep || (node.descendants == 0 && at > 0) {
            continue;
        }
        let indent = "--".repeat(depth);
        writeln!(out, "{indent} {}", node.path)?;
        writeln!(out, "{indent}   children: {}", node.descendants)?;
        writeln!(out, "{indent}   data: {}", node.bytes)?;
    }
    Ok(Verdict::Good)
}
