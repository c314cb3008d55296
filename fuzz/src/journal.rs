//! Segments of a journal: bytes as they are, and records whose seals are good but whose contents
//! are anything.
//!
//! What can be recovered can be read to its end, and is the same when it is recovered again.

use crate::txns::{Chunk, Chunks};
use base::{NodeId, Zxid};
use std::path::Path;
use storage::journal::{Identity, Journal, Kept, Options};
use storage::simulated::SimulatedDisk;

const DIR: &str = "/data/journal";

/// The first segment of a journal.
pub(crate) fn segment(data: &[u8]) {
    recover(data, *b"a cluster of one", NodeId(7));
}

/// A segment whose records are sealed and chained: each piece is a kind and a payload. A mark puts
/// as many bytes between two records that are none.
pub(crate) fn records(data: &[u8]) {
    let mut file = header();
    let salt = crc32c::crc32c_append(crc32c::crc32c(&file[..12]), &file[16..]);
    file[12..16].copy_from_slice(&salt.to_be_bytes());
    let mut chain = salt;
    for chunk in Chunks(data) {
        let bytes = match chunk {
            Chunk::Mark(count) => {
                file.resize(file.len() + usize::from(count), count);
                continue;
            }
            Chunk::Bytes(bytes) => bytes,
        };
        let Some((kind, payload)) = bytes.split_first() else { continue };
        let mut frame = (payload.len() as u32).to_be_bytes().to_vec();
        frame.extend_from_slice(&[*kind, 0, 0, 0]);
        frame.extend_from_slice(&chain.to_be_bytes());
        let mut padded = payload.to_vec();
        padded.resize(payload.len().next_multiple_of(8), 0);
        chain = crc32c::crc32c_append(crc32c::crc32c_append(salt, &frame), &padded);
        frame.extend_from_slice(&chain.to_be_bytes());
        file.extend_from_slice(&frame);
        file.extend_from_slice(&padded);
    }
    recover(&file, [0; 16], NodeId(0));
}

/// That of the first segment of a new journal, without its checksum.
fn header() -> Vec<u8> {
    let mut header = vec![0; HEADER_SIZE];
    header[..8].copy_from_slice(&storage::journal::MAGIC);
    header[8..12].copy_from_slice(&storage::journal::FORMAT_VERSION.to_be_bytes());
    header[47] = 1;
    header[55] = 1;
    header[71] = HEADER_SIZE as u8;
    header
}

fn recover(segment: &[u8], cluster: [u8; 16], member: NodeId) {
    let disk = SimulatedDisk::default();
    disk.install(&Path::new(DIR).join("journal.0000000000000001"), segment);
    let identity = Identity { cluster, member };
    let open = || {
        let options = Options { segment_size: 4096 };
        Journal::recover(disk.clone(), DIR, identity, options)
    };
    let Ok(first) = open() else { return };
    assert!(!first.is_new);
    let first = contents(first.journal);
    let second = open().map_err(|error| error.to_string());
    let second = second.expect("what was recovered can be recovered again");
    assert!(second.torn.is_none(), "a cut is there to stay");
    assert_eq!(first, contents(second.journal));
}

/// What is kept, the first and the next place, and a checksum of all entries.
fn contents(mut journal: Journal<SimulatedDisk>) -> (Kept, Zxid, Zxid, u32) {
    let (kept, first, next) = (journal.kept().clone(), journal.first(), journal.next());
    let entries = journal.entries(first).expect("the disk is good");
    let mut entries = entries.expect("the first is there");
    let (mut at, mut checksum) = (first, 0);
    while let Some((found, bytes)) = entries.next_entry().expect("they were read before") {
        assert_eq!(found, at, "no gap");
        at = at.next();
        checksum = crc32c::crc32c_append(checksum, bytes);
    }
    assert_eq!(at, next);
    (kept, first, next, checksum)
}

/// Bytes of a segment's header.
const HEADER_SIZE: usize = 80;
