//! ZooKeeper's atomic broadcast, on ZooKeeper's wire.
//!
//! A member looks for the one with the best history (`election`), follows it or leads
//! (`learner`, `leader`): discovery agrees on a new epoch, synchronization brings a
//! quorum to the leader's history, broadcast orders what is proposed. Guarantees: what is
//! delivered anywhere is delivered everywhere in the same order; an acknowledged proposal survives
//! as long as a quorum's disks do; a new leader delivers all of its history before it proposes.
//!
//! Source: Junqueira, Reed, Serafini, "Zab", DSN 2011, and what Apache ZooKeeper 3.9 does on the
//! wire. Deviations are named where they are.

mod config;
mod core;
mod election;
mod engine;
mod ensemble;
mod history;
mod leader;
mod learner;
mod reconfiguration;
mod show;
mod status;

#[cfg(test)]
mod tests;

pub use config::{CURRENT_EPOCH, Config, Durable, Limits, ReadLogLimit};
pub use engine::Zab;
pub use reconfiguration::{CONFIGURATION, NEXT_CONFIGURATION};
pub use status::{Marks, Reconfigurable, Role, Status};

use broadcast::Channel;

/// Votes, between all members; the larger id connects.
pub const ELECTION: Channel = Channel(0);
/// Learners to their leader.
pub const QUORUM: Channel = Channel(1);
/// Observers to a follower that serves them in the leader's place.
pub const OBSERVERS: Channel = Channel(2);
