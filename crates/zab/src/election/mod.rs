//! Fast leader election: members tell each other whom they want to lead until a quorum agrees.
//!
//! It finds the member with the best history, so that a leader need not fetch any. Safety does not
//! rest on it: whoever is elected wrongly fails in discovery.
//! Deviation: an election does not wait for better votes when every voter that can be reached
//! has been heard.

mod count;
mod looking;
mod mesh;
mod vote;

pub(crate) use looking::{Decided, Looking};
pub(crate) use mesh::Mesh;
pub(crate) use vote::{Heard, Vote, notification};
