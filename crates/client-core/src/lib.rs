//! The client's side of ZooKeeper's protocol as a machine without I/O.
//!
//! [`Session`] takes facts (a link is up, a frame came, a request was submitted, time passed) and
//! answers with commands (dial, send, complete this request, tell that watcher). It owns the rules:
//! handshake, time-outs, fail-over with the same session, watches set again after a reconnect,
//! which outcomes are known. Same inputs and seed, same outputs.
//!
//! Guarantees: every submitted request is completed exactly once unless it was cancelled; replies
//! of one session come in the order of the requests; a write is never sent twice; what is reported
//! as anything but [`Error::Unknown`] or a [`Error::TimedOut`] that was sent has a known outcome.

mod chroot;
mod config;
mod connect_string;
mod error;
mod frames;
mod hosts;
mod op;
mod reply;
mod request;
mod session;
mod watches;

pub use chroot::Chroot;
pub use config::{Config, FRAME_SIZE_MAX_DEFAULT, Identity};
pub use connect_string::{ConnectString, ConnectStringError, DEFAULT_PORT, HOSTS_MAX, Host};
pub use error::Error;
pub use frames::{FrameError, Frames};
pub use op::{Mode, Op, ReadOp};
pub use reply::{OpResult, ReadResult, Reply};
pub use request::{ANY_VERSION, CONFIG_PATH, Request};
pub use session::{Ctx, Input, LINEARIZABLE_READS, LinkId, Output, READS_SCHEME, Session, State};
pub use watches::{Event, EventKind, WatcherId};
