//! Why a request did not succeed, by what the caller can know and do.

use wire::ErrorCode;

/// The outcome of a request that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The server refused it: nothing was done.
    #[error("refused by the server: {0:?}")]
    Refused(ErrorCode),
    /// The server refused it with a number that has no name here.
    #[error("refused by the server with the unknown code {0}")]
    RefusedWith(i32),
    /// One operation of a multi was refused, so none was done.
    #[error("operation {index} of the multi was refused: {code}")]
    MultiRefused {
        /// Which, from 0.
        index: usize,
        /// Its error's number.
        code: i32,
    },
    /// The connection was lost while a write was on its way: it may have been done, or not.
    #[error("connection lost: the write may or may not have been done")]
    Unknown,
    /// The connection was lost too often to answer a read.
    #[error("connection lost before the answer came")]
    ConnectionLost,
    /// The request's time is over.
    #[error("timed out")]
    TimedOut {
        /// Whether it is a write that was sent: it may have been done, or not.
        outcome_unknown: bool,
    },
    /// The session is over, and its ephemeral nodes with it.
    #[error("the session expired")]
    SessionExpired,
    /// Credentials were refused; the session is of no more use.
    #[error("authentication failed")]
    AuthFailed,
    /// The server has no linearizable reads; the session is of no more use.
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
    /// The request is larger than a server takes; nothing was sent.
    #[error("a request of {size} bytes is too large: the limit is {limit}")]
    TooLarge {
        /// The frame's size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Too many requests or watchers are outstanding; nothing was sent.
    #[error("too many requests or watchers are outstanding")]
    Overloaded,
    /// The server's answer cannot be read. A write was done.
    #[error("the server's answer cannot be read")]
    BadReply,
}

impl Error {
    /// The error of a reply header's number, which is not 0.
    #[must_use]
    pub fn of_code(code: i32) -> Error {
        match ErrorCode::from_number(code) {
            Some(ErrorCode::SessionExpired) => Error::SessionExpired,
            Some(ErrorCode::AuthFailed | ErrorCode::SessionClosedRequireSaslAuth) => {
                Error::AuthFailed
            }
            Some(code) => Error::Refused(code),
            None => Error::RefusedWith(code),
        }
    }
}
