//! From a data directory to the tree that a member starts on, or goes back to.

#[cfg(test)]
mod tests;

use crate::journal::{FoundSlots, find_slots};
use crate::recent::{Recent, RecentLimits};
use crate::snapshot::{SnapshotOptions, SnapshotTask};
use base::{Lsn, SessionId, Zxid};
use broadcast::Item;
use std::path::PathBuf;
use storage::journal::{Identity, Record, TornTail};
use storage::{
    Begin, Dirs, Disk, Outcome, Recovery, RecoveryOptions, Restore, RestoreError, Restored,
    SnapshotTrailer,
};
use tree::{Tree, TreeBuilder};
use wire::{Acls, NodeRecord, TxnDigest, TxnRecord};

/// What a recovery gives.
#[allow(missing_debug_implementations)]
pub struct Recovered {
    /// The tree after the last transaction.
    pub tree: Tree,
    /// What was found, for the log.
    pub restored: Restored,
}

/// What the recovery of a member of an ensemble gives.
#[allow(missing_debug_implementations)]
pub struct RecoveredMember {
    /// The tree after the last transaction.
    pub tree: Tree,
    /// What was found, for the log. If its outcome is unknown, [`UNKNOWN_STATE`] says what that
    /// means.
    pub restored: Restored,
    /// What the engine begins with.
    pub durable: Durable,
}

/// What a member of an ensemble has promised, and what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durable {
    /// The highest epoch that it has promised to follow.
    pub accepted: i64,
    /// The epoch of the leader that it last synchronized with.
    pub current: i64,
    /// The end of its history; -1 if nothing is known of it.
    pub last: Zxid,
    /// Whether it may have forgotten what it acknowledged: then it must not vote.
    pub is_lost: bool,
    /// The last entries of it, without a gap.
    pub recent: Vec<(Zxid, Item)>,
}

/// What to tell people of a member whose outcome is unknown.
pub const UNKNOWN_STATE: &str = "there is no database here, or it was lost: this member does not \
                                 vote before it has synchronized with a leader, which it does by \
                                 itself. If the whole ensemble begins anew, make an empty file \
                                 `initialize` in dataLogDir and start again";

/// Why there is no tree.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The storage or the snapshot's contents were refused.
    #[error(transparent)]
    Restore(#[from] RestoreError<tree::RestoreError>),
    /// The first snapshot of a new server, or an epoch, could not be written.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// The journal is whole, but what it holds is nothing that this engine writes.
    #[error("{}: {what} cannot be read: it was written by another release; migrate the data with \
             that release, or let this member join anew", dir.display())]
    Slots {
        /// The directory of the journal.
        dir: PathBuf,
        /// What in it.
        what: &'static str,
    },
    /// The journal begins behind a snapshot that is not there.
    #[error(
        "{}: the journal begins behind the state at {at}, and the newest good snapshot is of \
         {found}: restore the snapshot from a backup, or remove this member from its ensemble, \
         move its directory aside and let it join anew", dir.display()
    )]
    SnapshotLost {
        /// The directory of the journal.
        dir: PathBuf,
        /// The place where the journal begins.
        at: Zxid,
        /// The place of the newest snapshot.
        found: Zxid,
    },
    /// The engine cannot go on with what it kept.
    #[error(transparent)]
    Raft(#[from] raft::Corrupt),
}

/// Recovers the tree. A new server's first snapshot is written before this returns: a log without
/// any snapshot would be refused at the next start.
///
/// # Errors
/// What is wrong with the data, where, and what to do.
pub fn recover<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    options: RecoveryOptions,
    tree: tree::Config,
    snapshot: SnapshotOptions,
) -> Result<Recovered, RecoverError> {
    recover_telling(disk, dirs, options, tree, snapshot, &mut || {})
}

/// As [`recover`]; says when a snapshot is loaded and the replay of the log begins. If a snapshot
/// turns out to be bad afterwards, it is said again of an older one.
///
/// # Errors
/// As [`recover`].
pub fn recover_telling<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    options: RecoveryOptions,
    tree: tree::Config,
    snapshot: SnapshotOptions,
    snapshot_loaded: &mut dyn FnMut(),
) -> Result<Recovered, RecoverError> {
    let mut target = Target::new(tree, RecentLimits::NONE, snapshot_loaded);
    let restored = open(disk, dirs, options)?.restore(&mut target)?;
    let (tree, _) = target.finish();
    if restored.outcome != Outcome::Restored {
        SnapshotTask::take(disk.clone(), &dirs.snapshots(), &tree, snapshot)?;
    }
    Ok(Recovered { tree, restored })
}

