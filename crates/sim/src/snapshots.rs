//! Snapshots of a running member, one step between other events at a time, and the purge after.

use crate::power::PoweredDisk;
use crate::world::{Event, Step, World};
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
    pub(crate) fn snapshot_soon(&mut self) {
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

    pub(crate) fn snapshot_went(
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

    pub(crate) fn purge(&mut self) -> Step {
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
}
