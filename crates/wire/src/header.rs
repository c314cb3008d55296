//! The headers of requests and replies, and the xids with a meaning of their own.

use jute::{Decode, Encode, Error, Reader, Writer, put_int, put_long};

/// Xids that no counter gives.
pub mod xid {
    /// A watch event.
    pub const NOTIFICATION: i32 = -1;
    /// A ping, both ways.
    pub const PING: i32 = -2;
    /// An auth packet.
    pub const AUTH: i32 = -4;
    /// Watches set again.
    pub const SET_WATCHES: i32 = -8;
}

/// Opens every request frame after the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// The client's number of the request.
    pub xid: i32,
    /// The operation's number.
    pub op: i32,
}

impl<'a> Decode<'a> for RequestHeader {
    fn decode(r: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(RequestHeader { xid: r.int()?, op: r.int()? })
    }
}

impl Encode for RequestHeader {
    fn encode(&self, out: &mut Vec<u8>) {
        Writer::new(out).int(self.xid).int(self.op);
    }
}

/// Size of a reply header in bytes.
pub const REPLY_HEADER_SIZE: usize = 16;

/// Opens every reply frame after the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyHeader {
    /// The request's xid, or one of [`xid`].
    pub xid: i32,
    /// The server's position when it answered.
    pub zxid: i64,
    /// An error's number, or 0.
    pub err: i32,
}

impl<'a> Decode<'a> for ReplyHeader {
    fn decode(r: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(ReplyHeader { xid: r.int()?, zxid: r.long()?, err: r.int()? })
    }
}

impl Encode for ReplyHeader {
    fn encode(&self, out: &mut Vec<u8>) {
        put_int(out, self.xid);
        put_long(out, self.zxid);
        put_int(out, self.err);
    }
}
