//! The inputs and outputs that all engines share.

use crate::record::Record;
use crate::view::{Decision, ReadLevel, View};
use base::{Lsn, NodeId, Zxid};
use bytes::Bytes;
use std::sync::Arc;
use trace::Event;

/// The proposer's own mark on a proposal: given back with its outcome, never sent anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Context(pub u64);

/// An entry of the total order: opaque to the engine.
pub type Item = Bytes;

/// One connection to another member, unique within a run. The engine numbers those that it dials,
/// the host those that it accepts: theirs have the highest bit set ([`LinkId::accepted`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

impl LinkId {
    /// The number of the `n`th accepted connection.
    #[must_use]
    pub const fn accepted(n: u64) -> LinkId {
        LinkId(n | 1 << 63)
    }

    /// Whether the host accepted it.
    #[must_use]
    pub const fn is_accepted(self) -> bool {
        self.0 >> 63 == 1
    }
}

/// What a port is for; each engine numbers its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel(pub u8);

/// Addresses under which one port can be reached, as text: `host:port`, IPv6 in brackets. Hosts
/// resolve the names anew each time.
pub type Addresses = Arc<[String]>;

/// A proposal on its way into the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The proposer's mark.
    pub context: Context,
    /// The place that the item itself names (ZooKeeper's transactions carry their zxid): the one
    /// after the last, as [`View`] told. Engines without primary order ignore it.
    pub at: Zxid,
    /// The item.
    pub item: Item,
}

/// Facts.
#[derive(Clone, Debug)]
pub enum Input {
    /// `now` reached the deadline.
    TimerExpired,
    /// The service asks for places in the order, all that it has at the moment.
    Proposed(Vec<Proposal>),
    /// The service asks when a read may run that must see what the level says.
    ReadRequested {
        /// The asker's mark.
        context: Context,
        /// What it must see.
        level: ReadLevel,
    },
    /// The service of a replica has a letter for the service of the primary. Letters of one link
    /// keep their order, also among the deliveries; those of a lost link are lost.
    Forward {
        /// Opaque.
        letter: Bytes,
    },
    /// The service of the primary answers a letter, or writes one.
    Answer {
        /// The link that [`Output::Forwarded`] named.
        to: LinkId,
        /// Opaque.
        letter: Bytes,
    },
    /// The service's answer to [`Output::HeartbeatDue`].
    Heartbeat {
        /// The link.
        link: LinkId,
        /// What the primary's service is to know.
        letter: Bytes,
    },
    /// A connection is there: FIFO and gap-free until it goes down.
    LinkUp {
        /// Which.
        link: LinkId,
        /// What it is for.
        channel: Channel,
    },
    /// It is gone, or what was dialled could not be reached.
    LinkDown {
        /// Which.
        link: LinkId,
        /// Why, for people.
        reason: String,
    },
    /// Bytes came, cut anywhere.
    Received {
        /// From where.
        link: LinkId,
        /// What.
        bytes: Bytes,
    },
    /// A port could not be opened, or is closed again.
    ListenFailed {
        /// Which.
        channel: Channel,
        /// Why, for people.
        reason: String,
    },
    /// The service asks that another member leads. An engine without leaders ignores it.
    TransferRequested {
        /// Who.
        to: NodeId,
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
    /// The state at this place, or a later one, is on the disk by itself: what led to it is needed
    /// no more. An engine with a log of its own answers with a [`Base`](crate::Base).
    Checkpointed {
        /// The place.
        at: Zxid,
    },
    /// The state that comes over the link is there whole, in place of ours. It is on its way to the
    /// disk: one of the next two follows.
    SnapshotReceived {
        /// From where.
        link: LinkId,
    },
    /// The state that came over the link is in place of ours, and on the disk.
    SnapshotInstalled {
        /// From where.
        link: LinkId,
        /// Its place in the order.
        at: Zxid,
        /// What came behind it.
        rest: Bytes,
    },
    /// The state that was to come is no state, and ours is what it was; or it is there, and could
    /// not be stored.
    SnapshotRefused {
        /// From where.
        link: LinkId,
        /// Why, for people.
        reason: String,
    },
    /// The state is what it was at the place that [`Output::ResetTo`] named.
    ResetDone {
        /// The last entries that it holds, without a gap.
        recent: Vec<(Zxid, Item)>,
    },
    /// There is no way back to that place: the state is what it was.
    ResetFailed {
        /// Why, for people.
        reason: String,
    },
    /// Entries that the log holds, in answer to [`Output::ReadLog`].
    LogRead {
        /// For which link they were asked.
        link: LinkId,
        /// All entries of the log from the first that is not before the place asked for on;
        /// empty if the log does not reach back there, or is too large.
        entries: Vec<(Zxid, Item)>,
    },
}

/// Commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Append to the journal; answered by [`Input::Durable`]. An lsn is never used twice, and no
    /// record becomes durable before those ahead of it.
    Persist {
        /// Where.
        lsn: Lsn,
        /// What.
        record: Record,
    },
    /// Send bytes behind all that were sent on this link. Not before `after` is durable.
    Send {
        /// Where to.
        link: LinkId,
        /// What.
        frame: Bytes,
        /// The gate.
        after: Lsn,
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
    /// What became of a proposal that is not delivered here: exactly one of this or a delivery,
    /// unless the view changes first, which makes all unknown.
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
    /// A letter for the service of the primary, which this is.
    Forwarded {
        /// The link to answer to.
        from: LinkId,
        /// Whose it is.
        node: NodeId,
        /// Opaque.
        letter: Bytes,
    },
    /// A letter of the primary's service.
    Answered {
        /// Opaque.
        letter: Bytes,
    },
    /// The primary wants a sign of life; the service says what it has heard, at once.
    HeartbeatDue {
        /// The link.
        link: LinkId,
    },
    /// What a replica's service answered to that.
    HeartbeatHeard {
        /// The link.
        from: LinkId,
        /// Whose it is.
        node: NodeId,
        /// Opaque.
        letter: Bytes,
    },
    /// Accept connections; in place of what was listened to for this channel.
    Listen {
        /// What they are for.
        channel: Channel,
        /// Where.
        addresses: Addresses,
    },
    /// Accept no more.
    Unlisten {
        /// What they were for.
        channel: Channel,
    },
    /// Connect to the first of these that answers; [`Input::LinkUp`] or [`Input::LinkDown`].
    Dial {
        /// The number of the connection.
        link: LinkId,
        /// What it is for.
        channel: Channel,
        /// Where.
        addresses: Addresses,
    },
    /// Close when all that was sent is gone; no more is heard of it.
    Close {
        /// Which.
        link: LinkId,
    },
    /// Send the state behind all that was sent on this link: all that was delivered before and
    /// whose gate is open, and perhaps some of what is applied while it is sent.
    SendSnapshot {
        /// Where to.
        link: LinkId,
    },
    /// What comes next on this link is a state, beginning with `rest`: put it in place of ours,
    /// and on the disk. All that is durable after `at` is void.
    FetchSnapshot {
        /// From where.
        link: LinkId,
        /// Its place in the order.
        at: Zxid,
        /// Its first bytes.
        rest: Bytes,
    },
    /// Go back to the state at this place, by what is on the disk: a truncation was persisted.
    ResetTo {
        /// The place.
        at: Zxid,
    },
    /// Read the log from the first entry on that is not before this place.
    ReadLog {
        /// For which link.
        link: LinkId,
        /// The place.
        from: Zxid,
    },
    /// Go no further: say why and end, nothing is lost.
    Fatal {
        /// Why, and what to do, for people.
        reason: String,
    },
    /// Something happened.
    Trace(Event),
}
