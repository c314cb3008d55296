//! What is true of every run of an engine, for those who must know the difference.

use crate::contract::{Input, Output};
use base::Machine;

/// How an engine's order comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truths {
    /// The name in the configuration.
    pub name: &'static str,
    /// Whether one member at a time proposes, and all of its proposals keep their order.
    pub primary_order: bool,
    /// Whether links to peers must be FIFO.
    pub fifo_links: bool,
    /// How the membership changes.
    pub membership: Membership,
    /// Which reads it offers beyond the local one.
    pub reads: Reads,
}

/// How the membership changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// It does not: there is one member.
    Alone,
    /// By an entry of the order, which both configurations must take.
    ByEntry,
}

/// Which reads an engine offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Every read is linearizable: there is nobody to lag behind.
    Always,
    /// After a round to a quorum.
    QuorumRound,
}

/// A total-order broadcast engine.
pub trait Engine: Machine<Input = Input, Output = Output> {
    /// What is true of every run of it.
    const TRUTHS: Truths;
}
