//! The disk as inspections see it: nothing can be written, and one file can stand for a directory.
//!
//! Guarantee: through a disk made by [`Inspected::read_only`] no file is changed, whatever the code
//! above it does: every operation that writes answers with an error.

use crate::progress::Progress;
use server::{StdDisk, StdFile};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use storage::{Disk, DiskFile, Entry};

/// A view of the file system.
#[derive(Clone, Debug)]
pub(crate) struct Inspected {
    is_writable: bool,
    /// The one file that is listed, under a log's name.
    only: Option<Arc<Only>>,
}

#[derive(Debug)]
struct Only {
    path: PathBuf,
    /// The name that it is listed under: its own, if that is a log's.
    name: String,
}

/// An open file of it.
#[derive(Debug)]
pub(crate) struct InspectedFile {
    file: StdFile,
    is_writable: bool,
    progress: Progress,
}

impl Inspected {
    /// Everything, for reading.
    pub(crate) fn read_only() -> Inspected {
        Inspected { is_writable: false, only: None }
    }

    /// One log file of any name, and the directory to list it in.
    pub(crate) fn one_log(path: &Path) -> (Inspected, PathBuf) {
        let own = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_log = own
            .strip_prefix("log.")
            .is_some_and(|hex| !hex.is_empty() && i64::from_str_radix(hex, 16).is_ok());
        let name = if is_log { own } else { "log.0" }.to_owned();
        let dir = path.parent().map(Path::to_owned).unwrap_or_default();
        let only = Some(Arc::new(Only { path: path.to_owned(), name }));
        (Inspected { is_writable: false, only }, dir)
    }

    /// The same with writes allowed.
    pub(crate) fn writable(self) -> Inspected {
        Inspected { is_writable: true, ..self }
    }

    /// The real path behind one that was made of a listed name.
    pub(crate) fn real_path<'a>(&'a self, path: &'a Path) -> &'a Path {
        match &self.only {
            Some(only) if path.file_name().is_some_and(|name| name == only.name.as_str()) => {
                &only.path
            }
            Some(_) | None => path,
        }
    }

    fn wrap(&self, path: &Path, file: StdFile) -> io::Result<InspectedFile> {
        let progress = Progress::new(path.display().to_string(), file.len()?);
        Ok(InspectedFile { file, is_writable: self.is_writable, progress })
    }
}

fn refused<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "an inspection writes nothing"))
}

impl Disk for Inspected {
    type File = InspectedFile;

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        match &self.only {
            Some(only) => {
                let len = StdDisk.open(&only.path)?.len()?;
                Ok(vec![Entry { name: only.name.clone(), len }])
            }
            None => StdDisk.list(dir),
        }
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        StdDisk.exists(self.real_path(path))
    }

    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn create(&self, _: &Path) -> io::Result<InspectedFile> {
        refused()
    }

    fn open(&self, path: &Path) -> io::Result<InspectedFile> {
        let path = self.real_path(path);
        self.wrap(path, StdDisk.open(path)?)
    }

    fn open_rw(&self, path: &Path) -> io::Result<InspectedFile> {
        let path = self.real_path(path);
        if self.is_writable { self.wrap(path, StdDisk.open_rw(path)?) } else { refused() }
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        refused()
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        if self.is_writable { StdDisk.sync_dir(dir) } else { refused() }
    }
}

impl DiskFile for InspectedFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(offset, buffer)?;
        self.progress.reached(offset + read as u64);
        Ok(read)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if self.is_writable { self.file.write_at(offset, bytes) } else { refused() }
    }

    fn allocate(&mut self, _: u64) -> io::Result<()> {
        refused()
    }

    fn sync_data(&mut self) -> io::Result<()> {
        if self.is_writable { self.file.sync_data() } else { refused() }
    }

    fn another(&self) -> io::Result<InspectedFile> {
        refused()
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        if self.is_writable { self.file.set_len(len) } else { refused() }
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}
