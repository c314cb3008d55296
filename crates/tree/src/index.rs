//! From (parent, name) to node: hash tables of four bytes per node.
//!
//! The hash picks one of many small tables, so that the growth of one never stalls the writer:
//! at ten million nodes a table of some 2,400 is hashed again, in well under a millisecond.

use hashbrown::HashTable;
use rustc_hash::FxHasher;
use std::hash::Hasher;

/// Tables. An empty one takes 32 bytes.
const SHARDS: usize = 4096;
/// A table is made smaller when fewer than one in that many places are in use.
const SPARSE: usize = 8;

/// The sharded table. What it holds is verified by its caller.
pub(crate) struct Index {
    shards: Box<[HashTable<u32>]>,
}

impl Index {
    pub(crate) fn new() -> Index {
        Index { shards: (0..SHARDS).map(|_| HashTable::new()).collect() }
    }

    /// The node with that hash for which `is_it` holds.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.shards[shard(hash)].find(hash, |node| is_it(*node)).copied()
    }

    /// Adds a node that is not in it.
    pub(crate) fn insert(&mut self, hash: u64, node: u32, hash_of: impl Fn(u32) -> u64) {
        self.shards[shard(hash)].insert_unique(hash, node, |node| hash_of(*node));
    }

    /// Takes a node out.
    pub(crate) fn remove(&mut self, hash: u64, node: u32, hash_of: impl Fn(u32) -> u64) {
        let table = &mut self.shards[shard(hash)];
        if let Ok(entry) = table.find_entry(hash, |other| *other == node) {
            entry.remove();
        }
        if table.capacity() > 64 && table.len() < table.capacity() / SPARSE {
            table.shrink_to(table.len() * 2, |node| hash_of(*node));
        }
    }
}

/// The hash of a node's place in the tree. Tables use its ends, the choice of a table the middle.
#[inline]
pub(crate) fn hash(parent: u32, name: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(name);
    hasher.write_u32(parent);
    let mixed = hasher.finish();
    let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

const fn shard(hash: u64) -> usize {
    (hash >> 36) as usize % SHARDS
}
