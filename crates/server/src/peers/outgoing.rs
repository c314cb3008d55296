//! What waits to be written to one link.
//!
//! Invariant: what was given first is written first, whatever wrote the beginning of it. Only the
//! link's task takes from the queue, so whoever finds it empty may write at once.

use super::source::Source;
use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSlice};

/// The queue of one link.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    pieces: VecDeque<Piece>,
    /// Bytes in `pieces`.
    size: usize,
    /// Whether a bulk of bytes, or a source, has been among them since it was last empty.
    has_bulk: bool,
}

enum Piece {
    Bytes(Bytes),
    /// `None` while the task asks it.
    Source(Option<Box<dyn Source>>),
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Piece::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Piece::Source(_) => f.write_str("a source"),
        }
    }
}

/// What comes next.
pub(super) enum Next {
    Nothing,
    /// These, which stay in the queue until they are [`Outgoing::taken`].
    Bytes(Vec<Bytes>),
    /// What this makes; to be followed by [`Outgoing::produced`].
    Source(Box<dyn Source>),
}

impl Outgoing {
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Adds frames behind all that is there.
    ///
    /// # Errors
    /// How many bytes wait, if those are too many.
    pub(super) fn push(&mut self, frames: impl Iterator<Item = Bytes>) -> Result<(), usize> {
        let before = self.size;
        for frame in frames {
            self.size += frame.len();
            self.pieces.push_back(Piece::Bytes(frame));
        }
        self.has_bulk |= self.size - before >= BULK_SIZE_MIN;
        let max = if self.has_bulk { BEHIND_BULK_SIZE_MAX } else { SIZE_MAX };
        if self.size > max { Err(self.size) } else { Ok(()) }
    }

    /// Adds a source behind all that is there.
    pub(super) fn push_source(&mut self, source: Box<dyn Source>) {
        self.has_bulk = true;
        self.pieces.push_back(Piece::Source(Some(source)));
    }

    /// Forgets all of it.
    pub(super) fn clear(&mut self) {
        *self = Outgoing::default();
    }

    pub(super) fn next(&mut self) -> Next {
        match self.pieces.front_mut() {
            None => return Next::Nothing,
            Some(Piece::Source(source)) => {
                return source.take().map_or(Next::Nothing, Next::Source);
            }
            Some(Piece::Bytes(_)) => {}
        }
        let bytes = self.pieces.iter().map_while(|piece| match piece {
            Piece::Bytes(bytes) => Some(bytes.clone()),
            Piece::Source(_) => None,
        });
        Next::Bytes(bytes.take(SLICES_MAX).collect())
    }

    /// So many bytes of the first pieces were written.
    pub(super) fn taken(&mut self, mut size: usize) {
        self.size = self.size.saturating_sub(size);
        while size > 0 {
            let Some(Piece::Bytes(front)) = self.pieces.front_mut() else { break };
            if size < front.len() {
                front.advance(size);
                break;
            }
            size -= front.len();
            self.pieces.pop_front();
        }
        self.note_empty();
    }

    /// The source at the front has made this; it is over without a chunk.
    pub(super) fn produced(&mut self, source: Box<dyn Source>, chunk: Option<Bytes>) {
        // The link may have failed meanwhile, and with it all that waited.
        let Some(Piece::Source(place)) = self.pieces.front_mut() else { return };
        let Some(chunk) = chunk else {
            self.pieces.pop_front();
            return self.note_empty();
        };
        *place = Some(source);
        self.size += chunk.len();
        self.pieces.push_front(Piece::Bytes(chunk));
    }

    fn note_empty(&mut self) {
        if self.pieces.is_empty() {
            self.clear();
        }
    }
}

/// Writes slices from the front until all are written or the socket takes no more; tells how many
/// bytes that were.
pub(super) fn write_some(
    frames: &[Bytes],
    mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
) -> io::Result<usize> {
    let (mut total, mut index, mut offset) = (0, 0, 0);
    while index < frames.len() {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut count = 0;
        let rest = frames[index..].iter().take(SLICES_MAX);
        for (slice, frame) in slices.iter_mut().zip(rest) {
            *slice = IoSlice::new(&frame[if count == 0 { offset } else { 0 }..]);
            count += 1;
        }
        let mut written = match write(&slices[..count]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(total),
            Err(error) => return Err(error),
        };
        total += written;
        while index < frames.len() && written >= frames[index].len() - offset {
            written -= frames[index].len() - offset;
            (index, offset) = (index + 1, 0);
        }
        offset += written;
    }
    Ok(total)
}

