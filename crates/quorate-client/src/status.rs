//! How the session stands, for everybody who looks.

use crate::{Error, Identity, State};
use std::time::Duration;

/// How a client's session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Connected, suspended, read-only, or over.
    pub state: State,
    /// What renews the session elsewhere; id 0 before there is one.
    pub identity: Identity,
    /// The negotiated session time-out; what was asked for before there is one.
    pub session_timeout: Duration,
}

impl Status {
    /// Whether requests are being answered.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected | State::ReadOnly)
    }

    /// What every call fails with once the session is over.
    pub(crate) fn final_error(&self) -> Error {
        match self.state {
            State::Expired => Error::SessionExpired,
            State::AuthFailed => Error::AuthFailed,
            State::Connecting
            | State::Connected
            | State::ReadOnly
            | State::Suspended
            | State::Closed => Error::Closed,
        }
    }
}
