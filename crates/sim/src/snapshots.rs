//! Snapshots of a running member, one step between other events at a time, and the purge after.

use crate::power::PoweredDisk;
use crate::world::{Act, Step, World};
use base::Zxid;
use node::{Input, SnapshotTask};
use std::time::Duration;
use tree::Walk;

/// A snapshot under way, with what was logged when it was last looked at.
pub(crate) enum Snapshot {
    Begun(Walk, i64),
    Walking(SnapshotTask<PoweredDisk>, i64),
    Walked(SnapshotTask<PoweredDisk>, i64),
}

impl World {
    pub(crate) fn snapshot_soon(&mut self, member: usize) {
        let mean = if self.rng.one_in(3) { 200 } else { 10 };
        let delay = self.around(Duration::from_millis(mean));
        self.schedule_act(delay, member, Act::SnapshotStep);
    }

    pub(crate) fn snapshot_step(&mut self, member: usize) -> Step {
        if self.boundary(member)? {
            return Ok(());
        }
        let options = self.snapshot_options();
        let site = &mut self.sites[member];
        let (disk, dir) = (site.disk.clone(), site.dirs.snapshots());
        let appended = site.tip;
        let Some(host) = &mut site.host else { return Ok(()) };
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
        if self.sites[member].disk.is_off() {
            self.crash(member, true);
            return Ok(());
        }
        self.snapshot_went(member, zxid, step)?;
        self.go_on(member);
        Ok(())
    }

    pub(crate) fn snapshot_went(
        &mut self,
        member: usize,
        zxid: Zxid,
        step: Result<Option<Snapshot>, storage::Error>,
    ) -> Step {
        match step {
            Ok(Some(next)) => {
                if let Some(host) = &mut self.sites[member].host {
                    host.snapshot = Some(next);
                }
                self.snapshot_soon(member);
                Ok(())
            }
            Ok(None) => {
                self.reached.snapshots += 1;
                self.handle(member, Input::SnapshotTaken { zxid })?;
                self.purge(member)
            }
            Err(error) => {
                self.reached.snapshots_failed += 1;
                if let Some(host) = &mut self.sites[member].host {
                    host.snapshot_failed = true;
                }
                self.handle(member, Input::SnapshotFailed { zxid, reason: error.to_string() })
            }
        }
    }

    pub(crate) fn purge(&mut self, member: usize) -> Step {
        let site = &self.sites[member];
        if !self.options.purge || site.host.is_none() {
            return Ok(());
        }
        let purged = storage::purge(&site.disk, &site.dirs, 3);
        if site.disk.is_off() {
            self.crash(member, true);
        } else if let Ok(purged) = purged {
            self.reached.purged += purged.len() as u64;
        }
        Ok(())
    }
}
