//! Accepts connections, on the workers' own threads, and deals them out.
//!
//! A connection goes to the worker that has the fewest: mostly that is the one that accepts, and
//! then no thread is woken for it. Two workers accept, so that one that waits for the disk keeps
//! nobody waiting; more of them would only be woken in vain.

use crate::limits::Refusal;
use crate::service::{Seat, Service};
use crate::sync::lock;
use crate::threads;
use config::Listen;
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use std::io;
use std::net::{self, IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch::Receiver;

/// A socket that the limits have let in, on its way to another worker.
pub(crate) struct Dealt {
    pub(crate) stream: net::TcpStream,
    /// Whose it is.
    pub(crate) remote: SocketAddr,
    /// Its place with the worker that it goes to.
    pub(crate) seat: Seat,
}

/// Listens where the configuration says. Clients may connect from now on; they are served once an
/// [`Acceptor`] accepts them.
pub(crate) fn bind(listen: &Listen) -> io::Result<net::TcpListener> {
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
        match bind_to(address, backlog, listen.tcp_keepalive) {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Listens on one address.
pub(crate) fn bind_to(
    address: SocketAddr,
    backlog: i32,
    keepalive: bool,
) -> io::Result<net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    // These two go over to the sockets that are accepted, which costs them no system call.
    socket.set_tcp_nodelay(true)?;
    if keepalive {
        socket.set_tcp_keepalive(&TcpKeepalive::new())?;
    }
    socket.set_nonblocking(true)?;
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

/// Accepts on the thread of one worker.
pub(crate) struct Acceptor {
    service: Arc<Service>,
    /// The worker's number.
    number: usize,
    listener: TcpListener,
    /// Where clients are served, whenever that changes.
    moves: Receiver<Arc<net::TcpListener>>,
    /// The way to each worker.
    to: Vec<UnboundedSender<Dealt>>,
    refusals: Quiet,
    failures: Quiet,
}

impl Acceptor {
    /// Whether the worker of that number accepts.
    pub(crate) fn is_for(number: usize) -> bool {
        number < ACCEPTORS
    }

    /// For that worker, whose runtime is entered.
    pub(crate) fn new(
        service: &Arc<Service>,
        number: usize,
        to: &[UnboundedSender<Dealt>],
    ) -> io::Result<Acceptor> {
        let mut moves = service.listener.subscribe();
        let listener = moves.borrow_and_update().try_clone()?;
        Ok(Acceptor {
            service: Arc::clone(service),
            number,
            listener: TcpListener::from_std(listener)?,
            moves,
            to: to.to_vec(),
            refusals: Quiet::default(),
            failures: Quiet::default(),
        })
    }

    /// Accepts until the listener is shut down.
    pub(crate) async fn run(mut self) {
        loop {
            let accepted = self.listener.accept().await;
            if self.service.is_stopping() {
                return;
            }
            // One that clients have moved away from is shut down.
            if accepted.is_err() && self.moves.has_changed().unwrap_or(false) {
                self.follow();
                continue;
            }
            match accepted {
                Ok((stream, remote)) => {
                    // What clients are told of and limited by is their IPv4 address, if it is one.
                    let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
                    if admit(&self.service, remote, &mut self.refusals) {
                        self.deal(stream, remote);
                    }
                }
                Err(error) => accept_failed(&error, &mut self.failures).await,
            }
        }
    }

    /// Accepts where clients are served now.
    fn follow(&mut self) {
        let listener = self.moves.borrow_and_update().try_clone();
        match listener.and_then(TcpListener::from_std) {
            Ok(listener) => self.listener = listener,
            Err(error) => tracing::error!(%error, "clients cannot be accepted at the new address"),
        }
    }

    fn deal(&self, stream: TcpStream, remote: SocketAddr) {
        let Acceptor { service, to, .. } = self;
        let open = |number: &usize| service.workers[*number].open();
        let least_busy = (0..to.len()).min_by_key(open).unwrap_or(self.number);
        let least = open(&least_busy);
        let is_balanced = open(&self.number) <= least + least / UNEVEN;
        let number = if is_balanced { self.number } else { least_busy };
        let seat = Seat::take(&service.workers[number]);
        if number == self.number {
            return threads::take_in(service, seat, stream, remote);
        }
        let is_sent = stream.into_std().is_ok_and(|stream| {
            // A worker that is gone takes no more: the server is stopping.
            to[number].send(Dealt { stream, remote, seat }).is_ok()
        });
        if !is_sent {
            service.limits.leave(remote.ip());
        }
    }
}

fn admit(service: &Service, remote: SocketAddr, log: &mut Quiet) -> bool {
    let Err(refusal) = service.limits.enter(remote.ip()) else { return true };
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
    false
}

/// Without file descriptors or memory the waiting connection stays in the queue: to try again at
/// once would only burn a core.
async fn accept_failed(error: &io::Error, log: &mut Quiet) {
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
            tokio::time::sleep(BACK_OFF).await;
        }
        _ => {
            if let Some(more) = log.speak() {
                tracing::warn!(more, %error, "cannot accept a connection");
            }
            tokio::time::sleep(BACK_OFF).await;
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

/// A worker keeps what it accepts while it has no more than one in that many above the least busy:
/// to bring it to another thread costs more than such a difference.
const UNEVEN: usize = 8;
/// Workers that accept.
const ACCEPTORS: usize = 2;
/// Connections that may wait to be accepted, if the configuration leaves it open.
const BACKLOG: i32 = 1024;
/// Time before the next try where a try is of no use.
const BACK_OFF: Duration = Duration::from_millis(100);
/// Time between two lines of the same kind.
const QUIET: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::bind;
    use socket2::SockRef;
    use std::net::TcpStream;
    use std::path::Path;
    use tokio::net::TcpListener;
    use tokio::runtime::Builder;

    #[test]
    fn what_is_accepted_has_its_options_from_the_listener() {
        let runtime = Builder::new_current_thread().enable_io().build().unwrap();
        for tcp_keepalive in [false, true] {
            let mut listen = crate::tests::config(Path::new("/"), &[]).listen;
            listen.tcp_keepalive = tcp_keepalive;
            let listener = bind(&listen).unwrap();
            let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (stream, _) = runtime
                .block_on(async { TcpListener::from_std(listener).unwrap().accept().await })
                .unwrap();
            assert!(stream.nodelay().unwrap());
            assert_eq!(SockRef::from(&stream).keepalive().unwrap(), tcp_keepalive);
        }
    }
}
