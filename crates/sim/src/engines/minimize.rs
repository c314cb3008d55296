//! Makes a failing run smaller: as few strikes as violate the same rule.
//!
//! Source: Zeller, Hildebrandt, "Simplifying and isolating failure-inducing input", 2002 (ddmin).

use crate::engines::campaign::run;
use crate::engines::report::Report;
use crate::engines::subject::Subject;

/// Which of these strikes are enough, or `None` if the run does not fail.
pub(crate) fn minimize<S: Subject>(
    seed: u64,
    mut strikes: Vec<usize>,
    failing: &Report,
) -> Option<Vec<usize>> {
    let rule = failing.violation.as_ref()?.1.rule;
    let fails = |strikes: &[usize]| {
        let report = run::<S>(seed, Some(strikes), 0);
        report.violation.is_some_and(|(_, violation)| violation.rule == rule)
    };
    let mut chunk = strikes.len().div_ceil(2).max(1);
    let mut runs = 0;
    while !strikes.is_empty() && runs < RUNS_MAX {
        let mut at = 0;
        let before = strikes.len();
        while at < strikes.len() && runs < RUNS_MAX {
            let mut fewer = strikes.clone();
            fewer.drain(at..(at + chunk).min(strikes.len()));
            runs += 1;
            if fails(&fewer) {
                strikes = fewer;
            } else {
                at += chunk;
            }
        }
        if chunk == 1 && strikes.len() == before {
            break;
        }
        chunk = (chunk / 2).max(1);
    }
    Some(strikes)
}

/// The most runs that are spent on it.
const RUNS_MAX: u32 = 400;
