//! Disks that are damaged or lost, and what whoever runs the members does then.
//!
//! A member that finds damage refuses to start and names the file: its disk is replaced, and of what
//! was on it only the mark is left that there has been a database. Of every configuration that
//! anybody goes by a quorum keeps its disks: without one, what was acknowledged could be lost.

use crate::options::Fault;
use crate::power::PoweredDisk;
use crate::world::{Step, World};
use check::Violation;
use std::path::PathBuf;
use storage::simulated::MetadataMode;
use storage::{Disk, list_logs, list_snapshots};

impl World {
    /// Whether of every configuration a quorum has its disks without this member. One that has lost
    /// its disk has it again when it serves.
    fn bears_loss_of(&self, member: usize) -> bool {
        if self.options.ensemble.is_none() {
            return true;
        }
        // Over Raft no member comes back that has lost its disk.
        if self.is_changing() || self.options.over_raft() {
            return false;
        }
        let mut whole = self.whole();
        whole.retain(|other| *other != member);
        let configurations = self.configurations();
        configurations.iter().all(|configuration| self.is_quorum(configuration, &whole))
    }

    /// The members whose disks are as they left them.
    pub(crate) fn whole(&self) -> Vec<usize> {
        let is_whole = |member: &usize| {
            let site = &self.sites[*member];
            !site.lost && site.flipped.is_none()
        };
        (0..self.sites.len()).filter(is_whole).collect()
    }

    /// A member's disk is lost. One that votes in no configuration comes back without the mark at
    /// times, as one that never was.
    pub(crate) fn wipe(&mut self, member: usize) -> bool {
        if !self.bears_loss_of(member) {
            return false;
        }
        let power = self.rng.one_in(2);
        self.crash(member, power);
        let id = self.sites[member].node.0.cast_signed();
        let votes = self.configurations().iter().any(|configuration| configuration.votes(id));
        let is_marked = votes || self.rng.one_in(2);
        self.replace_disk(member, is_marked);
        true
    }

    /// Whoever runs the member gives it another disk.
    pub(crate) fn replace_disk(&mut self, member: usize, is_marked: bool) {
        self.note("replace", member as u64, u64::from(is_marked), &[]);
        self.reached.replaced_disks += 1;
        let strict = self.options.strict_names;
        let mode = if strict { MetadataMode::Strict } else { MetadataMode::Ordered };
        let site = &mut self.sites[member];
        let disk = PoweredDisk::new(mode);
        for name in [DATABASE_MARK, zab::CONFIGURATION, zab::NEXT_CONFIGURATION] {
            let path = site.dirs.data.join(name);
            let text = site.disk.inner().contents(&path);
            if let Some(text) = text.filter(|_| is_marked || name != DATABASE_MARK) {
                disk.inner().install(&path, &text);
            }
        }
        site.disk = disk;
        site.forget();
    }

    /// A member does not start on a damaged disk: it says which file it is.
    pub(crate) fn refused(&mut self, member: usize, reason: &str) -> Step {
        let logs = self.sites[member].dirs.logs();
        if !reason.contains(&*logs.to_string_lossy()) {
            let what = format!("{reason:?} names no file of the damaged disk");
            return Err(Violation::new("recovery.refused", what));
        }
        self.reached.refused_starts += 1;
        self.replace_disk(member, true);
        Ok(())
    }

    /// The member has started in spite of the damage, and so without what is damaged: that is not
    /// looked at any more.
    pub(crate) fn undo_the_flip(&mut self, member: usize) {
        if let Some((path, bit)) = self.sites[member].flipped.take() {
            self.sites[member].disk.inner().flip_bit(&path, bit);
        }
    }

    /// Damages what was durable once, so that the next start must see it.
    pub(crate) fn flip_a_bit(&mut self, member: usize) {
        if self.healed || !self.options.has(Fault::BitFlip) || !self.rng.one_in(3) {
            return;
        }
        if !self.bears_loss_of(member) {
            return;
        }
        let Some((path, range)) = self.sealed_bytes(member) else { return };
        let bit = self.rng.between(range.0 * 8, range.1 * 8 - 1);
        if self.sites[member].disk.inner().flip_bit(&path, bit) {
            self.sites[member].flipped = Some((path.clone(), bit));
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
/// Outside of what is lost with a disk, or moved aside: who had a database and has none may not
/// vote.
const DATABASE_MARK: &str = "quorate.database";
