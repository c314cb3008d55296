//! Readers beside each other, each a worker of its own with its own connection, on one thread with
//! its client. Run plainly, the test says that all of them are answered. `cargo xtask readers`
//! runs it in two more ways, which `QUORATE_READERS` names:
//!
//! - `lines`: under a tracer of memory accesses, one reader at a time. A store to one of [`MARKS`]
//!   tells the tracer whose turn it is; it complains about lines of memory that one reader writes
//!   and another looks at, because such a line makes two cores wait for each other.
//! - `scale`: a while each, one reader alone and then one for each core, by the clock.

use super::{ConnectionTask, feed::Fed};
use crate::server;
use crate::service::{Seat, Service};
use crate::threads;
use jute::Encode;
use std::borrow::Cow;
use std::future::Future;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};
use storage::Disk;
use storage::simulated::SimulatedDisk;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use wire::{Acls, ConnectRequest, CreateRequest, OpCode, PathWatchRequest, RequestHeader};

/// Stores to the first say that no reader has its turn, to another that reader has.
static MARKS: [Mark; READERS + 1] = [const { Mark(AtomicU64::new(0)) }; READERS + 1];

#[repr(align(128))]
struct Mark(AtomicU64);

/// A worker's thread with one connection and its client.
struct Reader {
    service: Arc<Service>,
    runtime: Runtime,
    task: ConnectionTask,
    client: TcpStream,
    /// What the last exchange brought, and then the memory of the next.
    replies: Vec<u8>,
}

impl Reader {
    fn new(service: &Arc<Service>, number: usize) -> Reader {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build().unwrap();
        let (stream, client, remote) = {
            let _guard = runtime.enter();
            sockets().unwrap()
        };
        service.limits.enter(remote.ip()).unwrap();
        let worker = Seat::take(&service.workers[number]);
        let task = ConnectionTask::new(Arc::clone(service), worker, stream, remote);
        let service = Arc::clone(service);
        let mut reader = Reader { service, runtime, task, client, replies: Vec::new() };
        reader.open_session();
        reader
    }

    fn open_session(&mut self) {
        let request = ConnectRequest::new_session(30_000);
        let mut frame = Vec::new();
        framed(&mut frame, |out| request.encode(out));
        self.write(&frame);
        assert!(self.task.entry.lock().connection.is_open());
    }

    /// Feeds requests for the member, and drives it until they are answered. Gives the bytes.
    fn write(&mut self, frames: &[u8]) -> usize {
        self.feed(frames);
        self.service.settle();
        self.take()
    }

    /// From socket to socket: the client sends, the task reads, serves and sends, until the client
    /// has so many bytes.
    fn exchange(&mut self, requests: &[u8], bytes: usize) {
        let Reader { runtime, task, client, replies, .. } = self;
        runtime.block_on(async {
            let mut work = pin!(converse(client, requests, bytes, replies));
            std::future::poll_fn(|cx| {
                let ended = Pin::new(&mut *task).poll(cx).is_ready();
                assert!(!ended, "the connection goes on");
                work.as_mut().poll(cx)
            })
            .await
            .unwrap();
        });
    }

    /// From bytes to bytes, without a socket. Gives how many there are.
    fn feed_and_take(&mut self, requests: &[u8]) -> usize {
        self.feed(requests);
        self.take()
    }

    /// Reads from socket to socket between two marks; once before, for what is only set up once.
    fn take_turn(&mut self, mark: usize) {
        let windows = [1, 16].map(gets);
        let sizes = windows.each_ref().map(|window| self.feed_and_take(window));
        for mark in [0, mark] {
            MARKS[mark].0.store(1, Ordering::SeqCst);
            for (window, size) in windows.iter().zip(sizes) {
                (0..EXCHANGES).for_each(|_| self.exchange(window, size));
            }
            MARKS[0].0.store(1, Ordering::SeqCst);
        }
    }

    fn feed(&mut self, frames: &[u8]) {
        assert!(matches!(self.task.feed(frames), Fed::GoOn));
    }

    fn take(&mut self) -> usize {
        self.task.entry.lock().connection.take_output(&mut self.replies);
        self.replies.len()
    }
}

