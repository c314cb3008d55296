//! A record's frame: length, kind, chain and checksum before the payload, zeros behind it up to a
//! multiple of eight.
//!
//! The checksum (CRC-32C) begins with that of the segment's header and covers all of the frame but
//! itself, so that a record of another segment, or of an earlier one under the same number, is
//! none here. The chain is the checksum of the record before: one that is good by itself but
//! belongs elsewhere (a write that was lost, or went astray) does not follow.

use crate::Damage;

/// What stands before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    /// The payload's length in bytes.
    pub(super) len: u32,
    pub(super) kind: u8,
    pub(super) chain: u32,
    pub(super) checksum: u32,
}

impl Prefix {
    /// Reads it. `None` if there is nothing but zeros: the end of the records.
    ///
    /// # Errors
    /// [`Damage::Length`], [`Damage::Malformed`] for bytes that must be zeros.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Prefix>, Damage> {
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        if bytes[5..8] != [0; 3] {
            return Err(Damage::Malformed);
        }
        let (chain, checksum) = (be32(&bytes[8..12]), be32(&bytes[12..16]));
        let prefix = Prefix { len: be32(&bytes[..4]), kind: bytes[4], chain, checksum };
        if prefix.len as usize > super::RECORD_SIZE_MAX {
            Err(Damage::Length)
        } else {
            Ok(Some(prefix))
        }
    }

    /// How long the record is with its prefix and its zeros, in bytes.
    pub(super) fn size(&self) -> u64 {
        PREFIX_SIZE as u64 + u64::from(self.len).next_multiple_of(ALIGNMENT)
    }
}

/// Appends a record whose payload `encode` appends to what it is given; gives its checksum.
///
/// # Panics
/// If the payload is longer than [`super::RECORD_SIZE_MAX`].
pub(super) fn put_record(
    out: &mut Vec<u8>,
    (salt, chain): (u32, u32),
    kind: u8,
    encode: impl FnOnce(&mut Vec<u8>),
) -> u32 {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_SIZE]);
    encode(out);
    let len = out.len() - start - PREFIX_SIZE;
    assert!(len <= super::RECORD_SIZE_MAX, "a record of {len} bytes is too long");
    out.resize(start + PREFIX_SIZE + len.next_multiple_of(ALIGNMENT as usize), 0);
    let record = &mut out[start..];
    record[..4].copy_from_slice(&(len as u32).to_be_bytes());
    record[4] = kind;
    record[8..12].copy_from_slice(&chain.to_be_bytes());
    let checksum = checksum(salt, record);
    record[CHECKSUM_AT..PREFIX_SIZE].copy_from_slice(&checksum.to_be_bytes());
    checksum
}

/// The checksum of a whole record in a segment whose header has `salt`.
pub(super) fn checksum(salt: u32, record: &[u8]) -> u32 {
    let first = crc32c::crc32c_append(salt, &record[..CHECKSUM_AT]);
    crc32c::crc32c_append(first, &record[PREFIX_SIZE..])
}

pub(super) fn be32(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().expect("four bytes were asked for"))
}

pub(super) fn be64(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().expect("eight bytes were asked for"))
}

/// length, kind, three zeros, chain, checksum.
pub(super) const PREFIX_SIZE: usize = 16;
/// Records begin at multiples of it.
pub(super) const ALIGNMENT: u64 = 8;
const CHECKSUM_AT: usize = 12;
