//! One side of links without a member: what it is told is written down.

use crate::inbox::{Inbox, Waiting};
use crate::peers::{Home, PeerSettings, Peers, Place};
use crate::threads;
use base::WallTime;
use broadcast::{Addresses, Channel, LinkId};
use bytes::Bytes;
use node::Input;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// What the links are for.
pub(super) const CHANNEL: Channel = Channel(1);
/// Longer than anything takes.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// One side: its links' tasks run on a worker's thread, its driver is the test.
pub(super) struct Host {
    pub(super) peers: Peers,
    pub(super) inbox: Arc<Inbox>,
    place: Place,
    news: VecDeque<Input>,
    waits: Runtime,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    pub(super) fn start() -> Host {
        Host::start_with(PATIENCE)
    }

    pub(super) fn start_with(connect_timeout: Duration) -> Host {
        let runtime = threads::runtime().unwrap();
        let place = Place { runtime: runtime.handle().clone(), worker: Arc::default() };
        let inbox = Arc::new(Inbox::default());
        let settings = PeerSettings { connect_timeout, tcp_keepalive: true };
        let home = Home::new(Arc::clone(&inbox), vec![place.clone()], settings);
        let worker = Arc::clone(&place.worker);
        let thread = std::thread::spawn(move || {
            runtime.block_on(worker.end.notified());
            runtime.shutdown_background();
        });
        Host {
            peers: Peers::new(Arc::new(home)),
            inbox,
            place,
            news: VecDeque::new(),
            waits: threads::runtime().unwrap(),
            thread: Some(thread),
        }
    }

    /// The next that a member would be told.
    pub(super) fn next(&mut self) -> Input {
        loop {
            if let Some(input) = self.news.pop_front() {
                return input;
            }
            if !self.take() {
                self.wait();
            }
        }
    }

    /// Waits until something is in the inbox, or has been.
    pub(super) fn wait(&self) {
        let kicked = self.place.worker.kick.notified();
        let kicked = self.waits.block_on(async { timeout(PATIENCE, kicked).await });
        kicked.expect("something to be told");
    }

    /// Takes what there is; says whether it was anything.
    fn take(&mut self) -> bool {
        let Waiting { facts, .. } = self.inbox.take(Default::default(), Vec::new());
        let is_any = !facts.is_empty();
        let news = facts.into_iter().filter_map(|fact| self.peers.admit(fact, WallTime(7)));
        self.news.extend(news);
        is_any
    }

    /// Nothing is left to be told but what this makes happen.
    pub(super) fn assert_silent(&mut self) {
        let nobody = LinkId(999_999);
        self.dial(nobody, &[]);
        assert_eq!(self.down(nobody), "no address is known");
    }

    pub(super) fn dial(&mut self, link: LinkId, to: &[&str]) {
        self.peers.dial(link, CHANNEL, addresses(to));
    }

    pub(super) fn listen(&mut self, at: &[&str]) {
        self.peers.listen(CHANNEL, addresses(at));
    }

    /// The link that comes up next.
    pub(super) fn up(&mut self) -> LinkId {
        let Input::LinkUp { link, channel: CHANNEL } = self.next() else { panic!("not up") };
        link
    }

    /// Why that link goes down next.
    pub(super) fn down(&mut self, expected: LinkId) -> String {
        let news = self.next();
        let Input::LinkDown { link, reason } = news else { panic!("not down: {news:?}") };
        assert_eq!(link, expected);
        reason
    }

    /// The bytes that come next, until there are so many.
    pub(super) fn receive(&mut self, from: LinkId, size: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < size {
            let news = self.next();
            let Input::Received { link, bytes, wall } = news else {
                panic!("after {} bytes: {news:?}", all.len())
            };
            assert_eq!((link, wall), (from, WallTime(7)));
            all.extend_from_slice(&bytes);
        }
        assert_eq!(all.len(), size);
        all
    }

    pub(super) fn send(&mut self, link: LinkId, frame: impl Into<Bytes>) {
        self.peers.send(link, frame.into());
    }

    /// Sends at once.
    pub(super) fn send_now(&mut self, link: LinkId, frame: impl Into<Bytes>) {
        self.send(link, frame);
        self.peers.flush();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.place.worker.end.notify_one();
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(ended.is_some_and(|ended| ended.is_ok()) || std::thread::panicking());
    }
}

fn addresses(texts: &[&str]) -> Addresses {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// An address of loopback that no other test uses, with a port that was free.
pub(super) fn free_address() -> String {
    static GIVEN: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    let address = Ipv4Addr::new(127, high, low, GIVEN.fetch_add(1, Ordering::Relaxed));
    let listener = TcpListener::bind((address, 0)).unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Two sides with one link: the one that was dialled from, then the other.
pub(super) fn linked() -> [(Host, LinkId); 2] {
    let (mut dialler, mut listener) = (Host::start(), Host::start());
    let address = free_address();
    listener.listen(&[&address]);
    wait_for(&address);
    assert_eq!(listener.up(), LinkId::accepted(0), "that of the look whether it listens");
    assert_eq!(listener.down(LinkId::accepted(0)), "closed by the other side");
    let id = LinkId(5);
    dialler.dial(id, &[&address]);
    assert_eq!(dialler.up(), id);
    let accepted = listener.up();
    assert_eq!(accepted, LinkId::accepted(1));
    [(dialler, id), (listener, accepted)]
}

/// A side with a link, and a bare socket at its other end.
pub(super) fn with_socket() -> (Host, LinkId, TcpStream) {
    let mut host = Host::start();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let id = LinkId(3);
    host.dial(id, &[&listener.local_addr().unwrap().to_string()]);
    let (socket, _) = listener.accept().unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(host.up(), id);
    (host, id, socket)
}

/// Connects once somebody listens there, and hangs up.
pub(super) fn wait_for(address: &str) {
    let address = address.parse().unwrap();
    while TcpStream::connect_timeout(&address, PATIENCE).is_err() {
        std::thread::yield_now();
    }
}