async fn converse(
    client: &TcpStream,
    mut requests: &[u8],
    bytes: usize,
    replies: &mut Vec<u8>,
) -> io::Result<()> {
    while !requests.is_empty() {
        client.writable().await?;
        match client.try_write(requests) {
            Ok(count) => requests = &requests[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    let mut filled = 0;
    replies.resize(bytes, 0);
    while filled < bytes {
        client.readable().await?;
        match client.try_read(&mut replies[filled..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Two ends of one connection: the server's, the client's, and the client's address.
fn sockets() -> io::Result<(TcpStream, TcpStream, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let client = std::net::TcpStream::connect(listener.local_addr()?)?;
    let (stream, remote) = listener.accept()?;
    stream.set_nonblocking(true)?;
    client.set_nonblocking(true)?;
    client.set_nodelay(true)?;
    Ok((TcpStream::from_std(stream)?, TcpStream::from_std(client)?, remote))
}

/// A service that no thread serves, with one node that everybody reads.
fn service(workers: usize) -> Arc<Service> {
    let disk = SimulatedDisk::default();
    let dir = Path::new("/data");
    disk.create_dir_all(dir).unwrap();
    let config = crate::tests::config(dir, &[]);
    let runtimes: Vec<Runtime> = (0..workers).map(|_| threads::runtime().unwrap()).collect();
    let service = server::assemble_for_tests(&disk, config, &runtimes).unwrap();
    let request = CreateRequest {
        path: Cow::Borrowed(PATH),
        data: Some(&[7; 100]),
        acl: Some(Acls::OPEN),
        flags: 0,
        ttl_ms: -1,
    };
    let mut frame = Vec::new();
    framed(&mut frame, |out| {
        RequestHeader { xid: 1, op: OpCode::Create.number() }.encode(out);
        request.encode(out);
    });
    assert!(Reader::new(&service, 0).write(&frame) > 0);
    service
}

/// So many gets of the same node.
fn gets(count: usize) -> Vec<u8> {
    let request = PathWatchRequest { path: Cow::Borrowed(PATH), watch: false };
    let mut out = Vec::new();
    for _ in 0..count {
        framed(&mut out, |out| {
            RequestHeader { xid: 2, op: OpCode::GetData.number() }.encode(out);
            request.encode(out);
        });
    }
    out
}

fn framed(out: &mut Vec<u8>, payload: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    payload(out);
    let length = i32::try_from(out.len() - start - 4).unwrap();
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

#[test]
fn readers_beside_each_other_are_all_answered() {
    match std::env::var("QUORATE_READERS").as_deref() {
        Ok("lines") => one_after_the_other(),
        Ok("scale") => scale(),
        _ => {
            let service = service(READERS);
            for window in [1, 16] {
                assert!(by_the_clock(&service, READERS, window, BRIEFLY).per_second > 0.0);
            }
        }
    }
}

/// Each reader on a thread of its own, but the second is only made once the first has done its
/// part and waits, so that what is traced between two marks is one reader's.
fn one_after_the_other() {
    let program = std::env::current_exe().unwrap().display().to_string();
    let (marks, begin) = (MARKS.as_ptr().addr(), begin_of(&program));
    // In one piece: the tracer writes to the same place.
    let told = format!("readers: marks at {marks:#x} program at {begin:#x} {program}\n");
    io::stderr().write_all(told.as_bytes()).unwrap();
    let service = service(READERS);
    std::thread::scope(|scope| {
        let (done, is_done) = channel();
        let keep: Vec<Sender<()>> = (1..=READERS)
            .map(|number| {
                let (keep, is_over) = channel();
                let (service, done) = (&service, done.clone());
                scope.spawn(move || {
                    let mut reader = Reader::new(service, number - 1);
                    reader.take_turn(number);
                    done.send(()).unwrap();
                    // Its memory and its number must not go to the next.
                    let _ = is_over.recv();
                });
                is_done.recv().unwrap();
                keep
            })
            .collect();
        drop(keep);
    });
}

/// Where the program's file begins in memory, so that its addresses can be named.
fn begin_of(program: &str) -> u64 {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let first = maps.lines().find(|line| line.ends_with(program)).unwrap();
    u64::from_str_radix(first.split('-').next().unwrap(), 16).unwrap()
}

/// Two readers must do clearly more than one, with one request under each reading of the tree,
/// where a shared line would cost the most, and with many.
fn scale() {
    let cores = std::thread::available_parallelism().unwrap().get();
    assert!(cores >= 2, "there is nothing to scale to");
    let service = service(cores);
    for window in [1, 16] {
        // In turns, so that what else the machine does falls on both.
        let (mut one, mut two) = (Rate::default(), Rate::default());
        for _ in 0..REPETITIONS {
            one = one.better(by_the_clock(&service, 1, window, A_WHILE));
            two = two.better(by_the_clock(&service, 2, window, A_WHILE));
        }
        tell(window, 1, one);
        tell(window, 2, two);
        if cores > 2 {
            tell(window, cores, by_the_clock(&service, cores, window, A_WHILE));
        }
        let ratio = two.per_second / one.per_second;
        eprintln!("readers: two do {ratio:.2} times what one does");
        assert!(
            two.cores() > CORES_MIN,
            "no verdict: two readers never had two cores to themselves"
        );
        assert!(ratio >= RATIO_MIN, "two readers must do {RATIO_MIN} times what one does");
    }
}

fn tell(window: usize, readers: usize, rate: Rate) {
    let Rate { per_second, nanos } = rate;
    let cores = rate.cores();
    eprintln!(
        "readers: {window:>2} gets at once, {readers} readers: {per_second:>9.0} gets/s on {cores:.2} \
         cores, {nanos:.0} ns of a core each"
    );
}

/// How fast gets are.
#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    /// Of all readers together.
    per_second: f64,
    /// Time of a core for one of them: it does not grow by waiting for a core, but by waiting for
    /// a line of memory.
    nanos: f64,
}

impl Rate {
    fn better(self, other: Rate) -> Rate {
        if other.per_second > self.per_second { other } else { self }
    }

    /// How many cores the readers had.
    fn cores(self) -> f64 {
        self.per_second * self.nanos / 1e9
    }
}

/// Lets so many readers read for so long, each on a thread.
fn by_the_clock(service: &Arc<Service>, readers: usize, window: usize, time: Duration) -> Rate {
    let (start, is_over) = (Barrier::new(readers + 1), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..readers)
            .map(|number| {
                let (start, is_over) = (&start, &is_over);
                scope.spawn(move || {
                    let mut reader = Reader::new(service, number);
                    let requests = gets(window);
                    let size = reader.feed_and_take(&requests);
                    start.wait();
                    let (began, mut count) = (core_nanos(), 0);
                    while !is_over.load(Ordering::Relaxed) {
                        assert_eq!(reader.feed_and_take(&requests), size);
                        count += window;
                    }
                    (count as f64, core_nanos() - began)
                })
            })
            .collect();
        start.wait();
        let started = Instant::now();
        std::thread::sleep(time);
        is_over.store(true, Ordering::Relaxed);
        let (mut count, mut nanos) = (0.0, 0.0);
        for thread in threads {
            let (of_one, took) = thread.join().unwrap();
            count += of_one;
            nanos += took;
        }
        Rate { per_second: count / started.elapsed().as_secs_f64(), nanos: nanos / count }
    })
}

/// How long this thread has run on a core.
fn core_nanos() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse().unwrap()
}

const PATH: &str = "/hot";
const READERS: usize = 2;
const EXCHANGES: usize = 20;
const BRIEFLY: Duration = Duration::from_millis(20);
/// Short and often: the best of many is one in which nothing else ran.
const A_WHILE: Duration = Duration::from_millis(50);
const REPETITIONS: usize = 50;
/// Two readers with less were disturbed.
const CORES_MIN: f64 = 1.8;
/// What two readers must do of what one does. Two cores give nearly 2; with one line that is counted
/// up and down by both at each turn it was 1.4 to 1.5. Two hardware threads of one core give less.
const RATIO_MIN: f64 = 1.6;
