//! The order as the world knows it: what any member has logged, and what of it is decided.
//!
//! A place names one transaction with one predecessor, whoever logs it. Over Raft it does so within
//! a term: there an entry is known by both, the term in the upper half. What a member has applied
//! while it serves is decided: every other one that serves must have a beginning of that, and who
//! leads all of it. At one place all have the same digest.

use crate::hash::hash_bytes;
use crate::observe;
use base::Zxid;
use check::{Commit, Configuration, Violation, Work};
use std::collections::{BTreeMap, BTreeSet};

/// A logged transaction.
#[derive(Clone, Debug)]
struct Entry {
    before: i64,
    record: u64,
    commit: Commit,
    /// The one that it names, if it changes that.
    configuration: Option<Configuration>,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    entries: BTreeMap<i64, Entry>,
    /// Where leaders began that were established, and the last entry before.
    epochs: BTreeMap<i64, i64>,
    /// The places that are decided, and the last of them.
    order: BTreeSet<i64>,
    decided: i64,
    /// Changes of the configuration that are decided.
    changed: BTreeMap<i64, Configuration>,
    digests: BTreeMap<i64, u64>,
    /// Where each session began.
    opened: BTreeMap<i64, i64>,
    /// Whether an entry is known by its term and its place.
    by_terms: bool,
    /// Of such entries: the decided one at each place.
    placed: BTreeMap<i64, i64>,
    /// The last place that anybody has logged and that may be another entry's by no means.
    logged: i64,
}

impl Ledger {
    /// The order of members over Raft, where an undecided place may be given again.
    pub(crate) fn by_terms() -> Ledger {
        Ledger { by_terms: true, ..Ledger::default() }
    }

    /// How an entry is known.
    pub(crate) fn key(&self, term: u64, at: Zxid) -> i64 {
        if self.by_terms { term.cast_signed() << 32 | at.0 } else { at.0 }
    }

    /// The place of an entry.
    fn place(&self, key: i64) -> i64 {
        if self.by_terms { key & 0xffff_ffff } else { key }
    }

    /// The last place that anybody who served had applied.
    pub fn decided(&self) -> i64 {
        self.decided
    }

    /// The last place that anybody has logged.
    pub(crate) fn logged(&self) -> i64 {
        // Over Raft what is not decided may be void, and its place another's later.
        if self.by_terms { self.place(self.decided) } else { self.logged }
    }

    /// How many leaders were established.
    pub(crate) fn epochs(&self) -> usize {
        self.epochs.len()
    }

    /// Takes what a member logs behind `tip`; gives the transaction if it is new.
    pub fn append(
        &mut self,
        tip: i64,
        at: Zxid,
        record: &[u8],
    ) -> Result<Option<&Commit>, Violation> {
        self.append_in(0, tip, at, record)
    }

    /// The same over Raft, of an entry of this term.
    pub(crate) fn append_in(
        &mut self,
        term: u64,
        tip: i64,
        at: Zxid,
        record: &[u8],
    ) -> Result<Option<&Commit>, Violation> {
        let (hash, key) = (hash_bytes(record), self.key(term, at));
        self.logged = self.logged.max(at.0);
        if let Some(known) = self.entries.get(&key) {
            if (known.before, known.record) == (tip, hash) {
                return Ok(None);
            }
            let what = format!(
                "{at} behind {tip:#x} is another transaction than {at} behind {:#x}: {:x?}, {:x?}",
                known.before,
                observe::commit(at, record),
                known.commit
            );
            return Err(Violation::new("order.places", what));
        }
        if key <= tip || at.0 <= self.place(tip) {
            return Err(Violation::new("order.back", format!("{at} was logged behind {tip:#x}")));
        }
        let commit = observe::commit(at, record)?;
        if matches!(commit.work, Work::Open { .. }) {
            self.opened.insert(commit.session, at.0);
        }
        let configuration = observe::configuration(record);
        let entry = Entry { before: tip, record: hash, commit, configuration };
        Ok(Some(&self.entries.entry(key).or_insert(entry).commit))
    }

    /// The changes of the configuration behind `place` in the history that ends with `tip`, the
    /// last one first.
    pub(crate) fn changes(&self, place: i64, tip: i64) -> impl Iterator<Item = &Configuration> {
        let history = std::iter::successors(Some(tip), |at| Some(self.entries.get(at)?.before));
        let behind = history.take_while(move |at| *at > place);
        behind.filter_map(|at| self.entries.get(&at)?.configuration.as_ref())
    }

    /// The configuration in force up to `place` and with what is there, if it was ever changed.
    pub(crate) fn configuration(&self, place: i64) -> Option<&Configuration> {
        let undecided = self.changes(self.decided, place).next();
        undecided.or_else(|| self.changed.range(..=place).next_back().map(|(_, change)| change))
    }

    /// Where the session began.
    pub(crate) fn opened(&self, session: i64) -> Option<i64> {
        self.opened.get(&session).copied()
    }

    /// The last entry up to a place at which a leader may have begun.
    pub(crate) fn entry_at(&self, place: i64) -> i64 {
        let known = if self.by_terms { &self.placed } else { &self.epochs };
        known.get(&place).copied().unwrap_or(place)
    }

