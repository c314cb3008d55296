//! Accepts connections, on a thread of its own, and deals them out to the workers.

use crate::limits::Refusal;
use crate::service::Service;
use crate::sync::lock;
use config::Listen;
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

/// A socket that the limits have let in, and whose it is.
pub(crate) type Accepted = (TcpStream, SocketAddr);

/// Listens where the configuration says. Clients may connect from now on; they are served once
/// [`run`] accepts them.
pub(crate) fn bind(listen: &Listen) -> io::Result<TcpListener> {
    let backlog =
        listen.backlog.map_or(BACKLOG, |backlog| i32::try_from(backlog).unwrap_or(i32::MAX));
    let addresses = match &listen.address {
        Some(host) => (host.as_str(), listen.port).to_socket_addrs()?.collect(),
        None => vec![
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, listen.port)),
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, listen.port)),
        ],
    };
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in addresses {
        match bind_to(address, backlog) {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Listens on one address.
pub(crate) fn bind_to(address: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

/// The address as the reference's log shows it: the whole machine is `0.0.0.0`.
pub(crate) fn shown(address: SocketAddr) -> String {
    if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        return format!("/0.0.0.0:{}", address.port());
    }
    format!("/{address}")
}

/// Accepts until the listener is shut down.
pub(crate) fn run(
    listener: &TcpListener,
    service: &Arc<Service>,
    to: &[UnboundedSender<Accepted>],
) {
    let mut refusals = Quiet::default();
    let mut failures = Quiet::default();
    for turn in 0.. {
        let accepted = listener.accept();
        if service.is_stopping() {
            return;
        }
        match accepted {
            Ok((stream, remote)) => {
                // What clients are told of and limited by is their IPv4 address, if it is one.
                let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
                if admit(service, &stream, remote, &mut refusals) {
                    // A worker that is gone takes no more: the server is stopping.
                    if to[turn % to.len()].send((stream, remote)).is_err() {
                        service.limits.leave(remote.ip());
                    }
                }
            }
            Err(error) => accept_failed(&error, &mut failures),
        }
    }
}

fn admit(service: &Service, stream: &TcpStream, remote: SocketAddr, log: &mut Quiet) -> bool {
    if let Err(refusal) = service.limits.enter(remote.ip()) {
        lock(&service.limits.counters).metrics.counters.connection_rejected += 1;
        if let Some(more) = log.speak() {
            let ip = remote.ip();
            match refusal {
                Refusal::PerAddress(max) => {
                    tracing::warn!(more, "Too many connections from /{ip} - max is {max}");
                }
                Refusal::Total(max) => {
                    tracing::warn!(more, "Too many connections max allowed is {max}");
                }
            }
        }
        return false;
    }
    if let Err(error) = prepare(stream, service.settings.config.listen.tcp_keepalive) {
        tracing::debug!(%remote, %error, "a connection was gone before it was accepted");
        service.limits.leave(remote.ip());
        return false;
    }
    true
}

fn prepare(stream: &TcpStream, keepalive: bool) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    if keepalive {
        SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new())?;
    }
    Ok(())
}

/// Without file descriptors or memory the waiting connection stays in the queue: to try again at
/// once would only burn a core.
fn accept_failed(error: &io::Error, log: &mut Quiet) {
    match Errno::from_io_error(error) {
        Some(Errno::INTR | Errno::CONNABORTED | Errno::PROTO) => {}
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
            if let Some(more) = log.speak() {
                tracing::error!(
                    more, %error,
                    "cannot accept connections; raise the limit of open files (ulimit -n) or \
                     lower maxCnxns"
                );
            }
            std::thread::sleep(BACK_OFF);
        }
        _ => {
            if let Some(more) = log.speak() {
                tracing::warn!(more, %error, "cannot accept a connection");
            }
            std::thread::sleep(BACK_OFF);
        }
    }
}

/// Keeps a log line that clients can provoke from filling the disk.
#[derive(Debug, Default)]
pub(crate) struct Quiet {
    last: Option<Instant>,
    more: u64,
}

impl Quiet {
    /// Whether to speak now, and how often it was kept silent before.
    pub(crate) fn speak(&mut self) -> Option<u64> {
        if self.last.is_some_and(|last| last.elapsed() < QUIET) {
            self.more += 1;
            return None;
        }
        self.last = Some(Instant::now());
        Some(std::mem::take(&mut self.more))
    }
}

/// Connections that may wait to be accepted, if the configuration leaves it open.
const BACKLOG: i32 = 1024;
/// Time before the next try where a try is of no use.
const BACK_OFF: Duration = Duration::from_millis(100);
/// Time between two lines of the same kind.
const QUIET: Duration = Duration::from_secs(1);
