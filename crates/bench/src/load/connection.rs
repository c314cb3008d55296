//! One connection: its socket, its session, and what is under way on it.

use crate::load::scan::{Frame, Scanner};
use crate::load::traffic::Lane;
use jute::Encode;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use wire::ConnectRequest;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Closed,
    /// The session is being asked for, as soon as the socket is connected.
    Opening,
    /// Requests may be sent.
    Ready,
    /// The end of the session was asked for.
    Closing,
}

/// How a connection's requests follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// They leave while others are unanswered.
    Pipelined,
    /// Each waits for the answer to the one before it.
    InTurn,
}

/// A request without its reply.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    /// When it was sent, or due, in ns.
    pub(crate) since: u64,
    pub(crate) xid: i32,
    pub(crate) slot: u8,
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) state: State,
    pub(crate) lane: Lane,
    pub(crate) pending: VecDeque<Pending>,
    /// Bytes to send; the first `written` of them are gone.
    pub(crate) out: Vec<u8>,
    written: usize,
    pub(crate) scanner: Scanner,
    socket: Option<OwnedFd>,
    /// Of the last request.
    pub(crate) xid: i32,
    /// How many sockets it has had: tells an event of an earlier one.
    pub(crate) generation: u32,
    /// When opening began, in ns.
    pub(crate) opened_at: u64,
    /// When bytes were last sent, in ns.
    pub(crate) sent_at: u64,
    /// When the ping was sent that is not answered yet.
    pub(crate) pinged_at: Option<u64>,
    /// Of a watcher, by the number of the set: for which it asked for a watch last, for which that is
    /// there, and of which it was told or need not be.
    pub(crate) asked: u64,
    pub(crate) armed: u64,
    pub(crate) heard: u64,
}

impl Connection {
    pub(crate) fn new(number: u64) -> Connection {
        Connection {
            state: State::Closed,
            // Lanes begin apart, so that sequential ones do not march in step.
            lane: Lane { number, created: 0, cursor: number.wrapping_mul(7919) },
            pending: VecDeque::new(),
            out: Vec::new(),
            written: 0,
            scanner: Scanner::default(),
            socket: None,
            xid: 0,
            generation: 0,
            opened_at: 0,
            sent_at: 0,
            pinged_at: None,
            asked: 0,
            armed: 0,
            heard: 0,
        }
    }

    /// Begins to connect, and asks for a session; the socket to poll.
    ///
    /// The first [`Connection::flush`] may come at once: it says why a connection failed, and a
    /// local one is made before it is tried.
    pub(crate) fn open(
        &mut self,
        host: SocketAddr,
        manner: Manner,
        timeout_ms: u32,
        now: u64,
    ) -> io::Result<()> {
        let family = if host.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        match manner {
            Manner::Pipelined => sockopt::set_tcp_nodelay(&socket, true)?,
            // Each request, the first too, takes along the acknowledgement of what came before it.
            Manner::InTurn => sockopt::set_tcp_quickack(&socket, false)?,
        }
        match rustix::net::connect(&socket, &host) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        self.out.extend_from_slice(&handshake(timeout_ms));
        self.state = State::Opening;
        self.opened_at = now;
        self.sent_at = now;
        self.generation = self.generation.wrapping_add(1);
        self.socket = Some(socket);
        Ok(())
    }

    /// From now on a read waits for what is to come, though not for ever.
    pub(crate) fn wait_in_reads(&self) -> io::Result<()> {
        let socket = self.socket.as_ref().ok_or_else(closed)?;
        sockopt::set_socket_timeout(socket, sockopt::Timeout::Recv, Some(READ_TIME_MAX))?;
        Ok(rustix::io::ioctl_fionbio(socket, false)?)
    }

    /// What to poll.
    pub(crate) fn socket(&self) -> io::Result<impl AsFd> {
        self.socket.as_ref().ok_or_else(closed)
    }

