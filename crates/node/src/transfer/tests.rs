//! Streams out of trees and trees out of streams, the reference's among them.

use super::{SnapshotError, SnapshotFault, SnapshotProgress, SnapshotReceiver, SnapshotSender};
use crate::testing::{CONFIG, create as create_at, dirs, record};
use crate::{Recovered, SnapshotOptions, recover};
use base::{Rng, SessionId, Zxid};
use bytes::Bytes;
use jute::{Reader, put_int, put_long, put_string};
use std::path::Path;
use storage::simulated::SimulatedDisk;
use storage::{Compression, RecoveryOptions};
use tree::Tree;
use wire::{Acls, Txn};

const SENT: &[u8] = include_bytes!("../../testdata/sent.300000000");
const SNAPSHOT: &[u8] = include_bytes!("../../testdata/snapshot.200000001");
/// What follows the stream in `SENT`: NEWLEADER.
const BEHIND: usize = 88;

fn apply(tree: &mut Tree, zxid: i64, session: i64, txn: Txn<'_>) {
    crate::testing::apply(tree, &record(zxid, session, txn));
}

fn create<'a>(path: &'a str, data: &'a [u8], ephemeral: bool) -> Txn<'a> {
    create_at(path, data, ephemeral, -1)
}

fn delete(path: &str) -> Txn<'_> {
    Txn::Delete { path: path.into(), by_reaper: false }
}

fn stream(tree: &Tree, target_bytes: usize) -> Vec<u8> {
    let mut sender = SnapshotSender::new(tree);
    let mut bytes = Vec::new();
    while let Some(chunk) = sender.next_chunk(tree, target_bytes) {
        bytes.extend_from_slice(&chunk);
    }
    assert!(sender.is_complete());
    bytes
}

/// Feeds pieces of random sizes up to `piece_max`.
fn receive(
    bytes: &[u8],
    at: Zxid,
    piece_max: u64,
    rng: &mut Rng,
) -> Result<Option<(Tree, Bytes)>, SnapshotError> {
    let mut receiver = SnapshotReceiver::new(CONFIG, at);
    let mut bytes = Bytes::copy_from_slice(bytes);
    while !bytes.is_empty() {
        let piece = bytes.split_to((rng.between(1, piece_max) as usize).min(bytes.len()));
        if let SnapshotProgress::Done { tree, mut rest } = receiver.feed(piece)? {
            let mut all = rest.to_vec();
            all.extend_from_slice(&bytes);
            rest = all.into();
            return Ok(Some((*tree, rest)));
        }
    }
    Ok(None)
}

fn received(bytes: &[u8], at: Zxid) -> Tree {
    receive(bytes, at, u64::MAX, &mut Rng::new(1)).unwrap().expect("a whole stream").0
}

/// What a tree consists of, in an order that all equal trees have.
fn elements(tree: &Tree) -> Vec<String> {
    let mut walk = tree.begin_walk();
    let lists = std::mem::take(&mut walk.acls);
    let mut all: Vec<String> = Vec::new();
    while tree.walk_next(&mut walk, 10, &mut |mut node| {
        // Which number a list has is each server's own affair.
        let list = lists.iter().find(|(id, _)| *id == node.acl_id).map(|(_, list)| list);
        node.acl_id = 0;
        all.push(format!("{node:?} {list:?}"));
    }) {}
    let sessions = walk.sessions.iter();
    all.extend(sessions.map(|(session, timeout_ms)| format!("{session:?} {timeout_ms}")));
    all.sort();
    all
}

fn recovered(name: &str, bytes: &[u8]) -> Tree {
    let disk = SimulatedDisk::default();
    disk.install(&Path::new("/data/version-2").join(name), bytes);
    let snapshot =
        SnapshotOptions { compression: Compression::None, digest: true, last_zxid: false };
    let options = RecoveryOptions::default();
    let Recovered { tree, .. } = recover(&disk, &dirs(), options, CONFIG, snapshot).unwrap();
    tree
}

/// A stream's sessions, lists and nodes, each as its bytes and sorted, and what follows them.
fn split(bytes: &[u8]) -> ([Vec<&[u8]>; 3], &[u8]) {
    let mut parts = [Vec::new(), Vec::new(), Vec::new()];
    let mut reader = Reader::new(bytes);
    for _ in 0..reader.int().unwrap() {
        parts[0].push(reader.take(12).unwrap());
    }
    for _ in 0..reader.int().unwrap() {
        let begin = reader.rest();
        reader.long().unwrap();
        Acls::decode(&mut reader).unwrap();
        parts[1].push(&begin[..begin.len() - reader.rest().len()]);
    }
    loop {
        let begin = reader.rest();
        if reader.string().unwrap().unwrap() == "/" {
            parts.iter_mut().for_each(|part| part.sort_unstable());
            return (parts, begin);
        }
        reader.buffer().unwrap();
        reader.take(68).unwrap();
        parts[2].push(&begin[..begin.len() - reader.rest().len()]);
    }
}

