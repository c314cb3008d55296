//! The inputs and outputs that all engines share, and the truths that tell them apart.

use base::{Lsn, Machine, Zxid};
use bytes::Bytes;

/// The proposer's own mark on a proposal: given back with its outcome, never sent anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Context(pub u64);

/// An entry of the total order: opaque to the engine.
pub type Item = Bytes;

/// Facts.
#[derive(Clone, Debug)]
pub enum Input {
    /// `now` reached the deadline.
    TimerExpired,
    /// The service asks for a place in the order. `at` is the place that the item itself names
    /// (ZooKeeper's transactions carry their zxid): the one after the last, as [`View`] told.
    Proposed {
        /// The proposer's mark.
        context: Context,
        /// The place that the item names.
        at: Zxid,
        /// The item.
        item: Item,
    },
    /// The service asks when a read may run that must see all that was decided before.
    ReadRequested {
        /// The asker's mark.
        context: Context,
    },
    /// The journal has made everything up to here durable.
    Durable {
        /// The last durable record.
        upto: Lsn,
    },
    /// The journal has failed at this record. The engine is silent for ever.
    DiskFailed {
        /// The first record that is not durable.
        at: Lsn,
    },
}

/// Commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Append to the journal; answered by [`Input::Durable`]. An lsn is never used twice.
    Persist {
        /// Where.
        lsn: Lsn,
        /// The place in the order that the record holds.
        at: Zxid,
        /// What.
        record: Item,
    },
    /// The next entry of the total order. Not before `after` is durable.
    Deliver {
        /// Its place.
        at: Zxid,
        /// The proposer's mark, if it was proposed here.
        context: Option<Context>,
        /// The entry.
        item: Item,
        /// The gate.
        after: Lsn,
    },
    /// The role changed; in one stream with the deliveries.
    View(View),
    /// What became of a proposal that is not delivered here: exactly one of this or a delivery.
    Outcome {
        /// The proposer's mark.
        context: Context,
        /// What became of it.
        decision: Decision,
    },
    /// A read may run once everything up to this place is applied.
    ReadReady {
        /// The asker's mark.
        context: Context,
        /// The place.
        at_least: Zxid,
    },
}

/// What became of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It never took a place, and never will.
    Rejected(Refusal),
    /// It may or may not have a place: only the order itself can tell.
    Unknown,
}

/// Why a proposal was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The place that it names is not the next one.
    OutOfOrder,
    /// The disk has failed.
    DiskFailed,
}

/// What this member may do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// It may propose; the first place that it may name follows `last`.
    Primary {
        /// The last place that is taken.
        last: Zxid,
    },
    /// It may not.
    Silent,
}

/// How an engine's order comes about, for those who must know the difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truths {
    /// The name in the configuration.
    pub name: &'static str,
    /// Whether one member at a time proposes, and all of its proposals keep their order.
    pub primary_order: bool,
    /// Whether links to peers must be FIFO.
    pub fifo_links: bool,
    /// How the membership changes.
    pub membership: Membership,
    /// Which reads it offers beyond the local one.
    pub reads: Reads,
}

/// How the membership changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// It does not: there is one member.
    Alone,
}

/// Which reads an engine offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Every read is linearizable: there is nobody to lag behind.
    Always,
}

/// A total-order broadcast engine.
pub trait Engine: Machine<Input = Input, Output = Output> {
    /// What is true of every run of it.
    const TRUTHS: Truths;
}
