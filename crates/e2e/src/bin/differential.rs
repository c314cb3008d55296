//! Holds a server against the reference: random programs, or one from a file.

use anyhow::{Context, Result};
use clap::Parser;
use e2e::campaign::{Campaign, PROFILES, Report};
use e2e::play::play;
use e2e::program::Program;
use e2e::servers::{Kind, Server};
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs programs of client requests against the reference and a server under test, and compares
/// all that the clients see.
#[derive(Parser)]
struct Arguments {
    /// How many requests to send to each server.
    #[arg(long, default_value_t = 20_000)]
    requests: usize,
    /// The first program's seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The reference: 3.8 or 3.9.
    #[arg(long, default_value = "3.8")]
    reference: String,
    /// The server under test: java38, java39 or quorate.
    #[arg(long, default_value = "quorate")]
    sut: String,
    /// Run this program instead of random ones.
    #[arg(long)]
    program: Option<PathBuf>,
    /// How the servers are configured for a program from a file: extended or plain.
    #[arg(long, default_value = "extended")]
    profile: String,
    /// Make the program of a difference small.
    #[arg(long)]
    shrink: bool,
    /// Print the program of the seed, and run nothing.
    #[arg(long)]
    print: bool,
    /// Print what the clients of the server under test see in the program from the file.
    #[arg(long)]
    transcript: bool,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let campaign = Campaign {
        kinds: (Kind::parse(&arguments.reference)?, Kind::parse(&arguments.sut)?),
        seed: arguments.seed,
        requests: arguments.requests,
        shrink: arguments.shrink,
    };
    if arguments.print {
        print!("{}", e2e::generate::program(arguments.seed, campaign.dialect()));
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} against {}, seed {}", campaign.kinds.1, campaign.kinds.0, campaign.seed);
    match &arguments.program {
        Some(path) => run_file(&campaign, &arguments, path),
        None => run_campaign(&campaign),
    }
}

fn run_file(campaign: &Campaign, arguments: &Arguments, path: &PathBuf) -> Result<ExitCode> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let program = Program::parse(&text)?;
    let name = &arguments.profile;
    let profile = PROFILES.iter().find(|p| p.name == name).context("no such profile")?;
    if arguments.transcript {
        let mut server = Server::start(campaign.kinds.1.clone(), profile.config())?;
        let transcript = play(&mut server, &program).0;
        let steps = program.steps.iter().map(ToString::to_string).chain(["the end\n".to_owned()]);
        for (step, lines) in steps.zip(&transcript.steps) {
            print!("{step}");
            lines.iter().for_each(|line| println!("        {line}"));
        }
        if let Some(failure) = transcript.failure {
            println!("failed: {failure}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let Some(divergence) = campaign.run_alone(profile, &program)? else {
        println!("they agree");
        return Ok(ExitCode::SUCCESS);
    };
    println!("{divergence}");
    if arguments.shrink
        && let Some((small, divergence)) =
            campaign.shrink_program(profile, &program, &divergence)?
    {
        println!("{small}\n{divergence}");
    }
    Ok(ExitCode::FAILURE)
}

/// How many programs pass between two lines of progress.
const PROGRESS_EVERY: usize = 50;

fn run_campaign(campaign: &Campaign) -> Result<ExitCode> {
    let report = campaign.run(|report| {
        if report.programs.is_multiple_of(PROGRESS_EVERY) {
            println!(
                "{} programs, {} requests, {:.0}/s",
                report.programs,
                report.requests,
                rate(report)
            );
        }
    })?;
    println!("{}", report.coverage);
    println!(
        "{} requests in {} programs, {:.0}/s",
        report.requests,
        report.programs,
        rate(&report)
    );
    if let Some(failure) = &report.failure {
        println!("{failure}");
        return Ok(ExitCode::FAILURE);
    }
    let missing = report.coverage.missing(campaign.dialect());
    if !missing.is_empty() {
        println!("they agree, but the programs did not reach: {}", missing.join(", "));
        return Ok(ExitCode::FAILURE);
    }
    println!("they agree");
    Ok(ExitCode::SUCCESS)
}

fn rate(report: &Report) -> f64 {
    report.requests as f64 / report.elapsed.as_secs_f64().max(0.001)
}
