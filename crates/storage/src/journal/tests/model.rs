//! What a journal must hold after each record, by plain collections.

use super::super::{Checkpoint, Journal, Kept, Record};
use crate::simulated::SimulatedDisk;
use base::Zxid;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) entries: BTreeMap<i64, Vec<u8>>,
    pub(super) kept: Kept,
    pub(super) last: i64,
}

impl Model {
    pub(super) fn apply(&mut self, record: &Record<'_>) {
        match record {
            Record::Entry { at, bytes } => {
                self.entries.insert(at.0, bytes.to_vec());
                self.last = at.0;
            }
            Record::Truncate { to } => {
                self.entries.retain(|at, _| *at <= to.0);
                self.last = self.last.min(to.0);
            }
            Record::Register { name, value } => {
                self.kept.registers.insert((*name).into(), *value);
            }
            Record::Text { name, text: None } => {
                self.kept.texts.remove(*name);
            }
            Record::Text { name, text: Some(text) } => {
                self.kept.texts.insert((*name).into(), (*text).into());
            }
            Record::Checkpoint { at, state } => {
                if at.0 > self.last {
                    self.entries.clear();
                    self.last = at.0;
                }
                self.kept.checkpoint = Some(Checkpoint { at: *at, state: state.to_vec() });
            }
            Record::Mark { .. } | Record::Successor { .. } => unreachable!("not in a script"),
        }
    }

    pub(super) fn checkpoint(&self) -> i64 {
        self.kept.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.at.0)
    }

    /// Whether the journal holds this, but for entries up to `given_up`.
    pub(super) fn is(&self, journal: &mut Journal<SimulatedDisk>, given_up: i64) -> bool {
        if *journal.kept() != self.kept || journal.next().0 != self.last + 1 {
            return false;
        }
        let first = journal.first();
        let needed = self.entries.keys().find(|at| **at > given_up.min(self.checkpoint()));
        if needed.is_some_and(|at| *at < first.0) {
            return false;
        }
        let mut entries = journal.entries(first).unwrap().unwrap();
        for (at, bytes) in self.entries.range(first.0..) {
            if entries.next_entry().unwrap() != Some((Zxid(*at), &bytes[..])) {
                return false;
            }
        }
        entries.next_entry().unwrap().is_none()
    }
}
