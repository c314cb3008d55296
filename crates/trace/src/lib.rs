//! What can happen in a member, as typed events.
//!
//! Cores emit these and nothing else; a log line, a transcript line and a picture are views of
//! one event. Messages are constant, what varies is in the fields, and no event carries payloads
//! or credentials.

mod ensemble;

pub use ensemble::{Ensemble, SyncMethod};

use base::{SessionId, Zxid};
use std::fmt;

/// How much an event matters to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A person must act.
    Error,
    /// Unusual, still correct.
    Warn,
    /// A change of role, membership or lifecycle.
    Info,
    /// A decision.
    Debug,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A session was opened.
    SessionOpened {
        /// Which.
        session: SessionId,
        /// Its negotiated time-out in ms.
        timeout_ms: i32,
    },
    /// A client came back to its session.
    SessionRenewed {
        /// Which.
        session: SessionId,
    },
    /// A client asked for a session that is over, or with a wrong password.
    SessionRefused {
        /// Which.
        session: SessionId,
    },
    /// A session was not heard of for its time-out.
    SessionExpired {
        /// Which.
        session: SessionId,
        /// Its time-out in ms.
        timeout_ms: u64,
    },
    /// A session ended and its ephemeral nodes are gone.
    SessionClosed {
        /// Which.
        session: SessionId,
    },
    /// A session that only this member knew takes a place in the order.
    SessionUpgraded {
        /// Which.
        session: SessionId,
    },
    /// No other members were found for long: clients that ask for no more are served reads.
    ReadOnlyBegan,
    /// Other members are found, or about to be: those clients are to look for a server again.
    ReadOnlyEnded,
    /// A snapshot was begun.
    SnapshotStarted {
        /// The last transaction that it surely holds.
        zxid: Zxid,
    },
    /// A snapshot is complete and durable.
    SnapshotTaken {
        /// The last transaction that it surely holds.
        zxid: Zxid,
    },
    /// A snapshot could not be written; the log still holds everything.
    SnapshotFailed {
        /// The snapshot.
        zxid: Zxid,
        /// Why.
        reason: String,
    },
    /// A snapshot was due while one was being written.
    SnapshotSkipped,
    /// The journal failed: writes are refused from now on.
    DiskFailed {
        /// Why.
        reason: String,
    },
    /// The tree's digest is not the one that the proposer computed.
    DigestMismatch {
        /// After which transaction.
        zxid: Zxid,
    },
    /// An empty container or an expired node is to be deleted.
    NodeReaped {
        /// Which.
        path: String,
    },
    /// The primary wrote a letter that says nothing: it is not looked at.
    LetterRefused {
        /// Why.
        reason: &'static str,
    },
    /// A write exceeded a soft quota.
    QuotaExceeded {
        /// The node that has the quota.
        path: String,
    },
    /// Something between the members of an ensemble.
    Ensemble(Ensemble),
}

impl Event {
    /// How much it matters.
    #[must_use]
    pub fn level(&self) -> Level {
        match self {
            Event::SnapshotFailed { .. } | Event::DiskFailed { .. } => Level::Error,
            Event::SnapshotSkipped
            | Event::ReadOnlyBegan
            | Event::DigestMismatch { .. }
            | Event::LetterRefused { .. }
            | Event::QuotaExceeded { .. } => Level::Warn,
            Event::SnapshotStarted { .. }
            | Event::SnapshotTaken { .. }
            | Event::ReadOnlyEnded
            | Event::SessionExpired { .. } => Level::Info,
            Event::SessionOpened { .. }
            | Event::SessionRenewed { .. }
            | Event::SessionRefused { .. }
            | Event::SessionClosed { .. }
            | Event::SessionUpgraded { .. }
            | Event::NodeReaped { .. } => Level::Debug,
            Event::Ensemble(event) => event.level(),
        }
    }

    /// The constant message.
    #[must_use]
    pub fn message(&self) -> &'static str {
        match self {
            Event::SessionOpened { .. } => "session opened",
            Event::SessionRenewed { .. } => "session renewed",
            Event::SessionRefused { .. } => "session refused: it is over or the password is wrong",
            Event::SessionExpired { .. } => "session expired",
            Event::SessionClosed { .. } => "session closed",
            Event::SessionUpgraded { .. } => "session upgraded: all members come to know it",
            Event::ReadOnlyBegan => "Read-only server started: no quorum is found",
            Event::ReadOnlyEnded => "read-only mode ends: other members are found",
            Event::SnapshotStarted { .. } => "snapshot started",
            Event::SnapshotTaken { .. } => "snapshot taken",
            Event::SnapshotFailed { .. } => "snapshot failed; the log still holds everything",
            Event::SnapshotSkipped => {
                "a snapshot is due while one is being written, or too soon after one"
            }
            Event::DiskFailed { .. } => {
                "the journal failed: writes are refused, reads go on; mend the disk and restart"
            }
            Event::DigestMismatch { .. } => "digests are not matching",
            Event::NodeReaped { .. } => "reaping an empty container or an expired node",
            Event::LetterRefused { .. } => "the primary wrote a letter that says nothing",
            Event::QuotaExceeded { .. } => "soft quota exceeded",
            Event::Ensemble(event) => event.message(),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())?;
        match self {
            Event::SessionOpened { session, timeout_ms } => {
                write!(f, " session={session} timeout_ms={timeout_ms}")
            }
            Event::SessionExpired { session, timeout_ms } => {
                write!(f, " session={session} timeout_ms={timeout_ms}")
            }
            Event::SessionRenewed { session }
            | Event::SessionRefused { session }
            | Event::SessionClosed { session }
            | Event::SessionUpgraded { session } => write!(f, " session={session}"),
            Event::SnapshotStarted { zxid }
            | Event::SnapshotTaken { zxid }
            | Event::DigestMismatch { zxid } => write!(f, " zxid={zxid}"),
            Event::SnapshotFailed { zxid, reason } => write!(f, " zxid={zxid} reason={reason:?}"),
            Event::DiskFailed { reason } => write!(f, " reason={reason:?}"),
            Event::LetterRefused { reason } => write!(f, " reason={reason:?}"),
            Event::NodeReaped { path } | Event::QuotaExceeded { path } => {
                write!(f, " path={path:?}")
            }
            Event::SnapshotSkipped | Event::ReadOnlyBegan | Event::ReadOnlyEnded => Ok(()),
            Event::Ensemble(event) => event.fields(f),
        }
    }
}
