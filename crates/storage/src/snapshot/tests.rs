//! The snapshot's bytes in every form, and that no damage gets past the seals.

use super::{SnapshotDigest, SnapshotItem, SnapshotReader, SnapshotTrailer, SnapshotWriter};
use super::{looks_complete, newest_valid};
use crate::simulated::{Operation, SimulatedDisk};
use crate::testing::{DIR, disk, hex, in_dir};
use crate::{Compression, Disk, Error, list_snapshots};
use base::{Rng, SessionId, Zxid};
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use wire::{Acl, NodeRecord, StatPersisted};

const METHODS: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Snappy];

/// What a snapshot holds, owned.
#[derive(Clone, Debug, Default, PartialEq)]
struct Contents {
    sessions: Vec<(i64, i32)>,
    acls: Vec<(i64, Vec<Acl>)>,
    nodes: Vec<(String, Option<Vec<u8>>, i64, StatPersisted)>,
    trailer: SnapshotTrailer,
}

fn read(disk: &SimulatedDisk, path: &Path, method: Compression) -> Result<Contents, Error> {
    let mut reader = SnapshotReader::open(disk, path, method)?;
    let mut found = Contents::default();
    while let Some(item) = reader.next_item()? {
        match item {
            SnapshotItem::Session(id, timeout_ms) => found.sessions.push((id.0, timeout_ms)),
            SnapshotItem::Acl(id, acls) => found.acls.push((id, acls.to_vec())),
            SnapshotItem::Node(node) => found.nodes.push((
                node.path.into_owned(),
                node.data.map(<[u8]>::to_vec),
                node.acl_id,
                node.stat,
            )),
            SnapshotItem::End(trailer) => found.trailer = trailer,
        }
    }
    assert_eq!(reader.next_item()?, None);
    Ok(found)
}

fn write(
    disk: &SimulatedDisk,
    zxid: i64,
    method: Compression,
    contents: &Contents,
) -> Result<PathBuf, Error> {
    let mut writer = SnapshotWriter::create(disk.clone(), Path::new(DIR), Zxid(zxid), method)?;
    writer.sessions(contents.sessions.iter().map(|(id, ms)| (SessionId(*id), *ms)))?;
    writer.acls(contents.acls.iter().map(|(id, acls)| (*id, &acls[..])))?;
    for (path, data, acl_id, stat) in &contents.nodes {
        let (path, data) = (path.as_str().into(), data.as_deref());
        writer.node(&NodeRecord { path, data, acl_id: *acl_id, stat: *stat })?;
    }
    let written = writer.finish(contents.trailer.digest, contents.trailer.last_zxid)?;
    let size = disk.contents(&written.path).unwrap().len() as u64;
    assert_eq!(written.len, size);
    Ok(written.path)
}

fn empty_database() -> Contents {
    let node = |path: &str, acl_id, aversion| {
        let stat = StatPersisted { aversion, ..StatPersisted::default() };
        (path.to_owned(), Some(Vec::new()), acl_id, stat)
    };
    Contents {
        sessions: vec![],
        acls: vec![(1, Acl::read_only())],
        nodes: vec![
            node("", -1, 0),
            node("/zookeeper", -1, 0),
            node("/zookeeper/config", 1, -1),
            node("/zookeeper/quota", -1, 0),
        ],
        trailer: SnapshotTrailer {
            digest: Some(SnapshotDigest { zxid: Zxid(0), version: 2, tree: 0 }),
            last_zxid: Some(Zxid(0)),
        },
    }
}

fn large() -> Contents {
    let mut rng = Rng::new(3);
    let mut contents = empty_database();
    contents.sessions = (0..500).map(|n| (n << 40, n as i32)).collect();
    let long = Acl { perms: 5, id: wire::Id::new("digest", "x".repeat(3000)) };
    contents.acls = (1..400).map(|id| (id, vec![long.clone(); (id % 4) as usize])).collect();
    for n in 0..3000 {
        let size = if n == 1000 { 1_500_000 } else { rng.below(600) };
        let data = (n % 7 > 0).then(|| (0..size).map(|_| rng.below(20) as u8).collect());
        let stat = StatPersisted { czxid: n, version: -1, ..StatPersisted::default() };
        contents.nodes.push((format!("/größe-{n}"), data, n % 5, stat));
    }
    contents
}

