//! The log: dense from 1, what is old compacted away; which of it is committed, durable, delivered.
//!
//! Every slot remembers the journal record that made it: so a completion that comes late can never
//! pass for that of a slot that was written again. Invariants: delivered <= committed <= last; what
//! is committed is never cut; what is not delivered or not durable stays in memory. The
//! configuration in force is the last one in the log, committed or not (dissertation, section 4.1).

mod in_force;

pub(crate) use in_force::{InForce, in_force};

use crate::configuration::Configuration;
use base::{Lsn, Zxid};
use broadcast::{Base, Context, Item, Output, Record, Slot, SlotKind};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Payload {
    /// The first entry of a leader's term.
    NoOp,
    /// An entry of the total order.
    Item(Item),
    /// The configuration behind a joint one.
    Configuration(Arc<Configuration>),
}

impl Payload {
    pub(crate) fn kind(&self) -> u8 {
        match self {
            Payload::NoOp => 0,
            Payload::Item(_) => 1,
            Payload::Configuration(_) => 2,
        }
    }

    pub(crate) fn read(kind: u8, body: Bytes) -> Result<Payload, &'static str> {
        match kind {
            0 if body.is_empty() => Ok(Payload::NoOp),
            1 => Ok(Payload::Item(body)),
            2 => match Configuration::decode(&body) {
                Ok(configuration) => Ok(Payload::Configuration(Arc::new(configuration))),
                Err(_) => Err("it names no good configuration"),
            },
            _ => Err("an entry is of no kind that there is"),
        }
    }

    fn len(&self) -> usize {
        match self {
            Payload::Item(item) => item.len(),
            Payload::NoOp | Payload::Configuration(_) => 0,
        }
    }
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    /// The term of the leader that made it.
    pub(crate) term: u64,
    /// The last place of the total order up to it, its own included.
    pub(crate) at: Zxid,
    /// What it is.
    pub(crate) payload: Payload,
    /// The record that made it here.
    pub(crate) lsn: Lsn,
    /// The proposer's mark, if it was proposed here.
    pub(crate) context: Option<Context>,
}

impl Entry {
    /// A new one.
    pub(crate) fn new(term: u64, at: Zxid, payload: Payload) -> Entry {
        Entry { term, at, payload, lsn: Lsn::ZERO, context: None }
    }

    /// What it takes in a frame, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.payload.len() + ENTRY_OVERHEAD
    }
}

/// Numbers the records, and knows which are durable.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub(crate) struct Journal {
    pub(crate) lsn: Lsn,
    pub(crate) durable: Lsn,
}

impl Journal {
    #[inline]
    pub(crate) fn persist(&mut self, record: Record, out: &mut Vec<Output>) -> Lsn {
        self.lsn = Lsn(self.lsn.0 + 1);
        out.push(Output::Persist { lsn: self.lsn, record });
        self.lsn
    }
}

/// A point of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Mark {
    index: u64,
    term: u64,
    at: Zxid,
}

/// The log.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Log {
    /// The last entry that is not in memory.
    base: Mark,
    entries: VecDeque<Entry>,
    committed: u64,
    delivered: u64,
    /// Bytes of entries in memory that are delivered, and of those that are not committed.
    delivered_bytes: usize,
    uncommitted_bytes: usize,
    /// Configurations by the entry that brought them; the first is in force at the base.
    configurations: VecDeque<(u64, Arc<Configuration>)>,
    /// Where the log on the disk begins, and where it may begin one day.
    disk_base: u64,
    marks: VecDeque<Mark>,
    recent_entries: usize,
    recent_bytes: usize,
    names: fn(&[u8]) -> Option<Configuration>,
}

/// What a log is made of at a start.
pub(crate) struct Parts {
    pub(crate) base: Base,
    pub(crate) slots: Vec<Slot>,
    pub(crate) applied: Zxid,
    pub(crate) recent_entries: usize,
    pub(crate) recent_bytes: usize,
    pub(crate) names: fn(&[u8]) -> Option<Configuration>,
}

