//! What a run reached: counts by name, and the names that a run must reach to mean anything.

use crate::generate::Dialect;
use crate::play::{Item, op_name};
use crate::program::{Request, Step, Value};
use jute::{Decode, Reader};
use std::collections::BTreeMap;
use std::fmt;
use wire::{MultiHeader, OpCode};

/// Counts by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    counts: BTreeMap<String, u64>,
}

/// What every run of some size reaches: operations, errors of requests and within multis, events,
/// ways to watch, ways to connect, broken input, and ends of connections.
pub const REQUIRED: &[&str] = &[
    "op create",
    "op create2",
    "op create_container",
    "op create_ttl",
    "op delete",
    "op set_data",
    "op set_acl",
    "op exists",
    "op get_data",
    "op get_acl",
    "op get_children",
    "op get_children2",
    "op sync",
    "op ping",
    "op check",
    "op multi",
    "op multi_read",
    "op reconfig",
    "op check_watches",
    "op remove_watches",
    "op auth",
    "op sasl",
    "op set_watches",
    "op set_watches2",
    "op get_ephemerals",
    "op get_all_children_number",
    "op add_watch",
    "op who_am_i",
    "op close_session",
    "op unknown",
    "error 0",
    "error -5",
    "error -6",
    "error -8",
    "error -101",
    "error -102",
    "error -103",
    "error -108",
    "error -110",
    "error -111",
    "error -114",
    "error -115",
    "error -121",
    "error -123",
    "error -125",
    "multi error -2",
    "multi error -8",
    "multi error -101",
    "multi error -102",
    "multi error -103",
    "multi error -108",
    "multi error -110",
    "multi error -111",
    "multi error -114",
    "event 1",
    "event 2",
    "event 3",
    "event 4",
    "watch exists",
    "watch get_data",
    "watch get_children",
    "watch get_children2",
    "connect new",
    "connect again",
    "connect password wrong",
    "connect password short",
    "connect password null",
    "connect seen ahead",
    "connect seen negative",
    "connect form old",
    "connect form readonly",
    "connect refused",
    "cut",
    "garbage",
    "stray",
    "word",
    "restart kill",
    "restart graceful",
    "drop",
    "closed",
];

/// That no such watch exists: 3.8 looks at the watches of all clients.
const NOT_IN_38: &str = "error -121";

impl Coverage {
    fn count(&mut self, name: String) {
        *self.counts.entry(name).or_default() += 1;
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: &Coverage) {
        for (name, count) in &other.counts {
            *self.counts.entry(name.clone()).or_default() += count;
        }
    }

    /// What is required and was not reached.
    #[must_use]
    pub fn missing(&self, dialect: Dialect) -> Vec<&'static str> {
        let required = |name: &&str| dialect == Dialect::Since39 || *name != NOT_IN_38;
        let unmet = |name: &&str| !self.counts.contains_key(*name);
        REQUIRED.iter().copied().filter(required).filter(unmet).collect()
    }

    /// Counts what a step does.
    pub fn step(&mut self, step: &Step) {
        match step {
            Step::Connect { hello, .. } => {
                let session = if hello.again { "again" } else { "new" };
                self.count(format!("connect {session}"));
                self.count(format!("connect password {}", hello.password.text()));
                self.count(format!("connect seen {}", hello.seen.text()));
                self.count(format!("connect form {}", hello.form.text()));
            }
            Step::Drop { .. } => self.count("drop".to_owned()),
            Step::Garbage { .. } => self.count("garbage".to_owned()),
            Step::Stray { .. } => self.count("stray".to_owned()),
            Step::Word { .. } => self.count("word".to_owned()),
            Step::Restart { kill: true } => self.count("restart kill".to_owned()),
            Step::Restart { kill: false } => self.count("restart graceful".to_owned()),
            Step::Burst { .. } | Step::Last { .. } => {}
        }
        step.requests().iter().for_each(|request| self.request(request));
    }

    fn request(&mut self, request: &Request) {
        match request.opcode() {
            Some(op) => {
                self.count(format!("op {}", op.name()));
                let watches = matches!(
                    op,
                    OpCode::Exists | OpCode::GetData | OpCode::GetChildren | OpCode::GetChildren2
                );
                if watches && request.values.last() == Some(&Value::Bool(true)) {
                    self.count(format!("watch {}", op.name()));
                }
            }
            None => self.count("op unknown".to_owned()),
        }
        if request.cut > 0 {
            self.count("cut".to_owned());
        }
        for value in &request.values {
            if let Value::Operations(operations) = value {
                operations.iter().for_each(|operation| self.request(operation));
            }
        }
    }

    /// Counts what a client saw.
    pub fn item(&mut self, item: &Item) {
        match item {
            Item::Hello(payload) => {
                if payload.get(4..8) == Some(&[0; 4]) {
                    self.count("connect refused".to_owned());
                }
            }
            Item::Reply { op, header, body } => {
                self.count(format!("error {}", header.err));
                self.count(format!("answer {} {}", op_name(*op), header.err));
                if *op == OpCode::Multi.number() {
                    self.multi(body);
                }
            }
            Item::Event { body, .. } => {
                let kind = Reader::new(body).int().unwrap_or(0);
                self.count(format!("event {kind}"));
            }
            Item::Closed => self.count("closed".to_owned()),
            Item::Silence => self.count("silence".to_owned()),
            Item::Missing { .. } => self.count("missing".to_owned()),
            Item::Unexpected(_) => self.count("unexpected".to_owned()),
            Item::Barrier(_) => {}
        }
    }

    /// A failed multi answers with errors alone.
    fn multi(&mut self, body: &[u8]) {
        let mut reader = Reader::new(body);
        while let Ok(header) = MultiHeader::decode(&mut reader) {
            if header.done || header.op != OpCode::Error.number() || reader.int().is_err() {
                return;
            }
            self.count(format!("multi error {}", header.err));
        }
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counts.iter().try_for_each(|(name, count)| writeln!(f, "{count:>10}  {name}"))
    }
}
