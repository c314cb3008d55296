//! Files of a data directory: bytes as they are, and files whose seals are good but whose
//! contents are anything.
//!
//! What can be recovered is a tree, and is the same tree when it is recovered again.

use crate::trees::{self, CONFIG};
use crate::txns::{Chunk, Chunks};
use base::{SessionId, Zxid};
use jute::{Encode, put_buffer, put_long};
use node::SnapshotOptions;
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use storage::simulated::SimulatedDisk;
use storage::{
    Compression, Dirs, LogReader, ReadOptions, RecoveryOptions, SnapshotDigest, SnapshotItem,
    SnapshotReader, SnapshotWriter, Tail,
};
use tree::TreeBuilder;
use wire::{Acl, NodeRecord, SnapshotHeader, StatPersisted, TxnHeader};

const DIR: &str = "/data/version-2";

/// A log file.
pub(crate) fn log(data: &[u8]) {
    read_log(data);
}

/// A log file of good records: each piece of the input is a payload; its zxid is put in order
/// unless a mark says that the next one is to stay.
pub(crate) fn log_records(data: &[u8]) {
    let mut file = Vec::new();
    SnapshotHeader::LOG.encode(&mut file);
    let (mut zxid, mut keep) = (0_i64, false);
    for chunk in Chunks(data) {
        let payload = match chunk {
            Chunk::Mark(0) => {
                keep = true;
                continue;
            }
            Chunk::Mark(epochs) => {
                zxid += i64::from(epochs) << 32;
                continue;
            }
            Chunk::Bytes(payload) => payload,
        };
        let mut payload = payload.to_vec();
        if !std::mem::take(&mut keep) && payload.len() >= TxnHeader::SIZE {
            zxid += 1;
            payload[ZXID_OFFSET..ZXID_OFFSET + 8].copy_from_slice(&zxid.to_be_bytes());
        }
        let mut checksum = simd_adler32::Adler32::new();
        checksum.write(&payload);
        put_long(&mut file, i64::from(checksum.finish()));
        put_buffer(&mut file, Some(&payload));
        file.push(RECORD_END);
    }
    read_log(&file);
}

fn read_log(file: &[u8]) {
    let disk = SimulatedDisk::default();
    disk.install(&in_dir("log.1"), file);
    for tail in [Tail::Closed, Tail::Live] {
        for refuse_gaps in [true, false] {
            let options = ReadOptions { tail, refuse_gaps, ..ReadOptions::default() };
            let reader = LogReader::open(disk.clone(), Path::new(DIR), Zxid(1), options);
            let mut reader = reader.expect("the directory is there");
            let mut position = 0;
            while let Ok(Some(record)) = reader.next_record() {
                assert!(record.offset >= position && record.end > record.offset);
                assert!(record.payload.len() >= TxnHeader::SIZE);
                position = record.end;
            }
            assert!(position <= file.len() as u64);
        }
    }
    recover(&disk);
}

/// A snapshot file.
pub(crate) fn snapshot_plain(data: &[u8]) {
    snapshot(data, "snapshot.5", Compression::None);
}

/// A snapshot file that was compressed with gzip.
pub(crate) fn snapshot_gzip(data: &[u8]) {
    snapshot(data, "snapshot.5.gz", Compression::Gzip);
}

/// A snapshot file that was compressed with snappy.
pub(crate) fn snapshot_snappy(data: &[u8]) {
    snapshot(data, "snapshot.5.snappy", Compression::Snappy);
}

fn snapshot(data: &[u8], name: &str, compression: Compression) {
    let disk = SimulatedDisk::default();
    disk.install(&in_dir(name), data);
    if let Ok(mut reader) = SnapshotReader::open(&disk, &in_dir(name), compression) {
        let mut builder = TreeBuilder::new(CONFIG);
        while let Ok(Some(item)) = reader.next_item() {
            match item {
                SnapshotItem::Session(session, timeout_ms) => builder.session(session, timeout_ms),
                SnapshotItem::Acl(id, list) => builder.acl(id, list.to_vec()),
                SnapshotItem::Node(node) => {
                    if builder.node(&node).is_err() {
                        break;
                    }
                }
                SnapshotItem::End(_) => {}
            }
        }
        // A file without its seal is not to be believed, but must do no harm either.
        if let Ok(tree) = builder.finish(Zxid(5)) {
            trees::check(&tree);
        }
    }
    recover(&disk);
}

