//! The bodies of client requests, read in place.

use crate::acl::Acls;
use jute::{Decode, Encode, Error, Reader, Writer, put_int, put_long, put_string};
use std::borrow::Cow;

/// A path that must be there: null is a malformed request.
fn path<'a>(r: &mut Reader<'a>) -> Result<Cow<'a, str>, Error> {
    r.string()?.ok_or(Error::BadLength(-1))
}

/// A path whose absence is an empty one: the operations that look it up, or check its form, first.
fn path_or_empty<'a>(r: &mut Reader<'a>) -> Result<Cow<'a, str>, Error> {
    Ok(r.string()?.unwrap_or_default())
}

/// create, create2, createContainer, and createTTL with its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateRequest<'a> {
    /// The node's path, before a sequence number is appended.
    pub path: Cow<'a, str>,
    /// The data; null stays null.
    pub data: Option<&'a [u8]>,
    /// The access list.
    pub acl: Option<Acls<'a>>,
    /// The create mode's number.
    pub flags: i32,
    /// The time to live in ms; -1 for the operations without one.
    pub ttl_ms: i64,
}

impl<'a> CreateRequest<'a> {
    /// Reads create, create2 and createContainer.
    ///
    /// # Errors
    /// If the bytes are no such record.
    pub fn decode(r: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(CreateRequest {
            path: path(r)?,
            data: r.buffer()?,
            acl: Acls::decode(r)?,
            flags: r.int()?,
            ttl_ms: -1,
        })
    }

    /// Reads createTTL.
    ///
    /// # Errors
    /// If the bytes are no such record.
    pub fn decode_ttl(r: &mut Reader<'a>) -> Result<Self, Error> {
        let request = CreateRequest::decode(r)?;
        Ok(CreateRequest { ttl_ms: r.long()?, ..request })
    }

    /// Writes the form without a time to live.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_string(out, &self.path);
        jute::put_buffer(out, self.data);
        match &self.acl {
            Some(acl) => acl.encode(out),
            None => put_int(out, -1),
        }
        put_int(out, self.flags);
    }

    /// Writes the form with a time to live.
    pub fn encode_ttl(&self, out: &mut Vec<u8>) {
        self.encode(out);
        put_long(out, self.ttl_ms);
    }
}

/// delete, and `check` inside a multi under another name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteRequest<'a> {
    /// The node.
    pub path: Cow<'a, str>,
    /// The version that it must have; -1 for any.
    pub version: i32,
}

/// check, inside a multi.
pub type CheckVersionRequest<'a> = DeleteRequest<'a>;

impl<'a> Decode<'a> for DeleteRequest<'a> {
    fn decode(r: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(DeleteRequest { path: path(r)?, version: r.int()? })
    }
}

impl Encode for DeleteRequest<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        Writer::new(out).string(&self.path).int(self.version);
    }
}

/// setData.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetDataRequest<'a> {
    /// The node.
    pub path: Cow<'a, str>,
    /// The new data; null stays null.
    pub data: Option<&'a [u8]>,
    /// The version that it must have; -1 for any.
    pub version: i32,
}

impl<'a> Decode<'a> for SetDataRequest<'a> {
    #[inline]
    fn decode(r: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(SetDataRequest { path: path_or_empty(r)?, data: r.buffer()?, version: r.int()? })
    }
}

impl Encode for SetDataRequest<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        Writer::new(out).string(&self.path).buffer(self.data).int(self.version);
    }
}

/// setACL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAclRequest<'a> {
    /// The node.
    pub path: Cow<'a, str>,
    /// The new access list.
    pub acl: Option<Acls<'a>>,
    /// The version that the access list must have; -1 for any.
    pub version: i32,
}

impl<'a> Decode<'a> for SetAclRequest<'a> {
    fn decode(r: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(SetAclRequest { path: path_or_empty(r)?, acl: Acls::decode(r)?, version: r.int()? })
    }
}

/// exists, getData, getChildren and getChildren2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathWatchRequest<'a> {
    /// The node.
    pub path: Cow<'a, str>,
    /// Whether to set a one-shot watch.
    pub watch: bool,
}

impl<'a> Decode<'a> for PathWatchRequest<'a> {
    fn decode(r: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(PathWatchRequest { path: path(r)?, watch: r.bool()? })
    }
}

impl Encode for PathWatchRequest<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        Writer::new(out).string(&self.path).bool(self.watch);
    }
}

/// sync, getACL, getAllChildrenNumber and getEphemerals: a path that may be null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRequest<'a> {
    /// The path.
    pub path: Option<Cow<'a, str>>,
}

impl<'a> Decode<'a> for PathRequest<'a> {
    fn decode(r: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(PathRequest { path: r.string()? })
    }
}

/// reconfig.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReconfigRequest<'a> {
    /// Members to add or change.
    pub joining: Option<Cow<'a, str>>,
    /// Ids of members to remove.
    pub leaving: Option<Cow<'a, str>>,
    /// The whole new membership.
    pub members: Option<Cow<'a, str>>,
    /// The version that the configuration must have; -1 for any.
    pub config_id: i64,
}

impl<'a> Decode<'a> for ReconfigRequest<'a> {
    fn decode(r: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(ReconfigRequest {
            joining: r.string()?,
            leaving: r.string()?,
            members: r.string()?,
            config_id: r.long()?,
        })
    }
}

/// checkWatches and removeWatches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckWatchesRequest<'a> {
    /// The node.
    pub path: Cow<'a, str>,
    /// The number of a [`crate::WatcherType`].
    pub watcher_type: i32,
}

