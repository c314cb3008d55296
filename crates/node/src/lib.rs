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
mod journal;
mod member;
mod recovery;
mod shared;
mod snapshot;
mod transfer;

pub use checkpoint::CheckpointConfig;
pub use contract::{Input, Output};
pub use journal::{Journal, Progress};
pub use member::{Config, Member};
pub use recovery::{RecoverError, Recovered, recover, recover_telling};
pub use shared::Shared;
pub use snapshot::{SnapshotOptions, SnapshotTask};
pub use transfer::{
    SnapshotError, SnapshotFault, SnapshotProgress, SnapshotReceiver, SnapshotSender,
};
