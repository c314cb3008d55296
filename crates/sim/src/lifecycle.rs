//! Starts and ends of the member: recovery on what the disk has, and the crashes.

use crate::hall::Hall;
use crate::observe;
use crate::report::Ending;
use crate::server::Host;
use crate::silence::Contact;
use crate::world::{Event, Step, World};
use base::SessionId;
use check::Violation;
use node::{CheckpointConfig, EngineConfig, Journal, Member, SnapshotOptions, Start};
use std::sync::Arc;
use std::time::Duration;
use storage::{RecoveryOptions, RestoreError, TxnLog};

impl World {
    pub(crate) fn snapshot_options(&self) -> SnapshotOptions {
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

    pub(crate) fn not_started(&mut self, error: &node::RecoverError) -> Step {
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

    pub(crate) fn started(&mut self, recovered: node::Recovered) -> Step {
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
            engine: EngineConfig::Solo,
            tree: tree::Config::default(),
            field_size_max: self.keeper_config.field_size_max,
        };
        let mut out = Vec::new();
        let (now, wall, rng) = (self.now, self.wall(), self.rng.fork());
        let start = Start { replayed: restored.replayed > 0, ..Start::default() };
        let member = Member::recover(hall.clone(), &config, start, now, wall, rng, &mut out);
        let log = TxnLog::new(self.disk.clone(), self.dirs.logs(), self.log_options());
        self.host = Some(Host::new(hall, member, Journal::new(log), contacts, last));
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

fn millis(ms: i32) -> Duration {
    Duration::from_millis(ms.max(0) as u64)
}
