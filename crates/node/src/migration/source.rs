//! What is moved: the tree that a stopped member's data leads to, and how far that is.

use super::frozen::Frozen;
use super::note::has_data;
use super::{EngineKind, MigrateError, Migration};
use crate::over_raft::{configuration, named, shown};
use crate::recent::RecentLimits;
use crate::recovery::{
    RecoverError, RecoveredMember, RecoveredSlots, recover_member, recover_slots,
};
use base::{Rng, Time, Zxid};
use raft::Raft;
use std::fmt;
use storage::journal::{Identity, read_journal};
use storage::{Dirs, Disk, Outcome, has_unfinished_install};
use tree::Tree;
use wire::TxnRecord;
use wire::quorum::Membership;

/// How far a member's data is, and what it amounts to: the same of all members that may be moved
/// each by its own data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Where the log ends.
    pub end: End,
    /// The last transaction.
    pub zxid: Zxid,
    /// The tree's digest.
    pub digest: u64,
    /// Nodes of the tree.
    pub nodes: usize,
    /// Sessions that live.
    pub sessions: usize,
    /// Who votes.
    pub voters: Vec<i64>,
}

/// Where a log ends, as its engine compares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// ZAB: by the epoch of the last leader, then by the zxid.
    Epoch(i64),
    /// Raft: by the last entry's term and index.
    Entry {
        /// Its term.
        term: u64,
        /// Its index.
        index: u64,
    },
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.end {
            End::Epoch(epoch) => write!(f, "engine=zab epoch={epoch:#x}")?,
            End::Entry { term, index } => write!(f, "engine=raft term={term} index={index}")?,
        }
        let Standing { zxid, digest, nodes, sessions, voters, .. } = self;
        let voters: Vec<String> = voters.iter().map(ToString::to_string).collect();
        let voters = voters.join(",");
        write!(f, " zxid={zxid} digest={digest} nodes={nodes} sessions={sessions} voters={voters}")
    }
}

/// What is moved.
pub(super) struct Source {
    pub(super) tree: Tree,
    pub(super) membership: Membership,
    pub(super) standing: Standing,
}

impl Migration {
    /// What is in these directories, or in this member's own.
    pub(super) fn source<D: Disk>(
        &self,
        disk: &D,
        engine: EngineKind,
        from: Option<&Dirs>,
    ) -> Result<Source, MigrateError> {
        let dirs = from.unwrap_or(self.dirs.of(engine));
        if !has_data(disk, dirs)? {
            return Err(MigrateError::NoData { dir: dirs.snapshots(), engine });
        }
        let (tree, end) = match engine {
            EngineKind::Zab => self.zab(disk, dirs)?,
            EngineKind::Raft => self.raft(disk, dirs, from.is_none())?,
        };
        let mismatches = tree.digest_mismatches();
        if mismatches > 0 {
            return Err(MigrateError::Digest { dir: dirs.snapshots(), mismatches });
        }
        let membership = shown(&tree).unwrap_or_else(|| self.initial.clone());
        if membership.has_groups() {
            return Err(MigrateError::Groups);
        }
        let standing = Standing {
            end,
            zxid: tree.last_zxid(),
            digest: tree.digest(),
            nodes: tree.node_count(),
            sessions: tree.sessions().count(),
            voters: membership.voters().collect(),
        };
        Ok(Source { tree, membership, standing })
    }

    fn zab<D: Disk>(&self, disk: &D, dirs: &Dirs) -> Result<(Tree, End), MigrateError> {
        if has_unfinished_install(disk, dirs)? {
            return Err(MigrateError::HalfInstalled(dirs.snapshots()));
        }
        let (disk, none) = (Frozen(disk.clone()), RecentLimits::NONE);
        let (options, snapshot) = (self.recovery, self.snapshot);
        let found =
            recover_member(&disk, dirs, options, self.with_digest(), snapshot, none, &mut || {})?;
        let RecoveredMember { tree, restored, durable } = found;
        if restored.outcome != Outcome::Restored {
            return Err(MigrateError::NoData { dir: dirs.snapshots(), engine: EngineKind::Zab });
        }
        if durable.is_lost {
            return Err(MigrateError::Lost(dirs.snapshots()));
        }
        Ok((tree, End::Epoch(durable.current)))
    }

    fn raft<D: Disk>(
        &self,
        disk: &D,
        dirs: &Dirs,
        is_own: bool,
    ) -> Result<(Tree, End), MigrateError> {
        let dir = dirs.logs();
        let survey = read_journal(disk, &dir, None, |_| {})?;
        let Some(identity) = survey.identity else { return Err(MigrateError::Lost(dir)) };
        if identity.cluster != self.cluster {
            return Err(MigrateError::OtherCluster(dir));
        }
        if is_own && identity.member != self.me {
            let (found, me) = (identity.member.0, self.me.0);
            return Err(MigrateError::OtherMember { dir, found, me });
        }
        let journal = (identity, self.journal);
        let (options, snapshot) = (self.recovery, self.snapshot);
        let disk = Frozen(disk.clone());
        let found =
            recover_slots(&disk, dirs, options, self.with_digest(), snapshot, journal, &mut || {})?;
        let RecoveredSlots { mut tree, durable, .. } = found;
        if durable.is_lost {
            return Err(MigrateError::Lost(dir));
        }
        // Whether the engine could go on with it.
        let mut config = raft::Config::new(identity.member, 0, configuration(&self.initial)?);
        config.names = named;
        let (rng, now) = (Rng::new(0), Time::ZERO);
        Raft::recover(config, durable.clone(), rng, now, &mut Vec::new())
            .map_err(RecoverError::Raft)?;
        let last = durable.slots.last().map(|slot| (slot.period, slot.index));
        let base = durable.bases.first().map(|base| (base.period, base.index));
        let (term, index) = last.or(base).unwrap_or_default();
        for slot in &durable.slots {
            let Some((at, item)) = slot.entry().filter(|(at, _)| *at > tree.last_zxid()) else {
                continue;
            };
            let damaged = || MigrateError::Slot { dir: dir.clone(), index: slot.index };
            let txn = TxnRecord::decode(item).map_err(|_| damaged())?;
            if Zxid(txn.header.zxid) != at {
                return Err(damaged());
            }
            tree.apply(&txn, &mut |_| {});
        }
        Ok((tree, End::Entry { term, index }))
    }

    /// Trees are compared by it, whatever the servers do.
    fn with_digest(&self) -> tree::Config {
        tree::Config { digest: true, ..self.tree }
    }

    pub(super) fn identity(&self) -> Identity {
        Identity { cluster: self.cluster, member: self.me }
    }
}
