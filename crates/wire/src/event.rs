//! Watch events and the numbers of the watch operations.

use crate::header::{ReplyHeader, xid};
use jute::{Encode, put_int, put_string};

/// What happened to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// It was created.
    NodeCreated = 1,
    /// It was deleted.
    NodeDeleted = 2,
    /// Its data was set.
    NodeDataChanged = 3,
    /// A child came or went.
    NodeChildrenChanged = 4,
}

/// The session state that every event of a server carries: connected.
const STATE_SYNC_CONNECTED: i32 = 3;

/// Appends the payload of an event frame (without the frame's length).
pub fn encode_event(out: &mut Vec<u8>, zxid: i64, event: EventType, path: &str) {
    ReplyHeader { xid: xid::NOTIFICATION, zxid, err: 0 }.encode(out);
    put_int(out, event as i32);
    put_int(out, STATE_SYNC_CONNECTED);
    put_string(out, path);
}

/// Which watches a check or a removal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatcherType {
    /// One-shot watches on children.
    Children = 1,
    /// One-shot watches on data and existence.
    Data = 2,
    /// All of a path.
    Any = 3,
    /// Persistent ones.
    Persistent = 4,
    /// Persistent and recursive ones.
    PersistentRecursive = 5,
}

impl WatcherType {
    /// The type with that number.
    #[must_use]
    pub const fn from_number(number: i32) -> Option<WatcherType> {
        Some(match number {
            1 => WatcherType::Children,
            2 => WatcherType::Data,
            3 => WatcherType::Any,
            4 => WatcherType::Persistent,
            5 => WatcherType::PersistentRecursive,
            _ => return None,
        })
    }
}

/// The modes of an addWatch request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddWatchMode {
    /// Stays, on the node alone.
    Persistent = 0,
    /// Stays, on the node and all below it.
    PersistentRecursive = 1,
}

impl AddWatchMode {
    /// The mode with that number.
    #[must_use]
    pub const fn from_number(number: i32) -> Option<AddWatchMode> {
        match number {
            0 => Some(AddWatchMode::Persistent),
            1 => Some(AddWatchMode::PersistentRecursive),
            _ => None,
        }
    }
}
