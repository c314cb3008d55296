//! The member's side of the world: what a server's threads do, one step at a time.
//!
//! The phases are those of the server: inputs in, outputs performed in order, one commit, what is
//! durable back in, then each touched connection once. Between any two the member may crash.

use crate::hall::{Hall, Served};
use crate::observe;
use crate::power::PoweredDisk;
use crate::silence::Contact;
use crate::snapshots::Snapshot;
use crate::world::{Event, Step, World};
use base::{ConnectionId, Machine, SessionId, Time, Zxid};
use check::{Violation, Work};
use keeper::{Ask, Connection, Desk, Frame, Frames, Ids, Origin, Submissions};
use node::{Input, Journal, Member, Output, Progress};
use std::collections::BTreeMap;
use std::time::Duration;
use trace::Event as Happened;

/// A running member.
pub(crate) struct Host {
    pub(crate) hall: Hall,
    pub(crate) member: Member<Hall>,
    /// Gone once it has failed.
    pub(crate) journal: Option<Journal<PoweredDisk>>,
    pub(crate) inbox: Submissions,
    pub(crate) snapshot: Option<Snapshot>,
    wires: BTreeMap<ConnectionId, Wire>,
    pub(crate) generation: u32,
    pub(crate) contacts: BTreeMap<i64, Contact>,
    /// Logged and durable places, as the world counts them.
    pub(crate) appended: i64,
    pub(crate) durable: i64,
    pub(crate) committing: bool,
    pub(crate) cycle_at: Option<Time>,
    pub(crate) disk_failed: bool,
}

struct Wire {
    link: u32,
    frames: Frames,
    input: Vec<u8>,
    /// Whether a session was seen to be open on it.
    opened: bool,
}

/// What a connection's task did.
struct Turn {
    link: u32,
    output: Vec<u8>,
    ends: bool,
    again: bool,
}

impl Host {
    /// A member that has just started; `last` is the last place that it recovered.
    pub(crate) fn new(
        hall: Hall,
        member: Member<Hall>,
        journal: Journal<PoweredDisk>,
        contacts: BTreeMap<i64, Contact>,
        last: i64,
    ) -> Host {
        Host {
            hall,
            member,
            journal: Some(journal),
            inbox: Submissions::default(),
            snapshot: None,
            wires: BTreeMap::new(),
            generation: 0,
            contacts,
            appended: last,
            durable: last,
            committing: false,
            cycle_at: None,
            disk_failed: false,
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.inbox.is_empty() && !self.committing && self.snapshot.is_none()
    }
}

impl World {
    pub(crate) fn accept(&mut self, id: u32) -> Step {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        let Some(host) = &mut self.host else {
            link.server_up = false;
            self.schedule(Duration::from_millis(1), Event::ClientLost { link: id });
            return Ok(());
        };
        host.generation += 1;
        let slot = host.generation % 64;
        let connection = ConnectionId { slot, generation: host.generation };
        link.connection = Some(connection);
        let remote = std::net::SocketAddr::from(([127, 0, 0, 1], 1000));
        let fresh = Connection::new(connection, remote, self.now, &self.keeper_config);
        host.hall.0.borrow_mut().table.connections.insert(connection, fresh);
        let frames = Frames::new(self.keeper_config.frame_size_max);
        host.wires.insert(connection, Wire { link: id, frames, input: Vec::new(), opened: false });
        Ok(())
    }

    pub(crate) fn at_server(&mut self, id: u32) -> Step {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        let bytes = link.to_server.pop_front().unwrap_or_default();
        if !link.server_up {
            return Ok(());
        }
        let (Some(connection), Some(host)) = (link.connection, &mut self.host) else {
            return Ok(());
        };
        let Some(wire) = host.wires.get_mut(&connection) else { return Ok(()) };
        wire.input.extend_from_slice(&bytes);
        self.note("in", u64::from(id), 0, &bytes);
        self.serve(connection)
    }

