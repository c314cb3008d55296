//! A stopped member's data, moved from one engine to another: tree, sessions and access lists stay.
//!
//! To Raft: the snapshot of all that ZooKeeper's files hold, and a journal whose log begins behind
//! it. The last zxid is the index and the place of that beginning, its epoch the term; so members
//! with the same state get the same beginning, and the number of its history (`raft::HISTORY`).
//! To ZooKeeper's files: the snapshot of all that Raft's hold, what is not decided included; the
//! epoch is the later of the last term and the last place's, so that an election prefers whom
//! Raft's would. Either way a stopped member's log counts as its history.
//!
//! The source is read, and set aside when the new data is durable; nothing in it is written. A
//! note (`note`) tells a start, and a repeated move, how far it came.
//! Guarantee: after a crash at any point the old or the new data counts, whole, and never both.

mod frozen;
mod note;
mod source;
mod target;
#[cfg(test)]
mod tests;

pub use note::EngineDirs;
pub use source::{End, Standing};

use crate::recovery::RecoverError;
use crate::snapshot::SnapshotOptions;
use base::NodeId;
use note::{Note, has_data};
use source::Source;
use std::fmt;
use std::path::PathBuf;
use storage::journal::Options;
use storage::{Dirs, Disk, RecoveryOptions};
use wire::quorum::Membership;

/// An engine that keeps data of its own kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// ZooKeeper's files.
    Zab,
    /// A journal of slots, and snapshots.
    Raft,
}