#[test]
fn an_empty_database_is_the_reference_s_478_bytes() {
    let zeros = "00".repeat(60);
    let config_stat = format!("{}ffffffff{}", "00".repeat(40), "00".repeat(16));
    let text = |s: &str| s.bytes().map(|b| format!("{b:02x}")).collect::<String>();
    let expected = hex(&format!(
        "5a4b534e 00000002 ffffffffffffffff 00000000 00000001
         0000000000000001 00000001 00000001 00000005 {} 00000006 {}
         00000000 00000000 ffffffffffffffff {zeros}
         0000000a {} 00000000 ffffffffffffffff {zeros}
         00000011 {} 00000000 0000000000000001 {config_stat}
         00000010 {} 00000000 ffffffffffffffff {zeros}
         00000001 2f
         00000000b8a23b49 00000001 2f
         0000000000000000 00000002 0000000000000000 0000000095b93d59 00000001 2f
         0000000000000000 00000000bde83f6d 00000001 2f",
        text("world"),
        text("anyone"),
        text("/zookeeper"),
        text("/zookeeper/config"),
        text("/zookeeper/quota")
    ));
    // Permissions come before the identity.
    assert_eq!(expected.len(), 478);
    let disk = disk();
    let path = write(&disk, 0, Compression::None, &empty_database()).unwrap();
    assert_eq!(path, in_dir("snapshot.0"));
    assert_eq!(disk.contents(&path).unwrap(), expected);
    assert_eq!(read(&disk, &path, Compression::None).unwrap(), empty_database());
}

#[test]
fn every_method_reads_back() {
    let disk = disk();
    for (zxid, method) in (0x1_0000_000a_i64..).zip(METHODS) {
        let contents = Contents { ..large() };
        let path = write(&disk, zxid, method, &contents).unwrap();
        assert!(read(&disk, &path, method).unwrap() == contents);
    }
    let snapshots = list_snapshots(&disk, Path::new(DIR)).unwrap();
    let methods: Vec<Compression> = snapshots.iter().rev().map(|s| s.compression).collect();
    assert_eq!(methods, METHODS);
    for snapshot in &snapshots {
        assert!(looks_complete(&disk, snapshot).unwrap());
    }
}

#[test]
fn every_combination_of_trailers_reads_back() {
    let disk = disk();
    let digest = SnapshotDigest { zxid: Zxid(9), version: 2, tree: u64::MAX };
    for digest in [None, Some(digest)] {
        for last_zxid in [None, Some(Zxid(10))] {
            let trailer = SnapshotTrailer { digest, last_zxid };
            let contents = Contents { trailer, ..empty_database() };
            let path = write(&disk, 7, Compression::None, &contents).unwrap();
            assert_eq!(read(&disk, &path, Compression::None).unwrap(), contents);
        }
    }
}

#[test]
fn a_digest_of_the_first_version_is_text() {
    let disk = disk();
    let trailer = SnapshotTrailer::default();
    let path = write(&disk, 7, Compression::None, &Contents { trailer, ..empty_database() });
    let path = path.unwrap();
    let mut bytes = disk.contents(&path).unwrap();
    bytes.extend(hex("0000000000000007 00000001 00000004 61626364"));
    let seal = i64::from(simd_adler32::adler32(&&bytes[..]));
    jute::put_long(&mut bytes, seal);
    jute::put_string(&mut bytes, "/");
    disk.install(&path, &bytes);
    let digest = read(&disk, &path, Compression::None).unwrap().trailer.digest;
    assert_eq!(digest, Some(SnapshotDigest { zxid: Zxid(7), version: 1, tree: 0 }));
}

#[test]
fn the_reference_s_snapshots_are_read_and_written_alike() {
    let disk = disk();
    let plain = include_bytes!("../../testdata/digest.snapshot.18");
    disk.install(&in_dir("snapshot.18"), plain);
    disk.install(&in_dir("snapshot.18.gz"), include_bytes!("../../testdata/digest.snapshot.18.gz"));
    let snappy = include_bytes!("../../testdata/digest.snapshot.18.snappy");
    disk.install(&in_dir("snapshot.18.snappy"), snappy);
    let contents = read(&disk, &in_dir("snapshot.18"), Compression::None).unwrap();
    assert_eq!(read(&disk, &in_dir("snapshot.18.gz"), Compression::Gzip).unwrap(), contents);
    assert_eq!(read(&disk, &in_dir("snapshot.18.snappy"), Compression::Snappy).unwrap(), contents);
    let digest = SnapshotDigest { zxid: Zxid(0x18), version: 2, tree: 29_298_660_598 };
    assert_eq!(contents.trailer, SnapshotTrailer { digest: Some(digest), last_zxid: None });
    assert_eq!(contents.sessions.len(), 1);
    let node = |path: &str| contents.nodes.iter().find(|node| node.0 == path).unwrap();
    assert_eq!(node("/a").1.as_deref(), Some(&b"world"[..]));
    assert_eq!(node("/null").1, None);
    assert_eq!(node("/caf\u{e9}").1.as_ref().unwrap().len(), 3000);

    let ours = crate::testing::disk();
    let path = write(&ours, 0x18, Compression::None, &contents).unwrap();
    assert_eq!(ours.contents(&path).unwrap(), plain);

    for (name, bytes, has_digest) in [
        ("a", &include_bytes!("../../testdata/digest.snapshot.0")[..], true),
        ("b", include_bytes!("../../testdata/plain.snapshot.0"), false),
    ] {
        disk.install(&in_dir(name), bytes);
        let contents = read(&disk, &in_dir(name), Compression::None).unwrap();
        assert_eq!(contents.trailer.digest.is_some(), has_digest);
        assert_eq!(contents.nodes.len(), 4);
    }
}

