//! The project's own tasks: `cargo xtask ci`, `tidy`, `mutants`, `counts`, `readers`, `compat`, `quotes`.

mod ci;
mod compat;
mod counts;
mod layers;
mod mutants;
mod quotes;
mod readers;
mod seeded;
mod tidy;
mod tree;

use anyhow::{Result, bail};
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[&str]) -> Result<()> {
    std::env::set_current_dir(tree::root())?;
    match args {
        ["ci", flags @ ..] => ci::run(flags),
        ["tidy"] => tidy::run(),
        ["mutants", only @ ..] => mutants::run(only),
        ["counts", args @ ..] => counts::run(args),
        ["readers", args @ ..] => readers::run(args),
        ["compat"] => compat::write(),
        ["quotes"] => quotes::write(),
        _ => bail!(
            "tasks: ci [--no-install] [--only STEP], tidy, mutants [NAME ...], counts [--update] [NAME ...], readers [--scale], compat, quotes"
        ),
    }
}
