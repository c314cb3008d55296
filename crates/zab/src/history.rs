//! A member's history: what its log holds, and how much of it is decided.
//!
//! Recent entries are kept in memory: decided ones for learners that come back, and those that are
//! not decided until they are. Across a change of role nothing is lost: an entry that was logged
//! and not decided is part of what this member votes with. Deviation: the reference applies such
//! entries to its tree before it votes, and loads the tree anew if they turn out to be void; here
//! they wait until a leader has a quorum for them.
//! Invariant: `entries` has no gap, ends with `last` (or before it, at the beginning of an epoch),
//! and begins with decided entries.

use base::{Lsn, Zxid};
use broadcast::{Context, Item, Output, Record};
use std::collections::VecDeque;

/// An entry of the log.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Entry {
    pub(crate) at: Zxid,
    pub(crate) item: Item,
    pub(crate) lsn: Lsn,
    context: Option<Context>,
}

/// The history.
#[derive(Clone, Debug, Hash)]
pub(crate) struct History {
    entries: VecDeque<Entry>,
    /// How many of them are delivered.
    delivered: usize,
    /// Bytes of those.
    delivered_bytes: usize,
    /// The last place that is delivered, or the beginning of an epoch behind it.
    committed: Zxid,
    last: Zxid,
    /// The place before `entries`: the entry there, or the beginning of their epoch.
    before: Zxid,
    lsn: Lsn,
    durable: Lsn,
    /// Entries that are not durable yet.
    unsynced: VecDeque<(Lsn, Zxid)>,
    /// The end of the history before those.
    synced: Zxid,
    entries_max: usize,
    bytes_max: usize,
}

/// Whether an entry may come right behind another: the next one, or the first of a later epoch.
/// Deviation: the reference only warns of most gaps, and logs them.
pub(crate) fn follows(last: Zxid, at: Zxid) -> bool {
    at == last.next() || (at.counter() == 1 && at.epoch() > last.epoch())
}

impl History {
    /// What was on the disk: all of it is applied.
    pub(crate) fn recover(
        last: Zxid,
        recent: Vec<(Zxid, Item)>,
        entries_max: usize,
        bytes_max: usize,
    ) -> History {
        let mut history = History {
            entries: VecDeque::new(),
            delivered: 0,
            delivered_bytes: 0,
            committed: last,
            last,
            before: last,
            lsn: Lsn::ZERO,
            durable: Lsn::ZERO,
            unsynced: VecDeque::new(),
            synced: last,
            entries_max,
            bytes_max,
        };
        history.remember(recent);
        history
    }

    /// Whether what is in memory ends where the history does, and what is decided of it where that
    /// does: I17. That it has no gap is seen as it grows.
    fn is_whole(&self) -> bool {
        let ends = |end: Zxid, entry: Zxid| end == entry || (end.counter() == 0 && end > entry);
        let decided = self.delivered.checked_sub(1).map(|last| self.entries[last].at);
        ends(self.last, self.last_entry()) && ends(self.committed, decided.unwrap_or(self.before))
    }

    /// Takes decided entries that the log holds.
    fn remember(&mut self, recent: Vec<(Zxid, Item)>) {
        if let Some((first, _)) = recent.first() {
            self.before = Zxid(first.0 - 1);
        }
        let mut end = self.before;
        for (at, item) in recent {
            debug_assert!(follows(end, at), "I17: {at} comes behind {end}");
            end = at;
            self.delivered_bytes += item.len();
            self.entries.push_back(Entry { at, item, lsn: Lsn::ZERO, context: None });
        }
        self.delivered = self.entries.len();
        self.trim();
        debug_assert!(self.is_whole(), "I17");
    }

    /// The end of the history.
    pub(crate) fn last(&self) -> Zxid {
        self.last
    }

    /// The last entry: where the last epoch begins is none.
    pub(crate) fn last_entry(&self) -> Zxid {
        self.entries.back().map_or(self.before, |entry| entry.at)
    }

    /// The end of what is decided.
    pub(crate) fn committed(&self) -> Zxid {
        self.committed
    }

    /// All entries that are in memory.
    pub(crate) fn entries(&self) -> &VecDeque<Entry> {
        &self.entries
    }

    /// The place before all entries that are in memory.
    pub(crate) fn before(&self) -> Zxid {
        self.before
    }

    /// The entries that are not decided.
    pub(crate) fn undecided(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.range(self.delivered..)
    }

