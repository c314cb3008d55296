//! Access lists, each kept once and counted.
//!
//! Nodes refer to a slot. Slot 0 is the open list that was never given (id -1); every list that
//! a client gave has an id of its own, also the open one: ids only grow, and one id means one list
//! for as long as the process lives. Equality is by order. Source: disk format, section 10.

use crate::index;
use hashbrown::HashTable;
use jute::{Encode, Writer};
use std::sync::Arc;
use wire::{Acl, Acls, OPEN_ACL_ID};

/// The slot of the open list that is not stored.
pub(crate) const OPEN: u32 = 0;

struct Entry {
    id: i64,
    /// How many nodes refer to it.
    references: u64,
    list: Arc<[Acl]>,
    /// The encoded list: what it is found by.
    key: Box<[u8]>,
}

/// The lists in use.
pub(crate) struct AclCache {
    slots: Vec<Option<Entry>>,
    spare: Vec<u32>,
    by_key: HashTable<u32>,
    last_id: i64,
    /// Where the open list stands if a client gave it: what nearly every node refers to.
    given_open: u32,
    scratch: Vec<u8>,
}

impl AclCache {
    pub(crate) fn new() -> AclCache {
        AclCache {
            slots: vec![None],
            spare: Vec::new(),
            by_key: HashTable::new(),
            last_id: 0,
            given_open: OPEN,
            scratch: Vec::new(),
        }
    }

    /// One more reference to the list `acls`.
    pub(crate) fn intern(&mut self, acls: &Acls<'_>) -> u32 {
        if self.given_open != OPEN && *acls == Acls::OPEN {
            self.add_reference(self.given_open);
            return self.given_open;
        }
        self.scratch.clear();
        acls.encode(&mut self.scratch);
        // As it came is how it is kept, unless it holds nulls or bytes that are not UTF-8.
        let slot = match self.find_scratch() {
            Some(slot) => slot,
            None => self.place(acls.to_vec()),
        };
        self.add_reference(slot);
        slot
    }

    /// One more reference to `list`.
    pub(crate) fn intern_list(&mut self, list: Vec<Acl>) -> u32 {
        let slot = self.place(list);
        self.add_reference(slot);
        slot
    }

    /// Keeps a snapshot's list, without a reference; answers with its slot.
    pub(crate) fn restore(&mut self, id: i64, list: Vec<Acl>) -> u32 {
        let last_id = self.last_id.max(id);
        self.last_id = id.wrapping_sub(1);
        let slot = self.place(list);
        self.last_id = last_id;
        slot
    }

    /// One more reference to what stands in `slot`.
    pub(crate) fn add_reference(&mut self, slot: u32) {
        if let Some(entry) = &mut self.slots[slot as usize] {
            entry.references += 1;
        }
    }

    /// One reference less; a list that nothing refers to goes.
    pub(crate) fn release(&mut self, slot: u32) {
        let Some(entry) = &mut self.slots[slot as usize] else { return };
        entry.references = entry.references.saturating_sub(1);
        if entry.references == 0 {
            self.forget(slot);
        }
    }

    /// Forgets every list that nothing refers to.
    pub(crate) fn purge(&mut self) {
        for slot in 0..self.slots.len() {
            if self.slots[slot].as_ref().is_some_and(|entry| entry.references == 0) {
                self.forget(slot as u32);
            }
        }
    }

    /// The list in `slot`; `None` is the open one.
    pub(crate) fn list(&self, slot: u32) -> Option<&[Acl]> {
        self.slots[slot as usize].as_ref().map(|entry| &entry.list[..])
    }

    /// Whether the list in `slot` is the open one, given or not.
    pub(crate) fn is_open(&self, slot: u32) -> bool {
        slot == OPEN || slot == self.given_open
    }

    /// The id of what stands in `slot`.
    pub(crate) fn id(&self, slot: u32) -> i64 {
        self.slots[slot as usize].as_ref().map_or(OPEN_ACL_ID, |entry| entry.id)
    }

    /// All lists with their ids; clones no list.
    pub(crate) fn all(&self) -> Vec<(i64, Arc<[Acl]>)> {
        self.slots.iter().flatten().map(|entry| (entry.id, Arc::clone(&entry.list))).collect()
    }

    /// How many lists there are.
    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    fn find_scratch(&self) -> Option<u32> {
        let found = self.by_key.find(index::hash(0, &self.scratch), |slot| {
            self.slots[*slot as usize].as_ref().is_some_and(|entry| *entry.key == *self.scratch)
        });
        found.copied()
    }

    /// The slot of `list`, a new one with the next id if there is none.
    fn place(&mut self, list: Vec<Acl>) -> u32 {
        self.scratch.clear();
        Writer::new(&mut self.scratch).vector(&list);
        if let Some(slot) = self.find_scratch() {
            return slot;
        }
        self.last_id = self.last_id.wrapping_add(1);
        let is_open = list == Acl::open();
        let key = self.scratch.clone().into_boxed_slice();
        let hash = index::hash(0, &key);
        let entry = Entry { id: self.last_id, references: 0, list: list.into(), key };
        let slot = match self.spare.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(entry);
                slot
            }
            None => {
                self.slots.push(Some(entry));
                u32::try_from(self.slots.len() - 1).expect("fewer lists than nodes")
            }
        };
        let slots = &self.slots;
        self.by_key.insert_unique(hash, slot, |slot| key_hash(slots, *slot));
        if is_open {
            self.given_open = slot;
        }
        slot
    }

    fn forget(&mut self, slot: u32) {
        let hash = key_hash(&self.slots, slot);
        if let Ok(entry) = self.by_key.find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
        self.slots[slot as usize] = None;
        self.spare.push(slot);
        if self.given_open == slot {
            self.given_open = OPEN;
        }
    }
}

fn key_hash(slots: &[Option<Entry>], slot: u32) -> u64 {
    slots[slot as usize].as_ref().map_or(0, |entry| index::hash(0, &entry.key))
}
