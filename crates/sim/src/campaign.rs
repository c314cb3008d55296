//! Many seeds, on several threads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What a seed's run has come to.
pub trait Ran: Send {
    /// What many reached together.
    type Sum: Default + Send;
    /// Which seed.
    fn seed(&self) -> u64;
    /// The hash of all that went in and out.
    fn hash(&self) -> u64;
    /// Whether something happened that must not.
    fn has_failed(&self) -> bool;
    /// Adds what it reached.
    fn add_to(&self, sum: &mut Self::Sum);
    /// The same, but two runs of the seed differ.
    #[must_use]
    fn differing(self) -> Self;
}

/// A campaign of more seeds than this is a long one, and tells how far it is after as many.
const PROGRESS: u64 = 5_000;

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
    ///
    /// Of a long campaign stderr tells how far it is, and each seed that fails when it does.
    #[must_use]
    pub fn run<R: Ran>(&self, run: impl Fn(u64) -> R + Sync) -> (R::Sum, Vec<R>) {
        let next = AtomicU64::new(self.from);
        let found = Mutex::new((R::Sum::default(), Vec::new(), 0_u64));
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= self.from + self.seeds {
                    break;
                }
                let mut report = run(seed);
                if seed.is_multiple_of(self.twice.max(1)) && run(seed).hash() != report.hash() {
                    report = report.differing();
                }
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                let (sum, failed, done) = &mut *found;
                report.add_to(sum);
                if report.has_failed() {
                    if self.seeds > PROGRESS {
                        eprintln!("sim: seed {seed} failed");
                    }
                    failed.push(report);
                }
                *done += 1;
                if done.is_multiple_of(PROGRESS) && *done < self.seeds {
                    eprintln!("sim: {done} of {} seeds, {} failed", self.seeds, failed.len());
                }
                if failed.len() >= self.failures_max {
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
        let (sum, mut failed, _) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        failed.sort_by_key(Ran::seed);
        (sum, failed)
    }
}
