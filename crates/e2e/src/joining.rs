//! What it costs an ensemble that a member with nothing fetches a large tree under load.
//!
//! Two of three members serve a tree of many nodes to clients that write at a fixed rate; then the
//! third starts with an empty directory. Compared are the latencies of the writes, from when each
//! was due, before the join and while it goes on, and the memory of the members.

use crate::ensemble::Ensemble;
use crate::load::{create, creation};
use crate::play::Client;
use crate::program::{Hello, Request};
use crate::servers::{Config, Kind};
use crate::tree;
use crate::writers::{Pace, Writer};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use wire::OpCode;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Nodes of 100 bytes.
    pub nodes: usize,
    /// Clients that write, on both members alike.
    pub clients: usize,
    /// Between two writes of a client.
    pub interval: Duration,
    /// How long the load runs before the third member starts, and after it serves.
    pub calm: Duration,
}

/// What was seen.
#[derive(Clone, Debug)]
pub struct Joined {
    /// From its start until the member granted sessions.
    pub took: Duration,
    /// Of the writes before, sorted.
    pub before: Vec<Duration>,
    /// Of those due while the member joined, sorted.
    pub meanwhile: Vec<Duration>,
    /// Of those after, sorted.
    pub after: Vec<Duration>,
    /// Resident memory of each member in KiB: before the join (0 for the one that joins), the most
    /// it ever was, and at the end.
    pub memory: Vec<[u64; 3]>,
}

/// The node that is written.
const PATH: &str = "/joining";
/// Below it are all others, this many under a parent.
const SIBLINGS: usize = 1000;

/// Has the third of three members join.
///
/// # Errors
/// If a member does not serve, or does not take writes.
pub fn join(kind: &Kind, config: Config, plan: Plan) -> Result<Joined> {
    let mut ensemble = Ensemble::new(&vec![kind.clone(); 3], config)?;
    ensemble.start(0)?;
    ensemble.start(1)?;
    ensemble.wait_for_all()?;
    fill(&ensemble, plan.nodes).context("the nodes")?;
    let before = memory(&ensemble)?;
    let stop = Arc::new(AtomicBool::new(false));
    let start = |n: usize| {
        Writer::start(&ensemble, n % 2, PATH, Pace::Every(plan.interval), Arc::clone(&stop))
    };
    let writers: Vec<Writer> = (0..plan.clients).map(start).collect();
    let began = Instant::now();
    thread::sleep(plan.calm);
    let started = Instant::now();
    ensemble.start(2)?;
    let outcome = ensemble.wait_for(2);
    let joined = Instant::now();
    thread::sleep(plan.calm);
    let end = Instant::now();
    stop.store(true, Ordering::SeqCst);
    writers.iter().for_each(Writer::end);
    outcome?;
    let latencies = |from, to| {
        let mut all: Vec<_> = writers.iter().flat_map(|w| w.latencies(from, to)).collect();
        all.sort();
        all
    };
    let after = memory(&ensemble)?;
    Ok(Joined {
        took: joined - started,
        before: latencies(began, started),
        meanwhile: latencies(started, joined),
        after: latencies(joined, end),
        memory: before.iter().zip(&after).map(|(b, [now, most])| [b[0], *most, *now]).collect(),
    })
}

fn fill(ensemble: &Ensemble, nodes: usize) -> Result<()> {
    let mut client = Client::default();
    client.connect(ensemble.address(0), &Hello::new_session(), &[])?;
    create(&mut client, PATH, "")?;
    let data = "x".repeat(100);
    for parent in 0..nodes.div_ceil(SIBLINGS) {
        let parent = format!("{PATH}/{parent}");
        create(&mut client, &parent, "")?;
        let requests: Vec<Request> =
            (0..SIBLINGS).map(|n| creation(&format!("{parent}/{n}"), &data)).collect();
        let replies = tree::answers(&mut client, &requests)?;
        ensure!(replies.iter().all(|(header, _)| header.err == 0), "{parent}: not all were made");
    }
    client.exchange_to_end(&[Request::new(OpCode::CloseSession, Vec::new())])?;
    Ok(())
}

/// What each member holds now, and the most that it has held, in KiB.
fn memory(ensemble: &Ensemble) -> Result<Vec<[u64; 2]>> {
    (0..ensemble.size()).map(|n| ensemble.pid(n).map_or(Ok([0, 0]), resident)).collect()
}

fn resident(pid: u32) -> Result<[u64; 2]> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.with_context(|| format!("no {name} of process {pid}"))
    };
    Ok([field("VmRSS:")?, field("VmHWM:")?])
}
