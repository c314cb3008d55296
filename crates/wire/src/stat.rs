//! What is known of a node besides its data, in the client's form and in the stored form.

use jute::{Decode, Encode, Error, Reader, Writer};

/// A node's stat as clients see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stat {
    /// Zxid of the creation.
    pub czxid: i64,
    /// Zxid of the last change of the data.
    pub mzxid: i64,
    /// Wall time of the creation, in ms.
    pub ctime: i64,
    /// Wall time of the last change of the data, in ms.
    pub mtime: i64,
    /// How often the data changed.
    pub version: i32,
    /// How often a child came or went.
    pub cversion: i32,
    /// How often the access list changed.
    pub aversion: i32,
    /// The session that an ephemeral node lives with; 0 for all others.
    pub ephemeral_owner: i64,
    /// Size of the data in bytes.
    pub data_length: i32,
    /// How many children there are.
    pub num_children: i32,
    /// Zxid of the last creation or deletion of a child.
    pub pzxid: i64,
}

impl Stat {
    /// Size in bytes.
    pub const SIZE: usize = 68;
}

impl Encode for Stat {
    fn encode(&self, out: &mut Vec<u8>) {
        // In one piece: most replies have a stat, and each append would look for room anew.
        let mut bytes = [0; Stat::SIZE];
        bytes[..8].copy_from_slice(&self.czxid.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.mzxid.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.ctime.to_be_bytes());
        bytes[24..32].copy_from_slice(&self.mtime.to_be_bytes());
        bytes[32..36].copy_from_slice(&self.version.to_be_bytes());
        bytes[36..40].copy_from_slice(&self.cversion.to_be_bytes());
        bytes[40..44].copy_from_slice(&self.aversion.to_be_bytes());
        bytes[44..52].copy_from_slice(&self.ephemeral_owner.to_be_bytes());
        bytes[52..56].copy_from_slice(&self.data_length.to_be_bytes());
        bytes[56..60].copy_from_slice(&self.num_children.to_be_bytes());
        bytes[60..].copy_from_slice(&self.pzxid.to_be_bytes());
        out.extend_from_slice(&bytes);
    }
}

impl<'a> Decode<'a> for Stat {
    fn decode(r: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(Stat {
            czxid: r.long()?,
            mzxid: r.long()?,
            ctime: r.long()?,
            mtime: r.long()?,
            version: r.int()?,
            cversion: r.int()?,
            aversion: r.int()?,
            ephemeral_owner: r.long()?,
            data_length: r.int()?,
            num_children: r.int()?,
            pzxid: r.long()?,
        })
    }
}

/// A node's stat as logs and snapshots keep it. 60 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StatPersisted {
    /// Zxid of the creation.
    pub czxid: i64,
    /// Zxid of the last change of the data.
    pub mzxid: i64,
    /// Wall time of the creation, in ms.
    pub ctime: i64,
    /// Wall time of the last change of the data, in ms.
    pub mtime: i64,
    /// How often the data changed.
    pub version: i32,
    /// How many children were ever created: not what clients see.
    pub cversion: i32,
    /// How often the access list changed.
    pub aversion: i32,
    /// Whose node it is, or its kind (see [`crate::OwnerRules`]).
    pub ephemeral_owner: i64,
    /// Zxid of the last creation or deletion of a child.
    pub pzxid: i64,
}

impl Encode for StatPersisted {
    fn encode(&self, out: &mut Vec<u8>) {
        Writer::new(out)
            .long(self.czxid)
            .long(self.mzxid)
            .long(self.ctime)
            .long(self.mtime)
            .int(self.version)
            .int(self.cversion)
            .int(self.aversion)
            .long(self.ephemeral_owner)
            .long(self.pzxid);
    }
}

impl<'a> Decode<'a> for StatPersisted {
    fn decode(r: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(StatPersisted {
            czxid: r.long()?,
            mzxid: r.long()?,
            ctime: r.long()?,
            mtime: r.long()?,
            version: r.int()?,
            cversion: r.int()?,
            aversion: r.int()?,
            ephemeral_owner: r.long()?,
            pzxid: r.long()?,
        })
    }
}
