//! From the buffer to the disk: writing a batch, syncing it, and beginning the next segment.

use super::format::put_record;
use super::header::HEADER_SIZE;
use super::recover::{SPARE_NAME, segment_name};
use super::state::State;
use super::writer::{Current, Journal, Options};
use super::{Checkpoint, Identity, Kept, Record, SegmentHeader};
use crate::error::At;
use crate::log::Spare;
use crate::{Disk, DiskFile, Error};
use std::path::Path;

impl<D: Disk> Journal<D> {
    /// Writes what is buffered in one piece, with a mark behind it if there is news of what is
    /// durable.
    pub(super) fn write_buffer(&mut self) -> Result<(), Error> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        if self.current.marked < self.current.synced {
            self.put_mark();
        }
        let current = &mut self.current;
        let end = current.position + self.buffer.len() as u64;
        if end > current.reserved {
            current.file.allocate(end).at(&current.path)?;
            current.reserved = end;
        }
        current.file.write_at(current.position, &self.buffer).at(&current.path)?;
        current.position = end;
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_SIZE_KEPT);
        Ok(())
    }

    /// Makes everything durable, also what a job beside the journal is about.
    pub(super) fn sync_all(&mut self) -> Result<(), Error> {
        self.write_buffer()?;
        let current = &mut self.current;
        if current.synced < current.position {
            current.file.sync_data().at(&current.path)?;
            current.synced = current.position;
        }
        self.durable = self.appended;
        Ok(())
    }

    /// Says in the stream, durably, that all before is durable.
    pub(super) fn mark_durable(&mut self) -> Result<(), Error> {
        self.guarded(|journal| {
            journal.put_mark();
            journal.sync_all()
        })
    }

    fn put_mark(&mut self) {
        let durable = self.current.synced;
        self.put(&Record::Mark { durable });
        self.current.marked = durable;
    }

    /// Ends the segment and begins the next. Whatever step a crash comes behind, either this one is
    /// the last and durable to its end, or the next one is there with all that is kept.
    pub(super) fn roll(&mut self) -> Result<(), Error> {
        self.sync_all()?;
        let Current { number, position, chain, .. } = self.current;
        let start = Start { number: number + 1, previous_end: position, previous_chain: chain };
        let spare = self.ahead.begin_file();
        let Journal { disk, dir, identity, options, state, .. } = self;
        let next = begin_segment(disk, dir, *identity, *options, state, start, spare)?;
        let mut ended = std::mem::replace(&mut self.current, next);
        // Not synced: it need not be there, but where it is, a lost successor is found out.
        let mut bytes = Vec::new();
        let successor = Record::Successor { number: start.number };
        let seal = (ended.salt, ended.chain);
        put_record(&mut bytes, seal, successor.kind(), |out| successor.encode(out));
        ended.file.write_at(ended.position, &bytes).at(&ended.path)
    }
}

/// Where a segment stands in the stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) number: u64,
    pub(super) previous_end: u64,
    pub(super) previous_chain: u32,
}

/// Makes a segment that repeats what is kept, durably, and then gives it its name.
pub(super) fn begin_segment<D: Disk>(
    disk: &D,
    dir: &Path,
    identity: Identity,
    options: Options,
    state: &State,
    start: Start,
    spare: Option<Spare<D::File>>,
) -> Result<Current<D::File>, Error> {
    let unnamed = dir.join(SPARE_NAME);
    let mut file = match spare {
        Some(spare) => spare.file,
        None => disk.create(&unnamed).at(&unnamed)?,
    };
    let (bytes, salt, chain) = opening(identity, state, start);
    let begin = bytes.len() as u64;
    let reserved = options.segment_size.max(begin);
    file.allocate(reserved).at(&unnamed)?;
    file.write_at(0, &bytes).at(&unnamed)?;
    file.sync_data().at(&unnamed)?;
    let path = dir.join(segment_name(start.number));
    disk.rename(&unnamed, &path).at(&path)?;
    disk.sync_dir(dir).at(dir)?;
    let (number, beside) = (start.number, None);
    let (position, synced, marked) = (begin, begin, begin);
    Ok(Current {
        number,
        file,
        beside,
        path,
        position,
        reserved,
        synced,
        marked,
        begin,
        salt,
        chain,
    })
}

/// A segment's header and the records that repeat what is kept; its salt and the last checksum.
fn opening(identity: Identity, state: &State, start: Start) -> (Vec<u8>, u32, u32) {
    let mut records = Vec::new();
    repeat(&state.kept, |record| {
        put_record(&mut records, (0, 0), record.kind(), |out| record.encode(out));
    });
    let Start { number, previous_end, previous_chain } = start;
    let repeated_end = HEADER_SIZE + records.len() as u64;
    let next = state.next;
    let header =
        SegmentHeader { identity, number, next, previous_end, previous_chain, repeated_end };
    let (header, salt) = header.encode();
    // Sealed only now: what they are sealed with tells how long they are.
    let (mut bytes, mut chain) = (header.to_vec(), salt);
    repeat(&state.kept, |record| {
        chain = put_record(&mut bytes, (salt, chain), record.kind(), |out| record.encode(out));
    });
    (bytes, salt, chain)
}

fn repeat(kept: &Kept, mut put: impl FnMut(&Record<'_>)) {
    for (name, value) in &kept.registers {
        put(&Record::Register { name, value: *value });
    }
    for (name, text) in &kept.texts {
        put(&Record::Text { name, text: Some(text) });
    }
    if let Some(Checkpoint { at, state }) = &kept.checkpoint {
        put(&Record::Checkpoint { at: *at, state });
    }
}

/// Capacity that the buffer keeps between writes, in bytes.
const BUFFER_SIZE_KEPT: usize = 1024 * 1024;