#[test]
fn section_9_2_what_a_java_leader_sends_is_the_tree_of_its_snapshot() {
    let mut rng = Rng::new(3);
    let from_file = recovered("snapshot.200000001", SNAPSHOT);
    for piece_max in [1, 2, 7, 100, 5000, 100_000] {
        let (tree, rest) =
            receive(SENT, Zxid(0x3_0000_0000), piece_max, &mut rng).unwrap().expect("all of it");
        assert_eq!(rest, SENT[SENT.len() - BEHIND..]);
        assert_eq!(tree.last_zxid(), Zxid(0x3_0000_0000));
        assert_eq!(elements(&tree), elements(&from_file));
        assert_eq!(tree.digest(), from_file.digest());
        assert_eq!(tree.sessions().count(), 3);
        assert_eq!(tree.data(tree.find("/null").unwrap()), None);
        assert_eq!(tree.quotas().count(), 1);
    }
}

#[test]
fn section_9_2_our_stream_of_a_tree_is_the_reference_s_but_for_the_order_of_elements() {
    let javas = &SENT[..SENT.len() - BEHIND];
    let ours = stream(&recovered("snapshot.200000001", SNAPSHOT), 64);
    assert_eq!(split(&ours), split(javas));
    assert_eq!(split(&ours).1, b"\0\0\0\x01/\0\0\0\x0aBenWasHere");
}

#[test]
fn a_tree_comes_through_whole_however_it_is_cut() {
    let mut tree = Tree::new(CONFIG);
    apply(&mut tree, 1, 7, Txn::CreateSession { timeout_ms: 4000 });
    for zxid in 2..300 {
        let (path, data) = (format!("/n{zxid}"), vec![zxid as u8; (zxid as usize * 37) % 2000]);
        apply(&mut tree, zxid, 7, create(&path, &data, zxid % 3 == 0));
    }
    let mut rng = Rng::new(5);
    for target in [1, 1000, 1 << 20] {
        let mut bytes = stream(&tree, target);
        bytes.extend_from_slice(b"behind");
        for piece_max in [3, 4000] {
            let (copy, rest) = receive(&bytes, Zxid(299), piece_max, &mut rng).unwrap().unwrap();
            assert_eq!(rest, &b"behind"[..]);
            assert_eq!(elements(&copy), elements(&tree));
        }
    }
}

#[test]
fn section_13_what_is_applied_while_the_tree_is_sent_is_applied_again_by_the_receiver() {
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let mut tree = Tree::new(CONFIG);
        let mut zxid = 0;
        let write = |tree: &mut Tree, zxid: i64, cversion: i32, rng: &mut Rng| {
            let path = format!("/n{}", rng.below(20));
            match rng.below(8) {
                0..=4 => {
                    apply(tree, zxid, 0, create_at(&path, &[zxid as u8; 90], false, cversion));
                }
                5 => apply(tree, zxid, zxid, Txn::CreateSession { timeout_ms: 9 }),
                _ => apply(tree, zxid, 0, delete(&path)),
            }
        };
        let cversion = |tree: &Tree| tree.stat_persisted(tree.find("/").unwrap()).cversion + 1;
        for _ in 0..rng.below(60) {
            zxid += 1;
            let cversion = cversion(&tree);
            write(&mut tree, zxid, cversion, &mut rng);
        }
        // Two are sent at once, and they end at different times.
        let mut senders = [SnapshotSender::new(&tree), SnapshotSender::new(&tree)];
        let mut streams = [Vec::new(), Vec::new()];
        let at = zxid;
        let mut log: Vec<(i64, i32, Rng)> = Vec::new();
        while senders.iter().any(|sender| !sender.is_complete()) {
            let which = rng.below(2) as usize;
            if let Some(chunk) = senders[which].next_chunk(&tree, rng.below(400) as usize) {
                streams[which].extend_from_slice(&chunk);
            }
            if log.len() < 40 {
                zxid += 1;
                let (cversion, of_write) = (cversion(&tree), rng.fork());
                write(&mut tree, zxid, cversion, &mut of_write.clone());
                log.push((zxid, cversion, of_write));
            }
        }
        for bytes in streams {
            let mut copy = received(&bytes, Zxid(at));
            for (zxid, cversion, rng) in &log {
                write(&mut copy, *zxid, *cversion, &mut rng.clone());
            }
            assert_eq!(copy.digest(), tree.digest(), "seed {seed}");
            assert_eq!(elements(&copy), elements(&tree), "seed {seed}");
        }
    }
}

