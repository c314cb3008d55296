//! Fixed-size records in chunks: growth allocates one more chunk and copies nothing.
//!
//! Freed places form a list through the records themselves, so that freeing needs no memory.

use std::ops::{Index, IndexMut};

/// No record: the end of a list, or a link that is not there.
pub(crate) const NONE: u32 = u32::MAX;

/// Records per chunk. 64 KiB of node records: some 20 us of page faults per growth.
const CHUNK: usize = 1024;

/// What a slab can hold: a value with a field that may serve as a link while it is free.
pub(crate) trait Slot: Copy {
    /// The value of a place that was never used.
    const EMPTY: Self;
    /// The link of a free place.
    fn link(&self) -> u32;
    /// Makes this a free place with that link.
    fn set_free(&mut self, link: u32);
}

/// A growing set of records with stable `u32` places.
pub(crate) struct Slab<T> {
    chunks: Vec<Box<[T]>>,
    /// First of the freed places.
    free: u32,
    /// First place that was never used.
    fresh: u32,
}

impl<T: Slot> Slab<T> {
    pub(crate) fn new() -> Slab<T> {
        Slab { chunks: Vec::new(), free: NONE, fresh: 0 }
    }

    /// Stores `value` and answers with its place.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        let place = if self.free == NONE {
            let place = self.fresh;
            assert!(place < NONE, "the tree holds at most 2^32 - 1 records");
            if place as usize == self.chunks.len() * CHUNK {
                self.chunks.push(vec![T::EMPTY; CHUNK].into_boxed_slice());
            }
            self.fresh += 1;
            place
        } else {
            let place = self.free;
            self.free = self[place].link();
            place
        };
        self[place] = value;
        place
    }

    /// Gives a place back.
    pub(crate) fn remove(&mut self, place: u32) {
        let free = self.free;
        self[place].set_free(free);
        self.free = place;
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;
    fn index(&self, place: u32) -> &T {
        &self.chunks[place as usize / CHUNK][place as usize % CHUNK]
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, place: u32) -> &mut T {
        &mut self.chunks[place as usize / CHUNK][place as usize % CHUNK]
    }
}

/// A value of four bytes per place of a slab, 0 where nothing was written.
#[derive(Default)]
pub(crate) struct Column {
    chunks: Vec<Box<[u32]>>,
}

impl Column {
    pub(crate) fn get(&self, place: u32) -> u32 {
        self.chunks.get(place as usize / CHUNK).map_or(0, |chunk| chunk[place as usize % CHUNK])
    }

    /// Writes a value; gives what was there.
    pub(crate) fn replace(&mut self, place: u32, value: u32) -> u32 {
        while self.chunks.len() <= place as usize / CHUNK {
            self.chunks.push(vec![0; CHUNK].into_boxed_slice());
        }
        let chunk = &mut self.chunks[place as usize / CHUNK];
        std::mem::replace(&mut chunk[place as usize % CHUNK], value)
    }
}
