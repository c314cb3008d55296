//! Snapshots: `snapshot.<zxid>` files of sessions, access lists and nodes, sealed by checksums.
//!
//! A stream of a header, the sessions, the access lists, the nodes in pre-order, "/", a seal, and
//! then, each with a seal of its own, the digest and the last zxid. A seal is the Adler-32 of all
//! that was before it, and "/". The whole stream may be compressed.

mod check;
mod reader;
mod source;
#[cfg(test)]
mod tests;
mod writer;
mod xerial;

pub use check::{looks_complete, newest_valid};
pub use reader::{SnapshotItem, SnapshotReader};
pub use writer::{SnapshotWriter, WrittenSnapshot};

use base::Zxid;

/// A tree's digest, and when it was that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotDigest {
    /// The last transaction applied before it was taken.
    pub zxid: Zxid,
    /// How it is computed; 2. Older ones are text and cannot be compared.
    pub version: i32,
    /// The sum over all nodes; zero for a version below 2.
    pub tree: u64,
}

/// What follows the nodes. Files of old servers lack one part or both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotTrailer {
    /// The digest at the end of the walk over the tree.
    pub digest: Option<SnapshotDigest>,
    /// What was applied at the end of that walk.
    pub last_zxid: Option<Zxid>,
}

impl SnapshotTrailer {
    /// The last transaction of which something may be in the snapshot, as far as it says.
    pub(crate) fn end(&self) -> Option<Zxid> {
        self.last_zxid.max(self.digest.map(|digest| digest.zxid))
    }
}

/// Follows every seal's checksum; also ends the nodes.
const END_MARK: &str = "/";
