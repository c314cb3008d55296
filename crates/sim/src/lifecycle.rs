//! Starts and ends of a member: recovery, crashes, kills.

use crate::hall::Hall;
use crate::observe;
use crate::options::Fault;
use crate::power::PoweredDisk;
use crate::report::Ending;
use crate::server::Host;
use crate::silence::Contact;
use crate::site::Slots;
use crate::world::{Act, Event, Step, World};
use base::{SessionId, Zxid};
use broadcast::Slot;
use check::Violation;
use node::{CheckpointConfig, Durable, Journal, JournalFiles, Member, SnapshotOptions, Start};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use storage::journal::Identity;
use storage::{RecoveryOptions, RestoreError, Restored, TxnLog};
use tree::Tree;

/// What a start has found.
pub(crate) struct Found {
    tree: Tree,
    restored: Restored,
    /// Of a member of an ensemble.
    durable: Option<Durable>,
    /// Of one over Raft.
    slots: Option<(storage::journal::Journal<PoweredDisk>, raft::Durable)>,
}

impl World {
    pub(crate) fn snapshot_options(&self) -> SnapshotOptions {
        SnapshotOptions { compression: self.compression(), digest: true, last_zxid: true }
    }

    /// Starts the member on what the disk has.
    pub(crate) fn start(&mut self, member: usize) -> Step {
        let site = &mut self.sites[member];
        if site.frozen || site.host.is_some() {
            return Ok(());
        }
        site.start += 1;
        self.reached.starts += 1;
        let fuse = site.recovery_fuse.take();
        if fuse.is_some() {
            site.disk.set_fuse(fuse);
        }
        let recovered = self.recover(member);
        let site = &mut self.sites[member];
        let (start, off) = (site.start, site.disk.is_off());
        if fuse.is_some() && !off {
            site.disk.set_fuse(None);
        }
        self.note("start", start, u64::from(recovered.is_ok()), &[]);
        if off {
            let site = &self.sites[member];
            site.disk.inner().crash(&mut self.rng);
            site.disk.repair();
            self.schedule(Duration::from_millis(50), Event::Start { member });
            return Ok(());
        }
        match recovered {
            Ok(found) => self.started(member, found),
            Err(error) => self.not_started(member, &error),
        }
    }

    fn recover(&self, member: usize) -> Result<Found, node::RecoverError> {
        let site = &self.sites[member];
        let (disk, dirs, options) = (&site.disk, &site.dirs, RecoveryOptions::default());
        let tree = tree::Config { digest: true, owners: site.keeper_config.owners };
        let snapshot = self.snapshot_options();
        if self.options.ensemble.is_none() {
            let node::Recovered { tree, restored } =
                node::recover(disk, dirs, options, tree, snapshot)?;
            return Ok(Found { tree, restored, durable: None, slots: None });
        }
        if self.options.over_raft() {
            let identity = Identity { cluster: [1; 16], member: site.node };
            let journal = (identity, self.options.segments());
            let found =
                node::recover_slots(disk, dirs, options, tree, snapshot, journal, &mut || {})?;
            let node::RecoveredSlots { tree, restored, journal, durable, .. } = found;
            return Ok(Found { tree, restored, durable: None, slots: Some((journal, durable)) });
        }
        let recent = self.options.recent();
        let node::RecoveredMember { tree, restored, durable } =
            node::recover_member(disk, dirs, options, tree, snapshot, recent, &mut || {})?;
        Ok(Found { tree, restored, durable: Some(durable), slots: None })
    }

    fn not_started(&mut self, member: usize, error: &node::RecoverError) -> Step {
        let site = &mut self.sites[member];
        let is_io = matches!(
            error,
            node::RecoverError::Storage(storage::Error::Io { .. })
                | node::RecoverError::Restore(RestoreError::Storage(storage::Error::Io { .. }))
        );
        if is_io {
            // The operator mends the disk and starts again.
            site.disk.repair();
            self.schedule(Duration::from_millis(100), Event::Start { member });
            return Ok(());
        }
        if site.flipped.is_some() && self.options.ensemble.is_some() {
            self.refused(member, &error.to_string())?;
            self.schedule(Duration::from_millis(100), Event::Start { member });
            return Ok(());
        }
        if site.flipped.is_some() {
            self.reached.refused_starts += 1;
            self.ending = Some(Ending::Refused(error.to_string()));
            return Ok(());
        }
        Err(Violation::new("recovery.refused", error.to_string()))
    }