/// Frames of one write.
const SLICES_MAX: usize = 64;
/// Bytes that may wait for a peer: what a fast network takes in half a second. One that is further
/// behind is better off with a new synchronization.
const SIZE_MAX: usize = 64 << 20;
/// Bytes given at once that make a bulk: a synchronization, which takes its time.
const BULK_SIZE_MIN: usize = 4 << 20;
/// Bytes that may wait together with a bulk, and behind it: what is proposed while a snapshot is
/// on its way has to come after it.
const BEHIND_BULK_SIZE_MAX: usize = 1 << 30;

#[cfg(test)]
mod tests {
    use super::{BULK_SIZE_MIN, Next, Outgoing, SIZE_MAX, write_some};
    use crate::peers::source::Source;
    use bytes::Bytes;
    use std::io;

    struct Count(u8);

    impl Source for Count {
        fn next_chunk(&mut self, _size_max: usize) -> Result<Option<Bytes>, String> {
            self.0 -= 1;
            Ok((self.0 > 0).then(|| Bytes::copy_from_slice(&[self.0])))
        }

        fn rests(&self) -> bool {
            false
        }
    }

    fn frames(texts: &[&'static str]) -> Vec<Bytes> {
        texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect()
    }

    /// Takes everything, so many bytes at a time.
    fn take_all(outgoing: &mut Outgoing, step: usize) -> String {
        let mut all = Vec::new();
        loop {
            match outgoing.next() {
                Next::Nothing => return String::from_utf8(all).unwrap(),
                Next::Bytes(bytes) => {
                    let joined = bytes.concat();
                    let size = step.min(joined.len());
                    all.extend_from_slice(&joined[..size]);
                    outgoing.taken(size);
                }
                Next::Source(mut source) => {
                    let chunk = source.next_chunk(1).unwrap();
                    outgoing.produced(source, chunk);
                }
            }
        }
    }

    #[test]
    fn everything_comes_in_its_order_whatever_the_steps() {
        for step in [1, 2, 3, 100] {
            let mut outgoing = Outgoing::default();
            outgoing.push(frames(&["ab", "c"]).into_iter()).unwrap();
            outgoing.push_source(Box::new(Count(b'4' - b'0')));
            outgoing.push(frames(&["def"]).into_iter()).unwrap();
            assert_eq!(take_all(&mut outgoing, step), "abc\u{3}\u{2}\u{1}def");
            assert!(outgoing.is_empty() && outgoing.size == 0);
        }
    }

    #[test]
    fn more_may_wait_behind_a_bulk_until_it_is_through() {
        let mut outgoing = Outgoing::default();
        let small = Bytes::from(vec![0; BULK_SIZE_MIN / 2]);
        let fill = |outgoing: &mut Outgoing, size: usize| {
            let count = size / small.len();
            (0..count).try_for_each(|_| outgoing.push(std::iter::once(small.clone())))
        };
        assert_eq!(fill(&mut outgoing, SIZE_MAX), Ok(()));
        assert_eq!(fill(&mut outgoing, BULK_SIZE_MIN), Err(SIZE_MAX + small.len()));
        let bulk = vec![small.clone(); 2];
        assert_eq!(outgoing.push(bulk.into_iter()), Ok(()));
        assert_eq!(fill(&mut outgoing, SIZE_MAX), Ok(()));
        outgoing.taken(outgoing.size);
        assert!(outgoing.is_empty());
        assert!(fill(&mut outgoing, SIZE_MAX + BULK_SIZE_MIN).is_err());
    }

    #[test]
    fn a_write_goes_on_where_it_was_cut_and_ends_when_the_socket_is_full() {
        for (cut, room) in [(1, 100), (3, 100), (100, 100), (2, 4), (3, 0)] {
            let mut taken = Vec::new();
            let written = write_some(&frames(&["ab", "cde", "f"]), |slices| {
                if taken.len() >= room {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
                let size = cut.min(all.len());
                taken.extend_from_slice(&all[..size]);
                Ok(size)
            });
            assert_eq!(written.unwrap(), taken.len());
            assert_eq!(taken, b"abcdef"[..taken.len()]);
            assert!(taken.len() == 6 || taken.len() == room, "{cut} {room}");
        }
    }
}
