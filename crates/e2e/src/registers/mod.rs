//! Clients that read and write registers, and log all that they see, for [`check::registers`].
//!
//! A register is a znode below `/registers`; those of a group may change in one multi. Each client
//! is a thread in the namespace of a member. It sends a few requests at once, notes when each answer
//! came, and goes on with its session after whatever happens to its connection.
//! Invariant: a request is sent once. If the connection ends first, its outcome is unknown.

mod request;
mod worker;

use crate::ensemble::{Ensemble, SERVE_TIME_MAX};
use crate::load::create;
use crate::play::Client;
use crate::program::{Hello, Request};
use anyhow::{Context, Result, bail, ensure};
use base::Rng;
use check::registers::{Asked, Registers, Session};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;
use wire::OpCode;
use worker::{RETRY_INTERVAL, Worker};

/// How the load is made.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Clients in the namespace of each member.
    pub clients: usize,
    /// Groups of registers.
    pub groups: usize,
    /// Registers of each group.
    pub size: usize,
    /// Whether clients ask for linearizable reads.
    pub linearizable_reads: bool,
}

/// Clients that run.
#[derive(Debug)]
pub struct Load {
    shape: Shape,
    clients: Vec<JoinHandle<Result<Vec<Session>>>>,
    shared: Arc<Shared>,
}

/// What all clients know.
#[derive(Debug)]
struct Shared {
    start: Instant,
    stop: AtomicBool,
    answered: AtomicUsize,
}

impl Shared {
    /// Nanoseconds since the start.
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// What proves the wish for linearizable reads.
const LINEARIZABLE: (&str, &str) = ("reads", "linearizable");

impl Load {
    /// Makes the registers, and starts the clients.
    ///
    /// # Errors
    /// If the first member does not serve.
    pub fn start(ensemble: &Ensemble, shape: Shape, seed: u64) -> Result<Load> {
        let address = ensemble.address(0);
        ensemble.inside(0, || make(address, &shape))?;
        let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
        let shared = Arc::new(Shared { start: Instant::now(), stop, answered });
        let mut load = Load { shape, clients: Vec::new(), shared };
        let mut rng = Rng::new(seed);
        let addresses: Vec<_> = (0..ensemble.size()).map(|n| ensemble.address(n)).collect();
        for number in 0..ensemble.size() * load.shape.clients {
            let home = number % ensemble.size();
            let shared = Arc::clone(&load.shared);
            let shape = load.shape.clone();
            let space = ensemble.space(home).cloned();
            let (rng, addresses) = (rng.fork(), addresses.clone());
            load.clients.push(thread::spawn(move || {
                if let Some(space) = space {
                    space.enter()?;
                }
                Worker::new(number, addresses, home, shape, shared, rng).run()
            }));
        }
        Ok(load)
    }

    /// How many calls were answered so far.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Ends the clients; then every member shows all registers, each after a sync. Nothing may
    /// happen to the members any more but what a busy machine does to them.
    ///
    /// # Errors
    /// If a client saw what no server may send, or a member does not serve.
    pub fn finish(mut self, ensemble: &Ensemble) -> Result<Registers> {
        self.shared.stop.store(true, Ordering::SeqCst);
        let mut sessions = Vec::new();
        for client in self.clients.drain(..) {
            match client.join() {
                Ok(outcome) => sessions.extend(outcome?),
                Err(_) => bail!("a client panicked"),
            }
        }
        for n in 0..ensemble.size() {
            let address = ensemble.address(n);
            let session = ensemble.inside(n, || self.read_patiently(address));
            sessions.push(session.with_context(|| format!("member {}", n + 1))?);
        }
        let groups = vec![self.shape.size; self.shape.groups];
        Ok(Registers { groups, sessions })
    }

    /// As [`Load::read_all`], again if an election comes between.
    fn read_patiently(&self, address: SocketAddr) -> Result<Session> {
        let deadline = Instant::now() + SERVE_TIME_MAX;
        loop {
            match self.read_all(address) {
                Err(_) if Instant::now() < deadline => thread::sleep(RETRY_INTERVAL),
                outcome => return outcome,
            }
        }
    }

    /// What a member shows once it has caught up.
    fn read_all(&self, address: SocketAddr) -> Result<Session> {
        let (shape, shared) = (self.shape.clone(), Arc::clone(&self.shared));
        let mut worker = Worker::new(0, vec![address], 0, shape, shared, Rng::new(0));
        worker.connect(address)?;
        let all = (0..self.shape.groups).flat_map(|group| {
            (0..self.shape.size).map(move |register| {
                (group, Asked::Read { register, watches: false, is_linearizable: true })
            })
        });
        worker.call([vec![(0, Asked::Sync)], all.collect()].concat())?;
        let mut sessions = worker.into_sessions();
        ensure!(sessions.len() == 1, "no session");
        let session = sessions.remove(0);
        let expected = 1 + self.shape.groups * self.shape.size;
        ensure!(session.heard.len() >= expected, "not all registers could be read");
        Ok(session)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for client in self.clients.drain(..) {
            let _ = client.join();
        }
    }
}

/// Makes all registers.
fn make(address: SocketAddr, shape: &Shape) -> Result<()> {
    let mut client = Client::default();
    client.connect(address, &Hello::new_session(), &[])?;
    create(&mut client, request::ROOT, "")?;
    let first = request::data(0);
    let first = String::from_utf8(first)?;
    for group in 0..shape.groups {
        for register in 0..shape.size {
            create(&mut client, &request::path(group, register), &first)?;
        }
    }
    client.exchange_to_end(&[Request::new(OpCode::CloseSession, Vec::new())])?;
    Ok(())
}