/// As [`recover_telling`], for a member of an ensemble: with what its engine begins with. One that
/// has lost its database, or may have, is not taken for a new one; nothing is written for it.
///
/// # Errors
/// As [`recover`].
pub fn recover_member<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    options: RecoveryOptions,
    tree: tree::Config,
    snapshot: SnapshotOptions,
    recent: RecentLimits,
    snapshot_loaded: &mut dyn FnMut(),
) -> Result<RecoveredMember, RecoverError> {
    let is_lost = storage::is_database_lost(disk, dirs)?;
    if !is_lost {
        storage::mark_lost(disk, dirs, false)?; // while `initialize`, which says so, is there
    }
    let create_database = options.create_database && !is_lost;
    let options = RecoveryOptions { create_database, ..options };
    let mut target = Target::new(tree, recent, snapshot_loaded);
    let restored = open(disk, dirs, options)?.restore(&mut target)?;
    let (tree, recent) = target.finish();
    if restored.outcome == Outcome::Empty {
        SnapshotTask::take(disk.clone(), &dirs.snapshots(), &tree, snapshot)?;
    }
    let is_lost = is_lost || restored.outcome == Outcome::Unknown;
    if !is_lost {
        storage::mark_database(disk, dirs)?;
    }
    if is_lost {
        storage::mark_lost(disk, dirs, true)?;
    }
    let last = restored.last;
    let epochs = storage::load_epochs(disk, &dirs.snapshots(), last)?;
    let (accepted, current) = (epochs.accepted, epochs.current);
    let durable = Durable { accepted, current, last, is_lost, recent };
    Ok(RecoveredMember { tree, restored, durable })
}

/// What the recovery of a member gives whose engine keeps slots.
#[allow(missing_debug_implementations)]
pub struct RecoveredSlots<D: Disk> {
    /// The tree of the newest snapshot: which of what is behind it is decided, only others know.
    pub tree: Tree,
    /// What was found of snapshots, for the log.
    pub restored: Restored,
    /// The journal, open for appending: for [`crate::Journal::of_slots`].
    pub journal: storage::journal::Journal<D>,
    /// What was cut from it, for the log.
    pub torn: Option<TornTail>,
    /// What the engine begins with.
    pub durable: raft::Durable,
}

/// Recovers a member whose engine keeps slots in a journal beside the snapshots. One that has lost
/// its database or its journal, or may have, is not taken for a new one, and says so for ever: it
/// does not vote under its id any more.
///
/// # Errors
/// As [`recover`].
#[allow(clippy::too_many_arguments)]
pub fn recover_slots<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    options: RecoveryOptions,
    tree: tree::Config,
    snapshot: SnapshotOptions,
    (identity, journal): (Identity, storage::journal::Options),
    snapshot_loaded: &mut dyn FnMut(),
) -> Result<RecoveredSlots<D>, RecoverError> {
    let is_marked = storage::has_mark(disk, dirs)?;
    let is_lost = storage::is_database_lost(disk, dirs)?;
    let create_database = options.create_database && !is_lost;
    let options = RecoveryOptions { create_database, ..options };
    let mut target = Target::new(tree, RecentLimits::NONE, snapshot_loaded);
    let restored = open(disk, dirs, options)?.restore(&mut target)?;
    let (tree, _) = target.finish();
    let applied = tree.last_zxid();
    if restored.outcome == Outcome::Empty {
        SnapshotTask::take(disk.clone(), &dirs.snapshots(), &tree, snapshot)?;
    }
    let found = find_slots(disk, dirs.logs(), identity, journal, applied)?;
    let begins_anew = restored.outcome == Outcome::Empty;
    // Not whether there is one: a start may have failed behind the making of an empty one.
    let has_lost_journal = found.is_blank() && !begins_anew && (is_marked || applied > Zxid::ZERO);
    let FoundSlots { mut journal, torn, base, slots, registers } = found;
    let noted = registers.get(LOST).copied();
    let was_lost = noted.is_some_and(|lost| lost != 0) && !begins_anew;
    let lost = is_lost || restored.outcome == Outcome::Unknown || has_lost_journal || was_lost;
    // Before the mark, so that a journal of a marked database is never blank.
    if noted != Some(i64::from(lost)) {
        let record = Record::Register { name: LOST, value: i64::from(lost) };
        journal.append(Lsn(journal.appended().0 + 1), &record)?;
        journal.commit()?;
    }
    if restored.outcome != Outcome::Unknown {
        storage::mark_database(disk, dirs)?;
    }
    let register = |name| registers.get(name).copied().unwrap_or(0);
    let durable = raft::Durable {
        term: register(raft::TERM),
        vote: register(raft::VOTE),
        vote_term: register(raft::VOTE_TERM),
        bases: base.into_iter().collect(),
        slots,
        applied,
        is_lost: lost,
        history: register(raft::HISTORY).cast_unsigned(),
    };
    Ok(RecoveredSlots { tree, restored, journal, torn, durable })
}

