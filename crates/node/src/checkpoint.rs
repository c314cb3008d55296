//! When a snapshot is due: after so many transactions, or so many bytes of log, each with a
//! random part so that the servers of an ensemble do not take theirs together. One that is due
//! while another is written, or so soon after it that snapshots would take more than a fifth of the
//! time, is skipped.

use base::{Rng, Time};

/// The limits between two snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointConfig {
    /// Transactions (`snapCount`); at least 2.
    pub txns: u64,
    /// Bytes of log (`snapSizeLimitInKb`); `None` is no limit.
    pub log_bytes: Option<u64>,
}

/// Counts towards the next snapshot.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    config: CheckpointConfig,
    rng: Rng,
    txns: u64,
    bytes: u64,
    txns_due: u64,
    bytes_due: Option<u64>,
}

impl Checkpoint {
    pub(crate) fn new(config: CheckpointConfig, rng: Rng) -> Checkpoint {
        let mut checkpoint =
            Checkpoint { config, rng, txns: 0, bytes: 0, txns_due: 0, bytes_due: None };
        checkpoint.draw();
        checkpoint
    }

    /// Counts one record; says whether a snapshot is due with it.
    pub(crate) fn logged(&mut self, record_bytes: u64) -> bool {
        self.txns += 1;
        self.bytes += record_bytes;
        let due = self.txns > self.txns_due || self.bytes_due.is_some_and(|due| self.bytes > due);
        if due {
            self.txns = 0;
            self.bytes = 0;
            self.draw();
        }
        due
    }

    fn draw(&mut self) {
        self.txns_due = self.half_to_all(self.config.txns.max(2));
        self.bytes_due = self.config.log_bytes.map(|limit| self.half_to_all(limit));
    }

    fn half_to_all(&mut self, limit: u64) -> u64 {
        limit / 2 + self.rng.between(0, limit / 2)
    }
}

/// Whether a snapshot that is due may be taken.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    /// When the one under way began.
    began: Option<Time>,
    not_before: Time,
}

impl Snapshots {
    /// Begins one, unless it is skipped.
    pub(crate) fn begin(&mut self, now: Time) -> bool {
        let may_begin = self.began.is_none() && now >= self.not_before;
        if may_begin {
            self.began = Some(now);
        }
        may_begin
    }

    /// Begins one that cannot be skipped, unless one is under way.
    pub(crate) fn begin_at_once(&mut self, now: Time) -> bool {
        let may_begin = self.began.is_none();
        if may_begin {
            self.began = Some(now);
        }
        may_begin
    }

    /// The one under way has ended, well or not.
    pub(crate) fn end(&mut self, now: Time) {
        if let Some(began) = self.began.take() {
            self.not_before = now + REST * now.since(began);
        }
    }
}

/// After a snapshot there is none for so many times as long as it took.
const REST: u32 = 4;

#[cfg(test)]
mod tests {
    use super::{Checkpoint, CheckpointConfig, REST, Snapshots};
    use base::{Rng, Time};
    use std::time::Duration;

    #[test]
    fn snapshots_take_a_bounded_part_of_the_time() {
        let at = |ms: u64| Time::ZERO + Duration::from_millis(ms);
        let mut snapshots = Snapshots::default();
        assert!(snapshots.begin(at(100)));
        assert!(!snapshots.begin(at(150)), "one at a time");
        snapshots.end(at(200));
        let rest = 100 * u64::from(REST);
        assert!(!snapshots.begin(at(200 + rest - 1)), "too soon");
        assert!(snapshots.begin(at(200 + rest)));
    }

    #[test]
    fn a_snapshot_is_due_after_half_to_all_of_the_limit() {
        let config = CheckpointConfig { txns: 100, log_bytes: None };
        let mut checkpoint = Checkpoint::new(config, Rng::new(3));
        let mut since = 0;
        let mut gaps = Vec::new();
        for _ in 0..10_000 {
            since += 1;
            if checkpoint.logged(10) {
                gaps.push(since);
                since = 0;
            }
        }
        assert!(gaps.iter().all(|gap| (51..=101).contains(gap)), "{gaps:?}");
        assert!(gaps.iter().any(|gap| *gap != gaps[0]));
    }

    #[test]
    fn bytes_count_too() {
        let config = CheckpointConfig { txns: 1_000_000, log_bytes: Some(1000) };
        let mut checkpoint = Checkpoint::new(config, Rng::new(3));
        assert!((0..=10).any(|_| checkpoint.logged(100)));
    }
}
