//! A thread of load: many connections on one epoll, from opening sessions to closing them.
//!
//! One wake-up takes everything that a socket has, counts its replies at one reading of the clock, and answers
//! with one send of all that the window allows. Nothing is allocated per request, and of a long reply nothing is
//! copied but its beginning.
//! Invariant: a request is counted once: in a slot, under an error code, or as lost with its connection.

use crate::load::connection::{Connection, Pending, State};
use crate::load::pace::Schedule;
use crate::load::plan::{Kind, Load};
use crate::load::poll::{Poll, Readiness};
use crate::load::tally::{News, Tally, Timing};
use crate::load::traffic::Traffic;
use anyhow::{Context, Result, bail};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Instant;
use std::{io, mem};

/// How far the worker has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Sessions are opened, for a load that needs them all.
    Opening,
    /// Requests are sent and counted.
    Running,
    /// Replies are awaited.
    Draining,
    /// Sessions are closed.
    Closing,
}

pub(crate) struct Worker<'a> {
    pub(crate) load: &'a Load,
    pub(crate) hosts: &'a [SocketAddr],
    /// Where the clock of all times begins.
    pub(crate) origin: Instant,
    pub(crate) connections: Vec<Connection>,
    pub(crate) traffic: Traffic,
    pub(crate) tally: Tally,
    pub(crate) phase: Phase,
    /// Connections to open, each not before a time.
    pub(crate) to_open: VecDeque<(u64, usize)>,
    /// Connections between `open` and their session.
    pub(crate) opening: usize,
    /// The open loop's; `None` for a closed one.
    pub(crate) schedule: Option<Schedule>,
    /// The fan-out's watches that are set for the next set of their node, how often it was set, and
    /// when it was last.
    pub(crate) armed: usize,
    pub(crate) fired: u64,
    pub(crate) fired_at: u64,
    pub(crate) last_error: Option<String>,
    pub(crate) poll: Poll,
    ready: Vec<Readiness>,
    buffer: Vec<u8>,
    /// What is read from a socket at a time, in bytes.
    read_size: usize,
    next_look: u64,
    /// Where the open loop searches for room first.
    turn: usize,
}

