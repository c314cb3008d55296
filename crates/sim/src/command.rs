//! The command line: many seeds of what is asked for, or one with its trace.

use crate::campaign::Campaign;
use crate::engines::{self, RaftSubject, Subject, ZabSubject};
use crate::exploring::Given;
use crate::options::Options;
use crate::report::Report;
use crate::strikes;
use crate::{
    members, members_damaged, members_over_raft, minimize, options, run, run_keeping, run_tracing,
};
use clap::{Args, ValueEnum};
use std::io::{BufWriter, Write};
use std::process::ExitCode;

/// Run seeds of a simulated world, replay one, make it smaller, write a trace.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Exit code 1 if a seed violated an invariant, 2 for a wrong command line.")]
pub struct Arguments {
    /// What is simulated
    what: Option<What>,
    /// How many seeds
    #[arg(long, value_name = "N", default_value_t = 1000)]
    seeds: u64,
    /// The first of them
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    from: u64,
    /// This seed alone, without a trace
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Run this seed and show what happens
    #[arg(long, value_name = "SEED")]
    replay: Option<u64>,
    /// Of a replay that fails: look for the fewest faults that it needs
    #[arg(long)]
    minimize: bool,
    /// Of a replay: only these of the seed's faults, by their numbers, or `none`
    #[arg(long, value_name = "LIST", value_parser = indices)]
    strikes: Option<Indices>,
    /// Of a replay: write all that happens to a file, or to the terminal
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    trace: Option<String>,
    /// Of a replay: show the last lines of what happened
    #[arg(long, value_name = "N", default_value_t = 0)]
    lines: usize,
    /// Seeds at a time; as many as there are processors by default
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Begin no more seeds after so many failures
    #[arg(long, value_name = "N", default_value_t = 5)]
    failures: usize,
    /// Which engine
    #[arg(long, default_value = "zab", value_parser = ["zab", "raft"])]
    engine: String,
    /// Of members over ZAB: disks are lost and damaged as well, while a quorum keeps its own. About
    /// half of the seeds end early, in a start that is refused because of the damage
    #[arg(long)]
    damage: bool,
    /// Do not say what was reached
    #[arg(long)]
    quiet: bool,
    #[command(flatten)]
    exploration: Given,
}

/// What is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Whole members of ensembles, and clients
    Members,
    /// Engines alone, without service and tree
    Engines,
    /// A server alone, and clients
    Standalone,
    /// Engines alone, in every order of what happens: no seeds
    Explore,
}

#[derive(Clone, Debug)]
struct Indices(Vec<usize>);

fn indices(text: &str) -> Result<Indices, String> {
    if text == "none" {
        return Ok(Indices(Vec::new()));
    }
    let index = |word: &str| word.parse().map_err(|_| format!("{word:?} is no fault's number"));
    text.split(',').map(index).collect::<Result<_, _>>().map(Indices)
}

