//! CPU and instructions for each committed entry, ours beside others'.
//!
//! `cargo bench [-- [--entries N] [--rounds N] [--instructions] [FILTER ...]]`. All candidates take
//! turns, so that a busy machine is as busy for each; of the rounds the median counts. CPU is the
//! thread's own: everything happens in one. `--instructions` runs each row under callgrind, too.

use anyhow::{Context, Result, bail};
use quorate_benches::{CANDIDATES, Candidate, Ensemble, Load, measured};
use rustix::time::{ClockId, clock_gettime};
use std::process::Command;

/// Sizes of an item in bytes, and how many are under way.
const SIZES: [usize; 2] = [16, 128];
const WINDOWS: [usize; 3] = [1, 16, 256];
/// Items before those that count: all that a log keeps, and some more.
const WARM_UP: usize = 10_240;

struct Arguments {
    entries: usize,
    rounds: usize,
    instructions: bool,
    filters: Vec<String>,
}

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let mut arguments =
        Arguments { entries: 20_000, rounds: 7, instructions: false, filters: Vec::new() };
    while let Some(word) = words.next() {
        let mut number = || -> Result<usize> {
            Ok(words.next().with_context(|| format!("{word} wants a number"))?.parse()?)
        };
        match &*word {
            "--bench" => {} // cargo says so
            "--entries" => arguments.entries = number()?,
            "--rounds" => arguments.rounds = number()?.max(1),
            "--instructions" => arguments.instructions = true,
            "--one" => return one(&words.collect::<Vec<_>>()),
            flag if flag.starts_with('-') => bail!("unknown flag {flag}"),
            filter => arguments.filters.push(filter.to_owned()),
        }
    }
    compare(&arguments)
}

/// Runs one row, once, for a counter to look at.
fn one(words: &[String]) -> Result<()> {
    let [name, size, window, entries] = words else { bail!("--one NAME SIZE WINDOW ENTRIES") };
    let candidate = CANDIDATES.iter().find(|candidate| candidate.name == name);
    let candidate = candidate.with_context(|| format!("no such candidate: {name}"))?;
    let load = Load::new(entries.parse()?, size.parse()?, window.parse()?);
    run(candidate, &load, |ensemble, load| measured(ensemble, load));
    Ok(())
}

/// Runs the load once logs are as long as they become; gives what `measure` does of it.
fn run<T>(
    candidate: &Candidate,
    load: &Load,
    measure: impl FnOnce(&mut dyn Ensemble, &Load) -> T,
) -> T {
    let mut ensemble = (candidate.start)();
    ensemble.run(&Load::new(WARM_UP, 16, 256));
    let before = ensemble.applied()[0].items;
    let measured = measure(&mut *ensemble, load);
    let applied = ensemble.applied();
    assert!(applied.iter().all(|member| *member == applied[0]), "all have applied the same");
    assert_eq!(applied[0].items - before, load.items.len() as u64, "and all of it");
    measured
}

/// CPU for each entry, in ns.
fn time(ensemble: &mut dyn Ensemble, load: &Load) -> f64 {
    let start = clock_gettime(ClockId::ThreadCPUTime);
    measured(ensemble, load);
    let end = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = (end.tv_sec - start.tv_sec) as f64;
    let nanoseconds = (end.tv_nsec - start.tv_nsec) as f64;
    (seconds * 1e9 + nanoseconds) / load.items.len() as f64
}

fn compare(arguments: &Arguments) -> Result<()> {
    println!("{:<10}{:<14}{:>10}{:>8}", "entry", "", "ns CPU", "ratio");
    for size in SIZES {
        for window in WINDOWS {
            let load = Load::new(arguments.entries, size, window);
            let is_wanted = |candidate: &&Candidate| {
                let row = format!("{} {size}x{window}", candidate.name);
                arguments.filters.iter().all(|filter| row.contains(&**filter))
            };
            let candidates: Vec<_> = CANDIDATES.iter().filter(is_wanted).collect();
            let mut times = vec![Vec::new(); candidates.len()];
            for _ in 0..arguments.rounds {
                for (candidate, times) in candidates.iter().zip(&mut times) {
                    times.push(run(candidate, &load, time));
                }
            }
            let mut first = None;
            for (candidate, times) in candidates.iter().zip(&mut times) {
                times.sort_by(f64::total_cmp);
                let time = times[times.len() / 2];
                let ratio = *first.get_or_insert(time) / time;
                let mut line = format!(
                    "{:<10}{:<14}{time:>10.0}{ratio:>8.2}",
                    row(size, window),
                    candidate.name
                );
                if arguments.instructions {
                    let count = instructions(candidate, &load)?;
                    line += &format!("{count:>12.0} instructions");
                }
                println!("{line}");
            }
        }
    }
    Ok(())
}

fn row(size: usize, window: usize) -> String {
    format!("{size}x{window}")
}

/// Instructions for each entry, by callgrind.
fn instructions(candidate: &Candidate, load: &Load) -> Result<f64> {
    const ENTRIES: usize = 2560;
    let file = std::env::temp_dir().join(format!("quorate-benches-{}", std::process::id()));
    let size = load.items.first().map_or(8, |item| item.len());
    let output = Command::new("valgrind")
        .args(["--quiet", "--tool=callgrind", "--collect-atstart=no"])
        .arg("--toggle-collect=quorate_benches::measured*")
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(std::env::current_exe()?)
        .args(["--one", candidate.name])
        .args([size, load.window, ENTRIES].map(|number| number.to_string()))
        .output()
        .context("valgrind is needed")?;
    if !output.status.success() {
        bail!("valgrind failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = std::fs::read_to_string(&file)?;
    std::fs::remove_file(&file)?;
    let total = text.lines().rev().find_map(|line| line.strip_prefix("totals:"));
    let total: f64 = total.context("no totals")?.trim().parse()?;
    Ok(total / ENTRIES as f64)
}
