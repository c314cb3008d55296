//! The sockets: dials, the link in use, and probes for a server that takes writes.

use bytes::{Buf, BytesMut};
use client_core::{Frames, Host, LinkId};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// Room that every read has, in bytes.
const READ_SIZE: usize = 16 * 1024;
/// How long a probe may take.
const PROBE_TIME_MAX: Duration = Duration::from_secs(2);

/// A link that is up.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) id: LinkId,
    pub(crate) incoming: Incoming,
    pub(crate) outgoing: Outgoing,
}

/// What comes in.
#[derive(Debug)]
pub(crate) struct Incoming {
    socket: OwnedReadHalf,
    pub(crate) frames: Frames,
}

/// What goes out.
#[derive(Debug)]
pub(crate) struct Outgoing {
    socket: OwnedWriteHalf,
    pub(crate) buffer: BytesMut,
}

impl Link {
    pub(crate) fn new(id: LinkId, socket: TcpStream, frame_size_max: usize) -> Link {
        let (reader, writer) = socket.into_split();
        Link {
            id,
            incoming: Incoming { socket: reader, frames: Frames::new(frame_size_max) },
            outgoing: Outgoing { socket: writer, buffer: BytesMut::new() },
        }
    }
}

impl Incoming {
    /// Reads once. Cancel-safe.
    pub(crate) async fn read(&mut self) -> io::Result<()> {
        self.frames.buffer.reserve(READ_SIZE);
        match self.socket.read_buf(&mut self.frames.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

impl Outgoing {
    /// Writes what the socket takes at once.
    pub(crate) fn write_now(&mut self) -> io::Result<()> {
        while !self.buffer.is_empty() {
            match self.socket.try_write(&self.buffer) {
                Ok(written) => self.buffer.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes once, when the socket takes it; waits for ever if there is nothing. Cancel-safe.
    pub(crate) async fn write(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return std::future::pending().await;
        }
        self.socket.write_buf(&mut self.buffer).await.map(|_| ())
    }
}

/// Connects to one of the host's addresses.
pub(crate) async fn dial(host: Host) -> io::Result<TcpStream> {
    let socket = TcpStream::connect((host.name.as_str(), host.port)).await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// Whether the host serves writes.
pub(crate) async fn probe(host: Host) -> (Host, bool) {
    let ask = async {
        let mut socket = dial(host.clone()).await?;
        socket.write_all(b"isro").await?;
        let mut answer = [0; 2];
        socket.read_exact(&mut answer).await?;
        io::Result::Ok(answer == *b"rw")
    };
    let read_write = matches!(tokio::time::timeout(PROBE_TIME_MAX, ask).await, Ok(Ok(true)));
    (host, read_write)
}
