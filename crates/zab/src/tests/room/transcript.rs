//! What happens in the room, a line each.

use super::decode;
use crate::{ELECTION, OBSERVERS};
use base::{Lsn, Time, Zxid};
use broadcast::{Channel, Decision, Input, Output, Record, View};
use std::fmt::Write as _;
use trace::Event;

#[derive(Default)]
pub(in crate::tests) struct Transcript {
    lines: Vec<String>,
    /// When the last line was written.
    at: Time,
    /// Whether votes are told, and pings.
    pub(in crate::tests) votes: bool,
    pub(in crate::tests) pings: bool,
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

    /// What a test does.
    pub(super) fn note(&mut self, now: Time, note: &str) {
        self.line(now, format!("* {note}"));
    }

    /// Takes all lines.
    pub(in crate::tests) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    /// The last lines, for a test that fails.
    pub(super) fn tail(&self) -> String {
        let from = self.lines.len().saturating_sub(120);
        self.lines[from..].join("\n")
    }

    pub(super) fn sent(&mut self, now: Time, from: u64, to: u64, channel: Channel, piece: &[u8]) {
        let words = decode::words(channel, piece);
        let is_quiet = (channel == ELECTION && !self.votes) || words.starts_with("PING");
        if !is_quiet || (self.pings && words.starts_with("PING")) {
            self.line(now, format!("{from} -> {to}  {words}"));
        }
    }

    pub(super) fn connected(&mut self, now: Time, from: u64, to: u64, channel: Channel) {
        if channel != ELECTION || self.votes {
            self.line(now, format!("{from} -> {to}  connects to the {} port", port(channel)));
        }
    }

    pub(super) fn refused(&mut self, now: Time, from: u64, to: u64, channel: Channel) {
        if channel != ELECTION || self.votes {
            self.line(now, format!("{from} -> {to}  cannot connect to the {} port", port(channel)));
        }
    }

    pub(super) fn closed(&mut self, now: Time, from: u64, to: u64) {
        self.line(now, format!("{from} -> {to}  closes"));
    }

    pub(super) fn state_sent(&mut self, now: Time, id: u64, entries: usize) {
        self.line(now, format!("{id} sends its state of {entries} entries"));
    }

    pub(super) fn durable(&mut self, now: Time, id: u64, upto: Lsn) {
        self.line(now, format!("{id} disk: durable up to #{}", upto.0));
    }

    pub(super) fn delivered(&mut self, now: Time, id: u64, at: Zxid, item: &[u8]) {
        self.line(now, format!("{id} delivers {at} {}", decode::text(item)));
    }

    pub(super) fn fact(&mut self, now: Time, id: u64, fact: &Input) {
        let words = match fact {
            Input::SnapshotInstalled { at, .. } => format!("the state at {at} is installed"),
            Input::ResetDone { .. } => "the state went back".to_owned(),
            Input::ResetFailed { reason } => format!("the state cannot go back: {reason}"),
            _ => return,
        };
        self.line(now, format!("{id} disk: {words}"));
    }

    pub(super) fn output(&mut self, now: Time, id: u64, output: &Output) {
        let words = match output {
            Output::Persist { lsn, record } => format!("disk: #{} {}", lsn.0, recorded(record)),
            Output::View(View::Primary { last }) => format!("is primary after {last}"),
            Output::View(View::Replica { primary }) => format!("is replica of {}", primary.0),
            Output::View(View::Apart) => "is apart".to_owned(),
            Output::View(View::Silent) => "is silent for ever".to_owned(),
            Output::Trace(Event::Ensemble(trace::Ensemble::VoteChanged { .. })) if !self.votes => {
                return;
            }
            Output::Trace(event) => format!("says: {event}"),
            Output::Outcome { context, decision } => {
                let decision = match decision {
                    Decision::Rejected(why) => format!("rejected ({why:?})"),
                    Decision::Unknown => "unknown".to_owned(),
                };
                format!("answers proposal {}: {decision}", context.0)
            }
            Output::ReadReady { context, at_least } => {
                format!("answers read {}: at {at_least} or later", context.0)
            }
            Output::ResetTo { at } => format!("goes back to the state at {at}"),
            Output::FetchSnapshot { at, .. } => format!("takes the state at {at}"),
            Output::ReadLog { from, .. } => format!("reads its log from {from} on"),
            Output::Fatal { reason } => format!("ends: {reason}"),
            Output::Send { .. }
            | Output::Deliver { .. }
            | Output::Forwarded { .. }
            | Output::Answered { .. }
            | Output::HeartbeatDue { .. }
            | Output::HeartbeatHeard { .. }
            | Output::Listen { .. }
            | Output::Unlisten { .. }
            | Output::Dial { .. }
            | Output::Close { .. }
            | Output::SendSnapshot { .. } => return,
        };
        self.line(now, format!("{id} {words}"));
    }
}

fn recorded(record: &Record) -> String {
    let mut words = String::new();
    let _ = match record {
        Record::Entry { at, item } => write!(words, "entry {at} {}", decode::text(item)),
        Record::Truncate { to } => write!(words, "cut behind {to}"),
        Record::Register { name, value } => write!(words, "{name} = {value:#x}"),
        Record::Text { name, text: None } => write!(words, "{name} removed"),
        Record::Text { name, text: Some(text) } => {
            let version = text.lines().find(|line| line.starts_with("version="));
            write!(words, "{name} {}", version.unwrap_or_default())
        }
        Record::Slot(_) | Record::Cut { .. } | Record::Base(_) | Record::Announced(_) => {
            panic!("ZAB has no slots")
        }
    };
    words
}

fn port(channel: Channel) -> &'static str {
    match channel {
        ELECTION => "election",
        OBSERVERS => "observer master",
        _ => "quorum",
    }
}
