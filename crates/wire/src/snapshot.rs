//! The records of a snapshot file that are not the log's as well.

use crate::StatPersisted;
use jute::{Decode, Encode, Error, Reader, Writer};
use std::borrow::Cow;

/// Opens logs and snapshots alike: magic, version, database id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotHeader {
    /// Which kind of file.
    pub magic: i32,
    /// The format's version; 2.
    pub version: i32,
    /// -1 in snapshots, 0 in logs; nobody checks it.
    pub dbid: i64,
}

impl SnapshotHeader {
    /// "ZKSN".
    pub const SNAPSHOT_MAGIC: i32 = 0x5a4b_534e;
    /// "ZKLG".
    pub const LOG_MAGIC: i32 = 0x5a4b_4c47;
    /// Size in bytes.
    pub const SIZE: usize = 16;
    /// What a snapshot opens with.
    pub const SNAPSHOT: SnapshotHeader =
        SnapshotHeader { magic: Self::SNAPSHOT_MAGIC, version: 2, dbid: -1 };
    /// What a log opens with.
    pub const LOG: SnapshotHeader = SnapshotHeader { magic: Self::LOG_MAGIC, version: 2, dbid: 0 };
}

impl Encode for SnapshotHeader {
    fn encode(&self, out: &mut Vec<u8>) {
        Writer::new(out).int(self.magic).int(self.version).long(self.dbid);
    }
}

impl<'a> Decode<'a> for SnapshotHeader {
    fn decode(r: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(SnapshotHeader { magic: r.int()?, version: r.int()?, dbid: r.long()? })
    }
}

/// A node in a snapshot. The root's path is empty: "/" ends the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRecord<'a> {
    /// The whole path.
    pub path: Cow<'a, str>,
    /// The data; null stays null.
    pub data: Option<&'a [u8]>,
    /// An id of the snapshot's list of access lists, or -1 for the open one.
    pub acl_id: i64,
    /// The stored stat.
    pub stat: StatPersisted,
}

impl Encode for NodeRecord<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        Writer::new(out).string(&self.path).buffer(self.data).long(self.acl_id).record(&self.stat);
    }
}
