//! A disk: what is written becomes durable in order, when it is synced; the rest a crash loses.

use crate::{Durable, HISTORY, TERM, VOTE, VOTE_TERM};
use base::{Lsn, NodeId, Zxid};
use broadcast::{Base, Item, LinkId, Record, Slot};
use std::collections::{BTreeMap, VecDeque};

#[derive(Default)]
pub(crate) struct Disk {
    pub(crate) held: bool,
    written: VecDeque<Written>,
    registers: BTreeMap<&'static str, i64>,
    bases: Vec<Base>,
    slots: Vec<Slot>,
    /// The last durable snapshot of the state.
    pub(crate) state: Vec<(Zxid, Item)>,
    at: Zxid,
}

pub(super) enum Written {
    Record(Lsn, Record),
    State { state: Vec<(Zxid, Item)>, link: LinkId, at: Zxid },
}

/// What a sync came to.
#[derive(Default)]
pub(super) struct Synced {
    pub(super) upto: Option<Lsn>,
    pub(super) installed: Vec<(LinkId, Zxid)>,
}

impl Disk {
    /// Begins with a state from elsewhere, as this history.
    pub(crate) fn begin(&mut self, base: Base, history: u64, state: Vec<(Zxid, Item)>) {
        let (term, at) = (base.period.cast_signed(), base.at);
        self.registers = [(TERM, term), (HISTORY, history.cast_signed())].into();
        (self.bases, self.state, self.at) = (vec![base], state, at);
    }

    pub(super) fn write(&mut self, lsn: Lsn, record: Record) {
        self.written.push_back(Written::Record(lsn, record));
    }

    pub(super) fn store(&mut self, state: Vec<(Zxid, Item)>, link: LinkId, at: Zxid) {
        self.written.push_back(Written::State { state, link, at });
    }

    pub(super) fn has_state(&self, of: LinkId) -> bool {
        let is_state = |w: &Written| matches!(w, Written::State { link, .. } if *link == of);
        self.written.iter().any(is_state)
    }

    pub(crate) fn has_pending(&self) -> bool {
        !self.written.is_empty()
    }

    pub(crate) fn pending(&self) -> usize {
        self.written.len()
    }

    pub(super) fn sync(&mut self, count: usize) -> Synced {
        let mut synced = Synced::default();
        let count = count.min(self.written.len());
        for written in self.written.drain(..count).collect::<Vec<_>>() {
            match written {
                Written::Record(lsn, record) => {
                    assert!(Some(lsn) > synced.upto, "an lsn is never used twice");
                    synced.upto = Some(lsn);
                    self.take(record);
                }
                Written::State { state, link, at } => {
                    (self.state, self.at) = (state, at);
                    self.slots.clear();
                    self.rebase();
                    synced.installed.push((link, at));
                }
            }
        }
        synced
    }

    pub(super) fn crash(&mut self, kept: usize) {
        let kept = kept.min(self.written.len());
        // A state is whole or not there: it counts when it was synced.
        for written in self.written.drain(..).take(kept).collect::<Vec<_>>() {
            let Written::Record(_, record) = written else { break };
            self.take(record);
        }
        self.held = false;
    }

    /// The state is stored by itself.
    pub(super) fn checkpoint(&mut self, state: &[(Zxid, Item)]) -> Zxid {
        self.state = state.to_vec();
        self.at = state.last().map_or(self.at, |(at, _)| *at);
        self.rebase();
        self.at
    }

    fn take(&mut self, record: Record) {
        match record {
            Record::Register { name, value } => {
                let old = self.registers.insert(name, value);
                assert!(name != TERM || old.unwrap_or(0) < value, "terms only grow");
            }
            Record::Slot(slot) => {
                let last = self.slots.last().map(|slot| slot.index);
                // Of those that are left, the first is in force.
                let last = last.or(self.bases.iter().map(|base| base.index).min());
                assert!(last.is_none_or(|last| slot.index == last + 1), "{slot:?} behind {last:?}");
                self.slots.push(slot);
            }
            Record::Cut { from } => self.slots.retain(|slot| slot.index < from),
            Record::Base(base) | Record::Announced(base) => {
                self.bases.push(base);
                self.rebase();
            }
            Record::Entry { .. } | Record::Truncate { .. } | Record::Text { .. } => {
                panic!("Raft keeps slots")
            }
        }
    }

    fn rebase(&mut self) {
        let reached = self.bases.iter().filter(|base| base.at <= self.at);
        let Some(index) = reached.map(|base| base.index).max() else { return };
        self.bases.retain(|base| base.index >= index);
        self.slots.retain(|slot| slot.index > index);
    }

    pub(super) fn recover(&self) -> Durable {
        let register = |name| self.registers.get(name).copied().unwrap_or(0);
        Durable {
            term: register(TERM),
            vote: register(VOTE),
            vote_term: register(VOTE_TERM),
            bases: self.bases.clone(),
            slots: self.slots.clone(),
            applied: self.at,
            is_lost: false,
            history: register(HISTORY).cast_unsigned(),
        }
    }

    pub(crate) fn term(&self) -> u64 {
        self.recover().term.cast_unsigned()
    }

    /// The vote of the current term.
    pub(crate) fn vote(&self) -> Option<NodeId> {
        let Durable { term, vote, vote_term, .. } = self.recover();
        (term == vote_term).then_some(NodeId(vote.cast_unsigned()))
    }

    /// The end of the durable log.
    pub(super) fn last(&self) -> u64 {
        let slots = self.slots.last().map(|slot| slot.index);
        let reached = self.bases.iter().filter(|base| base.at <= self.at);
        slots.into_iter().chain(reached.map(|base| base.index)).max().unwrap_or(0)
    }

    /// Whether the durable log, or the state, holds this entry.
    pub(super) fn holds(&self, index: u64, term: u64) -> bool {
        let reached = self.bases.iter().filter(|base| base.at <= self.at);
        reached.map(|base| base.index).max().is_some_and(|base| index <= base)
            || self.slots.iter().any(|slot| slot.index == index && slot.period == term)
    }

    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }
}
