//! A disk in memory that behaves as badly as a real one may: for tests and for the simulator.
//!
//! Every file has a cached and a durable state, every directory as well. [`SimulatedDisk::crash`]
//! keeps what was synced and any part of the rest, in sectors of 512 bytes and in any order. Errors
//! are placed by count, so that a test can try every one; the only randomness is the generator
//! that is passed in. Directories themselves are durable at once: no test is about losing those.

mod content;
mod names;
#[cfg(test)]
mod tests;

pub use names::MetadataMode;

use crate::{Disk, DiskFile, Entry};
use base::Rng;
use content::Inode;
use names::Names;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a sector of a simulated disk holds: the unit that is written whole or not at all.
pub const SECTOR_SIZE: u64 = 512;

/// Kinds of operation, for counting and for failing them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// `read_at`.
    Read,
    /// `write_at`, `allocate` and `set_len`.
    Write,
    /// `sync_data`.
    Sync,
    /// `create`, `rename` and `remove`.
    Name,
    /// `sync_dir`.
    SyncDir,
}

/// How many operations were asked for, failed ones included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Reads.
    pub reads: u64,
    /// Writes, allocations and cuts.
    pub writes: u64,
    /// Bytes in those writes.
    pub bytes_written: u64,
    /// Syncs of files.
    pub syncs: u64,
    /// Files created, renamed and removed.
    pub names: u64,
    /// Syncs of directories.
    pub dir_syncs: u64,
}

/// A disk in memory. Cloning it gives another handle of the same disk; see [`SimulatedDisk::fork`].
#[derive(Clone, Debug)]
pub struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

/// An open file of a [`SimulatedDisk`]. A crash closes it.
#[derive(Debug)]
pub struct SimulatedFile {
    state: Arc<Mutex<State>>,
    inode: u64,
    writable: bool,
    generation: u64,
}

#[derive(Clone, Debug)]
struct State {
    inodes: BTreeMap<u64, Arc<Inode>>,
    names: Names,
    dirs: BTreeSet<PathBuf>,
    inode_next: u64,
    /// Counts crashes: handles of before one are dead.
    generation: u64,
    capacity: Option<u64>,
    /// Operations that will fail, each with how many of its kind go well before.
    faults: Vec<(Operation, u64)>,
    counters: Counters,
}

impl Default for SimulatedDisk {
    fn default() -> Self {
        SimulatedDisk::new(MetadataMode::Ordered)
    }
}

impl SimulatedDisk {
    /// An empty disk.
    #[must_use]
    pub fn new(mode: MetadataMode) -> SimulatedDisk {
        let state = State {
            inodes: BTreeMap::new(),
            names: Names::new(mode),
            dirs: BTreeSet::from([PathBuf::from("/")]),
            inode_next: 1,
            generation: 0,
            capacity: None,
            faults: Vec::new(),
            counters: Counters::default(),
        };
        SimulatedDisk { state: Arc::new(Mutex::new(state)) }
    }

    /// A separate disk with the same state. Sectors are shared until they are written.
    #[must_use]
    pub fn fork(&self) -> SimulatedDisk {
        SimulatedDisk { state: Arc::new(Mutex::new(self.lock().clone())) }
    }

    /// Power fails: unsynced sectors, lengths and names survive or not as `rng` says, planned
    /// faults are forgotten, and open files are dead.
    pub fn crash(&self, rng: &mut Rng) {
        let mut state = self.lock();
        state.names.crash(rng);
        let state = &mut *state;
        state.inodes.retain(|inode, _| state.names.refers_to(*inode));
        for inode in state.inodes.values_mut() {
            Arc::make_mut(inode).crash(rng);
        }
        state.generation += 1;
        state.faults.clear();
    }

    /// The next operation of that kind, after `skipped` good ones, fails with EIO. A sync that
    /// fails loses what it was to make durable, although it can still be read.
    pub fn fail_after(&self, operation: Operation, skipped: u64) {
        self.lock().faults.push((operation, skipped));
    }

    /// Forgets the failures that are planned. A crash does so as well.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
    }

    /// Limits the sum of all files' lengths, in bytes: beyond it writes fail with ENOSPC.
    pub fn set_capacity(&self, capacity: Option<u64>) {
        self.lock().capacity = capacity;
    }

    /// How many operations there were.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.lock().counters
    }

    /// Flips bit `bit % 8` of byte `bit / 8`, cached and durable. False if there is no such byte.
    pub fn flip_bit(&self, path: &Path, bit: u64) -> bool {
        let mut state = self.lock();
        let Some(inode) = state.names.find(path) else { return false };
        state.inode_mut(inode).flip_bit(bit)
    }

    /// Puts a durable file there, with its directories: a fixture.
    pub fn install(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.lock();
        if let Some(dir) = path.parent() {
            state.add_dirs(dir);
        }
        let inode = state.add_inode();
        state.inode_mut(inode).install(bytes);
        state.names.install(path, inode);
    }

    /// The whole of a file as it can be read now; `None` if it is missing.
    #[must_use]
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.lock();
        let inode = state.names.find(path)?;
        Some(state.inodes[&inode].contents())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, inode: u64, generation: u64, writable: bool) -> SimulatedFile {
        SimulatedFile { state: Arc::clone(&self.state), inode, writable, generation }
    }

    fn open_as(&self, path: &Path, writable: bool) -> io::Result<SimulatedFile> {
        let state = self.lock();
        let inode = state.names.find(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.handle(inode, state.generation, writable))
    }
}