#[test]
fn streams_of_snappy_java_may_be_joined() {
    let disk = disk();
    let path = write(&disk, 1, Compression::None, &empty_database()).unwrap();
    let bytes = disk.contents(&path).unwrap();
    let mut joined = Vec::new();
    for part in bytes.chunks(100) {
        let mut compressor = super::xerial::Compressor::new();
        compressor.write(part).unwrap();
        joined.extend(compressor.finish().unwrap());
    }
    disk.install(&in_dir("snapshot.1.snappy"), &joined);
    let contents = read(&disk, &in_dir("snapshot.1.snappy"), Compression::Snappy).unwrap();
    assert_eq!(contents, empty_database());
}

#[test]
fn no_flipped_bit_and_no_cut_goes_unseen() {
    for method in METHODS {
        let disk = disk();
        let path = write(&disk, 5, method, &empty_database()).unwrap();
        let whole = disk.contents(&path).unwrap();
        for bit in 0..whole.len() as u64 * 8 {
            let flipped = disk.fork();
            assert!(flipped.flip_bit(&path, bit));
            if let Ok(contents) = read(&flipped, &path, method) {
                // Containers have bytes that say nothing: gzip's header, snappy's versions.
                assert!(method != Compression::None, "bit {bit}");
                assert_eq!(contents, empty_database());
            }
        }
        for len in 0..whole.len() {
            disk.install(&path, &whole[..len]);
            match read(&disk, &path, method) {
                // Whole up to a seal, it cannot be told from an older server's file.
                Ok(contents) => assert_eq!(contents.nodes, empty_database().nodes),
                Err(Error::Corrupt { path: named, .. }) => assert_eq!(named, path),
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn the_quick_check_sees_cut_files() {
    let disk = disk();
    for (zxid, method) in (1..).zip(METHODS) {
        let path = write(&disk, zxid, method, &empty_database()).unwrap();
        let bytes = disk.contents(&path).unwrap();
        let other = path.with_file_name(format!("snapshot.{}{}", zxid + 10, method.extension()));
        let cut = if method == Compression::None { bytes.len() - 1 } else { 1 };
        disk.install(&other, &bytes[..cut]);
    }
    let zxids = |count| -> Vec<i64> {
        let valid = newest_valid(&disk, Path::new(DIR), count).unwrap();
        valid.iter().map(|snapshot| snapshot.zxid.0).collect()
    };
    assert_eq!(zxids(9), [3, 2, 1]);
    assert_eq!(zxids(2), [3, 2]);
}

#[test]
fn a_snapshot_has_its_name_only_when_it_is_durable() {
    let mut finished = 0;
    let contents = large_enough();
    for seed in 0..120 {
        let disk = disk();
        let mut rng = Rng::new(seed);
        let operation = *rng.pick(&[Operation::Write, Operation::Sync, Operation::Name]);
        disk.fail_after(operation, rng.below(3));
        let written = write(&disk, 5, *rng.pick(&METHODS), &contents);
        disk.crash(&mut rng);
        let snapshots = list_snapshots(&disk, Path::new(DIR)).unwrap();
        assert!(written.is_err() || snapshots.len() == 1);
        for snapshot in snapshots {
            read(&disk, &snapshot.path, snapshot.compression).unwrap();
            finished += 1;
        }
    }
    assert!((10..110).contains(&finished), "{finished}");
}

/// Takes more than one write.
fn large_enough() -> Contents {
    let mut contents = empty_database();
    let mut rng = Rng::new(1);
    let data: Vec<u8> = (0..1_200_000).map(|_| rng.next_u64() as u8).collect();
    contents.nodes.push(("/large".to_owned(), Some(data), -1, StatPersisted::default()));
    contents
}

#[test]
fn an_aborted_snapshot_leaves_nothing() {
    let disk = disk();
    let writer =
        SnapshotWriter::create(disk.clone(), Path::new(DIR), Zxid(1), Compression::None).unwrap();
    assert_eq!(disk.list(Path::new(DIR)).unwrap()[0].name, "new-snapshot.1.tmp");
    assert!(list_snapshots(&disk, Path::new(DIR)).unwrap().is_empty());
    writer.abort().unwrap();
    assert!(disk.list(Path::new(DIR)).unwrap().is_empty());
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let plain = [&b"ZKSN\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"[..], &bytes].concat();
        let gzip = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0][..], &bytes].concat();
        let snappy = [&b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01"[..], &bytes].concat();
        for (bytes, method) in [&plain, &gzip, &snappy].into_iter().zip(METHODS) {
            let disk = SimulatedDisk::default();
            disk.install(&in_dir("snapshot.1"), bytes);
            prop_assert!(read(&disk, &in_dir("snapshot.1"), method).is_err());
        }
    }
}
