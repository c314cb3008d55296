//! What is to be ordered.

use bytes::Bytes;

/// Items, and how many of them are under way at the same time.
#[derive(Clone, Debug)]
pub struct Load {
    /// All of them: slices of one buffer, as who reads requests from a socket has them.
    pub items: Vec<Bytes>,
    /// So many are proposed and not yet applied where they were proposed.
    pub window: usize,
}

impl Load {
    /// So many items of that size, in bytes, at least 8.
    #[must_use]
    pub fn new(count: usize, size: usize, window: usize) -> Load {
        let mut bytes = vec![7; count * size];
        for (number, item) in bytes.chunks_exact_mut(size).enumerate() {
            item[..8].copy_from_slice(&(number as u64).to_le_bytes());
        }
        let bytes = Bytes::from(bytes);
        let items = (0..count).map(|at| bytes.slice(at * size..(at + 1) * size)).collect();
        Load { items, window }
    }
}