    /// Appends an entry to the log.
    pub(crate) fn append(
        &mut self,
        at: Zxid,
        item: Item,
        context: Option<Context>,
        out: &mut Vec<Output>,
    ) {
        assert!(at > self.last, "{at} comes after {}", self.last);
        debug_assert!(follows(self.last, at), "I17: {at} comes behind {}", self.last);
        let lsn = self.persist(Record::Entry { at, item: item.clone() }, out);
        if self.unsynced.is_empty() {
            self.synced = self.last;
        }
        self.unsynced.push_back((lsn, at));
        self.entries.push_back(Entry { at, item, lsn, context });
        self.last = at;
    }

    /// Writes something that is no entry.
    pub(crate) fn persist(&mut self, record: Record, out: &mut Vec<Output>) -> Lsn {
        self.lsn = Lsn(self.lsn.0 + 1);
        out.push(Output::Persist { lsn: self.lsn, record });
        self.lsn
    }

    /// The last record.
    pub(crate) fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// Whether this record is durable.
    pub(crate) fn is_durable(&self, lsn: Lsn) -> bool {
        lsn <= self.durable
    }

    /// Takes what the journal reports; gives the entries that are durable now and were not before.
    pub(crate) fn durable(&mut self, upto: Lsn) -> Vec<Zxid> {
        self.durable = self.durable.max(upto);
        let count = self.unsynced.partition_point(|(lsn, _)| *lsn <= self.durable);
        let synced: Vec<Zxid> = self.unsynced.drain(..count).map(|(_, at)| at).collect();
        self.synced = synced.last().copied().unwrap_or(self.synced);
        self.trim();
        synced
    }

    /// The last entry that is durable here: everything that is not waiting to be is.
    pub(crate) fn synced(&self) -> Zxid {
        if self.unsynced.is_empty() { self.last } else { self.synced }
    }

    /// Decides everything up to this place, which the history holds, and delivers it.
    pub(crate) fn commit(&mut self, upto: Zxid, out: &mut Vec<Output>) {
        while let Some(entry) = self.entries.get_mut(self.delivered).filter(|e| e.at <= upto) {
            let Entry { at, item, lsn, context } = entry.clone();
            entry.context = None;
            self.delivered += 1;
            self.delivered_bytes += item.len();
            out.push(Output::Deliver { at, context, item, after: lsn });
        }
        self.committed = self.committed.max(upto);
        self.trim();
        debug_assert!(self.is_whole(), "I17");
    }

    /// The history goes on in a new epoch: everything in it is decided.
    pub(crate) fn begin_epoch(&mut self, at: Zxid) {
        assert_eq!(self.delivered, self.entries.len(), "a new epoch begins with a decided history");
        self.last = at;
        self.committed = at;
    }

    /// This member leads the epoch no more: its history ends with an entry, as it would after a
    /// restart. Where an epoch begins is a place that no leader of another one can compare.
    pub(crate) fn end_epoch(&mut self) {
        if self.last.counter() == 0 {
            self.last = self.last_entry();
            self.committed = self.committed.min(self.last);
        }
    }

    /// Cuts what is behind this place; says whether decided entries were among it, so that the
    /// state has to go back.
    pub(crate) fn truncate(&mut self, to: Zxid, out: &mut Vec<Output>) -> bool {
        self.persist(Record::Truncate { to }, out);
        let kept = self.entries.partition_point(|entry| entry.at <= to);
        let reaches_decided = to < self.committed;
        for entry in self.entries.drain(kept..) {
            if self.delivered > kept {
                self.delivered -= 1;
                self.delivered_bytes -= entry.item.len();
            }
        }
        self.unsynced.retain(|(_, at)| *at <= to);
        self.synced = self.synced.min(to);
        self.last = to;
        self.before = self.before.min(to);
        self.committed = self.committed.min(to);
        debug_assert!(self.is_whole(), "I17");
        reaches_decided
    }

    /// The state is another one: the whole history up to this place.
    pub(crate) fn reset(&mut self, at: Zxid, recent: Vec<(Zxid, Item)>) {
        self.entries.clear();
        self.unsynced.clear();
        (self.delivered, self.delivered_bytes) = (0, 0);
        (self.last, self.committed, self.before) = (at, at, at);
        self.remember(recent);
    }

    /// Whoever proposed what is not decided is not told any more.
    pub(crate) fn forget_contexts(&mut self) {
        self.entries.range_mut(self.delivered..).for_each(|entry| entry.context = None);
    }

    /// Keeps only as many decided entries as learners are served with, and those that are decided
    /// and not durable here: a state that is sent does not hold them yet.
    fn trim(&mut self) {
        let synced = self.synced();
        while self.delivered > self.entries_max
            || (self.delivered > 1 && self.delivered_bytes > self.bytes_max)
        {
            let Some(entry) = self.entries.pop_front_if(|entry| entry.at <= synced) else {
                return;
            };
            self.before = entry.at;
            self.delivered -= 1;
            self.delivered_bytes -= entry.item.len();
        }
    }
}
