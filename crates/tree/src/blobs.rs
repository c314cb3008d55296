//! Names and data: byte strings in a chunked arena of size classes, long ones on their own.
//!
//! A blob is `name length and owner flag ‖ owner, if any ‖ name ‖ data length + 1 ‖ data`, lengths
//! as LEB128 (a data length of 0 is null). The name comes first and never changes, so that new
//! data of the same class is written in place. Classes are 1/16 of an octave apart: at most 7%
//! of a slot of more than 128 bytes is unused. An empty chunk goes back to the allocator.

use crate::slab::NONE;

/// Bytes per chunk.
const CHUNK_SIZE: usize = 64 * 1024;
/// Longer blobs have an allocation of their own.
const SMALL_MAX: usize = 4096;
const SLOT_BITS: u32 = 12;
/// Marks the places of long blobs; so up to 2^19 chunks (32 GiB) of short ones.
const LARGE: u32 = 1 << 31;
const NO_SLOT: u16 = u16::MAX;
const CLASSES: usize = 95;

/// One chunk: slots of one class.
struct Chunk {
    bytes: Box<[u8]>,
    class: u8,
    used: u16,
    /// First slot that was never used.
    fresh: u16,
    /// First of the freed slots; each holds the next in its first two bytes.
    free: u16,
    /// Neighbours among the chunks of the class that have room.
    prev: u32,
    next: u32,
}

/// What a blob holds.
#[derive(Clone, Copy)]
pub(crate) struct Blob<'a> {
    pub(crate) name: &'a [u8],
    /// The stored owner; 0 for plain nodes.
    pub(crate) owner: i64,
    /// `None` is null.
    pub(crate) data: Option<&'a [u8]>,
}

/// The arena.
pub(crate) struct Blobs {
    chunks: Vec<Chunk>,
    /// Numbers of chunks whose memory was given back.
    spare: Vec<u32>,
    /// First chunk with room, by class.
    roomy: [u32; CLASSES],
    large: Vec<Box<[u8]>>,
    large_spare: Vec<u32>,
}

impl Blobs {
    pub(crate) fn new() -> Blobs {
        Blobs {
            chunks: Vec::new(),
            spare: Vec::new(),
            roomy: [NONE; CLASSES],
            large: Vec::new(),
            large_spare: Vec::new(),
        }
    }

    /// Stores a blob and answers with its place.
    pub(crate) fn insert(&mut self, name: &[u8], owner: i64, data: Option<&[u8]>) -> u32 {
        let size = head_size(name, owner) + tail_size(data);
        if size > SMALL_MAX {
            let mut bytes = vec![0; size].into_boxed_slice();
            let at = write_head(&mut bytes, name, owner);
            write_tail(&mut bytes[at..], data);
            return self.insert_large(bytes);
        }
        let place = self.take_slot(class_of(size));
        let slot = self.slot_mut(place);
        let at = write_head(slot, name, owner);
        write_tail(&mut slot[at..], data);
        place
    }

    /// The name of what stands at `place`.
    #[inline]
    pub(crate) fn name(&self, place: u32) -> &[u8] {
        let bytes = self.slot(place);
        let (flagged, at) = read_varint(bytes);
        let at = at + 8 * (flagged & 1);
        &bytes[at..at + (flagged >> 1)]
    }

    /// The stored owner of what stands at `place`; 0 for plain nodes.
    #[inline]
    pub(crate) fn owner(&self, place: u32) -> i64 {
        let bytes = self.slot(place);
        let (flagged, at) = read_varint(bytes);
        if flagged & 1 == 0 {
            return 0;
        }
        i64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
    }

