//! `sim engines explore`: every schedule of a small ensemble, up to bounds.

use sim::engines::{Bounds, Explored, ZabSubject, explore};
use std::process::ExitCode;

/// Exit code 1 if an invariant was violated or the limit came first, 2 for a wrong command line.
pub(crate) fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    match parse(arguments) {
        Ok(all) => run(&all),
        Err(message) => {
            eprintln!("sim engines explore: {message}");
            ExitCode::from(2)
        }
    }
}

/// The explorations that are asked for: without a flag those of the gate.
fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Vec<Bounds>, String> {
    let mut bounds = Bounds::default();
    let mut is_given = false;
    while let Some(argument) = arguments.next() {
        is_given = true;
        if argument == "--cold" {
            bounds.cold = true;
            continue;
        }
        let text = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        let number: u32 =
            text.parse().map_err(|_| format!("{argument} needs a number, not {text:?}"))?;
        match argument.as_str() {
            "--members" if (2..=7).contains(&number) => bounds.members = number.into(),
            "--members" => return Err(format!("{number} members, which is not 2 to 7")),
            "--proposals" => bounds.proposals = number,
            "--crashes" => bounds.crashes = number,
            "--restarts" => bounds.restarts = number,
            "--breaks" => bounds.breaks = number,
            "--timeouts" => bounds.timeouts = number,
            "--limit" => bounds.limit = number.into(),
            other => return Err(format!("unknown argument {other}")),
        }
    }
    Ok(if is_given { vec![bounds] } else { Bounds::GATE.to_vec() })
}

fn run(all: &[Bounds]) -> ExitCode {
    let explore = |bounds: &Bounds| explore(bounds, ZabSubject::small);
    let explored: Vec<Explored> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            all.iter().map(|bounds| scope.spawn(move || explore(bounds))).collect();
        let ends = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        ends.map(|explored| explored.expect("it does not panic")).collect()
    });
    let mut is_well = true;
    for (bounds, explored) in all.iter().zip(&explored) {
        println!("{bounds}: {explored}");
        is_well &= explored.finished;
        if let Some((violation, steps)) = &explored.violation {
            steps.iter().for_each(|step| println!("{step}"));
            println!("VIOLATED: {violation}");
        }
    }
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
