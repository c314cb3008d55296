//! The vocabulary below everything: ids, time, randomness, timers and the contract of a core.
//!
//! Nothing here knows ZooKeeper's formats, and nothing here does I/O: time and entropy are
//! values that a driver passes in, so that the same seed gives the same run.

mod ids;
mod machine;
mod rng;
mod time;
mod timers;

pub use ids::{ConnectionId, Lsn, NodeId, SessionId, Zxid};
pub use machine::Machine;
pub use rng::Rng;
pub use time::{Time, WallTime};
pub use timers::Timers;