impl<'a> Decode<'a> for CheckWatchesRequest<'a> {
    fn decode(r: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(CheckWatchesRequest { path: path_or_empty(r)?, watcher_type: r.int()? })
    }
}

/// addWatch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddWatchRequest<'a> {
    /// The node.
    pub path: Cow<'a, str>,
    /// The number of a [`crate::AddWatchMode`].
    pub mode: i32,
}

impl<'a> Decode<'a> for AddWatchRequest<'a> {
    fn decode(r: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(AddWatchRequest { path: path_or_empty(r)?, mode: r.int()? })
    }
}

/// auth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthPacket<'a> {
    /// Sent as 0.
    pub auth_type: i32,
    /// Which scheme the credentials are for.
    pub scheme: Option<Cow<'a, str>>,
    /// The credentials.
    pub auth: Option<&'a [u8]>,
}

impl<'a> Decode<'a> for AuthPacket<'a> {
    fn decode(r: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(AuthPacket { auth_type: r.int()?, scheme: r.string()?, auth: r.buffer()? })
    }
}

/// A vector of strings in place: well-formed bytes, decoded as they are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strings<'a> {
    count: usize,
    bytes: &'a [u8],
    null: bool,
}

impl<'a> Strings<'a> {
    /// A vector that is not there, where a record keeps it apart from an empty one.
    pub const NULL: Strings<'static> = Strings { count: 0, bytes: &[], null: true };

    /// Whether it is not there.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.null
    }

    /// Reads a vector; `None` for null.
    ///
    /// # Errors
    /// If any element is not well-formed.
    pub fn decode(r: &mut Reader<'a>) -> Result<Option<Strings<'a>>, Error> {
        let Some(count) = r.count(4)? else { return Ok(None) };
        let start = r.rest();
        for _ in 0..count {
            r.buffer()?;
        }
        Ok(Some(Strings { count, bytes: &start[..start.len() - r.rest().len()], null: false }))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The strings; null reads as empty.
    pub fn iter(&self) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
        let mut r = Reader::new(self.bytes);
        (0..self.count).map(move |_| r.string().expect("checked when read").unwrap_or_default())
    }
}

impl Encode for Strings<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        if self.null {
            return put_int(out, -1);
        }
        put_int(out, i32::try_from(self.count).expect("counts are bounded by frames"));
        out.extend_from_slice(self.bytes);
    }
}

/// setWatches and setWatches2. A vector that is null is malformed, but only once its turn has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetWatchesRequest<'a> {
    /// The highest zxid that the client has seen.
    pub relative_zxid: i64,
    /// Paths with one-shot watches on data.
    pub data: Strings<'a>,
    /// Paths with one-shot watches on existence.
    pub exist: Strings<'a>,
    /// Paths with one-shot watches on children.
    pub child: Strings<'a>,
    /// Paths with persistent watches.
    pub persistent: Strings<'a>,
    /// Paths with persistent and recursive watches.
    pub persistent_recursive: Strings<'a>,
}

impl<'a> SetWatchesRequest<'a> {
    /// Reads setWatches.
    ///
    /// # Errors
    /// If the bytes are no such record.
    pub fn decode(r: &mut Reader<'a>) -> Result<Self, Error> {
        let vector = |r: &mut Reader<'a>| Ok(Strings::decode(r)?.unwrap_or(Strings::NULL));
        Ok(SetWatchesRequest {
            relative_zxid: r.long()?,
            data: vector(r)?,
            exist: vector(r)?,
            child: vector(r)?,
            ..SetWatchesRequest::default()
        })
    }

    /// Reads setWatches2.
    ///
    /// # Errors
    /// If the bytes are no such record.
    pub fn decode2(r: &mut Reader<'a>) -> Result<Self, Error> {
        let vector = |r: &mut Reader<'a>| Ok(Strings::decode(r)?.unwrap_or(Strings::NULL));
        let request = SetWatchesRequest::decode(r)?;
        Ok(SetWatchesRequest {
            persistent: vector(r)?,
            persistent_recursive: vector(r)?,
            ..request
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{CreateRequest, DeleteRequest, PathWatchRequest, SetDataRequest};
    use crate::Acls;
    use jute::{Decode, Encode, Reader};

    #[test]
    fn a_request_reads_back_and_borrows() {
        let request = CreateRequest {
            path: "/a".into(),
            data: Some(b"xyz"),
            acl: Some(Acls::OPEN),
            flags: 2,
            ttl_ms: 77,
        };
        let mut bytes = Vec::new();
        request.encode_ttl(&mut bytes);
        assert_eq!(CreateRequest::decode_ttl(&mut Reader::new(&bytes)), Ok(request));
    }

    #[test]
    fn null_data_is_kept_apart_from_empty_data() {
        let request = SetDataRequest { path: "/a".into(), data: None, version: -1 };
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        assert_eq!(SetDataRequest::decode(&mut Reader::new(&bytes)), Ok(request));
    }

    #[test]
    fn a_null_path_is_malformed_or_empty_by_what_the_operation_does_first() {
        let null_path_and_zeros = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0];
        let r = || Reader::new(&null_path_and_zeros);
        assert_eq!(SetDataRequest::decode(&mut r()).unwrap().path, "");
        assert!(DeleteRequest::decode(&mut r()).is_err());
        assert!(PathWatchRequest::decode(&mut r()).is_err());
    }
}
