//! Which server to try next, and how long to wait before.
//!
//! Hosts are shuffled once and tried in turn. A round that reached none is followed by a wait that
//! doubles from [`BACKOFF_MIN`] to the given maximum, with jitter, so that the clients of an
//! ensemble that comes back do not all come at once.

use crate::Host;
use base::Rng;
use std::time::Duration;

/// The first wait.
const BACKOFF_MIN: Duration = Duration::from_millis(50);

/// The list, and where in it we are.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    /// Shuffled; never empty.
    hosts: Vec<Host>,
    /// The one that was given out last.
    at: usize,
    /// How many failed in a row in this round.
    failed: usize,
    /// The next wait, before jitter.
    wait: Duration,
    rng: Rng,
}

impl Hosts {
    /// The hosts in the order that `seed` gives.
    pub(crate) fn new(mut hosts: Vec<Host>, seed: u64) -> Hosts {
        assert!(!hosts.is_empty(), "a client has a server to go to");
        let mut rng = Rng::new(seed);
        for i in (1..hosts.len()).rev() {
            hosts.swap(i, rng.below(i as u64 + 1) as usize);
        }
        let at = hosts.len() - 1;
        Hosts { hosts, at, failed: 0, wait: BACKOFF_MIN, rng }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.hosts.len()
    }

    /// The next to try.
    pub(crate) fn advance(&mut self) -> &Host {
        self.at = (self.at + 1) % self.hosts.len();
        &self.hosts[self.at]
    }

    /// The one after the current one, left where we are: for a probe, `step` places ahead.
    pub(crate) fn peek(&self, step: usize) -> &Host {
        &self.hosts[(self.at + step) % self.hosts.len()]
    }

    /// Makes `host` the next to try.
    pub(crate) fn prefer(&mut self, host: &Host) {
        if let Some(i) = self.hosts.iter().position(|h| h == host) {
            self.at = (i + self.hosts.len() - 1) % self.hosts.len();
        }
    }

    /// The current one was of no use: how long to wait before the next.
    pub(crate) fn note_failure(&mut self, wait_max: Duration) -> Duration {
        self.failed += 1;
        if self.failed < self.hosts.len() {
            return Duration::ZERO;
        }
        self.failed = 0;
        let wait = self.wait.min(wait_max);
        self.wait = (self.wait * 2).min(wait_max.max(BACKOFF_MIN));
        let nanos = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.rng.between(nanos / 2, nanos))
    }

    /// The current one served well.
    pub(crate) fn note_success(&mut self) {
        self.failed = 0;
        self.wait = BACKOFF_MIN;
    }
}

#[cfg(test)]
mod tests {
    use super::Hosts;
    use crate::Host;
    use std::time::Duration;

    fn hosts(n: u16, seed: u64) -> Hosts {
        let list = (0..n).map(|i| Host { name: "h".into(), port: i + 1 }).collect();
        Hosts::new(list, seed)
    }

    #[test]
    fn every_host_is_tried_before_any_wait_and_waits_grow_to_the_maximum() {
        let mut hosts = hosts(3, 1);
        let mut ports: Vec<u16> = (0..3).map(|_| hosts.advance().port).collect();
        ports.sort_unstable();
        assert_eq!(ports, [1, 2, 3]);
        let max = Duration::from_millis(300);
        let waits: Vec<Duration> = (0..30).map(|_| hosts.note_failure(max)).collect();
        assert!(waits.iter().enumerate().all(|(i, w)| (i % 3 == 2) != w.is_zero()), "{waits:?}");
        assert!(waits[2] <= Duration::from_millis(50) && waits[2] >= Duration::from_millis(25));
        assert!(waits[29] <= max && waits[29] >= max / 2);
        hosts.note_success();
        assert!(
            (0..3).map(|_| hosts.note_failure(max)).sum::<Duration>() <= Duration::from_millis(50)
        );
    }

    #[test]
    fn seeds_shuffle_differently_and_the_preferred_comes_next() {
        let order = |seed| {
            let mut hosts = hosts(8, seed);
            (0..8).map(|_| hosts.advance().port).collect::<Vec<_>>()
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        let mut hosts = hosts(5, 3);
        hosts.prefer(&Host { name: "h".into(), port: 4 });
        assert_eq!(hosts.peek(1).port, 4);
        assert_eq!(hosts.advance().port, 4);
    }
}
