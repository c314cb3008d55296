//! The disk of a simulated member: a [`SimulatedDisk`] whose power can go off inside any operation.
//!
//! A fuse counts operations that could change what survives; when it blows, that operation and
//! all later ones fail, and the world crashes the member and the disk. Planned errors fail
//! single operations. Both are counted, so that a scenario can try every position.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use storage::simulated::{MetadataMode, Operation, SimulatedDisk, SimulatedFile};
use storage::{Disk, DiskFile, Entry};

/// A disk with a fuse.
#[derive(Clone, Debug)]
pub(crate) struct PoweredDisk {
    disk: SimulatedDisk,
    power: Arc<Mutex<Power>>,
}

/// A file on it.
#[derive(Debug)]
pub(crate) struct PoweredFile {
    file: SimulatedFile,
    disk: PoweredDisk,
}

#[derive(Debug, Default)]
struct Power {
    /// Operations that still go well, of one kind or of all that change something.
    fuse: Option<(u64, Option<Operation>)>,
    off: bool,
    /// Errors to come: the kind of operation, and how many of it go well before.
    faults: Vec<(Operation, u64)>,
    /// Changing operations so far.
    changes: u64,
}

/// What becomes of an operation.
enum Turn {
    Go,
    /// The power goes off after it was done.
    LastOne,
    Fail(io::Error),
}

impl PoweredDisk {
    pub(crate) fn new(mode: MetadataMode) -> PoweredDisk {
        PoweredDisk { disk: SimulatedDisk::new(mode), power: Arc::default() }
    }

    /// The disk without a fuse.
    pub(crate) fn inner(&self) -> &SimulatedDisk {
        &self.disk
    }

    /// The power goes off in the changing operation after `good` more.
    pub(crate) fn set_fuse(&self, good: Option<u64>) {
        self.lock().fuse = good.map(|good| (good, None));
    }

    /// The power goes off in an operation of that kind, after `good` more of it.
    pub(crate) fn set_fuse_at(&self, operation: Operation, good: u64) {
        self.lock().fuse = Some((good, Some(operation)));
    }

    pub(crate) fn plan_error(&self, operation: Operation, skipped: u64) {
        self.lock().faults.push((operation, skipped));
    }

    pub(crate) fn is_off(&self) -> bool {
        self.lock().off
    }

    /// Power is back and nothing is planned any more.
    pub(crate) fn repair(&self) {
        let mut power = self.lock();
        power.fuse = None;
        power.off = false;
        power.faults.clear();
        drop(power);
        self.disk.set_capacity(None);
    }

    /// Bytes of all files under `dir`.
    pub(crate) fn used(&self, dir: &Path) -> u64 {
        self.disk.list(dir).map_or(0, |files| files.iter().map(|file| file.len).sum())
    }

    fn lock(&self) -> MutexGuard<'_, Power> {
        self.power.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, operation: Operation) -> Turn {
        let mut power = self.lock();
        if power.off {
            return Turn::Fail(io::Error::other("the power is off"));
        }
        let mut strikes = false;
        power.faults.retain_mut(|(kind, left)| {
            let is_now = *kind == operation && !strikes && *left == 0;
            *left -= u64::from(*kind == operation && *left > 0);
            strikes |= is_now;
            !is_now
        });
        if strikes {
            return Turn::Fail(io::Error::from_raw_os_error(EIO));
        }
        if operation == Operation::Read {
            return Turn::Go;
        }
        power.changes += 1;
        match &mut power.fuse {
            Some((_, Some(kind))) if *kind != operation => Turn::Go,
            None => Turn::Go,
            Some((0, kind)) => {
                let any = kind.is_none();
                power.off = true;
                // Every other operation is done just before the light goes out.
                if any && power.changes.is_multiple_of(2) {
                    Turn::LastOne
                } else {
                    Turn::Fail(io::Error::other("the power went off"))
                }
            }
            Some((left, _)) => {
                *left -= 1;
                Turn::Go
            }
        }
    }

    fn run<T>(&self, operation: Operation, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match self.turn(operation) {
            Turn::Go => act(),
            Turn::LastOne => {
                act()?;
                Err(io::Error::other("the power went off behind it"))
            }
            Turn::Fail(error) => Err(error),
        }
    }
}

impl Disk for PoweredDisk {
    type File = PoweredFile;

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.disk.list(dir)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.disk.exists(path)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir_all(dir)
    }

    fn create(&self, path: &Path) -> io::Result<PoweredFile> {
        let file = self.run(Operation::Name, || self.disk.create(path))?;
        Ok(PoweredFile { file, disk: self.clone() })
    }

    fn open(&self, path: &Path) -> io::Result<PoweredFile> {
        Ok(PoweredFile { file: self.disk.open(path)?, disk: self.clone() })
    }

    fn open_rw(&self, path: &Path) -> io::Result<PoweredFile> {
        Ok(PoweredFile { file: self.disk.open_rw(path)?, disk: self.clone() })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.run(Operation::Name, || self.disk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.run(Operation::Name, || self.disk.remove(path))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.run(Operation::SyncDir, || self.disk.sync_dir(dir))
    }
}

impl DiskFile for PoweredFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.disk.run(Operation::Read, || self.file.read_at(offset, buffer))
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let PoweredFile { file, disk } = self;
        disk.run(Operation::Write, || file.write_at(offset, bytes))
    }

    fn allocate(&mut self, len: u64) -> io::Result<()> {
        let PoweredFile { file, disk } = self;
        disk.run(Operation::Write, || file.allocate(len))
    }

    fn sync_data(&mut self) -> io::Result<()> {
        match self.disk.turn(Operation::Sync) {
            Turn::Go => self.file.sync_data(),
            Turn::LastOne => {
                self.file.sync_data()?;
                Err(io::Error::other("the power went off behind it"))
            }
            Turn::Fail(error) => {
                if !self.disk.is_off() {
                    // The pages count as clean from now on, though the disk never had them.
                    self.disk.disk.fail_after(Operation::Sync, 0);
                    let failed = self.file.sync_data();
                    assert!(failed.is_err(), "the error was planned");
                }
                Err(error)
            }
        }
    }

    fn another(&self) -> io::Result<PoweredFile> {
        Ok(PoweredFile { file: self.file.another()?, disk: self.disk.clone() })
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        let PoweredFile { file, disk } = self;
        disk.run(Operation::Write, || file.set_len(len))
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

/// Linux's number.
const EIO: i32 = 5;
