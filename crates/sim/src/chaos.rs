//! Faults of one member and of the clients: which one comes next, and what it does.

use crate::client::Phase;
use crate::options::Fault;
use crate::world::{Event, Step, World};
use std::path::PathBuf;
use std::time::Duration;
use storage::simulated::Operation;
use storage::{Disk, list_logs, list_snapshots};

impl World {
    /// One fault of a server alone, and a date for the next.
    pub(crate) fn fault(&mut self) -> Step {
        if self.healed || self.options.faults.is_empty() {
            return Ok(());
        }
        let next = self.around(self.options.fault_every);
        self.schedule(next.max(Duration::from_millis(1)), Event::Fault);
        let fault = *self.rng.pick(&self.options.faults);
        self.strike(0, fault);
        Ok(())
    }

    /// Does it, if it can be done now.
    pub(crate) fn strike(&mut self, member: usize, fault: Fault) {
        self.note("fault", fault as u64, member as u64, &[]);
        self.show(|| format!("{fault:?}"));
        if self.sites[member].host.is_some() && self.hit(member, fault) {
            *self.reached.faults.entry(fault).or_default() += 1;
        }
    }

    /// Says whether the fault could be done now.
    fn hit(&mut self, member: usize, fault: Fault) -> bool {
        let site = &mut self.sites[member];
        match fault {
            Fault::PowerLoss if self.rng.one_in(2) => {
                // Between two steps of the member, soon.
                site.boundary = Some(self.rng.below(12));
            }
            Fault::PowerLoss => self.crash(member, true),
            Fault::Fuse if self.rng.one_in(2) => {
                site.disk.set_fuse_at(Operation::Sync, self.rng.below(6));
            }
            Fault::Fuse => site.disk.set_fuse(Some(self.rng.below(20))),
            Fault::Kill => self.crash(member, false),
            // Both act when the member is down.
            Fault::RecoveryCrash | Fault::BitFlip => self.crash(member, true),
            Fault::LinkLoss => return self.lose_a_link(),
            Fault::SlowClient => return self.slow_a_client(),
            Fault::SilentClient => {
                let index = self.rng.below(self.clients.len() as u64) as usize;
                let timeout = self.clients[index].timeout.max(self.options.tick * 2);
                let lasts = self.between(timeout / 2, timeout * 2 + self.options.tick * 2);
                self.clients[index].silent_until = self.now + lasts;
            }
            Fault::SlowSync => {
                let lasts = self.around(Duration::from_millis(800));
                self.sites[member].slow_sync_until = self.now + lasts;
            }
            Fault::SyncError => site.disk.plan_error(Operation::Sync, self.rng.below(6)),
            Fault::WriteError => {
                let kinds =
                    [Operation::Write, Operation::Write, Operation::Name, Operation::SyncDir];
                let kind = *self.rng.pick(&kinds);
                site.disk.plan_error(kind, self.rng.below(6));
            }
            Fault::DiskFull => {
                let used = site.disk.used(&site.dirs.logs());
                let spare = self.rng.below(20_000);
                site.disk.inner().set_capacity(Some(used + spare));
            }
            Fault::Pause => {
                let lasts = self.around(Duration::from_millis(500));
                let site = &mut self.sites[member];
                site.paused_until = site.paused_until.max(self.now + lasts);
                site.stalled_at = site.paused_until;
            }
            Fault::ClockJump => {
                let hours = self.rng.between(0, 8) as i64 - 4;
                site.wall_offset += hours * 3_600_000 + self.rng.below(1000) as i64;
            }
            Fault::Isolate
            | Fault::IsolateLeader
            | Fault::Halves
            | Fault::Bridge
            | Fault::Ring
            | Fault::OneWay
            | Fault::OneLink
            | Fault::Flapping
            | Fault::SlowPeer
            | Fault::PeerLoss
            | Fault::LeaderBoundary
            | Fault::RollingRestart
            | Fault::MassRestart
            | Fault::ClockRate
            | Fault::TimeJump
            | Fault::Reconfigure => return self.trouble(member, fault),
        }
        // A failed disk is only found out about by those who restart the member.
        let host = self.sites[member].host.as_ref();
        if host.is_some_and(|host| host.disk_failed) && self.rng.percent(60) {
            let power = self.rng.percent(50);
            self.crash(member, power);
        }
        true
    }

    fn lose_a_link(&mut self) -> bool {
        let links: Vec<u32> = self.clients.iter().filter_map(crate::client::Client::link).collect();
        if links.is_empty() {
            return false;
        }
        let link = *self.rng.pick(&links);
        self.drop_link(link);
        true
    }

    fn slow_a_client(&mut self) -> bool {
        let index = self.rng.below(self.clients.len() as u64) as usize;
        let Phase::Open(id) = self.clients[index].phase else { return false };
        let lasts = self.around(Duration::from_millis(900));
        let until = self.now + lasts;
        if let Some(link) = self.links.get_mut(&id) {
            link.held_until = until;
        }
        true
    }

    /// Damages what was durable once, so that the next start must see it.
    pub(crate) fn flip_a_bit(&mut self, member: usize) {
        if self.healed || !self.options.has(Fault::BitFlip) || !self.rng.one_in(3) {
            return;
        }
        let Some((path, range)) = self.sealed_bytes(member) else { return };
        let bit = self.rng.between(range.0 * 8, range.1 * 8 - 1);
        if self.sites[member].disk.inner().flip_bit(&path, bit) {
            self.sites[member].flipped = true;
            *self.reached.faults.entry(Fault::BitFlip).or_default() += 1;
            self.note("flip", bit, 0, path.to_string_lossy().as_bytes());
            self.show(|| format!("flip {} byte {}", path.display(), bit / 8));
        }
    }

    /// A file, and a range of it that any reader can know to have been durable: before the mark of
    /// the last log, all of an earlier log, all of a snapshot.
    fn sealed_bytes(&mut self, member: usize) -> Option<(PathBuf, (u64, u64))> {
        let site = &self.sites[member];
        let disk = site.disk.inner().clone();
        let dir = site.dirs.logs();
        let logs = list_logs(&disk, &dir).ok()?;
        let snapshots = list_snapshots(&disk, &dir).ok()?;
        let mut ranges: Vec<(PathBuf, (u64, u64))> = Vec::new();
        for (index, log) in logs.iter().enumerate() {
            let bytes = disk.contents(&log.path)?;
            let mark = bytes.get(8..16).and_then(|b| b.try_into().ok()).map(u64::from_be_bytes)?;
            let end = if index + 1 < logs.len() { log.len } else { mark };
            if end > HEADER_BYTES && end <= log.len {
                ranges.push((log.path.clone(), (HEADER_BYTES, end)));
            }
        }
        ranges.extend(snapshots.into_iter().map(|file| (file.path, (0, file.len))));
        ranges.retain(|(path, range)| range.1 > range.0 && disk.exists(path).unwrap_or(false));
        if ranges.is_empty() { None } else { Some(self.rng.pick(&ranges).clone()) }
    }
}

const HEADER_BYTES: u64 = 16;
