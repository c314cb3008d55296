//! A member's disk: the journal, durable only behind a sync, and its snapshots.
//!
//! Invariant: `durable` is what a crash leaves at least; `live` is that with everything appended.

use crate::engines::history::{Chain, State};
use crate::hash::hash_bytes;
use base::{Lsn, Rng, Zxid};
use broadcast::{Base, Item, Record, Slot};
use std::collections::{BTreeMap, VecDeque};

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Logged {
    pub(crate) at: Zxid,
    pub(crate) item: Item,
    pub(crate) chain: Chain,
}

/// What a journal says when it is read from its beginning, and the snapshots beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Image {
    /// Without a gap.
    pub(crate) entries: VecDeque<Logged>,
    /// The log holds nothing up to here any more, and the history that ends here.
    pub(crate) purged: (Zxid, Chain),
    pub(crate) registers: BTreeMap<&'static str, i64>,
    pub(crate) texts: BTreeMap<&'static str, String>,
    /// The slots of an engine with a log of its own, behind the first of the bases.
    pub(crate) slots: VecDeque<Slot>,
    /// The base in force, and those whose state is yet to come.
    pub(crate) bases: Vec<Base>,
    /// By the places that they are named after; each may hold a little more.
    pub(crate) snapshots: Vec<(Zxid, State)>,
}

impl Image {
    /// The last entry, and the history that ends with it.
    pub(crate) fn tip(&self) -> (Zxid, Chain) {
        self.entries.back().map_or(self.purged, |entry| (entry.at, entry.chain))
    }

    /// The end of an engine's own log: the period of the last slot, and its index.
    pub(crate) fn end(&self) -> Option<(u64, u64)> {
        let slot = self.slots.back().map(|slot| (slot.period, slot.index));
        slot.or_else(|| self.in_force().map(|base| (base.period, base.index)))
    }

    pub(crate) fn apply(&mut self, record: &Record) {
        match record {
            Record::Entry { at, item } => {
                let chain = self.tip().1.then(*at, hash_bytes(item));
                self.entries.push_back(Logged { at: *at, item: item.clone(), chain });
            }
            // Nothing leads there, so nothing is touched, as on a real disk: a whole state must come.
            Record::Truncate { to } if *to < self.purged.0 => {}
            Record::Truncate { to } => {
                while self.entries.back().is_some_and(|entry| entry.at > *to) {
                    self.entries.pop_back();
                }
                self.snapshots.retain(|(at, state)| at.max(&state.last) <= to);
            }
            Record::Register { name, value } => {
                self.registers.insert(name, *value);
            }
            Record::Text { name, text: Some(text) } => {
                self.texts.insert(name, text.clone());
            }
            Record::Text { name, text: None } => {
                self.texts.remove(name);
            }
            Record::Slot(slot) => {
                if let Some((at, item)) = slot.entry() {
                    let chain = self.tip().1.then(at, hash_bytes(item));
                    self.entries.push_back(Logged { at, item: item.clone(), chain });
                }
                self.slots.push_back(slot.clone());
            }
            Record::Cut { from } => {
                while let Some(slot) = self.slots.pop_back_if(|slot| slot.index >= *from) {
                    if slot.entry().is_some() {
                        self.entries.pop_back();
                    }
                }
            }
            Record::Base(base) | Record::Announced(base) => {
                self.bases.push(base.clone());
                self.rebase();
            }
        }
    }

    /// A state from elsewhere takes the place of everything.
    pub(crate) fn install(&mut self, at: Zxid, state: State, chain: Chain) {
        self.entries.clear();
        self.slots.clear();
        self.purged = (at, chain);
        self.snapshots = vec![(at, state)];
        self.rebase();
    }

    fn in_force(&self) -> Option<&Base> {
        let reached = self.snapshots.last().map_or(Zxid::ZERO, |(at, _)| *at);
        self.bases.iter().filter(|base| base.at <= reached).max_by_key(|base| base.index)
    }

    /// The furthest base that the state reaches is in force: slots up to it are not needed.
    fn rebase(&mut self) {
        let Some(index) = self.in_force().map(|base| base.index) else { return };
        self.bases.retain(|base| base.index >= index);
        while self.slots.pop_front_if(|slot| slot.index <= index).is_some() {}
    }

    /// The state by the newest snapshot that is not behind `at`, and the log up to there.
    pub(crate) fn replay(&self, at: Zxid, is_work: impl Fn(&Item) -> bool) -> Option<State> {
        let snapshot = self.snapshots.iter().rev().find(|(place, _)| *place <= at);
        let (from, mut state) = match snapshot {
            Some((place, state)) => (*place, *state),
            None if self.purged.0 == Zxid::ZERO => (Zxid::ZERO, State::default()),
            None => return None,
        };
        assert!(from >= self.purged.0, "the log goes back to every snapshot");
        for entry in &self.entries {
            if entry.at > from && entry.at > state.last && entry.at <= at {
                state.apply(entry.at, &entry.item, is_work(&entry.item));
            }
        }
        Some(state)
    }

