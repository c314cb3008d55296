//! What `srvr` and a third of `mntr`'s gauges are made of: packets, latency and reply sizes.

use crate::Summary;

/// Packets and latencies of a connection, a thread or a server, since the last reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests that came, four-letter words included.
    pub packets_received: u64,
    /// Replies and watch events that went out.
    pub packets_sent: u64,
    /// Milliseconds from a request's arrival to its reply.
    pub latency: Summary,
    /// Bytes of the replies' bodies.
    pub response_sizes: Sizes,
}

impl Traffic {
    /// Takes all that `other` counted; its reply is the last one.
    pub fn merge(&mut self, other: &Traffic) {
        self.packets_received += other.packets_received;
        self.packets_sent += other.packets_sent;
        self.latency.merge(&other.latency);
        self.response_sizes.merge(&other.response_sizes);
    }
}

/// The last, the least and the greatest of some sizes in bytes; -1 before the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// The last one.
    pub last: i64,
    /// The least.
    pub min: i64,
    /// The greatest.
    pub max: i64,
}

impl Default for Sizes {
    fn default() -> Self {
        Sizes { last: -1, min: -1, max: -1 }
    }
}

impl Sizes {
    /// Takes one size.
    #[inline]
    pub fn record(&mut self, size: usize) {
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        self.merge(&Sizes { last: size, min: size, max: size });
    }

    /// Takes the sizes of `other`, whose last is the last.
    pub fn merge(&mut self, other: &Sizes) {
        if other.last < 0 {
            return;
        }
        self.min = if self.last < 0 { other.min } else { self.min.min(other.min) };
        self.max = self.max.max(other.max);
        self.last = other.last;
    }
}

#[cfg(test)]
mod tests {
    use super::{Sizes, Traffic};

    #[test]
    fn sizes_start_below_zero() {
        let mut sizes = Sizes::default();
        assert_eq!((sizes.last, sizes.min, sizes.max), (-1, -1, -1));
        for size in [16, 98, 0, 20] {
            sizes.record(size);
        }
        sizes.merge(&Sizes::default());
        assert_eq!((sizes.last, sizes.min, sizes.max), (20, 0, 98));
    }

    #[test]
    fn traffic_adds_up() {
        let mut one = Traffic { packets_received: 2, packets_sent: 1, ..Traffic::default() };
        one.latency.record(4);
        let mut both = one;
        both.merge(&one);
        assert_eq!((both.packets_received, both.packets_sent), (4, 2));
        assert_eq!((both.latency.count(), both.latency.sum()), (2, 8));
    }
}
