//! Mutations of inputs: the same for a seed for ever.

use base::Rng;

/// Changes an input in one to four places; sometimes part of another one is put into it.
pub(crate) fn mutate(rng: &mut Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..rng.between(1, 4) {
        step(rng, &mut bytes, other);
    }
    bytes.truncate(SIZE_MAX);
    bytes
}

fn step(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = rng.below(bytes.len() as u64 + 1) as usize;
    let size = rng.between(1, 16) as usize;
    let end = (at + size).min(bytes.len());
    match rng.below(9) {
        0 if at < bytes.len() => bytes[at] ^= 1 << rng.below(8),
        1 if at < bytes.len() => bytes[at] = *rng.pick(&BYTES),
        // A length: of nothing, of more than there is, of more than there can be.
        2 if at + 4 <= bytes.len() => {
            let length = *rng.pick(&LENGTHS);
            bytes[at..at + 4].copy_from_slice(&length.to_be_bytes());
        }
        3 if at + 4 <= bytes.len() => {
            let length = (bytes.len() - at) as u32;
            bytes[at..at + 4].copy_from_slice(&length.to_be_bytes());
        }
        4 => bytes.truncate(at),
        5 => {
            bytes.drain(at..end);
        }
        6 => {
            let again = bytes[at..end].to_vec();
            bytes.splice(at..at, again);
        }
        7 if !other.is_empty() => {
            let from = rng.below(other.len() as u64) as usize;
            let size = rng.between(1, 256) as usize;
            let part = &other[from..(from + size).min(other.len())];
            bytes.splice(at..end, part.iter().copied());
        }
        _ => {
            let noise: Vec<u8> = (0..size).map(|_| rng.next_u64() as u8).collect();
            bytes.splice(at..at, noise);
        }
    }
}

/// Longest input that is made, in bytes.
const SIZE_MAX: usize = 16 << 10;
const BYTES: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, b'/', b'\n', b'='];
const LENGTHS: [i32; 8] = [0, 1, -1, -2, 0xffff, 0x10_0000, i32::MAX, i32::MIN];
