//! One client: its session, its connection, and what it has seen.

use super::request::{answer, register, request};
use super::{LINEARIZABLE, Shape, Shared};
use crate::play::{Client, Item};
use crate::program::{Hello, Request, Seen, Value};
use anyhow::{Context, Result, bail, ensure};
use base::Rng;
use check::registers::{Answer, Asked, Heard, Operation, Session, Write};
use jute::Reader;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use wire::{EventType, OpCode, ReplyHeader};

pub(super) struct Worker {
    number: usize,
    addresses: Vec<SocketAddr>,
    /// The member beside which it runs.
    home: usize,
    shape: Shape,
    shared: Arc<Shared>,
    rng: Rng,
    client: Client,
    /// Unique in a session, over all of its connections.
    xid: i32,
    /// How many values it has written.
    values: u64,
    /// Watches that are set.
    watched: BTreeSet<(usize, usize)>,
    /// The last version that it saw of each register.
    versions: BTreeMap<(usize, usize), i32>,
    /// Calls that were sent on the connection and not answered, by their places in the session.
    open: VecDeque<usize>,
    sessions: Vec<Session>,
}

/// How many calls are sent at once at most.
const BURST_MAX: u64 = 6;
/// Between two attempts to connect.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_millis(20);
/// Values of different clients differ in their high halves.
const VALUES_SHIFT: u32 = 32;
/// Replies that end a session: it has expired, or is served on another connection.
const SESSION_ENDS: [i32; 2] = [-112, -118];

impl Worker {
    pub(super) fn new(
        number: usize,
        addresses: Vec<SocketAddr>,
        home: usize,
        shape: Shape,
        shared: Arc<Shared>,
        rng: Rng,
    ) -> Worker {
        Worker {
            number,
            addresses,
            home,
            shape,
            shared,
            rng,
            client: Client::default(),
            xid: 0,
            values: 0,
            watched: BTreeSet::new(),
            versions: BTreeMap::new(),
            open: VecDeque::new(),
            sessions: Vec::new(),
        }
    }

    /// Calls until all are to stop.
    pub(super) fn run(mut self) -> Result<Vec<Session>> {
        while !self.shared.stop.load(Ordering::Relaxed) {
            if self.client.is_connected() {
                let calls = self.choose();
                self.call(calls)?;
                // Sometimes it goes elsewhere, with its session.
                if self.rng.one_in(300) {
                    self.leave()?;
                }
            } else {
                let other = *self.rng.pick(&self.addresses);
                let near = self.rng.percent(80);
                self.connect(if near { self.addresses[self.home] } else { other })?;
                if !self.client.is_connected() {
                    thread::sleep(RETRY_INTERVAL);
                }
            }
        }
        Ok(self.sessions)
    }

    pub(super) fn into_sessions(self) -> Vec<Session> {
        self.sessions
    }

    fn leave(&mut self) -> Result<()> {
        let items = self.client.drop_connection()?;
        items.into_iter().try_for_each(|item| self.take(item))
    }

    /// Tries to go on with the session, and sets its watches again; if it has ended, another one
    /// begins.
    pub(super) fn connect(&mut self, address: SocketAddr) -> Result<()> {
        self.open.clear();
        let before = self.client.session.clone();
        let again = before.is_some();
        let hello = Hello { again, seen: Seen::Last, ..Hello::new_session() };
        let mut first = Vec::new();
        if self.shape.linearizable_reads {
            let (scheme, proof) = LINEARIZABLE;
            let values =
                vec![Value::Int(0), Value::Text(scheme.into()), Value::Bytes(proof.into())];
            first.push(Request::new(OpCode::Auth, values).with_xid(wire::xid::AUTH));
        }
        if again {
            first.push(self.set_watches()?);
        }
        // A server that is cut off does not answer; one that has no leader closes the connection.
        let Ok(items) = self.client.connect(address, &hello, &first) else { return Ok(()) };
        let refused = matches!(items.first(), Some(Item::Hello(_))) && !self.client.is_connected();
        if !again && self.client.session.is_some() {
            self.sessions.push(Session::default());
        } else if again && refused && items.contains(&Item::Closed) && is_expired(&items) {
            // The session has expired.
            self.client = Client::default();
            self.watched.clear();
            return Ok(());
        }
        items.into_iter().try_for_each(|item| self.take(item))
    }

    fn set_watches(&self) -> Result<Request> {
        let paths = self.watched.iter().map(|(g, r)| Value::Text(super::request::path(*g, *r)));
        let count = Value::Int(i32::try_from(self.watched.len())?);
        let mut values = vec![Value::Zxid(0), count];
        values.extend(paths);
        values.extend([Value::Int(0), Value::Int(0)]);
        Ok(Request::new(OpCode::SetWatches, values).with_xid(wire::xid::SET_WATCHES))
    }

    /// Sends calls in one write, and waits for the answers or the end of the connection.
    pub(super) fn call(&mut self, calls: Vec<(usize, Asked)>) -> Result<()> {
        let invoked = self.shared.now();
        let mut requests = Vec::new();
        for (group, asked) in calls {
            self.xid += 1;
            requests.push(request(group, &asked).with_xid(self.xid));
            let answer = Answer::Unknown;
            let operation = Operation { group, asked, invoked, returned: 0, answer, zxid: 0 };
            let session = self.sessions.last_mut().context("no session")?;
            self.open.push_back(session.operations.len());
            session.operations.push(operation);
        }
        self.client.send_with_barrier(&requests);
        loop {
            for item in self.client.receive_next()? {
                let is_last = matches!(item, Item::Barrier(_));
                self.take(item)?;
                if is_last {
                    ensure!(self.open.is_empty(), "{} calls are not answered", self.open.len());
                    return Ok(());
                }
            }
            if !self.client.is_connected() {
                return Ok(());
            }
        }
    }

