//! What a session is given whole at its start.

use crate::ConnectString;
use std::time::Duration;
use wire::PASSWORD_SIZE;

/// Largest frame by default, in bytes: the reference's `jute.maxbuffer`.
pub const FRAME_SIZE_MAX_DEFAULT: usize = 0xf_ffff;

/// What renews a session on another link, also from another process.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The session's id; 0 before there is one.
    pub session_id: i64,
    /// Its password.
    pub password: [u8; PASSWORD_SIZE],
}

impl Identity {
    /// No session yet.
    pub const NONE: Identity = Identity { session_id: 0, password: [0; PASSWORD_SIZE] };
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The password is a credential.
        write!(f, "Identity({:#x})", self.session_id)
    }
}

/// Policy of one session.
#[derive(Clone, Debug)]
pub struct Config {
    /// Servers and chroot.
    pub servers: ConnectString,
    /// The session time-out to ask for; the server clamps it.
    pub session_timeout: Duration,
    /// A session to renew in place of opening one.
    pub resume: Identity,
    /// Whether a read-only server will do.
    pub read_only: bool,
    /// How often a read is sent before a lost connection fails it; 1 is never again.
    pub read_attempts: u32,
    /// Most requests queued and in flight together; more are refused as overload.
    pub outstanding_max: usize,
    /// Most local watchers.
    pub watchers_max: usize,
    /// Largest frame to send, in bytes; the server's `jute.maxbuffer`.
    pub frame_size_max_bytes: usize,
    /// Gives the session up when no server was heard of for this long; `None` waits for a server
    /// to say that it is over.
    pub expire_unheard_after: Option<Duration>,
    /// Seed of the shuffle of hosts and of the back-off's jitter.
    pub seed: u64,
}

impl Config {
    /// The defaults for `servers`.
    #[must_use]
    pub fn new(servers: ConnectString) -> Config {
        Config {
            servers,
            session_timeout: Duration::from_secs(30),
            resume: Identity::NONE,
            read_only: false,
            read_attempts: 5,
            outstanding_max: 65_536,
            watchers_max: 1 << 20,
            frame_size_max_bytes: FRAME_SIZE_MAX_DEFAULT,
            expire_unheard_after: None,
            seed: 0,
        }
    }
}
