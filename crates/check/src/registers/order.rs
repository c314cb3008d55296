//! The zxids of what was written, held against the clock and against what was read.

use super::{Answer, Asked, Operation, Registers, Shown};
use crate::record::Violation;
use std::collections::BTreeMap;

/// A register, by its group and its place there.
pub(super) type Register = (usize, usize);

/// What is known of the writes, by their zxids.
#[derive(Debug, Default)]
pub(super) struct Writes {
    /// Of each register the writes that were answered or read: zxid and what they left.
    known: BTreeMap<Register, BTreeMap<i64, Shown>>,
    /// When each answered write was sent and answered, and its zxid.
    answered: Vec<(u64, u64, i64)>,
}

impl Writes {
    /// # Errors
    /// If two things that were seen of one write do not agree, or a value was read that nobody had
    /// written then.
    pub(super) fn of(registers: &Registers) -> Result<Writes, Violation> {
        let mut writes = Writes::default();
        // Of each value: its register, when it was sent, and whether it was refused.
        let mut sent = BTreeMap::new();
        let operations = || registers.sessions.iter().flat_map(|session| &session.operations);
        for operation in operations() {
            writes.answer(operation)?;
            let Asked::Write(parts) = &operation.asked else { continue };
            let is_refused = matches!(operation.answer, Answer::BadVersion(_));
            for (register, value) in parts.iter().filter_map(|w| Some((w.register, w.value?))) {
                let entry = ((operation.group, register), operation.invoked, is_refused);
                if sent.insert(value, entry).is_some() {
                    return Err(Violation::new("history", format!("{value} is written twice")));
                }
            }
        }
        for operation in operations() {
            let (Asked::Read { register, .. }, Answer::Read(shown, zxid)) =
                (&operation.asked, &operation.answer)
            else {
                continue;
            };
            let register = (operation.group, *register);
            let is_first = shown.value == 0 && shown.version == 0;
            let is_right = |&(of, invoked, is_refused): &(Register, u64, bool)| {
                of == register && invoked <= operation.returned && !is_refused
            };
            if !is_first && !sent.get(&shown.value).is_some_and(is_right) {
                let what = format!("{register:?} shows what nobody had written: {operation:?}");
                return Err(Violation::new("registers.made_up", what));
            }
            writes.learn(register, *zxid, *shown)?;
        }
        writes.check_versions()?;
        Ok(writes)
    }

    fn answer(&mut self, operation: &Operation) -> Result<(), Violation> {
        let (Asked::Write(parts), Answer::Written(versions)) =
            (&operation.asked, &operation.answer)
        else {
            return Ok(());
        };
        let Operation { group, invoked, returned, zxid, .. } = *operation;
        self.answered.push((invoked, returned, zxid));
        // The last write of a multi to a register is what it leaves.
        let mut left = BTreeMap::new();
        for (part, version) in parts.iter().zip(versions) {
            if let Some(value) = part.value {
                left.insert((group, part.register), Shown { version: *version, value });
            }
        }
        left.into_iter().try_for_each(|(register, shown)| self.learn(register, zxid, shown))
    }

    fn learn(&mut self, register: Register, zxid: i64, shown: Shown) -> Result<(), Violation> {
        let known = *self.known.entry(register).or_default().entry(zxid).or_insert(shown);
        if known == shown {
            return Ok(());
        }
        let what = format!("{register:?} at {zxid:#x} is {known:?} and {shown:?}");
        Err(Violation::new("registers.agreement", what))
    }

    /// Versions of a register rise with the zxids.
    fn check_versions(&self) -> Result<(), Violation> {
        for (register, known) in &self.known {
            let falls =
                known.iter().zip(known.iter().skip(1)).find(|(a, b)| a.1.version >= b.1.version);
            if let Some((before, after)) = falls {
                let what = format!("{register:?}: {after:x?} follows {before:x?}");
                return Err(Violation::new("registers.versions", what));
            }
        }
        Ok(())
    }

    /// Whoever was answered before another asked has the lower zxid, and no zxid is given twice.
    pub(super) fn check_clock(&self) -> Result<(), Violation> {
        let mut by_start = self.answered.clone();
        by_start.sort_unstable();
        let mut by_end = self.answered.clone();
        by_end.sort_unstable_by_key(|(_, returned, _)| *returned);
        let mut ended = by_end.into_iter().peekable();
        let mut highest = i64::MIN;
        for (invoked, _, zxid) in by_start {
            while let Some((_, _, zxid)) = ended.next_if(|(_, returned, _)| *returned < invoked) {
                highest = highest.max(zxid);
            }
            if zxid <= highest {
                let what = format!("{zxid:#x} was sent after {highest:#x} was answered");
                return Err(Violation::new("registers.clock", what));
            }
        }
        let mut zxids: Vec<i64> = self.answered.iter().map(|(_, _, zxid)| *zxid).collect();
        zxids.sort_unstable();
        match zxids.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => {
                let what = format!("{:#x} was given to two writes", pair[0]);
                Err(Violation::new("registers.zxid", what))
            }
            None => Ok(()),
        }
    }

    /// The first known write of a register in a range of zxids, both ends left out and counted.
    pub(super) fn first_between(&self, register: Register, above: i64, to: i64) -> Option<i64> {
        let known = self.known.get(&register)?;
        let range = (std::ops::Bound::Excluded(above), std::ops::Bound::Included(to.max(above)));
        if to <= above { None } else { known.range(range).next().map(|(zxid, _)| *zxid) }
    }
}
