//! One worker: its session, its writes that are not answered yet, and its model.

use super::model::Model;
use super::op::{Op, Outcome, SHARED};
use super::{Closes, choose};
use crate::generate::Dialect;
use crate::play::{Client, Item};
use crate::program::{Hello, Seen};
use crate::tree::{self, Tree};
use anyhow::{Context, Result, bail, ensure};
use base::Rng;
use jute::Reader;
use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};
use wire::ReplyHeader;

/// What is known of a worker's session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It must be there.
    Open,
    /// Its end was sent and not acknowledged.
    Unclear,
    /// Its end was acknowledged, or there never was one.
    Ended,
}

/// A client that writes.
#[derive(Debug)]
pub struct Worker {
    /// Its node.
    pub base: String,
    /// Its connection and session.
    pub client: Client,
    /// Numbers that it drew, with their zxids.
    pub(super) drawn: Vec<(i32, i64)>,
    /// How many writes were acknowledged.
    pub(super) acknowledged: usize,
    model: Model,
    dialect: Dialect,
    standing: Standing,
    /// Writes that were sent and not answered.
    pending: VecDeque<Op>,
    rng: Rng,
    /// Names of its sequential nodes below the shared one that it may still delete.
    names: Vec<String>,
    /// Those that were acknowledged and not sent to be deleted.
    present: BTreeSet<String>,
    /// Those whose deletion was acknowledged.
    absent: BTreeSet<String>,
    last_zxid: i64,
}

/// How long servers may refuse a session, or all connections: less than a session's timeout.
const MOVE_TIME_MAX: Duration = Duration::from_secs(35);
/// Between two attempts.
const RETRY_INTERVAL: Duration = Duration::from_millis(30);
/// In how many percent of the bursts the session ends.
const CLOSES_PERCENT: u64 = 15;

impl Worker {
    pub(super) fn new(base: &str, zxid: i64, rng: Rng, dialect: Dialect) -> Worker {
        Worker {
            base: base.to_owned(),
            client: Client::default(),
            drawn: Vec::new(),
            acknowledged: 0,
            model: Model::new(base, zxid),
            dialect,
            standing: Standing::Ended,
            pending: VecDeque::new(),
            rng,
            names: Vec::new(),
            present: BTreeSet::new(),
            absent: BTreeSet::new(),
            last_zxid: zxid,
        }
    }

    /// The session's id.
    #[must_use]
    pub fn session(&self) -> i64 {
        self.client.session.as_ref().map_or(0, |session| session.id)
    }

    pub(super) fn connect(&mut self, address: SocketAddr) -> Result<()> {
        let before = self.session();
        if before != 0 {
            let again = Hello { again: true, ..Hello::new_session() };
            self.client.connect(address, &again, &[])?;
            match self.standing {
                Standing::Open => {
                    ensure!(self.client.is_connected(), "session {before:#x} is lost");
                    ensure!(self.session() == before, "another session than {before:#x}");
                }
                Standing::Unclear => {}
                Standing::Ended => {
                    ensure!(!self.client.is_connected(), "session {before:#x} is back");
                }
            }
        }
        if !self.client.is_connected() {
            self.client = Client::default();
            self.client.connect(address, &Hello::new_session(), &[])?;
            ensure!(self.client.is_connected(), "no session");
        }
        self.standing = Standing::Open;
        Ok(())
    }

    pub(super) fn is_busy(&self) -> bool {
        self.client.is_connected() && !self.pending.is_empty()
    }

    pub(super) fn send_burst(&mut self, writes: usize, closes: Closes) {
        let session = self.session();
        let mut future = self.model.clone();
        let closes = self.rng.percent(CLOSES_PERCENT) && closes == Closes::Some;
        for n in 0..writes {
            let op = if closes && n + 1 == writes {
                Op::Close
            } else {
                choose::write(&mut self.rng, &future, &mut self.names, self.dialect)
            };
            if let Op::Return(name) = &op {
                self.present.remove(name);
            }
            future.apply(&op, session, None);
            self.pending.push_back(op);
        }
        let requests: Vec<_> = self.pending.iter().map(Op::request).collect();
        self.client.send_with_barrier(&requests);
    }

    pub(super) fn receive_one(&mut self) -> Result<()> {
        let items = self.client.receive_next()?;
        items.into_iter().try_for_each(|item| self.take(item))
    }

    pub(super) fn drain(&mut self) -> Result<()> {
        let items = self.client.drain()?;
        items.into_iter().try_for_each(|item| self.take(item))?;
        if self.pending.contains(&Op::Close) {
            self.standing = Standing::Unclear;
        }
        Ok(())
    }

