//! Packets between a leader and a learner: a type, a zxid, data, and the ids of a client.
//!
//! A stream of packets has no framing, so that a packet's end is found by its lengths. All but
//! forwarded requests have null ids: the end of those is known from two integers.
//! Source: `QuorumPacket` of the reference's `zookeeper.jute`.

use crate::Id;
use jute::{Encode, Error, Reader, put_buffer, put_int, put_long};
use std::borrow::Cow;

macro_rules! packet_kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// What a packet is for. A learner is a follower or an observer.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum PacketKind { $($(#[$doc])* $name = $number,)* }

        impl PacketKind {
            /// Every kind, by its number.
            pub const ALL: &[PacketKind] = &[$(PacketKind::$name,)*];

            /// The kind with that number.
            #[must_use]
            pub const fn from_number(number: i32) -> Option<PacketKind> {
                match number { $($number => Some(PacketKind::$name),)* _ => None }
            }
        }
    };
}

packet_kinds! {
    /// Learner to leader: a client's write or sync, as [`super::ForwardedRequest`].
    Request = 1,
    /// Leader to learner: a transaction to log, as in the log.
    Proposal = 2,
    /// Follower to leader: everything up to the zxid is on disk.
    Ack = 3,
    /// Leader to learner: the proposal with that zxid is decided.
    Commit = 4,
    /// Both ways: a sign of life; a learner's carries [`super::Touches`].
    Ping = 5,
    /// Both ways: whether a session lives, [`super::Revalidate`] and [`super::RevalidateReply`].
    Revalidate = 6,
    /// Leader to learner: the learner's oldest sync is answered.
    Sync = 7,
    /// Leader to observer: a transaction that is decided.
    Inform = 8,
    /// Leader to follower: a reconfiguration is decided, as [`super::Activation`].
    CommitAndActivate = 9,
    /// Leader to learner: the history is complete; data is the configuration's text.
    NewLeader = 10,
    /// Follower to leader: it comes first; data is [`super::LearnerInfo`].
    FollowerInfo = 11,
    /// Leader to learner: serve clients.
    UpToDate = 12,
    /// Leader to learner: proposals follow that go on from the learner's history.
    Diff = 13,
    /// Leader to learner: cut the history behind the zxid.
    Trunc = 14,
    /// Leader to learner: an image of the tree follows on the stream, outside of any packet.
    Snap = 15,
    /// Observer to leader: as [`PacketKind::FollowerInfo`].
    ObserverInfo = 16,
    /// Leader to learner: the new epoch.
    LeaderInfo = 17,
    /// Learner to leader: the promise to take part in no older epoch.
    AckEpoch = 18,
    /// Leader to observer: a decided reconfiguration, as [`super::Activation`].
    InformAndActivate = 19,
}

impl PacketKind {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }
}

/// Size of a packet without data and ids in bytes: the least that a packet has.
pub const PACKET_SIZE_MIN: usize = 20;

/// Type and zxid, which stand before the length of the data.
const HEAD_SIZE: usize = 12;

/// An id has two strings of at least a length each.
const ID_SIZE_MIN: usize = 8;

/// One packet, read in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The type's number; members ignore packets of types that they do not know.
    pub kind: i32,
    /// A place in the order, or what else the type makes of it.
    pub zxid: i64,
    /// What the type asks for; `None` for null.
    pub data: Option<&'a [u8]>,
    /// The ids of the client that a request comes from; `None` for null.
    pub auth_ids: Option<AuthIds<'a>>,
}

impl<'a> Packet<'a> {
    /// Reads one whole packet, as [`packet_len`] cuts it.
    ///
    /// # Errors
    /// If `bytes` end early, a length is not allowed, or bytes are left over.
    pub fn decode(bytes: &'a [u8]) -> Result<Packet<'a>, Error> {
        let mut r = Reader::new(bytes);
        let packet = Packet {
            kind: r.int()?,
            zxid: r.long()?,
            data: r.buffer()?,
            auth_ids: AuthIds::decode(&mut r)?,
        };
        match i32::try_from(r.rest().len()) {
            Ok(0) => Ok(packet),
            left => Err(Error::BadLength(left.unwrap_or(i32::MAX))),
        }
    }

    /// The type, if it is known.
    #[must_use]
    pub const fn kind(&self) -> Option<PacketKind> {
        PacketKind::from_number(self.kind)
    }
}

impl Encode for Packet<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        put_int(out, self.kind);
        put_long(out, self.zxid);
        put_buffer(out, self.data);
        match &self.auth_ids {
            Some(ids) => ids.encode(out),
            None => put_int(out, -1),
        }
    }
}

/// The ids of a client in place: well-formed bytes, decoded as they are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthIds<'a> {
    count: usize,
    /// The ids, without the count.
    bytes: &'a [u8],
}

