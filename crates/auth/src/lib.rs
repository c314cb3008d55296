//! Who may do what: identities of connections, entries of access lists, and how the two meet.
//!
//! Everything is a function of a [`Config`] and its arguments. The schemes are `world`, `ip`,
//! `digest` and, inside requests only, `auth`; any other scheme is unknown, as it is to a
//! reference server that no further provider was configured for.
//! Source: ZooKeeper's documented ACL schemes, behaviour of version 3.9.5.

mod config;
mod digest;
mod fix_up;
mod ip;

pub use config::{AuthFailed, Config, UnknownScheme, mask};
pub use digest::{DigestAlg, digest_id};
pub use fix_up::{Fixed, InvalidAcl};
