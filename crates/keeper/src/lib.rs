//! The ZooKeeper service over one total order and one tree: sessions, requests, watches.
//!
//! Two kinds of cores. A [`Connection`] decodes what one client sends, serves its reads against
//! the tree where the connection runs, and hands writes to the member as [`Submissions`]. The
//! [`Keeper`] is the member's half: it prepares writes against the tree and all that is pending,
//! applies what the order delivers, answers, fires watches, and ends sessions that are silent.
//! Guarantees: one reply per request in request order; an event before any reply that shows its
//! change; nothing is answered before it is in the order.

mod clients;
mod config;
mod connection;
mod frames;
mod keeper;
mod members;
mod namespaces;
mod prepare;
mod reaper;
mod session;
mod submission;
mod throttle;
mod watches;

#[cfg(test)]
mod tests;

pub use broadcast::Proposal;
pub use clients::Clients;
pub use config::{Config, LocalSessions, ReaperConfig};
pub use connection::{
    Access, Connection, Desk, Latency, OUTBOX_MAX_BYTES, OUTBOX_PAUSE_BYTES, Reply, Stats, Tally,
    Then, WatchSource,
};
pub use frames::{Frame, FrameError, Frames};
pub use keeper::{Keeper, Letter, Outgoing, Refused, Section};
pub use members::{AskMembers, Members};
pub use session::{Expiry, Liveness, Owner, Place, SessionIds, password};
pub use submission::{Ask, Ids, Origin, Submission, Submissions};
pub use throttle::{ConnectThrottle, ThrottleConfig};
pub use watches::Watches;
