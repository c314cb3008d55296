//! Raft: one log, kept alike on a majority of members, under one leader at a time.
//!
//! [`Raft`] is a machine without I/O. Its host gives it facts ([`broadcast::Input`]: bytes came, a
//! record is durable, time has passed, the service proposes) and performs what it answers
//! ([`broadcast::Output`]: persist, send, deliver, dial), each behind the gate that it names.
//!
//! # How to host it
//! - **Journal.** Persist every [`broadcast::Record`] in order and say what is durable. The records
//!   are slots of the log, cuts, bases (where the log begins) and four registers ([`TERM`],
//!   [`VOTE`], [`VOTE_TERM`], [`HISTORY`]); give all that is durable back in [`Durable`] at the next start.
//! - **Links.** Listen and dial as told, on the one channel [`PEERS`]. A link is FIFO and gap-free
//!   until it goes down. Members of other clusters, and bytes that cannot be read, are the engine's
//!   business: it closes their link with a reason.
//! - **Time.** Call it at its deadline. Give it an [`Rng`](base::Rng) of its own seed.
//! - **Service.** Apply what is delivered, in order. Propose only while the last view was
//!   `Primary`, each item with the place after the last: places are plain numbers, and the engine's
//!   own entries take none. Store states when you like and say `Checkpointed`: the log on the disk
//!   is shortened. A member that is far behind is sent the state itself.
//! - **Members** change by an item that [`Config::names`] recognises; see [`Configuration`].
//!
//! # What is guaranteed
//! One leader in a term; what is delivered anywhere is delivered everywhere, in the same order; what
//! was delivered survives as long as a majority's disks do; a linearizable read sees all that was
//! delivered before it was asked for. Nothing is told before what it rests on is durable.
//!
//! Source: Ongaro, "Consensus: bridging theory and practice", 2014; deviations are named where they
//! are, and in `docs/protocols/raft.md`.

mod candidate;
mod config;
mod configuration;
mod core;
mod engine;
mod follower;
mod frames;
mod leader;
mod links;
mod log;
mod non_voter;
mod progress;
mod search;
mod snapshot;
mod status;

#[cfg(test)]
mod tests;

pub use config::{Config, Durable, HISTORY, Lease, Limits, TERM, VOTE, VOTE_TERM};
pub use configuration::{Configuration, ConfigurationError, MEMBERS_MAX};
pub use engine::{Corrupt, Raft};
pub use frames::{acknowledged, show, votes};
pub use links::PEERS;
pub use progress::Replication;
pub use status::{Role, Status};