    fn take(&mut self, item: Item) -> Result<()> {
        match item {
            Item::Hello(_) | Item::Closed | Item::Silence => Ok(()),
            Item::Barrier(header) => self.show(header.zxid),
            Item::Reply { op, header, body } => {
                if op == OpCode::SetWatches.number() {
                    self.show(header.zxid)
                } else if op == OpCode::Auth.number() {
                    ensure!(header.err == 0, "no linearizable reads: {}", header.err);
                    Ok(())
                } else {
                    self.reply(header, &body)
                }
            }
            Item::Event { body, .. } => self.event(&body),
            Item::Missing { .. } | Item::Unexpected(_) => bail!("client {}: {item:?}", self.number),
        }
    }

    /// A reply to nothing that is asked for: it shows how far the server is.
    fn show(&mut self, zxid: i64) -> Result<()> {
        let now = self.shared.now();
        let session = self.sessions.last_mut().context("no session")?;
        session.heard.push(Heard::Reply(session.operations.len()));
        session.operations.push(Operation {
            group: 0,
            asked: Asked::Sync,
            invoked: now,
            returned: now,
            answer: Answer::Empty,
            zxid,
        });
        Ok(())
    }

    fn reply(&mut self, header: ReplyHeader, body: &[u8]) -> Result<()> {
        let index = self.open.pop_front().context("a reply to nothing")?;
        if SESSION_ENDS.contains(&header.err) {
            self.client.abandon();
            return Ok(());
        }
        let returned = self.shared.now();
        let session = self.sessions.last_mut().context("no session")?;
        let operation = &mut session.operations[index];
        let answer = answer(&operation.asked, header, body)
            .with_context(|| format!("client {}: {:?}", self.number, operation.asked))?;
        *operation = Operation { returned, answer, zxid: header.zxid, ..operation.clone() };
        session.heard.push(Heard::Reply(index));
        let group = operation.group;
        match (&operation.asked, &operation.answer) {
            (Asked::Read { register, watches, .. }, Answer::Read(shown, _)) => {
                self.versions.insert((group, *register), shown.version);
                if *watches {
                    self.watched.insert((group, *register));
                }
            }
            (Asked::Write(writes), Answer::Written(versions)) => {
                let seen = writes.iter().zip(versions);
                self.versions.extend(seen.map(|(w, version)| ((group, w.register), *version)));
            }
            (Asked::Read { .. } | Asked::Write(_) | Asked::Sync, _) => {}
        }
        self.shared.answered.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn event(&mut self, body: &[u8]) -> Result<()> {
        let mut reader = Reader::new(body);
        let kind = reader.int()?;
        reader.int()?;
        let path = reader.string()?.context("no path")?;
        ensure!(kind == EventType::NodeDataChanged as i32, "event {kind} of {path}");
        let (group, register) = register(&path)?;
        self.watched.remove(&(group, register));
        let session = self.sessions.last_mut().context("no session")?;
        session.heard.push(Heard::Event(group, register));
        Ok(())
    }

    fn choose(&mut self) -> Vec<(usize, Asked)> {
        let many = self.rng.between(1, BURST_MAX);
        let mut calls = Vec::new();
        for _ in 0..many {
            let group = self.rng.below(self.shape.groups as u64) as usize;
            let register = self.rng.below(self.shape.size as u64) as usize;
            let is_linearizable = self.shape.linearizable_reads;
            match self.rng.below(100) {
                0..45 => {
                    let watches = self.rng.one_in(3);
                    calls.push((group, Asked::Read { register, watches, is_linearizable }));
                }
                45..50 => {
                    calls.push((group, Asked::Sync));
                    let watches = false;
                    calls.push((group, Asked::Read { register, watches, is_linearizable }));
                }
                50..85 => calls.push((group, Asked::Write(vec![self.write(group, register)]))),
                _ => calls.push((group, Asked::Write(self.multi(group)))),
            }
        }
        calls
    }

    /// A write, perhaps only if nobody else has written since this client looked.
    fn write(&mut self, group: usize, register: usize) -> Write {
        let seen = self.versions.get(&(group, register)).copied();
        let version = if self.rng.percent(40) { seen } else { None };
        Write { register, version, value: Some(self.value()) }
    }

    /// Writes to some registers of a group; one may be looked at only.
    fn multi(&mut self, group: usize) -> Vec<Write> {
        let mut writes: Vec<Write> = (0..self.shape.size).map(|r| self.write(group, r)).collect();
        if self.rng.one_in(3)
            && let Some(last) = writes.last_mut()
            && last.version.is_some()
        {
            last.value = None;
        }
        writes
    }

    fn value(&mut self) -> u64 {
        self.values += 1;
        ((self.number as u64 + 1) << VALUES_SHIFT) | self.values
    }
}

/// Whether a server said that the session is no more.
fn is_expired(items: &[Item]) -> bool {
    let Some(Item::Hello(answer)) = items.first() else { return false };
    // The session's id stands behind the version and the timeout.
    answer.get(8..16).is_some_and(|id| id.iter().all(|byte| *byte == 0))
}
