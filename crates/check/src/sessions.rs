//! When a session may end by itself, and when it must have.

use std::time::Duration;

/// How long a session's client was not heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Since when, up to now.
    pub lasted: Duration,
    /// What the session may be silent.
    pub timeout: Duration,
}

/// Whether the server was right to end it now: never before its time.
#[must_use]
pub fn may_expire(silence: Silence) -> bool {
    silence.lasted >= silence.timeout
}

/// Whether the server should have ended it by now: deadlines are rounded up to a tick, and
/// `delay` is what the server's own work may have added.
#[must_use]
pub fn has_overslept(silence: Silence, tick: Duration, delay: Duration) -> bool {
    silence.lasted > silence.timeout + tick + delay
}
