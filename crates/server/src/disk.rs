//! The real disk: [`storage::Disk`] over the file system.
//!
//! Guarantee: what is reported done was done by the operating system; nothing is retried but an
//! interrupted call.

use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use storage::{Disk, DiskFile, Entry};

/// The file system of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct StdDisk;

/// An open file of it.
#[derive(Debug)]
pub struct StdFile(File);

impl Disk for StdDisk {
    type File = StdFile;

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // Through links, as the reference does; a file may be purged while we look.
            match fs::metadata(entry.path()) {
                Ok(meta) if meta.is_file() => entries.push(Entry { name, len: meta.len() }),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(entries)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn create(&self, path: &Path) -> io::Result<StdFile> {
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(true).clone();
        options.open(path).map(StdFile)
    }

    fn open(&self, path: &Path) -> io::Result<StdFile> {
        File::open(path).map(StdFile)
    }

    fn open_rw(&self, path: &Path) -> io::Result<StdFile> {
        OpenOptions::new().read(true).write(true).open(path).map(StdFile)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        File::open(dir)?.sync_all()
    }
}

impl DiskFile for StdFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.0.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn allocate(&mut self, len: u64) -> io::Result<()> {
        let from = self.len()?;
        if from >= len {
            return Ok(());
        }
        loop {
            match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), from, len - from) {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => {}
                // A file system without it still gives the zeros, only not the space.
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => return self.0.set_len(len),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn another(&self) -> io::Result<StdFile> {
        self.0.try_clone().map(StdFile)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.0.metadata().map(|meta| meta.len())
    }
}
