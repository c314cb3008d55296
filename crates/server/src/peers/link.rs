//! One link, as the member's driver and the link's task share it.
//!
//! The driver writes at once, on its own thread, as long as nothing waits; what the socket does not
//! take is queued, and the task goes on with it. Invariant: with anything in the queue, only the
//! task writes.

use super::outgoing::{Next, Outgoing, write_some};
use super::source::Source;
use crate::sync::lock;
use broadcast::{Channel, LinkId};
use bytes::Bytes;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;

/// One connection to another member.
pub(crate) struct Link {
    pub(super) id: LinkId,
    pub(super) channel: Channel,
    writer: OwnedWriteHalf,
    state: Mutex<State>,
    /// Bytes that were read and wait for the member.
    unhandled: AtomicUsize,
}

#[derive(Default)]
struct State {
    outgoing: Outgoing,
    /// The task, if it waits.
    waker: Option<Waker>,
    is_closing: bool,
    /// Why nothing more is written.
    failure: Option<String>,
}

/// A link at one moment.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) is_closing: bool,
    pub(super) failure: Option<String>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Link").field(&self.id).finish()
    }
}

impl Link {
    pub(super) fn new(id: LinkId, channel: Channel, writer: OwnedWriteHalf) -> Link {
        Link { id, channel, writer, state: Mutex::default(), unhandled: AtomicUsize::new(0) }
    }

    pub(super) fn stream(&self) -> &TcpStream {
        self.writer.as_ref()
    }

    /// Sends frames behind all that were sent, and takes them. Never waits for the peer.
    pub(super) fn send(&self, frames: &mut Vec<Bytes>) {
        let mut state = lock(&self.state);
        let State { outgoing, failure, .. } = &mut *state;
        if failure.is_some() {
            return frames.clear(); // the task says so
        }
        if outgoing.is_empty() {
            let result = write_some(frames, |slices| self.stream().try_write_vectored(slices));
            match result {
                Ok(mut written) => {
                    // What is left after the last whole frame stays in place.
                    let whole = frames
                        .iter()
                        .take_while(|frame| {
                            let is_whole = written >= frame.len();
                            written -= if is_whole { frame.len() } else { 0 };
                            is_whole
                        })
                        .count();
                    frames.drain(..whole);
                    if let Some(first) = frames.first_mut() {
                        *first = first.slice(written..);
                    }
                }
                Err(error) => return self.fail_locked(&mut state, error.to_string()),
            }
            if frames.is_empty() {
                return;
            }
        }
        if let Err(size) = state.outgoing.push(frames.drain(..)) {
            let reason = format!("{size} bytes wait to be sent: the other side is too slow");
            return self.fail_locked(&mut state, reason);
        }
        wake(&mut state);
    }

    /// Sends what the source makes behind all that was sent.
    pub(super) fn send_source(&self, source: Box<dyn Source>) {
        let mut state = lock(&self.state);
        if state.failure.is_none() {
            state.outgoing.push_source(source);
            wake(&mut state);
        }
    }

    /// Nothing more can be written; the task says so when it has read what is there.
    pub(super) fn fail(&self, reason: String) {
        self.fail_locked(&mut lock(&self.state), reason);
    }

    fn fail_locked(&self, state: &mut State, reason: String) {
        state.failure.get_or_insert(reason);
        state.outgoing.clear();
        wake(state);
    }

    /// Closes it when all that was sent is gone.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        state.is_closing = true;
        wake(&mut state);
    }

    /// How it is, for the task, which is woken when that changes.
    pub(super) fn look(&self, waker: &Waker) -> Look {
        let mut state = lock(&self.state);
        if !state.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            state.waker = Some(waker.clone());
        }
        Look { is_closing: state.is_closing, failure: state.failure.clone() }
    }

    /// What the task has to write.
    pub(super) fn next(&self) -> Next {
        lock(&self.state).outgoing.next()
    }

    /// The task has written so much.
    pub(super) fn taken(&self, size: usize) {
        lock(&self.state).outgoing.taken(size);
    }

    /// The task has asked the source.
    pub(super) fn produced(&self, source: Box<dyn Source>, chunk: Option<Bytes>) {
        lock(&self.state).outgoing.produced(source, chunk);
    }

    /// The task puts so many bytes before the member.
    pub(super) fn received(&self, size: usize) {
        self.unhandled.fetch_add(size, Ordering::SeqCst);
    }

    /// Whether so much waits for the member that no more is to be read. The task is woken when
    /// that is over.
    pub(super) fn is_full(&self) -> bool {
        self.unhandled.load(Ordering::SeqCst) > UNHANDLED_MAX
    }

    /// The member takes so many bytes.
    pub(super) fn handled(&self, size: usize) {
        let before = self.unhandled.fetch_sub(size, Ordering::SeqCst);
        if before > UNHANDLED_MAX && before - size <= UNHANDLED_MAX {
            wake(&mut lock(&self.state));
        }
    }
}

fn wake(state: &mut State) {
    if let Some(waker) = state.waker.take() {
        waker.wake();
    }
}

/// Bytes of one link that may wait for a member that is busy; more stay with their sender.
const UNHANDLED_MAX: usize = 8 << 20;
