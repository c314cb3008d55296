//! What the driver tells those who must not wait for it: it may be waiting for the disk.

use crate::counters::Counters;
use crate::standing::Standing;
use crate::sync::lock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The driver writes it, everybody reads it.
#[derive(Debug, Default)]
pub(crate) struct Published {
    counters: Mutex<Counters>,
    /// How long a commit takes lately, in nanoseconds.
    commit: AtomicU64,
    /// The member's place in its ensemble; `None` on a server alone.
    standing: Mutex<Option<Arc<Standing>>>,
}

impl Published {
    /// Counts, or looks at what was counted.
    pub(crate) fn counters<R>(&self, act: impl FnOnce(&mut Counters) -> R) -> R {
        act(&mut lock(&self.counters))
    }

    /// The member has another place. Only the driver says so.
    pub(crate) fn stands(&self, standing: Standing) {
        *lock(&self.standing) = Some(Arc::new(standing));
    }

    /// The member serves nobody any more, whatever else changes with that. Only the driver says so.
    pub(crate) fn serves_nobody(&self) {
        let mut standing = lock(&self.standing);
        if let Some(before) = standing.take() {
            *standing = Some(Arc::new(before.without_service()));
        }
    }

    /// The member's place in its ensemble; `None` on a server alone.
    pub(crate) fn standing(&self) -> Option<Arc<Standing>> {
        lock(&self.standing).clone()
    }

    /// A commit took so long. Only the driver says so.
    pub(crate) fn commit_took(&self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let before = self.commit.load(Ordering::Relaxed);
        // Up at once, down slowly: one fast commit says little of a slow disk.
        let average = if took > before { took } else { before - (before - took) / SMOOTHING };
        self.commit.store(average, Ordering::Relaxed);
    }

    /// How long a commit takes lately.
    pub(crate) fn commit(&self) -> Duration {
        Duration::from_nanos(self.commit.load(Ordering::Relaxed))
    }
}

/// A faster commit takes off this part of the difference.
const SMOOTHING: u64 = 16;

#[cfg(test)]
mod tests {
    use super::Published;
    use std::time::Duration;

    #[test]
    fn a_slow_commit_counts_at_once_and_is_forgotten_after_many_fast_ones() {
        let published = Published::default();
        let [fast, slow] = [Duration::from_micros(10), Duration::from_millis(20)];
        published.commit_took(fast);
        assert_eq!(published.commit(), fast);
        published.commit_took(slow);
        assert_eq!(published.commit(), slow);
        published.commit_took(fast);
        assert!(published.commit() > slow / 2);
        (0..300).for_each(|_| published.commit_took(fast));
        assert!(published.commit() < 2 * fast);
    }
}
