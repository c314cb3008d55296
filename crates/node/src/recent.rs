//! The last entries of a history, as a leader keeps them for those who missed a few.

use base::Zxid;
use broadcast::Item;
use std::collections::VecDeque;

/// How many of the last entries are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecentLimits {
    /// How many at most (`zookeeper.commitLogCount`).
    pub entries: usize,
    /// How many bytes they may be.
    pub bytes: usize,
}

impl RecentLimits {
    /// None: a standalone server has nobody to tell.
    pub const NONE: RecentLimits = RecentLimits { entries: 0, bytes: 0 };
}

/// The last entries, later ones in place of earlier ones. Invariants: their places rise, and none
/// between the first and the last is missing.
#[derive(Debug)]
pub(crate) struct Recent {
    limits: RecentLimits,
    entries: VecDeque<(Zxid, Item)>,
    bytes: usize,
}

impl Recent {
    pub(crate) fn new(limits: RecentLimits) -> Recent {
        Recent { limits, entries: VecDeque::new(), bytes: 0 }
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    /// Takes the next entry. The caller has refused gaps; one that was logged again counts once.
    pub(crate) fn push(&mut self, at: Zxid, payload: &[u8]) {
        let is_old = self.entries.back().is_some_and(|(last, _)| at <= *last);
        if self.limits.entries == 0 || is_old {
            return;
        }
        self.entries.push_back((at, Item::copy_from_slice(payload)));
        self.bytes += payload.len();
        while self.entries.len() > self.limits.entries || self.bytes > self.limits.bytes {
            let Some((_, item)) = self.entries.pop_front() else { break };
            self.bytes -= item.len();
        }
    }

    pub(crate) fn into_entries(self) -> Vec<(Zxid, Item)> {
        self.entries.into()
    }
}

#[cfg(test)]
mod tests {
    use super::{Recent, RecentLimits};
    use base::Zxid;

    fn kept(limits: RecentLimits, entries: &[(i64, usize)]) -> Vec<i64> {
        let mut recent = Recent::new(limits);
        entries.iter().for_each(|(at, size)| recent.push(Zxid(*at), &vec![0; *size]));
        recent.into_entries().into_iter().map(|(at, _)| at.0).collect()
    }

    #[test]
    fn the_last_entries_are_kept_by_number_and_by_size() {
        let entries = [(1, 10), (2, 10), (2, 10), (3, 10), (1, 10), (4, 10)];
        assert_eq!(kept(RecentLimits { entries: 3, bytes: 100 }, &entries), [2, 3, 4]);
        assert_eq!(kept(RecentLimits { entries: 9, bytes: 25 }, &entries), [3, 4]);
        assert_eq!(kept(RecentLimits { entries: 9, bytes: 9 }, &entries), [0; 0]);
        assert_eq!(kept(RecentLimits::NONE, &entries), [0; 0]);
    }
}