    /// What stands at `place`.
    pub(crate) fn get(&self, place: u32) -> Blob<'_> {
        let bytes = self.slot(place);
        let (flagged, mut at) = read_varint(bytes);
        let mut owner = 0;
        if flagged & 1 == 1 {
            owner = i64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
            at += 8;
        }
        let name = &bytes[at..at + (flagged >> 1)];
        at += name.len();
        let (length, size) = read_varint(&bytes[at..]);
        at += size;
        let data = length.checked_sub(1).map(|length| &bytes[at..at + length]);
        Blob { name, owner, data }
    }

    /// Replaces the data of the blob at `place`; answers with its place from now on, and with how
    /// many bytes of data there were.
    pub(crate) fn set_data(&mut self, place: u32, data: Option<&[u8]>) -> (u32, usize) {
        let bytes = self.slot(place);
        let head = written_head_size(bytes);
        let old = read_varint(&bytes[head..]).0.saturating_sub(1);
        let size = head + tail_size(data);
        if place & LARGE == 0 && size <= SMALL_MAX && class_of(size) == self.class(place) {
            write_tail(&mut self.slot_mut(place)[head..], data);
            return (place, old);
        }
        (self.move_to_fit(place, head, size, data), old)
    }

    /// Gives a blob, of which `head` bytes stay, a place for `size` bytes.
    fn move_to_fit(&mut self, place: u32, head: usize, size: usize, data: Option<&[u8]>) -> u32 {
        let mut head_bytes = Vec::with_capacity(head);
        head_bytes.extend_from_slice(&self.slot(place)[..head]);
        self.remove(place);
        if size > SMALL_MAX {
            let mut bytes = vec![0; size].into_boxed_slice();
            bytes[..head].copy_from_slice(&head_bytes);
            write_tail(&mut bytes[head..], data);
            return self.insert_large(bytes);
        }
        let place = self.take_slot(class_of(size));
        let slot = self.slot_mut(place);
        slot[..head].copy_from_slice(&head_bytes);
        write_tail(&mut slot[head..], data);
        place
    }

    /// Forgets the blob at `place`.
    pub(crate) fn remove(&mut self, place: u32) {
        if place & LARGE != 0 {
            self.large[(place & !LARGE) as usize] = Box::default();
            self.large_spare.push(place & !LARGE);
            return;
        }
        let number = place >> SLOT_BITS;
        let free = self.chunks[number as usize].free;
        self.slot_mut(place)[..2].copy_from_slice(&free.to_le_bytes());
        let chunk = &mut self.chunks[number as usize];
        let was_full = usize::from(chunk.used) == capacity(chunk.class);
        chunk.free = (place & ((1 << SLOT_BITS) - 1)) as u16;
        chunk.used -= 1;
        if was_full {
            self.link(number);
        }
        let chunk = &self.chunks[number as usize];
        // The last chunk with room stays, or a node that comes and goes would allocate each time.
        if chunk.used == 0 && (chunk.prev != NONE || chunk.next != NONE) {
            self.unlink(number);
            self.chunks[number as usize].bytes = Box::default();
            self.spare.push(number);
        }
    }

    fn class(&self, place: u32) -> u8 {
        self.chunks[(place >> SLOT_BITS) as usize].class
    }

    #[inline]
    fn slot(&self, place: u32) -> &[u8] {
        if place & LARGE != 0 {
            return &self.large[(place & !LARGE) as usize];
        }
        let chunk = &self.chunks[(place >> SLOT_BITS) as usize];
        let size = size_of_class(chunk.class);
        let at = (place as usize & ((1 << SLOT_BITS) - 1)) * size;
        &chunk.bytes[at..at + size]
    }

    fn slot_mut(&mut self, place: u32) -> &mut [u8] {
        let chunk = &mut self.chunks[(place >> SLOT_BITS) as usize];
        let size = size_of_class(chunk.class);
        let at = (place as usize & ((1 << SLOT_BITS) - 1)) * size;
        &mut chunk.bytes[at..at + size]
    }

    fn insert_large(&mut self, bytes: Box<[u8]>) -> u32 {
        if let Some(number) = self.large_spare.pop() {
            self.large[number as usize] = bytes;
            return number | LARGE;
        }
        let number = u32::try_from(self.large.len()).unwrap_or(LARGE);
        assert!(number < LARGE, "there are at most 2^31 long blobs");
        self.large.push(bytes);
        number | LARGE
    }

    fn take_slot(&mut self, class: u8) -> u32 {
        if self.roomy[usize::from(class)] == NONE {
            self.add_chunk(class);
        }
        let number = self.roomy[usize::from(class)];
        let chunk = &mut self.chunks[number as usize];
        let slot = if chunk.free == NO_SLOT {
            chunk.fresh += 1;
            chunk.fresh - 1
        } else {
            let slot = chunk.free;
            let at = usize::from(slot) * size_of_class(class);
            chunk.free = u16::from_le_bytes([chunk.bytes[at], chunk.bytes[at + 1]]);
            slot
        };
        chunk.used += 1;
        if usize::from(chunk.used) == capacity(class) {
            self.unlink(number);
        }
        number << SLOT_BITS | u32::from(slot)
    }

    fn add_chunk(&mut self, class: u8) {
        let bytes = vec![0; CHUNK_SIZE].into_boxed_slice();
        let chunk =
            Chunk { bytes, class, used: 0, fresh: 0, free: NO_SLOT, prev: NONE, next: NONE };
        let number = match self.spare.pop() {
            Some(number) => {
                self.chunks[number as usize] = chunk;
                number
            }
            None => {
                assert!(self.chunks.len() < (LARGE >> SLOT_BITS) as usize, "32 GiB of blobs");
                self.chunks.push(chunk);
                (self.chunks.len() - 1) as u32
            }
        };
        self.link(number);
    }

    /// Puts a chunk first among those of its class that have room.
    fn link(&mut self, number: u32) {
        let class = usize::from(self.chunks[number as usize].class);
        let next = std::mem::replace(&mut self.roomy[class], number);
        self.chunks[number as usize].prev = NONE;
        self.chunks[number as usize].next = next;
        if next != NONE {
            self.chunks[next as usize].prev = number;
        }
    }

    fn unlink(&mut self, number: u32) {
        let Chunk { class, prev, next, .. } = self.chunks[number as usize];
        match prev {
            NONE => self.roomy[usize::from(class)] = next,
            prev => self.chunks[prev as usize].next = next,
        }
        if next != NONE {
            self.chunks[next as usize].prev = prev;
        }
        self.chunks[number as usize].prev = NONE;
        self.chunks[number as usize].next = NONE;
    }
}