impl EngineKind {
    /// As in `engine=`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            EngineKind::Zab => "zab",
            EngineKind::Raft => "raft",
        }
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> EngineKind {
        match self {
            EngineKind::Zab => EngineKind::Raft,
            EngineKind::Raft => EngineKind::Zab,
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a move is told.
#[derive(Clone, Debug)]
pub struct Migration {
    /// Where this member keeps its data.
    pub dirs: EngineDirs,
    /// This member.
    pub me: NodeId,
    /// The cluster, as its journals say it.
    pub cluster: [u8; 16],
    /// The members, as long as the tree does not name others.
    pub initial: Membership,
    /// How the source is read.
    pub recovery: RecoveryOptions,
    /// What trees are like.
    pub tree: tree::Config,
    /// How snapshots are written.
    pub snapshot: SnapshotOptions,
    /// How journals are written.
    pub journal: Options,
}

/// What came of a move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// What was moved, as it stood in its source; `None` if an earlier call had written it all, and
    /// only its end was missing.
    pub standing: Option<Standing>,
    /// Where the old data is now.
    pub set_aside: Vec<PathBuf>,
}

/// Why data is not moved: nothing was changed, or what is noted can be gone on with.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// There is nothing to move.
    #[error(
        "{}: no data of engine={engine}: name the dataDir of a member that has it", dir.display()
    )]
    NoData {
        /// Where it should be.
        dir: PathBuf,
        /// Of which engine.
        engine: EngineKind,
    },
    /// It is where it is to be.
    #[error("{}: the data here is of engine={engine} already: nothing is to be moved", dir.display())]
    AlreadyThere {
        /// Where it is.
        dir: PathBuf,
        /// Of which engine.
        engine: EngineKind,
    },
    /// There is data already.
    #[error(
        "{}: there are files of engine={engine} already: if they are not to count, move them away \
         and call this again", dir.display()
    )]
    TargetInUse {
        /// Where.
        dir: PathBuf,
        /// Of which engine.
        engine: EngineKind,
    },
    /// Nothing tells whose data counts.
    #[error(
        "{}: here is data of engine=zab, in version-2, and of engine=raft, in raft/version-2: move \
         away what is not to count", dir.display()
    )]
    TwoData {
        /// `dataDir`.
        dir: PathBuf,
    },
    /// It is another one's.
    #[error(
        "{}: the journal is that of member {found}, this is member {me}: correct dataDir or myid, \
         or name the directory with --from-data if it is to be copied", dir.display()
    )]
    OtherMember {
        /// The directory of the journal.
        dir: PathBuf,
        /// Whose it says that it is.
        found: u64,
        /// Who asks.
        me: u64,
    },
    /// It is another cluster's.
    #[error(
        "{}: the journal is that of another cluster: correct dataDir or quorate.cluster",
        .0.display()
    )]
    OtherCluster(PathBuf),
    /// Its member has forgotten what it promised.
    #[error(
        "{}: this member has lost its data once, and its log may lack what others were promised: \
         take the data of another one with --from-data", .0.display()
    )]
    Lost(PathBuf),
    /// An install was interrupted.
    #[error(
        "{}: a state that came from a leader is not wholly in place: start the server, let it join \
         its ensemble, stop it, and call this again", .0.display()
    )]
    HalfInstalled(PathBuf),
    /// The log does not lead to the tree that it speaks of.
    #[error(
        "{}: the tree does not have the digest that the log says, {mismatches} times: its data is damaged; \
         take another member's with --from-data", dir.display()
    )]
    Digest {
        /// The directory of the snapshots.
        dir: PathBuf,
        /// How often.
        mismatches: u64,
    },
    /// An entry of the log is no transaction.
    #[error("{}: slot {index} holds no transaction: the data is damaged", dir.display())]
    Slot {
        /// The directory of the journal.
        dir: PathBuf,
        /// The slot.
        index: u64,
    },
    /// A term that is no epoch.
    #[error("term {0} is too high for an epoch of ZooKeeper's")]
    Term(u64),
    /// Raft knows majorities only.
    #[error("engine=raft decides by majorities: remove the groups and weights first")]
    Groups,
    /// These members are none for Raft.
    #[error("the members make no configuration for engine=raft: {0}")]
    Members(#[from] raft::ConfigurationError),
    /// The source cannot be recovered.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// The disk failed, or a file is damaged.
    #[error(transparent)]
    Storage(#[from] storage::Error),
}

impl Migration {
    /// How the data that counts here stands; nothing is written.
    ///
    /// # Errors
    /// If there is none, or what is wrong with it.
    pub fn check<D: Disk>(&self, disk: &D) -> Result<Standing, MigrateError> {
        let engine = self.dirs.in_force(disk)?;
        let dir = self.dirs.zab.snapshots();
        let engine = engine.ok_or(MigrateError::NoData { dir, engine: EngineKind::Zab })?;
        Ok(self.source(disk, engine, None)?.standing)
    }

    /// Moves the data to an engine: this member's own, or in its place what another member's
    /// `dataDir` holds, which is `from`.
    ///
    /// # Errors
    /// Why not. After an error of the disk, call it again: it goes on with what was noted.
    pub fn run<D: Disk>(
        &self,
        disk: &D,
        to: EngineKind,
        from: Option<&Dirs>,
    ) -> Result<Moved, MigrateError> {
        let (source, target) = (to.other(), self.dirs.of(to));
        if let Some(note) = self.dirs.note(disk)? {
            if has_data(disk, self.dirs.of(note.to))? {
                let set_aside = self.finish(disk, note)?;
                if note.to == to {
                    return Ok(Moved { standing: None, set_aside });
                }
            } else {
                // It came to nothing, and all that is there is of it.
                target::clear(disk, self.dirs.of(note.to))?;
                self.dirs.take_note(disk, None)?;
            }
        }
        if from.is_none() && self.dirs.in_force(disk)? == Some(to) {
            return Err(MigrateError::AlreadyThere { dir: target.snapshots(), engine: to });
        }
        if let Some(dir) = target::in_use(disk, target)? {
            return Err(MigrateError::TargetInUse { dir, engine: to });
        }
        let source = self.source(disk, source, from)?;
        let number = self.dirs.free_number(disk)?;
        let note = Note { to, number };
        target::make_dirs(disk, target, self.recovery)?;
        self.dirs.take_note(disk, Some(note))?;
        self.write(disk, to, &source)?;
        let set_aside = self.finish(disk, note)?;
        Ok(Moved { standing: Some(source.standing), set_aside })
    }

    fn write<D: Disk>(
        &self,
        disk: &D,
        to: EngineKind,
        source: &Source,
    ) -> Result<(), MigrateError> {
        match to {
            EngineKind::Zab => target::write_epochs(disk, &self.dirs.zab, source)?,
            EngineKind::Raft => {
                let journal = (self.identity(), self.journal);
                target::write_journal(disk, &self.dirs.raft, journal, source)?;
            }
        }
        // From here on it counts.
        target::write_tree(disk, self.dirs.of(to), source, self.snapshot)?;
        Ok(())
    }

    /// Sets aside what counts no more, and forgets the note.
    fn finish<D: Disk>(&self, disk: &D, note: Note) -> Result<Vec<PathBuf>, MigrateError> {
        let old = self.dirs.of(note.to.other());
        let set_aside = target::set_aside(disk, old, note.number)?;
        self.dirs.take_note(disk, None)?;
        Ok(set_aside)
    }
}