impl Log {
    /// What the disk holds: entries that the state holds are committed, of others nobody knows yet.
    ///
    /// # Errors
    /// If the slots do not follow one another, or something in them cannot be read.
    pub(crate) fn recover(parts: Parts) -> Result<Log, String> {
        let Parts { base, slots, applied, recent_entries, recent_bytes, names } = parts;
        let Base { index, period: term, at, configuration } = base;
        let configuration = Configuration::decode(&configuration).map_err(|e| e.to_string())?;
        let mark = Mark { index, term, at };
        let mut log = Log {
            base: mark,
            entries: VecDeque::new(),
            committed: index,
            delivered: index,
            delivered_bytes: 0,
            uncommitted_bytes: 0,
            configurations: [(index, Arc::new(configuration))].into(),
            disk_base: index,
            marks: VecDeque::new(),
            recent_entries,
            recent_bytes,
            names,
        };
        for slot in slots {
            if slot.index != log.last_index() + 1 {
                return Err(format!("slot {} behind {}", slot.index, log.last_index()));
            }
            let kind = match slot.kind {
                SlotKind::Empty => 0,
                SlotKind::Item => 1,
                SlotKind::Control => 2,
            };
            let payload = Payload::read(kind, slot.body)
                .map_err(|error| format!("slot {}: {error}", slot.index))?;
            log.push(Entry::new(slot.period, slot.at, payload));
        }
        if log.last_at() < applied {
            return Err(format!("the state is at {applied}, the log ends at {}", log.last_at()));
        }
        // The first slot at the state's place is the entry itself; empty ones behind it may be void.
        let held = log.entries.partition_point(|entry| entry.at < applied);
        if applied > at && held < log.entries.len() {
            let held = index + held as u64 + 1;
            log.commit(held);
            log.deliver_silently(held);
        }
        Ok(log)
    }

    pub(crate) fn last_index(&self) -> u64 {
        self.base.index + self.entries.len() as u64
    }

    pub(crate) fn last_term(&self) -> u64 {
        self.entries.back().map_or(self.base.term, |entry| entry.term)
    }

    /// The last place of the total order that the log holds.
    pub(crate) fn last_at(&self) -> Zxid {
        self.entries.back().map_or(self.base.at, |entry| entry.at)
    }

    pub(crate) fn committed(&self) -> u64 {
        self.committed
    }

    /// The place of the last committed entry.
    pub(crate) fn committed_at(&self) -> Zxid {
        self.at(self.committed)
    }

    pub(crate) fn uncommitted_bytes(&self) -> usize {
        self.uncommitted_bytes
    }

    /// How many entries in memory there are up to this one.
    fn offset(&self, index: u64) -> usize {
        (index - self.base.index) as usize
    }

    fn entry(&self, index: u64) -> Option<&Entry> {
        let offset = index.checked_sub(self.base.index + 1)?;
        self.entries.get(usize::try_from(offset).ok()?)
    }

