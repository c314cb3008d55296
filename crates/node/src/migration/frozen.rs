//! A disk as it stands: what is written to it is lost, and nobody is told.
//!
//! So a recovery that repairs what a crash left can run over data that is to stay as it is. It
//! reads what was there before; what it wrote itself it cannot read back.

use std::io;
use std::path::Path;
use storage::{Disk, DiskFile, Entry};

/// A view of a disk.
#[derive(Clone, Debug)]
pub(super) struct Frozen<D>(pub(super) D);

/// A file of it, or one that was only said to be made.
#[derive(Debug)]
pub(super) struct FrozenFile<F>(Option<F>);

impl<D: Disk> Disk for Frozen<D> {
    type File = FrozenFile<D::File>;

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.0.list(dir)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.0.exists(path)
    }

    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn create(&self, _: &Path) -> io::Result<Self::File> {
        Ok(FrozenFile(None))
    }

    fn open(&self, path: &Path) -> io::Result<Self::File> {
        Ok(FrozenFile(Some(self.0.open(path)?)))
    }

    fn open_rw(&self, path: &Path) -> io::Result<Self::File> {
        self.open(path)
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl<F: DiskFile> DiskFile for FrozenFile<F> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.as_ref().map_or(Ok(0), |file| file.read_at(offset, buffer))
    }

    fn write_at(&mut self, _: u64, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn allocate(&mut self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn another(&self) -> io::Result<Self> {
        self.0.as_ref().map(DiskFile::another).transpose().map(FrozenFile)
    }

    fn set_len(&mut self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.0.as_ref().map_or(Ok(0), DiskFile::len)
    }
}
