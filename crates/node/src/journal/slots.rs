//! A member's records in a journal of slots: for engines whose log is more than the order.
//!
//! A slot is an entry of the storage's journal under its index; where the log begins is a
//! checkpoint there. A base that comes with another member's state is announced first, as a text,
//! and takes effect with that state: a crash leaves the old log or the new state, never half of
//! both. Guarantee: a base is never in force before a durable snapshot of its place.

#[cfg(test)]
mod tests;

use super::{Chore, JournalFiles, Performed};
use crate::Output;
use crate::recovery::RecoverError;
use base::{Lsn, Zxid};
use broadcast::{ANNOUNCED, Base, Slot};
use std::collections::BTreeMap;
use std::path::PathBuf;
use storage::journal::{
    Checkpoint, Identity, Journal, Options, Record, Recovered, Removal, TornTail,
};
use storage::{Disk, Error};

/// The journal, and the files beside it.
pub(super) struct Slots<D: Disk> {
    pub(super) journal: Journal<D>,
    files: JournalFiles<D>,
    /// The base that is announced.
    announced: Option<Base>,
    /// Segments that no checkpoint needs.
    removal: Option<Removal<D>>,
    /// The storage's own count of records.
    lsn: Lsn,
    scratch: Vec<u8>,
}

impl<D: Disk> Slots<D> {
    /// On what [`find_slots`] found.
    pub(super) fn new(journal: Journal<D>, files: JournalFiles<D>) -> Slots<D> {
        let (announced, removal, lsn) = (None, None, journal.appended());
        Slots { journal, files, announced, removal, lsn, scratch: Vec::new() }
    }

    /// Takes an output if it is for the journal.
    ///
    /// # Errors
    /// If the disk failed.
    ///
    /// # Panics
    /// If it is for the journal of another kind of member.
    #[allow(clippy::wildcard_enum_match_arm)] // all that is not the journal's goes back
    pub(super) fn perform(&mut self, output: Output) -> Result<Performed, Error> {
        let lsn = match output {
            Output::Slot { lsn, slot } => {
                slot.encode(&mut self.scratch);
                let (at, next) = (place(slot.index), next(&mut self.lsn));
                self.journal.append(next, &Record::Entry { at, bytes: &self.scratch })?;
                lsn
            }
            Output::Cut { lsn, from } => {
                self.append(&Record::Truncate { to: place(from - 1) })?;
                lsn
            }
            Output::Base { lsn, base } => {
                let (at, state) = (place(base.index), base.encode());
                self.append(&Record::Checkpoint { at, state: &state })?;
                self.compact()?;
                lsn
            }
            Output::Announced { lsn, base } => {
                let text = base.to_text();
                self.append(&Record::Text { name: ANNOUNCED, text: Some(&text) })?;
                self.announced = Some(base);
                lsn
            }
            Output::Register { lsn, name, value } => {
                self.append(&Record::Register { name, value })?;
                lsn
            }
            Output::Text { lsn, name, text } => {
                self.keep_text(name, text.as_deref())?;
                lsn
            }
            Output::Roll => return Ok(Performed::Done), // segments end by themselves
            Output::BeginInstall { .. } => {
                // What is announced must be there before the state is.
                self.journal.flush()?;
                return Ok(Performed::Done);
            }
            Output::Install { at } => {
                let announced = self.announced.take().filter(|base| base.at == at);
                let base = announced.expect("a state is announced before it comes");
                put_base(&mut self.journal, &mut self.lsn, &base, false)?;
                self.compact()?;
                return Ok(Performed::Done);
            }
            Output::Append { .. } | Output::Truncate { .. } => {
                unreachable!("this engine's log is more than the order")
            }
            other => return Ok(Performed::NotOurs(other)),
        };
        Ok(Performed::Appended(lsn))
    }

    fn append(&mut self, record: &Record<'_>) -> Result<(), Error> {
        self.journal.append(next(&mut self.lsn), record)
    }

    /// Keeps a text beside the journal, durably and behind all before it; a failure is the journal's.
    fn keep_text(&mut self, name: &'static str, text: Option<&str>) -> Result<(), Error> {
        self.journal.flush()?;
        let kept = self.files.keep_text(name, text);
        if kept.is_err() {
            self.journal.fail();
        }
        kept
    }

    /// Gives up segments that the last checkpoint covers.
    fn compact(&mut self) -> Result<(), Error> {
        if self.removal.is_none() {
            self.removal = self.journal.compact(Zxid(i64::MAX))?;
        }
        Ok(())
    }

    pub(super) fn next_chore(&mut self) -> Option<Chore<D>> {
        let removal = self.removal.take().map(Chore::Removal);
        removal.or_else(|| self.journal.plan_ahead().map(Chore::Ahead))
    }

    pub(super) fn files(&self) -> &JournalFiles<D> {
        &self.files
    }

