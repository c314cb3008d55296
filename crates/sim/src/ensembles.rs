//! `sim engines`: many seeds of whole ensembles, or one with its trace.

use sim::engines::{Campaign, ZabSubject, replay};
use std::process::ExitCode;

struct Command {
    campaign: Campaign,
    replay: Option<u64>,
    strikes: Option<Vec<usize>>,
    lines: usize,
    minimize: bool,
}

/// Exit code 1 if a seed violated an invariant, 2 for a wrong command line.
pub(crate) fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    match parse(arguments) {
        Ok(command) => run(&command),
        Err(message) => {
            eprintln!("sim engines: {message}");
            ExitCode::from(2)
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let campaign = Campaign { from: 0, seeds: 1000, threads, twice: 100, failures_max: 5 };
    let mut command = Command { campaign, replay: None, strikes: None, lines: 0, minimize: false };
    while let Some(argument) = arguments.next() {
        if argument == "--minimize" {
            command.minimize = true;
            continue;
        }
        let text = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        let number =
            || text.parse::<u64>().map_err(|_| format!("{argument} needs a number, not {text:?}"));
        match argument.as_str() {
            "--engine" if text == "zab" => {}
            "--engine" => return Err(format!("no engine {text:?}; there is: zab")),
            "--seeds" => command.campaign.seeds = number()?,
            "--from" => command.campaign.from = number()?,
            "--seed" => (command.campaign.from, command.campaign.seeds) = (number()?, 1),
            "--threads" => command.campaign.threads = number()? as usize,
            "--failures" => command.campaign.failures_max = number()? as usize,
            "--replay" => command.replay = Some(number()?),
            "--lines" => command.lines = number()? as usize,
            "--strikes" => command.strikes = Some(indices(&text)?),
            other => return Err(format!("unknown argument {other}")),
        }
    }
    Ok(command)
}

fn indices(text: &str) -> Result<Vec<usize>, String> {
    if text == "none" {
        return Ok(Vec::new());
    }
    let index = |word: &str| word.parse().map_err(|_| format!("{word:?} is no strike's number"));
    text.split(',').map(index).collect()
}

fn run(command: &Command) -> ExitCode {
    if let Some(seed) = command.replay {
        let strikes = command.strikes.as_deref();
        let (text, well) = replay::<ZabSubject>(seed, strikes, command.lines, command.minimize);
        println!("{text}");
        return if well { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let (counts, failed) = command.campaign.run::<ZabSubject>();
    println!("{counts}");
    for report in &failed {
        if let Some((at, violation)) = &report.violation {
            let (seed, ms) = (report.seed, at.as_millis());
            println!("seed {seed}: VIOLATED at {ms} ms: {violation}");
            println!("  replay: sim engines --replay {seed} --lines 200 --minimize");
        }
    }
    println!("{} failed", failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
