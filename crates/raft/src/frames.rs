//! What members say to each other, as bytes.
//!
//! A frame is its body's length and CRC-32C, 4 bytes each, then the body: a kind and the fields,
//! little-endian. Decoding never panics and allocates only for what is there; items are slices of
//! the frame.

use crate::configuration::Configuration;
use crate::log::{ENTRY_OVERHEAD, Entry, Payload};
use base::{Lsn, NodeId, Zxid};
use broadcast::ReadLevel;
use bytes::{Buf, BufMut, Bytes};
use crc32c::crc32c;

/// A message. What is asked goes over the connection that the asker has dialled, the answer comes
/// back on it: so all that a leader and a follower say in a term is on one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// Dialler: who wants to speak to whom.
    Hello { version: u16, cluster: u64, history: u64, from: NodeId, to: NodeId },
    /// Acceptor: speak.
    Welcome { version: u16, cluster: u64, history: u64, from: NodeId },
    /// Candidate: vote for me; or, with `pre`: would you?
    Vote { term: u64, last_index: u64, last_term: u64, pre: bool, transfer: bool },
    /// Voter: whether.
    VoteResponse { term: u64, pre: bool, granted: bool },
    /// Leader: these entries behind that one.
    Append { term: u64, prev_index: u64, prev_term: u64, commit: u64, entries: Vec<Entry> },
    /// Follower: all up to `index` is as the leader's, and durable; or, with a hint, it has not
    /// what was before `index`, but something of that term at the hint.
    AppendResponse { term: u64, index: u64, hint: Option<(u64, u64)> },
    /// Leader: is there still, and wants to know whether it still leads.
    Heartbeat { term: u64, commit: u64, round: u64, beat: bool },
    /// Follower: so far as it knows, it does.
    HeartbeatResponse { term: u64, round: u64 },
    /// Leader: this is committed, and the follower has it.
    Commit { term: u64, commit: u64 },
    /// Leader: what follows on the connection is a state.
    Snapshot {
        term: u64,
        history: u64,
        index: u64,
        index_term: u64,
        at: Zxid,
        configuration: Configuration,
    },
    /// Leader: stand for election at once.
    TimeoutNow { term: u64 },
    /// Follower: when may a read run?
    Read { number: u64, level: ReadLevel },
    /// Leader: when this place is applied; or not here.
    ReadResponse { number: u64, at: Option<Zxid> },
    /// A letter of a replica's service.
    Forward { term: u64, letter: Bytes },
    /// A letter of the primary's, for who has delivered all up to an entry.
    Answer { term: u64, behind: u64, letter: Bytes },
    /// A sign of life of a replica's.
    Touch { term: u64, letter: Bytes },
}

impl Message {
    /// The term under which it is said, if it is said under one.
    pub(crate) fn term(&self) -> Option<u64> {
        match self {
            Message::Vote { term, .. }
            | Message::VoteResponse { term, .. }
            | Message::Append { term, .. }
            | Message::AppendResponse { term, .. }
            | Message::Heartbeat { term, .. }
            | Message::HeartbeatResponse { term, .. }
            | Message::Commit { term, .. }
            | Message::Snapshot { term, .. }
            | Message::Forward { term, .. }
            | Message::Answer { term, .. }
            | Message::Touch { term, .. }
            | Message::TimeoutNow { term } => Some(*term),
            Message::Hello { .. }
            | Message::Welcome { .. }
            | Message::Read { .. }
            | Message::ReadResponse { .. } => None,
        }
    }

    /// Whether it is said by who dialled.
    pub(crate) fn is_asked(&self) -> bool {
        match self {
            Message::Hello { .. }
            | Message::Vote { .. }
            | Message::Append { .. }
            | Message::Heartbeat { .. }
            | Message::Commit { .. }
            | Message::Snapshot { .. }
            | Message::TimeoutNow { .. }
            | Message::ReadResponse { .. }
            | Message::Answer { .. } => true,
            Message::Welcome { .. }
            | Message::VoteResponse { .. }
            | Message::AppendResponse { .. }
            | Message::HeartbeatResponse { .. }
            | Message::Read { .. }
            | Message::Forward { .. }
            | Message::Touch { .. } => false,
        }
    }

