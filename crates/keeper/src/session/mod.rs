//! Sessions as this member sees them: ids, passwords, and when they expire.

mod expiry;
mod id;
mod password;

pub use expiry::{Expiry, Liveness, Owner, Place};
pub use id::SessionIds;
pub use password::password;