    fn take(&mut self, item: Item) -> Result<()> {
        match item {
            Item::Reply { header, body, .. } => {
                let op = self.pending.pop_front().context("a reply to nothing")?;
                self.reply(&op, header, &body).with_context(|| format!("{op:?}"))
            }
            Item::Closed | Item::Barrier(_) => Ok(()),
            Item::Hello(_)
            | Item::Event { .. }
            | Item::Missing { .. }
            | Item::Unexpected(_)
            | Item::Silence => bail!("{item:?}"),
        }
    }

    fn reply(&mut self, op: &Op, header: ReplyHeader, body: &[u8]) -> Result<()> {
        ensure!(header.zxid > self.last_zxid, "zxid {} after {}", header.zxid, self.last_zxid);
        self.last_zxid = header.zxid;
        self.acknowledged += 1;
        let session = self.session();
        let outcome = self.model.apply(op, session, Some(header.zxid));
        outcome.judge(header, body)?;
        if let Op::Return(name) = op {
            self.absent.insert(name.clone());
        } else if *op == Op::Close {
            self.standing = Standing::Ended;
        } else if outcome == Outcome::Drawn {
            let path = Reader::new(body).string()?.context("no path")?;
            self.drawn.push((number(&path)?, header.zxid));
            let name = path.trim_start_matches(SHARED).trim_start_matches('/').to_owned();
            self.present.insert(name.clone());
            self.names.push(name);
        }
        Ok(())
    }

    /// Reads the replies to the burst, or those that come before the connection ends or falls
    /// silent.
    pub(super) fn finish(&mut self) -> Result<()> {
        let items = self.client.finish_exchange()?;
        let heard = |item: &Item| !matches!(item, Item::Silence);
        items.into_iter().filter(heard).try_for_each(|item| self.take(item))
    }

    /// Finds a server that renews the session, or opens one if there is none, on another
    /// connection than before.
    pub(super) fn move_to(&mut self, addresses: &[SocketAddr]) -> Result<()> {
        let deadline = Instant::now() + MOVE_TIME_MAX;
        let again = self.standing == Standing::Open;
        let before = self.session();
        if self.rng.one_in(2) {
            self.client.drop_connection()?;
        }
        // The server of a session that moves ends the connection that it was on.
        let old = self.client.detach();
        loop {
            let address = *self.rng.pick(addresses);
            let hello = Hello { again, seen: Seen::Last, ..Hello::new_session() };
            let items = self.client.connect(address, &hello, &[]).unwrap_or_default();
            if self.client.is_connected() {
                break;
            }
            let refused = matches!(items.first(), Some(Item::Hello(_)));
            ensure!(!refused || !again, "session {before:#x} is lost at {address}");
            ensure!(Instant::now() < deadline, "no server takes {before:#x}");
            thread::sleep(RETRY_INTERVAL);
        }
        drop(old);
        ensure!(!again || self.session() == before, "another session than {before:#x}");
        self.standing = Standing::Open;
        Ok(())
    }

    /// Ends the session, and waits for the answer.
    pub(super) fn close(&mut self) -> Result<()> {
        let session = self.session();
        let items = self.client.exchange_to_end(&[Op::Close.request()])?;
        let (header, body) = tree::replies(items, 1)?.remove(0);
        self.model.apply(&Op::Close, session, Some(header.zxid));
        self.last_zxid = header.zxid;
        self.standing = Standing::Ended;
        Outcome::Done.judge(header, &body)
    }

    /// Finds out which of the writes that were not answered were done: the first few of
    /// them; gives how many.
    pub(super) fn settle(&mut self, tree: &Tree) -> Result<usize> {
        let session = self.session();
        let floor = self.last_zxid;
        let mut first = None;
        let sent = self.pending.len();
        while let Some(difference) = self.model.difference(tree, floor) {
            let first = first.get_or_insert(difference);
            let Some(op) = self.pending.pop_front() else {
                bail!(
                    "no prefix of the writes gives this tree; without the unanswered ones {first}"
                )
            };
            self.model.apply(&op, session, None);
        }
        let done = sent - self.pending.len();
        self.pending.clear();
        self.model.learn(tree);
        let below = |name: &String| tree.contains_key(&format!("{SHARED}/{name}"));
        if let Some(name) = self.present.iter().find(|name| !below(name)) {
            bail!("{name} was acknowledged and is gone");
        }
        if let Some(name) = self.absent.iter().find(|name| below(name)) {
            bail!("{name} was deleted and is back");
        }
        Ok(done)
    }
}

/// The number at the end of a sequential node's path.
pub(super) fn number(path: &str) -> Result<i32> {
    let digits = path.len().checked_sub(10).and_then(|at| path.get(at..)).context("too short")?;
    Ok(digits.parse()?)
}
