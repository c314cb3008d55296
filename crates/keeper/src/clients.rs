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

    /// Shows every connection, in an order that depends on nothing but their ids.
    fn look_at_all(&mut self, look: &mut dyn FnMut(&Connection));

    /// Like [`Clients::with`], for every connection.
    fn with_all(&mut self, act: &mut dyn FnMut(&mut Connection)) {
        let mut ids = Vec::new();
        self.look_at_all(&mut |connection| ids.push(connection.id()));
        ids.into_iter().for_each(|id| self.with(id, act));
    }

    /// Closes every connection, because the service is over for now: whoever asks whether there is
    /// one hears that there is none before the first client learns of it.
    fn close_all(&mut self) {
        self.with_all(&mut |connection| connection.close());
    }
}
