//! Writing a snapshot as a stream: the tree is walked while others change it, nothing is kept.
//!
//! The file has its name only once it is whole and durable: it is written under a temporary name,
//! synced, renamed, and the directory is synced. The reference does that only sometimes; what is
//! found afterwards is the same.

use super::xerial::Compressor;
use super::{END_MARK, SnapshotDigest};
use crate::error::At;
use crate::names::{snapshot_name, unfinished_name};
use crate::{Compression, Disk, DiskFile, Error};
use base::{SessionId, Zxid};
use flate2::write::GzEncoder;
use jute::{Encode, put_int, put_long, put_string};
use simd_adler32::Adler32;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use wire::{Acl, NodeRecord, SnapshotHeader};

/// A snapshot that is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenSnapshot {
    /// Where it is.
    pub path: PathBuf,
    /// Its length in bytes.
    pub len: u64,
}

/// Writes one snapshot: sessions, access lists, nodes, in this order and each even if there are
/// none; then [`SnapshotWriter::finish`]. Dropped before that it leaves a file that no reader takes
/// for a snapshot and that the next start removes.
pub struct SnapshotWriter<D: Disk> {
    disk: D,
    dir: PathBuf,
    temporary: PathBuf,
    path: PathBuf,
    sink: Sink<D::File>,
    checksum: Adler32,
    /// What is neither in the checksum nor in the sink.
    pending: Vec<u8>,
    section: Section,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    Sessions,
    Acls,
    Nodes,
}

impl<D: Disk> SnapshotWriter<D> {
    /// Begins a snapshot in `dir`. `zxid` is what is applied now, before the walk.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create(
        disk: D,
        dir: &Path,
        zxid: Zxid,
        compression: Compression,
    ) -> Result<SnapshotWriter<D>, Error> {
        let temporary = dir.join(unfinished_name(zxid, compression));
        let file = disk.create(&temporary).at(&temporary)?;
        let mut pending = Vec::with_capacity(SPILL_SIZE + SPILL_SIZE / 4);
        SnapshotHeader::SNAPSHOT.encode(&mut pending);
        Ok(SnapshotWriter {
            disk,
            dir: dir.to_owned(),
            path: dir.join(snapshot_name(zxid, compression)),
            temporary,
            sink: Sink::new(file, compression),
            checksum: Adler32::new(),
            pending,
            section: Section::Sessions,
        })
    }

    /// All global sessions with their time-outs in ms.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn sessions(
        &mut self,
        sessions: impl ExactSizeIterator<Item = (SessionId, i32)>,
    ) -> Result<(), Error> {
        self.enter(Section::Sessions, Section::Acls);
        put_int(&mut self.pending, count(sessions.len()));
        for (session, timeout_ms) in sessions {
            put_long(&mut self.pending, session.0);
            put_int(&mut self.pending, timeout_ms);
            self.spill_if_large()?;
        }
        Ok(())
    }

    /// All access lists with their ids, but for the open one (-1).
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn acls<'a>(
        &mut self,
        acls: impl ExactSizeIterator<Item = (i64, &'a [Acl])>,
    ) -> Result<(), Error> {
        self.enter(Section::Acls, Section::Nodes);
        put_int(&mut self.pending, count(acls.len()));
        for (id, list) in acls {
            put_long(&mut self.pending, id);
            put_int(&mut self.pending, count(list.len()));
            list.iter().for_each(|acl| acl.encode(&mut self.pending));
            self.spill_if_large()?;
        }
        Ok(())
    }

    /// One node; parents before children, the root first and with the empty path.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn node(&mut self, node: &NodeRecord<'_>) -> Result<(), Error> {
        self.enter(Section::Nodes, Section::Nodes);
        assert!(node.path != END_MARK, "the root is written as the empty path");
        node.encode(&mut self.pending);
        self.spill_if_large()
    }

    /// Where a caller that may not wait for the disk while it looks at the tree encodes nodes, one
    /// after the other; to be followed by [`SnapshotWriter::write`].
    pub fn nodes(&mut self) -> &mut Vec<u8> {
        self.enter(Section::Nodes, Section::Nodes);
        &mut self.pending
    }

    /// Writes what has gathered, once that is worth it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&mut self) -> Result<(), Error> {
        self.spill_if_large()
    }

    /// Ends it and makes it durable under its name. `digest` and `last_zxid` are those of now,
    /// after the walk; `None` where the server's options say so.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(
        mut self,
        digest: Option<SnapshotDigest>,
        last_zxid: Option<Zxid>,
    ) -> Result<WrittenSnapshot, Error> {
        self.enter(Section::Nodes, Section::Nodes);
        put_string(&mut self.pending, END_MARK);
        self.seal()?;
        if let Some(digest) = digest {
            put_long(&mut self.pending, digest.zxid.0);
            put_int(&mut self.pending, digest.version);
            put_long(&mut self.pending, digest.tree as i64);
            self.seal()?;
        }
        if let Some(last_zxid) = last_zxid {
            put_long(&mut self.pending, last_zxid.0);
            self.seal()?;
        }
        self.spill()?;
        let len = self.sink.finish().at(&self.temporary)?;
        self.disk.rename(&self.temporary, &self.path).at(&self.path)?;
        self.disk.sync_dir(&self.dir).at(&self.dir)?;
        Ok(WrittenSnapshot { path: self.path, len })
    }

    /// The name that it will have.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives up and removes what was written.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn abort(self) -> Result<(), Error> {
        self.disk.remove(&self.temporary).at(&self.temporary)
    }

    fn enter(&mut self, expected: Section, next: Section) {
        assert_eq!(self.section, expected, "sections come in the order of the format");
        self.section = next;
    }

    fn seal(&mut self) -> Result<(), Error> {
        self.spill()?;
        put_long(&mut self.pending, i64::from(self.checksum.finish()));
        put_string(&mut self.pending, END_MARK);
        Ok(())
    }

    fn spill_if_large(&mut self) -> Result<(), Error> {
        if self.pending.len() >= SPILL_SIZE { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> Result<(), Error> {
        self.checksum.write(&self.pending);
        self.sink.write(&self.pending).at(&self.temporary)?;
        self.pending.clear();
        Ok(())
    }
}

impl<D: Disk> std::fmt::Debug for SnapshotWriter<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SnapshotWriter").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Compresses and writes.
///
/// What is written is synced every now and then: a hundred megabytes left to the last sync would
/// keep the transaction log's own syncs waiting for a tenth of a second.
struct Sink<F> {
    out: Output<F>,
    encoder: Encoder,
}

struct Output<F> {
    file: F,
    /// Where the next write goes.
    offset: u64,
    /// All before it is synced.
    synced: u64,
}

impl<F: DiskFile> Output<F> {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.file.write_at(self.offset, bytes)?;
        self.offset += bytes.len() as u64;
        if self.offset - self.synced >= UNSYNCED_MAX { self.sync() } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.synced = self.offset;
        Ok(())
    }
}

