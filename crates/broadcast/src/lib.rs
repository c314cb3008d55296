//! Total-order broadcast: what every engine promises, and the engine of a standalone server.
//!
//! An engine is a [`Machine`](base::Machine) over [`Input`] and [`Output`]. It takes proposals
//! and delivers them, the same ones in the same order, wherever it runs. What must be on disk
//! before what leaves is said as data: a gated output names the journal position it waits for,
//! and the driver holds it back until [`Input::Durable`] covers that. The driver owes gates and
//! order, no more.
//!
//! Links are connections: FIFO and gap-free while they last, and they promise nothing from one to
//! the next. What travels on them are bytes; each engine cuts them into its own frames.

mod codec;
mod contract;
mod inbound;
mod record;
mod solo;
mod truths;
mod view;

pub use codec::ANNOUNCED;
pub use contract::{Addresses, Channel, Context, Input, Item, LinkId, Output, Proposal};
pub use inbound::Inbound;
pub use record::{Base, Record, Slot, SlotKind};
pub use solo::Solo;
pub use truths::{Engine, Membership, Reads, Truths};
pub use view::{Decision, ReadLevel, Refusal, View};
