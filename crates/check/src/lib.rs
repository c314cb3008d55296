//! Verdicts on what a server of the ZooKeeper service did, from a history of it.
//!
//! A history is plain data: the order in which writes took effect, and for each connection what
//! was asked on it and what came back. [`judge()`] replays the order on a small [`Model`] of the
//! service's semantics that shares no code with what it judges, and compares every reply, every
//! watch event and every tree that was seen with what the model says at that position.
//! Guarantee: a history passes only if every reply, event and tree in it is the one the
//! model gives; a connection that ended early may lack the last of them, never one in between.
//! Where nobody knows the order, [`registers`] judges what clients saw and when, by the clock
//! ([`linear`]).

mod configuration;
mod counts;
mod errors;
mod judge;
pub mod linear;
mod model;
mod reads;
mod record;
pub mod registers;
mod sessions;
mod watches;
mod writes;

#[cfg(test)]
mod tests;

pub use configuration::{Configuration, Reconfiguration};
pub use counts::Counts;
pub use judge::judge;
pub use model::{Change, EventKind, Kind, Model, ModelConfig, Node};
pub use record::{
    Acl, Body, Commit, Connection, Fate, Frame, History, Mode, Op, Part, Request, SeenNode,
    SeenTree, Stat, Violation, WatchLists, Work, perms,
};
pub use sessions::{Silence, has_overslept, may_expire};
