//! The member's side of the world: what a server's threads do, one step at a time.
//!
//! The phases are those of the server: inputs in, outputs performed in order, one commit, what is
//! durable back in, then each touched connection once. Between any two the member may crash.

use crate::connections::Wire;
use crate::hall::Hall;
use crate::observe;
use crate::peers::{Read, Source};
use crate::power::PoweredDisk;
use crate::silence::Contact;
use crate::site::Done;
use crate::snapshots::Snapshot;
use crate::world::{Act, Event, Step, World};
use base::{ConnectionId, Machine, Time, Zxid};
use broadcast::LinkId;
use check::{Violation, Work};
use keeper::Submissions;
use node::{Input, Journal, Member, Output, Progress};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use trace::Event as Happened;

/// A running member.
pub(crate) struct Host {
    pub(crate) hall: Hall,
    pub(crate) member: Member<Hall>,
    /// Gone once it has failed.
    pub(crate) journal: Option<Journal<PoweredDisk>>,
    pub(crate) inbox: Submissions,
    /// News of links that the member has not heard.
    pub(crate) news: VecDeque<crate::net::News>,
    pub(crate) snapshot: Option<Snapshot>,
    /// States on their way to others.
    pub(crate) sources: BTreeMap<LinkId, Source>,
    /// What is to be read from the disk.
    pub(crate) reads: VecDeque<Read>,
    pub(crate) wires: BTreeMap<ConnectionId, Wire>,
    pub(crate) generation: u32,
    pub(crate) contacts: BTreeMap<i64, Contact>,
    pub(crate) committing: bool,
    pub(crate) cycle_at: Option<Time>,
    pub(crate) disk_failed: bool,
    /// Whether a snapshot could not be written.
    pub(crate) snapshot_failed: bool,
    /// The last place that was seen to be applied while it served.
    seen: i64,
    /// Whether it served then.
    served: bool,
}

impl Host {
    /// A member that has just started.
    pub(crate) fn new(
        hall: Hall,
        member: Member<Hall>,
        journal: Journal<PoweredDisk>,
        contacts: BTreeMap<i64, Contact>,
    ) -> Host {
        Host {
            hall,
            member,
            journal: Some(journal),
            inbox: Submissions::default(),
            news: VecDeque::new(),
            snapshot: None,
            sources: BTreeMap::new(),
            reads: VecDeque::new(),
            wires: BTreeMap::new(),
            generation: 0,
            contacts,
            committing: false,
            cycle_at: None,
            disk_failed: false,
            snapshot_failed: false,
            seen: 0,
            served: false,
        }
    }

    /// The last place that its tree holds.
    pub(crate) fn last(&self) -> i64 {
        self.hall.0.borrow().tree.last_zxid().0
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.inbox.is_empty() && !self.committing && self.snapshot.is_none()
    }
}

impl World {
    pub(crate) fn wake_for_inbox(&mut self, member: usize) {
        if self.sites[member].host.as_ref().is_some_and(|host| !host.inbox.is_empty()) {
            let delay = self.between(Duration::from_micros(5), Duration::from_micros(400));
            self.wake_at(member, self.now + delay);
        }
    }

    /// Sees to it that the member is woken at its deadline.
    pub(crate) fn wake_for_deadline(&mut self, member: usize) {
        let site = &self.sites[member];
        if let Some(deadline) = site.host.as_ref().and_then(|host| host.member.deadline()) {
            self.wake_at(member, site.clock.world(deadline));
        }
    }

    fn wake_at(&mut self, member: usize, at: Time) {
        let site = &mut self.sites[member];
        let (at, start) = (at.max(self.now), site.start);
        let Some(host) = &mut site.host else { return };
        if host.cycle_at.is_none_or(|earlier| at < earlier) {
            host.cycle_at = Some(at);
            self.schedule_at(at, Event::Member { member, start, act: Act::Cycle });
        }
    }

