//! What the data of packets holds, by their type.
//!
//! Numbers are big-endian as everywhere. Bytes behind what is known are ignored, as the reference
//! does; but for the touched sessions, which have no count and are read to the end.
//! Source: the reference's `Learner`, `LearnerHandler` and `Leader`.

use super::PacketKind;
use super::packet::{put_ids, put_sized};
use crate::Id;
use jute::{Decode, Encode, Error, Reader, Writer, put_bool, put_int, put_long};

/// The version of the protocol that members since 3.4 speak.
pub const PROTOCOL_VERSION: i32 = 0x10000;

/// The string that ends the image after [`PacketKind::Snap`].
pub const SNAP_SIGNATURE: &str = "BenWasHere";

/// Who a learner is: the data of [`PacketKind::FollowerInfo`] and [`PacketKind::ObserverInfo`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LearnerInfo {
    /// Its id in the ensemble.
    pub server_id: i64,
    /// [`PROTOCOL_VERSION`]; 1 from members older than 3.4.
    pub protocol_version: i32,
    /// The version of the configuration that it has; 0 from members older than 3.5.
    pub config_version: i64,
}

impl LearnerInfo {
    /// Size in bytes.
    pub const SIZE: usize = 20;

    /// A learner of the current protocol.
    #[must_use]
    pub const fn new(server_id: i64, config_version: i64) -> LearnerInfo {
        LearnerInfo { server_id, protocol_version: PROTOCOL_VERSION, config_version }
    }

    /// Reads the current form of 20 bytes, and the old ones of 12 (no configuration) and 8 (no
    /// protocol version). `None` for null data, from a learner that does not say who it is.
    ///
    /// # Errors
    /// [`Error::Truncated`] if there are fewer than 8 bytes.
    pub fn decode(data: Option<&[u8]>) -> Result<Option<LearnerInfo>, Error> {
        let Some(data) = data else { return Ok(None) };
        let mut r = Reader::new(data);
        let server_id = r.long()?;
        let protocol_version = if data.len() >= 12 { r.int()? } else { 1 };
        let config_version = if data.len() >= Self::SIZE { r.long()? } else { 0 };
        Ok(Some(LearnerInfo { server_id, protocol_version, config_version }))
    }
}

impl Encode for LearnerInfo {
    fn encode(&self, out: &mut Vec<u8>) {
        Writer::new(out).long(self.server_id).int(self.protocol_version).long(self.config_version);
    }
}

/// The leader's protocol version: the data of [`PacketKind::LeaderInfo`].
///
/// # Errors
/// [`Error::Truncated`] if there are fewer than 4 bytes; null counts as none.
pub fn decode_leader_info(data: Option<&[u8]>) -> Result<i32, Error> {
    Reader::new(data.unwrap_or_default()).int()
}

/// The data of [`PacketKind::LeaderInfo`].
#[must_use]
pub const fn encode_leader_info() -> [u8; 4] {
    PROTOCOL_VERSION.to_be_bytes()
}

/// The learner's current epoch: the data of [`PacketKind::AckEpoch`]. `None` from a learner that
/// promised this epoch before, whose answer does not count as a promise.
///
/// # Errors
/// [`Error::Truncated`] if there are fewer than 4 bytes; null counts as none.
pub fn decode_epoch_ack(data: Option<&[u8]>) -> Result<Option<u32>, Error> {
    let epoch = Reader::new(data.unwrap_or_default()).int()?;
    Ok(if epoch == -1 { None } else { Some(epoch as u32) })
}

/// The data of [`PacketKind::AckEpoch`].
#[must_use]
pub const fn encode_epoch_ack(current_epoch: Option<u32>) -> [u8; 4] {
    match current_epoch {
        Some(epoch) => epoch.to_be_bytes(),
        None => (-1_i32).to_be_bytes(),
    }
}

/// A client's request on its way to the leader: the data of [`PacketKind::Request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwardedRequest<'a> {
    /// The client's session.
    pub session_id: i64,
    /// The client's number of the request.
    pub cxid: i32,
    /// The operation's number.
    pub op: i32,
    /// The client's bytes behind the header; the time-out in ms for a new session.
    pub body: &'a [u8],
}