/// The register that says whether a member lost what it kept: there from its first start on.
const LOST: &str = "lost";

/// Gives the state at `at` exactly, from the newest snapshot that leads there: after a truncation.
/// Also the last entries up to there, as far as they are replayed. Nothing on the disk changes;
/// the log may be open for writing.
///
/// # Errors
/// If the disk does not lead to that place, or what is wrong with the data.
pub fn reload<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    options: RecoveryOptions,
    tree: tree::Config,
    at: Zxid,
    recent: RecentLimits,
) -> Result<(Tree, Vec<(Zxid, Item)>), RecoverError> {
    let options = RecoveryOptions { create_dirs: false, ..options };
    let mut snapshot_loaded = || {};
    let mut target = Target::new(tree, recent, &mut snapshot_loaded);
    open(disk, dirs, options)?.restore_to(&mut target, at)?;
    Ok(target.finish())
}

/// Entries of the log from the first on that is not before `from`, without a gap. None if the log
/// does not certainly reach back there, as [`storage::read_entries`] says, if it is damaged, or if
/// the newest snapshot is to be sent in their place: if they are more than what `recent` holds of a
/// history in memory, and more than `snapshot_factor` (`zookeeper.snapshotSizeFactor`) times that
/// snapshot. A factor of zero sets no limit; below, nothing is read.
pub fn read_log<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    options: RecoveryOptions,
    from: Zxid,
    snapshot_factor: f64,
    recent: RecentLimits,
) -> Vec<(Zxid, Item)> {
    let Some(size_max) = log_size_max(disk, dirs, snapshot_factor) else { return Vec::new() };
    let recent_bytes = u64::try_from(recent.bytes).unwrap_or(u64::MAX);
    let read_max = size_max.max(recent_bytes);
    // Whatever is wrong there, the snapshot does as well.
    let entries = storage::read_entries(disk, &dirs.logs(), from, read_max, options.read);
    let entries = entries.ok().flatten().unwrap_or_default();
    let size: usize = entries.iter().map(|(_, payload)| payload.len()).sum();
    // The first one is the learner's own.
    let is_recent = size <= recent.bytes && entries.len() <= recent.entries.saturating_add(1);
    let is_small = u64::try_from(size).is_ok_and(|size| size <= size_max);
    if !(is_recent || is_small) || lacks_something(disk, dirs, &entries) {
        return Vec::new();
    }
    entries.into_iter().map(|(at, payload)| (at, Item::from(payload))).collect()
}

/// Whether a snapshot tells of transactions at the end of an epoch that the log has not: one that
/// another kind of server got from its leader, and left its log as it was.
fn lacks_something<D: Disk>(disk: &D, dirs: &Dirs, entries: &[(Zxid, Vec<u8>)]) -> bool {
    let snapshots = storage::list_snapshots(disk, &dirs.snapshots()).unwrap_or_default();
    let is_between = |after: Zxid, next: Zxid| {
        let mut names = snapshots.iter().map(|snapshot| snapshot.zxid);
        names.any(|zxid| after < zxid && zxid < next && zxid.counter() > 0)
    };
    entries.windows(2).any(|pair| is_between(pair[0].0, pair[1].0))
}

