//! The visitor, and the two passes over it: a snapshot, then the log.

use super::{Recovery, repair};
use crate::error::At;
use crate::log::{Finding, LogReader, LogRecord, ReadOptions, Tail, settle};
use crate::names::SnapshotFile;
use crate::reset::Nobody;
use crate::snapshot::{SnapshotItem, SnapshotReader, SnapshotTrailer};
use crate::{Damage, Disk, DiskFile, Error};
use base::{SessionId, Zxid};
use std::path::PathBuf;
use wire::{Acls, NodeRecord, TxnRecord};

/// What [`Restore::begin`] begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// The contents of the snapshot of that zxid follow.
    Snapshot(Zxid),
    /// Nothing was stored: the tree of a new server.
    Empty,
}

/// Builds a tree from what is on the disk.
pub trait Restore {
    /// Why it refuses.
    type Error;

    /// Forget everything and begin. Comes again if a snapshot turns out to be bad half way.
    ///
    /// # Errors
    /// Ends the recovery.
    fn begin(&mut self, begin: Begin) -> Result<(), Self::Error>;

    /// A session of the snapshot.
    ///
    /// # Errors
    /// Makes this snapshot bad: an older one is tried.
    fn session(&mut self, session: SessionId, timeout_ms: i32) -> Result<(), Self::Error>;