    fn started(&mut self, member: usize, found: Found) -> Step {
        let Found { tree, restored, durable, slots } = found;
        self.reached.replayed += restored.replayed;
        self.reached.skipped_snapshots += restored.skipped_snapshots.len() as u64;
        let torn =
            |finding: &&storage::Finding| matches!(finding, storage::Finding::TornTail { .. });
        self.reached.torn_tails += restored.findings.iter().filter(torn).count() as u64;
        let last = tree.last_zxid().0;
        match &slots {
            Some((_, durable)) => self.account_for_slots(member, durable)?,
            None => self.account_for(member, last, durable.as_ref())?,
        }
        if self.options.ensemble.is_some() {
            self.undo_the_flip(member);
        }
        if self.options.ensemble.is_none() {
            self.trees.push(observe::tree(&tree)?);
        }
        let replayed = restored.replayed > 0;
        self.begin(member, Found { tree, restored, durable, slots }, replayed)
    }

    /// Nothing that was durable is lost, nothing is there that was never logged.
    fn account_for(&mut self, member: usize, last: i64, durable: Option<&Durable>) -> Step {
        let decided = self.ledger.decided();
        let node = self.sites[member].node.0;
        self.show(|| format!("{node} recovered {last:#x}, decided was {decided:#x}"));
        let site = &mut self.sites[member];
        let found = site.may_find(&self.ledger, last);
        found.map_err(|what| Violation::new("durability", what))?;
        let last = self.ledger.entry_at(last);
        if let Some(durable) = durable {
            let has = (durable.accepted, durable.current);
            let may_have = site.epochs.may_be(site.node, last, has);
            may_have.map_err(|what| Violation::new("epoch", what))?;
            (site.epochs.held, site.epochs.written) = (has, (has.1, last));
        } else {
            self.ledger.forget_after(last);
        }
        (site.tip, site.durable, site.uncut, site.installing) = (last, last, None, None);
        Ok(())
    }

    /// The same over Raft, where the log is known by terms and places.
    fn account_for_slots(&mut self, member: usize, durable: &raft::Durable) -> Step {
        let key = |slot: &Slot| slot.entry().map(|(at, _)| self.ledger.key(slot.period, at));
        let base = durable.bases.first().map_or((0, 0), |base| (base.index, base.at.0));
        let mut end = self.entry_of_state(Zxid(base.1));
        let mut slots = Slots { term: durable.term, ..Slots::default() };
        slots.ends.insert(base.0, end);
        for slot in &durable.slots {
            end = key(slot).unwrap_or(end);
            slots.ends.insert(slot.index, end);
        }
        let decided = self.ledger.decided();
        let site = &mut self.sites[member];
        let (node, held) = (site.node.0, site.epochs.held.0);
        site.slots.get_or_insert_default();
        let found = site.may_find(&self.ledger, end);
        found.map_err(|what| Violation::new("durability", what))?;
        if durable.term < held {
            let what = format!("member {node} has term {}, not {held}", durable.term);
            return Err(Violation::new("epoch", what));
        }
        site.slots = Some(Box::new(slots));
        (site.tip, site.durable, site.uncut, site.installing) = (end, end, None, None);
        self.show(|| format!("{node} recovered {end:#x}, decided was {decided:#x}"));
        Ok(())
    }

    fn begin(&mut self, member: usize, found: Found, replayed: bool) -> Step {
        let Found { tree, durable, slots, .. } = found;
        let contacts = self.contacts(member, &tree);
        let hall = Hall::new(tree);
        let site = &self.sites[member];
        let kept = site.configurations();
        let config = node::Config {
            keeper: Arc::clone(&site.keeper_config),
            checkpoint: CheckpointConfig { txns: self.options.snap_count, log_bytes: None },
            engine: self.options.engine(site.node, kept),
            tree: tree::Config { digest: true, owners: site.keeper_config.owners },
            field_size_max: site.keeper_config.field_size_max,
        };
        let (journal, start) = match (durable, slots) {
            (None, Some((journal, durable))) => {
                let replayed = !durable.slots.is_empty();
                let start = Start { replayed, raft: durable, ..Start::default() };
                (Journal::of_slots(journal, self.journal_files(member)), start)
            }
            (None, None) => (self.journal(member, false), Start { replayed, ..Start::default() }),
            (Some(Durable { accepted, current, recent, is_lost, .. }), _) => {
                let start = Start {
                    replayed,
                    accepted_epoch: accepted,
                    current_epoch: current,
                    recent,
                    is_lost,
                    ..Start::default()
                };
                (self.journal(member, true), start)
            }
        };
        let mut out = Vec::new();
        let (now, wall, rng) = (self.local(member), self.wall(member), self.rng.fork());
        let running = Member::recover(hall.clone(), &config, start, now, wall, rng, &mut out)
            .expect("only Raft has something to refuse");
        let site = &mut self.sites[member];
        site.host = Some(Host::new(hall, running, journal, contacts));
        site.stalled_at = self.now;
        self.schedule_act(self.options.tick, member, Act::Sweep);
        self.perform(member, out)?;
        self.wake_for_deadline(member);
        Ok(())
    }

