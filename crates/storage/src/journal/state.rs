//! What a journal's records amount to: the same fold when they are appended and when they are read.

use super::index::Index;
use super::{Checkpoint, NAMES_MAX, Record};
use base::Zxid;
use std::collections::BTreeMap;

/// What an engine keeps besides entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Numbers under their names.
    pub registers: BTreeMap<String, i64>,
    /// Texts under their names.
    pub texts: BTreeMap<String, String>,
    /// The last checkpoint.
    pub checkpoint: Option<Checkpoint>,
}

/// The outcome of all records so far.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) kept: Kept,
    pub(super) index: Index,
    /// The place of the next entry.
    pub(super) next: Zxid,
}

impl State {
    /// Before the first record of a journal, or of the oldest segment that is left of one.
    pub(super) fn new(next: Zxid) -> State {
        State { kept: Kept::default(), index: Index::default(), next }
    }

    /// Whether the record may come now.
    pub(super) fn accepts(&self, record: &Record<'_>) -> bool {
        let is_named = |has: bool, count: usize| has || count < NAMES_MAX;
        let Kept { registers, texts, .. } = &self.kept;
        match record {
            Record::Entry { at, .. } => *at == self.next,
            Record::Truncate { to } => *to >= self.checkpoint_at(),
            Record::Checkpoint { at, .. } => *at >= self.checkpoint_at(),
            Record::Register { name, .. } => {
                is_named(registers.contains_key(*name), registers.len())
            }
            Record::Text { name, text } => {
                text.is_none() || is_named(texts.contains_key(*name), texts.len())
            }
            Record::Mark { .. } | Record::Successor { .. } => true,
        }
    }

    /// Takes a record that is accepted, and begins at `offset` of `segment`.
    pub(super) fn apply(&mut self, record: &Record<'_>, segment: u64, offset: u64) {
        match record {
            Record::Entry { at, .. } => {
                self.index.push(segment, *at, offset);
                self.next = at.next();
            }
            Record::Truncate { to } if to.next() < self.next => {
                self.index.truncate(*to);
                self.next = to.next();
            }
            Record::Register { name, value } => keep(&mut self.kept.registers, name, *value),
            Record::Text { name, text: None } => {
                self.kept.texts.remove(*name);
            }
            Record::Text { name, text: Some(text) } => {
                keep(&mut self.kept.texts, name, (*text).to_owned());
            }
            Record::Checkpoint { at, state } => self.checkpoint(*at, state),
            Record::Truncate { .. } | Record::Mark { .. } | Record::Successor { .. } => {}
        }
    }

    /// The place that the last checkpoint covers; zero without one.
    pub(super) fn checkpoint_at(&self) -> Zxid {
        self.kept.checkpoint.as_ref().map_or(Zxid::ZERO, |checkpoint| checkpoint.at)
    }

    /// The first entry that can be read; the next one if there is none.
    pub(super) fn first(&self) -> Zxid {
        self.index.first().unwrap_or(self.next)
    }

    fn checkpoint(&mut self, at: Zxid, state: &[u8]) {
        if at >= self.next {
            self.index.clear();
            self.next = at.next();
        }
        let checkpoint = self.kept.checkpoint.get_or_insert_default();
        checkpoint.at = at;
        checkpoint.state.clear();
        checkpoint.state.extend_from_slice(state);
    }
}

/// Puts a value under a name, which is only copied when it is new.
fn keep<T>(map: &mut BTreeMap<String, T>, name: &str, value: T) {
    match map.get_mut(name) {
        Some(kept) => *kept = value,
        None => {
            map.insert(name.to_owned(), value);
        }
    }
}
