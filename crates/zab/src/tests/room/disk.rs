//! A disk: what is written becomes durable in order, when the test lets it.

use crate::config::{ACCEPTED_EPOCH, CURRENT_EPOCH};
use crate::{CONFIGURATION, Durable, NEXT_CONFIGURATION};
use base::{Lsn, Zxid};
use broadcast::{Input, Item, LinkId, Record};
use std::collections::{BTreeMap, VecDeque};
use wire::quorum::{Membership, Rules};

#[derive(Default)]
pub(super) struct Disk {
    pub(super) held: bool,
    written: VecDeque<Written>,
    /// The durable history.
    pub(super) entries: Vec<(Zxid, Item)>,
    /// Where the durable snapshot is: what is before it is not in the log.
    pub(super) base: Zxid,
    /// The newest snapshot: what is up to it is not replayed, though the log may have it.
    pub(super) snapshot: Zxid,
    pub(super) registers: BTreeMap<&'static str, i64>,
    texts: BTreeMap<&'static str, String>,
    /// The version of the configuration that the state shows.
    pub(super) shown_configuration: i64,
    /// Another disk was lost, and the member does not stand in an epoch since.
    pub(super) lost: bool,
}

enum Written {
    Record(Lsn, Record),
    State { state: Vec<(Zxid, Item)>, link: LinkId, at: Zxid, rest: Item },
    Reset(Zxid),
}

impl Disk {
    pub(super) fn write(&mut self, lsn: Lsn, record: Record) {
        self.written.push_back(Written::Record(lsn, record));
    }

    pub(super) fn store(
        &mut self,
        state: Vec<(Zxid, Item)>,
        (link, at): (LinkId, Zxid),
        rest: Item,
    ) {
        self.written.push_back(Written::State { state, link, at, rest });
    }

    pub(super) fn reset(&mut self, at: Zxid) {
        self.written.push_back(Written::Reset(at));
    }

    pub(super) fn lose_written(&mut self) {
        self.written.clear();
        self.held = false;
    }

    /// Makes the next `count` durable; gives the last record and what else there is to tell.
    pub(super) fn flush(&mut self, count: usize) -> (Option<Lsn>, Vec<Input>) {
        let count = count.min(self.written.len());
        let (mut durable, mut facts) = (None, Vec::new());
        for written in self.written.drain(..count).collect::<Vec<_>>() {
            match written {
                Written::Record(lsn, record) => {
                    assert!(Some(lsn) > durable, "an lsn is never used twice");
                    durable = Some(lsn);
                    self.take(record);
                }
                Written::State { state, link, at, rest } => {
                    self.entries = state;
                    self.base = at;
                    facts.push(Input::SnapshotInstalled { link, at, rest });
                }
                Written::Reset(at) if at < self.base => {
                    let reason = format!("the oldest snapshot is at {}", self.base);
                    facts.push(Input::ResetFailed { reason });
                }
                Written::Reset(_) => facts.push(Input::ResetDone { recent: self.recent() }),
            }
        }
        (durable, facts)
    }

    fn take(&mut self, record: Record) {
        match record {
            Record::Entry { at, item } => {
                let last = self.entries.last().map_or(self.base, |(last, _)| *last);
                let goes_on = at == last.next() || (at.epoch() > last.epoch() && at.counter() == 1);
                // A state may hold some of what is logged behind it.
                let known = self.entries.contains(&(at, item.clone()));
                assert!(goes_on || known, "{at} in the log behind {last}");
                if !known {
                    self.entries.push((at, item));
                }
            }
            Record::Truncate { to } => self.entries.retain(|(at, _)| *at <= to),
            Record::Register { name, value } => {
                let before = self.registers.insert(name, value).unwrap_or_default();
                self.lost &= name != CURRENT_EPOCH;
                assert!(before <= value, "{name} went back from {before} to {value}");
            }
            Record::Text { name, text: Some(text) } => {
                self.texts.insert(name, text);
            }
            Record::Text { name, text: None } => {
                self.texts.remove(name);
            }
            Record::Slot(_) | Record::Cut { .. } | Record::Base(_) | Record::Announced(_) => {
                panic!("ZAB has no slots")
            }
        }
        let [accepted, current] = [ACCEPTED_EPOCH, CURRENT_EPOCH].map(|name| self.register(name));
        assert!(accepted >= current, "installed {current:#x}, but promised {accepted:#x} only");
    }

    pub(super) fn register(&self, name: &str) -> i64 {
        self.registers.get(name).copied().unwrap_or_default()
    }

    /// The end of the durable history.
    pub(super) fn last(&self) -> Zxid {
        self.entries.last().map_or(self.base, |(at, _)| (*at).max(self.base))
    }

    /// The log and the snapshots before this place are gone.
    pub(super) fn purge(&mut self, upto: Zxid) {
        self.base = upto;
    }

    fn recent(&self) -> Vec<(Zxid, Item)> {
        self.entries.iter().filter(|(at, _)| *at > self.base).cloned().collect()
    }

    /// What a member begins with.
    pub(super) fn recover(&self) -> Durable {
        Durable {
            accepted_epoch: self.register(ACCEPTED_EPOCH),
            current_epoch: self.register(CURRENT_EPOCH),
            last: self.last(),
            recent: self.recent().into_iter().filter(|(at, _)| *at > self.snapshot).collect(),
            is_lost: self.lost,
            configuration: self.shown_configuration,
        }
    }

    /// The log from a place on, if it reaches back there.
    pub(super) fn read_log(&self, from: Zxid) -> Vec<(Zxid, Item)> {
        let log = self.recent();
        let reaches = log.first().is_some_and(|(first, _)| *first <= from || from >= self.base);
        if reaches { log.into_iter().filter(|(at, _)| *at >= from).collect() } else { Vec::new() }
    }

    pub(super) fn committed(&self, first: &Membership) -> Membership {
        self.membership(CONFIGURATION).unwrap_or_else(|| first.clone())
    }

    pub(super) fn last_seen(&self) -> Option<Membership> {
        self.membership(NEXT_CONFIGURATION)
    }

    pub(super) fn forget_configurations(&mut self) {
        self.texts.clear();
    }

    fn membership(&self, name: &str) -> Option<Membership> {
        let text = self.texts.get(name)?;
        Some(Membership::parse(text, &Rules::DEFAULT).expect("what was written"))
    }
}
