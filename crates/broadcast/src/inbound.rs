//! Cuts a stream of bytes into frames.
//!
//! A chunk is cut in place; what is left of a frame is copied once, when the next chunk comes.

use bytes::Bytes;

/// The bytes of one link that are not cut yet.
#[derive(Clone, Debug, Default, Hash)]
pub struct Inbound {
    chunk: Bytes,
    partial: Vec<u8>,
}

impl Inbound {
    /// Adds what came.
    pub fn push(&mut self, bytes: Bytes) {
        if self.partial.is_empty() && self.chunk.is_empty() {
            self.chunk = bytes;
            return;
        }
        if self.partial.is_empty() {
            self.partial = std::mem::take(&mut self.chunk).to_vec();
        }
        self.partial.extend_from_slice(&bytes);
    }

    /// The next frame, if it is there whole; `len` finds the length of the first one.
    ///
    /// # Errors
    /// What `len` refuses.
    pub fn next<E>(
        &mut self,
        len: impl Fn(&[u8]) -> Result<Option<usize>, E>,
    ) -> Result<Option<Bytes>, E> {
        if !self.partial.is_empty() {
            if len(&self.partial)?.is_none() {
                return Ok(None);
            }
            self.chunk = Bytes::from(std::mem::take(&mut self.partial));
        }
        match len(&self.chunk)? {
            Some(size) => Ok(Some(self.chunk.split_to(size))),
            None => {
                self.partial = std::mem::take(&mut self.chunk).to_vec();
                Ok(None)
            }
        }
    }

    /// All that is not cut.
    #[must_use]
    pub fn take_rest(&mut self) -> Bytes {
        if self.partial.is_empty() {
            std::mem::take(&mut self.chunk)
        } else {
            Bytes::from(std::mem::take(&mut self.partial))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Inbound;
    use bytes::Bytes;

    fn len(bytes: &[u8]) -> Result<Option<usize>, ()> {
        let Some(size) = bytes.first().map(|size| usize::from(*size)) else { return Ok(None) };
        if size == 0 { Err(()) } else { Ok((bytes.len() >= size).then_some(size)) }
    }

    #[test]
    fn frames_are_the_same_however_the_stream_is_cut() {
        let stream = [3, 1, 1, 1, 2, 9, 5, 5, 5, 5, 5];
        for cut in 1..stream.len() {
            let mut inbound = Inbound::default();
            let mut frames = Vec::new();
            for chunk in stream.chunks(cut) {
                inbound.push(Bytes::copy_from_slice(chunk));
                while let Some(frame) = inbound.next(len).expect("good frames") {
                    frames.push(frame.to_vec());
                }
            }
            assert_eq!(frames, [vec![3, 1, 1], vec![1], vec![2, 9], vec![5; 5]], "cut at {cut}");
        }
    }

    #[test]
    fn a_bad_length_is_found() {
        let mut inbound = Inbound::default();
        inbound.push(Bytes::from_static(&[1, 0]));
        assert!(inbound.next(len).expect("a good frame").is_some());
        assert!(inbound.next(len).is_err());
    }
}
