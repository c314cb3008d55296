//! Reading a whole journal, without changing anything: what recovery and inspections begin with.
//!
//! Where records end in the last segment is either its end, a torn tail or damage. It is damage if
//! the place lies before what was known to be durable: the records repeated at a segment's
//! beginning, what a mark before or behind the place says, and every earlier segment up to where
//! the next one says that it ends. Else no one can have been told of what follows, but for one
//! case that nothing on a disk can show: damage to the last batch that was synced, if nothing was
//! written behind it. That reads as a torn tail, is cut and reported.

use super::header::{HEADER_SIZE, Identity, SegmentHeader};
use super::recover::{Segment, list_segments};
use super::state::State;
use super::window::{Found, Window};
use super::{Kept, Record, Refusal, TornTail};
use crate::{Damage, Disk, DiskFile, Error};
use base::Zxid;
use std::path::Path;

/// A record where it was found.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// The segment.
    pub path: &'a Path,
    /// What the segment says about itself.
    pub header: &'a SegmentHeader,
    /// Where the record begins, in bytes.
    pub offset: u64,
    /// Its length with its frame, in bytes.
    pub size: u64,
    /// Whether it repeats at a segment's beginning what earlier ones hold.
    pub is_repeated: bool,
    /// What it says.
    pub record: Record<'a>,
}

/// A journal that was read.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Its segments, oldest first; none if there is no journal.
    pub segments: Vec<Segment>,
    /// Whose it is.
    pub identity: Option<Identity>,
    /// What a crash left behind the end.
    pub torn: Option<TornTail>,
    pub(super) state: State,
    pub(super) end: End,
}

/// Where the last segment ends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct End {
    pub(super) offset: u64,
    /// The checksum of its last record, or of its header.
    pub(super) chain: u32,
    pub(super) salt: u32,
    /// Known to be durable up to here.
    pub(super) durable: u64,
    pub(super) repeated_end: u64,
}

impl Survey {
    /// Registers, texts and the last checkpoint.
    #[must_use]
    pub fn kept(&self) -> &Kept {
        &self.state.kept
    }

    /// The first live entry; [`Survey::next`] if there is none.
    #[must_use]
    pub fn first(&self) -> Zxid {
        self.state.first()
    }

    /// The place of the next entry.
    #[must_use]
    pub fn next(&self) -> Zxid {
        self.state.next
    }

    /// Where the records of the last segment end, in bytes.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end.offset
    }
}

/// Reads the journal in `dir`, and shows every record to `visit`, in order.
///
/// # Errors
/// [`Refusal`], after everything before the place was shown; [`Error::Io`].
pub fn read_journal<D: Disk>(
    disk: &D,
    dir: &Path,
    identity: Option<Identity>,
    mut visit: impl FnMut(Item<'_>),
) -> Result<Survey, Error> {
    let segments = list_segments(disk, dir)?;
    let headers = headers(disk, &segments, identity)?;
    let first = headers.first().map_or(Zxid(1), |header| header.next);
    let mut state = State::new(first);
    let (mut end, mut torn) = (End::default(), None);
    for (at, (segment, header)) in segments.iter().zip(&headers).enumerate() {
        if state.next != header.next {
            return corrupt(&segment.path, NEXT_AT, Damage::Malformed, &state);
        }
        let following = headers.get(at + 1);
        let window = Window::open(disk, &segment.path)?.0;
        let mut pass = Pass { segment, header, window, state: &mut state };
        (end, torn) = pass.read(following, &mut visit)?;
    }
    if let Some(oldest) = segments.first()
        && state.first() > state.checkpoint_at().next()
    {
        let why = "no checkpoint covers what it held";
        let number = oldest.number.saturating_sub(1);
        return Err(Refusal::Missing { dir: dir.to_owned(), number, why }.into());
    }
    let identity = headers.first().map(|header| header.identity);
    Ok(Survey { segments, identity, torn, state, end })
}

/// The headers of all segments, each checked against its name, its owner and the one before.
fn headers<D: Disk>(
    disk: &D,
    segments: &[Segment],
    mut identity: Option<Identity>,
) -> Result<Vec<SegmentHeader>, Error> {
    let mut headers = Vec::with_capacity(segments.len());
    for Segment { path, number, .. } in segments {
        let (_, header) = Window::open(disk, path)?;
        let expected = *identity.get_or_insert(header.identity);
        if header.identity != expected {
            let (found, expected) = (header.identity.member.0, expected.member.0);
            return Err(Refusal::Foreign { path: path.clone(), found, expected }.into());
        }
        if header.number != *number {
            let number = header.number;
            return Err(Refusal::Misnamed { path: path.clone(), number }.into());
        }
        headers.push(header);
    }
    Ok(headers)
}

/// One segment on its way through the fold.
struct Pass<'a, F> {
    segment: &'a Segment,
    header: &'a SegmentHeader,
    window: Window<F>,
    state: &'a mut State,
}

