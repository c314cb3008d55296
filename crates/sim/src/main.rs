//! The simulator by itself, which builds faster than the whole of `quorate`: `quorate sim` is the
//! same, but that nothing means the ensembles there.

use clap::Parser;
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "sim")]
struct Cli {
    #[command(flatten)]
    arguments: sim::Arguments,
}

fn main() -> ExitCode {
    Cli::parse().arguments.run(sim::What::Standalone)
}
