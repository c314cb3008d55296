//! The names of many children as replies hold them, kept from one listing to the next change.
//!
//! A listing of thousands of children would otherwise touch a cache line or more for each; and
//! whoever watches a directory lists it again and again. Only large families are kept, and only
//! once they are listed: at most as much memory as their names take. Readers share nothing but
//! what they read; the first one after a change keeps what it has written.

use rustc_hash::FxHashMap;
use std::sync::OnceLock;

/// The kept listings, by the family's place. For look-ups only.
#[derive(Default)]
pub(crate) struct Listings {
    kept: FxHashMap<u32, OnceLock<Box<[u8]>>>,
}

impl Listings {
    /// A family has so many children now: what was kept of it is no longer true.
    #[inline]
    pub(crate) fn changed(&mut self, family: u32, children: u32) {
        if children >= CHILDREN_MIN {
            self.kept.entry(family).or_default().take();
        } else if children == CHILDREN_MIN - 1 {
            self.kept.remove(&family);
        }
    }

    /// The bytes that were kept of a family.
    pub(crate) fn of(&self, family: u32) -> Option<&[u8]> {
        self.kept.get(&family)?.get().map(|bytes| &bytes[..])
    }

    /// Keeps what a listing wrote, if the family is large.
    pub(crate) fn keep(&self, family: u32, bytes: &[u8]) {
        if let Some(place) = self.kept.get(&family) {
            // Another reader may have been first, with the same bytes.
            let _ = place.set(bytes.into());
        }
    }
}

/// Smaller families are written out each time.
const CHILDREN_MIN: u32 = 128;