    /// The member's turn: news of links first, then what was submitted, so that it knows of all
    /// that its connections do before it ends a session; then its timers.
    pub(crate) fn cycle(&mut self, member: usize) -> Step {
        let overlap = self.options.overlap;
        let Some(host) = &mut self.sites[member].host else { return Ok(()) };
        host.cycle_at = None;
        if host.committing && !overlap {
            return Ok(()); // the commit ends in a cycle
        }
        self.hear_news(member)?;
        let Some(host) = &mut self.sites[member].host else { return Ok(()) };
        let submissions = std::mem::take(&mut host.inbox);
        let wall = self.wall(member);
        if !submissions.is_empty() {
            if self.boundary(member)? {
                return Ok(());
            }
            self.handle(member, Input::Submitted { submissions, wall })?;
        }
        // What connections did meanwhile comes before any session ends: also that they are gone.
        if let Some(host) = &mut self.sites[member].host
            && !host.inbox.is_empty()
        {
            let submissions = std::mem::take(&mut host.inbox);
            self.handle(member, Input::Submitted { submissions, wall })?;
        }
        let due = self.sites[member].host.as_ref().and_then(|host| host.member.deadline());
        if due.is_some_and(|due| due <= self.local(member)) {
            self.handle(member, Input::TimerExpired { wall })?;
        }
        self.go_on(member);
        Ok(())
    }

    /// What follows from a step of the member.
    pub(crate) fn go_on(&mut self, member: usize) {
        self.sync_if_dirty(member);
        self.wake_for_inbox(member);
        self.wake_for_deadline(member);
    }

    fn sync_if_dirty(&mut self, member: usize) {
        let site = &mut self.sites[member];
        let Some(host) = &mut site.host else { return };
        let dirty = host.journal.as_ref().is_some_and(Journal::is_dirty);
        if !dirty || host.committing {
            return;
        }
        host.committing = true;
        let slow = self.now < site.slow_sync_until;
        let (low, high) = if slow { (50, 2000) } else { (0, 3) };
        let delay = self.between(Duration::from_millis(low), Duration::from_millis(high));
        if slow {
            let site = &mut self.sites[member];
            site.stalled_at = site.stalled_at.max(self.now + delay);
        }
        self.schedule_act(delay, member, Act::Commit);
    }

    /// The journal's sync returns.
    pub(crate) fn commit(&mut self, member: usize) -> Step {
        let Some(host) = &mut self.sites[member].host else { return Ok(()) };
        host.committing = false;
        if self.boundary(member)? {
            return Ok(());
        }
        let site = &mut self.sites[member];
        let Some(journal) = site.host.as_mut().and_then(|host| host.journal.as_mut()) else {
            return Ok(());
        };
        let outcome = journal.commit();
        if site.disk.is_off() {
            self.crash(member, true);
            return Ok(());
        }
        match outcome {
            Ok(Progress::Durable(upto)) => {
                site.synced();
                self.do_chores(member)?;
                self.note("durable", member as u64, upto.0, &[]);
                if self.boundary(member)? {
                    return Ok(());
                }
                let wall = self.wall(member);
                self.handle(member, Input::Durable { upto, wall })?;
            }
            Ok(Progress::Idle) => {}
            Err(error) => self.disk_failed(member, &error)?,
        }
        self.cycle(member)
    }

    pub(crate) fn disk_failed(&mut self, member: usize, error: &storage::Error) -> Step {
        let Some(host) = &mut self.sites[member].host else { return Ok(()) };
        host.journal = None;
        host.disk_failed = true;
        self.reached.disk_failures += 1;
        if self.options.ensemble.is_none() {
            self.clients.iter_mut().for_each(crate::client::Client::disk_failed);
        }
        self.handle(member, Input::DiskFailed { reason: error.to_string() })
    }

    /// Gives the member one input, performs its outputs, then wakes the connections it touched.
    pub(crate) fn handle(&mut self, member: usize, input: Input) -> Step {
        let mut out = Vec::new();
        let now = self.local(member);
        let Some(host) = &mut self.sites[member].host else { return Ok(()) };
        host.member.handle(now, input, &mut out);
        self.sites[member].installs(&out);
        self.check_gate(member)?;
        // What is decided is so from here on, also if nobody hears of it.
        self.look_at(member)?;
        if self.boundary(member)? {
            return Ok(());
        }
        self.note_ends(&out);
        self.perform(member, out)?;
        // The rest of what was applied is an entry that this very step has logged.
        self.wake_touched(member)
    }