    fn journal(&self, member: usize, among_others: bool) -> Journal<PoweredDisk> {
        let site = &self.sites[member];
        let log = TxnLog::new(site.disk.clone(), site.dirs.logs(), self.log_options());
        if !among_others {
            return Journal::new(log);
        }
        Journal::of_member(log, self.journal_files(member))
    }

    fn journal_files(&self, member: usize) -> JournalFiles<PoweredDisk> {
        let site = &self.sites[member];
        let (disk, dirs) = (site.disk.clone(), site.dirs.clone());
        let read = RecoveryOptions::default().read;
        JournalFiles { disk, dirs, read, texts: None }
    }

    /// What a journal wants done beside it is done at once.
    pub(crate) fn do_chores(&mut self, member: usize) -> Step {
        let site = &mut self.sites[member];
        let over_raft = site.slots.is_some();
        let Some(journal) = site.host.as_mut().and_then(|host| host.journal.as_mut()) else {
            return Ok(());
        };
        while over_raft && let Some(chore) = journal.next_chore() {
            let done = chore.perform(&site.disk);
            if let Err(error) = journal.chore_done(done) {
                return self.disk_failed(member, &error);
            }
        }
        Ok(())
    }

    /// Each session has its full time-out from now on.
    fn contacts(&self, member: usize, tree: &Tree) -> BTreeMap<i64, Contact> {
        let (earliest, latest) = (self.local(member), self.local(member));
        let full = |(session, ms): (SessionId, i32)| {
            (session.0, Contact { earliest, latest, timeout: millis(ms) })
        };
        tree.sessions().map(full).collect()
    }

    /// The member dies here if it is its turn. Says whether it did.
    pub(crate) fn boundary(&mut self, member: usize) -> Result<bool, Violation> {
        let boundary = &mut self.sites[member].boundary;
        let dies = match boundary {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        };
        if dies {
            *boundary = None;
            self.reached.crashes_at_boundaries += 1;
            self.crash(member, true);
        }
        Ok(dies)
    }

    /// The member is gone. With `power`, what was not synced may be, too.
    pub(crate) fn crash(&mut self, member: usize, power: bool) {
        let site = &mut self.sites[member];
        if site.host.take().is_none() {
            return;
        }
        self.note("crash", member as u64, u64::from(power), &[]);
        let site = &mut self.sites[member];
        if power {
            self.reached.power_losses += 1;
            site.disk.inner().crash(&mut self.rng);
        } else {
            self.reached.kills += 1;
        }
        site.disk.repair();
        site.ends();
        site.boundary = None;
        site.paused_until = self.now;
        self.net.abandon_all(self.now, member, &mut self.rng);
        self.plan_net();
        self.lose_clients(member);
        if self.rng.percent(if self.options.has(Fault::RecoveryCrash) { 30 } else { 0 }) {
            self.sites[member].recovery_fuse = Some(self.rng.below(8));
        }
        self.flip_a_bit(member);
        let delay = self.around(Duration::from_millis(300));
        self.schedule(delay, Event::Start { member });
    }

    fn lose_clients(&mut self, member: usize) {
        let is_up = |link: &crate::world::Link| link.member == member && link.server_up;
        let up: Vec<u32> =
            self.links.iter().filter(|(_, link)| is_up(link)).map(|(id, _)| *id).collect();
        for id in up {
            // What was sent may still arrive, or be lost with the connection.
            let keeps = self.rng.percent(50);
            let Some(link) = self.links.get_mut(&id) else { continue };
            link.server_up = false;
            link.client_up &= keeps;
            let at = link.to_client_at.max(self.now) + Duration::from_micros(100);
            self.schedule_at(at, Event::ClientLost { link: id });
        }
    }
}

fn millis(ms: i32) -> Duration {
    Duration::from_millis(ms.max(0) as u64)
}
