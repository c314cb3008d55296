//! Faults of one member and of the clients: which one comes next, and what it does.

use crate::client::Phase;
use crate::options::Fault;
use crate::world::{Event, Step, World};
use std::time::Duration;
use storage::simulated::Operation;

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
            Fault::Wipe => return self.wipe(member),
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
}