impl<'a> Worker<'a> {
    /// A worker with the connections of these numbers.
    pub(crate) fn new(
        load: &'a Load,
        hosts: &'a [SocketAddr],
        root: &str,
        numbers: impl Iterator<Item = u64>,
        origin: Instant,
    ) -> io::Result<Worker<'a>> {
        let connections: Vec<_> = numbers.map(Connection::new).collect();
        let seed = connections.first().map_or(0, |c| c.lane.number) + 1;
        Ok(Worker {
            load,
            hosts,
            origin,
            traffic: Traffic::new(load, root, seed),
            tally: Tally::new(load.kind.slots().len()),
            phase: Phase::Opening,
            to_open: (0..connections.len()).map(|index| (0, index)).collect(),
            connections,
            opening: 0,
            schedule: None,
            armed: 0,
            fired: 0,
            fired_at: 0,
            last_error: None,
            poll: Poll::new()?,
            ready: Vec::new(),
            buffer: vec![0; BUFFER_SIZE],
            read_size: if load.has_long_replies() { READ_SIZE_OF_LONG } else { READ_SIZE },
            next_look: 0,
            turn: 0,
        })
    }

    /// Runs the load from beginning to end; failures are told too.
    pub(crate) fn run(mut self, tell: &Sender<News>, timing: &Receiver<Timing>) {
        if let Err(error) = self.live(tell, timing) {
            // Nobody listens any more if the measurement was given up.
            let _ = tell.send(News::Failed(error));
        }
    }

    fn live(&mut self, tell: &Sender<News>, timing: &Receiver<Timing>) -> Result<()> {
        if !self.load.kind.opens_under_load() {
            self.open_all()?;
        }
        tell.send(News::Ready)?;
        let timing = timing.recv().context("the measurement was given up")?;
        self.work(tell, timing)?;
        self.phase = Phase::Draining;
        self.read_answers();
        let limit = self.now() + DRAIN_TIME_MAX;
        while self.connections.iter().any(|c| !c.pending.is_empty()) && self.now() < limit {
            self.step(limit)?;
        }
        self.close_all()
    }

    fn open_all(&mut self) -> Result<()> {
        let limit = self.now() + OPEN_TIME_MAX;
        while self.connections.iter().any(|c| c.state != State::Ready) {
            if self.now() > limit {
                let open = self.connections.iter().filter(|c| c.state == State::Ready).count();
                let why = self.last_error.take().unwrap_or_else(|| "no answer".to_owned());
                bail!("{open} of {} sessions could be opened: {why}", self.connections.len());
            }
            self.step(limit)?;
        }
        Ok(())
    }

    fn work(&mut self, tell: &Sender<News>, timing: Timing) -> Result<()> {
        self.phase = Phase::Running;
        let threads = self.load.threads_in_use() as f64;
        self.schedule = self.load.rate.map(|rate| Schedule::new(self.now(), rate / threads));
        self.begin()?;
        // Without a warm-up everything counts from the start.
        let mut number = (timing.from <= self.now()).then_some(0);
        let mut interval_end = timing.from + number.map_or(0, |_| timing.interval);
        loop {
            self.step(interval_end.min(timing.until))?;
            let now = self.now();
            let is_over = now >= timing.until || self.is_done();
            if now >= interval_end || is_over {
                let fresh = Tally::new(self.tally.slots.len());
                let tally = mem::replace(&mut self.tally, fresh);
                tell.send(News::Interval { number, tally })?;
                let next = now.saturating_sub(timing.from) / timing.interval;
                number = Some(usize::try_from(next).unwrap_or(usize::MAX));
                interval_end = timing.from + (next + 1) * timing.interval;
            }
            if is_over {
                let last_error = self.last_error.clone();
                tell.send(News::Ended { at: now.min(timing.until), last_error })?;
                return Ok(());
            }
        }
    }

    /// Waits for something to happen, until `limit` at most, and deals with all of it.
    pub(crate) fn step(&mut self, limit: u64) -> Result<()> {
        self.keep_pace();
        let now = self.now();
        self.open_some(now);
        let mut wake = limit.min(self.next_look);
        if let Some((not_before, _)) = self.to_open.front()
            && self.opening < self.opening_max()
        {
            wake = wake.min(*not_before);
        }
        if self.phase == Phase::Running
            && let Some(schedule) = &self.schedule
        {
            let due = schedule.next_due();
            // A schedule that is behind waits for room, which a socket brings.
            if due > now {
                wake = wake.min(due);
            }
        }
        if self.is_alone() && self.connections[0].state == State::Ready {
            self.read(0);
        } else {
            let mut ready = mem::take(&mut self.ready);
            self.poll.wait(wake, now, &mut ready)?;
            for event in ready.drain(..) {
                self.serve(event);
            }
            self.ready = ready;
        }
        if self.now() >= self.next_look {
            self.look();
        }
        Ok(())
    }

    /// Whether one connection waits for one reply at a time: it does so in its reads, where others wait for
    /// whichever comes first.
    pub(crate) fn is_alone(&self) -> bool {
        let Load { kind, window, rate, .. } = self.load;
        self.connections.len() == 1 && kind.is_steady() && *window == 1 && rate.is_none()
    }

    fn serve(&mut self, event: Readiness) {
        let connection = &mut self.connections[event.index];
        if connection.generation != event.generation || connection.state == State::Closed {
            return;
        }
        if event.writable && !connection.out.is_empty() {
            let now = self.now();
            self.flush(event.index, now);
        }
        if event.readable && self.connections[event.index].state != State::Closed {
            if self.is_watcher(event.index) && !event.is_over {
                self.hear(event.index);
            } else {
                self.read(event.index);
            }
        }
    }

    /// Reads all that is there; of a long reply only its beginning.
    pub(crate) fn read(&mut self, index: usize) {
        let mut buffer = mem::take(&mut self.buffer);
        loop {
            let connection = &self.connections[index];
            let rest = connection.scanner.rest().min(buffer.len());
            let is_discarded = rest >= DISCARD_MIN;
            let asked = if is_discarded { rest } else { self.read_size };
            let part = &mut buffer[..asked];
            let taken = if is_discarded { connection.discard(part) } else { connection.read(part) };
            match taken {
                Ok(None) => break,
                Ok(Some(0)) => {
                    self.hang_up(index);
                    break;
                }
                Ok(Some(n)) => {
                    let now = self.now();
                    if is_discarded {
                        self.pass_over(index, n, now);
                    } else {
                        self.take(index, &buffer[..n], now);
                    }
                    // A short read emptied the socket; the next edge tells of more.
                    if n < asked || self.connections[index].state == State::Closed {
                        break;
                    }
                }
                Err(error) => {
                    self.lose(index, &error.to_string());
                    break;
                }
            }
        }
        self.buffer = buffer;
    }

    fn take(&mut self, index: usize, mut bytes: &[u8], now: u64) {
        loop {
            match self.connections[index].scanner.next(&mut bytes) {
                Ok(Some(frame)) => self.frame(index, &frame, now),
                Ok(None) => break,
                Err(_) => return self.lose(index, "a frame of negative length"),
            }
            if self.connections[index].state == State::Closed {
                return;
            }
        }
        self.refill(index, now);
    }

    /// Bytes of the current frame came that nobody looks at.
    fn pass_over(&mut self, index: usize, count: usize, now: u64) {
        if let Some(frame) = self.connections[index].scanner.skip(count) {
            self.frame(index, &frame, now);
            self.refill(index, now);
        }
    }

    /// Sends what the window allows; in an open loop only what is already made.
    pub(crate) fn refill(&mut self, index: usize, now: u64) {
        let connection = &self.connections[index];
        if self.phase == Phase::Running
            && connection.state == State::Ready
            && self.load.kind.is_steady()
            && self.schedule.is_none()
        {
            for _ in connection.pending.len()..self.load.window {
                self.request(index, now);
            }
        }
        if !self.connections[index].out.is_empty() {
            self.flush(index, now);
        }
    }

    /// Makes the next request of a connection; its latency counts from `since`.
    fn request(&mut self, index: usize, since: u64) {
        let connection = &mut self.connections[index];
        let next = connection.next_xid();
        let (xid, slot) = self.traffic.next(&mut connection.lane, next, &mut connection.out);
        connection.pending.push_back(Pending { since, xid, slot });
    }

    /// Makes the requests that are due, one per connection with room in turn, and sends them.
    fn keep_pace(&mut self) {
        if self.phase != Phase::Running {
            return;
        }
        let now = self.now();
        if self.load.kind == Kind::Watch {
            return self.fire(now);
        }
        if !self.load.kind.is_steady() {
            return;
        }
        while self.schedule.as_ref().is_some_and(|schedule| schedule.next_due() <= now) {
            let Some(index) = self.find_room() else { return };
            if let Some(due) = self.schedule.as_mut().and_then(|schedule| schedule.take(now)) {
                self.request(index, due);
                self.flush(index, now);
            }
        }
    }

    fn find_room(&mut self) -> Option<usize> {
        let count = self.connections.len();
        let has_room = |connection: &Connection| {
            connection.state == State::Ready && connection.pending.len() < self.load.window
        };
        let index = (self.turn..self.turn + count)
            .map(|at| at % count)
            .find(|index| has_room(&self.connections[*index]))?;
        self.turn = (index + 1) % count;
        Some(index)
    }

    pub(crate) fn flush(&mut self, index: usize, now: u64) {
        if let Err(error) = self.connections[index].flush(now) {
            self.lose(index, &error.to_string());
        }
    }

    /// Keeps quiet sessions alive, and gives up on what has waited too long.
    fn look(&mut self) {
        self.read_answers();
        let now = self.now();
        let timeout = u64::from(self.load.session_timeout_ms) * NS_PER_MS;
        self.next_look = now + (timeout / 12).clamp(NS_PER_MS, 1000 * NS_PER_MS);
        for index in 0..self.connections.len() {
            let connection = &mut self.connections[index];
            let waiting_since = match connection.state {
                State::Closed | State::Closing => continue,
                State::Opening => connection.opened_at,
                State::Ready => {
                    // Late requests of an open loop are old before they are sent.
                    let front = connection.pending.front().map(|p| p.since.max(connection.sent_at));
                    connection.pinged_at.or(front).unwrap_or(now)
                }
            };
            if now.saturating_sub(waiting_since) > timeout {
                self.lose(index, "no answer within the session time-out");
            } else if connection.state == State::Ready
                && connection.pending.is_empty()
                && connection.pinged_at.is_none()
                && now.saturating_sub(connection.sent_at) > timeout / 3
            {
                connection.pinged_at = Some(now);
                self.traffic.ping.emit(wire::xid::PING, &mut connection.out, || 0);
                self.flush(index, now);
            }
        }
    }

    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }
}

/// What is read from a socket at a time, in bytes: stays in a core's cache.
const READ_SIZE: usize = 64 * 1024;
/// The same where most of a reply is discarded: enough for what is looked at.
const READ_SIZE_OF_LONG: usize = 512;
/// What is discarded at a time at most, in bytes; beyond what is read, nothing is ever written to the buffer.
const BUFFER_SIZE: usize = 1024 * 1024;
/// Less than this is read with what follows it.
const DISCARD_MIN: usize = 4 * 1024;
const NS_PER_MS: u64 = 1_000_000;
/// How long the sessions of a load may take to open.
const OPEN_TIME_MAX: u64 = 120_000 * NS_PER_MS;
/// How long replies are awaited after the end.
const DRAIN_TIME_MAX: u64 = 5_000 * NS_PER_MS;
