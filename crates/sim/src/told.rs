//! What clients have been told, and what a reply must show because of that.

use crate::client::Client;
use crate::ledger::Ledger;
use check::Op;

/// What any client was told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    last: i64,
    /// Whether all read at the same server.
    alone: bool,
}

impl Told {
    pub(crate) fn new(alone: bool) -> Told {
        Told { last: 0, alone }
    }

    /// A client was told of this place.
    pub(crate) fn hear(&mut self, ledger: &Ledger, zxid: i64) {
        self.last = self.last.max(ledger.told(zxid));
    }

    /// What the reply to an operation must show at least: a write comes after all that anybody was
    /// told, and so does a read if the client wants that; another read at some member after all
    /// that this client was.
    pub(crate) fn must_see(&self, client: &Client, op: &Op) -> i64 {
        let linearizable = op.is_write() || (client.linearizable && op.shows_nodes());
        if self.alone || linearizable { self.last } else { client.last_zxid }
    }
}
