//! Whole ensembles of bare engines in a simulated world: links, disks, clocks and faults by seed.
//!
//! No keeper and no tree: the state machine is a chain of hashes, so that a step costs little and
//! every history can be held against every other. [`Subject`] says how an engine is recovered and
//! what of it may be looked at; the rest knows only the contract of `broadcast`. A run is a phase
//! in which anything may fail, then one in which a core that could work must work, then a quiet
//! one. The same seed with the same options gives the same run.

mod campaign;
mod change;
mod chaos;
mod claims;
mod configurations;
mod disk;
mod driver;
mod explore;
mod heal;
mod history;
mod host;
mod judge;
mod options;
mod payload;
mod quorums;
mod raft;
mod report;
mod service;
mod subject;
mod transfer;
mod work;
mod world;
mod zab;

pub use campaign::{replay, run_drawn, run_seed};
pub use change::Members;
pub use disk::Durable;
pub use explore::{Bounds, Explored, explore};
pub use history::State;
pub use judge::Violation;
pub use options::{Fault, Options};
pub use quorums::Quorums;
pub use raft::RaftSubject;
pub use report::{Counts, Report};
pub use subject::{Claim, Letter, Observation, Registers, Setup, Subject};
pub use zab::ZabSubject;
pub(crate) use zab::{draw_limits, membership, settles_within};
