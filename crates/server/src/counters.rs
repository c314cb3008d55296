//! What the server counts, one block per thread, merged for those who ask.

use keeper::{Latency, Stats};
use metrics::{Distribution, Metrics, Traffic};
use std::time::Duration;

/// One block.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) traffic: Traffic,
    pub(crate) metrics: Metrics,
}

impl Counters {
    /// Takes all of another.
    pub(crate) fn merge(&mut self, other: &Counters) {
        self.traffic.merge(&other.traffic);
        self.metrics.merge(&other.metrics);
    }

    /// Counts what a connection did between two looks at it.
    pub(crate) fn connection_did(&mut self, before: &Stats, after: &Stats) {
        let traffic = &mut self.traffic;
        traffic.packets_received += after.received.saturating_sub(before.received);
        traffic.packets_sent += after.sent.saturating_sub(before.sent);
        let distributions = &mut self.metrics.distributions;
        for (before, after, distribution) in [
            (&before.reads, &after.reads, &mut distributions.readlatency),
            (&before.writes, &after.writes, &mut distributions.updatelatency),
        ] {
            latency_did(traffic, before, after, distribution);
        }
    }
}

/// Reads of one look are served at one time, and a look is taken around each answered write: so
/// their mean is what each of them took, but for reads of different age behind one write.
fn latency_did(
    traffic: &mut Traffic,
    before: &Latency,
    after: &Latency,
    distribution: &mut Distribution,
) {
    let count = after.count.saturating_sub(before.count);
    if count == 0 {
        return;
    }
    let sum = after.sum.saturating_sub(before.sum);
    let each = millis(sum / u32::try_from(count).unwrap_or(u32::MAX));
    for _ in 0..count {
        traffic.latency.record(each);
        distribution.record(each);
    }
}

/// Whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
