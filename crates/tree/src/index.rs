//! From (parent, name) to node: hash tables of eight bytes per node.
//!
//! The hash picks one of many small tables, so that the growth of one never stalls the writer:
//! at ten million nodes a table of some 2,400 is hashed again, in well under a millisecond. Half of
//! the hash stands beside the node, so that growth touches no node, and a look-up hardly ever one
//! that is not it: each would be a cache miss or two.

use hashbrown::HashTable;
use rustc_hash::FxHasher;
use std::hash::Hasher;

/// Tables. An empty one takes 32 bytes.
const SHARDS: usize = 4096;
/// A table is made smaller when fewer than one in that many places are in use.
const SPARSE: usize = 8;

#[derive(Clone, Copy)]
struct Place {
    /// The low half of the node's hash; the choice of the table is made by the other.
    hash: u32,
    node: u32,
}

/// The sharded table. What it holds is verified by its caller.
pub(crate) struct Index {
    shards: Box<[HashTable<Place>]>,
}

impl Index {
    pub(crate) fn new() -> Index {
        Index { shards: (0..SHARDS).map(|_| HashTable::new()).collect() }
    }

    /// The node with that hash for which `is_it` holds.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let half = hash as u32;
        let found = self.shards[shard(hash)]
            .find(spread(half), |place| place.hash == half && is_it(place.node));
        found.map(|place| place.node)
    }

    /// Adds a node that is not in it.
    pub(crate) fn insert(&mut self, hash: u64, node: u32) {
        let place = Place { hash: hash as u32, node };
        let table = &mut self.shards[shard(hash)];
        table.insert_unique(spread(place.hash), place, |place| spread(place.hash));
    }

    /// Takes a node out.
    pub(crate) fn remove(&mut self, hash: u64, node: u32) {
        let table = &mut self.shards[shard(hash)];
        if let Ok(entry) = table.find_entry(spread(hash as u32), |place| place.node == node) {
            entry.remove();
        }
        if table.capacity() > 64 && table.len() < table.capacity() / SPARSE {
            table.shrink_to(table.len() * 2, |place| spread(place.hash));
        }
    }
}

/// A table uses both ends of a hash.
const fn spread(half: u32) -> u64 {
    (half as u64) << 32 | half as u64
}

/// The hash of a node's place in the tree.
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