#[test]
fn a_session_that_began_while_the_tree_was_sent_gets_its_nodes_again() {
    let mut tree = Tree::new(CONFIG);
    let mut sender = SnapshotSender::new(&tree);
    let log = [(1, Txn::CreateSession { timeout_ms: 9 }), (2, create_at("/e", b"", true, 1))];
    for (zxid, txn) in &log {
        apply(&mut tree, *zxid, 7, txn.clone());
    }
    let bytes = sender.next_chunk(&tree, usize::MAX).unwrap();
    let mut copy = received(&bytes, Zxid(0));
    assert_eq!((copy.orphan_sessions().count(), copy.find("/e")), (0, None));
    for (zxid, txn) in &log {
        apply(&mut copy, *zxid, 7, txn.clone());
    }
    assert_eq!(elements(&copy), elements(&tree));
    assert_eq!(copy.sessions().collect::<Vec<_>>(), [(SessionId(7), 9)]);
}

#[test]
fn a_sender_says_when_its_tree_was_replaced() {
    let tree = Tree::new(CONFIG);
    let mut sender = SnapshotSender::new(&tree);
    assert!(sender.next_chunk(&tree, 1).is_some());
    assert_eq!(sender.next_chunk(&Tree::new(CONFIG), 1 << 20), None);
    assert!(!sender.is_complete());
    assert!(sender.next_chunk(&tree, 1 << 20).is_some());
    assert_eq!(sender.next_chunk(&tree, 1), None);
    assert!(sender.is_complete());
}

/// No sessions, one list of `entries` entries, and what follows.
fn malformed(entries: i32, rest: &[u8]) -> SnapshotError {
    let mut bytes = Vec::new();
    put_int(&mut bytes, 0);
    put_int(&mut bytes, 1);
    put_long(&mut bytes, 1);
    put_int(&mut bytes, entries);
    bytes.extend_from_slice(rest);
    let one_by_one = receive(&bytes, Zxid(1), 1, &mut Rng::new(1)).map(|_| ()).unwrap_err();
    let at_once = receive(&bytes, Zxid(1), u64::MAX, &mut Rng::new(1)).map(|_| ()).unwrap_err();
    assert_eq!(one_by_one, at_once);
    at_once
}

#[test]
fn what_is_no_snapshot_is_refused_at_its_place() {
    let fault = |position, fault| SnapshotError { position, fault };
    assert_eq!(malformed(-1, &[]), fault(8, SnapshotFault::NullAcl));
    assert_eq!(malformed(-2, &[]), fault(8, SnapshotFault::Length(-2)));
    let entry = [0, 0, 0, 31, 0x7f, 0xff, 0xff, 0xff];
    let (len, max) = (0x7fff_ffff, 0x1f_fffe);
    assert_eq!(malformed(1, &entry), fault(20, SnapshotFault::TooLong { len, max }));
    let nodes = |parts: &[&str]| {
        let mut bytes = Vec::new();
        parts.iter().for_each(|part| put_string(&mut bytes, part));
        bytes
    };
    assert_eq!(malformed(0, &nodes(&["/", "BenWasThere"])), fault(25, SnapshotFault::Signature));
    let no_root = SnapshotFault::Tree(tree::RestoreError::NoRoot);
    assert_eq!(malformed(0, &nodes(&["/", "BenWasHere"])), fault(39, no_root));
    let mut orphan = nodes(&["/a/b", ""]);
    orphan.extend_from_slice(&[0; 68]);
    let missing = SnapshotFault::Tree(tree::RestoreError::MissingParent("/a/b".into()));
    assert_eq!(malformed(0, &orphan), fault(20, missing));
    assert!(
        receive(&SENT[..SENT.len() - BEHIND - 1], Zxid(1), 99, &mut Rng::new(1)).unwrap().is_none()
    );
}

#[test]
fn no_byte_makes_the_receiver_panic() {
    for seed in 0..2000 {
        let mut rng = Rng::new(seed);
        let mut bytes = SENT.to_vec();
        for _ in 0..rng.between(1, 4) {
            let at = rng.below(bytes.len() as u64) as usize;
            bytes[at] = *rng.pick(&[0, 1, 4, 0x7f, 0x80, 0xff, b'/']);
        }
        receive(&bytes, Zxid(1), 3000, &mut rng).ok();
    }
}
