//! What a worker counted in one interval, and how it tells.

use crate::histogram::Histogram;
use std::collections::BTreeMap;

/// Counts of one interval.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Latencies of successful requests, by slot.
    pub(crate) slots: Vec<Histogram>,
    /// Failed requests by error code.
    pub(crate) errors: BTreeMap<i32, u64>,
    /// Connections lost.
    pub(crate) lost: u64,
}

impl Tally {
    pub(crate) fn new(slots: usize) -> Tally {
        Tally { slots: vec![Histogram::default(); slots], ..Tally::default() }
    }

    pub(crate) fn failed(&mut self, code: i32, count: u64) {
        if count > 0 {
            *self.errors.entry(code).or_default() += count;
        }
    }

    pub(crate) fn merge(&mut self, other: &Tally) {
        for (mine, theirs) in self.slots.iter_mut().zip(&other.slots) {
            mine.merge(theirs);
        }
        for (code, count) in &other.errors {
            self.failed(*code, *count);
        }
        self.lost += other.lost;
    }

    /// Errors of all codes.
    pub(crate) fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }
}

/// When counting begins and ends, in ns on the shared clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) from: u64,
    pub(crate) until: u64,
    /// Length of an interval.
    pub(crate) interval: u64,
}

/// What a worker tells.
#[derive(Debug)]
pub(crate) enum News {
    /// Its sessions are open.
    Ready,
    /// An interval is over: its number, or `None` for the warm-up.
    Interval { number: Option<usize>, tally: Tally },
    /// Its load is over, at that time; sessions are still open.
    Ended { at: u64, last_error: Option<String> },
    /// It cannot go on.
    Failed(anyhow::Error),
}
