//! What a host tells a member, and what a member wants done.

use base::{Lsn, WallTime, Zxid};
use broadcast::{Addresses, Base, Channel, Item, LinkId, Slot};
use bytes::Bytes;
use keeper::Submissions;
use trace::Event;
use tree::Tree;

/// Facts.
#[derive(Debug)]
pub enum Input {
    /// Connections ask for something, in this order.
    Submitted {
        /// What.
        submissions: Submissions,
        /// The wall time, which new nodes get.
        wall: WallTime,
    },
    /// `now` reached the deadline.
    TimerExpired {
        /// The wall time.
        wall: WallTime,
    },
    /// Everything is durable up to here.
    Durable {
        /// The last durable record.
        upto: Lsn,
        /// The wall time, for what connections submit in turn.
        wall: WallTime,
    },
    /// The journal has failed.
    DiskFailed {
        /// Why, for people.
        reason: String,
    },
    /// The snapshot that was asked for is complete.
    SnapshotTaken {
        /// Its name's zxid.
        zxid: Zxid,
    },
    /// The snapshot that was asked for could not be written.
    SnapshotFailed {
        /// Its name's zxid.
        zxid: Zxid,
        /// Why, for people.
        reason: String,
    },
    /// A connection to another member is there.
    LinkUp {
        /// Which: the number that [`Output::Dial`] gave, or one that the host gave to a
        /// connection that it accepted.
        link: LinkId,
        /// What it is for.
        channel: Channel,
    },
    /// A connection to another member is gone, or could not be made.
    LinkDown {
        /// Which.
        link: LinkId,
        /// Why, for people.
        reason: String,
    },
    /// Bytes came from another member, cut anywhere.
    Received {
        /// From where.
        link: LinkId,
        /// What.
        bytes: Bytes,
        /// The wall time, which new nodes get.
        wall: WallTime,
    },
    /// A port could not be opened, or is closed again; the member asks anew when it wants it.
    ListenFailed {
        /// What it was for.
        channel: Channel,
        /// Why, for people.
        reason: String,
    },
    /// The state that [`Output::Reload`] asked for.
    Reloaded {
        /// The tree.
        tree: Box<Tree>,
        /// The last entries that it holds, without a gap.
        recent: Vec<(Zxid, Item)>,
    },
    /// What is on the disk does not lead to the place that [`Output::Reload`] asked for.
    ReloadFailed {
        /// Why, for people.
        reason: String,
    },
    /// The host is about to stop: another member is to lead, if this one does.
    Leaving,
    /// What [`Output::ReadLog`] asked for.
    LogRead {
        /// For which link.
        link: LinkId,
        /// The entries; empty if the log does not reach back so far, or is too large.
        entries: Vec<(Zxid, Item)>,
    },
}

/// Commands, to be performed in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Append to the journal. The host makes it durable when it has performed all outputs, and
    /// answers with [`Input::Durable`].
    Append {
        /// The record's number.
        lsn: Lsn,
        /// The transaction's place.
        at: Zxid,
        /// The record.
        record: Item,
    },
    /// Take away what the log holds after this place, and the snapshots of later places.
    Truncate {
        /// The record's number.
        lsn: Lsn,
        /// The last place that is left.
        to: Zxid,
    },
    /// Write a number of the engine's into its file, when all before it is durable.
    Register {
        /// The record's number.
        lsn: Lsn,
        /// The file's name.
        name: &'static str,
        /// The number.
        value: i64,
    },
    /// Write a text of the engine's into its file, when all before it is durable; none removes it.
    Text {
        /// The record's number.
        lsn: Lsn,
        /// The file's name.
        name: &'static str,
        /// The text.
        text: Option<String>,
    },
    /// Write a slot of the engine's own log, behind all that are there.
    Slot {
        /// The record's number.
        lsn: Lsn,
        /// The slot.
        slot: Slot,
    },
    /// Take away every slot from this index on.
    Cut {
        /// The record's number.
        lsn: Lsn,
        /// The first that is void.
        from: u64,
    },
    /// The engine's own log begins behind this, whose place a durable snapshot covers.
    Base {
        /// The record's number.
        lsn: Lsn,
        /// Where.
        base: Base,
    },
    /// The engine's own log begins behind this as soon as the state of its place is installed.
    Announced {
        /// The record's number.
        lsn: Lsn,
        /// Where.
        base: Base,
    },
    /// Begin a new log file with the next record.
    Roll,
    /// Take a snapshot beside the service; answered by [`Input::SnapshotTaken`] or
    /// [`Input::SnapshotFailed`].
    TakeSnapshot,
    /// Send bytes to another member, behind all that were sent on this link.
    Send {
        /// Where to.
        link: LinkId,
        /// What.
        frame: Bytes,
    },
    /// Send the tree behind all that was sent on this link: what it holds now, and perhaps some of
    /// what it takes up while it is sent.
    SendSnapshot {
        /// Where to.
        link: LinkId,
    },
    /// Accept connections of other members, in place of where this was done for the channel.
    Listen {
        /// What they are for.
        channel: Channel,
        /// Where: `host:port`.
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
        /// Where: `host:port`.
        addresses: Addresses,
    },
    /// Close when all that was sent is gone; the member wants to hear no more of it.
    Close {
        /// Which.
        link: LinkId,
    },
    /// The tree is another one, of this place, whose snapshot is about to be taken: nothing of the
    /// old one is written any more.
    BeginInstall {
        /// The place.
        at: Zxid,
    },
    /// The snapshot of this place, which is complete, holds all that counts: take away what the log
    /// and other snapshots hold of later places.
    Install {
        /// The place.
        at: Zxid,
    },
    /// Give the state at this place, from the disk, when all before it is durable.
    Reload {
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
    /// Say why and end; nothing is lost.
    Fatal {
        /// Why, and what to do, for people.
        reason: String,
    },
    /// Something happened.
    Event(Event),
}

impl Output {
    /// The transaction that it logs, if it logs one.
    #[must_use]
    pub fn transaction(&self) -> Option<&Item> {
        if let Output::Append { record, .. } = self {
            return Some(record);
        }
        if let Output::Slot { slot, .. } = self { slot.entry().map(|(_, item)| item) } else { None }
    }
}
