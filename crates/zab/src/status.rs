//! What a member tells of itself to those who look.
//!
//! The terms are ZooKeeper's, which its tools know: a host that runs the service over another
//! engine tells the same of it.

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
    /// Whether it has found its ensemble, and its history is being brought to that of the others:
    /// a leader is past discovery, or a learner has its leader's epoch.
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

/// What a member keeps of its past, and where its election stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// The largest promised epoch.
    pub accepted_epoch: i64,
    /// The epoch whose initial history it has.
    pub current_epoch: i64,
    /// The end of its log.
    pub last: Zxid,
    /// The logical clock of elections.
    pub round: i64,
}

/// What a change of the configuration is checked against, by who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconfigurable {
    /// The version of the configuration in force.
    pub committed: i64,
    /// The last one that was seen.
    pub last_seen: Membership,
    /// Who has the leader's history, itself among them; observers apart.
    pub synced: Vec<NodeId>,
}
