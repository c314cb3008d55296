//! One file of a simulated disk: what can be read, what would survive, and which sectors differ.

use super::SECTOR_SIZE;
use base::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Bytes in sectors; those that are missing are zeros.
#[derive(Clone, Debug, Default)]
struct Content {
    len: u64,
    sectors: BTreeMap<u64, Arc<Sector>>,
}

type Sector = [u8; SECTOR_SIZE as usize];

/// A file's two states.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    cached: Content,
    durable: Content,
    /// Sectors written since the last sync.
    dirty: BTreeSet<u64>,
    /// The shortest that the file has been since the last sync, if it was cut.
    cut_to: Option<u64>,
}

impl Inode {
    pub(super) fn len(&self) -> u64 {
        self.cached.len
    }

    pub(super) fn contents(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.cached.len as usize];
        self.cached.read_at(0, &mut bytes);
        bytes
    }

    pub(super) fn install(&mut self, bytes: &[u8]) {
        self.write_at(0, bytes);
        self.sync();
    }

    pub(super) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> usize {
        self.cached.read_at(offset, buffer)
    }

    pub(super) fn write_at(&mut self, offset: u64, bytes: &[u8]) {
        self.cached.write_at(offset, bytes);
        if !bytes.is_empty() {
            let last = (offset + bytes.len() as u64 - 1) / SECTOR_SIZE;
            self.dirty.extend(offset / SECTOR_SIZE..=last);
        }
    }

    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.cached.len {
            self.cut_to = Some(self.cut_to.map_or(len, |earlier| earlier.min(len)));
            self.dirty.retain(|sector| sector * SECTOR_SIZE < len);
        }
        self.cached.set_len(len);
    }

    /// Dirty sectors and the length become durable.
    pub(super) fn sync(&mut self) {
        if let Some(len) = self.cut_to.take() {
            self.durable.set_len(len.min(self.durable.len));
        }
        for sector in std::mem::take(&mut self.dirty) {
            self.durable.copy_sector(&self.cached, sector);
        }
        self.durable.set_len(self.cached.len);
    }

    /// A sync failed: the pages count as clean although the disk never had them.
    pub(super) fn lose_unsynced(&mut self) {
        self.dirty.clear();
    }

    /// Takes the state after a power failure; what was not synced is drawn.
    pub(super) fn crash(&mut self, rng: &mut Rng) {
        let survival = *rng.pick(&SURVIVAL_PERCENT);
        let (dirty, cut_to) = (std::mem::take(&mut self.dirty), self.cut_to.take());
        if let Some(len) = cut_to {
            if !rng.percent(survival.clamp(10, 90)) {
                // The cut itself did not reach the disk, so nothing written after it may show.
                self.cached = self.durable.clone();
                return;
            }
            self.durable.set_len(len.min(self.durable.len));
        }
        let len = match rng.below(3) {
            0 => self.durable.len,
            1 => self.cached.len,
            _ => {
                let (low, high) = (self.durable.len, self.cached.len);
                rng.between(low.min(high), low.max(high))
            }
        };
        for sector in dirty {
            if rng.percent(survival) {
                self.durable.copy_sector(&self.cached, sector);
            }
        }
        // Shrinking first wipes what a sector holds beyond the end.
        self.durable.len = self.cached.len.max(self.durable.len);
        self.durable.set_len(len);
        self.cached = self.durable.clone();
    }

    pub(super) fn flip_bit(&mut self, bit: u64) -> bool {
        let offset = bit / 8;
        if offset >= self.cached.len {
            return false;
        }
        for content in [&mut self.cached, &mut self.durable] {
            let mut byte = [0];
            if content.read_at(offset, &mut byte) == 1 {
                content.write_at(offset, &[byte[0] ^ (1 << (bit % 8))]);
            }
        }
        true
    }
}

impl Content {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let available = self.len.saturating_sub(offset).min(buffer.len() as u64) as usize;
        let mut done = 0;
        while done < available {
            let at = offset + done as u64;
            let (sector, within) = (at / SECTOR_SIZE, (at % SECTOR_SIZE) as usize);
            let size = (SECTOR_SIZE as usize - within).min(available - done);
            let target = &mut buffer[done..done + size];
            match self.sectors.get(&sector) {
                Some(bytes) => target.copy_from_slice(&bytes[within..within + size]),
                None => target.fill(0),
            }
            done += size;
        }
        available
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let (sector, within) = (at / SECTOR_SIZE, (at % SECTOR_SIZE) as usize);
            let size = (SECTOR_SIZE as usize - within).min(bytes.len() - done);
            let target = self.sectors.entry(sector).or_insert_with(|| Arc::new([0; 512]));
            Arc::make_mut(target)[within..within + size].copy_from_slice(&bytes[done..done + size]);
            done += size;
        }
        self.len = self.len.max(offset + bytes.len() as u64);
    }

    fn set_len(&mut self, len: u64) {
        if len < self.len {
            self.sectors.split_off(&len.div_ceil(SECTOR_SIZE));
            let within = (len % SECTOR_SIZE) as usize;
            if within > 0
                && let Some(last) = self.sectors.get_mut(&(len / SECTOR_SIZE))
            {
                Arc::make_mut(last)[within..].fill(0);
            }
        }
        self.len = len;
    }

    /// Takes one sector as `other` has it; the length is left to the caller.
    fn copy_sector(&mut self, other: &Content, sector: u64) {
        match other.sectors.get(&sector) {
            Some(bytes) => self.sectors.insert(sector, Arc::clone(bytes)),
            None => self.sectors.remove(&sector),
        };
    }
}

/// How likely an unsynced sector survives a crash: all-or-nothing crashes are common in practice.
const SURVIVAL_PERCENT: [u64; 5] = [0, 100, 10, 50, 90];
