//! The member's side of the world: what a server's threads do, one step at a time.
//!
//! The phases are those of the server: inputs in, outputs performed in order, one commit, what is
//! durable back in, then each touched connection once. Between any two the member may crash.

use crate::hall::{Hall, Served};
use crate::observe;
use crate::power::PoweredDisk;
use crate::report::Ending;
use crate::world::{Event, Step, World};
use base::{ConnectionId, Machine, SessionId, Time, Zxid};
use check::{Silence, Violation, Work};
use keeper::{Ask, Connection, Desk, Frame, Frames, Ids, Origin, Submissions};
use node::{
    CheckpointConfig, Input, Journal, Member, Output, Progress, SnapshotOptions, SnapshotTask,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use storage::{RecoveryOptions, RestoreError, TxnLog};
use trace::Event as Happened;
use tree::Walk;

/// A running member.
pub(crate) struct Host {
    pub(crate) hall: Hall,
    pub(crate) member: Member<Hall>,
    /// Gone once it has failed.
    journal: Option<Journal<PoweredDisk>>,
    pub(crate) inbox: Submissions,
    snapshot: Option<Snapshot>,
    wires: BTreeMap<ConnectionId, Wire>,
    generation: u32,
    contacts: BTreeMap<i64, Contact>,
    /// Logged and durable places, as the world counts them.
    appended: i64,
    durable: i64,
    pub(crate) committing: bool,
    cycle_at: Option<Time>,
    pub(crate) disk_failed: bool,
}

/// When a session was last heard. A handshake counts from when it came in, or from when it was
/// settled: the world leaves that to the member.
#[derive(Clone, Copy)]
struct Contact {
    earliest: Time,
    latest: Time,
    timeout: Duration,
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

enum Snapshot {
    Begun(Walk, i64),
    Walking(SnapshotTask<PoweredDisk>, i64),
    Walked(SnapshotTask<PoweredDisk>, i64),
}

impl Host {
    pub(crate) fn is_idle(&self) -> bool {
        self.inbox.is_empty() && !self.committing && self.snapshot.is_none()
    }
}

impl World {
    fn snapshot_options(&self) -> SnapshotOptions {
        SnapshotOptions { compression: self.compression(), digest: true, last_zxid: true }
    }

    /// Starts the member on what the disk has.
    pub(crate) fn start(&mut self) -> Step {
        self.start += 1;
        self.reached.starts += 1;
        let fuse = self.recovery_fuse.take();
        if fuse.is_some() {
            self.disk.set_fuse(fuse);
        }
        let owners = self.keeper_config.owners;
        let recovered = node::recover(
            &self.disk,
            &self.dirs,
            RecoveryOptions::default(),
            tree::Config { digest: true, owners },
            self.snapshot_options(),
        );
        self.note("start", self.start, u64::from(recovered.is_ok()), &[]);
        if self.disk.is_off() {
            self.disk.inner().crash(&mut self.rng);
            self.disk.repair();
            self.schedule(Duration::from_millis(50), Event::Start);
            return Ok(());
        }
        if fuse.is_some() {
            self.disk.set_fuse(None);
        }
        match recovered {
            Ok(recovered) => self.started(recovered),
            Err(error) => self.not_started(&error),
        }
    }

    fn not_started(&mut self, error: &node::RecoverError) -> Step {
        let is_io = matches!(
            error,
            node::RecoverError::Storage(storage::Error::Io { .. })
                | node::RecoverError::Restore(RestoreError::Storage(storage::Error::Io { .. }))
        );
        if is_io {
            // The operator mends the disk and starts again.
            self.disk.repair();
            self.schedule(Duration::from_millis(100), Event::Start);
            return Ok(());
        }
        if self.flipped {
            self.reached.refused_starts += 1;
            self.ending = Some(Ending::Refused(error.to_string()));
            return Ok(());
        }
        Err(Violation::new("recovery.refused", error.to_string()))
    }

    fn started(&mut self, recovered: node::Recovered) -> Step {
        let node::Recovered { tree, restored } = recovered;
        self.reached.replayed += restored.replayed;
        self.reached.skipped_snapshots += restored.skipped_snapshots.len() as u64;
        let torn =
            |finding: &&storage::Finding| matches!(finding, storage::Finding::TornTail { .. });
        self.reached.torn_tails += restored.findings.iter().filter(torn).count() as u64;
        let last = tree.last_zxid().0;
        self.show(|| format!("recovered {last:#x}, applied was {:#x}", self.applied));
        if last < self.applied {
            let what = format!("{last:#x} was recovered, {:#x} had been applied", self.applied);
            return Err(Violation::new("durability", what));
        }
        if last > self.commits.last().map_or(0, |commit| commit.zxid) {
            return Err(Violation::new("order.beyond", format!("{last:#x} was never logged")));
        }
        self.commits.truncate(last as usize);
        self.trees.push(observe::tree(&tree)?);
        let (earliest, latest) = (self.now, self.now);
        let full = |(session, ms): (SessionId, i32)| {
            (session.0, Contact { earliest, latest, timeout: millis(ms) })
        };
        let contacts = tree.sessions().map(full).collect();
        self.applied = last;
        let hall = Hall::new(tree);
        let config = node::Config {
            keeper: Arc::clone(&self.keeper_config),
            checkpoint: CheckpointConfig { txns: self.options.snap_count, log_bytes: None },
        };
        let mut out = Vec::new();
        let (now, wall, rng) = (self.now, self.wall(), self.rng.fork());
        let replayed = restored.replayed > 0;
        let member = Member::recover(hall.clone(), &config, replayed, now, wall, rng, &mut out);
        let log = TxnLog::new(self.disk.clone(), self.dirs.logs(), self.log_options());
        self.host = Some(Host {
            hall,
            member,
            journal: Some(Journal::new(log)),
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
        });
        self.stalled_at = self.now;
        self.schedule(self.options.tick, Event::Sweep { start: self.start });
        self.perform(out)?;
        self.wake_for_deadline();
        Ok(())
    }

    /// The member dies here if it is its turn. Says whether it did.
    pub(crate) fn boundary(&mut self) -> Result<bool, Violation> {
        self.boundaries += 1;
        let dies = match &mut self.boundary {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        };
        if dies {
            self.boundary = None;
            self.reached.crashes_at_boundaries += 1;
            self.crash(true);
        }
        Ok(dies)
    }

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
    fn close_connection(&mut self, id: ConnectionId) {
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

    fn wake_for_inbox(&mut self) {
        if self.host.as_ref().is_some_and(|host| !host.inbox.is_empty()) {
            let delay = self.between(Duration::from_micros(5), Duration::from_micros(400));
            self.wake_at(self.now + delay);
        }
    }

    fn wake_for_deadline(&mut self) {
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
    fn handle(&mut self, input: Input) -> Step {
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

    fn perform(&mut self, out: Vec<Output>) -> Step {
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
        if closes {
            if let Some(host) = &mut self.host {
                host.contacts.remove(&commit.session);
            }
        }
        self.commits.push(commit);
        Ok(())
    }

    fn check_expiry(&self, session: i64) -> Step {
        let Some(host) = &self.host else { return Ok(()) };
        let Some(contact) = host.contacts.get(&session) else { return Ok(()) };
        let lasted = self.now.since(contact.earliest);
        let silence = Silence { lasted, timeout: contact.timeout };
        if check::may_expire(silence) {
            return Ok(());
        }
        Err(Violation::new("session.expiry", format!("{session:#x} was ended after {silence:?}")))
    }

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
            Output::Append { .. } | Output::Roll => Ok(()), // after the disk has failed
        }
    }

    fn snapshot_soon(&mut self) {
        let mean = if self.rng.one_in(3) { 200 } else { 10 };
        let delay = self.around(Duration::from_millis(mean));
        self.schedule(delay, Event::SnapshotStep { start: self.start });
    }

    pub(crate) fn snapshot_step(&mut self) -> Step {
        if self.boundary()? {
            return Ok(());
        }
        let options = self.snapshot_options();
        let (disk, dir) = (self.disk.clone(), self.dirs.snapshots());
        let Some(host) = &mut self.host else { return Ok(()) };
        let appended = host.appended;
        let (zxid, step) = match host.snapshot.take() {
            None => return Ok(()),
            Some(Snapshot::Begun(walk, before)) => {
                self.reached.snapshot_steps_with_writes += u64::from(before != appended);
                let zxid = walk.start;
                let task = SnapshotTask::start(disk, &dir, walk, options);
                (zxid, task.map(|task| Some(Snapshot::Walking(task, appended))))
            }
            Some(Snapshot::Walking(mut task, before)) => {
                self.reached.snapshot_steps_with_writes += u64::from(before != appended);
                let more = task.look(&host.hall.0.borrow().tree);
                let zxid = task.zxid();
                let next = task.write().map(|()| {
                    Some(if more {
                        Snapshot::Walking(task, appended)
                    } else {
                        Snapshot::Walked(task, appended)
                    })
                });
                (zxid, next)
            }
            Some(Snapshot::Walked(task, before)) => {
                self.reached.snapshot_steps_with_writes += u64::from(before != appended);
                let end = SnapshotTask::<PoweredDisk>::end(&host.hall.0.borrow().tree);
                (task.zxid(), task.finish(end).map(|_| None))
            }
        };
        self.note("snapshot", zxid.0 as u64, u64::from(step.is_ok()), &[]);
        if self.disk.is_off() {
            self.crash(true);
            return Ok(());
        }
        self.snapshot_went(zxid, step)
    }

    fn snapshot_went(
        &mut self,
        zxid: Zxid,
        step: Result<Option<Snapshot>, storage::Error>,
    ) -> Step {
        match step {
            Ok(Some(next)) => {
                if let Some(host) = &mut self.host {
                    host.snapshot = Some(next);
                }
                self.snapshot_soon();
                Ok(())
            }
            Ok(None) => {
                self.reached.snapshots += 1;
                self.handle(Input::SnapshotTaken { zxid })?;
                self.purge()
            }
            Err(error) => {
                self.reached.snapshots_failed += 1;
                self.handle(Input::SnapshotFailed { zxid, reason: error.to_string() })
            }
        }
    }

    fn purge(&mut self) -> Step {
        if !self.options.purge || self.host.is_none() {
            return Ok(());
        }
        let purged = storage::purge(&self.disk, &self.dirs, 3);
        if self.disk.is_off() {
            self.crash(true);
        } else if let Ok(purged) = purged {
            self.reached.purged += purged.len() as u64;
        }
        Ok(())
    }

    /// Closes idle connections, and looks whether sessions have outlived their time.
    pub(crate) fn sweep(&mut self) -> Step {
        let Some(host) = &self.host else { return Ok(()) };
        let idle: Vec<ConnectionId> = host
            .hall
            .0
            .borrow()
            .table
            .connections
            .iter()
            .filter(|(_, c)| c.idle_deadline(Duration::from_secs(10)) <= self.now)
            .map(|(id, _)| *id)
            .collect();
        for id in idle {
            self.close_connection(id);
        }
        self.wake_for_inbox();
        self.check_silences()?;
        self.schedule(Duration::from_millis(200), Event::Sweep { start: self.start });
        Ok(())
    }

    fn check_silences(&self) -> Step {
        let Some(host) = &self.host else { return Ok(()) };
        let calm = self.now.since(self.stalled_at) > Duration::from_millis(500);
        if host.disk_failed || !calm || host.committing {
            return Ok(());
        }
        for (session, contact) in &host.contacts {
            let lasted = self.now.since(contact.latest);
            let silence = Silence { lasted, timeout: contact.timeout };
            let delay = Duration::from_millis(500);
            if check::has_overslept(silence, self.options.tick, delay) {
                let what = format!("{session:#x} still lives after {silence:?}");
                return Err(Violation::new("session.overslept", what));
            }
        }
        Ok(())
    }

    /// The member is gone. With `power`, what was not synced may be, too.
    pub(crate) fn crash(&mut self, power: bool) {
        if self.host.take().is_none() {
            return;
        }
        self.note("crash", u64::from(power), 0, &[]);
        if power {
            self.reached.power_losses += 1;
            self.disk.inner().crash(&mut self.rng);
        } else {
            self.reached.kills += 1;
        }
        self.disk.repair();
        self.boundary = None;
        self.paused_until = self.now;
        let up: Vec<u32> =
            self.links.iter().filter(|(_, link)| link.server_up).map(|(id, _)| *id).collect();
        for id in up {
            // What was sent may still arrive, or be lost with the connection.
            let keeps = self.rng.percent(50);
            let Some(link) = self.links.get_mut(&id) else { continue };
            link.server_up = false;
            link.client_up &= keeps;
            let at = link.to_client_at.max(self.now) + Duration::from_micros(100);
            self.schedule_at(at, Event::ClientLost { link: id });
        }
        if self.rng.percent(if self.options.has(crate::Fault::RecoveryCrash) { 30 } else { 0 }) {
            self.recovery_fuse = Some(self.rng.below(8));
        }
        self.flip_a_bit();
        let delay = self.around(Duration::from_millis(300));
        self.schedule(delay, Event::Start);
    }
}

/// The operation that a record's header names.
fn wire_op(record: &[u8]) -> i32 {
    record.get(28..32).and_then(|b| b.try_into().ok()).map_or(0, i32::from_be_bytes)
}

fn millis(ms: i32) -> Duration {
    Duration::from_millis(ms.max(0) as u64)
}

/// What a socket takes before its sender has to wait.
const SOCKET_BYTES: usize = 16 * 1024;
