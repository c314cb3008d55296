//! Why a call failed, by what its caller can do.

use client_core::ConnectStringError;
use wire::ErrorCode;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The node, or for a create its parent, does not exist.
    #[error("the node does not exist")]
    NoNode,
    /// The node exists already.
    #[error("the node exists already")]
    NodeExists,
    /// The version is another: somebody was faster.
    #[error("the version is another")]
    BadVersion,
    /// The node has children.
    #[error("the node has children")]
    NotEmpty,
    /// The access list does not allow it.
    #[error("the access list does not allow it")]
    NoAuth,
    /// The server refused it for another reason; nothing was done.
    #[error("refused by the server: {0:?}")]
    Refused(ErrorCode),
    /// The server refused it with a number that has no name here; nothing was done.
    #[error("refused by the server with the unknown code {0}")]
    RefusedWith(i32),
    /// One operation of a transaction was refused, so none was done.
    #[error("operation {index} of the transaction: {error}")]
    Transaction {
        /// Which, from 0.
        index: usize,
        /// Why.
        error: Box<Error>,
    },
    /// The connection was lost while a write was on its way: it may have been done, or not. Read
    /// before writing again.
    #[error("connection lost: the write may or may not have been done")]
    OutcomeUnknown,
    /// The connection was lost too often to answer a read.
    #[error("connection lost before the answer came")]
    ConnectionLost,
    /// The request's time is over.
    #[error("timed out")]
    TimedOut {
        /// Whether it is a write that was sent: it may have been done, or not.
        outcome_unknown: bool,
    },
    /// No server could be reached in time.
    #[error("no server could be reached")]
    Unreachable,
    /// Too many requests or watches are outstanding; nothing was sent.
    #[error("too many requests or watches are outstanding")]
    Overloaded,
    /// The session is over, and its ephemeral nodes with it. Connect again.
    #[error("the session expired")]
    SessionExpired,
    /// Credentials were refused; the session is of no more use.
    #[error("authentication failed")]
    AuthFailed,
    /// The server has no linearizable reads, as no server but Quorate's has; the session is of no
    /// more use. See [`crate::Builder::linearizable_reads`].
    #[error("the server has no linearizable reads: only Quorate's have")]
    LinearizableReadsRefused,
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
    /// The path is not valid; nothing was sent.
    #[error("{0:?} is no valid path")]
    InvalidPath(String),
    /// Another argument is not valid; nothing was sent.
    #[error("invalid argument: {0}")]
    InvalidArgument(&'static str),
    /// The request is larger than servers take; nothing was sent.
    #[error("a request of {size} bytes is too large: the limit is {limit}")]
    TooLarge {
        /// The request's size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The server's answer cannot be read. A write was done.
    #[error("the server's answer cannot be read")]
    BadReply,
    /// The connect string is none.
    #[error("{0}")]
    ConnectString(#[from] ConnectStringError),
    /// The system gave no random numbers.
    #[error("no random numbers: {0}")]
    NoEntropy(String),
}

impl Error {
    /// Whether nothing was done and the same call may succeed later on.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::ConnectionLost | Error::Unreachable | Error::Overloaded => true,
            Error::TimedOut { outcome_unknown } => !outcome_unknown,
            Error::Refused(code) => {
                matches!(
                    code,
                    ErrorCode::ThrottledOp
                        | ErrorCode::ReconfigInProgress
                        | ErrorCode::NewConfigNoQuorum
                        | ErrorCode::NotReadOnly
                )
            }
            Error::Transaction { error, .. } => error.is_retryable(),
            Error::NoNode
            | Error::NodeExists
            | Error::BadVersion
            | Error::NotEmpty
            | Error::NoAuth
            | Error::RefusedWith(_)
            | Error::OutcomeUnknown
            | Error::SessionExpired
            | Error::AuthFailed
            | Error::LinearizableReadsRefused
            | Error::Closed
            | Error::InvalidPath(_)
            | Error::InvalidArgument(_)
            | Error::TooLarge { .. }
            | Error::BadReply
            | Error::ConnectString(_)
            | Error::NoEntropy(_) => false,
        }
    }

    /// Whether a write may have been done, or not.
    ///
    /// ```
    /// use quorate_client::Error;
    /// assert!(Error::OutcomeUnknown.outcome_unknown());
    /// assert!(!Error::BadVersion.outcome_unknown());
    /// ```
    #[must_use]
    pub fn outcome_unknown(&self) -> bool {
        matches!(self, Error::OutcomeUnknown | Error::TimedOut { outcome_unknown: true })
    }

    /// Whether every later call of the client fails too: it takes a new one.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Error::SessionExpired
                | Error::AuthFailed
                | Error::LinearizableReadsRefused
                | Error::Closed
        )
    }

    fn of_code(code: ErrorCode) -> Error {
        if code == ErrorCode::NoNode {
            Error::NoNode
        } else if code == ErrorCode::NodeExists {
            Error::NodeExists
        } else if code == ErrorCode::BadVersion {
            Error::BadVersion
        } else if code == ErrorCode::NotEmpty {
            Error::NotEmpty
        } else if code == ErrorCode::NoAuth {
            Error::NoAuth
        } else {
            Error::Refused(code)
        }
    }
}

impl From<client_core::Error> for Error {
    fn from(error: client_core::Error) -> Error {
        use client_core::Error as Core;
        match error {
            Core::Refused(code) => Error::of_code(code),
            Core::RefusedWith(code) => Error::RefusedWith(code),
            Core::MultiRefused { index, code } => {
                let error = Box::new(client_core::Error::of_code(code).into());
                Error::Transaction { index, error }
            }
            Core::Unknown => Error::OutcomeUnknown,
            Core::ConnectionLost => Error::ConnectionLost,
            Core::TimedOut { outcome_unknown } => Error::TimedOut { outcome_unknown },
            Core::SessionExpired => Error::SessionExpired,
            Core::AuthFailed => Error::AuthFailed,
            Core::LinearizableReadsRefused => Error::LinearizableReadsRefused,
            Core::Closed => Error::Closed,
            Core::InvalidPath(path) => Error::InvalidPath(path),
            Core::InvalidArgument(what) => Error::InvalidArgument(what),
            Core::TooLarge { size, limit } => Error::TooLarge { size, limit },
            Core::Overloaded => Error::Overloaded,
            Core::BadReply => Error::BadReply,
        }
    }
}