    /// Appends it as a frame.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        frame(out, |out| self.put_body(out));
    }

    fn put_body(&self, out: &mut Vec<u8>) {
        match self {
            Message::Hello { version, cluster, history, from, to } => {
                out.put_slice(&[HELLO, b'Q', b'R', b'A', b'F']);
                out.put_u16_le(*version);
                put_words(out, &[*cluster, *history, from.0, to.0]);
            }
            Message::Welcome { version, cluster, history, from } => {
                out.put_u8(WELCOME);
                out.put_u16_le(*version);
                put_words(out, &[*cluster, *history, from.0]);
            }
            Message::Vote { term, last_index, last_term, pre, transfer } => {
                out.put_slice(&[VOTE, u8::from(*pre) | u8::from(*transfer) << 1]);
                put_words(out, &[*term, *last_index, *last_term]);
            }
            Message::VoteResponse { term, pre, granted } => {
                out.put_slice(&[VOTE_RESPONSE, u8::from(*pre) | u8::from(*granted) << 1]);
                put_words(out, &[*term]);
            }
            Message::Append { term, prev_index, prev_term, commit, entries } => {
                put_append(out, [*term, *prev_index, *prev_term, *commit], entries.iter());
            }
            Message::AppendResponse { term, index, hint } => {
                out.put_slice(&[APPEND_RESPONSE, u8::from(hint.is_some())]);
                let (hint, hint_term) = hint.unwrap_or_default();
                put_words(out, &[*term, *index, hint, hint_term]);
            }
            Message::Heartbeat { term, commit, round, beat } => {
                out.put_slice(&[HEARTBEAT, u8::from(*beat)]);
                put_words(out, &[*term, *commit, *round]);
            }
            Message::HeartbeatResponse { term, round } => {
                out.put_u8(HEARTBEAT_RESPONSE);
                put_words(out, &[*term, *round]);
            }
            Message::Commit { term, commit } => {
                out.put_u8(COMMIT);
                put_words(out, &[*term, *commit]);
            }
            Message::Snapshot { term, history, index, index_term, at, configuration } => {
                out.put_u8(SNAPSHOT);
                put_words(out, &[*term, *history, *index, *index_term, at.0.cast_unsigned()]);
                configuration.encode(out);
            }
            Message::TimeoutNow { term } => {
                out.put_u8(TIMEOUT_NOW);
                put_words(out, &[*term]);
            }
            Message::Read { number, level } => {
                out.put_slice(&[READ, u8::from(*level == ReadLevel::Linearizable)]);
                put_words(out, &[*number]);
            }
            Message::ReadResponse { number, at } => {
                out.put_slice(&[READ_RESPONSE, u8::from(at.is_some())]);
                put_words(out, &[*number, at.unwrap_or_default().0.cast_unsigned()]);
            }
            Message::Forward { term, letter } => put_letter(out, FORWARD, *term, letter),
            Message::Answer { term, behind, letter } => {
                out.put_u8(ANSWER);
                put_words(out, &[*term, *behind]);
                out.put_slice(letter);
            }
            Message::Touch { term, letter } => put_letter(out, TOUCH, *term, letter),
        }
    }

    /// Reads a frame that [`frame_len`] measured.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn decode(frame: &Bytes) -> Result<Message, &'static str> {
        let (header, body) = frame.split_at_checked(HEADER).ok_or(SHORT)?;
        let crc = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
        if crc32c(body) != crc {
            return Err("its checksum does not match");
        }
        let mut body = body;
        let message = read(frame, &mut body)?;
        if body.is_empty() { Ok(message) } else { Err("it is longer than its fields") }
    }
}

/// Appends an append of these entries: `words` are the term, the index and the term before, and
/// the commit index.
pub(crate) fn put_append<'e>(
    out: &mut Vec<u8>,
    words: [u64; 4],
    entries: impl Iterator<Item = &'e Entry>,
) {
    out.put_u8(APPEND);
    put_words(out, &words);
    for entry in entries {
        put_words(out, &[entry.term, entry.at.0.cast_unsigned()]);
        out.put_u8(entry.payload.kind());
        match &entry.payload {
            Payload::NoOp => out.put_u32_le(0),
            Payload::Item(item) => put_bytes(out, item),
            Payload::Configuration(configuration) => {
                let mut bytes = Vec::new();
                configuration.encode(&mut bytes);
                put_bytes(out, &bytes);
            }
        }
    }
}

/// Appends a frame with this body.
pub(crate) fn frame(out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.reserve(SMALL);
    out.put_slice(&[0; HEADER]);
    put(out);
    let body = &out[start + HEADER..];
    let len = u32::try_from(body.len()).expect("no frame is larger than its limit");
    let crc = crc32c(body);
    out[start..start + 4].copy_from_slice(&len.to_le_bytes());
    out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
}

