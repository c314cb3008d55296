//! Sending: one write for all that waits, and the socket's readiness only if that blocks.

use super::{ConnectionTask, Look};
use crate::sync::lock;
use keeper::OUTBOX_PAUSE_BYTES;
use rustix::net::{SendFlags, send};
use socket2::SockRef;
use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;

/// Bytes on their way out.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
    /// So much waited that reads may have stalled behind it.
    resume_due: bool,
}

impl Outgoing {
    /// Adds the answer to a four-letter word.
    pub(super) fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// Hands the socket what is the connection's last, to be sent with what follows. Says whether it
    /// took all of it: whatever went wrong or is left is the ordinary way's.
    fn hand_last(&mut self, stream: &TcpStream) -> bool {
        let sent = send(stream, &self.bytes, SendFlags::MORE | SendFlags::NOSIGNAL);
        self.sent = sent.unwrap_or(0);
        self.sent == self.bytes.len()
    }

    /// Whether the connection is to go on with reads that waited; asking takes the answer.
    pub(super) fn take_resume_due(&mut self) -> bool {
        std::mem::take(&mut self.resume_due)
    }
}

impl ConnectionTask {
    /// Sends what there is, and tells how the connection was when there was no more; `None` if the
    /// socket takes no more now. Both under one lock: an answer that comes after it is not yet seen.
    pub(super) fn send(&mut self, cx: &mut Context<'_>) -> io::Result<Option<Look>> {
        loop {
            let Outgoing { bytes, sent, resume_due } = &mut self.outgoing;
            while *sent < bytes.len() {
                match Pin::new(&mut self.stream).poll_write(cx, &bytes[*sent..]) {
                    Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                    Poll::Ready(Ok(written)) => *sent += written,
                    Poll::Ready(Err(error)) => return Err(error),
                    Poll::Pending => return Ok(None),
                }
            }
            *sent = 0;
            bytes.clear();
            if bytes.capacity() > KEPT_MAX {
                *bytes = Vec::new();
            }
            let mut state = self.entry.lock();
            if !state.connection.has_output() {
                state.is_sending = false;
                return Ok(Some(Look::at(&state.connection)));
            }
            state.connection.take_output(bytes);
            let is_last = state.connection.is_closed();
            drop(state);
            *resume_due |= bytes.len() >= OUTBOX_PAUSE_BYTES;
            lock(&self.worker.counters).metrics.counters.response_bytes += bytes.len() as u64;
            if is_last {
                self.send_last();
            }
        }
    }

    /// Sends what is the connection's last in one segment with the end of the stream, if the socket
    /// takes it now: a packet less, and the client is woken once.
    fn send_last(&mut self) {
        if self.outgoing.hand_last(&self.stream) {
            self.leave();
            // Now, and not by the close: that drops what it holds if the client has sent more.
            let _ = SockRef::from(&self.stream).shutdown(Shutdown::Write);
        }
    }
}

/// Memory that an idle connection keeps for its output, in bytes.
const KEPT_MAX: usize = 1024;
