//! Takes a snapshot while the member serves: a batch of nodes at a time.
//!
//! Between two batches writes go on. The file is named after what was applied when it was begun
//! and may hold later changes as well; replay from there on is idempotent.

use base::Zxid;
use jute::Encode;
use std::path::Path;
use storage::{Compression, Disk, Error, SnapshotDigest, SnapshotWriter, WrittenSnapshot};
use tree::{Tree, Walk};
use wire::TxnDigest;

/// How snapshots are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotOptions {
    /// How they are compressed.
    pub compression: Compression,
    /// Whether they hold the tree's digest.
    pub digest: bool,
    /// Whether they hold the last zxid, as the reference does since 3.9.
    pub last_zxid: bool,
}

/// What was applied when a snapshot's walk had ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    digest: (Zxid, u64),
    last_zxid: Zxid,
}

/// A snapshot under way.
#[allow(missing_debug_implementations)]
pub struct SnapshotTask<D: Disk> {
    writer: SnapshotWriter<D>,
    walk: Walk,
    options: SnapshotOptions,
}

impl<D: Disk> SnapshotTask<D> {
    /// Begins at what is applied now.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn begin(
        disk: D,
        dir: &Path,
        tree: &Tree,
        options: SnapshotOptions,
    ) -> Result<SnapshotTask<D>, Error> {
        SnapshotTask::start(disk, dir, tree.begin_walk(), options)
    }

    /// Begins with a walk that has begun, without looking at the tree.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn start(
        disk: D,
        dir: &Path,
        walk: Walk,
        options: SnapshotOptions,
    ) -> Result<SnapshotTask<D>, Error> {
        let mut writer = SnapshotWriter::create(disk, dir, walk.start, options.compression)?;
        writer.sessions(walk.sessions.iter().copied())?;
        writer.acls(walk.acls.iter().map(|(id, list)| (*id, &**list)))?;
        Ok(SnapshotTask { writer, walk, options })
    }

    /// The zxid in its name.
    #[must_use]
    pub fn zxid(&self) -> Zxid {
        self.walk.start
    }

    /// Looks at the next nodes; says whether there may be more. To be followed by
    /// [`SnapshotTask::write`], which needs no tree.
    pub fn look(&mut self, tree: &Tree) -> bool {
        let SnapshotTask { walk, writer, .. } = self;
        let nodes = writer.nodes();
        tree.walk_next(walk, NODES_PER_LOOK_MAX, &mut |node| node.encode(nodes))
    }

    /// Writes what was looked at.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn write(&mut self) -> Result<(), Error> {
        self.writer.write()
    }

    /// Ends it. `end` is what [`SnapshotTask::end`] saw after the last look.
    ///
    /// # Errors
    /// If the disk fails, or the tree that was walked has been replaced by another.
    pub fn finish(self, end: End) -> Result<WrittenSnapshot, Error> {
        if !self.walk.is_done() {
            let path = self.writer.path().to_owned();
            self.writer.abort()?;
            return Err(Error::Superseded { path });
        }
        let End { digest: (zxid, tree), last_zxid } = end;
        let digest = SnapshotDigest { zxid, version: TxnDigest::VERSION, tree };
        let last_zxid = self.options.last_zxid.then_some(last_zxid);
        self.writer.finish(self.options.digest.then_some(digest), last_zxid)
    }

    /// What the snapshot says of its end.
    pub fn end(tree: &Tree) -> End {
        End { digest: tree.digest_applied(), last_zxid: tree.last_txn() }
    }

    /// Takes the whole snapshot at once, of a tree that nobody else is at.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn take(
        disk: D,
        dir: &Path,
        tree: &Tree,
        options: SnapshotOptions,
    ) -> Result<WrittenSnapshot, Error> {
        let mut task = SnapshotTask::begin(disk, dir, tree, options)?;
        loop {
            let more = task.look(tree);
            task.write()?;
            if !more {
                return task.finish(Self::end(tree));
            }
        }
    }
}

/// Nodes of one look: the tree is held still for about this many cache misses.
const NODES_PER_LOOK_MAX: usize = 256;
