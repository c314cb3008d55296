//! What one session may see: never less than before, and events before what they tell of.

use super::order::{Register, Writes};
use super::{Answer, Asked, Heard, Operation, Session};
use crate::record::Violation;
use std::collections::BTreeMap;

/// Follows a session's replies and events in the order in which they came; gives the number of the
/// events.
pub(super) fn check(number: usize, session: &Session, writes: &Writes) -> Result<usize, Violation> {
    let mut seen =
        Seen { last: 0, next: 0, armed: BTreeMap::new(), told: BTreeMap::new(), events: 0 };
    for heard in &session.heard {
        let outcome = match heard {
            Heard::Reply(index) => seen.reply(*index, &session.operations[*index], writes),
            Heard::Event(group, register) => seen.event((*group, *register)),
        };
        outcome.map_err(|violation| {
            let what = format!("session {number}: {}", violation.what);
            Violation::new(violation.rule, what)
        })?;
    }
    Ok(seen.events)
}

/// What a session has seen so far.
struct Seen {
    /// The highest zxid of its replies.
    last: i64,
    /// The operation that may be answered next; those before it were answered, or never will be.
    next: usize,
    /// Watches that were set and not heard of: up to which zxid all changes are known.
    armed: BTreeMap<Register, i64>,
    /// Watches that were heard of, until the register is read: it has changed since that zxid.
    told: BTreeMap<Register, i64>,
    events: usize,
}

impl Seen {
    fn reply(
        &mut self,
        index: usize,
        operation: &Operation,
        writes: &Writes,
    ) -> Result<(), Violation> {
        if index < self.next {
            let what = format!("{index} was answered after {}", self.next - 1);
            return Err(Violation::new("session.fifo", what));
        }
        self.next = index + 1;
        let zxid = operation.zxid;
        if zxid < self.last {
            let what = format!("{zxid:#x} after {:#x}: {operation:?}", self.last);
            return Err(Violation::new("session.back", what));
        }
        if let (Asked::Read { register, .. }, Answer::Read(_, shown)) =
            (&operation.asked, &operation.answer)
        {
            self.read((operation.group, *register), *shown, operation, writes)?;
        }
        self.check_watches(zxid, writes)?;
        self.last = zxid;
        if let Asked::Read { register, watches: true, .. } = operation.asked
            && let Answer::Read(..) = operation.answer
        {
            self.armed.entry((operation.group, register)).or_insert(zxid);
        }
        Ok(())
    }

    /// A read shows a state that is no older than what the session has seen, and no younger than
    /// its reply says.
    fn read(
        &mut self,
        register: Register,
        shown: i64,
        operation: &Operation,
        writes: &Writes,
    ) -> Result<(), Violation> {
        if shown > operation.zxid {
            let what = format!("{register:?} shows {shown:#x}: {operation:?}");
            return Err(Violation::new("session.ahead", what));
        }
        if let Some(missed) = writes.first_between(register, shown, self.last) {
            let what =
                format!("{register:?} without {missed:#x}, seen {:#x}: {operation:?}", self.last);
            return Err(Violation::new("session.stale", what));
        }
        match self.told.remove(&register) {
            Some(since) if shown <= since => {
                let what = format!("{register:?} has not changed since {since:#x}: {operation:?}");
                Err(Violation::new("watch.untrue", what))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// No watch is armed whose change a reply with this zxid shows.
    fn check_watches(&self, zxid: i64, writes: &Writes) -> Result<(), Violation> {
        for (register, since) in &self.armed {
            if let Some(change) = writes.first_between(*register, *since, zxid) {
                let what =
                    format!("a reply of {zxid:#x} before the event of {register:?} at {change:#x}");
                return Err(Violation::new("watch.order", what));
            }
        }
        Ok(())
    }

    fn event(&mut self, register: Register) -> Result<(), Violation> {
        self.events += 1;
        match self.armed.remove(&register) {
            Some(since) => {
                self.told.insert(register, since);
                Ok(())
            }
            None => Err(Violation::new("watch.unasked", format!("an event of {register:?}"))),
        }
    }
}
