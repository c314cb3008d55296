//! Cuts a byte stream into frames, and tells four-letter words from them.

use std::ops::Range;

/// What stands at the front of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Not enough bytes yet; at least that many are needed in all.
    Incomplete {
        /// Bytes from the front of the stream.
        needed: usize,
    },
    /// The first four bytes of a connection that are a command, not a length.
    Word([u8; 4]),
    /// A frame's payload.
    Payload(Range<usize>),
}

/// A length that no frame may have. The connection is closed without a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameError {
    /// The length.
    pub length: i32,
}

/// Cuts frames.
#[derive(Clone, Copy, Debug)]
pub struct Frames {
    /// Longest payload, in bytes.
    payload_size_max: usize,
    /// Whether a frame was cut already: after the first, words are lengths.
    started: bool,
}

impl Frames {
    /// A stream at its beginning.
    #[must_use]
    pub fn new(payload_size_max: usize) -> Frames {
        Frames { payload_size_max, started: false }
    }

    /// What stands at the front of `bytes`. `is_word` says whether four bytes are a command.
    ///
    /// # Errors
    /// If it is a length that no frame may have: negative, zero or too large.
    pub fn next(
        &mut self,
        bytes: &[u8],
        is_word: impl FnOnce([u8; 4]) -> bool,
    ) -> Result<Frame, FrameError> {
        let Some(&head) = bytes.first_chunk::<LENGTH_SIZE>() else {
            return Ok(Frame::Incomplete { needed: LENGTH_SIZE });
        };
        if !self.started && is_word(head) {
            return Ok(Frame::Word(head));
        }
        let length = i32::from_be_bytes(head);
        let size = match usize::try_from(length) {
            Ok(size) if size > 0 && size <= self.payload_size_max => size,
            _ => return Err(FrameError { length }),
        };
        let end = LENGTH_SIZE + size;
        if bytes.len() < end {
            return Ok(Frame::Incomplete { needed: end });
        }
        self.started = true;
        Ok(Frame::Payload(LENGTH_SIZE..end))
    }
}

const LENGTH_SIZE: usize = 4;

#[cfg(test)]
mod tests {
    use super::{Frame, FrameError, Frames};

    fn is_word(head: [u8; 4]) -> bool {
        &head == b"ruok"
    }

    #[test]
    fn a_frame_is_cut_when_it_is_whole() {
        let mut frames = Frames::new(8);
        assert_eq!(frames.next(&[0, 0], is_word), Ok(Frame::Incomplete { needed: 4 }));
        assert_eq!(frames.next(&[0, 0, 0, 2, 1], is_word), Ok(Frame::Incomplete { needed: 6 }));
        assert_eq!(frames.next(&[0, 0, 0, 2, 1, 2, 3], is_word), Ok(Frame::Payload(4..6)));
    }

    #[test]
    fn lengths_beyond_the_limit_are_refused_before_anything_is_kept() {
        let mut frames = Frames::new(8);
        assert_eq!(frames.next(&[0, 0, 0, 9], is_word), Err(FrameError { length: 9 }));
        assert_eq!(frames.next(&[0, 0, 0, 0], is_word), Err(FrameError { length: 0 }));
        assert_eq!(frames.next(&[0xff; 4], is_word), Err(FrameError { length: -1 }));
        assert!(frames.next(&[0, 0, 0, 8], is_word).is_ok());
    }

    #[test]
    fn a_word_is_one_only_at_the_front_of_a_connection() {
        let mut frames = Frames::new(8);
        assert_eq!(frames.next(b"ruok", is_word), Ok(Frame::Word(*b"ruok")));
        frames.next(&[0, 0, 0, 1, 7], is_word).unwrap();
        assert!(frames.next(b"ruok", is_word).is_err());
    }
}
