//! The `quorate` command: every tool of the project is a subcommand of this one binary.
//!
//! Errors go to stderr, say what was wrong and what to do, and end the process with a code that
//! scripts can use.

mod logging;
mod migrate;
mod serve;
mod signals;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Agreement between machines: a coordination server for ZooKeeper's clients.
#[derive(Debug, Parser)]
#[command(name = "quorate", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Arguments),
    Migrate(migrate::Arguments),
    Shell(shell::Arguments),
    Inspect(inspect::Arguments),
    Bench(bench::Arguments),
    Sim(sim::Arguments),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Migrate(arguments) => migrate::run(&arguments),
        Command::Shell(arguments) => shell::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Sim(arguments) => arguments.run(sim::What::Members),
    }
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
