//! Total-order broadcast: what every engine promises, and the engine of a standalone server.
//!
//! An engine is a [`Machine`](base::Machine) over [`Input`] and [`Output`]. It takes proposals
//! and delivers them, the same ones in the same order, wherever it runs. What must be on disk
//! before what leaves is said as data: a gated output names the journal position it waits for,
//! and the driver holds it back until [`Input::Durable`] covers that. The driver owes gates and
//! order, no more.
//!
//! The vocabulary of links, reconfiguration and state transfer comes with the first engine that
//! has peers.

mod contract;
mod solo;

pub use contract::{
    Context, Decision, Engine, Input, Item, Membership, Output, Reads, Refusal, Truths, View,
};
pub use solo::Solo;