/// A snapshot of sessions, lists and nodes that the input says, written and read back: plain and
/// compressed both ways.
pub(crate) fn snapshot_nodes(data: &[u8]) {
    let nodes: Vec<NodeRecord<'_>> = Chunks(data).filter_map(node).collect();
    for (compression, name) in [
        (Compression::None, "snapshot.5"),
        (Compression::Gzip, "snapshot.5.gz"),
        (Compression::Snappy, "snapshot.5.snappy"),
    ] {
        let disk = SimulatedDisk::default();
        disk.install(&in_dir("keep"), b"");
        write(&disk, compression, &nodes).expect("the disk is good");
        let reader = SnapshotReader::open(&disk, &in_dir(name), compression);
        let mut reader = reader.expect("what was written is a snapshot");
        let mut read = 0;
        loop {
            match reader.next_item().expect("what was written can be read") {
                None => break,
                Some(SnapshotItem::Node(node)) => {
                    assert_eq!(node, nodes[read]);
                    read += 1;
                }
                Some(SnapshotItem::Session(session, ms)) => assert_eq!((session.0, ms), (7, 8)),
                Some(SnapshotItem::Acl(id, list)) => {
                    assert_eq!((id, list.to_vec()), (1, Acl::read_only()));
                }
                Some(SnapshotItem::End(trailer)) => {
                    assert_eq!(trailer.digest.map(|digest| digest.tree), Some(9));
                }
            }
        }
        assert_eq!(read, nodes.len());
        recover(&disk);
    }
}

fn write(
    disk: &SimulatedDisk,
    compression: Compression,
    nodes: &[NodeRecord<'_>],
) -> Result<(), storage::Error> {
    let dir = Path::new(DIR);
    let mut writer = SnapshotWriter::create(disk.clone(), dir, Zxid(5), compression)?;
    writer.sessions([(SessionId(7), 8)].into_iter())?;
    writer.acls([(1, &*Acl::read_only())].into_iter())?;
    for node in nodes {
        writer.node(node)?;
    }
    let digest = SnapshotDigest { zxid: Zxid(5), version: 2, tree: 9 };
    writer.finish(Some(digest), Some(Zxid(5)))?;
    Ok(())
}

/// A node: the length of its path, which also decides its list and owner, the path, the data.
fn node(chunk: Chunk<'_>) -> Option<NodeRecord<'_>> {
    let Chunk::Bytes(bytes) = chunk else { return None };
    let (size, rest) = bytes.split_first()?;
    let (path, data) = rest.split_at(usize::from(*size).min(rest.len()));
    let path = String::from_utf8_lossy(path);
    let owner = match size % 8 {
        5 => 7,
        6 => wire::CONTAINER_OWNER,
        7 => wire::OwnerRules::ttl_owner(100),
        _ => 0,
    };
    let stat = StatPersisted { ephemeral_owner: owner, ..StatPersisted::default() };
    // The end of the nodes is marked by this path.
    let path = if path == "/" { Cow::Borrowed("") } else { path };
    let data = (*size != 1).then_some(data);
    Some(NodeRecord { path, data, acl_id: i64::from(size % 3) - 1, stat })
}

/// Epoch files and `myid`.
pub(crate) fn numbers(data: &[u8]) {
    let disk = SimulatedDisk::default();
    let (current, accepted) = data.split_at(data.len() / 2);
    disk.install(&in_dir("myid"), data);
    disk.install(&in_dir("currentEpoch"), current);
    disk.install(&in_dir("acceptedEpoch"), accepted);
    let dir = Path::new(DIR);
    let id = storage::read_myid(&disk, dir);
    let number = storage::read_number(&disk, &in_dir("myid"));
    if let (Ok(id), Ok(Some(number))) = (id, number) {
        assert_eq!(i64::try_from(id), Ok(number));
    }
    let Ok(epochs) = storage::load_epochs(&disk, dir, Zxid(0)) else { return };
    assert!(epochs.accepted >= epochs.current);
    assert_eq!(storage::load_epochs(&disk, dir, Zxid(0)).ok(), Some(epochs));
}

/// Recovers what is on the disk, twice.
fn recover(disk: &SimulatedDisk) {
    let dirs = Dirs::single("/data");
    let read = ReadOptions { refuse_gaps: false, ..ReadOptions::default() };
    let options =
        RecoveryOptions { trust_empty_snapshot: true, read, ..RecoveryOptions::default() };
    let snapshots =
        SnapshotOptions { compression: Compression::None, digest: true, last_zxid: true };
    let recover = || node::recover(disk, &dirs, options, CONFIG, snapshots);
    let Ok(first) = recover() else { return };
    trees::check(&first.tree);
    assert_eq!(first.tree.orphan_sessions().count(), 0);
    let second = recover().map_err(|error| error.to_string());
    let second = second.expect("what was recovered can be recovered again");
    trees::same(&first.tree, &second.tree);
    assert_eq!(first.tree.last_zxid(), second.tree.last_zxid());
}

fn in_dir(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

/// Where a transaction's header has its zxid.
const ZXID_OFFSET: usize = 12;
/// Ends every record of a log.
const RECORD_END: u8 = b'B';