/// The length of the frame that these bytes begin with, header included; `Ok(None)` if more are to
/// come.
///
/// # Errors
/// If it is longer than `max`, or has no body.
pub(crate) fn frame_len(bytes: &[u8], max: usize) -> Result<Option<usize>, &'static str> {
    let Some(len) = bytes.first_chunk::<4>() else { return Ok(None) };
    let len = u32::from_le_bytes(*len) as usize;
    if len == 0 {
        return Err("it is empty");
    }
    if len > max {
        return Err("it is longer than any may be");
    }
    Ok((bytes.len() >= HEADER + len).then_some(HEADER + len))
}

/// The messages that these bytes hold, as far as they can be read.
pub(crate) fn messages(bytes: &Bytes) -> Vec<Message> {
    let (mut rest, mut messages) = (bytes.clone(), Vec::new());
    while let Ok(Some(len)) = frame_len(&rest, rest.len()) {
        messages.extend(Message::decode(&rest.split_to(len)));
    }
    messages
}

/// What frames say, for people.
#[must_use]
pub fn show(bytes: &Bytes) -> String {
    let show = |message: Message| {
        let Message::Append { term, prev_index, prev_term, commit, entries } = message else {
            return format!("{message:?}; ");
        };
        let count = entries.len();
        format!("Append {term}: {count} behind {prev_index}/{prev_term}, commit {commit}; ")
    };
    messages(bytes).into_iter().map(show).collect()
}

/// The terms in which these frames give a vote: it must be durable by then.
#[must_use]
pub fn votes(bytes: &Bytes) -> Vec<u64> {
    let vote = |message| {
        let Message::VoteResponse { term, pre: false, granted: true } = message else {
            return None;
        };
        Some(term)
    };
    messages(bytes).into_iter().filter_map(vote).collect()
}

/// How far these frames acknowledge the log: it must be durable up to there by then.
#[must_use]
pub fn acknowledged(bytes: &Bytes) -> Vec<u64> {
    let index = |message| {
        let Message::AppendResponse { index, hint: None, .. } = message else { return None };
        Some(index)
    };
    messages(bytes).into_iter().filter_map(index).collect()
}

fn put_words(out: &mut Vec<u8>, words: &[u64]) {
    words.iter().for_each(|word| out.put_u64_le(*word));
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_u32_le(u32::try_from(bytes.len()).expect("no item is larger than its limit"));
    out.put_slice(bytes);
}

fn put_letter(out: &mut Vec<u8>, kind: u8, term: u64, letter: &[u8]) {
    out.put_u8(kind);
    put_words(out, &[term]);
    out.put_slice(letter);
}

/// Reads what is left of a frame: letters and items are slices of it.
fn read(frame: &Bytes, body: &mut &[u8]) -> Result<Message, &'static str> {
    let kind = byte(body)?;
    Ok(match kind {
        HELLO => {
            *body = body.strip_prefix(b"QRAF").ok_or("it does not begin as Raft's peers do")?;
            let version = body.try_get_u16_le().map_err(short)?;
            let [cluster, history, from, to] = words(body)?;
            let (from, to) = (NodeId(from), NodeId(to));
            Message::Hello { version, cluster, history, from, to }
        }
        WELCOME => {
            let version = body.try_get_u16_le().map_err(short)?;
            let [cluster, history, from] = words(body)?;
            Message::Welcome { version, cluster, history, from: NodeId(from) }
        }
        VOTE => {
            let flags = flags(body, 2)?;
            let [term, last_index, last_term] = words(body)?;
            let (pre, transfer) = (flags & 1 == 1, flags & 2 == 2);
            Message::Vote { term, last_index, last_term, pre, transfer }
        }
        VOTE_RESPONSE => {
            let flags = flags(body, 2)?;
            let [term] = words(body)?;
            Message::VoteResponse { term, pre: flags & 1 == 1, granted: flags & 2 == 2 }
        }
        APPEND => {
            let [term, prev_index, prev_term, commit] = words(body)?;
            let entries = entries(frame, body)?;
            Message::Append { term, prev_index, prev_term, commit, entries }
        }
        APPEND_RESPONSE => {
            let rejected = flags(body, 1)? == 1;
            let [term, index, hint, hint_term] = words(body)?;
            Message::AppendResponse { term, index, hint: rejected.then_some((hint, hint_term)) }
        }
        HEARTBEAT => {
            let beat = flags(body, 1)? == 1;
            let [term, commit, round] = words(body)?;
            Message::Heartbeat { term, commit, round, beat }
        }
        HEARTBEAT_RESPONSE => {
            let [term, round] = words(body)?;
            Message::HeartbeatResponse { term, round }
        }
        COMMIT => {
            let [term, commit] = words(body)?;
            Message::Commit { term, commit }
        }
        SNAPSHOT => {
            let [term, history, index, index_term, at] = words(body)?;
            let configuration = configuration(std::mem::take(body))?;
            let at = Zxid(at.cast_signed());
            Message::Snapshot { term, history, index, index_term, at, configuration }
        }
        TIMEOUT_NOW => {
            let [term] = words(body)?;
            Message::TimeoutNow { term }
        }
        READ => {
            let linearizable = flags(body, 1)? == 1;
            let [number] = words(body)?;
            let level = if linearizable { ReadLevel::Linearizable } else { ReadLevel::Proposed };
            Message::Read { number, level }
        }
        READ_RESPONSE => {
            let may = flags(body, 1)? == 1;
            let [number, at] = words(body)?;
            Message::ReadResponse { number, at: may.then_some(Zxid(at.cast_signed())) }
        }
        FORWARD => {
            let [term] = words(body)?;
            Message::Forward { term, letter: frame.slice_ref(std::mem::take(body)) }
        }
        ANSWER => {
            let [term, behind] = words(body)?;
            Message::Answer { term, behind, letter: frame.slice_ref(std::mem::take(body)) }
        }
        TOUCH => {
            let [term] = words(body)?;
            Message::Touch { term, letter: frame.slice_ref(std::mem::take(body)) }
        }
        _ => return Err("it is of no kind that there is"),
    })
}

