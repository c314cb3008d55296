//! What the tasks of all links share: whom they tell, where they run, how they connect.

use super::link::Link;
use crate::inbox::Inbox;
use crate::service::Worker;
use broadcast::{Channel, LinkId};
use bytes::Bytes;
use node::Input;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;

/// How links are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerSettings {
    /// Time for a connection to be made, with the look-up of names.
    pub(crate) connect_timeout: Duration,
    /// Whether the system asks a silent peer whether it is there.
    pub(crate) tcp_keepalive: bool,
}

/// News of the links, in the order in which they came.
#[derive(Debug)]
pub(crate) enum Fact {
    /// A connection is there.
    Up {
        link: Arc<Link>,
        /// The number of the listening that it came by; `None` if it was dialled.
        listening: Option<u64>,
    },
    /// It is gone, or could not be made.
    Down { link: LinkId, reason: String },
    /// Bytes came.
    Received { link: LinkId, bytes: Bytes },
    /// A port could not be opened.
    ListenFailed { channel: Channel, listening: u64, reason: String },
    /// What the member asked somebody else for.
    Answer(Input),
}

/// A worker's runtime, and its thread as others see it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) runtime: Handle,
    pub(crate) worker: Arc<Worker>,
}

/// What the tasks share.
#[derive(Debug)]
pub(crate) struct Home {
    inbox: Arc<Inbox>,
    places: Vec<Place>,
    pub(super) settings: PeerSettings,
    turn: AtomicUsize,
    /// Connections accepted so far.
    accepted: AtomicU64,
    /// How many of them are open.
    pub(super) seats: AtomicUsize,
}

impl Home {
    pub(crate) fn new(inbox: Arc<Inbox>, places: Vec<Place>, settings: PeerSettings) -> Home {
        Home {
            inbox,
            places,
            settings,
            turn: AtomicUsize::new(0),
            accepted: AtomicU64::new(0),
            seats: AtomicUsize::new(0),
        }
    }

    /// Where the next task is to run.
    ///
    /// # Panics
    /// If there are no workers: nobody can have links then.
    pub(super) fn place(&self) -> &Place {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        &self.places[turn % self.places.len()]
    }

    /// The number of a connection that was accepted.
    pub(super) fn next_accepted(&self) -> LinkId {
        LinkId::accepted(self.accepted.fetch_add(1, Ordering::Relaxed))
    }

    /// Puts a fact before the member, which the worker drives behind its tasks that are ready.
    pub(super) fn tell(&self, worker: &Worker, fact: Fact) {
        self.inbox.tell(fact);
        worker.kick.notify_one();
    }
}
