//! A disk that takes everything and keeps nothing but lengths: what is counted is our own work.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use storage::{Disk, DiskFile, Entry};

/// The disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sink {
    lengths: Rc<RefCell<BTreeMap<PathBuf, Arc<AtomicU64>>>>,
    /// Bytes that were written to all files.
    written: Arc<AtomicU64>,
}

/// A file.
#[derive(Clone, Debug)]
pub(crate) struct SinkFile {
    length: Arc<AtomicU64>,
    written: Arc<AtomicU64>,
}

impl Sink {
    /// Bytes that were written to all files.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    fn find(&self, path: &Path) -> io::Result<SinkFile> {
        let length = self.lengths.borrow().get(path).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(SinkFile { length, written: Arc::clone(&self.written) })
    }
}

impl Disk for Sink {
    type File = SinkFile;

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let lengths = self.lengths.borrow();
        let inside = lengths.iter().filter(|(path, _)| path.parent() == Some(dir));
        let entry = |(path, len): (&PathBuf, &Arc<AtomicU64>)| {
            let name = path.file_name()?.to_str()?.to_owned();
            Some(Entry { name, len: len.load(Ordering::Relaxed) })
        };
        Ok(inside.filter_map(entry).collect())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.lengths.borrow().contains_key(path))
    }

    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<SinkFile> {
        self.lengths.borrow_mut().insert(path.to_owned(), Arc::default());
        self.find(path)
    }

    fn open(&self, path: &Path) -> io::Result<SinkFile> {
        self.find(path)
    }

    fn open_rw(&self, path: &Path) -> io::Result<SinkFile> {
        self.find(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut lengths = self.lengths.borrow_mut();
        let length = lengths.remove(from).ok_or(io::ErrorKind::NotFound)?;
        lengths.insert(to.to_owned(), length);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.lengths.borrow_mut().remove(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for SinkFile {
    fn read_at(&self, _: u64, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.length.fetch_max(offset + bytes.len() as u64, Ordering::Relaxed);
        self.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn allocate(&mut self, len: u64) -> io::Result<()> {
        self.length.fetch_max(len, Ordering::Relaxed);
        Ok(())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn another(&self) -> io::Result<SinkFile> {
        Ok(self.clone())
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.length.store(len, Ordering::Relaxed);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.length.load(Ordering::Relaxed))
    }
}
