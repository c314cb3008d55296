//! A member's place among others, whichever engine it has.

use base::{NodeId, Zxid};
use trace::SyncMethod;
use wire::quorum::Membership;

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It looks for a leader.
    Looking,
    /// It follows, or is about to.
    Following,
    /// It follows without a vote, or is about to.
    Observing,
    /// It leads, or is about to.
    Leading,
    /// Its disk has failed.
    Silent,
}

/// A member at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What it does.
    pub role: Role,
    /// Whom it follows; itself if it leads.
    pub leader: Option<NodeId>,
    /// Whom it learns from: its leader, or the follower that serves this observer; itself if it
    /// leads.
    pub master: Option<NodeId>,
    /// Whether it is a follower that serves observers.
    pub serves_observers: bool,
    /// Whether it serves.
    pub serving: bool,
    /// Whether it has found its ensemble, and its history is being brought to that of the others.
    pub synchronizing: bool,
    /// How a learner's history was brought to its leader's.
    pub method: Option<SyncMethod>,
    /// The end of what is decided.
    pub committed: Zxid,
    /// Of a leader: followers that serve.
    pub followers: Vec<NodeId>,
    /// Of a leader, or a follower that serves observers: those that serve.
    pub observers: Vec<NodeId>,
    /// Of a leader: all connected learners that have said who they are.
    pub learners: usize,
    /// Of a leader: what waits for all that was proposed before it.
    pub pending_syncs: usize,
    /// The committed configuration.
    pub configuration: Membership,
}

impl From<zab::Role> for Role {
    fn from(role: zab::Role) -> Role {
        match role {
            zab::Role::Looking => Role::Looking,
            zab::Role::Following => Role::Following,
            zab::Role::Observing => Role::Observing,
            zab::Role::Leading => Role::Leading,
            zab::Role::Silent => Role::Silent,
        }
    }
}

impl From<zab::Status> for Status {
    fn from(status: zab::Status) -> Status {
        Status {
            role: status.role.into(),
            leader: status.leader,
            master: status.master,
            serves_observers: status.serves_observers,
            serving: status.serving,
            synchronizing: status.synchronizing,
            method: status.method,
            committed: status.committed,
            followers: status.followers,
            observers: status.observers,
            learners: status.learners,
            pending_syncs: status.pending_syncs,
            configuration: status.configuration,
        }
    }
}