impl Arguments {
    /// Does what is asked; `usually` is what is simulated if nothing is said of that.
    #[must_use]
    pub fn run(&self, usually: What) -> ExitCode {
        let what = self.what.unwrap_or(usually);
        let went_well = match (what, self.replay) {
            (What::Explore, _) if self.engine == RaftSubject::NAME => self.exploration.raft(),
            (What::Explore, _) => self.exploration.zab(),
            (What::Engines, _) if self.engine == RaftSubject::NAME => self.engines::<RaftSubject>(),
            (What::Engines, _) => self.engines::<ZabSubject>(),
            (What::Members | What::Standalone, Some(seed)) => match self.replay(what, seed) {
                Ok(went_well) => went_well,
                Err(error) => {
                    eprintln!("sim: {error}");
                    return ExitCode::from(2);
                }
            },
            (What::Members | What::Standalone, None) => self.many(what),
        };
        if went_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn draw(&self, what: What, seed: u64) -> Options {
        match what {
            What::Standalone => options(seed),
            _ if self.engine == RaftSubject::NAME => members_over_raft(seed),
            _ if self.damage => members_damaged(seed),
            What::Members | What::Engines | What::Explore => members(seed),
        }
    }

    fn campaign(&self, twice: u64) -> Campaign {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Campaign {
            from: self.seed.unwrap_or(self.from),
            seeds: if self.seed.is_some() { 1 } else { self.seeds },
            threads: self.threads.unwrap_or(threads),
            twice,
            failures_max: self.failures,
        }
    }

    fn engines<S: Subject>(&self) -> bool {
        match self.replay {
            Some(seed) => self.replay_engines::<S>(seed),
            None => self.many_engines::<S>(),
        }
    }

    fn replay_engines<S: Subject>(&self, seed: u64) -> bool {
        let strikes = self.strikes.as_ref().map(|Indices(strikes)| &**strikes);
        let (text, well) = engines::replay::<S>(seed, strikes, self.lines, self.minimize);
        println!("{text}");
        well
    }

    fn many_engines<S: Subject>(&self) -> bool {
        let campaign = self.campaign(100);
        let (counts, failed) = campaign.run(engines::run_seed::<S>);
        println!("{counts}");
        for report in &failed {
            if let Some((at, violation)) = &report.violation {
                let (seed, ms) = (report.seed, at.as_millis());
                println!("seed {seed}: VIOLATED at {ms} ms: {violation}");
                let name = S::NAME;
                println!(
                    "  replay: sim engines --engine {name} --replay {seed} --lines 200 --minimize"
                );
            }
        }
        println!("{} failed", failed.len());
        failed.is_empty()
    }

    fn many(&self, what: What) -> bool {
        let campaign = self.campaign(50);
        let (sum, failed) = campaign.run(|seed| run(seed, self.draw(what, seed)));
        for report in &failed {
            println!("{report}");
        }
        if !self.quiet {
            println!("{sum}");
        }
        println!(
            "{} seeds, {} failed, {} ended in a refused start",
            sum.runs,
            failed.len(),
            sum.refused_starts
        );
        failed.is_empty()
    }

    fn replay(&self, what: What, seed: u64) -> Result<bool, String> {
        let mut options = self.draw(what, seed);
        if let Some(Indices(kept)) = &self.strikes {
            options = options.with_strikes(kept);
        }
        println!("seed {seed}: {options}");
        let report = match self.trace.as_deref() {
            None => run_keeping(seed, options.clone(), self.lines),
            Some(path) => run_tracing(seed, options.clone(), trace_to(path)?),
        };
        report.lines.iter().for_each(|line| println!("{line}"));
        println!("{}\n{report}", report.reached);
        let failed = report.violation().is_some();
        if failed && self.minimize {
            self.smaller(what, report);
        }
        Ok(!failed)
    }

    fn smaller(&self, what: What, failing: Report) {
        let Report { seed, ref options, .. } = failing;
        if what == What::Standalone {
            let Some(smallest) = minimize(seed, options.clone()) else { return };
            println!("smallest: {smallest}");
            let again = run_keeping(seed, smallest.options, self.lines.max(200));
            again.lines.iter().for_each(|line| println!("{line}"));
            return;
        }
        let rule = failing.violation().map(|violation| violation.rule);
        let numbers = match &self.strikes {
            Some(Indices(kept)) => kept.clone(),
            None => (0..options.ensemble.as_ref().map_or(0, |e| e.strikes.len())).collect(),
        };
        let all = self.draw(what, seed);
        let fails = |kept: &[usize]| {
            let report = run(seed, all.with_strikes(kept));
            report.violation().map(|violation| violation.rule) == rule
        };
        let kept = strikes::minimize(numbers, fails);
        let smallest = all.with_strikes(&kept);
        for (number, strike) in kept.iter().zip(smallest.strikes()) {
            println!("strike {number} at {} ms: {:?}", strike.at.as_millis(), strike.fault);
        }
        let report = run_keeping(seed, smallest, self.lines);
        report.lines.iter().for_each(|line| println!("{line}"));
        let words: Vec<String> = kept.iter().map(usize::to_string).collect();
        let list = if words.is_empty() { "none".to_owned() } else { words.join(",") };
        println!("{report}\n  smallest: sim members --replay {seed} --strikes {list} --trace");
    }
}

#[allow(clippy::disallowed_types)] // nothing that is simulated writes there
fn trace_to(path: &str) -> Result<Box<dyn Write>, String> {
    if path == "-" {
        return Ok(Box::new(std::io::stdout()));
    }
    let file =
        std::fs::File::create(path).map_err(|error| format!("cannot write to {path}: {error}"))?;
    Ok(Box::new(BufWriter::new(file)))
}
