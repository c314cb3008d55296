//! Clients that set one node's data again and again, each on a connection to a member of its own, and
//! connect again at once. They keep when each write was due and when it was acknowledged.

use crate::ensemble::Ensemble;
use crate::play::Client;
use crate::program::{Hello, Request, Value};
use crate::tree;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use wire::OpCode;

/// Between two attempts to connect, and two looks at the clients.
pub const RETRY_INTERVAL: Duration = Duration::from_millis(2);

/// When an acknowledged write was due, and when it was acknowledged.
pub type Written = (Instant, Instant);

/// When the next write is due.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// When the last one is acknowledged.
    AtOnce,
    /// This long after the last one was due, whether that is acknowledged or not.
    Every(Duration),
}

/// A client that writes without end.
#[derive(Debug)]
pub struct Writer {
    written: Arc<Mutex<Vec<Written>>>,
    ended: Arc<AtomicBool>,
}

impl Writer {
    /// Sets the data of the node at `path` by way of member `n`, until `stop`.
    #[must_use]
    pub fn start(
        ensemble: &Ensemble,
        n: usize,
        path: &'static str,
        pace: Pace,
        stop: Arc<AtomicBool>,
    ) -> Writer {
        let (address, space) = (ensemble.address(n), ensemble.space(n).cloned());
        let writer = Writer { written: Arc::default(), ended: Arc::default() };
        let (written, ended) = (Arc::clone(&writer.written), Arc::clone(&writer.ended));
        thread::spawn(move || {
            if space.is_none_or(|space| space.enter().is_ok()) {
                write_on(address, path, pace, &stop, &written);
            }
            ended.store(true, Ordering::SeqCst);
        });
        writer
    }

    /// Waits until the thread has ended: it notices at its next write.
    pub fn end(&self) {
        while !self.ended.load(Ordering::SeqCst) {
            thread::sleep(RETRY_INTERVAL);
        }
    }

    /// What was acknowledged so far, in order.
    pub fn written(&self) -> MutexGuard<'_, Vec<Written>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long it took until a write was acknowledged that was due after this.
    #[must_use]
    pub fn recovered(&self, at: Instant) -> Option<Duration> {
        let written = self.written();
        // Those before are behind this one in the list: the last ones are looked at.
        let first = written.partition_point(|(due, _)| *due < at);
        written.get(first).map(|(_, acknowledged)| acknowledged.duration_since(at))
    }

    /// The longest time between two acknowledged writes, from this time on.
    #[must_use]
    pub fn longest_wait(&self, at: Instant) -> Option<Duration> {
        let written = self.written();
        let first = written.partition_point(|(_, acknowledged)| *acknowledged < at);
        let after = &written[first.saturating_sub(1)..];
        after.windows(2).map(|pair| pair[1].1.duration_since(pair[0].1)).max()
    }

    /// How long the writes took that were due in this time.
    #[must_use]
    pub fn latencies(&self, from: Instant, to: Instant) -> Vec<Duration> {
        let written = self.written();
        let first = written.partition_point(|(due, _)| *due < from);
        let end = written.partition_point(|(due, _)| *due < to);
        written[first..end].iter().map(|(due, end)| end.duration_since(*due)).collect()
    }
}

fn write_on(
    address: SocketAddr,
    path: &str,
    pace: Pace,
    stop: &AtomicBool,
    written: &Mutex<Vec<Written>>,
) {
    let mut client = Client::default();
    let mut due = Instant::now();
    while !stop.load(Ordering::SeqCst) {
        if !client.is_connected() {
            let again = client.session.is_some();
            let hello = Hello { again, ..Hello::new_session() };
            let _ = client.connect(address, &hello, &[]);
            if !client.is_connected() {
                thread::sleep(RETRY_INTERVAL);
                continue;
            }
        }
        match pace {
            Pace::AtOnce => due = Instant::now(),
            Pace::Every(_) => thread::sleep(due.saturating_duration_since(Instant::now())),
        }
        if write(&mut client, path) {
            let entry = (due, Instant::now());
            written.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        }
        if let Pace::Every(interval) = pace {
            due += interval;
        }
    }
}

fn write(client: &mut Client, path: &str) -> bool {
    let data = Value::Bytes(vec![b'x'; 100]);
    let values = vec![Value::Text(path.into()), data, Value::Int(-1)];
    let set = Request::new(OpCode::SetData, values);
    tree::answers(client, &[set]).is_ok_and(|replies| replies[0].0.err == 0)
}
