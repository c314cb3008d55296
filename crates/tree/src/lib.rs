//! The replicated state of the ZooKeeper service: znodes, sessions, access lists, quotas, digest.
//!
//! [`Tree::apply`] takes committed transactions, one after the other, and is the same function
//! for live traffic and for the replay of a log onto a fuzzy snapshot: it validates nothing, it
//! is idempotent, and no well-formed transaction makes it fail. Reads take `&self`, so that many
//! readers may share the tree between batches of writes. [`Tree::walk_next`] lists the nodes for
//! a snapshot while writes go on, and [`TreeBuilder`] takes such a list back.
//!
//! A node is a record of one cache line, its name and data in a size-classed arena, and four
//! bytes in a hash table; what only parents or owned nodes need is kept aside.

mod acl_cache;
mod apply;
mod blobs;
mod change;
mod digest;
mod foresight;
mod index;
mod listings;
mod nodes;
mod owned;
mod quota;
mod restore;
mod reverse;
mod slab;
mod tree;
mod walk;

#[cfg(test)]
mod tests;

pub use apply::CONFIG_PATH;
pub use change::{Applied, Change, DigestMismatch, OpResult, Results};
pub use digest::{DigestPrefix, digest_of};
pub use foresight::{Foreseen, Neighbourhood, NodeHint};
pub use owned::ReapRules;
pub use quota::{Quota, QuotaLimits, QuotaUsage};
pub use restore::{RestoreError, TreeBuilder};
pub use tree::{Config, NodeIndex, Tree};
pub use walk::Walk;
