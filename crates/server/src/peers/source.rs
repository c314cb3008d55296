//! What is too large to be queued: it is made as the socket takes it.

use bytes::Bytes;

/// Makes a stream, piece by piece. It is asked on the link's own thread when everything before it
/// has gone, so one piece of it is in memory, and holds no lock from one piece to the next.
pub(crate) trait Source: Send {
    /// The next bytes, about `size_max` at the most; `None` at the end.
    ///
    /// # Errors
    /// Why the stream cannot go on: the link ends.
    fn next_chunk(&mut self, size_max: usize) -> Result<Option<Bytes>, String>;

    /// Whether it rests for as long as each piece took: it is not urgent, and whoever is served
    /// meanwhile, here or by the one that it goes to, waits for one piece and not for all of them.
    fn rests(&self) -> bool;
}