fn entries(frame: &Bytes, body: &mut &[u8]) -> Result<Vec<Entry>, &'static str> {
    let mut entries = Vec::new();
    while !body.is_empty() {
        let [term, at] = words(body)?;
        let kind = byte(body)?;
        let len = body.try_get_u32_le().map_err(short)? as usize;
        let (item, rest) = body.split_at_checked(len).ok_or(SHORT)?;
        *body = rest;
        if entries.is_empty() {
            // Most often all are as long as the first one.
            entries.reserve(1 + (rest.len() / (ENTRY_OVERHEAD + len)).min(ENTRIES_AT_ONCE));
        }
        let payload = Payload::read(kind, frame.slice_ref(item))?;
        let at = Zxid(at.cast_signed());
        entries.push(Entry { term, at, payload, lsn: Lsn::ZERO, context: None });
    }
    Ok(entries)
}

fn configuration(bytes: &[u8]) -> Result<Configuration, &'static str> {
    Configuration::decode(bytes).map_err(|_| "it names no good configuration")
}

fn byte(body: &mut &[u8]) -> Result<u8, &'static str> {
    body.try_get_u8().map_err(short)
}

fn flags(body: &mut &[u8], count: u32) -> Result<u8, &'static str> {
    let flags = byte(body)?;
    if flags >> count == 0 { Ok(flags) } else { Err("it has flags that nobody knows") }
}

fn words<const N: usize>(body: &mut &[u8]) -> Result<[u64; N], &'static str> {
    let mut words = [0; N];
    for word in &mut words {
        *word = body.try_get_u64_le().map_err(short)?;
    }
    Ok(words)
}

fn short(_: bytes::TryGetError) -> &'static str {
    SHORT
}

/// The version of all that is here.
pub(crate) const VERSION: u16 = 1;
/// Length and checksum, in bytes.
pub(crate) const HEADER: usize = 8;
/// What an append takes beside its first item, in bytes.
pub(crate) const APPEND_OVERHEAD: usize = 1 + 4 * 8 + 2 * 8 + 1 + 4;
/// What a frame without items takes at the most, header included, in bytes.
const SMALL: usize = 64;
/// Entries for which a decoder takes memory before it has seen them.
const ENTRIES_AT_ONCE: usize = 1024;
const SHORT: &str = "it is shorter than its fields";

const HELLO: u8 = 1;
const WELCOME: u8 = 2;
const VOTE: u8 = 3;
const VOTE_RESPONSE: u8 = 4;
const APPEND: u8 = 5;
const APPEND_RESPONSE: u8 = 6;
const HEARTBEAT: u8 = 7;
const HEARTBEAT_RESPONSE: u8 = 8;
const COMMIT: u8 = 9;
const SNAPSHOT: u8 = 10;
const TIMEOUT_NOW: u8 = 11;
const READ: u8 = 12;
const READ_RESPONSE: u8 = 13;
const FORWARD: u8 = 14;
const ANSWER: u8 = 15;
const TOUCH: u8 = 16;

#[cfg(test)]
mod tests;