    /// Nothing may be applied, and so nothing told, that is not durable.
    pub(crate) fn check_gate(&self, member: usize) -> Step {
        let site = &self.sites[member];
        let Some(host) = &site.host else { return Ok(()) };
        let applied = host.last();
        let entry = self.ledger.entry_in(applied, site.tip);
        if site.serves() && entry > site.durable && applied as u32 != 0 {
            let what =
                format!("{}: {applied:#x} is applied, {:#x} is durable", site.node.0, site.durable);
            return Err(Violation::new("gate", what));
        }
        Ok(())
    }

    /// Holds what a member that serves has applied against the order.
    fn look_at(&mut self, member: usize) -> Step {
        let site = &mut self.sites[member];
        let (serves, leads, tip) = (site.serves(), site.leads(), site.tip);
        let Some(host) = &mut site.host else { return Ok(()) };
        let last = host.last();
        if !serves || (host.served && host.seen == last) {
            host.served = serves;
            return Ok(());
        }
        let begins = !std::mem::replace(&mut host.served, true);
        site.lost = false;
        host.seen = last;
        let digest = host.hall.0.borrow().tree.digest();
        if leads && last as u32 == 0 && last != 0 && !self.ledger.is_begun(last) {
            self.ledger.begin_epoch(last, tip)?;
            self.reached.leaders += 1;
            self.led_since = self.now;
        }
        let entry = self.ledger.entry_in(last, tip);
        if !self.ledger.leads_to(entry, tip) {
            let what = format!(
                "member {} has applied {last:#x}, which does not lead to its last {tip:#x}",
                self.sites[member].node.0
            );
            return Err(Violation::new("order.applied", what));
        }
        let before = self.ledger.decided();
        self.ledger.decide(entry)?;
        self.check_quorums(before, entry)?;
        self.ledger.digest(entry, digest)?;
        if begins && self.options.ensemble.is_some() {
            self.see_tree(member)?;
        }
        Ok(())
    }

    /// Keeps the member's tree, to be held against the model.
    pub(crate) fn see_tree(&mut self, member: usize) -> Step {
        let Some(host) = &self.sites[member].host else { return Ok(()) };
        let tree = observe::tree(&host.hall.0.borrow().tree)?;
        self.trees.push(tree);
        Ok(())
    }

    /// From here on the member refuses these sessions, also if the disk never takes their ends.
    fn note_ends(&mut self, out: &[Output]) {
        for output in out {
            if let Some(record) = output.transaction()
                && wire_op(record) == wire::OpCode::CloseSession.number()
            {
                let session = record[..8].try_into().map_or(0, i64::from_be_bytes);
                self.ended.insert(session);
            }
        }
    }

    fn wake_touched(&mut self, member: usize) -> Step {
        let now = self.local(member);
        let Some(host) = &mut self.sites[member].host else { return Ok(()) };
        let touched = std::mem::take(&mut host.hall.0.borrow_mut().table.touched);
        for id in touched {
            let Some(host) = &mut self.sites[member].host else { return Ok(()) };
            if let Some(connection) = host.hall.0.borrow().table.connections.get(&id)
                && connection.is_open()
                && let Some(wire) = host.wires.get_mut(&id).filter(|wire| !wire.opened)
            {
                wire.opened = true;
                let (earliest, latest) = (connection.last_heard(), now);
                let contact = Contact { earliest, latest, timeout: connection.timeout() };
                host.contacts.insert(connection.session().0, contact);
            }
            self.serve(member, id)?;
        }
        Ok(())
    }

