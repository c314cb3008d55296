//! When requests are due: the open loop's schedule.
//!
//! A schedule never bends to the server: request n is due at start + n / rate, also while all connections are
//! full. A late request keeps its due time, and its latency counts from there.

/// The schedule of a fixed rate. Times are in ns on the caller's clock.
#[derive(Clone, Debug)]
pub struct Schedule {
    start: u64,
    per_second: f64,
    taken: u64,
}

impl Schedule {
    /// The first request is due at `start`, then `per_second` a second.
    ///
    /// # Panics
    /// If the rate is not above 0.
    #[must_use]
    pub fn new(start: u64, per_second: f64) -> Schedule {
        assert!(per_second > 0.0, "a rate is positive");
        Schedule { start, per_second, taken: 0 }
    }

    /// When the next request is due.
    #[must_use]
    pub fn next_due(&self) -> u64 {
        self.start + (self.taken as f64 * NS_PER_S / self.per_second) as u64
    }

    /// Takes the next request if it is due; its due time.
    pub fn take(&mut self, now: u64) -> Option<u64> {
        let due = self.next_due();
        if due > now {
            return None;
        }
        self.taken += 1;
        Some(due)
    }
}

const NS_PER_S: f64 = 1e9;

#[cfg(test)]
mod tests {
    use super::Schedule;

    #[test]
    fn the_rate_holds_over_time_without_drift() {
        let mut schedule = Schedule::new(7, 30_000.0);
        let mut taken = 0;
        for now in (7..=7 + 2_000_000_000).step_by(1_000_000) {
            while schedule.take(now).is_some() {
                taken += 1;
            }
        }
        assert_eq!(taken, 60_001); // both ends of two seconds
    }

    #[test]
    fn a_late_request_keeps_its_time() {
        let mut schedule = Schedule::new(0, 1000.0);
        assert_eq!(schedule.take(0), Some(0));
        assert_eq!(schedule.take(999_999), None);
        // The server stalled for 5 ms: five requests are owed, each from when it was due.
        let owed: Vec<u64> = std::iter::from_fn(|| schedule.take(5_000_000)).collect();
        assert_eq!(owed, [1_000_000, 2_000_000, 3_000_000, 4_000_000, 5_000_000]);
        assert_eq!(schedule.next_due(), 6_000_000);
    }
}