impl<'a> Decode<'a> for ForwardedRequest<'a> {
    fn decode(r: &mut Reader<'a>) -> Result<Self, Error> {
        let (session_id, cxid, op) = (r.long()?, r.int()?, r.int()?);
        Ok(ForwardedRequest { session_id, cxid, op, body: r.take(r.rest().len())? })
    }
}

impl Encode for ForwardedRequest<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        Writer::new(out).long(self.session_id).int(self.cxid).int(self.op);
        out.extend_from_slice(self.body);
    }
}

/// Appends the packet that forwards a client's request with the client's ids; `None` for what
/// begins and ends sessions.
pub fn put_request(out: &mut Vec<u8>, request: &ForwardedRequest<'_>, ids: Option<&[Id]>) {
    put_int(out, PacketKind::Request.number());
    put_long(out, -1);
    put_sized(out, |out| request.encode(out));
    match ids {
        Some(ids) => put_ids(out, ids),
        None => put_int(out, -1),
    }
}

/// A learner asks whether a session lives that came to it from another member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revalidate {
    /// The session.
    pub session_id: i64,
    /// The time-out that it is to have, in ms.
    pub timeout_ms: i32,
}

impl<'a> Decode<'a> for Revalidate {
    fn decode(r: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(Revalidate { session_id: r.long()?, timeout_ms: r.int()? })
    }
}

impl Encode for Revalidate {
    fn encode(&self, out: &mut Vec<u8>) {
        put_touch(out, self.session_id, self.timeout_ms);
    }
}

/// The leader's answer to [`Revalidate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevalidateReply {
    /// The session.
    pub session_id: i64,
    /// Whether it lives.
    pub is_valid: bool,
}

impl<'a> Decode<'a> for RevalidateReply {
    fn decode(r: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(RevalidateReply { session_id: r.long()?, is_valid: r.bool()? })
    }
}

impl Encode for RevalidateReply {
    fn encode(&self, out: &mut Vec<u8>) {
        put_long(out, self.session_id);
        put_bool(out, self.is_valid);
    }
}

/// The sessions that a learner has heard of since its last ping: pairs without a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touches<'a>(&'a [[u8; TOUCH_SIZE]]);

/// A session and its time-out.
const TOUCH_SIZE: usize = 12;

impl<'a> Touches<'a> {
    /// Reads a ping's data; null counts as none.
    ///
    /// # Errors
    /// [`Error::Truncated`] if the last pair is cut.
    pub fn decode(data: Option<&'a [u8]>) -> Result<Touches<'a>, Error> {
        match data.unwrap_or_default().as_chunks() {
            (touches, []) => Ok(Touches(touches)),
            (_, rest) => Err(Error::Truncated { missing: TOUCH_SIZE - rest.len() }),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sessions, each with its time-out in ms.
    pub fn iter(&self) -> impl Iterator<Item = (i64, i32)> + use<'a> {
        self.0.iter().map(|touch| {
            let [a, b, c, d, e, f, g, h, timeout @ ..] = *touch;
            (i64::from_be_bytes([a, b, c, d, e, f, g, h]), i32::from_be_bytes(timeout))
        })
    }
}

/// Appends one pair of a ping's data: a session, and its time-out in ms.
#[inline]
pub fn put_touch(out: &mut Vec<u8>, session_id: i64, timeout_ms: i32) {
    put_long(out, session_id);
    put_int(out, timeout_ms);
}

/// A reconfiguration is decided: the data of [`PacketKind::CommitAndActivate`], and with the
/// transaction that of [`PacketKind::InformAndActivate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activation<'a> {
    /// The member that leads from now on.
    pub designated_leader: i64,
    /// The transaction as in a proposal, for observers; empty for followers, which have it.
    pub txn: &'a [u8],
}

impl<'a> Decode<'a> for Activation<'a> {
    fn decode(r: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(Activation { designated_leader: r.long()?, txn: r.take(r.rest().len())? })
    }
}

impl Encode for Activation<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        put_long(out, self.designated_leader);
        out.extend_from_slice(self.txn);
    }
}