    pub(super) fn fail(&mut self) {
        self.journal.fail();
    }
}

/// What is in a journal of slots at a start.
pub(crate) struct FoundSlots<D: Disk> {
    pub(crate) journal: Journal<D>,
    /// What was cut, for the log.
    pub(crate) torn: Option<TornTail>,
    /// Where the log begins, if it ever began.
    pub(crate) base: Option<Base>,
    /// What is behind that.
    pub(crate) slots: Vec<Slot>,
    pub(crate) registers: BTreeMap<String, i64>,
}

impl<D: Disk> FoundSlots<D> {
    /// Whether no start has ever ended on it.
    pub(crate) fn is_blank(&self) -> bool {
        self.base.is_none() && self.slots.is_empty() && self.registers.is_empty()
    }
}

/// Opens the journal of a member whose snapshot is at `applied`, and reads all of it.
///
/// # Errors
/// What is wrong with it, where, and what to do.
pub(crate) fn find_slots<D: Disk>(
    disk: &D,
    dir: PathBuf,
    identity: Identity,
    options: Options,
    applied: Zxid,
) -> Result<FoundSlots<D>, RecoverError> {
    let recovered = Journal::recover(disk.clone(), dir.clone(), identity, options)?;
    let Recovered { mut journal, torn, .. } = recovered;
    let mut lsn = journal.appended();
    let malformed = |what| RecoverError::Slots { dir: dir.clone(), what };
    let kept = journal.kept();
    let announced = match kept.texts.get(ANNOUNCED) {
        Some(text) => Some(Base::from_text(text).ok_or(malformed("an announced state"))?),
        None => None,
    };
    let begins = match &kept.checkpoint {
        Some(kept) => Some(read_base(kept).ok_or(malformed("where the log begins"))?),
        None => None,
    };
    if let Some(announced) = announced {
        let is_later = begins.as_ref().is_none_or(|begins| announced.index > begins.index);
        if is_later && announced.at <= applied {
            let holds = slots_from(&mut journal, announced.index, 1)
                .map_err(|error| error.unwrap_or(malformed("a slot")))?
                .first()
                .is_some_and(|slot| {
                    slot.index == announced.index && slot.period == announced.period
                });
            put_base(&mut journal, &mut lsn, &announced, holds)?;
        } else {
            journal.append(next(&mut lsn), &Record::Text { name: ANNOUNCED, text: None })?;
        }
        journal.commit()?;
    }
    let base = journal.kept().checkpoint.as_ref().and_then(read_base);
    if let Some(base) = base.as_ref().filter(|base| base.at > applied) {
        return Err(RecoverError::SnapshotLost { dir, at: base.at, found: applied });
    }
    let from = base.as_ref().map_or(1, |base| base.index + 1);
    let slots = slots_from(&mut journal, from, usize::MAX)
        .map_err(|error| error.unwrap_or(malformed("a slot")))?;
    let registers = journal.kept().registers.clone();
    Ok(FoundSlots { journal, torn, base, slots, registers })
}

/// The log begins at this base from now on. What is behind it stays if it `holds` the base's own
/// slot; else it is of another history.
fn put_base<D: Disk>(
    journal: &mut Journal<D>,
    lsn: &mut Lsn,
    base: &Base,
    holds: bool,
) -> Result<(), Error> {
    let at = place(base.index);
    if !holds && at < journal.next() {
        journal.append(next(lsn), &Record::Truncate { to: at })?;
    }
    journal.append(next(lsn), &Record::Checkpoint { at, state: &base.encode() })?;
    journal.append(next(lsn), &Record::Text { name: ANNOUNCED, text: None })?;
    journal.flush()
}

/// Slots from this index on, if it is there. No error is a slot that makes none.
fn slots_from<D: Disk>(
    journal: &mut Journal<D>,
    from: u64,
    count: usize,
) -> Result<Vec<Slot>, Option<RecoverError>> {
    let mut slots = Vec::new();
    let failed = |error: Error| Some(RecoverError::Storage(error));
    let Some(mut entries) = journal.entries(place(from)).map_err(failed)? else {
        return Ok(slots);
    };
    while slots.len() < count
        && let Some((at, bytes)) = entries.next_entry().map_err(failed)?
    {
        slots.push(Slot::decode(at.0.cast_unsigned(), bytes).ok_or(None)?);
    }
    Ok(slots)
}

fn read_base(kept: &Checkpoint) -> Option<Base> {
    Base::decode(kept.at.0.cast_unsigned(), &kept.state)
}

fn place(index: u64) -> Zxid {
    Zxid(i64::try_from(index).expect("a log is shorter than that"))
}

fn next(lsn: &mut Lsn) -> Lsn {
    *lsn = Lsn(lsn.0 + 1);
    *lsn
}