    /// A connection's own task: sends what there is, goes on with reads, takes frames.
    pub(crate) fn serve(&mut self, id: ConnectionId) -> Step {
        while let Some(turn) = self.turn(id) {
            self.check_gate()?;
            if !turn.output.is_empty() {
                self.send_to_client(turn.link, turn.output);
            }
            self.wake_for_inbox();
            if turn.ends {
                self.close_connection(id);
            }
            if !turn.again {
                break;
            }
        }
        Ok(())
    }

    fn turn(&mut self, id: ConnectionId) -> Option<Turn> {
        let host = self.host.as_mut()?;
        let wire = host.wires.get_mut(&id)?;
        let room = self.links.get(&wire.link).is_some_and(|l| l.in_flight < SOCKET_BYTES);
        let config = &self.keeper_config;
        let Served { tree, watches, table } = &mut *host.hall.0.borrow_mut();
        let connection = table.connections.get_mut(&id)?;
        let mut output = Vec::new();
        if room {
            connection.take_output(&mut output);
        }
        let now = self.now;
        let mut desk = Desk { now, config, tree, watches, submissions: &mut host.inbox };
        connection.resume(&mut desk);
        let mut broken = false;
        let mut took = 0;
        while connection.wants_more() && !broken {
            match wire.frames.next(&wire.input[took..], |_| false) {
                Ok(Frame::Payload(range)) => {
                    let frame = took + range.start..took + range.end;
                    connection.receive(&wire.input[frame.clone()], &mut desk);
                    took = frame.end;
                    if connection.is_open() {
                        let contact = host.contacts.get_mut(&connection.session().0);
                        contact.into_iter().for_each(|contact| {
                            (contact.earliest, contact.latest) = (now, now);
                        });
                    }
                }
                Ok(Frame::Incomplete { .. } | Frame::Word(_)) => break,
                Err(_) => broken = true,
            }
        }
        wire.input.drain(..took);
        let again = room && connection.has_output();
        let ends = broken || (connection.is_closed() && !connection.has_output());
        Some(Turn { link: wire.link, output, ends, again })
    }

    /// Nothing may be applied, and so nothing told, that is not durable.
    fn check_gate(&self) -> Step {
        let Some(host) = &self.host else { return Ok(()) };
        let applied = host.hall.0.borrow().tree.last_zxid().0;
        if applied > host.durable {
            let what = format!("{applied:#x} is applied, {:#x} is durable", host.durable);
            return Err(Violation::new("gate", what));
        }
        Ok(())
    }

    /// The server's end of a connection goes away: both sides learn of it.
    pub(crate) fn close_connection(&mut self, id: ConnectionId) {
        let Some(link) = self.forget_connection(id) else { return };
        self.note("close", u64::from(link), 0, &[]);
        if let Some(found) = self.links.get_mut(&link) {
            found.server_up = false;
            let at = found.to_client_at.max(self.now) + Duration::from_micros(100);
            self.schedule_at(at, Event::ClientLost { link });
        }
    }

    fn forget_connection(&mut self, id: ConnectionId) -> Option<u32> {
        let host = self.host.as_mut()?;
        let wire = host.wires.remove(&id)?;
        let served = &mut *host.hall.0.borrow_mut();
        served.watches.remove_connection(id);
        let connection = served.table.connections.remove(&id)?;
        let (session, last_heard) = (connection.session(), connection.last_heard());
        if session != SessionId::NONE {
            let ids = Ids::default();
            let origin = Origin { connection: id, session, xid: 0, ids: &ids, arrived: self.now };
            host.inbox.ask(origin, Ask::Detach { last_heard });
        }
        Some(wire.link)
    }

    pub(crate) fn server_lost(&mut self, id: u32) -> Step {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        link.server_up = false;
        if let Some(connection) = link.connection {
            self.forget_connection(connection);
            self.wake_for_inbox();
        }
        Ok(())
    }

    pub(crate) fn wake_for_inbox(&mut self) {
        if self.host.as_ref().is_some_and(|host| !host.inbox.is_empty()) {
            let delay = self.between(Duration::from_micros(5), Duration::from_micros(400));
            self.wake_at(self.now + delay);
        }
    }