    /// The term of an entry; `None` if it is compacted away, or not there.
    pub(crate) fn term(&self, index: u64) -> Option<u64> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        self.entry(index).map(|entry| entry.term)
    }

    /// The place of an entry; that of the base if it is not in memory.
    pub(crate) fn at(&self, index: u64) -> Zxid {
        self.entry(index).map_or(self.base.at, |entry| entry.at)
    }

    /// Entries from this index on.
    pub(crate) fn entries_from(&self, index: u64) -> impl Iterator<Item = &Entry> {
        let offset = index.saturating_sub(self.base.index + 1);
        self.entries.range(usize::try_from(offset).unwrap_or(usize::MAX).min(self.entries.len())..)
    }

    /// The last entry that is durable here.
    pub(crate) fn durable_index(&self, journal: &Journal) -> u64 {
        // Records are durable in their order, and all but the last ones are: the search begins there.
        let is_durable = |offset: usize| self.entries[offset].lsn <= journal.durable;
        let (mut high, mut reach) = (self.entries.len(), 1);
        while reach <= high && !is_durable(high - reach) {
            high -= reach;
            reach *= 2;
        }
        let mut low = high.saturating_sub(reach);
        while low < high {
            let middle = low.midpoint(high);
            if is_durable(middle) { low = middle + 1 } else { high = middle }
        }
        self.base.index + low as u64
    }

    /// The configuration in force, and the entry that brought it.
    pub(crate) fn configuration(&self) -> (u64, &Arc<Configuration>) {
        let (index, configuration) = self.configurations.back().expect("the base has one");
        (*index, configuration)
    }

    pub(crate) fn configuration_at(&self, index: u64) -> &Arc<Configuration> {
        let behind = self.configurations.partition_point(|(from, _)| *from <= index);
        &self.configurations[behind - 1].1
    }

    /// The members that an item names.
    pub(crate) fn named(&self, item: &[u8]) -> Option<Configuration> {
        (self.names)(item)
    }

    /// Whether an entry by these is at least as new as the end of the log.
    pub(crate) fn is_up_to_date(&self, last_term: u64, last_index: u64) -> bool {
        (last_term, last_index) >= (self.last_term(), self.last_index())
    }

    /// The largest index up to `from` whose term is at most `term`, and its term: where logs that
    /// differ may begin to agree. `None` if that is compacted away.
    pub(crate) fn find_conflict(&self, from: u64, term: u64) -> Option<(u64, u64)> {
        let mut index = from.min(self.last_index());
        loop {
            let of = self.term(index)?;
            if of <= term {
                return Some((index, of));
            }
            index = index.checked_sub(1)?;
        }
    }

    /// The last entry that is compacted away, and its term: it is committed.
    pub(crate) fn base(&self) -> (u64, u64) {
        (self.base.index, self.base.term)
    }

    /// Appends an entry and persists it.
    pub(crate) fn append(
        &mut self,
        mut entry: Entry,
        journal: &mut Journal,
        out: &mut Vec<Output>,
    ) {
        let (kind, body) = match &entry.payload {
            Payload::NoOp => (SlotKind::Empty, Bytes::new()),
            Payload::Item(item) => (SlotKind::Item, item.clone()),
            Payload::Configuration(configuration) => {
                let mut body = Vec::new();
                configuration.encode(&mut body);
                (SlotKind::Control, body.into())
            }
        };
        let index = self.last_index() + 1;
        let slot = Slot { index, period: entry.term, at: entry.at, kind, body };
        entry.lsn = journal.persist(Record::Slot(slot), out);
        self.push(entry);
    }

    #[inline(always)] // it would be copied once more, and this is the path of every entry
    fn push(&mut self, entry: Entry) {
        let index = self.last_index() + 1;
        match &entry.payload {
            Payload::NoOp => {}
            Payload::Item(item) => {
                let (_, now) = self.configuration();
                // Proposers refuse a change while one is under way.
                if let Some(target) = (self.names)(item).filter(|_| !now.is_joint()) {
                    let next = Arc::new(now.enter(&target));
                    self.configurations.push_back((index, next));
                }
            }
            Payload::Configuration(configuration) => {
                self.configurations.push_back((index, Arc::clone(configuration)));
            }
        }
        self.uncommitted_bytes += entry.payload.len();
        self.entries.push_back(entry);
    }

    /// Voids every entry from this index on.
    pub(crate) fn cut(&mut self, from: u64, journal: &mut Journal, out: &mut Vec<Output>) {
        assert!(from > self.committed, "what is committed is never cut");
        journal.persist(Record::Cut { from }, out);
        let kept = usize::try_from(from - self.base.index - 1).expect("in memory");
        let cut: usize = self.entries.drain(kept..).map(|entry| entry.payload.len()).sum();
        self.uncommitted_bytes -= cut;
        while self.configurations.pop_back_if(|(index, _)| *index >= from).is_some() {}
    }

    /// Commits everything up to this entry, which the log holds.
    pub(crate) fn commit(&mut self, upto: u64) {
        assert!(upto <= self.last_index(), "only what is there is committed");
        if self.committed < upto {
            // They are in memory until they are delivered.
            let newly = self.offset(self.committed)..self.offset(upto);
            let bytes: usize = self.entries.range(newly).map(|entry| entry.payload.len()).sum();
            self.uncommitted_bytes -= bytes;
            self.committed = upto;
        }
    }

    /// Gives what is committed to the service.
    pub(crate) fn deliver(&mut self, journal: &Journal, out: &mut Vec<Output>) {
        let due = self.offset(self.delivered)..self.offset(self.committed);
        self.delivered = self.committed;
        out.reserve(due.len());
        for entry in self.entries.range_mut(due) {
            let context = entry.context.take();
            self.delivered_bytes += entry.payload.len();
            if let Payload::Item(item) = &entry.payload {
                let (at, item, after) = (entry.at, item.clone(), entry.lsn);
                out.push(Output::Deliver { at, context, item, after });
            }
        }
        self.trim(journal);
    }

    fn deliver_silently(&mut self, upto: u64) {
        while self.delivered < upto {
            self.delivered += 1;
            let entry = self.entry(self.delivered).expect("it was counted");
            self.delivered_bytes += entry.payload.len();
        }
    }

    /// Whoever proposed what is not delivered is not told any more.
    pub(crate) fn forget_contexts(&mut self) {
        let delivered = (self.delivered - self.base.index) as usize;
        self.entries.range_mut(delivered..).for_each(|entry| entry.context = None);
    }

    /// Keeps only as many delivered entries as followers are served with.
    fn trim(&mut self, journal: &Journal) {
        let mut kept = (self.delivered - self.base.index) as usize;
        while kept > self.recent_entries || (kept > 1 && self.delivered_bytes > self.recent_bytes) {
            let Some(entry) = self.entries.pop_front_if(|entry| entry.lsn <= journal.durable)
            else {
                return;
            };
            kept -= 1;
            self.delivered_bytes -= entry.payload.len();
            self.base = Mark { index: self.base.index + 1, term: entry.term, at: entry.at };
            let last = self.marks.back().map_or(self.disk_base, |mark| mark.index);
            if self.base.index >= last + MARK_EVERY.min(self.recent_entries as u64 + 1) {
                self.mark();
            }
        }
    }

    /// Remembers the base as a place where the log on the disk may begin one day.
    fn mark(&mut self) {
        self.marks.push_back(self.base);
        if self.marks.len() > MARKS_MAX {
            let mut keep = false;
            self.marks.retain(|_| {
                keep = !keep;
                keep
            });
        }
    }

    /// A state at this place is on the disk: the log there may begin at the last mark before it.
    pub(crate) fn checkpointed(&mut self, at: Zxid, journal: &mut Journal, out: &mut Vec<Output>) {
        let held = self.marks.partition_point(|mark| mark.at <= at);
        let Some(mark) = self.marks.drain(..held).next_back() else { return };
        let configuration = Arc::clone(self.configuration_at(mark.index));
        self.disk_base = mark.index;
        persist_base(mark, &configuration, journal, out);
        while self.configurations.get(1).is_some_and(|(index, _)| *index <= mark.index) {
            self.configurations.pop_front();
        }
    }

    /// The point up to which the state of this member can be sent: delivered, and its gate open.
    pub(crate) fn sendable(&self, journal: &Journal) -> (u64, u64, Zxid, Arc<Configuration>) {
        let index = self.delivered.min(self.durable_index(journal));
        let term = self.term(index).expect("what is delivered and not durable is in memory");
        (index, term, self.at(index), Arc::clone(self.configuration_at(index)))
    }

    /// Says where the log will begin when a state has come. It is in force with that state.
    pub(crate) fn announce(
        (index, term, at): (u64, u64, Zxid),
        configuration: &Configuration,
        journal: &mut Journal,
        out: &mut Vec<Output>,
    ) {
        journal.persist(Record::Announced(base_of(Mark { index, term, at }, configuration)), out);
    }

    /// The state came: the log is empty behind it.
    pub(crate) fn restart(
        &mut self,
        (index, term, at): (u64, u64, Zxid),
        configuration: Arc<Configuration>,
    ) {
        assert!(index >= self.committed, "a state never goes back");
        self.base = Mark { index, term, at };
        self.entries.clear();
        self.marks.clear();
        (self.committed, self.delivered, self.disk_base) = (index, index, index);
        (self.delivered_bytes, self.uncommitted_bytes) = (0, 0);
        self.configurations = [(index, configuration)].into();
    }
}

fn persist_base(
    mark: Mark,
    configuration: &Configuration,
    journal: &mut Journal,
    out: &mut Vec<Output>,
) {
    journal.persist(Record::Base(base_of(mark, configuration)), out);
}

fn base_of(mark: Mark, configuration: &Configuration) -> Base {
    let mut bytes = Vec::new();
    configuration.encode(&mut bytes);
    let Mark { index, term: period, at } = mark;
    Base { index, period, at, configuration: bytes.into() }
}

/// What an entry takes beside its payload in a frame, in bytes.
pub(crate) const ENTRY_OVERHEAD: usize = 2 * 8 + 1 + 4;
/// The log on the disk may begin at every so many entries.
const MARK_EVERY: u64 = 1024;
/// So many marks are kept; of more, every other one.
const MARKS_MAX: usize = 1024;

#[cfg(test)]
mod tests;
