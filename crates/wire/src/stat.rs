//! What is known of a node besides its data, in the client's form and in the stored form.

use jute::{Decode, Encode, Error, Reader, Writer};

/// A node's stat as clients see it. 68 bytes.
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

impl Encode for Stat {
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
            .int(self.data_length)
            .int(self.num_children)
            .long(self.pzxid);
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