    fn durable(&self) -> Durable {
        Durable {
            entries: self.entries.iter().map(|e| (e.at, e.item.clone())).collect(),
            registers: self.registers.clone(),
            texts: self.texts.clone(),
            slots: self.slots.iter().cloned().collect(),
            bases: self.bases.clone(),
            snapshot: self.snapshots.last().copied(),
            lost: false,
        }
    }
}

/// What is durable, as a recovery sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durable {
    /// The log, without a gap: it may begin before the snapshot.
    pub entries: Vec<(Zxid, Item)>,
    /// The engine's numbers.
    pub registers: BTreeMap<&'static str, i64>,
    /// The engine's texts.
    pub texts: BTreeMap<&'static str, String>,
    /// The slots of an engine's own log.
    pub slots: Vec<Slot>,
    /// Where that log begins: the furthest one that the state reaches is in force.
    pub bases: Vec<Base>,
    /// The newest snapshot.
    pub snapshot: Option<(Zxid, State)>,
    /// Whether what was there is lost, and promises with it.
    pub lost: bool,
}

impl Durable {
    /// The last place in the history.
    #[must_use]
    pub fn last(&self) -> Zxid {
        let logged = self.entries.last().map_or(Zxid::ZERO, |(at, _)| *at);
        logged.max(self.snapshot.map_or(Zxid::ZERO, |(at, _)| at))
    }
}

/// The disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    pub(crate) live: Image,
    pub(crate) durable: Image,
    /// Appended, in order; not durable.
    pub(crate) pending: VecDeque<(Lsn, Record)>,
    /// The last record that a sync under way will make durable.
    pub(crate) syncing: Option<Lsn>,
    pub(crate) upto: Lsn,
    pub(crate) appended: Lsn,
    pub(crate) failed: bool,
    pub(crate) fails_next: bool,
    pub(crate) truncations: u64,
    /// It was wiped, and holds no state since.
    pub(crate) lost: bool,
}

impl Disk {
    pub(crate) fn append(&mut self, lsn: Lsn, record: Record) {
        self.appended = lsn;
        self.truncations +=
            u64::from(matches!(record, Record::Truncate { .. } | Record::Cut { .. }));
        self.live.apply(&record);
        self.pending.push_back((lsn, record));
    }

    /// Begins a sync if there is something to sync, and none under way.
    pub(crate) fn begin_sync(&mut self) -> bool {
        if self.failed || self.syncing.is_some() || self.pending.is_empty() {
            return false;
        }
        self.syncing = Some(self.appended);
        true
    }

    /// The sync is done: gives what is durable now, or the first record that is not.
    pub(crate) fn end_sync(&mut self) -> Result<Lsn, Lsn> {
        let upto = self.syncing.take().expect("a sync is under way");
        if self.fails_next {
            (self.failed, self.fails_next) = (true, false);
            return Err(self.pending.front().map_or(upto, |(lsn, _)| *lsn));
        }
        while self.pending.front().is_some_and(|(lsn, _)| *lsn <= upto) {
            let (_, record) = self.pending.pop_front().expect("it was looked at");
            self.durable.apply(&record);
        }
        self.upto = upto;
        Ok(upto)
    }

    /// The power goes: what was not synced is lost, all but the first `kept` records of it.
    pub(crate) fn crash(&mut self, kept: usize) {
        for (_, record) in self.pending.drain(..).take(kept) {
            self.durable.apply(&record);
        }
        self.live = self.durable.clone();
        (self.syncing, self.upto, self.appended) = (None, Lsn::ZERO, Lsn::ZERO);
        (self.failed, self.fails_next) = (false, false);
    }

    /// How many unsynced records survive a crash: none, all, or some.
    pub(crate) fn survivors(&self, rng: &mut Rng) -> usize {
        match rng.below(3) {
            0 => 0,
            1 => self.pending.len(),
            _ => rng.between(0, self.pending.len() as u64) as usize,
        }
    }

    /// All is lost but its texts, which lie with what the operator wrote: promises too, if it may
    /// have voted.
    pub(crate) fn wipe(&mut self, votes: bool) {
        let texts = std::mem::take(&mut self.durable.texts);
        let image = Image { texts, ..Image::default() };
        *self = Disk { live: image.clone(), durable: image, lost: votes, ..Disk::default() };
    }

    pub(crate) fn recovered(&self) -> Durable {
        Durable { lost: self.lost, ..self.durable.durable() }
    }

    /// Stores a snapshot of the member's own state, and drops what it makes needless.
    pub(crate) fn checkpoint(
        &mut self,
        state: State,
        kept: usize,
        decided: impl Fn(Chain) -> bool,
    ) {
        for image in [&mut self.live, &mut self.durable] {
            image.snapshots.retain(|(at, _)| *at < state.last);
            image.snapshots.push((state.last, state));
            let surplus = image.snapshots.len().saturating_sub(kept);
            // The oldest that is left must never be cut off: it holds only what is decided.
            let Some((oldest, held)) = image.snapshots.get(surplus).copied() else { continue };
            if surplus == 0 || held.last != oldest || !decided(held.chain) {
                continue;
            }
            image.snapshots.drain(..surplus);
            while image.entries.front().is_some_and(|entry| entry.at <= oldest) {
                image.entries.pop_front();
            }
            image.purged = (oldest, held.chain);
        }
    }
}
