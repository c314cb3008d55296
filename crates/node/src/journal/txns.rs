//! A member's records on ZooKeeper's transaction log, and in the files beside it.
//!
//! Entries gather until they are synced; all else that a member of an ensemble keeps is rare, and
//! is durable at once and in its order.

use super::{JournalFiles, Performed};
use crate::Output;
use base::Lsn;
use storage::{Disk, Error, TxnLog, write_number};

/// The log, and the files of a member of an ensemble.
pub(super) struct Txns<D: Disk> {
    pub(super) log: TxnLog<D>,
    files: Option<Box<JournalFiles<D>>>,
}

impl<D: Disk> Txns<D> {
    pub(super) fn new(log: TxnLog<D>, files: Option<JournalFiles<D>>) -> Txns<D> {
        Txns { log, files: files.map(Box::new) }
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
        match output {
            Output::Append { lsn, at, record } => {
                self.log.append(at, &record)?;
                Ok(Performed::Appended(lsn))
            }
            Output::Roll => {
                self.log.roll()?;
                Ok(Performed::Done)
            }
            Output::Truncate { lsn, to } => self.rarely(lsn, |log, files| {
                // What does not lead there is left alone; a reload will say so.
                log.truncate(&files.dirs, to, files.read).map(|_| ())
            }),
            Output::Register { lsn, name, value } => self.rarely(lsn, |log, files| {
                log.commit()?;
                write_number(&files.disk, &files.dirs.snapshots().join(name), value)?;
                match name {
                    zab::CURRENT_EPOCH => storage::mark_lost(&files.disk, &files.dirs, false),
                    _ => Ok(()),
                }
            }),
            Output::Text { lsn, name, text } => self.rarely(lsn, |log, files| {
                log.commit()?;
                files.keep_text(name, text.as_deref())
            }),
            Output::BeginInstall { at } => {
                self.kept(|log, files| log.begin_install(&files.dirs, at, files.read))
            }
            Output::Install { at } => self.kept(|log, files| log.installed(&files.dirs, at)),
            Output::Slot { .. }
            | Output::Cut { .. }
            | Output::Base { .. }
            | Output::Announced { .. } => {
                unreachable!("the log of this engine is the order itself")
            }
            other => Ok(Performed::NotOurs(other)),
        }
    }

    /// Performs a record that is durable when `step` has ended, and all before it.
    fn rarely(
        &mut self,
        lsn: Lsn,
        step: impl FnOnce(&mut TxnLog<D>, &JournalFiles<D>) -> Result<(), Error>,
    ) -> Result<Performed, Error> {
        self.kept(step)?;
        Ok(Performed::Appended(lsn))
    }

    /// Runs a step over the member's files; its failure is the log's.
    fn kept(
        &mut self,
        step: impl FnOnce(&mut TxnLog<D>, &JournalFiles<D>) -> Result<(), Error>,
    ) -> Result<Performed, Error> {
        let Txns { log, files } = self;
        let files = files.as_ref().expect("a standalone server's engine writes entries alone");
        if log.has_failed() {
            return Err(Error::Poisoned);
        }
        let done = step(log, files);
        if done.is_err() {
            log.fail();
        }
        done.map(|()| Performed::Done)
    }

    pub(super) fn files(&self) -> &JournalFiles<D> {
        self.files.as_ref().expect("a standalone server installs nothing")
    }

    pub(super) fn fail(&mut self) {
        self.log.fail();
    }
}
