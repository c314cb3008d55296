//! The way from callers to the task that owns the session: one queue, in the order of the calls.
//!
//! Nothing here is held across an await. A weak handle does not keep the session alive.

use crate::call::Call;
use crate::watch::Notifier;
use crate::{Error, Status, Watch};
use client_core::{Ctx, Reply, Request, WatcherId};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

/// What the task is told.
#[derive(Debug)]
pub(crate) enum Command {
    Submit {
        ctx: Ctx,
        request: Request,
        deadline: Option<Instant>,
        reply: oneshot::Sender<Result<Reply, client_core::Error>>,
        watcher: Option<(WatcherId, Notifier)>,
    },
    Cancel(Ctx),
    Unwatch(WatcherId),
    Close,
}

/// What all handles of a client share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The next name of a request or of a watcher.
    next: AtomicU64,
    /// Requests that the task has not taken yet.
    pub(crate) queued: AtomicUsize,
    pub(crate) queue_max: usize,
    pub(crate) watch_buffer: usize,
    pub(crate) status: watch::Receiver<Status>,
}

impl Shared {
    pub(crate) fn new(
        queue_max: usize,
        watch_buffer: usize,
        status: watch::Receiver<Status>,
    ) -> Shared {
        let (next, queued) = (AtomicU64::new(1), AtomicUsize::new(0));
        Shared { next, queued, queue_max, watch_buffer, status }
    }

    fn take_number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

/// Keeps the session alive.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    pub(crate) commands: mpsc::UnboundedSender<Command>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) request_timeout: Option<Duration>,
}

impl Handle {
    /// Queues a request; `convert` makes the answer of its reply.
    pub(crate) fn submit<T>(
        &self,
        request: Request,
        watch: Option<(Watch, Notifier)>,
        convert: fn(Reply, Option<Watch>) -> Option<T>,
    ) -> Call<T> {
        if self.shared.queued.fetch_add(1, Ordering::Relaxed) >= self.shared.queue_max {
            self.shared.queued.fetch_sub(1, Ordering::Relaxed);
            return Call::failed(Error::Overloaded, convert);
        }
        let ctx = Ctx(self.shared.take_number());
        let deadline = self.request_timeout.map(|timeout| Instant::now() + timeout);
        let (reply, answer) = oneshot::channel();
        let (watch, watcher) = match watch {
            Some((watch, notifier)) => {
                let id = watch.id();
                (Some(watch), Some((id, notifier)))
            }
            None => (None, None),
        };
        let command = Command::Submit { ctx, request, deadline, reply, watcher };
        if self.commands.send(command).is_err() {
            return Call::failed(self.shared.status.borrow().final_error(), convert);
        }
        Call::waiting(ctx, answer, self.downgrade(), watch, convert)
    }

    /// A request that sets a watch, which `make` is given the name of.
    pub(crate) fn submit_watched<T>(
        &self,
        path: &str,
        is_lasting: bool,
        make: impl FnOnce(WatcherId) -> Request,
        convert: fn(Reply, Option<Watch>) -> Option<T>,
    ) -> Call<T> {
        let id = WatcherId(self.shared.take_number());
        let pair = Watch::pair(id, path, is_lasting, self.shared.watch_buffer, self.downgrade());
        self.submit(make(id), Some(pair), convert)
    }

    pub(crate) fn downgrade(&self) -> WeakHandle {
        WeakHandle {
            commands: self.commands.downgrade(),
            shared: Arc::clone(&self.shared),
            request_timeout: self.request_timeout,
        }
    }
}

/// Reaches the task as long as a [`Handle`] exists.
#[derive(Clone, Debug)]
pub(crate) struct WeakHandle {
    commands: mpsc::WeakUnboundedSender<Command>,
    shared: Arc<Shared>,
    request_timeout: Option<Duration>,
}

impl WeakHandle {
    pub(crate) fn upgrade(&self) -> Option<Handle> {
        Some(Handle {
            commands: self.commands.upgrade()?,
            shared: Arc::clone(&self.shared),
            request_timeout: self.request_timeout,
        })
    }

    /// Tells the task, if it is still there.
    pub(crate) fn tell(&self, command: Command) {
        if let Some(commands) = self.commands.upgrade() {
            // A task that ended meanwhile needs no telling.
            let _ = commands.send(command);
        }
    }

    pub(crate) fn final_error(&self) -> Error {
        self.shared.status.borrow().final_error()
    }
}