/// 16, 24, .. 128, and then 16 classes to the octave up to 4096.
#[inline]
const fn size_of_class(class: u8) -> usize {
    let class = class as usize;
    if class < 15 {
        return 16 + class * 8;
    }
    let (octave, step) = ((class - 15) / 16, (class - 15) % 16);
    (17 + step) << (octave + 3)
}

const fn class_of(size: usize) -> u8 {
    if size <= 16 {
        return 0;
    }
    if size <= 128 {
        return (size.div_ceil(8) - 2) as u8;
    }
    let octave = (size - 1).ilog2() - 7;
    let steps = size.div_ceil(1 << (octave + 3));
    (15 + octave as usize * 16 + (steps - 17)) as u8
}

const fn capacity(class: u8) -> usize {
    CHUNK_SIZE / size_of_class(class)
}

fn head_size(name: &[u8], owner: i64) -> usize {
    let owner_size = if owner == 0 { 0 } else { 8 };
    varint_size(name.len() << 1) + owner_size + name.len()
}

/// How long the head of a blob is.
#[inline]
fn written_head_size(bytes: &[u8]) -> usize {
    let (flagged, at) = read_varint(bytes);
    at + 8 * (flagged & 1) + (flagged >> 1)
}

fn tail_size(data: Option<&[u8]>) -> usize {
    data.map_or(1, |data| varint_size(data.len() + 1) + data.len())
}

fn write_head(out: &mut [u8], name: &[u8], owner: i64) -> usize {
    let mut at = write_varint(out, name.len() << 1 | usize::from(owner != 0));
    if owner != 0 {
        out[at..at + 8].copy_from_slice(&owner.to_le_bytes());
        at += 8;
    }
    out[at..at + name.len()].copy_from_slice(name);
    at + name.len()
}

