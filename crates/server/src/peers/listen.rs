//! Listening for other members, on a worker's runtime.
//!
//! One task has all sockets of a channel, so that they are closed when it has ended, and a listening
//! that follows can wait for that.

use super::dial::{prepare, resolve};
use super::home::{Fact, Home, Place};
use super::task::{self, Made, Seat};
use crate::listener::{Quiet, bind_to};
use broadcast::{Addresses, Channel};
use rustix::io::Errno;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One listening, until it is aborted.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) home: Arc<Home>,
    pub(super) place: Place,
    pub(super) channel: Channel,
    pub(super) number: u64,
    pub(super) addresses: Addresses,
}

impl Listening {
    /// Opens the sockets, once those of the one `before` are closed, and accepts.
    pub(super) async fn run(self, before: Option<JoinHandle<()>>) {
        if let Some(before) = before {
            let _ = before.await; // it was aborted
        }
        match bind_all(&self.addresses).await {
            Ok(listeners) => self.accept_all(&listeners).await,
            Err(reason) => {
                let Listening { home, place, channel, number: listening, .. } = self;
                home.tell(&place.worker, Fact::ListenFailed { channel, listening, reason });
            }
        }
    }

    async fn accept_all(&self, listeners: &[TcpListener]) {
        let mut quiet = Quiet::default();
        loop {
            match accept(listeners).await {
                Ok((stream, remote)) => {
                    if let Err(error) = self.take_in(stream, remote, &mut quiet) {
                        tracing::debug!(%remote, %error, "a peer was gone before it was accepted");
                    }
                }
                Err(error) => accept_failed(&error, &mut quiet).await,
            }
        }
    }

    fn take_in(&self, stream: TcpStream, remote: SocketAddr, quiet: &mut Quiet) -> io::Result<()> {
        let Some(seat) = Seat::take(&self.home, self.number) else {
            if let Some(more) = quiet.speak() {
                tracing::warn!(more, %remote, "too many connections to a port for members");
            }
            return Ok(());
        };
        prepare(&stream, self.home.settings.tcp_keepalive)?;
        let place = self.home.place();
        let stream = {
            let stream = stream.into_std()?;
            let _there = place.runtime.enter();
            TcpStream::from_std(stream)?
        };
        let id = self.home.next_accepted();
        tracing::debug!(link = id.0, channel = self.channel.0, %remote, "accepted a connection");
        task::start(
            &self.home,
            place,
            Made { id, channel: self.channel, stream, seat: Some(seat) },
        );
        Ok(())
    }
}

async fn accept(listeners: &[TcpListener]) -> io::Result<(TcpStream, SocketAddr)> {
    poll_fn(|cx| {
        let mut accepted = listeners.iter().map(|listener| listener.poll_accept(cx));
        accepted.find(Poll::is_ready).unwrap_or(Poll::Pending)
    })
    .await
}

/// Whatever it is, it may be over soon: without files or memory, the connection stays in the queue.
async fn accept_failed(error: &io::Error, quiet: &mut Quiet) {
    if let Some(Errno::INTR | Errno::CONNABORTED | Errno::PROTO) = Errno::from_io_error(error) {
        return;
    }
    if let Some(more) = quiet.speak() {
        tracing::error!(
            more, %error, "cannot accept a member's connection; is the limit of open files too low?"
        );
    }
    tokio::time::sleep(BACK_OFF).await;
}

/// Opens all addresses. One that this machine does not have is left out if there are others.
async fn bind_all(addresses: &Addresses) -> Result<Vec<TcpListener>, String> {
    let (mut listeners, mut missing) = (Vec::new(), Vec::new());
    for address in addresses.iter() {
        let resolved = match resolve(address).await {
            Ok(resolved) => resolved,
            Err(reason) => {
                missing.push(reason);
                continue;
            }
        };
        for one in resolved {
            match bind(one) {
                Ok(listener) => listeners.push(listener),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    return Err(format!("{one}: {error}: does another server run on it?"));
                }
                Err(error) => missing.push(format!("{one}: {error}")),
            }
        }
    }
    if listeners.is_empty() {
        return Err(missing.join("; "));
    }
    for reason in missing {
        tracing::warn!(reason, "an address for other members cannot be listened to");
    }
    Ok(listeners)
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let any_v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
    let listener = match bind_to(address, BACKLOG, false) {
        // A machine without IPv6.
        Err(error)
            if address.ip() == Ipv6Addr::UNSPECIFIED
                && error.kind() != io::ErrorKind::AddrInUse =>
        {
            bind_to(any_v4, BACKLOG, false)?
        }
        result => result?,
    };
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Connections that may wait to be accepted: all other members at once, and more.
const BACKLOG: i32 = 128;
/// Time before the next try where a try is of no use.
const BACK_OFF: Duration = Duration::from_millis(100);
