//! From a data directory to the tree that a member starts on.

use crate::snapshot::{SnapshotOptions, SnapshotTask};
use base::{SessionId, Zxid};
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

/// Why there is no tree.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The storage or the snapshot's contents were refused.
    #[error(transparent)]
    Restore(#[from] RestoreError<tree::RestoreError>),
    /// The first snapshot of a new server could not be written.
    #[error(transparent)]
    Storage(#[from] storage::Error),
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
    let recovery =
        Recovery::open(disk.clone(), dirs.clone(), options).map_err(RestoreError::Storage)?;
    let mut target = Target { config: tree, builder: None, tree: None, snapshot_loaded };
    let restored = recovery.restore(&mut target)?;
    let mut tree = target.tree.unwrap_or_else(|| Tree::new(tree));
    kill_orphans(&mut tree);
    if restored.outcome != Outcome::Restored {
        SnapshotTask::take(disk.clone(), &dirs.snapshots(), &tree, snapshot)?;
    }
    Ok(Recovered { tree, restored })
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
    snapshot_loaded: &'a mut dyn FnMut(),
}

impl Target<'_> {
    fn builder(&mut self) -> &mut TreeBuilder {
        self.builder.get_or_insert_with(|| TreeBuilder::new(self.config))
    }
}

impl Restore for Target<'_> {
    type Error = tree::RestoreError;

    fn begin(&mut self, begin: Begin) -> Result<(), Self::Error> {
        self.builder = None;
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

    fn txn(&mut self, txn: &TxnRecord<'_>, _payload: &[u8]) -> Result<(), Self::Error> {
        let tree = self.tree.get_or_insert_with(|| Tree::new(self.config));
        // Records that the snapshot holds already come as well, and are idempotent only after it.
        if Zxid(txn.header.zxid) > tree.last_zxid() {
            tree.apply(txn, &mut |_| {});
        }
        Ok(())
    }
}
