//! The state machine: as small as one can be that sees order and loss.

/// What was applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// How many items.
    pub items: u64,
    /// All of them, in order.
    pub digest: u64,
}

impl Applied {
    /// One more.
    pub fn apply(&mut self, item: &[u8]) {
        let head = item.first_chunk().map_or(0, |head| u64::from_le_bytes(*head));
        self.items += 1;
        self.digest = (self.digest ^ head).wrapping_mul(PRIME);
    }
}

/// Of FNV-1a.
const PRIME: u64 = 0x0000_0100_0000_01b3;