    /// The same in the history that ends with `tip`, where it may not be decided.
    pub(crate) fn entry_in(&self, place: i64, tip: i64) -> i64 {
        if !self.by_terms {
            return self.entry_at(place);
        }
        let history = std::iter::successors(Some(tip), |at| Some(self.entries.get(at)?.before));
        let found = history.take_while(|at| *at > 0).find(|at| self.place(*at) <= place);
        let is_it = |at: &i64| self.place(*at) == place;
        found.filter(is_it).unwrap_or_else(|| self.entry_at(place))
    }

    /// What a client that is told of this place is to see.
    pub(crate) fn told(&self, place: i64) -> i64 {
        if self.by_terms { place } else { self.entry_at(place) }
    }

    /// A leader of this term serves, whose log ends with `tip`: what earlier terms have decided is
    /// in it.
    pub(crate) fn leads_in(&mut self, term: i64, tip: i64) -> Result<(), Violation> {
        let due = self.order.range(..term << 32).next_back().copied().unwrap_or(0);
        self.epochs.insert(term, tip);
        if self.leads_to(due, tip) {
            return Ok(());
        }
        let what = format!("who leads in term {term} has {tip:#x}, not {due:#x}");
        Err(Violation::new("order.lost", what))
    }

    /// Whether `place` is `tip` or comes before it.
    pub(crate) fn leads_to(&self, place: i64, tip: i64) -> bool {
        self.back_to(place, tip) == place
    }

    /// The last entry of the history that ends with `tip` that is not after `place`.
    pub(crate) fn back_to(&self, place: i64, tip: i64) -> i64 {
        let mut at = tip;
        while at > place
            && let Some(entry) = self.entries.get(&at)
        {
            at = entry.before;
        }
        at
    }

    /// A leader whose log ends with `tip` is established, and has begun at this place. What later
    /// leaders have decided already, one that was slow to begin need not have: it decides nothing
    /// any more.
    pub fn begin_epoch(&mut self, place: i64, tip: i64) -> Result<(), Violation> {
        let (last, due) = (self.back_to(place, tip), self.back_to(place, self.decided));
        if !self.leads_to(due, last) {
            let what = format!("who leads from {place:#x} on has {last:#x}, not {due:#x}");
            return Err(Violation::new("order.lost", what));
        }
        self.epochs.insert(place, last);
        self.decide(last)
    }

    /// The last entry before another one.
    pub(crate) fn before(&self, place: i64) -> i64 {
        self.entries.get(&place).map_or(0, |entry| entry.before)
    }

    /// Whether a leader has begun at this place.
    pub(crate) fn is_begun(&self, place: i64) -> bool {
        self.epochs.contains_key(&place)
    }

    /// Somebody who serves has applied all up to this entry.
    pub fn decide(&mut self, last: i64) -> Result<(), Violation> {
        if last <= self.decided {
            if last != 0 && !self.order.contains(&last) {
                let what = format!("{last:#x} is applied, it is not in the order");
                return Err(Violation::new("order.agreement", what));
            }
            return Ok(());
        }
        let mut at = last;
        let mut places = Vec::new();
        while at > self.decided {
            places.push(at);
            let Some(entry) = self.entries.get(&at) else {
                let what = format!("{at:#x} is applied, nobody has logged it");
                return Err(Violation::new("order.unlogged", what));
            };
            at = entry.before;
        }
        if at != self.decided {
            let what = format!("{last:#x} is applied without {:#x}", self.decided);
            return Err(Violation::new("order.agreement", what));
        }
        for place in &places {
            let entry = self.entries.get(place);
            if let Some(change) = entry.and_then(|entry| entry.configuration.clone()) {
                self.changed.insert(*place, change);
            }
        }
        if self.by_terms {
            let placed: Vec<_> = places.iter().map(|key| (self.place(*key), *key)).collect();
            self.placed.extend(placed);
        }
        self.order.extend(places);
        self.decided = last;
        Ok(())
    }

    /// A tree that holds all up to this place has that digest.
    pub fn digest(&mut self, place: i64, digest: u64) -> Result<(), Violation> {
        let known = *self.digests.entry(place).or_insert(digest);
        if known == digest {
            return Ok(());
        }
        let what = format!("at {place:#x} one tree has {digest:#x}, another {known:#x}");
        Err(Violation::new("digest.agreement", what))
    }

    /// A server alone came back with this place as its last: what was logged after is gone, and
    /// its places are free.
    pub(crate) fn forget_after(&mut self, last: i64) {
        self.entries.retain(|place, _| *place <= last);
        self.digests.retain(|place, _| *place <= last);
    }

    /// What is decided, with the places where leaders began.
    pub fn commits(&self) -> Vec<Commit> {
        let began = |place: &i64| {
            let work = Work::Lead;
            (*place, Commit { zxid: *place, session: 0, xid: 0, time: 0, work })
        };
        let epochs = self.epochs.keys().filter(|_| !self.by_terms);
        let mut all: BTreeMap<i64, Commit> = epochs.map(began).collect();
        let decided = self.order.iter().filter_map(|place| {
            self.entries.get(place).map(|entry| (*place, entry.commit.clone()))
        });
        all.extend(decided);
        all.into_values().collect()
    }

    /// Whether a tree of this place can be held against the order.
    pub(crate) fn is_known(&self, place: i64) -> bool {
        if self.by_terms {
            return place == 0 || self.placed.contains_key(&place);
        }
        place == 0 || self.order.contains(&place) || self.epochs.contains_key(&place)
    }
}