impl Disk for SimulatedDisk {
    type File = SimulatedFile;

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let state = self.lock();
        if !state.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let entry = |(name, inode): (&str, u64)| Entry {
            name: name.to_owned(),
            len: state.inodes[&inode].len(),
        };
        Ok(state.names.in_dir(dir).map(entry).collect())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let state = self.lock();
        Ok(state.dirs.contains(path) || state.names.find(path).is_some())
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.lock().add_dirs(dir);
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<SimulatedFile> {
        let mut state = self.lock();
        state.count(Operation::Name, 0)?;
        if !path.parent().is_some_and(|dir| state.dirs.contains(dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inode = match state.names.find(path) {
            Some(inode) => {
                state.inode_mut(inode).set_len(0);
                inode
            }
            None => {
                let inode = state.add_inode();
                state.names.link(path, inode);
                inode
            }
        };
        Ok(self.handle(inode, state.generation, true))
    }

    fn open(&self, path: &Path) -> io::Result<SimulatedFile> {
        self.open_as(path, false)
    }

    fn open_rw(&self, path: &Path) -> io::Result<SimulatedFile> {
        self.open_as(path, true)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.count(Operation::Name, 0)?;
        if state.names.rename(from, to) { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.count(Operation::Name, 0)?;
        if state.names.unlink(path) { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.count(Operation::SyncDir, 0)?;
        state.names.sync(dir);
        Ok(())
    }
}

impl SimulatedFile {
    fn live(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.generation != self.generation {
            return Err(io::Error::other("the file was open when the disk crashed"));
        }
        Ok(state)
    }

    /// The state, with a write of `bytes` bytes counted and space for a length of `len` found.
    fn writing(&self, bytes: u64, len: u64) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.live()?;
        if !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        state.count(Operation::Write, bytes)?;
        let grown = len.saturating_sub(state.inodes[&self.inode].len());
        let full = |capacity| grown > 0 && state.used().saturating_add(grown) > capacity;
        if state.capacity.is_some_and(full) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(state)
    }
}

impl DiskFile for SimulatedFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.live()?;
        state.count(Operation::Read, 0)?;
        Ok(state.inodes[&self.inode].read_at(offset, buffer))
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let size = bytes.len() as u64;
        let mut state = self.writing(size, offset + size)?;
        state.inode_mut(self.inode).write_at(offset, bytes);
        Ok(())
    }

    fn allocate(&mut self, len: u64) -> io::Result<()> {
        let mut state = self.writing(0, len)?;
        if state.inodes[&self.inode].len() < len {
            state.inode_mut(self.inode).set_len(len);
        }
        Ok(())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let mut state = self.live()?;
        let counted = state.count(Operation::Sync, 0);
        let inode = state.inode_mut(self.inode);
        if counted.is_ok() {
            inode.sync()
        } else {
            inode.lose_unsynced()
        }
        counted
    }

    fn another(&self) -> io::Result<SimulatedFile> {
        drop(self.live()?); // a handle of before a crash is good for nothing
        let (state, inode) = (Arc::clone(&self.state), self.inode);
        Ok(SimulatedFile { state, inode, writable: self.writable, generation: self.generation })
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.writing(0, len)?.inode_mut(self.inode).set_len(len);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.live()?.inodes[&self.inode].len())
    }
}

impl State {
    fn inode_mut(&mut self, inode: u64) -> &mut Inode {
        // Removed files stay while handles may use them; only a crash collects them.
        Arc::make_mut(self.inodes.get_mut(&inode).expect("inodes of live handles are kept"))
    }

    fn add_inode(&mut self) -> u64 {
        let inode = self.inode_next;
        self.inode_next += 1;
        self.inodes.insert(inode, Arc::default());
        inode
    }

    fn add_dirs(&mut self, dir: &Path) {
        self.dirs.extend(dir.ancestors().map(Path::to_owned));
    }

    fn used(&self) -> u64 {
        self.names.inodes().map(|inode| self.inodes[&inode].len()).sum()
    }

    /// Counts an operation; an error if its turn to fail has come.
    fn count(&mut self, operation: Operation, bytes: u64) -> io::Result<()> {
        let counters = &mut self.counters;
        match operation {
            Operation::Read => counters.reads += 1,
            Operation::Write => {
                counters.writes += 1;
                counters.bytes_written += bytes;
            }
            Operation::Sync => counters.syncs += 1,
            Operation::Name => counters.names += 1,
            Operation::SyncDir => counters.dir_syncs += 1,
        }
        let mut failed = false;
        self.faults.retain_mut(|(kind, left)| {
            if *kind != operation {
                return true;
            }
            if *left > 0 {
                *left -= 1;
                return true;
            }
            failed = true;
            false
        });
        if failed { Err(io::Error::from_raw_os_error(EIO)) } else { Ok(()) }
    }
}

/// Linux's number, so that messages read as in production.
const EIO: i32 = 5;
