//! What happens in the room, a line each.

use crate::frames::{Message, messages};
use crate::log::{Entry, Payload};
use base::{Lsn, Time, Zxid};
use broadcast::{Output, Record, Slot, SlotKind, View};
use bytes::Bytes;
use trace::Event;

#[derive(Default)]
pub(in crate::tests) struct Transcript {
    lines: Vec<String>,
    /// When the last line was written.
    at: Time,
}

impl Transcript {
    fn line(&mut self, now: Time, line: String) {
        if now != self.at {
            let ms = now.since(self.at).as_millis();
            self.lines.push(format!("  ... {ms} ms"));
            self.at = now;
        }
        self.lines.push(line);
    }

    /// Takes all lines.
    pub(in crate::tests) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    /// Frames leave, through their gate. Greetings and signs of life are left out.
    pub(super) fn sent(&mut self, now: Time, (from, to): (u64, u64), frames: &Bytes) {
        for message in messages(frames) {
            if let Some(words) = said(&message) {
                self.line(now, format!("{from} -> {to}  {words}"));
            }
        }
    }

    pub(super) fn state_sent(&mut self, now: Time, (from, to): (u64, u64), entries: usize) {
        self.line(now, format!("{from} -> {to}  its state of {entries} entries"));
    }

    pub(super) fn durable(&mut self, now: Time, id: u64, upto: Lsn) {
        self.line(now, format!("{id} disk: durable up to #{}", upto.0));
    }

    pub(super) fn installed(&mut self, now: Time, id: u64, at: Zxid) {
        self.line(now, format!("{id} disk: the state at {at} is installed"));
    }

    pub(super) fn delivered(&mut self, now: Time, id: u64, at: Zxid, item: &[u8]) {
        self.line(now, format!("{id} delivers {at} {}", quoted(item)));
    }

    pub(super) fn output(&mut self, now: Time, id: u64, output: &Output) {
        let words = match output {
            Output::Persist { lsn, record } => format!("disk: #{} {}", lsn.0, recorded(record)),
            Output::View(View::Primary { last }) => format!("is primary after {last}"),
            Output::View(View::Replica { primary }) => format!("is replica of {}", primary.0),
            Output::View(View::Apart) => "is apart".to_owned(),
            Output::View(View::Silent) => "is silent for ever".to_owned(),
            Output::Trace(event @ Event::Ensemble(_)) => format!("says: {event}"),
            Output::Outcome { context, decision } => {
                format!("answers {}: {decision:?}", context.0)
            }
            Output::ReadReady { context, at_least } => {
                format!("answers read {}: at {at_least} or later", context.0)
            }
            _ => return,
        };
        self.line(now, format!("{id} {words}"));
    }
}

fn quoted(item: &[u8]) -> String {
    format!("\"{}\"", String::from_utf8_lossy(item))
}

fn recorded(record: &Record) -> String {
    match record {
        Record::Register { name, value } => format!("{name} = {value}"),
        Record::Slot(Slot { index, period, at, kind, body }) => {
            let held = match kind {
                SlotKind::Item => format!("{at} {}", quoted(body)),
                SlotKind::Empty => "no-op".to_owned(),
                SlotKind::Control => "configuration".to_owned(),
            };
            format!("entry {index} of term {period}: {held}")
        }
        Record::Cut { from } => format!("cut from entry {from} on"),
        Record::Announced(base) => {
            format!("with the state the log begins behind entry {} at {}", base.index, base.at)
        }
        Record::Base(base) => format!("the log begins behind entry {} at {}", base.index, base.at),
        Record::Entry { .. } | Record::Truncate { .. } | Record::Text { .. } => {
            panic!("Raft has slots")
        }
    }
}

/// What a message says, if it is worth a line.
fn said(message: &Message) -> Option<String> {
    Some(match message {
        Message::Hello { .. }
        | Message::Welcome { .. }
        | Message::Heartbeat { .. }
        | Message::HeartbeatResponse { .. }
        | Message::Touch { .. } => return None,
        Message::Vote { term, last_index, last_term, pre, transfer } => {
            let kind = if *pre { "PreVote" } else { "Vote" };
            let why = if *transfer { ", the leader wants it" } else { "" };
            format!("{kind} term={term} last={last_index} of term {last_term}{why}")
        }
        Message::VoteResponse { term, pre, granted } => {
            let kind = if *pre { "PreVoteResponse" } else { "VoteResponse" };
            format!("{kind} term={term} {}", if *granted { "granted" } else { "refused" })
        }
        Message::Append { term, prev_index, commit, entries, .. } => {
            let shown: Vec<String> = entries.iter().map(shown).collect();
            let held = if shown.is_empty() { "nothing".to_owned() } else { shown.join(", ") };
            format!("Append term={term} behind {prev_index}: {held}; commit={commit}")
        }
        Message::AppendResponse { term, index, hint: None } => {
            format!("AppendResponse term={term} has all up to {index}")
        }
        Message::AppendResponse { term, index, hint: Some((hint, _)) } => {
            format!("AppendResponse term={term} has not {index}, perhaps {hint}")
        }
        Message::Commit { commit, .. } => format!("Commit {commit}"),
        Message::Snapshot { term, index, at, .. } => {
            format!("Snapshot term={term} of entry {index} at {at}")
        }
        Message::TimeoutNow { term } => format!("TimeoutNow term={term}"),
        Message::Read { number, .. } => format!("Read {number}"),
        Message::ReadResponse { number, at: Some(at) } => format!("ReadResponse {number} at {at}"),
        Message::ReadResponse { number, at: None } => format!("ReadResponse {number} not here"),
        Message::Forward { .. } => "Forward".to_owned(),
        Message::Answer { .. } => "Answer".to_owned(),
    })
}

fn shown(entry: &Entry) -> String {
    match &entry.payload {
        Payload::NoOp => "no-op".to_owned(),
        Payload::Configuration(_) => "configuration".to_owned(),
        Payload::Item(item) => format!("{} {}", entry.at, quoted(item)),
    }
}
