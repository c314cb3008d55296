//! The worker's other half: what frames mean, by the state of their connection and the kind of load.
//!
//! Sessions open and close here, watches are set and fire, and replies meet their requests. A reply out of order
//! costs the connection: a server that does that is not measured but reported.

use crate::load::connection::{Manner, Pending, State, error_of};
use crate::load::plan::Kind;
use crate::load::scan::Frame;
use crate::load::traffic::UNCOUNTED;
use crate::load::worker::{Phase, Worker};
use anyhow::Result;
use wire::{ErrorCode, xid};

impl Worker<'_> {
    /// Starts what does not start by itself.
    pub(crate) fn begin(&mut self) -> Result<()> {
        let now = self.now();
        for index in 0..self.connections.len() {
            if self.connections[index].state == State::Ready {
                self.take_part(index, now);
                self.refill(index, now);
            }
        }
        Ok(())
    }

    /// Whether a load that ends by itself has ended.
    pub(crate) fn is_done(&self) -> bool {
        self.load.kind == Kind::Storm && self.opening == 0 && self.to_open.is_empty()
    }

    /// Connections that may be opening at a time.
    pub(crate) fn opening_max(&self) -> usize {
        self.load.at_once.div_ceil(self.load.threads_in_use())
    }

    /// Opens connections whose time has come.
    pub(crate) fn open_some(&mut self, now: u64) {
        let manner = if self.load.kind.is_steady() { Manner::Pipelined } else { Manner::InTurn };
        while self.opening < self.opening_max() {
            match self.to_open.front() {
                Some((not_before, _)) if *not_before <= now => {}
                Some(_) | None => return,
            }
            let Some((_, index)) = self.to_open.pop_front() else { return };
            self.opening += 1;
            let connection = &mut self.connections[index];
            let host = self.hosts[connection.lane.number as usize % self.hosts.len()];
            let opened = connection
                .open(host, manner, self.load.session_timeout_ms, now)
                .and_then(|()| self.poll.add(connection.socket()?, index, connection.generation))
                .and_then(|()| connection.flush(now));
            if let Err(error) = opened {
                self.lose(index, &error.to_string());
            }
        }
    }

    /// One whole frame came.
    #[inline]
    pub(crate) fn frame(&mut self, index: usize, frame: &Frame, now: u64) {
        match self.connections[index].state {
            State::Ready | State::Closing => self.reply(index, frame, now),
            State::Opening => self.welcome(index, frame, now),
            State::Closed => self.lose(index, "bytes after the end"),
        }
    }

    /// The answer to the handshake: a protocol version, the time-out, the session.
    fn welcome(&mut self, index: usize, frame: &Frame, now: u64) {
        if frame.int(4).is_none_or(|timeout_ms| timeout_ms <= 0) {
            return self.lose(index, "the server refused a session");
        }
        let connection = &mut self.connections[index];
        connection.state = State::Ready;
        let opened_at = connection.opened_at;
        // A churning connection counts as opening until its session is closed again.
        if self.load.kind != Kind::Churn {
            self.opening -= 1;
        }
        if self.is_alone()
            && let Err(error) = self.connections[index].wait_in_reads()
        {
            return self.lose(index, &error.to_string());
        }
        if self.load.kind == Kind::Storm && self.phase == Phase::Running {
            self.tally.slots[0].record(now.saturating_sub(opened_at));
        }
        if self.phase == Phase::Running {
            self.take_part(index, now);
        } else if self.phase == Phase::Closing {
            self.say_goodbye(index, now);
        }
    }

    /// A connection with a session joins the load, if it takes more than sending requests.
    fn take_part(&mut self, index: usize, now: u64) {
        match self.load.kind {
            Kind::Watch if index != SETTER => {
                self.connections[index].heard = self.fired;
                self.arm(index, now);
            }
            Kind::Churn => self.say_goodbye(index, self.connections[index].opened_at),
            Kind::Watch
            | Kind::Get
            | Kind::Exists
            | Kind::Set
            | Kind::Create
            | Kind::Sequential
            | Kind::Mixed
            | Kind::Sync
            | Kind::Multi
            | Kind::Children
            | Kind::Ping
            | Kind::Storm
            | Kind::Idle => {}
        }
    }

    fn reply(&mut self, index: usize, frame: &Frame, now: u64) {
        let connection = &mut self.connections[index];
        let Some(reply_xid) = frame.int(0) else {
            return self.lose(index, "a reply without a header");
        };
        if reply_xid == xid::NOTIFICATION {
            return self.event(index, now);
        }
        if reply_xid == xid::PING
            && let Some(pinged_at) = connection.pinged_at.take()
        {
            if self.load.kind == Kind::Idle && self.phase == Phase::Running {
                self.tally.slots[0].record(now.saturating_sub(pinged_at));
            }
            return;
        }
        let Some(pending) = connection.pending.pop_front().filter(|p| p.xid == reply_xid) else {
            return self.lose(index, "a reply out of order");
        };
        let Some(err) = error_of(frame, self.load.kind == Kind::Multi) else {
            return self.lose(index, "a reply without a header");
        };
        let is_last = connection.state == State::Closing && connection.pending.is_empty();
        if self.phase == Phase::Running {
            if err != 0 {
                self.tally.failed(err, 1);
                self.refused(index, now);
            } else if pending.slot != UNCOUNTED {
                let histogram = &mut self.tally.slots[usize::from(pending.slot)];
                histogram.record(now.saturating_sub(pending.since));
            } else if connection.pending.is_empty()
                && self.is_watcher(index)
                && !self.is_owed(index)
            {
                // It was not left for later.
                self.set_armed(index);
            }
        }
        if is_last {
            self.hang_up(index);
        }
    }

    /// Whether a connection is one of those that wait for events now.
    pub(crate) fn is_watcher(&self, index: usize) -> bool {
        self.load.kind == Kind::Watch
            && index != SETTER
            && self.phase == Phase::Running
            && self.connections[index].state == State::Ready
    }

    /// Whether a set was sent that this watcher has not heard of yet.
    fn is_owed(&self, index: usize) -> bool {
        self.connections[index].heard < self.fired
    }

    fn is_armed(&self, index: usize) -> bool {
        self.connections[index].armed > self.fired
    }

    /// Something came for a watcher: the answer to its watch, or the event after it.
    ///
    /// An answer says no more than that it is there, so it is left to be read with the event; and before an event
    /// is read the watch is set again, so that the request acknowledges what came: reading first would make the
    /// kernel send an acknowledgement of its own. Nothing is left while an event is owed, which may have come
    /// together with the answer: no edge would tell of it again.
    pub(crate) fn hear(&mut self, index: usize) {
        if self.is_owed(index) {
            let now = self.now();
            self.ask_again(index, now);
        } else if !self.is_armed(index) && self.connections[index].pending.len() == 1 {
            return self.set_armed(index);
        }
        if self.connections[index].state == State::Ready {
            self.read(index);
        }
    }

    /// Reads the answers that were left; an error among them is counted.
    pub(crate) fn read_answers(&mut self) {
        if self.load.kind != Kind::Watch {
            return;
        }
        for index in 0..self.connections.len() {
            let connection = &self.connections[index];
            if connection.state == State::Ready && !connection.pending.is_empty() {
                self.read(index);
            }
        }
    }

    /// An event came: it is counted.
    fn event(&mut self, index: usize, now: u64) {
        if self.phase == Phase::Running {
            self.tally.slots[0].record(now.saturating_sub(self.fired_at));
            self.connections[index].heard = self.fired;
            self.ask_again(index, now);
        }
    }

    /// A request failed: a set of the watched node has no events, and a watch is asked for again.
    fn refused(&mut self, index: usize, now: u64) {
        if self.load.kind == Kind::Watch && index == SETTER {
            self.keep_watches();
        } else if self.is_watcher(index) {
            self.disarm(index);
            self.connections[index].heard = self.fired;
            if self.connections[index].pending.is_empty() {
                self.arm(index, now);
            }
        }
    }

    /// The last set was none: what was set for it is set for the next.
    fn keep_watches(&mut self) {
        let next = self.fired + 1;
        for connection in &mut self.connections[SETTER + 1..] {
            connection.heard = self.fired;
            if connection.armed == self.fired && connection.asked == self.fired {
                (connection.asked, connection.armed) = (next, next);
                self.armed += 1;
            }
        }
    }

    fn set_armed(&mut self, index: usize) {
        if !self.is_armed(index) {
            self.connections[index].armed = self.fired + 1;
            self.armed += 1;
        }
    }

    fn disarm(&mut self, index: usize) {
        if self.is_armed(index) {
            self.connections[index].armed = 0;
            self.armed -= 1;
        }
    }

    /// Asks for a watch for the next set, unless that is done.
    fn ask_again(&mut self, index: usize, now: u64) {
        if self.connections[index].asked <= self.fired {
            self.arm(index, now);
        }
    }

    /// Sets a watch.
    fn arm(&mut self, index: usize, now: u64) {
        let connection = &mut self.connections[index];
        connection.asked = self.fired + 1;
        let xid = connection.next_xid();
        self.traffic.arm.emit(xid, &mut connection.out, || 0);
        connection.pending.push_back(Pending { since: now, xid, slot: UNCOUNTED });
        self.flush(index, now);
    }

    /// Sets the watched node, once every watch is set and the pace has it.
    pub(crate) fn fire(&mut self, now: u64) {
        let watchers = self.connections.len() - 1;
        let setter = &mut self.connections[SETTER];
        if self.armed < watchers || setter.state != State::Ready || !setter.pending.is_empty() {
            return;
        }
        if let Some(schedule) = &mut self.schedule
            && schedule.take(now).is_none()
        {
            return;
        }
        let xid = setter.next_xid();
        self.traffic.fire.emit(xid, &mut setter.out, || 0);
        setter.pending.push_back(Pending { since: now, xid, slot: 1 });
        self.fired += 1;
        self.armed = 0;
        self.fired_at = now;
        self.flush(SETTER, now);
    }

    /// Asks for the end of a session; what it counts as, it counts from `since`.
    fn say_goodbye(&mut self, index: usize, since: u64) {
        let now = self.now();
        let connection = &mut self.connections[index];
        connection.state = State::Closing;
        let xid = connection.next_xid();
        self.traffic.close.emit(xid, &mut connection.out, || 0);
        let slot = if self.load.kind == Kind::Churn { 0 } else { UNCOUNTED };
        connection.pending.push_back(Pending { since, xid, slot });
        self.flush(index, now);
    }

    /// The session is over, or the server ended the connection.
    pub(crate) fn hang_up(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        if connection.state != State::Closing || !connection.pending.is_empty() {
            return self.lose(index, "the server closed the connection");
        }
        connection.close();
        if self.load.kind == Kind::Churn {
            self.opening -= 1;
            if self.phase == Phase::Running {
                self.to_open.push_back((0, index));
            }
        }
    }

    /// The connection is gone with all that was under way.
    pub(crate) fn lose(&mut self, index: usize, why: &str) {
        self.disarm(index);
        let connection = &mut self.connections[index];
        let (state, pending) = (connection.state, connection.pending.len() as u64);
        connection.close();
        match state {
            // `open` failed before there was a socket, or later before there was a session.
            State::Closed | State::Opening => self.opening -= 1,
            State::Closing if self.load.kind == Kind::Churn => self.opening -= 1,
            State::Ready | State::Closing => {}
        }
        if matches!(self.phase, Phase::Opening | Phase::Running) {
            self.to_open.push_back((self.now() + REOPEN_DELAY, index));
            self.last_error = Some(why.to_owned());
        }
        if self.phase == Phase::Running {
            self.tally.lost += 1;
            self.tally.failed(ErrorCode::ConnectionLoss.number(), pending);
        }
    }

    /// Ends every session, as a client does that leaves in good order.
    pub(crate) fn close_all(&mut self) -> Result<()> {
        self.phase = Phase::Closing;
        self.to_open.clear();
        let now = self.now();
        for index in 0..self.connections.len() {
            match self.connections[index].state {
                State::Ready => self.say_goodbye(index, now),
                // Not even connected yet.
                State::Opening if !self.connections[index].out.is_empty() => {
                    self.connections[index].close();
                }
                State::Closed | State::Opening | State::Closing => {}
            }
        }
        let limit = now + CLOSE_TIME_MAX;
        while self.connections.iter().any(|c| c.state != State::Closed) && self.now() < limit {
            self.step(limit)?;
        }
        Ok(())
    }
}

/// The connection that sets the node that the others watch.
const SETTER: usize = 0;
/// Before a lost connection is opened again, in ns: a server that is down is not hammered.
const REOPEN_DELAY: u64 = 100_000_000;
/// How long the end of all sessions may take, in ns; the server expires the rest.
const CLOSE_TIME_MAX: u64 = 10_000_000_000;
