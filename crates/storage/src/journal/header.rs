//! A segment's first bytes: whose it is, which one, and what it follows.
//!
//! A segment gets its name only when its header, and the records that repeat what is kept, are
//! durable. So under its name a header is never torn: a bad one is damage.

use super::Refusal;
use super::format::{be32, be64};
use crate::{Damage, Error};
use base::{NodeId, Zxid};
use std::path::Path;

/// Whose journal it is: a file of another is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster, by any 16 bytes that no other has.
    pub cluster: [u8; 16],
    /// The member.
    pub member: NodeId,
}

/// What a segment says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Whose it is.
    pub identity: Identity,
    /// Its number; the first is 1, and none is left out.
    pub number: u64,
    /// The place of the next entry when it was begun.
    pub next: Zxid,
    /// Where the records of the segment before it end, in bytes; 0 if it is the first.
    pub previous_end: u64,
    /// The checksum of the last record there.
    pub previous_chain: u32,
    /// Where the records end that repeat what is kept, in bytes: up to here it was durable before
    /// it had its name.
    pub repeated_end: u64,
}

impl SegmentHeader {
    /// The bytes, and the checksum in them: what the segment's records are bound to.
    pub(super) fn encode(&self) -> ([u8; HEADER_SIZE as usize], u32) {
        let mut bytes = [0; HEADER_SIZE as usize];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_be_bytes());
        bytes[16..32].copy_from_slice(&self.identity.cluster);
        bytes[32..40].copy_from_slice(&self.identity.member.0.to_be_bytes());
        bytes[40..48].copy_from_slice(&self.number.to_be_bytes());
        bytes[48..56].copy_from_slice(&self.next.0.to_be_bytes());
        bytes[56..64].copy_from_slice(&self.previous_end.to_be_bytes());
        bytes[64..72].copy_from_slice(&self.repeated_end.to_be_bytes());
        bytes[72..76].copy_from_slice(&self.previous_chain.to_be_bytes());
        let checksum = checksum(&bytes);
        bytes[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&checksum.to_be_bytes());
        (bytes, checksum)
    }

    /// Reads it; also gives the checksum.
    ///
    /// # Errors
    /// [`Refusal::Corrupt`], [`Refusal::Version`].
    pub(super) fn decode(path: &Path, bytes: &[u8]) -> Result<(SegmentHeader, u32), Error> {
        let corrupt = |damage, offset| {
            Err(Refusal::Corrupt { path: path.to_owned(), offset, damage, after: None }.into())
        };
        if bytes.len() < HEADER_SIZE as usize {
            return corrupt(Damage::Header, bytes.len() as u64);
        }
        if bytes[..8] != MAGIC {
            return corrupt(Damage::Magic, 0);
        }
        // The version comes before the checksum: a later one may have another header.
        let version = be32(&bytes[8..12]);
        let stored = be32(&bytes[CHECKSUM_AT..CHECKSUM_AT + 4]);
        if version > FORMAT_VERSION && is_plausible(version) {
            return Err(Refusal::Version { path: path.to_owned(), version }.into());
        }
        if stored != checksum(bytes) || version != FORMAT_VERSION {
            return corrupt(Damage::Checksum, 0);
        }
        let mut cluster = [0; 16];
        cluster.copy_from_slice(&bytes[16..32]);
        let header = SegmentHeader {
            identity: Identity { cluster, member: NodeId(be64(&bytes[32..40])) },
            number: be64(&bytes[40..48]),
            next: Zxid(be64(&bytes[48..56]) as i64),
            previous_end: be64(&bytes[56..64]),
            repeated_end: be64(&bytes[64..72]),
            previous_chain: be32(&bytes[72..76]),
        };
        let is_first = header.number == 1;
        if header.next <= Zxid::ZERO
            || header.number == 0
            || is_first != (header.previous_end == 0)
            || (is_first && header.next != Zxid(1))
        {
            return corrupt(Damage::Malformed, 0);
        }
        Ok((header, stored))
    }
}

/// A flipped bit must not read as a later version: versions are counted in small steps.
fn is_plausible(version: u32) -> bool {
    version < 1 << 8
}

/// Over everything but itself.
fn checksum(bytes: &[u8]) -> u32 {
    let first = crc32c::crc32c(&bytes[..CHECKSUM_AT]);
    crc32c::crc32c_append(first, &bytes[CHECKSUM_AT + 4..HEADER_SIZE as usize])
}

/// What a segment begins with.
pub const MAGIC: [u8; 8] = *b"QUORATEJ";
/// The version of the format that is written, and the last that is read.
pub const FORMAT_VERSION: u32 = 1;
/// The header's length in bytes: within one sector.
pub(super) const HEADER_SIZE: u64 = 80;
const CHECKSUM_AT: usize = 12;
