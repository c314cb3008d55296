//! Access lists: owned for what is kept, raw for what only passes through.

use jute::{Decode, Encode, Error, Reader, put_int, put_string};
use std::borrow::Cow;

/// Permission bits.
pub mod perms {
    /// Read data and children, and receive watch events.
    pub const READ: i32 = 1;
    /// Write data.
    pub const WRITE: i32 = 2;
    /// Create children.
    pub const CREATE: i32 = 4;
    /// Delete children.
    pub const DELETE: i32 = 8;
    /// Change the access list.
    pub const ADMIN: i32 = 16;
    /// All of them.
    pub const ALL: i32 = 31;
}

/// The id that stands for `world:anyone` with all permissions in logs and snapshots.
pub const OPEN_ACL_ID: i64 = -1;

/// An identity: of a connection, or of an access list's entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Which scheme knows it.
    pub scheme: String,
    /// What the scheme knows.
    pub id: String,
}

impl Id {
    /// The identity `scheme:id`.
    pub fn new(scheme: impl Into<String>, id: impl Into<String>) -> Id {
        Id { scheme: scheme.into(), id: id.into() }
    }
}

impl Encode for Id {
    fn encode(&self, out: &mut Vec<u8>) {
        put_string(out, &self.scheme);
        put_string(out, &self.id);
    }
}

/// One entry of an access list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Acl {
    /// Permission bits; any value is kept.
    pub perms: i32,
    /// Who has them.
    pub id: Id,
}

impl Acl {
    /// The list that allows everyone everything.
    #[must_use]
    pub fn open() -> Vec<Acl> {
        vec![Acl { perms: perms::ALL, id: Id::new("world", "anyone") }]
    }

    /// The list that allows everyone to read.
    #[must_use]
    pub fn read_only() -> Vec<Acl> {
        vec![Acl { perms: perms::READ, id: Id::new("world", "anyone") }]
    }
}

impl Encode for Acl {
    fn encode(&self, out: &mut Vec<u8>) {
        put_int(out, self.perms);
        self.id.encode(out);
    }
}

/// An entry in place. Scheme and id may be null on the wire, which no list may keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclRef<'a> {
    /// Permission bits.
    pub perms: i32,
    /// The scheme.
    pub scheme: Option<Cow<'a, str>>,
    /// The id.
    pub id: Option<Cow<'a, str>>,
}

impl<'a> Decode<'a> for AclRef<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(AclRef { perms: reader.int()?, scheme: reader.string()?, id: reader.string()? })
    }
}

impl AclRef<'_> {
    /// An owned entry; a null scheme or id becomes empty.
    #[must_use]
    pub fn to_owned(&self) -> Acl {
        let text = |s: &Option<Cow<'_, str>>| s.as_deref().unwrap_or_default().to_owned();
        Acl { perms: self.perms, id: Id { scheme: text(&self.scheme), id: text(&self.id) } }
    }
}

/// A vector of entries in place: well-formed bytes, decoded as they are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acls<'a> {
    count: usize,
    /// The elements, without the count.
    bytes: &'a [u8],
}

/// perms, and two strings of at least a length each.
const ACL_SIZE_MIN: usize = 12;

impl<'a> Acls<'a> {
    /// The list that allows everyone everything, as clients encode it.
    pub const OPEN: Acls<'static> =
        Acls { count: 1, bytes: b"\0\0\0\x1f\0\0\0\x05world\0\0\0\x06anyone" };

    /// Reads a vector; `None` for null.
    ///
    /// # Errors
    /// If any entry is not well-formed.
    pub fn decode(reader: &mut Reader<'a>) -> Result<Option<Acls<'a>>, Error> {
        let Some(count) = reader.count(ACL_SIZE_MIN)? else { return Ok(None) };
        let start = reader.rest();
        for _ in 0..count {
            reader.int()?;
            reader.buffer()?;
            reader.buffer()?;
        }
        Ok(Some(Acls { count, bytes: &start[..start.len() - reader.rest().len()] }))
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The entries.
    pub fn iter(&self) -> impl Iterator<Item = AclRef<'a>> + use<'a> {
        let mut reader = Reader::new(self.bytes);
        (0..self.count).map(move |_| AclRef::decode(&mut reader).expect("checked when read"))
    }

    /// Owned entries.
    #[must_use]
    pub fn to_vec(&self) -> Vec<Acl> {
        self.iter().map(|acl| acl.to_owned()).collect()
    }
}

impl Encode for Acls<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        put_int(out, i32::try_from(self.count).expect("counts are bounded by frames"));
        out.extend_from_slice(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::{Acl, Acls};
    use jute::{Encode, Reader, Writer};

    #[test]
    fn the_open_list_is_what_clients_send() {
        let mut bytes = Vec::new();
        Writer::new(&mut bytes).vector(&Acl::open());
        let acls = Acls::decode(&mut Reader::new(&bytes)).unwrap().unwrap();
        assert_eq!(acls, Acls::OPEN);
        assert_eq!(acls.to_vec(), Acl::open());
        let mut again = Vec::new();
        acls.encode(&mut again);
        assert_eq!(again, bytes);
    }
}
