//! How a member and the connections share the tree.

use keeper::{Clients, Watches};
use tree::Tree;

/// The tree, and what may only be touched while it stands still. A server puts it behind a lock
/// that readers do not contend for; a simulator just owns it.
pub trait Shared {
    /// Reads the tree beside other readers.
    fn read<R>(&self, act: impl FnOnce(&Tree) -> R) -> R;

    /// Reads the tree, and reaches the connections.
    fn with_clients<R>(&self, act: impl FnOnce(&Tree, &mut dyn Clients) -> R) -> R;

    /// Has the tree, the watches and the connections to itself.
    fn write<R>(&self, act: impl FnOnce(&mut Tree, &mut Watches, &mut dyn Clients) -> R) -> R;
}