    pub(crate) fn wake_for_deadline(&mut self) {
        if let Some(deadline) = self.host.as_ref().and_then(|host| host.member.deadline()) {
            self.wake_at(deadline);
        }
    }

    fn wake_at(&mut self, at: Time) {
        let Some(host) = &mut self.host else { return };
        let at = at.max(self.now);
        if host.cycle_at.is_none_or(|earlier| at < earlier) {
            host.cycle_at = Some(at);
            self.schedule_at(at, Event::Cycle { start: self.start });
        }
    }

    /// The member's turn: what was submitted first, so that it knows of all that its connections
    /// do before it ends a session; then its timers.
    pub(crate) fn cycle(&mut self) -> Step {
        let overlap = self.options.overlap;
        let Some(host) = &mut self.host else { return Ok(()) };
        host.cycle_at = None;
        if host.committing && !overlap {
            return Ok(()); // the commit ends in a cycle
        }
        let submissions = std::mem::take(&mut host.inbox);
        let wall = self.wall();
        if !submissions.is_empty() {
            if self.boundary()? {
                return Ok(());
            }
            self.handle(Input::Submitted { submissions, wall })?;
        }
        let due = self.host.as_ref().and_then(|host| host.member.deadline());
        if due.is_some_and(|due| due <= self.now) {
            self.handle(Input::TimerExpired { wall })?;
        }
        self.sync_if_dirty();
        self.wake_for_inbox();
        self.wake_for_deadline();
        Ok(())
    }

    fn sync_if_dirty(&mut self) {
        let Some(host) = &mut self.host else { return };
        let dirty = host.journal.as_ref().is_some_and(Journal::is_dirty);
        if !dirty || host.committing {
            return;
        }
        host.committing = true;
        let slow = self.now < self.slow_sync_until;
        let (low, high) = if slow { (50, 2000) } else { (0, 3) };
        let delay = self.between(Duration::from_millis(low), Duration::from_millis(high));
        if slow {
            self.stalled_at = self.stalled_at.max(self.now + delay);
        }
        self.schedule(delay, Event::Commit { start: self.start });
    }

    /// The journal's sync returns.
    pub(crate) fn commit(&mut self) -> Step {
        let Some(host) = &mut self.host else { return Ok(()) };
        host.committing = false;
        if self.boundary()? {
            return Ok(());
        }
        let Some(host) = &mut self.host else { return Ok(()) };
        let Some(journal) = &mut host.journal else { return Ok(()) };
        let outcome = journal.commit();
        if self.disk.is_off() {
            self.crash(true);
            return Ok(());
        }
        match outcome {
            Ok(Progress::Durable(upto)) => {
                host.durable = host.appended;
                self.note("durable", upto.0, 0, &[]);
                if self.boundary()? {
                    return Ok(());
                }
                let wall = self.wall();
                self.handle(Input::Durable { upto, wall })?;
            }
            Ok(Progress::Idle) => {}
            Err(error) => self.disk_failed(&error)?,
        }
        self.cycle()
    }

    fn disk_failed(&mut self, error: &storage::Error) -> Step {
        let Some(host) = &mut self.host else { return Ok(()) };
        host.journal = None;
        host.disk_failed = true;
        self.reached.disk_failures += 1;
        self.clients.iter_mut().for_each(crate::client::Client::disk_failed);
        self.handle(Input::DiskFailed { reason: error.to_string() })
    }

    /// Gives the member one input, performs its outputs, then wakes the connections it touched.
    pub(crate) fn handle(&mut self, input: Input) -> Step {
        let mut out = Vec::new();
        let Some(host) = &mut self.host else { return Ok(()) };
        host.member.handle(self.now, input, &mut out);
        self.applied = self.applied.max(host.hall.0.borrow().tree.last_zxid().0);
        self.check_gate()?;
        if self.boundary()? {
            return Ok(());
        }
        self.note_ends(&out);
        self.perform(out)?;
        self.wake_touched()
    }

