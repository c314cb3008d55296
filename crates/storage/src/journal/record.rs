//! What is kept: the payloads of the records and their limits.

use super::format::be64;
use base::Zxid;

/// A record, borrowed from whoever appends it or from the window through which it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// An entry of the order, behind all that are there.
    Entry {
        /// Its place: the one after the last.
        at: Zxid,
        /// The entry, opaque; with what the engine must know of it, such as its term.
        bytes: &'a [u8],
    },
    /// Every entry after this place is void.
    Truncate {
        /// The last that is left; not before the checkpoint.
        to: Zxid,
    },
    /// A number under a name, in place of what it was.
    Register {
        /// The name, of 1 to [`NAME_SIZE_MAX`] bytes.
        name: &'a str,
        /// The number.
        value: i64,
    },
    /// A text under a name, in place of what it was; none removes it.
    Text {
        /// The name, of 1 to [`NAME_SIZE_MAX`] bytes.
        name: &'a str,
        /// The text, of at most [`TEXT_SIZE_MAX`] bytes.
        text: Option<&'a str>,
    },
    /// A durable snapshot covers everything up to this place. Beyond the last entry it stands in
    /// place of all entries: a snapshot that was received.
    Checkpoint {
        /// The place; never before that of an earlier checkpoint.
        at: Zxid,
        /// What the engine keeps about it, of at most [`STATE_SIZE_MAX`] bytes.
        state: &'a [u8],
    },
    /// Written by the journal itself: this segment was on the disk up to here.
    Mark {
        /// A position in the segment, in bytes.
        durable: u64,
    },
    /// Written by the journal itself behind a segment's end: the next one is there, durably.
    Successor {
        /// Its number.
        number: u64,
    },
}

/// The last snapshot, as the journal knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// The place that it covers.
    pub at: Zxid,
    /// What the engine keeps about it.
    pub state: Vec<u8>,
}

impl Record<'_> {
    /// The kind, as a word.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Record::Entry { .. } => "entry",
            Record::Truncate { .. } => "truncate",
            Record::Register { .. } => "register",
            Record::Text { .. } => "text",
            Record::Checkpoint { .. } => "checkpoint",
            Record::Mark { .. } => "mark",
            Record::Successor { .. } => "successor",
        }
    }

    pub(super) fn kind(&self) -> u8 {
        match self {
            Record::Entry { .. } => ENTRY,
            Record::Truncate { .. } => TRUNCATE,
            Record::Register { .. } => REGISTER,
            Record::Text { .. } => TEXT,
            Record::Checkpoint { .. } => CHECKPOINT,
            Record::Mark { .. } => MARK,
            Record::Successor { .. } => SUCCESSOR,
        }
    }

    /// How long the payload is, in bytes.
    pub(super) fn size(&self) -> usize {
        match self {
            Record::Entry { bytes: rest, .. } | Record::Checkpoint { state: rest, .. } => {
                8 + rest.len()
            }
            Record::Truncate { .. } | Record::Mark { .. } | Record::Successor { .. } => 8,
            Record::Register { name, .. } => 8 + name.len(),
            Record::Text { name, text } => 2 + name.len() + text.map_or(0, str::len),
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Record::Entry { at, bytes: rest } | Record::Checkpoint { at, state: rest } => {
                out.extend_from_slice(&at.0.to_be_bytes());
                out.extend_from_slice(rest);
            }
            Record::Truncate { to } => out.extend_from_slice(&to.0.to_be_bytes()),
            Record::Mark { durable: number } | Record::Successor { number } => {
                out.extend_from_slice(&number.to_be_bytes());
            }
            Record::Register { name, value } => {
                out.extend_from_slice(&value.to_be_bytes());
                out.extend_from_slice(name.as_bytes());
            }
            Record::Text { name, text } => {
                out.push(u8::from(text.is_some()));
                out.push(u8::try_from(name.len()).expect("a name is short"));
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(text.unwrap_or_default().as_bytes());
            }
        }
    }
}

impl<'a> Record<'a> {
    /// Reads a payload; `None` if it is no record.
    pub(super) fn decode(kind: u8, payload: &'a [u8]) -> Option<Record<'a>> {
        if kind == TEXT {
            return decode_text(payload);
        }
        let (number, rest) = payload.split_at_checked(8)?;
        let number = be64(number);
        let at = Zxid(number as i64);
        let record = match kind {
            ENTRY => Record::Entry { at, bytes: rest },
            CHECKPOINT => Record::Checkpoint { at, state: rest },
            REGISTER => {
                Record::Register { name: std::str::from_utf8(rest).ok()?, value: number as i64 }
            }
            TRUNCATE if rest.is_empty() => Record::Truncate { to: at },
            MARK if rest.is_empty() => Record::Mark { durable: number },
            SUCCESSOR if rest.is_empty() => Record::Successor { number },
            _ => return None,
        };
        record.is_within_limits().then_some(record)
    }

    /// Whether names, texts and states are as long as they may be, and positions possible.
    pub(super) fn is_within_limits(&self) -> bool {
        let is_name = |name: &str| (1..=NAME_SIZE_MAX).contains(&name.len());
        match self {
            Record::Entry { at, .. } => *at > Zxid::ZERO && at.0 < i64::MAX,
            Record::Checkpoint { at, state } => {
                *at >= Zxid::ZERO && at.0 < i64::MAX && state.len() <= STATE_SIZE_MAX
            }
            Record::Truncate { to } => *to >= Zxid::ZERO && to.0 < i64::MAX,
            Record::Register { name, .. } => is_name(name),
            Record::Text { name, text } => {
                is_name(name) && text.is_none_or(|text| text.len() <= TEXT_SIZE_MAX)
            }
            Record::Mark { .. } | Record::Successor { .. } => true,
        }
    }
}

fn decode_text(payload: &[u8]) -> Option<Record<'_>> {
    let ([flag, len], rest) = payload.split_first_chunk::<2>()?;
    let (name, text) = rest.split_at_checked(usize::from(*len))?;
    let (name, text) = (std::str::from_utf8(name).ok()?, std::str::from_utf8(text).ok()?);
    let record = match flag {
        0 if text.is_empty() => Record::Text { name, text: None },
        1 => Record::Text { name, text: Some(text) },
        _ => return None,
    };
    record.is_within_limits().then_some(record)
}

/// The longest payload, in bytes: far above any request that a server takes.
pub const RECORD_SIZE_MAX: usize = 256 * 1024 * 1024;
/// The longest name, in bytes.
pub const NAME_SIZE_MAX: usize = 64;
/// The longest text, in bytes: the configuration of a large ensemble is some KiB.
pub const TEXT_SIZE_MAX: usize = 1024 * 1024;
/// The most that an engine keeps about a checkpoint, in bytes.
pub const STATE_SIZE_MAX: usize = 1024 * 1024;
/// How many registers, and how many texts, there may be: every segment repeats them.
pub const NAMES_MAX: usize = 64;

pub(super) const ENTRY: u8 = 1;
const TRUNCATE: u8 = 2;
const REGISTER: u8 = 3;
const TEXT: u8 = 4;
const CHECKPOINT: u8 = 5;
pub(super) const MARK: u8 = 6;
const SUCCESSOR: u8 = 7;
