//! The open connections, by slot and generation.
//!
//! An entry is shared by the connection's task, which feeds it, and by whoever drives the member,
//! who answers on it. Invariant: an id of a connection that is gone finds nothing, also when its
//! slot is used again.

use crate::service::Worker;
use crate::sync::must;
use base::ConnectionId;
use keeper::{Connection, Tally};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::task::Waker;

/// One connection.
#[derive(Debug)]
pub(crate) struct Entry {
    state: Mutex<State>,
    /// Whose task it is.
    worker: Arc<Worker>,
}

/// What an entry guards.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) connection: Connection,
    /// The task, if it waits.
    pub(crate) waker: Option<Waker>,
    /// Whether it is on the list of those to be woken.
    pub(crate) touched: bool,
    /// Whether the task holds bytes that its client does not take.
    pub(crate) is_sending: bool,
}

impl Entry {
    /// Locks it. A panic of the task leaves nothing behind that matters: the connection is
    /// closed; a panic of whoever drives the member stops the process elsewhere.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the task if it waits.
    pub(crate) fn wake(&self) {
        let waker = self.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Ends what an answer did to it: the task, if it waits, is left to be woken by its worker.
    /// Gives what the connection counted, and the worker if that has to be told.
    pub(crate) fn settle(&self) -> (Tally, Option<&Arc<Worker>>) {
        let (waker, tally) = {
            let mut state = self.lock();
            state.touched = false;
            (state.waker.take(), state.connection.take_tally())
        };
        let is_first = waker.is_some_and(|waker| self.worker.wakes.leave(waker));
        (tally, is_first.then_some(&self.worker))
    }
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    entry: Option<Arc<Entry>>,
}

#[derive(Debug, Default)]
struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

/// All connections.
#[derive(Debug, Default)]
pub(crate) struct Table(RwLock<Slots>);

/// The table while nobody comes or goes.
pub(crate) struct Entries<'a>(RwLockReadGuard<'a, Slots>);

impl Table {
    /// Adds a connection, which `make` is told the id of.
    pub(crate) fn insert(
        &self,
        worker: &Arc<Worker>,
        make: impl FnOnce(ConnectionId) -> Connection,
    ) -> Arc<Entry> {
        let mut slots = must(self.0.write());
        let index = slots.free.pop().unwrap_or_else(|| {
            slots.slots.push(Slot::default());
            u32::try_from(slots.slots.len() - 1).expect("far fewer sockets than 4 billion")
        });
        let slot = &mut slots.slots[index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        let connection = make(ConnectionId { slot: index, generation: slot.generation });
        let state = State { connection, waker: None, touched: false, is_sending: false };
        let entry = Arc::new(Entry { state: Mutex::new(state), worker: Arc::clone(worker) });
        slot.entry = Some(Arc::clone(&entry));
        entry
    }

    /// Removes a connection.
    pub(crate) fn remove(&self, id: ConnectionId) {
        let mut slots = must(self.0.write());
        let Some(slot) = slots.slots.get_mut(id.slot as usize) else { return };
        if slot.generation == id.generation && slot.entry.take().is_some() {
            slots.free.push(id.slot);
        }
    }

    /// Holds the table still.
    pub(crate) fn entries(&self) -> Entries<'_> {
        Entries(must(self.0.read()))
    }

    /// All connections, in the order of their slots.
    pub(crate) fn all(&self) -> Vec<Arc<Entry>> {
        self.entries().0.slots.iter().filter_map(|slot| slot.entry.clone()).collect()
    }
}

impl Entries<'_> {
    /// The connection of that id.
    pub(crate) fn get(&self, id: ConnectionId) -> Option<&Arc<Entry>> {
        let slot = self.0.slots.get(id.slot as usize)?;
        slot.entry.as_ref().filter(|_| slot.generation == id.generation)
    }
    /// Shows every connection, in the order of their slots.
    pub(crate) fn each(&self, look: impl FnMut(&Arc<Entry>)) {
        self.0.slots.iter().filter_map(|slot| slot.entry.as_ref()).for_each(look);
    }
}
