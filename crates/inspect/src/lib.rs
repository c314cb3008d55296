//! `quorate inspect`: transaction logs and snapshots as an operator sees them.
//!
//! Reads what this project and ZooKeeper write, through the same readers as the server, so that
//! what is called good here is what a server starts on. Output shapes are those of ZooKeeper's
//! toolkits. Guarantee: files are opened for reading only, except by `repair` with a flag that says
//! what to do and a backup.

mod backup;
mod checksums;
mod contents;
mod diff;
mod disk;
mod journal;
mod kind;
mod log;
mod log_diff;
mod log_summary;
mod ncdu;
mod progress;
mod records;
mod repair;
mod slots;
mod snapshot;
mod summary;
#[cfg(test)]
mod tests;
mod txn_json;
mod txn_text;
mod verify;

use clap::{Args, Subcommand};
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

/// Read transaction logs and snapshots: print, verify, summarise, compare, repair.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 all is well, 1 damage, differences or failure, 2 usage")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Log(log::Arguments),
    Journal(journal::Arguments),
    Snapshot(snapshot::Arguments),
    Verify(verify::Arguments),
    Summary(summary::Arguments),
    Diff(diff::Arguments),
    Repair(repair::Arguments),
}

/// What a command found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing wrong, nothing different.
    Good,
    /// Damage, or differences; they were told.
    Bad,
}

/// Runs the command; results go to stdout, errors and notices to stderr.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    let outcome = run_to(arguments, &mut out);
    let outcome = match out.flush() {
        Err(error) if outcome.is_ok() => Err(error.into()),
        Ok(()) | Err(_) => outcome,
    };
    match outcome {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Bad) => ExitCode::FAILURE,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quorate: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_to(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    match &arguments.command {
        Command::Log(arguments) => log::run(arguments, out),
        Command::Journal(arguments) => journal::run(arguments, out),
        Command::Snapshot(arguments) => snapshot::run(arguments, out),
        Command::Verify(arguments) => verify::run(arguments, out),
        Command::Summary(arguments) => summary::run(arguments, out),
        Command::Diff(arguments) => diff::run(arguments, out),
        Command::Repair(arguments) => repair::run(arguments, out),
    }
}

/// Whoever reads the output has seen enough, as `head` has.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
