//! Newtypes for every id and position, so that none can be passed for another.

use std::fmt;

/// A place in the total order: for ZAB `epoch << 32 | counter`, elsewhere the plain position.
///
/// Compared as ZooKeeper compares it: signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zxid(pub i64);

impl Zxid {
    /// Before every transaction.
    pub const ZERO: Zxid = Zxid(0);

    /// The position after this one in the same epoch.
    #[must_use]
    pub const fn next(self) -> Zxid {
        Zxid(self.0 + 1)
    }

    /// The leadership period: the upper 32 bits.
    #[must_use]
    pub const fn epoch(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The place within the epoch: the lower 32 bits.
    #[must_use]
    pub const fn counter(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A client's session, unique over the life of a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub i64);

impl SessionId {
    /// No session: a fresh connection, or work that the server does for itself.
    pub const NONE: SessionId = SessionId(0);
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A member of an ensemble (`myid`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

/// One client connection of this server: a slot that is used again, and the count of its uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    /// Index into the server's table of connections.
    pub slot: u32,
    /// Which user of the slot this is: an id of an earlier one matches nothing.
    pub generation: u32,
}

impl ConnectionId {
    /// No connection: the request comes from the server itself.
    pub const NONE: ConnectionId = ConnectionId { slot: u32::MAX, generation: 0 };
}

/// Log sequence number: a position in one member's journal. Never used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// Before every record: durable from the start.
    pub const ZERO: Lsn = Lsn(0);
}