    /// An access list of the snapshot; an empty one permits everything.
    ///
    /// # Errors
    /// Makes this snapshot bad.
    fn acl(&mut self, id: i64, acl: &Acls<'_>) -> Result<(), Self::Error>;

    /// A node of the snapshot, the root first and with the empty path.
    ///
    /// # Errors
    /// Makes this snapshot bad: say so of a node without its parent.
    fn node(&mut self, node: &NodeRecord<'_>) -> Result<(), Self::Error>;

    /// The snapshot was whole. Its digest is left out if it cannot be compared: if it is of before
    /// the snapshot began. Otherwise the tree has it once the transaction of its zxid is applied.
    ///
    /// # Errors
    /// Makes this snapshot bad.
    fn snapshot_done(&mut self, zxid: Zxid, trailer: &SnapshotTrailer) -> Result<(), Self::Error>;

    /// A record of the log, in order; those that the snapshot may hold already come as well.
    ///
    /// # Errors
    /// Ends the recovery.
    fn txn(&mut self, txn: &TxnRecord<'_>, payload: &[u8]) -> Result<(), Self::Error>;
}

/// Why there is no tree.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError<E> {
    /// The storage refused.
    #[error(transparent)]
    Storage(#[from] Error),
    /// The target refused.
    #[error("the recovered state is refused: {0}")]
    Target(E),
    /// The target refused the only snapshot.
    #[error("{}: refused: {error}; there is no other snapshot", path.display())]
    Snapshot {
        /// The file.
        path: PathBuf,
        /// Why.
        error: E,
    },
}

/// What the data directory was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There was a state.
    Restored,
    /// There was none and a new one may begin: write `snapshot.0` before anything else.
    Empty,
    /// There was none and nobody said that there should be: zxid -1. A member of an ensemble may
    /// have lost its disk, and must not vote before it has synchronized.
    Unknown,
}

/// What recovery found.
#[derive(Debug)]
pub struct Restored {
    /// What the data directory was.
    pub outcome: Outcome,
    /// The snapshot's zxid, by its name.
    pub snapshot: Option<Zxid>,
    /// The last transaction: of the log, else of the snapshot; -1 if unknown.
    pub last: Zxid,
    /// How many records were replayed.
    pub replayed: u64,
    /// Snapshots that were bad, and why.
    pub skipped_snapshots: Vec<(SnapshotFile, Error)>,
    /// What was unusual in the log; torn tails have been cut.
    pub findings: Vec<Finding>,
}

impl Restored {
    pub(super) fn without_data(outcome: Outcome) -> Restored {
        Restored {
            last: Zxid(if outcome == Outcome::Unknown { -1 } else { 0 }),
            outcome,
            snapshot: None,
            replayed: 0,
            skipped_snapshots: Vec::new(),
            findings: Vec::new(),
        }
    }
}

/// Why a snapshot was not taken.
enum Unfit<E> {
    Bad(Error),
    Refused(E),
}

impl<D: Disk> Recovery<D> {
    /// Feeds the newest good snapshot; `None` if there is none at all.
    pub(super) fn load_snapshot<R: Restore>(
        &self,
        target: &mut R,
        skipped: &mut Vec<(SnapshotFile, Error)>,
    ) -> Result<Option<Zxid>, RestoreError<R::Error>> {
        self.load_newest(&self.candidates, None, target, skipped)
    }

    /// The same of these, newest first, and of none that may hold what comes after `end`.
    fn load_newest<R: Restore>(
        &self,
        candidates: &[SnapshotFile],
        end: Option<Zxid>,
        target: &mut R,
        skipped: &mut Vec<(SnapshotFile, Error)>,
    ) -> Result<Option<Zxid>, RestoreError<R::Error>> {
        for snapshot in candidates {
            target.begin(Begin::Snapshot(snapshot.zxid)).map_err(RestoreError::Target)?;
            let error = match feed(&self.disk, snapshot, end, target) {
                Ok(()) => {
                    self.secure(snapshot)?;
                    return Ok(Some(snapshot.zxid));
                }
                // A disk that does not answer says nothing about the snapshot.
                Err(Unfit::Bad(error @ Error::Io { .. })) => return Err(error.into()),
                Err(Unfit::Bad(error)) => error,
                Err(Unfit::Refused(error)) if candidates.len() == 1 => {
                    let path = snapshot.path.clone();
                    return Err(RestoreError::Snapshot { path, error });
                }
                Err(Unfit::Refused(_)) => Error::Corrupt {
                    path: snapshot.path.clone(),
                    offset: 0,
                    damage: Damage::Malformed,
                    after: Zxid::ZERO,
                },
            };
            skipped.push((snapshot.clone(), error));
        }
        if skipped.is_empty() {
            return Ok(None);
        }
        let (dir, tried) = (self.dirs.snapshots(), skipped.len());
        let newest = Box::new(skipped.swap_remove(0).1);
        Err(Error::NoValidSnapshot { dir, tried, newest }.into())
    }

    /// The reference does not sync its snapshots; older ones may be purged for the sake of this
    /// one.
    fn secure(&self, snapshot: &SnapshotFile) -> Result<(), Error> {
        let (path, dir) = (&snapshot.path, self.dirs.snapshots());
        self.disk.open_rw(path).at(path)?.sync_data().at(path)?;
        self.disk.sync_dir(&dir).at(&dir)
    }

    /// The newest snapshot that is good and holds nothing of what comes after `at`.
    pub(crate) fn newest_before(&self, at: Zxid) -> Result<Option<Zxid>, Error> {
        let earlier = self.candidates.partition_point(|snapshot| snapshot.zxid > at);
        self.newest_good(&self.candidates[earlier..], Some(at))
    }

    /// Whether there is a good snapshot of that place.
    pub(crate) fn has_good(&self, at: Zxid) -> Result<bool, Error> {
        let same = self.candidates.iter().filter(|snapshot| snapshot.zxid == at);
        let same: Vec<SnapshotFile> = same.cloned().collect();
        Ok(self.newest_good(&same, None)?.is_some())
    }

    fn newest_good(
        &self,
        candidates: &[SnapshotFile],
        end: Option<Zxid>,
    ) -> Result<Option<Zxid>, Error> {
        match self.load_newest(candidates, end, &mut Nobody, &mut Vec::new()) {
            Ok(found) => Ok(found),
            Err(RestoreError::Storage(error @ Error::Io { .. })) => Err(error),
            Err(RestoreError::Storage(_)) => Ok(None),
        }
    }

    /// Brings `target` to the state at `at` exactly, and changes nothing on the disk: for a server
    /// that has recovered and goes back. The log may be open for writing.
    ///
    /// # Errors
    /// [`Error::NotInLog`] if what is there does not lead to that place; what the storage refuses,
    /// or what `target` said to a transaction.
    pub fn restore_to<R: Restore>(
        &self,
        target: &mut R,
        at: Zxid,
    ) -> Result<Restored, RestoreError<R::Error>> {
        let logs = self.dirs.logs();
        let not_there = || Error::NotInLog { dir: logs.clone(), zxid: at };
        let earlier = self.candidates.partition_point(|snapshot| snapshot.zxid > at);
        let mut skipped_snapshots = Vec::new();
        let start = self.load_newest(
            &self.candidates[earlier..],
            Some(at),
            target,
            &mut skipped_snapshots,
        )?;
        let mut last = start.ok_or_else(not_there)?;
        let options = ReadOptions { tail: Tail::Live, refuse_gaps: true, ..self.options.read };
        let mut reader = LogReader::open(self.disk.clone(), &logs, last.next(), options)?;
        let mut replayed = 0;
        while last < at
            && let Some(record) = reader.next_record()?
            && record.zxid() <= at
        {
            replay_record(target, &record, last)?;
            last = last.max(record.zxid());
            replayed += 1;
        }
        if last != at {
            return Err(not_there().into());
        }
        Ok(Restored {
            snapshot: start,
            last,
            replayed,
            skipped_snapshots,
            ..Restored::without_data(Outcome::Restored)
        })
    }

    /// Feeds the log from after `start`, then repairs its end.
    pub(super) fn replay<R: Restore>(
        &self,
        target: &mut R,
        start: Option<Zxid>,
    ) -> Result<Restored, RestoreError<R::Error>> {
        let logs = self.dirs.logs();
        let mut last = start.unwrap_or_default();
        let options = ReadOptions { tail: Tail::Closed, ..self.options.read };
        let mut reader = LogReader::open(self.disk.clone(), &logs, last.next(), options)?;
        let mut replayed = 0;
        while let Some(record) = reader.next_record()? {
            replay_record(target, &record, last)?;
            last = last.max(record.zxid());
            replayed += 1;
        }
        let findings = reader.findings().to_vec();
        let (begun, empty): (Vec<_>, Vec<_>) =
            reader.visited().iter().cloned().partition(|file| !file.is_empty());
        settle(&self.disk, &logs, &begun)?;
        repair(&self.disk, &logs, &findings)?;
        // The record that one was named after never came: the next may have an earlier place.
        for file in empty.iter().rev() {
            self.disk.remove(&file.path).at(&file.path)?;
            self.disk.sync_dir(&logs).at(&logs)?;
        }
        Ok(Restored {
            snapshot: start,
            last,
            replayed,
            findings,
            ..Restored::without_data(Outcome::Restored)
        })
    }
}

fn replay_record<R: Restore>(
    target: &mut R,
    record: &LogRecord<'_>,
    after: Zxid,
) -> Result<(), RestoreError<R::Error>> {
    let txn = TxnRecord::decode(record.payload).map_err(|_| Error::Corrupt {
        path: record.path.to_owned(),
        offset: record.offset,
        damage: Damage::Malformed,
        after,
    })?;
    target.txn(&txn, record.payload).map_err(RestoreError::Target)
}

fn feed<D: Disk, R: Restore>(
    disk: &D,
    snapshot: &SnapshotFile,
    end: Option<Zxid>,
    target: &mut R,
) -> Result<(), Unfit<R::Error>> {
    let mut reader =
        SnapshotReader::open(disk, &snapshot.path, snapshot.compression).map_err(Unfit::Bad)?;
    while let Some(item) = reader.next_item().map_err(Unfit::Bad)? {
        match item {
            SnapshotItem::Session(session, timeout_ms) => target.session(session, timeout_ms),
            SnapshotItem::Acl(id, acl) => target.acl(id, &acl),
            SnapshotItem::Node(node) => target.node(&node),
            SnapshotItem::End(trailer) if trailer.end() > end.or(trailer.end()) => {
                let (path, at) = (snapshot.path.clone(), end.unwrap_or_default());
                return Err(Unfit::Bad(Error::TooLate { path, at }));
            }
            SnapshotItem::End(mut trailer) => {
                trailer.digest = trailer.digest.filter(|digest| digest.zxid >= snapshot.zxid);
                target.snapshot_done(snapshot.zxid, &trailer)
            }
        }
        .map_err(Unfit::Refused)?;
    }
    Ok(())
}
