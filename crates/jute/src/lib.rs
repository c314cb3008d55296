//! ZooKeeper's serialization: a reader that trusts no length, and a writer into a byte vector.
//!
//! Integers are big-endian; a buffer or string is an `int` length and its bytes, -1 for null; a
//! vector is an `int` count and its elements, -1 for null. Records have no tags and no padding.
//! The reader borrows: strings and buffers are slices of the input, and nothing is allocated for
//! what a length field claims.

mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub use reader::{Error, Reader};
pub use writer::{Writer, put_bool, put_buffer, put_int, put_long, put_string};

/// Something with a jute form that can be written.
pub trait Encode {
    /// Appends the bytes of `self` to `out`.
    fn encode(&self, out: &mut Vec<u8>);
}

/// Something with a jute form that can be read, borrowing from the input where it can.
pub trait Decode<'a>: Sized {
    /// Reads one value.
    ///
    /// # Errors
    /// If the input ends early or a length is not allowed.
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Error>;
}
