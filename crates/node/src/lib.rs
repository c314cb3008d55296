//! One ensemble member: the cores wired into one [`Machine`](base::Machine), and what a host
//! needs around it.
//!
//! A host (the server, the simulator) owns the tree behind [`Shared`], feeds a [`Member`] what
//! connections submit and what the disk answers, and performs its outputs: records go to a
//! [`Journal`], snapshots are taken step by step by a [`SnapshotTask`]. [`recover`] makes the
//! tree that a member starts on; a [`SnapshotSender`] and a [`SnapshotReceiver`] take a tree from
//! one member to another. The engine is chosen here and nowhere else.

mod checkpoint;
mod contract;
mod engine;
mod journal;
mod letters;
mod member;
mod migration;
mod over_raft;
mod recent;
mod recovery;
mod sends;
mod shared;
mod snapshot;
#[cfg(test)]
mod testing;
mod transfer;

pub use checkpoint::CheckpointConfig;
pub use contract::{Input, Output};
pub use engine::EngineConfig;
pub use journal::{Chore, ChoreDone, Journal, JournalFiles, Progress, Texts};
pub use member::{Config, Member, Start};
pub use migration::{End, EngineDirs, EngineKind, MigrateError, Migration, Moved, Standing};
pub use over_raft::RaftConfig;
pub use recent::RecentLimits;
pub use recovery::{
    Durable, RecoverError, Recovered, RecoveredMember, RecoveredSlots, UNKNOWN_STATE, read_log,
    recover, recover_member, recover_slots, recover_telling, reload,
};
pub use shared::Shared;
pub use snapshot::{SnapshotOptions, SnapshotTask};
pub use transfer::{
    SnapshotError, SnapshotFault, SnapshotProgress, SnapshotReceiver, SnapshotSender,
};
/// A member's place among others, whichever engine it has: in ZooKeeper's terms, which are ZAB's.
pub use zab::{Role, Status};
