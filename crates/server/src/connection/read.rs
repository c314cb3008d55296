//! Reading: into a buffer of the thread, so that a connection holds only what is left over.

use super::{ConnectionTask, Turn};
use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_SIZE]);
}

impl ConnectionTask {
    /// Reads once and feeds what came.
    pub(super) fn read(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            if ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)).is_err() {
                return Poll::Ready(Turn::End);
            }
            Poll::Ready(self.take_bytes(buffer.filled()))
        })
    }

    fn take_bytes(&mut self, bytes: &[u8]) -> Turn {
        if bytes.is_empty() {
            self.at_end = true;
            return Turn::Again;
        }
        if self.input.is_empty() {
            return self.feed(bytes).into();
        }
        // Grows by what has come, never by what a length claims.
        self.input.extend_from_slice(bytes);
        if self.input.len() < self.needed {
            return Turn::Again;
        }
        self.feed(&[]).into()
    }
}

/// Bytes of one read: what a socket's buffer usually holds.
const SCRATCH_SIZE: usize = 64 << 10;
