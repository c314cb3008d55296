//! The tree, the watches and the connections of a running member, for one thread.

use base::ConnectionId;
use keeper::{Clients, Connection, Watches};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use tree::Tree;

/// What the member and the connections share.
pub(crate) struct Served {
    pub(crate) tree: Tree,
    pub(crate) watches: Watches,
    pub(crate) table: Table,
}

/// The connections, and which of them the member has touched.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) connections: BTreeMap<ConnectionId, Connection>,
    pub(crate) touched: BTreeSet<ConnectionId>,
}

/// A handle of it.
#[derive(Clone)]
pub(crate) struct Hall(pub(crate) Rc<RefCell<Served>>);

impl Hall {
    pub(crate) fn new(tree: Tree) -> Hall {
        let (watches, table) = (Watches::default(), Table::default());
        Hall(Rc::new(RefCell::new(Served { tree, watches, table })))
    }
}

impl node::Shared for Hall {
    fn read<R>(&self, act: impl FnOnce(&Tree) -> R) -> R {
        act(&self.0.borrow().tree)
    }

    fn with_clients<R>(&self, act: impl FnOnce(&Tree, &mut dyn Clients) -> R) -> R {
        let Served { tree, table, .. } = &mut *self.0.borrow_mut();
        act(tree, table)
    }

    fn write<R>(&self, act: impl FnOnce(&mut Tree, &mut Watches, &mut dyn Clients) -> R) -> R {
        let Served { tree, watches, table } = &mut *self.0.borrow_mut();
        act(tree, watches, table)
    }
}

impl Clients for Table {
    fn with(&mut self, connection: ConnectionId, act: &mut dyn FnMut(&mut Connection)) {
        if let Some(found) = self.connections.get_mut(&connection) {
            self.touched.insert(connection);
            act(found);
        }
    }
    fn look_at_all(&mut self, look: &mut dyn FnMut(&Connection)) {
        self.connections.values().for_each(look);
    }
}
