//! Verdicts on registers that real clients wrote and read while their servers were cut off, killed
//! and paused: nothing is known but what the clients saw, and when.
//!
//! A register is a znode that lives as long as the history; its version counts its writes, and each
//! value is written once. Registers that one multi may touch are a group. Four rules:
//! - writes are linearizable, group by group (`linear`), and so are reads if that is promised;
//! - zxids follow the clock: whoever is answered before another asks has the lower one;
//! - a session never sees less than it has seen or written (`sessions`);
//! - an event of a watch comes before the first reply that shows the change (`sessions`).
//!
//! A write whose outcome is unknown may have taken effect at any time after it was sent, or never;
//! once somebody has read its value it did, before that read was answered.

mod model;
mod order;
mod sessions;
#[cfg(test)]
mod tests;

pub use model::{Action, Shown, Write};

use crate::linear::{Call, Verdict, linearize};
use crate::record::Violation;
use model::Group;
use std::collections::BTreeMap;

/// What a call of a client was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// One write, or several of one group that take effect together or not at all.
    Write(Vec<Write>),
    /// A read of a register.
    Read {
        /// Which, by its place in the group.
        register: usize,
        /// Whether it sets a watch.
        watches: bool,
        /// Whether it must show every write that was answered before it was sent.
        is_linearizable: bool,
    },
    /// A sync, or another call that shows nothing but a zxid.
    Sync,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing: the connection ended.
    Unknown,
    /// The writes took effect: the versions behind them.
    Written(Vec<i32>),
    /// This write's version was another, and nothing took effect.
    BadVersion(usize),
    /// The register showed this, from the write with that zxid.
    Read(Shown, i64),
    /// What a sync gives.
    Empty,
}

/// A call of a client.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The group that it concerns.
    pub group: usize,
    /// What.
    pub asked: Asked,
    /// When it was sent.
    pub invoked: u64,
    /// When its answer came; of no meaning if there is none.
    pub returned: u64,
    /// What came back.
    pub answer: Answer,
    /// The zxid of the reply.
    pub zxid: i64,
}

/// What a client heard, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The answer to the operation with this index.
    Reply(usize),
    /// The register has changed: its group, and its place there.
    Event(usize, usize),
}

/// One session. Its operations are in the order in which they were sent.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// What was asked.
    pub operations: Vec<Operation>,
    /// What was heard, on all connections of the session: a client sets its watches again on a new
    /// connection before it asks for anything else.
    pub heard: Vec<Heard>,
}

/// All that the clients saw.
#[derive(Clone, Debug, Default)]
pub struct Registers {
    /// How many registers each group has.
    pub groups: Vec<usize>,
    /// The sessions.
    pub sessions: Vec<Session>,
}

/// What a history held, so that a verdict can be seen to mean something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // counts of what their names say
pub struct Held {
    /// All but syncs.
    pub operations: usize,
    pub written: usize,
    pub refused: usize,
    pub multis: usize,
    pub reads: usize,
    pub linearizable_reads: usize,
    /// Writes of unknown outcome.
    pub unknown: usize,
    /// Those of them that somebody read.
    pub seen: usize,
    pub events: usize,
}

/// Which reads must be linearizable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Those that say so.
    Marked,
    /// All of them.
    All,
}

/// Configurations of a group that are looked at before its search is given up.
const CONFIGURATIONS_MAX: usize = 1_000_000;
/// What stands for values that nobody read: they need not be told apart.
const UNSEEN: u64 = u64::MAX;

/// Judges what clients saw.
///
/// # Errors
/// A violation, of the rule `registers.search` if a group could not be decided.
pub fn judge_registers(registers: &Registers, reads: Reads) -> Result<Held, Violation> {
    let mut held = Held::default();
    let writes = order::Writes::of(registers)?;
    writes.check_clock()?;
    for (number, session) in registers.sessions.iter().enumerate() {
        held.events += sessions::check(number, session, &writes)?;
    }
    let seen = first_reads(registers);
    for group in 0..registers.groups.len() {
        let calls = calls(registers, group, reads, &seen, &mut held);
        let start = vec![Shown { version: 0, value: 0 }; registers.groups[group]];
        match linearize(&Group, start, &calls, CONFIGURATIONS_MAX) {
            Verdict::Linearizable => {}
            Verdict::Not(why) => {
                let what = format!("group {group}: {why}");
                return Err(Violation::new("registers.linearizable", what));
            }
            Verdict::Undecided(many) => {
                let what = format!("group {group}: undecided after {many} configurations");
                return Err(Violation::new("registers.search", what));
            }
        }
    }
    Ok(held)
}

/// Of every value that was read: its version, and when the first reply with it came.
type FirstReads = BTreeMap<u64, (i32, u64)>;

fn first_reads(registers: &Registers) -> FirstReads {
    let mut first = FirstReads::new();
    for operation in registers.sessions.iter().flat_map(|session| &session.operations) {
        if let Answer::Read(shown, _) = operation.answer {
            let entry = first.entry(shown.value).or_insert((shown.version, operation.returned));
            entry.1 = entry.1.min(operation.returned);
        }
    }
    first
}

/// The calls of a group, as the search takes them.
fn calls(
    registers: &Registers,
    group: usize,
    reads: Reads,
    seen: &FirstReads,
    held: &mut Held,
) -> Vec<Call<Action>> {
    let operations = registers.sessions.iter().flat_map(|session| &session.operations);
    let of_group = operations.filter(|operation| operation.group == group);
    of_group.filter_map(|operation| call(operation, reads, seen, held)).collect()
}

fn call(
    operation: &Operation,
    reads: Reads,
    seen: &FirstReads,
    held: &mut Held,
) -> Option<Call<Action>> {
    held.operations += usize::from(operation.asked != Asked::Sync);
    let returned = Some(operation.returned);
    let (action, returned) = match (&operation.asked, &operation.answer) {
        (Asked::Write(writes), Answer::Written(versions)) => {
            held.written += 1;
            held.multis += usize::from(writes.len() > 1);
            let versions = versions.iter().copied().map(Some).collect();
            (Action::Done(writes.clone(), versions), returned)
        }
        (Asked::Write(writes), Answer::BadVersion(refused)) => {
            held.refused += 1;
            (Action::Refused(writes.clone(), *refused), returned)
        }
        (Asked::Write(writes), _) => {
            held.unknown += 1;
            let (action, returned) = unknown(writes, seen);
            held.seen += usize::from(returned.is_some());
            (action, returned)
        }
        (Asked::Read { register, is_linearizable, .. }, Answer::Read(shown, _)) => {
            held.reads += 1;
            if !is_linearizable && reads == Reads::Marked {
                return None;
            }
            held.linearizable_reads += 1;
            (Action::Read(*register, *shown), returned)
        }
        (Asked::Read { .. } | Asked::Sync, _) => return None,
    };
    Some(Call { action, invoked: operation.invoked, returned })
}

/// What is known of a write that was not answered, and by when it had taken effect.
fn unknown(writes: &[Write], seen: &FirstReads) -> (Action, Option<u64>) {
    let read = |write: &Write| write.value.and_then(|value| seen.get(&value));
    let versions = writes.iter().map(|write| read(write).map(|(version, _)| *version)).collect();
    let returned = writes.iter().filter_map(read).map(|(_, returned)| *returned).min();
    let shown = |write: &Write| {
        let value = write.value.map(|value| if seen.contains_key(&value) { value } else { UNSEEN });
        Write { value, ..write.clone() }
    };
    (Action::Done(writes.iter().map(shown).collect(), versions), returned)
}