    /// From here on the member refuses these sessions, also if the disk never takes their ends.
    fn note_ends(&mut self, out: &[Output]) {
        for output in out {
            if let Output::Append { record, .. } = output
                && wire_op(record) == wire::OpCode::CloseSession.number()
            {
                let session = record[..8].try_into().map_or(0, i64::from_be_bytes);
                self.ended.insert(session);
            }
        }
    }

    fn wake_touched(&mut self) -> Step {
        let Some(host) = &mut self.host else { return Ok(()) };
        let touched = std::mem::take(&mut host.hall.0.borrow_mut().table.touched);
        for id in touched {
            let Some(host) = &mut self.host else { return Ok(()) };
            if let Some(connection) = host.hall.0.borrow().table.connections.get(&id)
                && connection.is_open()
                && let Some(wire) = host.wires.get_mut(&id).filter(|wire| !wire.opened)
            {
                wire.opened = true;
                let (earliest, latest) = (connection.last_heard(), self.now);
                let contact = Contact { earliest, latest, timeout: connection.timeout() };
                host.contacts.insert(connection.session().0, contact);
            }
            self.serve(id)?;
        }
        Ok(())
    }

    pub(crate) fn perform(&mut self, out: Vec<Output>) -> Step {
        for output in out {
            let Some(host) = &mut self.host else { return Ok(()) };
            if let Output::Append { at, record, .. } = &output {
                if host.disk_failed {
                    return Err(Violation::new("disk.silence", format!("{at} after a failure")));
                }
                host.appended = at.0;
                let record = record.clone();
                self.logged(*at, &record)?;
            }
            let Some(host) = &mut self.host else { return Ok(()) };
            let Some(journal) = &mut host.journal else {
                self.other(output)?;
                continue;
            };
            match journal.perform(output) {
                Ok(None) => {}
                Ok(Some(output)) => self.other(output)?,
                Err(_) if self.disk.is_off() => {
                    self.crash(true);
                    return Ok(());
                }
                Err(error) => return self.disk_failed(&error),
            }
            if self.boundary()? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn logged(&mut self, at: Zxid, record: &[u8]) -> Step {
        self.note("append", at.0 as u64, 0, record);
        let commit = observe::commit(at, record)?;
        self.show(|| format!("{commit:x?}"));
        let closes = match commit.work {
            Work::Expire => {
                self.check_expiry(commit.session)?;
                true
            }
            Work::Asked { .. } => wire_op(record) == wire::OpCode::CloseSession.number(),
            Work::Open { .. } | Work::Reap { .. } | Work::ReapFailed { .. } => false,
        };
        if closes && let Some(host) = &mut self.host {
            host.contacts.remove(&commit.session);
        }
        self.commits.push(commit);
        Ok(())
    }

    #[allow(clippy::wildcard_enum_match_arm)] // a server without peers asks for nothing else
    fn other(&mut self, output: Output) -> Step {
        match output {
            Output::TakeSnapshot => {
                let Some(host) = &mut self.host else { return Ok(()) };
                let walk = host.hall.0.borrow().tree.begin_walk();
                let begun = host.appended;
                host.snapshot = Some(Snapshot::Begun(walk, begun));
                self.snapshot_soon();
                Ok(())
            }
            Output::Event(Happened::DigestMismatch { zxid }) => {
                Err(Violation::new("digest", format!("mismatch at {zxid}")))
            }
            Output::Event(event) => {
                if let Happened::SessionRenewed { session } = event
                    && let Some(host) = &mut self.host
                    && let Some(contact) = host.contacts.get_mut(&session.0)
                {
                    // Also if the connection that asked for it is gone by now.
                    contact.latest = self.now;
                }
                self.show(|| event.to_string());
                Ok(())
            }
            _ => Ok(()), // after the disk has failed
        }
    }
}

/// The operation that a record's header names.
fn wire_op(record: &[u8]) -> i32 {
    record.get(28..32).and_then(|b| b.try_into().ok()).map_or(0, i32::from_be_bytes)
}

/// What a socket takes before its sender has to wait.
const SOCKET_BYTES: usize = 16 * 1024;
