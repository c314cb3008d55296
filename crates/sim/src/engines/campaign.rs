//! Many seeds, on several threads, and one seed with its trace.

use crate::engines::minimize::minimize;
use crate::engines::options::{Options, draw_groups, draw_setup};
use crate::engines::report::{Counts, Report};
use crate::engines::subject::Subject;
use crate::engines::world::World;
use base::Rng;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What to run.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The first seed.
    pub from: u64,
    /// How many.
    pub seeds: u64,
    /// How many at a time.
    pub threads: usize,
    /// One in so many is run twice.
    pub twice: u64,
    /// After so many failures no more are begun.
    pub failures_max: usize,
}

impl Campaign {
    /// Runs the seeds; gives what all of them reached, and the reports of those that failed.
    #[must_use]
    pub fn run<S: Subject>(&self) -> (Counts, Vec<Report>) {
        let next = AtomicU64::new(self.from);
        let sum = Mutex::new((Counts::default(), Vec::new()));
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= self.from + self.seeds {
                    break;
                }
                let report = run::<S>(seed, None, 0);
                let again = seed.is_multiple_of(self.twice.max(1)).then(|| run::<S>(seed, None, 0));
                let mut sum = sum.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                sum.0.add(&report.counts);
                if let Some(again) = again
                    && again.hash != report.hash
                {
                    sum.1.push(differs(&report));
                }
                if report.violation.is_some() {
                    sum.1.push(report);
                }
                if sum.1.len() >= self.failures_max {
                    next.store(self.from + self.seeds, Ordering::Relaxed);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.threads.max(1) {
                scope.spawn(work);
            }
            work();
        });
        let (counts, mut failed) =
            sum.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        failed.sort_by_key(|report| report.seed);
        (counts, failed)
    }
}

fn differs(report: &Report) -> Report {
    let violation = crate::engines::Violation {
        rule: "a seed is a run",
        evidence: "two runs of it differ".to_owned(),
    };
    Report { violation: Some((base::Time::ZERO, violation)), ..report.clone() }
}

/// What a seed says: the protocol's parameters and the world's, and the generator of the rest.
pub(crate) fn draw<S: Subject>(seed: u64) -> (S, Options, Rng) {
    let mut rng = Rng::new(seed);
    let mut setup = draw_setup(&mut rng, S::VOTERS_MIN);
    if S::GROUPS && rng.one_in(4) {
        setup.groups = draw_groups(&setup, &mut rng);
    }
    let subject = S::draw(&setup, &mut rng);
    let options = Options::draw(&mut rng, setup, subject.patience());
    (subject, options, rng)
}

/// Runs a seed, with these strikes of its own if not all, and keeps so many lines of a trace.
pub(crate) fn run<S: Subject>(seed: u64, strikes: Option<&[usize]>, lines: usize) -> Report {
    let (subject, mut options, rng) = draw::<S>(seed);
    if let Some(strikes) = strikes {
        options.strikes = strikes.iter().filter_map(|i| options.strikes.get(*i).copied()).collect();
    }
    let mut report = World::new(subject, options, rng, lines).run(seed);
    report.counts.slowest.1 = seed;
    report
}

/// Runs a seed with its trace, and makes it smaller if it fails and that is asked for. Gives the
/// text of what happened, and whether all was well.
#[must_use]
pub fn replay<S: Subject>(
    seed: u64,
    strikes: Option<&[usize]>,
    lines: usize,
    smaller: bool,
) -> (String, bool) {
    let (subject, options, _) = draw::<S>(seed);
    let mut text = format!("seed {seed}: {options}; {}\n", subject.describe());
    let mut report = run::<S>(seed, strikes, lines);
    let all: Vec<usize> = (0..options.strikes.len()).collect();
    let mut kept: Vec<usize> = strikes.map_or(all, <[usize]>::to_vec);
    if smaller && let Some(fewer) = minimize::<S>(seed, kept.clone(), &report) {
        kept = fewer;
        report = run::<S>(seed, Some(&kept), lines);
    }
    report.lines.iter().for_each(|line| {
        text += line;
        text.push('\n');
    });
    for index in &kept {
        if let Some(strike) = options.strikes.get(*index) {
            let at = strike.at.as_millis();
            text += &format!("strike {index} at {at} ms: {:?}\n", strike.fault);
        }
    }
    text += &report.counts.to_string();
    text += &match &report.violation {
        None => format!("\nseed {seed}: converged, hash {:016x}", report.hash),
        Some((at, violation)) => {
            let only: Vec<String> = kept.iter().map(usize::to_string).collect();
            format!(
                "\nseed {seed}: VIOLATED at {} ms: {violation}\nreplay: sim engines --engine {} \
                 --replay {seed} --strikes {} --lines 400",
                at.as_millis(),
                S::NAME,
                if only.is_empty() { "none".to_owned() } else { only.join(",") }
            )
        }
    };
    (text, report.violation.is_none())
}
