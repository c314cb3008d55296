//! Runs seeds: `sim --seeds N [--from N]`, or one: `sim --replay SEED [--trace] [--minimize]`;
//! whole ensembles of engines: `sim engines [--seeds N] [--from N] [--replay SEED]`; and every
//! schedule of a small one: `sim engines explore [--crashes N] [--proposals N] [--members N]`.
//!
//! Exit code 1 if a seed violated an invariant, 2 for a wrong command line.

mod ensembles;
mod exploring;

use sim::{Ending, Reached};
use std::process::ExitCode;

struct Command {
    from: u64,
    seeds: u64,
    replay: Option<u64>,
    trace: bool,
    minimize: bool,
    quiet: bool,
}

fn parse() -> Result<Command, String> {
    let mut command =
        Command { from: 0, seeds: 1000, replay: None, trace: false, minimize: false, quiet: false };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let text = arguments.next().unwrap_or_default();
            text.parse::<u64>().map_err(|_| format!("{argument} needs a number, not {text:?}"))
        };
        match argument.as_str() {
            "--seeds" => command.seeds = number()?,
            "--from" => command.from = number()?,
            "--replay" => command.replay = Some(number()?),
            "--trace" => command.trace = true,
            "--minimize" => command.minimize = true,
            "--quiet" => command.quiet = true,
            other => return Err(format!("unknown argument {other}")),
        }
    }
    Ok(command)
}

fn main() -> ExitCode {
    if std::env::args().nth(1).is_some_and(|word| word == "engines") {
        if std::env::args().nth(2).is_some_and(|word| word == "explore") {
            return exploring::main(std::env::args().skip(3));
        }
        return ensembles::main(std::env::args().skip(2));
    }
    match parse() {
        Ok(command) => match command.replay {
            Some(seed) => replay(seed, &command),
            None => many(&command),
        },
        Err(message) => {
            eprintln!("sim: {message}");
            ExitCode::from(2)
        }
    }
}

fn replay(seed: u64, command: &Command) -> ExitCode {
    let options = sim::options(seed);
    println!("seed {seed}: {options}");
    let report = sim::run(seed, options.clone(), command.trace);
    println!("{report}\n{:#?}", report.reached);
    if report.violation().is_none() {
        return ExitCode::SUCCESS;
    }
    if command.minimize
        && let Some(smallest) = sim::minimize(seed, options)
    {
        println!("smallest: {smallest}");
        let _again = sim::run(seed, smallest.options, true);
    }
    ExitCode::FAILURE
}

fn many(command: &Command) -> ExitCode {
    let mut sum = Reached::default();
    let (mut failed, mut refused) = (0_u64, 0_u64);
    for seed in command.from..command.from + command.seeds {
        let options = sim::options(seed);
        let report = sim::run(seed, options.clone(), false);
        sum.add(&report.reached);
        match &report.ending {
            Ending::Converged => {}
            Ending::Refused(_) => refused += 1,
            Ending::Violated(_) => {
                failed += 1;
                println!("{report}");
            }
        }
        // One in fifty twice: a seed is a run.
        if seed.is_multiple_of(50) && sim::run(seed, options, false).hash != report.hash {
            failed += 1;
            println!("seed {seed}: VIOLATED: two runs of it differ");
        }
    }
    if !command.quiet {
        println!("{sum:#?}");
    }
    println!("{} seeds, {failed} failed, {refused} ended in a refused start", command.seeds);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
