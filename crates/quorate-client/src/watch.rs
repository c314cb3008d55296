//! Streams of watch events.
//!
//! A stream holds a bounded number of events. A consumer that is slower loses those beyond it and is
//! told so in their place, by [`EventKind::Lagged`]; what comes after it is complete again.

use crate::Error;
use crate::handle::{Command, WeakHandle};
use client_core::{Reply, Request, WatcherId};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use tokio::sync::mpsc;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// The node was created.
    Created,
    /// The node was deleted.
    Deleted,
    /// The node's data was set.
    DataChanged,
    /// A child came or went. Recursive watches tell of the child itself instead.
    ChildrenChanged,
    /// A lasting watch was set again after a lost connection. Changes in between were not told:
    /// read what you depend on.
    Resumed,
    /// Events were dropped here, because they came faster than they were taken: read what you
    /// depend on.
    Lagged,
    /// The watch was removed: nothing follows.
    Removed,
}

/// One event of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// To which node; for the kinds that are about the watch itself, the path watched.
    pub path: String,
    /// The transaction that did it; -1 where the server does not say.
    pub zxid: i64,
}

/// The events of one watch.
///
/// A one-shot watch gives one event and ends; a lasting one goes on across connections until it is
/// dropped or removed or the session is over. Dropping it takes the watch off the server, too, once
/// no other needs it.
#[derive(Debug)]
pub struct Watch {
    id: WatcherId,
    path: String,
    events: mpsc::UnboundedReceiver<Event>,
    buffer: Arc<Buffer>,
    handle: WeakHandle,
    /// Whether nothing is left to take off.
    is_over: bool,
}

/// Keeps count, so that the channel stays bounded.
#[derive(Debug)]
struct Buffer {
    held: AtomicUsize,
    /// Whether a mark of lost events is in the channel: until it is taken, nothing more goes in.
    is_lagging: AtomicBool,
}

/// Where the task puts a watch's events.
#[derive(Debug)]
pub(crate) struct Notifier {
    events: mpsc::UnboundedSender<Event>,
    buffer: Arc<Buffer>,
    path: String,
    capacity: usize,
    is_lasting: bool,
}

impl Notifier {
    /// Gives an event to the stream; says whether more may follow.
    pub(crate) fn notify(&self, event: client_core::Event) -> bool {
        let is_last = !self.is_lasting || event.kind == client_core::EventKind::Removed;
        if self.buffer.is_lagging.load(Ordering::Acquire) && !is_last {
            return true;
        }
        let held = self.buffer.held.fetch_add(1, Ordering::AcqRel);
        let event = if held < self.capacity || is_last {
            event.into()
        } else {
            self.buffer.is_lagging.store(true, Ordering::Release);
            Event { kind: EventKind::Lagged, path: self.path.clone(), zxid: -1 }
        };
        // A stream that is gone needs no more.
        self.events.send(event).is_ok() && !is_last
    }
}

impl From<client_core::Event> for Event {
    fn from(event: client_core::Event) -> Event {
        use client_core::EventKind as Core;
        let kind = match event.kind {
            Core::Created => EventKind::Created,
            Core::Deleted => EventKind::Deleted,
            Core::DataChanged => EventKind::DataChanged,
            Core::ChildrenChanged => EventKind::ChildrenChanged,
            Core::Resumed => EventKind::Resumed,
            Core::Removed => EventKind::Removed,
        };
        Event { kind, path: event.path, zxid: event.zxid }
    }
}

impl Watch {
    pub(crate) fn pair(
        id: WatcherId,
        path: &str,
        is_lasting: bool,
        capacity: usize,
        handle: WeakHandle,
    ) -> (Watch, Notifier) {
        let (sender, events) = mpsc::unbounded_channel();
        let (held, is_lagging) = (AtomicUsize::new(0), AtomicBool::new(false));
        let buffer = Arc::new(Buffer { held, is_lagging });
        let path = path.to_owned();
        let notifier = Notifier {
            events: sender,
            buffer: Arc::clone(&buffer),
            path: path.clone(),
            capacity,
            is_lasting,
        };
        (Watch { id, path, events, buffer, handle, is_over: false }, notifier)
    }

    pub(crate) fn id(&self) -> WatcherId {
        self.id
    }

    /// The path that is watched.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The next event; `None` once nothing can follow. Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next event, as a stream's `poll_next`.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let event = ready!(self.events.poll_recv(cx));
        if let Some(event) = &event {
            self.buffer.held.fetch_sub(1, Ordering::AcqRel);
            if event.kind == EventKind::Lagged {
                self.buffer.is_lagging.store(false, Ordering::Release);
            }
        } else {
            self.is_over = true;
        }
        Poll::Ready(event)
    }

    /// Takes the watch off and waits until that is done. Dropping does it without waiting.
    ///
    /// # Errors
    /// [`Error::Refused`] with `NoWatcher` if it is not set any more.
    pub async fn remove(mut self) -> Result<(), Error> {
        let Some(handle) = self.handle.upgrade() else { return Err(self.handle.final_error()) };
        let outcome = handle
            .submit(Request::RemoveWatcher(self.id), None, |reply, _| {
                (reply == Reply::Done).then_some(())
            })
            .await;
        self.is_over = outcome.is_ok();
        outcome
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.is_over {
            self.handle.tell(Command::Unwatch(self.id));
        }
    }
}
