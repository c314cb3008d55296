//! The task of one link: reads what comes, writes what the socket did not take at once, closes.
//!
//! It reads into a buffer of the thread and hands on a copy of just what came, so that whoever keeps
//! a slice of it keeps no more than that. Guarantee: the member hears of the link's end once, after
//! all that came before it, and whatever ended it.

use super::home::{Fact, Home, Place};
use super::link::{Link, Look};
use super::outgoing::{Next, write_some};
use super::source::Source;
use crate::service::Worker;
use broadcast::{Channel, LinkId};
use bytes::Bytes;
use socket2::SockRef;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::{Instant, Sleep, sleep, timeout};

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_SIZE]);
}

/// A connection that is there.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) id: LinkId,
    pub(super) channel: Channel,
    /// Of the worker where its task runs.
    pub(super) stream: TcpStream,
    /// Where it was accepted.
    pub(super) seat: Option<Seat>,
}

/// Room for one accepted connection, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    home: Arc<Home>,
    pub(super) listening: u64,
}

impl Seat {
    /// Takes one, if there is any.
    pub(super) fn take(home: &Arc<Home>, listening: u64) -> Option<Seat> {
        let taken = home.seats.fetch_add(1, Ordering::Relaxed);
        let seat = Seat { home: Arc::clone(home), listening };
        (taken < SEATS).then_some(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.home.seats.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Task {
    home: Arc<Home>,
    worker: Arc<Worker>,
    link: Arc<Link>,
    reader: OwnedReadHalf,
    _seat: Option<Seat>,
    /// Until when nothing is written: a source rests.
    rest: Option<Pin<Box<Sleep>>>,
    /// Whether nobody waits for the news of its end any more.
    has_ended: bool,
}

/// How a link ended.
enum End {
    /// The member wants no more of it.
    Closed,
    Down(String),
}

/// Tells the member of a connection, and runs it.
pub(super) fn start(home: &Arc<Home>, place: &Place, made: Made) {
    let Made { id, channel, stream, seat } = made;
    let (reader, writer) = stream.into_split();
    let link = Arc::new(Link::new(id, channel, writer));
    let listening = seat.as_ref().map(|seat| seat.listening);
    home.tell(&place.worker, Fact::Up { link: Arc::clone(&link), listening });
    let (home, worker) = (Arc::clone(home), Arc::clone(&place.worker));
    let task = Task { home, worker, link, reader, _seat: seat, rest: None, has_ended: false };
    place.runtime.spawn(task.run());
}

impl Task {
    async fn run(mut self) {
        match poll_fn(|cx| self.poll(cx)).await {
            End::Closed => {
                self.has_ended = true;
                self.close().await;
            }
            End::Down(reason) => self.tell_down(reason),
        }
    }

    /// Reads and writes until the link ends.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        for _ in 0..TURNS_MAX {
            let Look { is_closing, failure } = self.link.look(cx.waker());
            if is_closing {
                return Poll::Ready(End::Closed);
            }
            let has_written = matches!(self.write(cx), Poll::Ready(true));
            if self.link.is_full() {
                if !has_written {
                    return Poll::Pending;
                }
                continue;
            }
            match self.read(cx) {
                Poll::Ready(Ok(bytes)) if bytes.is_empty() => {
                    let reason = failure.unwrap_or_else(|| "closed by the other side".to_owned());
                    return Poll::Ready(End::Down(reason));
                }
                Poll::Ready(Ok(bytes)) => {
                    self.link.received(bytes.len());
                    self.home.tell(&self.worker, Fact::Received { link: self.link.id, bytes });
                }
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(End::Down(failure.unwrap_or_else(|| error.to_string())));
                }
                Poll::Pending => match failure {
                    // There is no more to read than was there when it failed.
                    Some(reason) => return Poll::Ready(End::Down(reason)),
                    None if has_written => {}
                    None => return Poll::Pending,
                },
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes once; false if there is nothing to write.
    fn write(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if let Some(rest) = &mut self.rest {
            ready!(rest.as_mut().poll(cx));
            self.rest = None;
        }
        match self.link.next() {
            Next::Nothing => return Poll::Ready(false),
            Next::Source(source) => self.ask(source),
            Next::Bytes(frames) => {
                let stream = self.link.stream();
                ready!(stream.poll_write_ready(cx)).unwrap_or_default();
                match write_some(&frames, |slices| stream.try_write_vectored(slices)) {
                    Ok(size) => self.link.taken(size),
                    Err(error) => self.link.fail(error.to_string()),
                }
            }
        }
        Poll::Ready(true)
    }

    /// Has the source make its next piece, and rests for as long as that took if it is to.
    fn ask(&mut self, mut source: Box<dyn Source>) {
        let began = Instant::now();
        match source.next_chunk(CHUNK_SIZE_MAX) {
            Ok(chunk) => {
                let rests = source.rests() && chunk.is_some();
                self.rest = rests.then(|| Box::pin(sleep(began.elapsed())));
                self.link.produced(source, chunk);
            }
            Err(reason) => self.link.fail(reason),
        }
    }

    /// Reads once; nothing at the end of what the other side sends.
    fn read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            let result = ready!(Pin::new(&mut self.reader).poll_read(cx, &mut buffer));
            Poll::Ready(result.map(|()| Bytes::copy_from_slice(buffer.filled())))
        })
    }

    /// Sends what waits, says that no more comes, and waits until the other side has it all. To
    /// close at once would throw away what is on its way if something came that was not read.
    async fn close(&mut self) {
        let all = async {
            poll_fn(|cx| self.poll_flush(cx)).await;
            if SockRef::from(self.link.stream()).shutdown(Shutdown::Write).is_ok() {
                poll_fn(|cx| self.poll_end(cx)).await;
            }
        };
        if timeout(CLOSE_MAX, all).await.is_err() {
            tracing::debug!(link = self.link.id.0, "closed a link before all was taken");
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..TURNS_MAX {
            if self.link.look(cx.waker()).failure.is_some() || !ready!(self.write(cx)) {
                return Poll::Ready(());
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..TURNS_MAX {
            if ready!(self.read(cx)).map_or(true, |bytes| bytes.is_empty()) {
                return Poll::Ready(());
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn tell_down(&mut self, reason: String) {
        self.has_ended = true;
        self.home.tell(&self.worker, Fact::Down { link: self.link.id, reason });
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if !self.has_ended {
            self.tell_down("its task ended".to_owned());
        }
    }
}

/// Bytes of one read: a burst of proposals, or what a socket's buffer holds of a snapshot.
const SCRATCH_SIZE: usize = 128 << 10;
/// Bytes of a source that are made at once: the tree is held still meanwhile.
pub(super) const CHUNK_SIZE_MAX: usize = 96 << 10;
/// Reads or writes before others get their turn, the member among them.
const TURNS_MAX: usize = 4;
/// Time that a link has to send what waits when it is closed.
const CLOSE_MAX: Duration = Duration::from_secs(2);
/// Connections that may be accepted at a time. Members need one or two each; the rest is for those
/// who lost theirs without our noticing.
const SEATS: usize = 1024;