fn log_size_max<D: Disk>(disk: &D, dirs: &Dirs, snapshot_factor: f64) -> Option<u64> {
    if snapshot_factor < 0.0 {
        return None;
    }
    if snapshot_factor == 0.0 {
        return Some(u64::MAX);
    }
    let newest = storage::newest_valid(disk, &dirs.snapshots(), 1).ok()?;
    Some((newest.first()?.len as f64 * snapshot_factor) as u64)
}

fn open<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    options: RecoveryOptions,
) -> Result<Recovery<D>, RecoverError> {
    let recovery = Recovery::open(disk.clone(), dirs.clone(), options);
    Ok(recovery.map_err(RestoreError::Storage)?)
}

/// Ends the sessions that have nodes and are not in the table.
pub(crate) fn kill_orphans(tree: &mut Tree) {
    let orphans: Vec<SessionId> = tree.orphan_sessions().collect();
    for session in orphans {
        let last = tree.last_zxid();
        tree.kill_session(session, last, &mut |_| {});
    }
}

/// Builds the tree: from a snapshot's parts, then transaction by transaction.
struct Target<'a> {
    config: tree::Config,
    builder: Option<TreeBuilder>,
    tree: Option<Tree>,
    recent: Recent,
    snapshot_loaded: &'a mut dyn FnMut(),
}

impl<'a> Target<'a> {
    fn new(
        config: tree::Config,
        recent: RecentLimits,
        snapshot_loaded: &'a mut dyn FnMut(),
    ) -> Target<'a> {
        let recent = Recent::new(recent);
        Target { config, builder: None, tree: None, recent, snapshot_loaded }
    }

    fn builder(&mut self) -> &mut TreeBuilder {
        self.builder.get_or_insert_with(|| TreeBuilder::new(self.config))
    }

    fn finish(self) -> (Tree, Vec<(Zxid, Item)>) {
        let mut tree = self.tree.unwrap_or_else(|| Tree::new(self.config));
        kill_orphans(&mut tree);
        (tree, self.recent.into_entries())
    }
}

impl Restore for Target<'_> {
    type Error = tree::RestoreError;

    fn begin(&mut self, begin: Begin) -> Result<(), Self::Error> {
        self.builder = None;
        self.recent.clear();
        self.tree = match begin {
            Begin::Snapshot(_) => None,
            Begin::Empty => Some(Tree::new(self.config)),
        };
        Ok(())
    }

    fn session(&mut self, session: SessionId, timeout_ms: i32) -> Result<(), Self::Error> {
        self.builder().session(session, timeout_ms);
        Ok(())
    }

    fn acl(&mut self, id: i64, acl: &Acls<'_>) -> Result<(), Self::Error> {
        self.builder().acl(id, acl.to_vec());
        Ok(())
    }

    fn node(&mut self, node: &NodeRecord<'_>) -> Result<(), Self::Error> {
        self.builder().node(node)
    }

    fn snapshot_done(&mut self, zxid: Zxid, trailer: &SnapshotTrailer) -> Result<(), Self::Error> {
        let builder = self.builder.take().unwrap_or_else(|| TreeBuilder::new(self.config));
        let mut tree = builder.finish(zxid)?;
        match trailer.digest.filter(|digest| digest.version == TxnDigest::VERSION) {
            Some(digest) => drop(tree.expect_digest(digest.zxid, digest.tree)),
            // As of a tree that was received and not yet known to be like its sender's.
            None => tree.expect_fuzzy(),
        }
        self.tree = Some(tree);
        (self.snapshot_loaded)();
        Ok(())
    }

    fn txn(&mut self, txn: &TxnRecord<'_>, payload: &[u8]) -> Result<(), Self::Error> {
        let tree = self.tree.get_or_insert_with(|| Tree::new(self.config));
        // Records that the snapshot holds already come as well, and are idempotent only after it.
        let at = Zxid(txn.header.zxid);
        if at > tree.last_zxid() {
            tree.apply(txn, &mut |_| {});
            self.recent.push(at, payload);
        }
        Ok(())
    }
}
