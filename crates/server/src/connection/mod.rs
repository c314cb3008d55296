//! One client connection's task: bytes in, frames to the connection's core, bytes out.
//!
//! A future written by hand: each turn sends what is to be sent, feeds what has been read, or
//! reads. It waits for its socket, its timer, or the member, which wakes it once it has put
//! output into the connection. Nothing is allocated for a length that a client claims, and an
//! idle connection keeps next to no buffers.

mod feed;
mod idle;
mod read;
#[cfg(test)]
mod readers;
mod send;

use crate::service::{Seat, Service};
use crate::sync::lock;
use crate::table::Entry;
use base::SessionId;
use feed::Fed;
use idle::{Hold, Idle, Stall};
use keeper::{Ask, Connection, Frames, Ids, Origin, Submissions};
use send::Outgoing;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::TcpStream;

/// The task of one connection.
pub(crate) struct ConnectionTask {
    service: Arc<Service>,
    worker: Seat,
    entry: Arc<Entry>,
    stream: TcpStream,
    remote: SocketAddr,
    frames: Frames,
    /// Bytes that were read and not yet taken as frames.
    input: Vec<u8>,
    /// How many bytes `input` needs to have before it is worth a look.
    needed: usize,
    /// Whether `input` may hold more that can be taken.
    has_backlog: bool,
    /// Whether the connection takes more frames, when last seen.
    wants_more: bool,
    /// Whether the client said that it sends no more.
    at_end: bool,
    outgoing: Outgoing,
    idle: Idle,
    stall: Stall,
    /// Bytes of large requests that are under way.
    large: u64,
    /// Whether nothing of the connection is anywhere else any more.
    has_left: bool,
}

/// What a turn came to.
enum Turn {
    Again,
    Wait,
    End,
}

/// What a task needs to know of its connection to decide what comes next.
#[derive(Clone, Copy, Debug)]
struct Look {
    is_closed: bool,
    /// Requests that wait for their reply.
    outstanding: usize,
    wants_more: bool,
}

impl Look {
    fn at(connection: &Connection) -> Look {
        Look {
            is_closed: connection.is_closed(),
            outstanding: connection.outstanding(),
            wants_more: connection.wants_more(),
        }
    }
}

impl ConnectionTask {
    /// A task for a socket that the limits have let in.
    pub(crate) fn new(
        service: Arc<Service>,
        worker: Seat,
        stream: TcpStream,
        remote: SocketAddr,
    ) -> ConnectionTask {
        let now = service.clock.now();
        let keeper = &service.settings.keeper;
        let entry =
            service.hub.table.insert(&worker, |id| Connection::new(id, remote, now, keeper));
        ConnectionTask {
            frames: Frames::new(keeper.frame_size_max),
            input: Vec::new(),
            needed: 0,
            has_backlog: false,
            wants_more: true,
            at_end: false,
            outgoing: Outgoing::default(),
            idle: Idle::default(),
            stall: Stall::default(),
            large: 0,
            has_left: false,
            service,
            worker,
            entry,
            stream,
            remote,
        }
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Turn {
        let Ok(sent) = self.send(cx) else { return Turn::End };
        let sent_all = sent.is_some();
        let look = sent.unwrap_or_else(|| Look::at(&self.entry.lock().connection));
        let Look { is_closed, outstanding, wants_more } = look;
        self.wants_more = wants_more;
        if outstanding == 0 {
            self.service.limits.large_done(std::mem::take(&mut self.large));
        }
        let takes_no_more =
            is_closed || self.service.is_stopping() || (self.at_end && !self.has_backlog);
        if takes_no_more {
            let is_done = sent_all && (is_closed || outstanding == 0);
            return if is_done { Turn::End } else { self.wait(cx, sent_all) };
        }
        if sent_all && self.outgoing.take_resume_due() {
            return self.feed(&[]).into();
        }
        if !self.wants_more {
            return self.wait(cx, sent_all);
        }
        match self.hold(cx, outstanding) {
            Hold::Wait => {}
            Hold::Drop => return Turn::End,
            Hold::Go if self.has_backlog => return self.feed(&[]).into(),
            Hold::Go => {
                if let Poll::Ready(turn) = self.read(cx) {
                    return turn;
                }
            }
        }
        self.wait(cx, sent_all)
    }

    /// Waits, unless something has come up meanwhile.
    fn wait(&mut self, cx: &mut Context<'_>, sent_all: bool) -> Turn {
        let service = &self.service;
        let deadline = {
            let mut state = self.entry.lock();
            let connection = &state.connection;
            let has_news = sent_all && (connection.has_output() || connection.is_closed());
            if has_news || connection.wants_more() != self.wants_more {
                return Turn::Again;
            }
            let sessionless = service.settings.config.limits.sessionless_timeout;
            let deadline = connection.idle_deadline(sessionless);
            state.is_sending = !sent_all;
            if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                state.waker = Some(cx.waker().clone());
            }
            deadline
        };
        if self.idle.poll(cx, &service.clock, deadline).is_ready() {
            self.note_silence();
            return Turn::End;
        }
        Turn::Wait
    }

    /// Takes a connection that is closed out of all that knows it. Whoever sees the end of its
    /// stream finds it counted, shown and watching no more, as with the reference.
    fn leave(&mut self) {
        if std::mem::replace(&mut self.has_left, true) {
            return;
        }
        let service = &self.service;
        let (id, session, last_heard) = {
            let connection = &self.entry.lock().connection;
            (connection.id(), connection.session(), connection.last_heard())
        };
        service.hub.table.remove(id);
        lock(&service.hub.watches).remove_connection(id);
        service.limits.large_done(std::mem::take(&mut self.large));
        service.limits.leave(self.remote.ip());
        if session != SessionId::NONE && !service.is_stopping() {
            let mut submissions = Submissions::default();
            let ids = Ids::default();
            let arrived = service.clock.now();
            let origin = Origin { connection: id, session, xid: 0, ids: &ids, arrived };
            submissions.ask(origin, Ask::Detach { last_heard });
            service.inbox.submit(&mut submissions);
            self.worker.kick.notify_one();
        }
    }

    fn note_silence(&self) {
        let session = self.entry.lock().connection.session();
        if session == SessionId::NONE {
            let counters = &mut lock(&self.worker.counters).metrics.counters;
            counters.sessionless_connections_expired += 1;
        }
        tracing::debug!(remote = %self.remote, %session, "closing a connection that is silent");
    }
}

impl From<Fed> for Turn {
    fn from(fed: Fed) -> Turn {
        match fed {
            Fed::GoOn => Turn::Again,
            Fed::Close => Turn::End,
        }
    }
}

impl Future for ConnectionTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..TURNS_MAX {
            match self.turn(cx) {
                Turn::Again => {}
                Turn::Wait => return Poll::Pending,
                Turn::End => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// However the task ends, by a panic as well, nothing of the connection stays.
impl Drop for ConnectionTask {
    fn drop(&mut self) {
        self.entry.lock().connection.close();
        self.leave();
    }
}

/// Turns that a task takes before others get theirs.
const TURNS_MAX: usize = 16;
