//! Clients that write at random until their server is gone, and know what must be there afterwards.
//!
//! Every worker has a session and a subtree of its own and sends its writes in long bursts, without
//! waiting. Each reply must say what the model says. When the server has ended in the middle, all
//! that was acknowledged must be in the tree, then some of the writes behind that in their order,
//! and nothing else. All workers also draw sequence numbers below one shared node.

mod choose;
mod model;
mod op;
mod rounds;
mod worker;

pub use worker::Worker;

use crate::generate::Dialect;
use crate::play::{Client, SUPER_USER};
use crate::program::{Hello, Request, Value};
use crate::servers::Server;
use crate::tree::{self, Tree};
use anyhow::{Context, Result, ensure};
use base::Rng;
use jute::Reader;
use op::SHARED;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use wire::OpCode;

/// How a server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// SIGKILL.
    Kill,
    /// SIGTERM.
    Term,
}

/// Whether bursts may end with the end of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closes {
    None,
    Some,
}

/// Workers, and what they drew.
#[derive(Debug)]
pub struct Load {
    /// The workers.
    pub workers: Vec<Worker>,
    /// Acknowledged sequential nodes below the shared node: zxid by number.
    drawn: BTreeMap<i32, i64>,
    rng: Rng,
    /// How many writes were acknowledged.
    pub acknowledged: usize,
    /// How many were done and not acknowledged.
    pub unacknowledged: usize,
}

/// Opens a session that may do everything.
///
/// # Errors
/// If the server does not grant it.
pub fn supervisor(address: SocketAddr) -> Result<Client> {
    let mut client = Client::default();
    let items = client.connect(address, &Hello::new_session(), &[])?;
    let is_granted = client.session.is_some() && client.is_connected();
    ensure!(is_granted, "no session for the supervisor at {address}: {items:?}");
    let credentials = Value::Bytes(SUPER_USER.into());
    let values = vec![Value::Int(0), Value::Text("digest".into()), credentials];
    let auth = Request::new(OpCode::Auth, values).with_xid(wire::xid::AUTH);
    let (header, _) = tree::answers(&mut client, &[auth])?.remove(0);
    ensure!(header.err == 0, "the supervisor is not let in: {}", header.err);
    Ok(client)
}

/// Reads the whole tree as it is once this server has caught up with its leader.
///
/// # Errors
/// If the server does not serve.
pub fn read_synced_tree(address: SocketAddr) -> Result<Tree> {
    let mut client = supervisor(address)?;
    let sync = Request::new(OpCode::Sync, vec![Value::Text("/".to_owned())]);
    let (header, _) = tree::answers(&mut client, &[sync])?.remove(0);
    ensure!(header.err == 0, "no sync: {}", header.err);
    let tree = tree::read(&mut client)?;
    client.exchange_to_end(&[Request::new(OpCode::CloseSession, Vec::new())])?;
    Ok(tree)
}

/// Reads the whole tree with a session of its own, which is ended.
///
/// # Errors
/// If the server does not serve.
pub fn read_tree(address: SocketAddr) -> Result<Tree> {
    let mut client = supervisor(address)?;
    let tree = tree::read(&mut client)?;
    client.exchange_to_end(&[Request::new(OpCode::CloseSession, Vec::new())])?;
    Ok(tree)
}

impl Load {
    /// Makes the nodes that the workers need, with a quota on the first one's, and opens sessions.
    ///
    /// # Errors
    /// If the server does not do all of it.
    pub fn start(address: SocketAddr, seed: u64, workers: usize, dialect: Dialect) -> Result<Load> {
        let mut client = supervisor(address)?;
        let limits = "/zookeeper/quota/w0";
        let nodes = [
            (SHARED.to_owned(), ""),
            (limits.to_owned(), ""),
            (format!("{limits}/zookeeper_limits"), "count=5,bytes=1000"),
            (format!("{limits}/zookeeper_stats"), "count=0,bytes=0"),
        ];
        for (path, data) in nodes {
            create(&mut client, &path, data)?;
        }
        let mut rng = Rng::new(seed);
        let mut load = Load {
            workers: Vec::new(),
            drawn: BTreeMap::new(),
            rng: rng.fork(),
            acknowledged: 0,
            unacknowledged: 0,
        };
        for number in 0..workers {
            let base = format!("/w{number}");
            let zxid = create(&mut client, &base, "")?;
            load.workers.push(Worker::new(&base, zxid, rng.fork(), dialect));
        }
        client.exchange_to_end(&[Request::new(OpCode::CloseSession, Vec::new())])?;
        load.connect(address)?;
        Ok(load)
    }

