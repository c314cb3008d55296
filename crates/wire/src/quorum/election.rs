//! What runs over election links: an opening, and then notifications.
//!
//! The side that connects says who it is and where it can be called back; there is no answer.
//! Then both sides send messages: a length, and a notification of the sender's vote.
//! Source: the reference's `QuorumCnxManager` and `FastLeaderElection`.

use super::address::{self, Address, split_host};
use super::packet::put_sized;
use jute::{Encode, Error, Reader, Writer, put_int, put_long, put_string};

/// Longest text of addresses in an opening, in bytes.
pub const ADDRESSES_SIZE_MAX: usize = 2048;

/// Longest message on an election link in bytes, without its length.
pub const MESSAGE_SIZE_MAX: usize = 512 << 10;

/// The version of notifications that carry a configuration.
pub const NOTIFICATION_VERSION: i32 = 2;

/// Which form an opening has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpeningForm {
    /// An id alone, from members older than 3.5.
    Bare,
    /// An id and one address.
    V1,
    /// An id and any number of addresses, from members with several addresses enabled.
    V2,
}

impl OpeningForm {
    const V1_MARK: i64 = -65536;
    const V2_MARK: i64 = -65535;
}

/// Why an opening is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpeningError {
    /// It opens with neither an id nor a known version.
    #[error("{0} is not a version of the election protocol")]
    UnknownVersion(i64),
    /// The addresses are empty, or longer than [`ADDRESSES_SIZE_MAX`].
    #[error("addresses of {0} bytes are not allowed")]
    BadLength(i32),
    /// One of the addresses is not `host:port`.
    #[error("{0:?} is not an address")]
    BadAddress(String),
    /// The bytes end early.
    #[error("the opening ends early")]
    Truncated,
}

/// What the side that connects an election link sends first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Its form.
    pub form: OpeningForm,
    /// The sender's id; `i64::MAX` from old observers, which have none.
    pub server_id: i64,
    /// Where the sender can be called back on its election port; empty in the bare form.
    pub addresses: Vec<Address>,
}

impl Opening {
    /// Reads one whole opening, as [`opening_len`] cuts it. Addresses that stand for all of a
    /// machine are left out.
    ///
    /// # Errors
    /// What [`opening_len`] refuses, and addresses that are none.
    pub fn decode(bytes: &[u8]) -> Result<Opening, OpeningError> {
        let end = opening_len(bytes)?.ok_or(OpeningError::Truncated)?;
        let mut r = Reader::new(&bytes[..end]);
        let mut long = || r.long().map_err(|_| OpeningError::Truncated);
        let form = match long()? {
            OpeningForm::V1_MARK => OpeningForm::V1,
            OpeningForm::V2_MARK => OpeningForm::V2,
            id => {
                let form = OpeningForm::Bare;
                return Ok(Opening { form, server_id: id, addresses: Vec::new() });
            }
        };
        let server_id = long()?;
        let text = r.buffer().ok().flatten().ok_or(OpeningError::Truncated)?;
        let bad =
            |text: &[u8]| OpeningError::BadAddress(String::from_utf8_lossy(text).into_owned());
        let text = std::str::from_utf8(text).map_err(|_| bad(text))?;
        let mut addresses = Vec::new();
        for address in text.trim_end_matches('|').split('|') {
            let parsed = parse_address(address).ok_or_else(|| bad(address.as_bytes()))?;
            if !parsed.is_wildcard() {
                addresses.push(parsed);
            }
        }
        Ok(Opening { form, server_id, addresses })
    }
}

fn parse_address(text: &str) -> Option<Address> {
    let (host, port) = split_host(text)?;
    address::parse_address(host, port.parse().ok()?)
}

impl Encode for Opening {
    /// # Panics
    /// If the form is not the bare one and the addresses make no text that a receiver takes.
    fn encode(&self, out: &mut Vec<u8>) {
        match self.form {
            OpeningForm::Bare => return put_long(out, self.server_id),
            OpeningForm::V1 => put_long(out, OpeningForm::V1_MARK),
            OpeningForm::V2 => put_long(out, OpeningForm::V2_MARK),
        }
        put_long(out, self.server_id);
        let addresses: Vec<String> = self.addresses.iter().map(Address::to_string).collect();
        let text = addresses.join("|");
        assert!((1..=ADDRESSES_SIZE_MAX).contains(&text.len()), "addresses fit an opening");
        put_string(out, &text);
    }
}

/// The length in bytes of the opening that `bytes` begin with; `None` if more are needed.
///
/// # Errors
/// As soon as the bytes cannot become an opening.
pub fn opening_len(bytes: &[u8]) -> Result<Option<usize>, OpeningError> {
    const HEAD_SIZE: usize = 20;
    let mut r = Reader::new(bytes);
    match r.long() {
        Ok(OpeningForm::V1_MARK | OpeningForm::V2_MARK) => {}
        Ok(id) if id >= 0 => return Ok(Some(8)),
        Ok(version) => return Err(OpeningError::UnknownVersion(version)),
        Err(_) => return Ok(None),
    }
    let (Ok(_), Ok(length)) = (r.long(), r.int()) else { return Ok(None) };
    match usize::try_from(length) {
        Ok(size @ 1..=ADDRESSES_SIZE_MAX) if r.rest().len() >= size => Ok(Some(HEAD_SIZE + size)),
        Ok(1..=ADDRESSES_SIZE_MAX) => Ok(None),
        _ => Err(OpeningError::BadLength(length)),
    }
}

