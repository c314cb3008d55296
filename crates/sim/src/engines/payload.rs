//! What an entry of the simulated order says: who asked for it, on what it was made, and what for.

use crate::engines::change::Members;
use base::Zxid;

/// A client's number for what it asks, the entry that it was made on, and more.
pub(crate) fn write(id: u64, before: Zxid, more: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(72);
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes.extend_from_slice(&before.0.to_be_bytes());
    bytes.extend_from_slice(more);
    bytes
}

/// The number, and the entry before.
pub(crate) fn read(bytes: &[u8]) -> Option<(u64, Zxid)> {
    Some((word(bytes, 0)?, Zxid(word(bytes, 8)?.cast_signed())))
}

/// The members that a client asks for, if that is what it asks for.
pub(crate) fn change(bytes: &[u8]) -> Option<Members> {
    Members::read(bytes.get(16..)?)
}

/// The eight bytes there.
pub(crate) fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
