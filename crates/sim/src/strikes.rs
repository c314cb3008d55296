//! Faults at their times. Each has a seed of its own, so that a list of them can be shortened and
//! the others stay what they are.

use crate::chance::log_uniform;
use base::{Rng, Time};

/// One fault, at its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strike<F> {
    /// When.
    pub at: Time,
    /// What.
    pub fault: F,
    /// Of its details.
    pub seed: u64,
}

/// Each kind exists in half of the worlds, and each comes as often as all others, in units of
/// nanoseconds.
pub(crate) fn draw<F: Copy>(rng: &mut Rng, all: &[F], unit: u64, duration: u64) -> Vec<Strike<F>> {
    let faults: Vec<F> = all.iter().copied().filter(|_| rng.percent(50)).collect();
    let mut strikes = Vec::new();
    for fault in faults {
        let mean = log_uniform(rng, unit * 3 / 2, unit * 40);
        let mut at = rng.between(0, mean * 2);
        while at < duration {
            strikes.push(Strike { at: Time(at), fault, seed: rng.next_u64() });
            at += rng.between(1, mean * 2);
        }
    }
    strikes.sort_by_key(|strike| strike.at);
    strikes
}

/// Makes a failing run smaller: as few strikes as fail in the same way. `fails` runs some of them,
/// by their numbers.
///
/// Source: Zeller, Hildebrandt, "Simplifying and isolating failure-inducing input", 2002 (ddmin).
#[must_use]
pub fn minimize(mut strikes: Vec<usize>, mut fails: impl FnMut(&[usize]) -> bool) -> Vec<usize> {
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
    strikes
}

/// The most runs that are spent on it.
const RUNS_MAX: u32 = 400;
