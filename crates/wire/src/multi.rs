//! The framing inside multi and multiRead, the same in requests and results.

use jute::{Decode, Encode, Error, Reader};

/// Stands before each operation or result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MultiHeader {
    /// The operation's number; -1 for an error result and for the end.
    pub op: i32,
    /// Whether this is the end.
    pub done: bool,
    /// An error's number in results; -1 in requests.
    pub err: i32,
}

/// The end of a multi.
pub const MULTI_END: MultiHeader = MultiHeader { op: -1, done: true, err: -1 };

impl<'a> Decode<'a> for MultiHeader {
    fn decode(r: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(MultiHeader { op: r.int()?, done: r.bool()?, err: r.int()? })
    }
}

impl Encode for MultiHeader {
    fn encode(&self, out: &mut Vec<u8>) {
        let [op_0, op_1, op_2, op_3] = self.op.to_be_bytes();
        let [err_0, err_1, err_2, err_3] = self.err.to_be_bytes();
        let done = u8::from(self.done);
        out.extend_from_slice(&[op_0, op_1, op_2, op_3, done, err_0, err_1, err_2, err_3]);
    }
}

/// Walks over the operations of a request: gives each operation's number and leaves the reader
/// at its record, which the caller must read before it asks for the next.
#[derive(Clone, Debug)]
pub struct MultiIter<'a> {
    /// Stands at the record of the operation that was given last.
    pub reader: Reader<'a>,
}

impl<'a> MultiIter<'a> {
    /// Starts at the body of a multi request.
    #[must_use]
    pub fn new(reader: Reader<'a>) -> MultiIter<'a> {
        MultiIter { reader }
    }

    /// The number of the next operation; `None` at the end.
    ///
    /// # Errors
    /// If the bytes end before the end marker.
    pub fn next_op(&mut self) -> Result<Option<i32>, Error> {
        let header = MultiHeader::decode(&mut self.reader)?;
        Ok(if header.done { None } else { Some(header.op) })
    }
}
