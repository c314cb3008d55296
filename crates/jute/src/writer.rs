//! Writing: free functions for hand-made records, and a chain for the rest.

use crate::Encode;

/// Appends a 32-bit integer.
#[inline]
pub fn put_int(out: &mut Vec<u8>, value: i32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends a 64-bit integer.
#[inline]
pub fn put_long(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends a boolean.
#[inline]
pub fn put_bool(out: &mut Vec<u8>, value: bool) {
    out.push(u8::from(value));
}

/// Appends a buffer, or null.
///
/// # Panics
/// If the buffer is longer than 2^31 - 1 bytes, which no bounded input can make.
#[inline]
pub fn put_buffer(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(bytes) => {
            let length = i32::try_from(bytes.len()).expect("frames are bounded far below 2 GiB");
            put_int(out, length);
            out.extend_from_slice(bytes);
        }
        None => put_int(out, -1),
    }
}

/// Appends a string.
#[inline]
pub fn put_string(out: &mut Vec<u8>, value: &str) {
    put_buffer(out, Some(value.as_bytes()));
}

/// Writes fields one after the other.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    /// Appends to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Writer<'a> {
        Writer { out }
    }

    /// A 32-bit integer.
    #[inline]
    pub fn int(self, value: i32) -> Self {
        put_int(self.out, value);
        self
    }

    /// A 64-bit integer.
    #[inline]
    pub fn long(self, value: i64) -> Self {
        put_long(self.out, value);
        self
    }

    /// A boolean.
    #[inline]
    pub fn bool(self, value: bool) -> Self {
        put_bool(self.out, value);
        self
    }

    /// A buffer, or null.
    #[inline]
    pub fn buffer(self, value: Option<&[u8]>) -> Self {
        put_buffer(self.out, value);
        self
    }

    /// A string.
    #[inline]
    pub fn string(self, value: &str) -> Self {
        put_string(self.out, value);
        self
    }

    /// A record.
    pub fn record(self, value: &impl Encode) -> Self {
        value.encode(self.out);
        self
    }

    /// A vector of records.
    pub fn vector<T: Encode>(self, values: &[T]) -> Self {
        put_int(self.out, i32::try_from(values.len()).expect("counts are bounded by frames"));
        for value in values {
            value.encode(self.out);
        }
        self
    }
}
