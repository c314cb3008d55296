//! An async client for Quorate and for Apache ZooKeeper.
//!
//! ```no_run
//! use quorate_client::{Client, Mode};
//!
//! # async fn run() -> Result<(), quorate_client::Error> {
//! let client = Client::builder("host1:2181,host2:2181/app").connect().await?;
//! client.create("/greeting", "hello").mode(Mode::Ephemeral).await?;
//! let (data, stat, mut watch) = client.get_watched("/greeting").await?;
//! println!("{data:?} in version {}", stat.version);
//! client.set("/greeting", "good bye", Some(stat.version)).await?;
//! println!("{:?}", watch.next().await);
//! client.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//! - **Calls are eager.** A method queues its request and returns a [`Call`], a future of the answer.
//!   Requests of one client are sent in the order of the calls, without waiting for answers, and
//!   answered in that order: two calls before the first `await` are pipelined.
//! - **Calls may be dropped.** That cancels the interest: what was not sent never is, what was sent
//!   is answered to nobody. Nothing is lost or doubled for the other calls.
//! - **Sessions survive connections.** The client goes from server to server, renews its session,
//!   sends credentials again, sets watches again. Requests that were queued wait; reads in flight are
//!   sent again; a write in flight is never sent twice and fails with [`Error::OutcomeUnknown`].
//! - **Errors say what can be done**: [`Error::is_retryable`], [`Error::outcome_unknown`],
//!   [`Error::is_final`].
//! - **Watches miss nothing in silence.** A one-shot watch tells of a change while disconnected; a
//!   lasting one says [`EventKind::Resumed`] or [`EventKind::Lagged`] where events may be missing.
//!
//! # Errors
//! ```
//! use quorate_client::{Client, Error};
//! use std::time::Duration;
//!
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! runtime.block_on(async {
//!     // Nobody listens there.
//!     let connect = Client::builder("127.0.0.1:1").connect_timeout(Duration::from_millis(50));
//!     let error = connect.connect().await.unwrap_err();
//!     assert!(matches!(error, Error::Unreachable));
//!     assert!(error.is_retryable() && !error.outcome_unknown());
//!
//!     let error = Client::builder("no chroot ends so/").connect().await.unwrap_err();
//!     assert!(matches!(error, Error::ConnectString(_)) && !error.is_retryable());
//! });
//! ```

mod builder;
mod call;
mod client;
mod create;
mod driver;
mod error;
mod handle;
mod socket;
mod status;
mod transaction;
mod watch;

pub use builder::Builder;
pub use bytes::Bytes;
pub use call::Call;
pub use client::{Client, Reconfig};
pub use client_core::{
    ConnectString, ConnectStringError, DEFAULT_PORT, Host, Identity, Mode, OpResult, ReadOp,
    ReadResult, State,
};
pub use create::{Create, Created};
pub use error::Error;
pub use status::Status;
pub use transaction::Transaction;
pub use watch::{Event, EventKind, Watch};
pub use wire::{Acl, ErrorCode, Id, Stat, WatcherType, perms};
