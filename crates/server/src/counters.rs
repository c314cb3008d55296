//! What the server counts, one block per thread, merged for those who ask.

use keeper::{Latency, Tally};
use metrics::{Distributions, Metrics, Sizes, Traffic};
use std::time::Duration;

/// One block.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) traffic: Traffic,
    pub(crate) metrics: Metrics,
    pub(crate) auth_failures: u64,
    /// Bytes of what was proposed as leader.
    pub(crate) proposal_sizes: Sizes,
}

impl Counters {
    /// Takes all of another.
    pub(crate) fn merge(&mut self, other: &Counters) {
        self.traffic.merge(&other.traffic);
        self.metrics.merge(&other.metrics);
        self.auth_failures += other.auth_failures;
        self.proposal_sizes.merge(&other.proposal_sizes);
    }

    /// Counts what a connection did between two looks at it.
    pub(crate) fn connection_did(&mut self, tally: &Tally) {
        let Counters { traffic, metrics, auth_failures, .. } = self;
        *auth_failures += tally.auth_failures;
        traffic.packets_received += tally.received;
        traffic.packets_sent += tally.sent;
        traffic.response_sizes.merge(&tally.response_sizes);
        metrics.counters.watch_bytes += tally.event_bytes;
        let Distributions { readlatency, updatelatency, .. } = &mut metrics.distributions;
        traffic.latency.record_many(0, tally.reads_at_once);
        readlatency.record_many(0, tally.reads_at_once);
        for (latency, distribution) in
            [(&tally.reads_waited, readlatency), (&tally.writes, updatelatency)]
        {
            if latency.count == 0 {
                continue; // as most are, most of the time
            }
            for (each, times) in spread(latency) {
                traffic.latency.record_many(each, times);
                distribution.record_many(each, times);
            }
        }
    }
}

/// The measured durations in milliseconds, and how often each: the shortest, the longest, and the
/// mean of the others for all of them.
pub(crate) fn spread(latency: &Latency) -> [(u64, u64); 3] {
    let Latency { count, sum, min, max } = *latency;
    let others = count.saturating_sub(2);
    let mean = if others == 0 {
        0
    } else {
        millis(sum.saturating_sub(min + max) / u32::try_from(others).unwrap_or(u32::MAX))
    };
    [(millis(min), count.min(1)), (millis(max), u64::from(count > 1)), (mean, others)]
}

/// Whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Counters, spread};
    use keeper::{Latency, Tally};
    use std::time::Duration;

    fn latency(millis: &[u64]) -> Latency {
        let mut latency = Latency::default();
        millis.iter().for_each(|ms| latency.record(Duration::from_millis(*ms)));
        latency
    }

    #[test]
    fn a_spread_has_the_extremes_and_the_count() {
        let all = |ms: &[u64]| spread(&latency(ms));
        let times = |ms: &[u64]| all(ms).map(|(_, times)| times);
        assert_eq!(times(&[]), [0, 0, 0]);
        assert_eq!((times(&[7]), all(&[7])[0]), ([1, 0, 0], (7, 1)));
        assert_eq!(all(&[7, 3])[..2], [(3, 1), (7, 1)]);
        assert_eq!(times(&[7, 3]), [1, 1, 0]);
        assert_eq!(all(&[9, 1, 4, 6]), [(1, 1), (9, 1), (5, 2)]);
        assert_eq!(all(&[2; 100]), [(2, 1), (2, 1), (2, 98)]);
    }

    #[test]
    fn reads_that_did_not_wait_are_not_drowned_by_those_that_did() {
        let mut counters = Counters::default();
        let reads_waited = latency(&[40, 60, 50]);
        counters.connection_did(&Tally { reads_at_once: 7, reads_waited, ..Tally::default() });
        let reads = counters.metrics.distributions.readlatency;
        assert_eq!((reads.summary().count(), reads.summary().sum()), (10, 150));
        assert_eq!((reads.quantile(0.5), reads.summary().max()), (0, 60));
    }
}
