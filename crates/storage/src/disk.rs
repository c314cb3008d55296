//! The disk as this crate sees it: a few operations on files and directories, each of which may
//! fail.
//!
//! A server implements it over `std::fs`, tests and the simulator over memory. Nothing here is
//! durable until a sync says so: data by [`DiskFile::sync_data`], names by [`Disk::sync_dir`].

use std::io;
use std::path::Path;

/// A file in a directory's listing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name, without the directory.
    pub name: String,
    /// Its length in bytes.
    pub len: u64,
}

/// A file system. Cloning it gives another handle of the same one.
pub trait Disk: Clone {
    /// An open file.
    type File: DiskFile;

    /// The regular files of `dir`, in any order; names that are not UTF-8 are left out.
    ///
    /// # Errors
    /// `NotFound` if there is no such directory.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;

    /// Whether there is a file or directory of that name.
    ///
    /// # Errors
    /// If the disk cannot tell.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Makes a directory and those above it; fine if it is there.
    ///
    /// # Errors
    /// If it cannot be made.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Opens for reading and writing; makes the file if it is missing, empties it if not.
    ///
    /// # Errors
    /// If it cannot be made.
    fn create(&self, path: &Path) -> io::Result<Self::File>;

    /// Opens for reading.
    ///
    /// # Errors
    /// `NotFound` if it is missing.
    fn open(&self, path: &Path) -> io::Result<Self::File>;

    /// Opens for reading and writing, as it is.
    ///
    /// # Errors
    /// `NotFound` if it is missing.
    fn open_rw(&self, path: &Path) -> io::Result<Self::File>;

    /// Renames a file, in place of what has the new name; atomic.
    ///
    /// # Errors
    /// `NotFound` if it is missing.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// `NotFound` if it is missing.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in `dir` durable: what was created, renamed and removed.
    ///
    /// # Errors
    /// If that is not certain.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// An open file. It may move to another thread.
pub trait DiskFile: Send {
    /// Reads at `offset` into `buffer`; fewer bytes than asked for only at the end of the file.
    ///
    /// # Errors
    /// If the disk cannot read.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`, extending the file where needed.
    ///
    /// # Errors
    /// If not all was taken; how much was is then unknown.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Extends the file to `len` bytes of zeros and reserves their space (`fallocate`), so that
    /// later writes inside find both. A file that is as long already is left alone.
    ///
    /// # Errors
    /// If there is no space.
    fn allocate(&mut self, len: u64) -> io::Result<()>;

    /// Makes the data and the length durable (`fdatasync`).
    ///
    /// # Errors
    /// If that is not certain. It must not be tried again: the kernel may have dropped the pages.
    fn sync_data(&mut self) -> io::Result<()>;

    /// Another handle on the same file: its syncs reach what was written through this one.
    ///
    /// # Errors
    /// If the system has no more handles.
    fn another(&self) -> io::Result<Self>
    where
        Self: Sized;

    /// Cuts the file, or extends it by zeros.
    ///
    /// # Errors
    /// If the disk cannot.
    fn set_len(&mut self, len: u64) -> io::Result<()>;

    /// The length in bytes.
    ///
    /// # Errors
    /// If the disk cannot tell.
    fn len(&self) -> io::Result<u64>;

    /// Whether the length is zero.
    ///
    /// # Errors
    /// As [`DiskFile::len`].
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}
