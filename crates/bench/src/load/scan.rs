//! Finds the frames in what a socket gives, without copying their bodies.
//!
//! In: bytes in any pieces. Out: one [`Frame`] per frame, once its last byte was seen, with its opening bytes.
//! Invariant: nothing is allocated, whatever a length field claims.

/// What of a frame is kept: reply header, first result header of a multi, and its error.
const HEAD_SIZE: usize = LENGTH_SIZE + 16 + 9 + 4;
const LENGTH_SIZE: usize = 4;

/// A whole frame has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    head: [u8; HEAD_SIZE],
    kept: usize,
}

impl Frame {
    /// The integer at `offset` of the payload; `None` past its end.
    #[must_use]
    pub fn int(&self, offset: usize) -> Option<i32> {
        let at = LENGTH_SIZE + offset;
        let bytes = self.head.get(at..at + 4).filter(|_| at + 4 <= self.kept)?;
        Some(i32::from_be_bytes(bytes.try_into().ok()?))
    }
}

/// The state between two pieces of input.
#[derive(Clone, Debug)]
pub struct Scanner {
    head: [u8; HEAD_SIZE],
    /// Bytes of the current frame that stand in `head`.
    kept: usize,
    /// Bytes of the current frame still to come; 0 while its length is not known.
    left: usize,
}

/// The length field is negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLength;

impl Default for Scanner {
    fn default() -> Scanner {
        Scanner { head: [0; HEAD_SIZE], kept: 0, left: 0 }
    }
}

impl Scanner {
    /// Takes bytes off the front of `input`, up to the end of a frame; `None` when `input` is used up.
    ///
    /// # Errors
    /// If a frame's length is negative; the stream is of no use from there.
    #[inline]
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, BadLength> {
        if self.kept < LENGTH_SIZE {
            self.keep(input, LENGTH_SIZE);
            if self.kept < LENGTH_SIZE {
                return Ok(None);
            }
            let field = [self.head[0], self.head[1], self.head[2], self.head[3]];
            self.left = usize::try_from(i32::from_be_bytes(field)).map_err(|_| BadLength)?;
        }
        let wanted = (self.kept + self.left).min(HEAD_SIZE);
        let before = self.kept;
        self.keep(input, wanted);
        self.left -= self.kept - before;
        if self.kept < wanted {
            return Ok(None);
        }
        let skipped = self.left.min(input.len());
        *input = &input[skipped..];
        Ok(self.skip(skipped))
    }

    /// Bytes of the current frame that are still to come and that nothing is kept of; 0 while
    /// that is not known.
    #[must_use]
    pub fn rest(&self) -> usize {
        if self.kept == HEAD_SIZE { self.left } else { 0 }
    }

    /// Passes over `count` bytes of the [`Scanner::rest`] that were never looked at; the frame, if
    /// they were its last.
    ///
    /// # Panics
    /// If there is not so much left.
    #[inline]
    pub fn skip(&mut self, count: usize) -> Option<Frame> {
        assert!(count <= self.left, "what is skipped belongs to the frame");
        self.left -= count;
        if self.left > 0 {
            return None;
        }
        let frame = Frame { head: self.head, kept: self.kept };
        self.kept = 0;
        Some(frame)
    }

    /// Moves bytes of `input` to the head until it has `wanted`.
    #[inline]
    fn keep(&mut self, input: &mut &[u8], wanted: usize) {
        let n = (wanted - self.kept).min(input.len());
        let (taken, rest) = input.split_at(n);
        self.head[self.kept..self.kept + n].copy_from_slice(taken);
        self.kept += n;
        *input = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::{BadLength, Frame, Scanner};
    use proptest::prelude::*;

    fn frames(mut input: &[u8], piece: usize) -> Vec<(Option<i32>, Option<i32>)> {
        let mut scanner = Scanner::default();
        let mut seen = Vec::new();
        while !input.is_empty() {
            let n = piece.min(input.len());
            let mut part = &input[..n];
            input = &input[n..];
            while let Some(frame) = scanner.next(&mut part).unwrap() {
                seen.push((frame.int(0), frame.int(12)));
            }
            assert!(part.is_empty());
            // Half of what is skipped is not even shown.
            if let Some(frame) = pass_over(&mut scanner, &mut input) {
                seen.push((frame.int(0), frame.int(12)));
            }
        }
        seen
    }

    fn pass_over(scanner: &mut Scanner, input: &mut &[u8]) -> Option<Frame> {
        let count = scanner.rest().min(input.len());
        if count.is_multiple_of(2) {
            return None;
        }
        *input = &input[count..];
        scanner.skip(count)
    }

    proptest! {
        #[test]
        fn every_frame_is_seen_once_whatever_the_pieces(
            sizes in prop::collection::vec(0usize..90, 1..20),
            piece in 1usize..200,
        ) {
            let mut bytes = Vec::new();
            let mut expected = Vec::new();
            for (n, size) in sizes.iter().enumerate() {
                let mut body = vec![0u8; *size];
                if *size >= 4 { body[..4].copy_from_slice(&(n as i32).to_be_bytes()); }
                if *size >= 16 { body[12..16].copy_from_slice(&(-101i32).to_be_bytes()); }
                bytes.extend_from_slice(&(*size as i32).to_be_bytes());
                bytes.extend_from_slice(&body);
                expected.push(((*size >= 4).then_some(n as i32), (*size >= 16).then_some(-101)));
            }
            prop_assert_eq!(frames(&bytes, piece), expected);
        }
    }

    #[test]
    fn a_negative_length_is_refused() {
        assert_eq!(Scanner::default().next(&mut [255u8; 8].as_slice()), Err(BadLength));
    }
}
