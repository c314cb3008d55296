//! What the member and the connections share: tree, watches, connections.
//!
//! Order of locks: tree, then the table, watches, these counters, one connection, its worker's
//! counters, inbox. A task that holds the tree's read side, its own connection and its worker's
//! counters may take the watches, because whoever writes has the tree for itself. Connections are
//! woken when the tree is free again.

use crate::counters::Counters;
use crate::published::Published;
use crate::service::Worker;
use crate::sync::{StopOnPanic, lock, must};
use crate::table::{Entries, Entry, Table};
use base::{ConnectionId, Time};
use crossbeam_utils::sync::{ShardedLock, ShardedLockReadGuard};
use keeper::{Clients, Connection, Watches};
use std::sync::{Arc, Mutex};
use tree::Tree;

/// The shared state.
pub(crate) struct Hub {
    tree: ShardedLock<Tree>,
    pub(crate) watches: Mutex<Watches>,
    pub(crate) table: Table,
    /// What is counted while answers are made.
    pub(crate) counters: Mutex<Counters>,
    /// Memory of the list of those to be woken; only the member's driver uses it.
    touched: Mutex<Vec<Arc<Entry>>>,
}

impl Hub {
    pub(crate) fn new(tree: Tree) -> Hub {
        Hub {
            tree: ShardedLock::new(tree),
            watches: Mutex::default(),
            table: Table::default(),
            counters: Mutex::default(),
            touched: Mutex::default(),
        }
    }

    /// The tree, beside other readers.
    pub(crate) fn tree(&self) -> ShardedLockReadGuard<'_, Tree> {
        must(self.tree.read())
    }

    /// Wakes the connections that got something, and counts what they did.
    fn wake(&self, mut touched: Vec<Arc<Entry>>) {
        let mut told: Vec<Arc<Worker>> = Vec::new();
        {
            let mut counters = lock(&self.counters);
            for entry in &touched {
                let (tally, to_tell) = entry.settle();
                counters.connection_did(&tally);
                told.extend(to_tell.map(Arc::clone));
            }
        }
        // Once all is there that it will take with one look.
        told.iter().for_each(|worker| worker.wakes.signal());
        touched.clear();
        *lock(&self.touched) = touched;
    }
}

/// A member's way to the hub.
#[derive(Clone)]
pub(crate) struct SharedHub {
    pub(crate) hub: Arc<Hub>,
    pub(crate) published: Arc<Published>,
}

impl node::Shared for SharedHub {
    fn read<R>(&self, act: impl FnOnce(&Tree) -> R) -> R {
        act(&self.hub.tree())
    }

    fn with_clients<R>(&self, act: impl FnOnce(&Tree, &mut dyn Clients) -> R) -> R {
        let SharedHub { hub, published } = self;
        let mut touched = std::mem::take(&mut *lock(&hub.touched));
        let result = {
            let tree = hub.tree();
            let entries = hub.table.entries();
            let mut clients = TableClients { entries, touched: &mut touched, published };
            act(&tree, &mut clients)
        };
        hub.wake(touched);
        result
    }

    fn write<R>(&self, act: impl FnOnce(&mut Tree, &mut Watches, &mut dyn Clients) -> R) -> R {
        let SharedHub { hub, published } = self;
        let mut touched = std::mem::take(&mut *lock(&hub.touched));
        let result = {
            let _stop = StopOnPanic("a change could not be applied");
            let mut tree = must(hub.tree.write());
            let entries = hub.table.entries();
            let mut watches = lock(&hub.watches);
            let mut clients = TableClients { entries, touched: &mut touched, published };
            act(&mut tree, &mut watches, &mut clients)
        };
        hub.wake(touched);
        result
    }
}

struct TableClients<'a> {
    entries: Entries<'a>,
    touched: &'a mut Vec<Arc<Entry>>,
    published: &'a Published,
}

impl Clients for TableClients<'_> {
    fn with(&mut self, connection: ConnectionId, act: &mut dyn FnMut(&mut Connection)) {
        let Some(entry) = self.entries.get(connection) else { return };
        let mut state = entry.lock();
        act(&mut state.connection);
        if !std::mem::replace(&mut state.touched, true) {
            self.touched.push(Arc::clone(entry));
        }
    }

    fn last_heard(&mut self, connection: ConnectionId) -> Option<Time> {
        let entry = self.entries.get(connection)?;
        Some(entry.lock().connection.last_heard())
    }

    fn look_at_all(&mut self, look: &mut dyn FnMut(&Connection)) {
        self.entries.each(|entry| look(&entry.lock().connection));
    }

    fn close_all(&mut self) {
        self.published.serves_nobody();
        self.with_all(&mut |connection| connection.close());
    }
}
