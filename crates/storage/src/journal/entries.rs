//! Reading entries back, from any place: for recovery, and for peers that lack them.

use super::format::PREFIX_SIZE;
use super::recover::segment_name;
use super::state::State;
use super::window::{Found, Window};
use super::{Record, Refusal};
use crate::{Damage, Disk, Error};
use base::Zxid;
use std::path::Path;

/// Live entries in their order. It holds one window of a file.
#[derive(Debug)]
pub struct Entries<'a, D: Disk> {
    disk: &'a D,
    dir: &'a Path,
    state: &'a State,
    /// The next one to be given.
    at: Zxid,
    cursor: Option<Cursor<D::File>>,
}

/// Where it is.
#[derive(Debug)]
struct Cursor<F> {
    window: Window<F>,
    offset: u64,
    /// The last entry of the run.
    last: Zxid,
}

impl<'a, D: Disk> Entries<'a, D> {
    pub(super) fn new(disk: &'a D, dir: &'a Path, state: &'a State, from: Zxid) -> Entries<'a, D> {
        Entries { disk, dir, state, at: from, cursor: None }
    }

    /// The next entry; `None` behind the last.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Refusal::Corrupt`] if it is damaged by now.
    pub fn next_entry(&mut self) -> Result<Option<(Zxid, &[u8])>, Error> {
        if self.at >= self.state.next {
            return Ok(None);
        }
        let cursor = self.cursor.take().filter(|cursor| self.at <= cursor.last);
        let cursor = match cursor {
            Some(cursor) => cursor,
            None => self.seek()?,
        };
        let cursor = self.cursor.insert(cursor);
        let (at, len) = cursor.find(self.at)?;
        self.at = self.at.next();
        let bytes = cursor.window.fill(at + ENTRY_AT as u64, len)?;
        Ok(Some((Zxid(self.at.0 - 1), bytes)))
    }

    fn seek(&self) -> Result<Cursor<D::File>, Error> {
        let found = self.state.index.find(self.at);
        let (run, point) = found.expect("runs leave no gap from the first entry to the last");
        let path = self.dir.join(segment_name(run.segment));
        let window = Window::open(self.disk, &path)?.0;
        Ok(Cursor { window, offset: point.offset, last: run.last })
    }
}

impl<F: crate::DiskFile> Cursor<F> {
    /// Goes to the entry of that place; gives where its record begins, and its length in bytes.
    fn find(&mut self, wanted: Zxid) -> Result<(u64, usize), Error> {
        loop {
            let offset = self.offset;
            let damage = match self.window.at(offset)? {
                Found::Record { record, prefix } => {
                    self.offset += prefix.size();
                    match record {
                        Record::Entry { at, bytes } if at == wanted => {
                            return Ok((offset, bytes.len()));
                        }
                        Record::Entry { at, .. } if at > wanted => Damage::Missing,
                        Record::Entry { .. }
                        | Record::Truncate { .. }
                        | Record::Register { .. }
                        | Record::Text { .. }
                        | Record::Checkpoint { .. }
                        | Record::Mark { .. }
                        | Record::Successor { .. } => continue,
                    }
                }
                Found::Meaningless => Damage::Malformed,
                Found::End => Damage::Missing,
                Found::Damaged(damage) => damage,
            };
            let (path, after) = (self.window.path.clone(), Some(Zxid(wanted.0 - 1)));
            return Err(Refusal::Corrupt { path, offset, damage, after }.into());
        }
    }
}

/// Where the bytes of an entry begin in its record: behind the frame and the place.
const ENTRY_AT: usize = PREFIX_SIZE + 8;