impl<'a> AuthIds<'a> {
    fn decode(r: &mut Reader<'a>) -> Result<Option<AuthIds<'a>>, Error> {
        let Some(length) = r.rest().first_chunk().map(|head| i32::from_be_bytes(*head)) else {
            return r.int().map(|_| None);
        };
        if length < -1 {
            return Err(Error::BadLength(length));
        }
        let Some(count) = r.count(ID_SIZE_MIN)? else { return Ok(None) };
        let start = r.rest();
        for _ in 0..count {
            r.buffer()?;
            r.buffer()?;
        }
        Ok(Some(AuthIds { count, bytes: &start[..start.len() - r.rest().len()] }))
    }

    /// How many ids there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The ids. A null scheme or id reads as empty.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + use<'a> {
        let mut r = Reader::new(self.bytes);
        (0..self.count).map(move |_| {
            let mut text = || r.string().expect("checked when read").unwrap_or_default();
            (text(), text())
        })
    }

    /// Owned ids.
    #[must_use]
    pub fn to_vec(&self) -> Vec<Id> {
        self.iter().map(|(scheme, id)| Id::new(scheme, id)).collect()
    }
}

impl Encode for AuthIds<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        put_int(out, i32::try_from(self.count).expect("counts are bounded by packets"));
        out.extend_from_slice(self.bytes);
    }
}

/// The length in bytes of the first packet in `bytes`, a piece of a stream that begins with it;
/// `None` if more bytes are needed to tell, or to complete the packet. Allocates nothing, and
/// looks at two integers if the packet has no ids.
///
/// # Errors
/// As soon as the bytes cannot become a packet of at most `limit` bytes: [`Error::BadLength`]
/// with the length of data, ids or a string that is negative or too long.
#[inline]
pub fn packet_len(bytes: &[u8], limit: usize) -> Result<Option<usize>, Error> {
    let Some(after_data) = field_end(bytes, HEAD_SIZE, limit.saturating_sub(4))? else {
        return Ok(None);
    };
    let Some(count) = int_at(bytes, after_data) else { return Ok(None) };
    let mut end = after_data + 4;
    if count > 0 {
        let Some(after_ids) = ids_end(bytes, end, count, limit)? else { return Ok(None) };
        end = after_ids;
    } else if count < -1 {
        return Err(Error::BadLength(count));
    }
    Ok(if end <= bytes.len() { Some(end) } else { None })
}

/// Where `count` ids that begin at `start` end.
#[cold]
fn ids_end(bytes: &[u8], start: usize, count: i32, limit: usize) -> Result<Option<usize>, Error> {
    let left = usize::try_from(count).unwrap_or(usize::MAX);
    if left.saturating_mul(ID_SIZE_MIN) > limit.saturating_sub(start) {
        return Err(Error::BadLength(count));
    }
    let mut end = start;
    for strings_left in (0..2 * left).rev() {
        let Some(next) = field_end(bytes, end, limit.saturating_sub(4 * strings_left))? else {
            return Ok(None);
        };
        end = next;
    }
    Ok(Some(end))
}

/// Where the buffer ends whose length stands at `at`, if the length is there.
#[inline]
fn field_end(bytes: &[u8], at: usize, limit: usize) -> Result<Option<usize>, Error> {
    let Some(length) = int_at(bytes, at) else { return Ok(None) };
    let size = if length == -1 { 0 } else { usize::try_from(length).unwrap_or(usize::MAX) };
    let end = (at + 4).saturating_add(size);
    if end > limit { Err(Error::BadLength(length)) } else { Ok(Some(end)) }
}

#[inline]
fn int_at(bytes: &[u8], at: usize) -> Option<i32> {
    bytes.get(at..)?.first_chunk().map(|int| i32::from_be_bytes(*int))
}

/// Appends a packet without ids.
#[inline]
pub fn put_packet(out: &mut Vec<u8>, kind: PacketKind, zxid: i64, data: Option<&[u8]>) {
    out.reserve(PACKET_SIZE_MIN + data.map_or(0, <[u8]>::len));
    put_int(out, kind.number());
    put_long(out, zxid);
    put_buffer(out, data);
    put_int(out, -1);
}

/// Appends a packet without ids whose data is what `write` appends.
///
/// # Panics
/// If that is 2^31 bytes or more.
pub fn put_packet_with_data(
    out: &mut Vec<u8>,
    kind: PacketKind,
    zxid: i64,
    write: impl FnOnce(&mut Vec<u8>),
) {
    put_int(out, kind.number());
    put_long(out, zxid);
    put_sized(out, write);
    put_int(out, -1);
}

/// Appends a packet with a client's ids.
pub fn put_packet_with_ids(
    out: &mut Vec<u8>,
    kind: PacketKind,
    zxid: i64,
    data: Option<&[u8]>,
    ids: &[Id],
) {
    put_int(out, kind.number());
    put_long(out, zxid);
    put_buffer(out, data);
    put_ids(out, ids);
}

pub(super) fn put_ids(out: &mut Vec<u8>, ids: &[Id]) {
    put_int(out, i32::try_from(ids.len()).expect("a client's ids are bounded far below that"));
    ids.iter().for_each(|id| id.encode(out));
}

/// Appends a length and the bytes that `write` appends.
pub(super) fn put_sized(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    put_int(out, 0);
    write(out);
    let length = i32::try_from(out.len() - start - 4).expect("pieces are bounded far below 2 GiB");
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}
