//! State transfer: a tree as a stream of bytes behind ZooKeeper's SNAP packet.
//!
//! The stream is what a snapshot file has between its header and its first seal: sessions, access
//! lists, nodes in pre-order and "/", and then a signature. [`SnapshotSender`] walks a tree that
//! changes meanwhile, [`SnapshotReceiver`] builds one from bytes that are cut anywhere. Neither
//! holds a second copy of the tree, and neither does any I/O.
//! Source: quorum protocol, section 9.2; disk format, sections 9 and 10.

mod receiver;
mod sender;
#[cfg(test)]
mod tests;

pub use receiver::{SnapshotError, SnapshotFault, SnapshotProgress, SnapshotReceiver};
pub use sender::SnapshotSender;

/// Ends the nodes.
const END_MARK: &str = "/";
/// Ends the stream.
const SIGNATURE: &str = "BenWasHere";
