//! How the member reaches the connections of its server.

use crate::Connection;
use base::{ConnectionId, Time};

/// The server's connections. Only called while the tree stands still.
pub trait Clients {
    /// Lets `act` work on the connection, if it is still there, and sees to it that its output is
    /// sent and that it is asked again whether it takes more.
    fn with(&mut self, connection: ConnectionId, act: &mut dyn FnMut(&mut Connection));

    /// When the connection last heard its client; `None` if it is gone.
    fn last_heard(&mut self, connection: ConnectionId) -> Option<Time> {
        let mut heard = None;
        self.with(connection, &mut |c| heard = Some(c.last_heard()));
        heard
    }
}
