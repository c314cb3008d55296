//! Cuts a byte stream into frames: a big-endian length, then that many bytes.

use bytes::{Buf, Bytes, BytesMut};

/// The stream is no stream of frames, or they are too large: the link is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {length} bytes is not allowed: the limit is {limit}")]
pub struct FrameError {
    /// What the length field says.
    pub length: i32,
    /// The largest that is accepted, in bytes.
    pub limit: usize,
}

/// Bytes that came, and the frames in them.
#[derive(Debug)]
pub struct Frames {
    /// Where a driver puts what it reads.
    pub buffer: BytesMut,
    limit: usize,
}

impl Frames {
    /// An empty stream whose frames have at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Frames {
        Frames { buffer: BytesMut::new(), limit }
    }

    /// The payload of the next frame, if all of it is there.
    ///
    /// # Errors
    /// If its length is negative or above the limit.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(head) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        let length = i32::from_be_bytes(*head);
        let size = match usize::try_from(length) {
            Ok(size) if size <= self.limit => size,
            Ok(_) | Err(_) => return Err(FrameError { length, limit: self.limit }),
        };
        if self.buffer.len() < 4 + size {
            return Ok(None);
        }
        self.buffer.advance(4);
        Ok(Some(self.buffer.split_to(size).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::Frames;

    #[test]
    fn frames_come_whole_however_the_bytes_are_cut() {
        let stream = b"\0\0\0\x03abc\0\0\0\0\0\0\0\x01z";
        for cut in 0..stream.len() {
            let mut frames = Frames::new(3);
            let mut seen = Vec::new();
            for part in [&stream[..cut], &stream[cut..]] {
                frames.buffer.extend_from_slice(part);
                while let Some(frame) = frames.next_frame().unwrap() {
                    seen.push(frame);
                }
            }
            assert_eq!(seen, ["abc", "", "z"]);
        }
    }

    #[test]
    fn a_length_that_is_not_allowed_ends_the_stream() {
        for head in [b"\0\0\0\x04", b"\xff\xff\xff\xff"] {
            let mut frames = Frames::new(3);
            frames.buffer.extend_from_slice(head);
            assert!(frames.next_frame().is_err());
        }
    }
}
