//! The bounded reader.

use std::borrow::Cow;

/// Why bytes are not the record that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The input is shorter than the record.
    #[error("the record ends {missing} bytes early")]
    Truncated {
        /// How many bytes more the field under way needs.
        missing: usize,
    },
    /// A length or count that no sender may use.
    #[error("a length of {0} is not allowed")]
    BadLength(i32),
    /// A value outside of its type's range.
    #[error("{0} is not a value of this field")]
    BadValue(i32),
}

/// Reads jute values from a slice.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// Longest string or buffer that is accepted, in bytes.
    length_max: usize,
    /// Whether strings are only measured.
    skims: bool,
}

impl<'a> Reader<'a> {
    /// A reader whose strings and buffers are bounded by the input alone.
    #[must_use]
    pub fn new(input: &'a [u8]) -> Reader<'a> {
        Reader { rest: input, length_max: i32::MAX as usize, skims: false }
    }

    /// A reader that also refuses strings and buffers of more than `length_max` bytes.
    #[must_use]
    pub fn with_length_max(input: &'a [u8], length_max: usize) -> Reader<'a> {
        Reader { rest: input, length_max, skims: false }
    }

    /// A reader for a record of which only the shape matters: strings read as empty, which spares
    /// a look at each of their bytes. No bytes fail to be a string, so the shape is all there is.
    #[must_use]
    pub fn skimming(input: &'a [u8]) -> Reader<'a> {
        Reader { skims: true, ..Reader::new(input) }
    }

    /// What has not been read.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether all is read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// [`Error::Truncated`].
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], Error> {
        if n > self.rest.len() {
            return Err(Error::Truncated { missing: n - self.rest.len() });
        }
        let (head, rest) = self.rest.split_at(n);
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        match self.rest.split_first_chunk::<N>() {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(*head)
            }
            None => Err(Error::Truncated { missing: N - self.rest.len() }),
        }
    }

    /// A 32-bit integer.
    ///
    /// # Errors
    /// [`Error::Truncated`].
    pub fn int(&mut self) -> Result<i32, Error> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    /// A 64-bit integer.
    ///
    /// # Errors
    /// [`Error::Truncated`].
    pub fn long(&mut self) -> Result<i64, Error> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// A boolean: any byte but zero is true.
    ///
    /// # Errors
    /// [`Error::Truncated`].
    pub fn bool(&mut self) -> Result<bool, Error> {
        Ok(self.array::<1>()?[0] != 0)
    }

    /// A buffer; `None` for null.
    ///
    /// # Errors
    /// [`Error::Truncated`], [`Error::BadLength`].
    pub fn buffer(&mut self) -> Result<Option<&'a [u8]>, Error> {
        let length = self.int()?;
        if length == -1 {
            return Ok(None);
        }
        match usize::try_from(length) {
            Ok(n) if n <= self.length_max => Ok(Some(self.take(n)?)),
            _ => Err(Error::BadLength(length)),
        }
    }

    /// A string; `None` for null. Bytes that are not UTF-8 become U+FFFD, as the reference does.
    ///
    /// # Errors
    /// [`Error::Truncated`], [`Error::BadLength`].
    #[inline]
    pub fn string(&mut self) -> Result<Option<Cow<'a, str>>, Error> {
        let bytes = self.buffer()?;
        Ok(if self.skims { bytes.map(|_| Cow::Borrowed("")) } else { bytes.map(text) })
    }

    /// The count of a vector; `None` for null. Other negative counts read as empty. A count that
    /// the rest of the input cannot hold, at `element_size_min` bytes each, is refused.
    ///
    /// # Errors
    /// [`Error::Truncated`].
    pub fn count(&mut self, element_size_min: usize) -> Result<Option<usize>, Error> {
        let count = self.int()?;
        if count == -1 {
            return Ok(None);
        }
        let count = usize::try_from(count).unwrap_or(0);
        let needed = count.saturating_mul(element_size_min.max(1));
        if needed > self.rest.len() {
            return Err(Error::Truncated { missing: needed - self.rest.len() });
        }
        Ok(Some(count))
    }
}

/// Bytes as text. A surrogate of three bytes, of which Java's writer makes two for each character
/// beyond the first plane, is one U+FFFD to its reader and not one for each byte.
#[inline]
fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(mended(bytes)),
    }
}

#[cold]
fn mended(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(3).position(is_surrogate) {
        text.push_str(&String::from_utf8_lossy(&rest[..at]));
        text.push(char::REPLACEMENT_CHARACTER);
        rest = &rest[at + 3..];
    }
    text.push_str(&String::from_utf8_lossy(rest));
    text
}

fn is_surrogate(bytes: &[u8]) -> bool {
    matches!(bytes, [0xed, 0xa0..=0xbf, 0x80..=0xbf])
}

#[cfg(test)]
mod tests {
    use super::{Error, Reader};

    #[test]
    fn a_length_that_the_input_cannot_hold_is_refused() {
        let mut reader = Reader::new(&[0x7f, 0xff, 0xff, 0xff, 1, 2]);
        assert_eq!(reader.buffer(), Err(Error::Truncated { missing: 0x7fff_fffd }));
        let mut reader = Reader::new(&[0xff, 0xff, 0xff, 0xfe]);
        assert_eq!(reader.buffer(), Err(Error::BadLength(-2)));
    }

    #[test]
    fn a_vector_count_is_checked_before_anything_is_allocated() {
        let mut reader = Reader::new(&[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        assert!(matches!(reader.count(4), Err(Error::Truncated { .. })));
        let mut reader = Reader::new(&[0xff, 0xff, 0xff, 0xf0]);
        assert_eq!(reader.count(4), Ok(Some(0)));
    }

    #[test]
    fn strings_are_read_as_the_reference_reads_them() {
        let mut reader = Reader::new(&[0, 0, 0, 2, b'a', 0xff, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(reader.string().unwrap().unwrap(), "a\u{fffd}");
        assert_eq!(reader.string(), Ok(None));
        let mut reader = Reader::new(b"\0\0\0\x08/\xed\xa0\x80\xed\xb0\x80a");
        assert_eq!(reader.string().unwrap().unwrap(), "/\u{fffd}\u{fffd}a");
    }
}
