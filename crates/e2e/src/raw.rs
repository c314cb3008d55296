//! A client that sends any bytes and keeps every frame that comes back.
//!
//! Reads block, up to a time limit; the end of the stream is a value, not an error. Nothing is
//! interpreted here but the length of a frame.

use crate::waking;
use anyhow::{Context, Result};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long a reply may take. A server that is slower than this counts as silent.
pub const REPLY_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a connection attempt may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// A frame longer than this is not one: the server broke its framing.
const FRAME_SIZE_MAX: usize = 64 << 20;

/// What a read gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A whole frame, without its length.
    Frame(Vec<u8>),
    /// The server closed, or reset, the connection.
    Closed,
    /// Nothing came in time.
    Silence,
}

/// A connection that frames pass through.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// What was read and is not a frame yet: from `start` on.
    input: Vec<u8>,
    start: usize,
    /// Where it leads, if the server there may have to be woken.
    sleeper: Option<SocketAddr>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// If nobody accepts.
    pub fn open(address: SocketAddr) -> Result<Connection> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.connect_timeout(&address.into(), CONNECT_TIME_MAX).context("connect")?;
        socket.set_tcp_nodelay(true)?;
        let sleeper = waking::may_sleep(address).then_some(address);
        let time = if sleeper.is_some() { waking::SILENCE_TIME_MAX } else { REPLY_TIME_MAX };
        socket.set_read_timeout(Some(time))?;
        Ok(Connection { stream: socket.into(), input: Vec::new(), start: 0, sleeper })
    }

    /// Sends bytes as they are. A connection that the server has closed takes them in silence: the
    /// reads tell.
    pub fn send(&mut self, bytes: &[u8]) {
        // The outcome is what the reader sees: frames up to the end of the stream.
        let _ = self.stream.write_all(bytes);
    }

    /// The next frame.
    ///
    /// # Errors
    /// If the socket fails in another way than by ending or staying silent.
    pub fn receive(&mut self) -> Result<Received> {
        loop {
            if let Some(frame) = self.take_frame()? {
                return Ok(Received::Frame(frame));
            }
            match self.fill()? {
                Fill::Some => {}
                Fill::End => return Ok(Received::Closed),
                Fill::Silence => return Ok(Received::Silence),
            }
        }
    }

    /// Everything up to the end of the stream, unframed; the flag says whether the end came in time.
    ///
    /// # Errors
    /// As for [`Connection::receive`].
    pub fn receive_to_end(&mut self) -> Result<(Vec<u8>, bool)> {
        loop {
            match self.fill()? {
                Fill::Some => {}
                Fill::End => return Ok((self.input.split_off(self.start), true)),
                Fill::Silence => return Ok((self.input.split_off(self.start), false)),
            }
        }
    }

    /// Says that nothing more will be sent.
    pub fn shutdown_write(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    fn take_frame(&mut self) -> Result<Option<Vec<u8>>> {
        let rest = &self.input[self.start..];
        let Some((length, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        let length = usize::try_from(i32::from_be_bytes(*length)).ok();
        let length = length.filter(|n| *n <= FRAME_SIZE_MAX).context("the server broke framing")?;
        if rest.len() < length {
            return Ok(None);
        }
        let frame = rest[..length].to_vec();
        self.start += 4 + length;
        if self.start == self.input.len() {
            self.input.clear();
            self.start = 0;
        }
        Ok(Some(frame))
    }

    /// Reads some, in [`REPLY_TIME_MAX`].
    fn fill(&mut self) -> Result<Fill> {
        let start = Instant::now();
        loop {
            match (self.read()?, self.sleeper) {
                (Fill::Silence, Some(address)) if start.elapsed() < REPLY_TIME_MAX => {
                    waking::wake(address);
                }
                (fill, _) => return Ok(fill),
            }
        }
    }

    fn read(&mut self) -> Result<Fill> {
        let mut chunk = [0; 64 << 10];
        match self.stream.read(&mut chunk) {
            Ok(0) => Ok(Fill::End),
            Ok(n) => {
                self.input.extend_from_slice(&chunk[..n]);
                Ok(Fill::Some)
            }
            Err(e) if matches!(e.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                Ok(Fill::End)
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ok(Fill::Silence)
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => Ok(Fill::Some),
            Err(e) => Err(e).context("read"),
        }
    }
}

enum Fill {
    Some,
    End,
    Silence,
}

/// Sends a four-letter word on a connection of its own and gives the whole reply.
///
/// # Errors
/// If nobody accepts, or the connection does not end.
pub fn word(address: SocketAddr, word: &str) -> Result<String> {
    let mut connection = Connection::open(address)?;
    connection.send(word.as_bytes());
    let (bytes, ended) = connection.receive_to_end()?;
    anyhow::ensure!(ended, "{word}: the connection stays open");
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Puts the length before a payload.
#[must_use]
pub fn framed(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 4);
    jute::put_buffer(&mut out, Some(payload));
    out
}