    /// Sends as much as the socket takes now.
    pub(crate) fn flush(&mut self, now: u64) -> io::Result<()> {
        while self.written < self.out.len() {
            let Some(socket) = &self.socket else { return Err(closed()) };
            match rustix::net::send(socket, &self.out[self.written..], SendFlags::NOSIGNAL) {
                Ok(n) => {
                    self.written += n;
                    self.sent_at = now;
                }
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(())
    }

    /// Reads what is there; `None` if nothing is.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        self.receive(buffer, RecvFlags::empty())
    }

    /// Takes what is there, up to the buffer's size, and forgets it: the kernel copies nothing.
    pub(crate) fn discard(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        self.receive(buffer, RecvFlags::TRUNC)
    }

    fn receive(&self, buffer: &mut [u8], flags: RecvFlags) -> io::Result<Option<usize>> {
        let Some(socket) = &self.socket else { return Err(closed()) };
        loop {
            match rustix::net::recv(socket, &mut *buffer, flags) {
                Ok((_, n)) => return Ok(Some(n)),
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The xid for the next request.
    #[inline]
    pub(crate) fn next_xid(&mut self) -> i32 {
        self.xid = if self.xid == i32::MAX { 1 } else { self.xid + 1 };
        self.xid
    }

    /// Closes the socket and forgets what was under way.
    pub(crate) fn close(&mut self) {
        self.socket = None;
        self.state = State::Closed;
        self.pending.clear();
        self.out.clear();
        self.written = 0;
        self.scanner = Scanner::default();
        self.pinged_at = None;
        (self.asked, self.armed) = (0, 0);
    }
}

fn closed() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

/// The frame that asks for a new session.
pub(crate) fn handshake(timeout_ms: u32) -> Vec<u8> {
    let mut body = Vec::new();
    let request = ConnectRequest::new_session(i32::try_from(timeout_ms).unwrap_or(i32::MAX));
    request.encode(&mut body);
    let mut frame = Vec::new();
    jute::put_buffer(&mut frame, Some(&body));
    frame
}

/// How long a read that waits does so at most.
const READ_TIME_MAX: Duration = Duration::from_millis(20);

/// The error of a reply; a multi's stands with its results.
#[inline]
pub(crate) fn error_of(frame: &Frame, is_multi: bool) -> Option<i32> {
    let err = frame.int(ERR_OFFSET)?;
    if err != 0 || !is_multi || frame.int(FIRST_RESULT_OFFSET) != Some(FAILED_RESULT) {
        return Some(err);
    }
    match frame.int(FIRST_ERROR_OFFSET) {
        // The first operation was fine, a later one was not.
        Some(0) | None => Some(wire::ErrorCode::RuntimeInconsistency.number()),
        Some(err) => Some(err),
    }
}

/// Offsets in a reply's payload: xid, zxid, err; then type, done and err of a multi's first result; then its body.
const ERR_OFFSET: usize = 12;
const FIRST_RESULT_OFFSET: usize = 16;
const FIRST_ERROR_OFFSET: usize = 25;
/// The type of a failed multi's results.
const FAILED_RESULT: i32 = -1;

#[cfg(test)]
mod tests {
    use super::error_of;
    use crate::load::scan::{Frame, Scanner};

    fn frame(ints: &[i32], tail: &[u8]) -> Frame {
        let mut body: Vec<u8> = ints.iter().flat_map(|int| int.to_be_bytes()).collect();
        body.extend_from_slice(tail);
        let mut bytes = (body.len() as i32).to_be_bytes().to_vec();
        bytes.extend(body);
        Scanner::default().next(&mut bytes.as_slice()).unwrap().expect("a whole frame")
    }

    #[test]
    fn a_failed_multi_says_so_in_its_first_result() {
        let failed_later = frame(&[1, 0, 9, 0, -1], &[0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(error_of(&failed_later, true), Some(-2));
        assert_eq!(error_of(&failed_later, false), Some(0));
        let failed_first = frame(&[1, 0, 9, 0, -1], &[0, 255, 255, 255, 155, 255, 255, 255, 155]);
        assert_eq!(error_of(&failed_first, true), Some(-101));
        assert_eq!(error_of(&frame(&[1, 0, 9, 0, 5], &[0; 9]), true), Some(0));
        assert_eq!(error_of(&frame(&[1, 0, 9, -4], &[]), true), Some(-4));
        assert_eq!(error_of(&frame(&[1], &[]), true), None);
    }
}
