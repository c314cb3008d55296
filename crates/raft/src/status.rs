//! What a member tells of itself to those who look.

use crate::configuration::Configuration;
use crate::engine::{Raft, Role as Doing};
use crate::progress::Replication;
use base::{NodeId, Zxid};
use broadcast::View;
use std::collections::BTreeMap;

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It follows, or waits for somebody to follow.
    Follower,
    /// It asks whether it would be elected.
    PreCandidate,
    /// It stands for election.
    Candidate,
    /// It leads.
    Leader,
    /// Its disk has failed.
    Silent,
}

/// A member at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What it does.
    pub role: Role,
    /// Who leads, as far as it knows.
    pub leader: Option<NodeId>,
    /// Whether it serves, as primary or replica.
    pub serving: bool,
    /// The current term.
    pub term: u64,
    /// Its vote in that.
    pub vote: Option<NodeId>,
    /// The last entry of its log.
    pub last_index: u64,
    /// The last that it knows to be committed.
    pub committed: u64,
    /// The last place in its log.
    pub last: Zxid,
    /// The last place that it knows to be committed.
    pub committed_at: Zxid,
    /// The configuration in force, committed or not.
    pub configuration: Configuration,
    /// Of a leader: how far each other member is, and how it is served.
    pub followers: BTreeMap<NodeId, (u64, Replication)>,
}

impl Raft {
    /// A member's state, for tools.
    #[must_use]
    pub fn status(&self) -> Status {
        let core = &self.core;
        let role = match &self.role {
            Doing::Follower(_) => Role::Follower,
            Doing::Candidate(candidate) if candidate.is_pre() => Role::PreCandidate,
            Doing::Candidate(_) => Role::Candidate,
            Doing::Leader(_) => Role::Leader,
            Doing::Silent => Role::Silent,
        };
        let followers = match &self.role {
            Doing::Leader(leader) => {
                let peers = leader.peers.iter();
                peers.map(|(node, progress)| (*node, (progress.matched, progress.state))).collect()
            }
            Doing::Follower(_) | Doing::Candidate(_) | Doing::Silent => BTreeMap::new(),
        };
        Status {
            role,
            leader: self.leader(),
            serving: matches!(core.view(), View::Primary { .. } | View::Replica { .. }),
            term: core.term,
            vote: core.vote,
            last_index: core.log.last_index(),
            committed: core.log.committed(),
            last: core.log.last_at(),
            committed_at: core.log.committed_at(),
            configuration: (*core.configuration()).clone(),
            followers,
        }
    }

    /// Who leads, as far as this member knows: itself if it does.
    #[must_use]
    pub fn leader(&self) -> Option<NodeId> {
        match &self.role {
            Doing::Follower(follower) => follower.leader.map(|(node, _)| node),
            Doing::Leader(_) => Some(self.core.me()),
            Doing::Candidate(_) | Doing::Silent => None,
        }
    }

    /// The last place that this member knows to be committed.
    #[must_use]
    pub fn committed_at(&self) -> Zxid {
        self.core.log.committed_at()
    }

    /// What is asked before a change of the members: whether this member is primary, and no other
    /// change is under way. One that comes all the same is refused.
    #[must_use]
    pub fn may_reconfigure(&self) -> bool {
        let (index, configuration) = self.core.log.configuration();
        self.is_primary() && !configuration.is_joint() && index <= self.core.log.committed()
    }
}
