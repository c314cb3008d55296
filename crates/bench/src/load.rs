//! Load: from a plan to requests on sockets, and from replies to counts.

pub mod keys;
pub mod pace;
pub mod plan;
pub mod scan;
pub mod template;

pub(crate) mod connection;
pub(crate) mod poll;
mod session;
pub(crate) mod tally;
pub(crate) mod traffic;
pub(crate) mod worker;
