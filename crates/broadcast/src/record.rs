//! What an engine's journal keeps.
//!
//! ZAB's log is the total order itself: an entry under its place. An engine whose log holds more
//! (empty and control entries), or writes a slot again under a later period, keeps slots. Both have
//! one order of durability.

use crate::contract::Item;
use base::Zxid;
use bytes::Bytes;

/// What the journal keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An entry of the order, behind all that are there.
    Entry {
        /// Its place.
        at: Zxid,
        /// The entry.
        item: Item,
    },
    /// Every entry after this place is void.
    Truncate {
        /// The last that is left.
        to: Zxid,
    },
    /// A number of the engine's, under its name.
    Register {
        /// The name.
        name: &'static str,
        /// The number, in place of what it was.
        value: i64,
    },
    /// A text of the engine's, under its name; none removes it.
    Text {
        /// The name.
        name: &'static str,
        /// The text, in place of what it was.
        text: Option<String>,
    },
    /// A slot of the engine's own log, in place of what it held.
    Slot(Slot),
    /// Every slot from this index on is void.
    Cut {
        /// The first that is void.
        from: u64,
    },
    /// The engine's own log begins behind this: a state of its place is durable, and the log goes on
    /// from there.
    Base(Base),
    /// The engine's own log begins behind this as soon as the state is durable that is to come over
    /// a link.
    Announced(Base),
}

impl Record {
    /// The entry of the total order that it logs, if it logs one.
    #[must_use]
    pub const fn entry(&self) -> Option<(Zxid, &Item)> {
        match self {
            Record::Entry { at, item } => Some((*at, item)),
            Record::Slot(slot) => slot.entry(),
            Record::Truncate { .. }
            | Record::Register { .. }
            | Record::Text { .. }
            | Record::Cut { .. }
            | Record::Base(_)
            | Record::Announced(_) => None,
        }
    }
}

/// A slot of an engine's own log: engines whose log holds more than the total order, and under
/// more than a place, keep it so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// Its number in that log, from 1 on.
    pub index: u64,
    /// The leadership period under which it was written: a term, a ballot, a ring.
    pub period: u64,
    /// The last place of the total order up to it, its own included.
    pub at: Zxid,
    /// What it holds.
    pub kind: SlotKind,
    /// The item, or the engine's own bytes.
    pub body: Bytes,
}

impl Slot {
    /// The entry of the total order that it holds, if it holds one.
    #[must_use]
    pub const fn entry(&self) -> Option<(Zxid, &Item)> {
        match self.kind {
            SlotKind::Item => Some((self.at, &self.body)),
            SlotKind::Empty | SlotKind::Control => None,
        }
    }
}

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SlotKind {
    /// Nothing.
    Empty,
    /// An entry of the total order.
    Item,
    /// Something of the engine's own, that takes no place.
    Control,
}

/// Where an engine's own log begins. It is in force as soon as the durable state is at its place or
/// behind it; of several that are, the one with the largest index. The slots up to its index may go
/// then. If the log held others there, and no slot of this index and period, all of it is void.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Base {
    /// The last slot that the log does not hold.
    pub index: u64,
    /// Its period.
    pub period: u64,
    /// The last place of the total order up to it.
    pub at: Zxid,
    /// The configuration that was in force there, as the engine writes it.
    pub configuration: Bytes,
}