    /// Every worker gets its session back, or a new one if it had ended it.
    ///
    /// # Errors
    /// If a session that must be there is not, or one is that must not be.
    pub fn connect(&mut self, address: SocketAddr) -> Result<()> {
        self.workers.iter_mut().try_for_each(|worker| worker.connect(address))
    }

    /// Every worker sends a burst; at a random one of the replies the server ends.
    ///
    /// # Errors
    /// If a reply says what it must not.
    pub fn run_to_end_of(&mut self, server: &mut Server, writes: usize, end: End) -> Result<()> {
        self.send_bursts(writes, Closes::Some);
        // A server is ahead of what is read from it, so that low numbers are preferred.
        let most = self.rng.below((self.workers.len() * writes) as u64);
        self.read_some(most)?;
        match end {
            End::Kill => server.kill()?,
            End::Term => server.stop()?,
        }
        for worker in &mut self.workers {
            worker.drain().with_context(|| worker.base.clone())?;
        }
        self.collect()
    }

    fn send_bursts(&mut self, writes: usize, closes: Closes) {
        for worker in &mut self.workers {
            worker.send_burst(writes, closes);
        }
    }

    /// Reads a random number of replies.
    fn read_some(&mut self, most: u64) -> Result<()> {
        for _ in 0..self.rng.between(0, most) {
            let busy: Vec<usize> =
                (0..self.workers.len()).filter(|n| self.workers[*n].is_busy()).collect();
            if busy.is_empty() {
                break;
            }
            let worker = &mut self.workers[*self.rng.pick(&busy)];
            worker.receive_one().with_context(|| worker.base.clone())?;
        }
        Ok(())
    }

    /// Takes what the workers know once their connections are quiet.
    fn collect(&mut self) -> Result<()> {
        for worker in &mut self.workers {
            self.acknowledged += std::mem::take(&mut worker.acknowledged);
        }
        self.collect_numbers()
    }

    /// No number is drawn twice, and later ones are higher.
    fn collect_numbers(&mut self) -> Result<()> {
        for worker in &mut self.workers {
            for (number, zxid) in worker.drawn.drain(..) {
                let before = self.drawn.insert(number, zxid);
                ensure!(before.is_none(), "number {number} was drawn twice");
            }
        }
        let zxids: Vec<i64> = self.drawn.values().copied().collect();
        ensure!(zxids.is_sorted(), "a lower number was drawn later: {:?}", self.drawn);
        Ok(())
    }

    /// Holds the tree of the server that was started again against what the workers know; then the
    /// workers know what became of their last writes.
    ///
    /// # Errors
    /// If anything acknowledged is missing, or anything is there that should not be.
    pub fn check(&mut self, tree: &Tree) -> Result<()> {
        for worker in &mut self.workers {
            self.unacknowledged += worker.settle(tree).with_context(|| worker.base.clone())?;
        }
        Ok(())
    }

    /// Draws one more number, which must be above all that were acknowledged.
    ///
    /// # Errors
    /// If it is not.
    pub fn check_numbers(&mut self, address: SocketAddr) -> Result<()> {
        let mut client = supervisor(address)?;
        let (header, body) = tree::answers(&mut client, &[op::Op::Draw.request()])?.remove(0);
        ensure!(header.err == 0, "no number: {}", header.err);
        let path = Reader::new(&body).string()?.context("no path")?;
        let number = worker::number(&path)?;
        if let Some((last, _)) = self.drawn.last_key_value() {
            ensure!(number > *last, "number {number} after {last}");
        }
        self.drawn.insert(number, header.zxid);
        client.exchange_to_end(&[Request::new(OpCode::CloseSession, Vec::new())])?;
        Ok(())
    }
}

/// Creates a node for everyone; gives the zxid.
///
/// # Errors
/// If the server refuses.
pub fn create(client: &mut Client, path: &str, data: &str) -> Result<i64> {
    let (header, _) = tree::answers(client, &[creation(path, data)])?.remove(0);
    ensure!(header.err == 0, "create {path}: {}", header.err);
    Ok(header.zxid)
}

/// The request that creates a node for everyone.
#[must_use]
pub fn creation(path: &str, data: &str) -> Request {
    let (path, data) = (path.to_owned(), data.into());
    op::Op::Create { op: OpCode::Create, path, data, flags: 0, acl: 0 }.request()
}
