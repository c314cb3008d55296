//! Reading a snapshot item by item, with every seal checked before the trailer is given.
//!
//! A consumer must not trust the items before [`SnapshotItem::End`] has come: the first seal stands
//! behind all of them. Old files lack the digest, the last zxid or both; which is there is told by
//! what is left of the file, also for the pair of options that the reference cannot tell apart.

use super::source::Source;
use super::{END_MARK, SnapshotDigest, SnapshotTrailer};
use crate::error::At;
use crate::{Compression, Damage, Disk, Error};
use base::{SessionId, Zxid};
use jute::{Decode, Reader};
use std::io;
use std::path::{Path, PathBuf};
use wire::{Acls, NodeRecord, SnapshotHeader, StatPersisted};

/// What a snapshot consists of, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotItem<'a> {
    /// A session and its time-out in ms.
    Session(SessionId, i32),
    /// An access list and its id.
    Acl(i64, Acls<'a>),
    /// A node; the root is the first and has the empty path.
    Node(NodeRecord<'a>),
    /// All seals were good. Nothing comes after it.
    End(SnapshotTrailer),
}

/// Reads one snapshot.
#[derive(Debug)]
pub struct SnapshotReader<D: Disk> {
    path: PathBuf,
    source: Source<D::File>,
    section: Section,
}

#[derive(Clone, Copy, Debug)]
enum Section {
    /// So many are left.
    Sessions(usize),
    Acls(usize),
    Nodes,
    Ended,
}

/// An item by its size, so that it can be borrowed from the window after the window was filled.
enum Next {
    Session,
    Acl(usize),
    Node(usize),
    End(SnapshotTrailer),
}

impl<D: Disk> SnapshotReader<D> {
    /// Opens a snapshot and reads its header.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Io`].
    pub fn open(
        disk: &D,
        path: &Path,
        compression: Compression,
    ) -> Result<SnapshotReader<D>, Error> {
        let file = disk.open(path).at(path)?;
        let path = path.to_owned();
        let source = Source::open(file, compression).map_err(|error| failed(&path, 0, error))?;
        let mut reader = SnapshotReader { path, source, section: Section::Sessions(0) };
        reader.need(SnapshotHeader::SIZE)?;
        match SnapshotHeader::decode(&mut Reader::new(reader.source.ready())) {
            Ok(header) if header.magic == SnapshotHeader::SNAPSHOT_MAGIC => {}
            Ok(_) | Err(_) => return Err(reader.corrupt_at(0, Damage::Magic)),
        }
        reader.source.take(SnapshotHeader::SIZE);
        reader.section = Section::Sessions(reader.count()?);
        Ok(reader)
    }

    /// The next item; `None` after [`SnapshotItem::End`].
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Io`].
    pub fn next_item(&mut self) -> Result<Option<SnapshotItem<'_>>, Error> {
        let Some(next) = self.advance()? else { return Ok(None) };
        let broken = "its size was measured by decoding it";
        Ok(Some(match next {
            Next::Session => {
                let mut r = Reader::new(self.source.taken(SESSION_SIZE));
                SnapshotItem::Session(SessionId(r.long().expect(broken)), r.int().expect(broken))
            }
            Next::Acl(size) => {
                let mut r = Reader::new(self.source.taken(size));
                let id = r.long().expect(broken);
                SnapshotItem::Acl(id, Acls::decode(&mut r).expect(broken).expect(broken))
            }
            Next::Node(size) => {
                let mut r = Reader::new(self.source.taken(size));
                SnapshotItem::Node(decode_node(&mut r).expect(broken))
            }
            Next::End(trailer) => SnapshotItem::End(trailer),
        }))
    }

    fn advance(&mut self) -> Result<Option<Next>, Error> {
        loop {
            match self.section {
                Section::Sessions(0) => self.section = Section::Acls(self.count()?),
                Section::Acls(0) => self.section = Section::Nodes,
                Section::Sessions(left) => {
                    self.need(SESSION_SIZE)?;
                    self.source.take(SESSION_SIZE);
                    self.section = Section::Sessions(left - 1);
                    return Ok(Some(Next::Session));
                }
                Section::Acls(left) => {
                    self.section = Section::Acls(left - 1);
                    return self.measure_acl().map(|size| Some(Next::Acl(size)));
                }
                Section::Nodes => {
                    if let Some(size) = self.measure_node()? {
                        return Ok(Some(Next::Node(size)));
                    }
                    self.section = Section::Ended;
                    return self.trailer().map(|trailer| Some(Next::End(trailer)));
                }
                Section::Ended => return Ok(None),
            }
        }
    }

    /// Goes past an access list and gives its size. Its length is known only by decoding it.
    fn measure_acl(&mut self) -> Result<usize, Error> {
        let mut size = ACL_SIZE_MIN;
        loop {
            let whole = self.fill(size)?;
            let mut r = Reader::new(self.source.ready());
            let decoded = r.long().and_then(|_| Acls::decode(&mut r));
            let (have, left) = (self.source.ready().len(), r.rest().len());
            match decoded {
                Ok(Some(_)) => {
                    self.source.take(have - left);
                    return Ok(have - left);
                }
                Ok(None) => return Err(self.corrupt(Damage::Malformed)),
                Err(jute::Error::Truncated { .. }) if whole => size = have * 2,
                Err(jute::Error::Truncated { .. }) => return Err(self.corrupt(Damage::Missing)),
                Err(jute::Error::BadLength(_) | jute::Error::BadValue(_)) => {
                    return Err(self.corrupt(Damage::Length));
                }
            }
        }
    }

    /// Goes past a node and gives its size; `None` at the end of the nodes.
    fn measure_node(&mut self) -> Result<Option<usize>, Error> {
        let path_len = self.length_at(0)?;
        let data_at = 4 + path_len;
        self.need(data_at)?;
        if &self.source.ready()[4..data_at] == END_MARK.as_bytes() {
            self.source.take(data_at);
            return Ok(None);
        }
        let data_len = self.length_at(data_at)?;
        let size = data_at + 4 + data_len + NODE_FIXED_SIZE;
        self.need(size)?;
        self.source.take(size);
        Ok(Some(size))
    }

    /// Reads the seals and what they seal, as far as the file goes.
    fn trailer(&mut self) -> Result<SnapshotTrailer, Error> {
        self.seal()?;
        let mut trailer = SnapshotTrailer::default();
        if self.left()? == 0 {
            return Ok(trailer);
        }
        if self.left()? == LAST_ZXID_SIZE + SEAL_SIZE {
            trailer.last_zxid = Some(self.last_zxid()?);
            return Ok(trailer);
        }
        trailer.digest = Some(self.digest()?);
        if self.left()? > 0 {
            trailer.last_zxid = Some(self.last_zxid()?);
        }
        Ok(trailer)
    }

    fn digest(&mut self) -> Result<SnapshotDigest, Error> {
        self.need(12)?;
        let mut r = Reader::new(self.source.ready());
        let (zxid, version) = (r.long(), r.int());
        let (Ok(zxid), Ok(version)) = (zxid, version) else {
            return Err(self.corrupt(Damage::Missing));
        };
        self.source.take(12);
        let tree = if version < wire::TxnDigest::VERSION {
            let text_len = self.length_at(0)?;
            self.need(4 + text_len)?;
            self.source.take(4 + text_len);
            0
        } else {
            self.long()? as u64
        };
        self.seal()?;
        Ok(SnapshotDigest { zxid: Zxid(zxid), version, tree })
    }

    fn last_zxid(&mut self) -> Result<Zxid, Error> {
        let zxid = self.long()?;
        self.seal()?;
        Ok(Zxid(zxid))
    }

    fn seal(&mut self) -> Result<(), Error> {
        let at = self.source.position();
        let checksum = self.source.checksum();
        self.need(SEAL_SIZE)?;
        let mut r = Reader::new(self.source.ready());
        let (sealed, mark) = (r.long(), r.buffer());
        if sealed != Ok(checksum as i64) || mark != Ok(Some(END_MARK.as_bytes())) {
            return Err(self.corrupt_at(at, Damage::Checksum));
        }
        self.source.take(SEAL_SIZE);
        Ok(())
    }

    /// How many bytes are left, as far as it matters.
    fn left(&mut self) -> Result<usize, Error> {
        self.fill(LEFT_MAX)?;
        Ok(self.source.ready().len().min(LEFT_MAX))
    }

    fn count(&mut self) -> Result<usize, Error> {
        self.need(4)?;
        let count = Reader::new(self.source.ready()).int().ok();
        let count = count.and_then(|count| usize::try_from(count).ok());
        let count = count.ok_or_else(|| self.corrupt(Damage::Length))?;
        self.source.take(4);
        Ok(count)
    }

    fn long(&mut self) -> Result<i64, Error> {
        self.need(8)?;
        let value = Reader::new(self.source.ready()).long();
        let value = value.map_err(|_| self.corrupt(Damage::Missing))?;
        self.source.take(8);
        Ok(value)
    }

    /// The length field `at` bytes from here; null counts as empty.
    fn length_at(&mut self, at: usize) -> Result<usize, Error> {
        self.need(at + 4)?;
        match Reader::new(&self.source.ready()[at..]).int() {
            Ok(-1) => Ok(0),
            Ok(len) => usize::try_from(len).map_err(|_| self.corrupt(Damage::Length)),
            Err(_) => Err(self.corrupt(Damage::Missing)),
        }
    }

    fn need(&mut self, size: usize) -> Result<(), Error> {
        if self.fill(size)? { Ok(()) } else { Err(self.corrupt(Damage::Missing)) }
    }

    fn fill(&mut self, size: usize) -> Result<bool, Error> {
        let at = self.source.position();
        self.source.fill(size).map_err(|error| failed(&self.path, at, error))
    }

    fn corrupt(&self, damage: Damage) -> Error {
        self.corrupt_at(self.source.position(), damage)
    }

    fn corrupt_at(&self, offset: u64, damage: Damage) -> Error {
        Error::Corrupt { path: self.path.clone(), offset, damage, after: Zxid::ZERO }
    }
}

fn decode_node<'a>(r: &mut Reader<'a>) -> Result<NodeRecord<'a>, jute::Error> {
    Ok(NodeRecord {
        path: r.string()?.unwrap_or_default(),
        data: r.buffer()?,
        acl_id: r.long()?,
        stat: StatPersisted::decode(r)?,
    })
}

/// The disk's errors stay the disk's; the decompressors' mean damage.
fn failed(path: &Path, offset: u64, error: io::Error) -> Error {
    let is_damage = matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof
    );
    let is_snappy = error.get_ref().is_some_and(|inner| inner.is::<snap::Error>());
    if is_damage || is_snappy {
        let (path, damage, after) = (path.to_owned(), Damage::Compression, Zxid::ZERO);
        return Error::Corrupt { path, offset, damage, after };
    }
    Error::Io { path: path.to_owned(), source: error }
}

const SESSION_SIZE: usize = 12;
/// An id and a count.
const ACL_SIZE_MIN: usize = 12;
/// A node's id of an access list, and its stat.
const NODE_FIXED_SIZE: usize = 68;
/// A checksum and "/" as a string.
const SEAL_SIZE: usize = 13;
const LAST_ZXID_SIZE: usize = 8;
/// More bytes than any trailer whose size decides anything.
const LEFT_MAX: usize = 64;