/// The length in bytes of the message that `bytes` begin with, its own four included, which stand
/// before the notification; `None` if more are needed.
///
/// # Errors
/// [`Error::BadLength`] as soon as the length is not from 1 to [`MESSAGE_SIZE_MAX`].
#[inline]
pub fn message_len(bytes: &[u8]) -> Result<Option<usize>, Error> {
    let Some(length) = bytes.first_chunk().map(|head| i32::from_be_bytes(*head)) else {
        return Ok(None);
    };
    match usize::try_from(length) {
        Ok(size @ 1..=MESSAGE_SIZE_MAX) => {
            Ok(if bytes.len() >= 4 + size { Some(4 + size) } else { None })
        }
        _ => Err(Error::BadLength(length)),
    }
}

/// What a member does, as it says in notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServerState {
    /// It takes part in an election.
    Looking = 0,
    /// It follows a leader and votes.
    Following = 1,
    /// It leads.
    Leading = 2,
    /// It follows a leader and does not vote.
    Observing = 3,
}

impl ServerState {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The state with that number.
    #[must_use]
    pub const fn from_number(number: i32) -> Option<ServerState> {
        match number {
            0 => Some(ServerState::Looking),
            1 => Some(ServerState::Following),
            2 => Some(ServerState::Leading),
            3 => Some(ServerState::Observing),
            _ => None,
        }
    }
}

/// A member's vote: whom it wants to lead, or who leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notification<'a> {
    /// What the sender does.
    pub state: ServerState,
    /// The id of the proposed or current leader.
    pub leader: i64,
    /// The last zxid of that member's history.
    pub zxid: i64,
    /// The round: the sender's logical clock.
    pub election_epoch: i64,
    /// The epoch of that member's history.
    pub peer_epoch: i64,
    /// [`NOTIFICATION_VERSION`]; less from older members.
    pub version: i32,
    /// The text of the sender's configuration; `None` from members older than 3.5, and if it is
    /// not UTF-8, which counts as a text that says nothing.
    pub config: Option<&'a str>,
}

/// Size of a notification from members older than 3.4, which has no epoch, in bytes.
const SIZE_WITHOUT_EPOCH: usize = 28;

/// Size of one whose version, if that is what its last four bytes are, does not count, in bytes.
const SIZE_WITHOUT_VERSION: usize = 40;

impl<'a> Notification<'a> {
    /// Reads a message without its length: the form of 28 bytes, that of 40, and that with a
    /// configuration. Bytes behind it are ignored.
    ///
    /// # Errors
    /// If the message ends early, the state is unknown ([`Error::BadValue`]), or the
    /// configuration's length is negative ([`Error::BadLength`]). The reference drops such
    /// messages and keeps the link.
    pub fn decode(message: &'a [u8]) -> Result<Notification<'a>, Error> {
        let mut r = Reader::new(message);
        let state = r.int()?;
        let (leader, zxid, election_epoch) = (r.long()?, r.long()?, r.long()?);
        let (peer_epoch, version) = match message.len() {
            SIZE_WITHOUT_EPOCH => (zxid >> 32, 0),
            SIZE_WITHOUT_VERSION => (r.long()?, 0),
            _ => (r.long()?, r.int()?),
        };
        let config = if version > 1 {
            let text = r.buffer()?.ok_or(Error::BadLength(-1))?;
            std::str::from_utf8(text).ok()
        } else {
            None
        };
        let state = ServerState::from_number(state).ok_or(Error::BadValue(state))?;
        Ok(Notification { state, leader, zxid, election_epoch, peer_epoch, version, config })
    }
}

impl Encode for Notification<'_> {
    /// Writes the form of the version: a configuration from 2 on, that of 40 bytes below.
    fn encode(&self, out: &mut Vec<u8>) {
        Writer::new(out)
            .int(self.state.number())
            .long(self.leader)
            .long(self.zxid)
            .long(self.election_epoch)
            .long(self.peer_epoch);
        put_int(out, self.version);
        if self.version > 1 {
            put_string(out, self.config.unwrap_or_default());
        }
    }
}

/// Appends a notification as a message, with its length.
///
/// # Panics
/// If it is longer than [`MESSAGE_SIZE_MAX`]: a configuration is bounded far below that.
pub fn put_notification(out: &mut Vec<u8>, notification: &Notification<'_>) {
    let start = out.len();
    put_sized(out, |out| notification.encode(out));
    assert!(out.len() - start - 4 <= MESSAGE_SIZE_MAX, "a notification fits a message");
}