fn write_tail(out: &mut [u8], data: Option<&[u8]>) {
    let at = write_varint(out, data.map_or(0, |data| data.len() + 1));
    if let Some(data) = data {
        out[at..at + data.len()].copy_from_slice(data);
    }
}

const fn varint_size(value: usize) -> usize {
    if value == 0 { 1 } else { value.ilog2() as usize / 7 + 1 }
}

fn write_varint(out: &mut [u8], mut value: usize) -> usize {
    let mut at = 0;
    while value >= 0x80 {
        out[at] = value as u8 | 0x80;
        value >>= 7;
        at += 1;
    }
    out[at] = value as u8;
    at + 1
}

#[inline]
fn read_varint(bytes: &[u8]) -> (usize, usize) {
    if bytes[0] < 0x80 {
        return (usize::from(bytes[0]), 1);
    }
    let (mut value, mut at) = (0, 0);
    loop {
        let byte = bytes[at];
        value |= usize::from(byte & 0x7f) << (7 * at);
        at += 1;
        if byte < 0x80 {
            return (value, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Blobs, CLASSES, SMALL_MAX, class_of, size_of_class};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn every_size_has_the_smallest_class_that_holds_it() {
        for size in 1..=SMALL_MAX {
            let class = class_of(size);
            assert!(usize::from(class) < CLASSES);
            assert!(size_of_class(class) >= size);
            assert!(class == 0 || size_of_class(class - 1) < size);
            if size > 128 {
                assert!((size_of_class(class) - size) * 100 <= size * 7, "{size}");
            }
        }
        assert_eq!(size_of_class(CLASSES as u8 - 1), SMALL_MAX);
    }

    #[test]
    fn an_empty_chunk_goes_back() {
        let mut blobs = Blobs::new();
        let places: Vec<u32> = (0..5000).map(|_| blobs.insert(b"n", 0, Some(&[7; 100]))).collect();
        assert!(blobs.chunks.len() > 5);
        places.iter().for_each(|place| blobs.remove(*place));
        assert_eq!(blobs.spare.len(), blobs.chunks.len() - 1, "one chunk stays");
        blobs.insert(b"other", 0, Some(&[1; 3000]));
        assert_eq!(blobs.spare.len(), blobs.chunks.len() - 2, "a number is used again");
    }

    proptest! {
        #[test]
        fn what_is_stored_is_read_back(
            steps in proptest::collection::vec(
                (0usize..40, 0usize..3, 0usize..6000, any::<bool>(), any::<u8>()), 1..300)
        ) {
            let mut blobs = Blobs::new();
            type Stored = (u32, Vec<u8>, i64, Option<Vec<u8>>);
            let mut model: BTreeMap<usize, Stored> = BTreeMap::new();
            for (key, action, length, null, fill) in steps {
                let data = (!null).then(|| vec![fill; if fill < 128 { length } else { length % 90 }]);
                match (model.remove(&key), action) {
                    (None, _) => {
                        let name = vec![fill; 1 + length % 200];
                        let owner = if fill % 3 == 0 { i64::MIN + i64::from(fill) } else { 0 };
                        let place = blobs.insert(&name, owner, data.as_deref());
                        model.insert(key, (place, name, owner, data));
                    }
                    (Some((place, ..)), 0) => blobs.remove(place),
                    (Some((place, name, owner, _)), _) => {
                        let (place, _) = blobs.set_data(place, data.as_deref());
                        model.insert(key, (place, name, owner, data));
                    }
                }
                for (place, name, owner, data) in model.values() {
                    let blob = blobs.get(*place);
                    prop_assert_eq!(blob.name, &name[..]);
                    prop_assert_eq!(blob.owner, *owner);
                    prop_assert_eq!(blob.data, data.as_deref());
                }
            }
        }
    }
}
