//! When the member wants to be told that time has passed, as the timer's thread sees it.

use base::Time;
use std::sync::atomic::{AtomicU64, Ordering};

/// The member's deadline, for the timer.
#[derive(Debug)]
pub(crate) struct Deadline(AtomicU64);

impl Default for Deadline {
    fn default() -> Self {
        Deadline(AtomicU64::new(u64::MAX))
    }
}

impl Deadline {
    /// Sets it; says whether it is earlier than it was.
    pub(crate) fn set(&self, deadline: Option<Time>) -> bool {
        let nanos = deadline.map_or(u64::MAX, |time| time.0);
        nanos < self.0.swap(nanos, Ordering::SeqCst)
    }

    /// The deadline; `None` if the member waits for nothing.
    pub(crate) fn get(&self) -> Option<Time> {
        Some(Time(self.0.load(Ordering::SeqCst))).filter(|time| time.0 != u64::MAX)
    }
}