enum Encoder {
    Plain,
    Gzip(GzEncoder<Vec<u8>>),
    Snappy(Box<Compressor>),
}

impl<F: DiskFile> Sink<F> {
    fn new(file: F, compression: Compression) -> Sink<F> {
        let encoder = match compression {
            Compression::None => Encoder::Plain,
            Compression::Gzip => {
                Encoder::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::default()))
            }
            Compression::Snappy => Encoder::Snappy(Box::new(Compressor::new())),
        };
        Sink { out: Output { file, offset: 0, synced: 0 }, encoder }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.encoder {
            Encoder::Plain => self.out.append(bytes),
            Encoder::Gzip(gzip) => {
                gzip.write_all(bytes)?;
                take_large(&mut self.out, gzip.get_mut())
            }
            Encoder::Snappy(snappy) => {
                snappy.write(bytes)?;
                take_large(&mut self.out, snappy.output())
            }
        }
    }

    /// Writes the rest and syncs; gives the file's length.
    fn finish(mut self) -> io::Result<u64> {
        let rest = match self.encoder {
            Encoder::Plain => Vec::new(),
            Encoder::Gzip(gzip) => gzip.finish()?,
            Encoder::Snappy(snappy) => snappy.finish()?,
        };
        self.out.append(&rest)?;
        self.out.sync()?;
        Ok(self.out.offset)
    }
}

fn take_large<F: DiskFile>(out: &mut Output<F>, encoded: &mut Vec<u8>) -> io::Result<()> {
    if encoded.len() >= SPILL_SIZE {
        out.append(encoded)?;
        encoded.clear();
    }
    Ok(())
}

fn count(n: usize) -> i32 {
    i32::try_from(n).expect("counts are bounded by memory far below 2^31")
}

/// How much is gathered before it is written, in bytes: little enough to be in the cache still
/// when it is summed up and copied.
const SPILL_SIZE: usize = 128 << 10;
/// How much is written before it is synced, in bytes: about what a disk takes in a millisecond.
const UNSYNCED_MAX: u64 = 512 << 10;