    pub(crate) fn perform(&mut self, member: usize, out: Vec<Output>) -> Step {
        for output in out {
            let site = &mut self.sites[member];
            let Some(host) = &mut site.host else { return Ok(()) };
            if let Some((term, at, record)) = transaction(&output) {
                if host.disk_failed {
                    return Err(Violation::new("disk.silence", format!("{at} after a failure")));
                }
                self.logged(member, term, at, &record)?;
            }
            if let Output::BeginInstall { at } = &output {
                let coming = self.entry_of_state(*at);
                if let Some(slots) = &mut self.sites[member].slots {
                    slots.coming = coming;
                }
            }
            let site = &mut self.sites[member];
            site.begins(&self.ledger, &output);
            let Some(host) = &mut site.host else { return Ok(()) };
            let Some(journal) = &mut host.journal else {
                self.other(member, output)?;
                continue;
            };
            let done = Done::of(&output, site.slots.is_some());
            match journal.perform(output) {
                Ok(None) => site.has_done(&self.ledger, done),
                Ok(Some(output)) => self.other(member, output)?,
                Err(_) if site.disk.is_off() => {
                    self.crash(member, true);
                    return Ok(());
                }
                Err(error) => return self.disk_failed(member, &error),
            }
            if self.boundary(member)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The last transaction of a state that somebody has sent, who need not serve yet: over Raft it
    /// is decided before it is seen to be.
    pub(crate) fn entry_of_state(&self, at: Zxid) -> i64 {
        let decided = self.ledger.entry_at(at.0);
        let logged = self.sites.iter().map(|site| self.ledger.entry_in(at.0, site.tip));
        if decided == at.0 { logged.max().unwrap_or(decided) } else { decided }
    }

    fn logged(&mut self, member: usize, term: u64, at: Zxid, record: &[u8]) -> Step {
        self.note("append", at.0 as u64, member as u64, record);
        let site = &mut self.sites[member];
        let new = self.ledger.append_in(term, site.tip, at, record)?.cloned();
        site.tip = self.ledger.key(term, at);
        let Some(commit) = new else { return Ok(()) };
        self.show(|| format!("{commit:x?}"));
        if let Work::Open { .. } = commit.work {
            self.heard.insert(commit.session, self.now);
        }
        let closes = match commit.work {
            Work::Expire => {
                self.check_expiry(member, commit.session)?;
                true
            }
            Work::Asked { .. } => wire_op(record) == wire::OpCode::CloseSession.number(),
            Work::Open { .. } | Work::Reap { .. } | Work::ReapFailed { .. } | Work::Lead => false,
        };
        if closes && let Some(host) = &mut self.sites[member].host {
            host.contacts.remove(&commit.session);
        }
        Ok(())
    }

    #[allow(clippy::wildcard_enum_match_arm)] // what is for the journal has failed
    fn other(&mut self, member: usize, output: Output) -> Step {
        match output {
            Output::TakeSnapshot => {
                let site = &mut self.sites[member];
                let Some(host) = &mut site.host else { return Ok(()) };
                let walk = host.hall.0.borrow().tree.begin_walk();
                host.snapshot = Some(Snapshot::Begun(walk, site.tip));
                self.snapshot_soon(member);
                Ok(())
            }
            Output::Event(Happened::DigestMismatch { zxid }) => {
                Err(Violation::new("digest", format!("mismatch at {zxid}")))
            }
            Output::Event(event) => {
                let now = self.local(member);
                if let Happened::SessionRenewed { session } = event
                    && let Some(host) = &mut self.sites[member].host
                    && let Some(contact) = host.contacts.get_mut(&session.0)
                {
                    // Also if the connection that asked for it is gone by now.
                    contact.latest = now;
                }
                if let Happened::SessionUpgraded { .. } = event {
                    self.reached.upgrades += 1;
                }
                if let Happened::SessionExpired { session, .. } = event
                    && self.ledger.opened(session.0).is_none()
                {
                    self.check_expiry(member, session.0)?;
                }
                self.happened(member, &event)
            }
            output => self.among_members(member, output),
        }
    }
}

/// The transaction that an output logs, with the term that it is known by over Raft.
fn transaction(output: &Output) -> Option<(u64, Zxid, broadcast::Item)> {
    if let Output::Append { at, record, .. } = output {
        return Some((0, *at, record.clone()));
    }
    let Output::Slot { slot, .. } = output else { return None };
    slot.entry().map(|(at, item)| (slot.period, at, item.clone()))
}

/// The operation that a record's header names.
pub(crate) fn wire_op(record: &[u8]) -> i32 {
    record.get(28..32).and_then(|b| b.try_into().ok()).map_or(0, i32::from_be_bytes)
}
