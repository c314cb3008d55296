//! The kinds of node that a create request can ask for.

/// What the `flags` of a create request mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreateMode {
    /// Lives as long as its session.
    pub ephemeral: bool,
    /// Gets a number appended to its name.
    pub sequential: bool,
    /// Goes when its last child has gone.
    pub container: bool,
    /// Goes when it had neither children nor writes for a time.
    pub ttl: bool,
}

impl CreateMode {
    /// The mode with that number (0 to 6).
    #[must_use]
    pub const fn from_flags(flags: i32) -> Option<CreateMode> {
        Some(match flags {
            0 => CreateMode { ephemeral: false, sequential: false, container: false, ttl: false },
            1 => CreateMode { ephemeral: true, sequential: false, container: false, ttl: false },
            2 => CreateMode { ephemeral: false, sequential: true, container: false, ttl: false },
            3 => CreateMode { ephemeral: true, sequential: true, container: false, ttl: false },
            4 => CreateMode { ephemeral: false, sequential: false, container: true, ttl: false },
            5 => CreateMode { ephemeral: false, sequential: false, container: false, ttl: true },
            6 => CreateMode { ephemeral: false, sequential: true, container: false, ttl: true },
            _ => return None,
        })
    }
}