impl<F: DiskFile> Pass<'_, F> {
    fn read(
        &mut self,
        following: Option<&SegmentHeader>,
        visit: &mut impl FnMut(Item<'_>),
    ) -> Result<(End, Option<TornTail>), Error> {
        let (salt, repeated_end) = (self.window.salt, self.header.repeated_end);
        let durable = repeated_end;
        let mut end = End { offset: HEADER_SIZE, chain: salt, salt, durable, repeated_end };
        loop {
            if let Some(next) = following
                && end.offset >= next.previous_end
            {
                let is_same = (end.offset, end.chain) == (next.previous_end, next.previous_chain);
                return if is_same { Ok((end, None)) } else { self.corrupt(&end, Damage::Chain) };
            }
            match self.step(&mut end, visit)? {
                None => {}
                Some(damage) if following.is_some() => return self.corrupt(&end, damage),
                Some(damage) => return self.ended(end, damage),
            }
        }
    }

    /// Takes the record at the end; gives what is wrong if there is none.
    fn step(
        &mut self,
        end: &mut End,
        visit: &mut impl FnMut(Item<'_>),
    ) -> Result<Option<Damage>, Error> {
        let Segment { path, number, .. } = self.segment;
        let offset = end.offset;
        let (record, prefix) = match self.window.at(offset)? {
            Found::Record { record, prefix } => (record, prefix),
            Found::Meaningless => return corrupt(path, offset, Damage::Malformed, self.state),
            Found::End => return Ok(Some(Damage::Missing)),
            Found::Damaged(damage) => return Ok(Some(damage)),
        };
        if prefix.chain != end.chain {
            return Ok(Some(Damage::Chain));
        }
        let is_possible = match record {
            Record::Mark { durable } => durable <= offset,
            Record::Successor { number: next } => {
                let why = "the segment before it says that it was there";
                let dir = path.parent().unwrap_or(path).to_owned();
                return Err(Refusal::Missing { dir, number: next, why }.into());
            }
            Record::Entry { .. }
            | Record::Truncate { .. }
            | Record::Register { .. }
            | Record::Text { .. }
            | Record::Checkpoint { .. } => self.state.accepts(&record),
        };
        if !is_possible {
            return corrupt(path, offset, Damage::Malformed, self.state);
        }
        if let Record::Mark { durable } = record {
            end.durable = end.durable.max(durable);
        }
        self.state.apply(&record, *number, offset);
        let (header, size) = (self.header, prefix.size());
        let is_repeated = offset < header.repeated_end;
        visit(Item { path, header, offset, size, is_repeated, record });
        end.offset += size;
        end.chain = prefix.checksum;
        Ok(None)
    }

    /// The last segment has no further record: is that its end, a torn tail, or damage?
    fn ended(&mut self, end: End, damage: Damage) -> Result<(End, Option<TornTail>), Error> {
        let behind = self.window.behind(end.offset)?;
        if end.offset < end.durable.max(behind.durable) {
            return self.corrupt(&end, damage);
        }
        let bytes = behind.end.saturating_sub(end.offset);
        let path = self.segment.path.clone();
        let torn = TornTail { path, offset: end.offset, bytes, damage };
        Ok((end, (bytes > 0).then_some(torn)))
    }

    fn corrupt<T>(&self, end: &End, damage: Damage) -> Result<T, Error> {
        corrupt(&self.segment.path, end.offset, damage, self.state)
    }
}

fn corrupt<T>(path: &Path, offset: u64, damage: Damage, state: &State) -> Result<T, Error> {
    let after = (state.next > Zxid(1)).then(|| Zxid(state.next.0 - 1));
    Err(Refusal::Corrupt { path: path.to_owned(), offset, damage, after }.into())
}

/// Where a header has the place of the next entry.
const NEXT_AT: u64 = 48;
