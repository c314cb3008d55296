//! Data that is moved between engines, and disks that fail on the way.

use super::{End, EngineDirs, EngineKind, MigrateError, Migration, Moved};
use crate::testing::{CONFIG, SNAPSHOT, append, apply, create, dirs, entry, journal, record};
use crate::{
    Journal, JournalFiles, Output, RecentLimits, RecoveredSlots, SnapshotTask, recover_member,
    recover_slots,
};
use base::{Lsn, NodeId, Rng, Zxid};
use broadcast::{Slot, SlotKind};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::Path;
use storage::journal::{Identity, Options};
use storage::simulated::{MetadataMode, Operation, SimulatedDisk};
use storage::{
    Compression, Dirs, Disk, ReadOptions, RecoveryOptions, SnapshotItem, SnapshotReader,
};
use tree::Tree;
use wire::quorum::{Membership, Rules};
use wire::{Acl, Acls, Txn};

const SESSION: i64 = 0x1234;
const CLUSTER: [u8; 16] = [7; 16];
const JOURNAL: Options = Options { segment_size: 1 << 16 };
/// The last transaction of what is moved: the fourth of epoch 2.
const LAST: Zxid = Zxid(0x2_0000_0004);

fn raft_dirs() -> Dirs {
    Dirs::single("/data/raft")
}

fn migration(me: u64) -> Migration {
    let text = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nversion=0";
    let rules = Rules { multi_address: true, standalone: false };
    Migration {
        dirs: EngineDirs { zab: dirs(), raft: raft_dirs() },
        me: NodeId(me),
        cluster: CLUSTER,
        initial: Membership::parse(text, &rules).unwrap(),
        recovery: RecoveryOptions::default(),
        tree: CONFIG,
        snapshot: SNAPSHOT,
        journal: JOURNAL,
    }
}

/// A member's files of ZooKeeper's: a snapshot, and a log behind it.
fn zab_disk(mode: MetadataMode) -> SimulatedDisk {
    let disk = SimulatedDisk::new(mode);
    recover_zab(&disk);
    let (mut journal, mut tree) = (journal(&disk), Tree::new(CONFIG));
    for (lsn, name) in (1..).zip(["acceptedEpoch", "currentEpoch"]) {
        journal.perform(Output::Register { lsn: Lsn(lsn), name, value: 2 }).unwrap();
    }
    let mut acl = Vec::new();
    let list = [Acl { perms: 1, ..Acl::open()[0].clone() }];
    jute::Writer::new(&mut acl).vector(&list);
    let acl = Acls::decode(&mut jute::Reader::new(&acl)).unwrap().unwrap();
    let (path, version) = ("/kept".into(), 1);
    let items = [
        record(0x1_0000_0001, SESSION, Txn::CreateSession { timeout_ms: 4000 }),
        record(0x1_0000_0002, SESSION, create("/mine", b"m", true, 1)),
        record(0x2_0000_0001, 0, create("/kept", b"k", false, 2)),
        record(0x2_0000_0002, 0, Txn::SetAcl { path, acl, version }),
        entry(0x2_0000_0003, "a"),
        entry(LAST.0, "a"),
    ];
    let places =
        [0x1_0000_0001, 0x1_0000_0002, 0x2_0000_0001, 0x2_0000_0002, 0x2_0000_0003, LAST.0];
    for (n, (item, at)) in items.iter().zip(places).enumerate() {
        journal.perform(append(n as u64 + 3, at, item.clone())).unwrap();
        apply(&mut tree, item);
        if n == 2 {
            SnapshotTask::take(disk.clone(), &dirs().snapshots(), &tree, SNAPSHOT).unwrap();
        }
    }
    journal.commit().unwrap();
    disk
}

fn recover_zab(disk: &SimulatedDisk) -> crate::RecoveredMember {
    let (options, recent) = (RecoveryOptions::default(), RecentLimits::NONE);
    recover_member(disk, &dirs(), options, CONFIG, SNAPSHOT, recent, &mut || {}).ok().unwrap()
}

fn recover_raft(disk: &SimulatedDisk, me: u64) -> RecoveredSlots<SimulatedDisk> {
    let identity = Identity { cluster: CLUSTER, member: NodeId(me) };
    let (options, journal) = (RecoveryOptions::default(), (identity, JOURNAL));
    let dirs = raft_dirs();
    recover_slots(disk, &dirs, options, CONFIG, SNAPSHOT, journal, &mut || {}).ok().unwrap()
}

/// All that is in a tree: sessions, access lists, nodes, digest.
fn contents(tree: &Tree) -> Vec<String> {
    let (disk, dir) = (SimulatedDisk::default(), Path::new("/"));
    let path = SnapshotTask::take(disk.clone(), dir, tree, SNAPSHOT).unwrap().path;
    let mut reader = SnapshotReader::open(&disk, &path, Compression::None).unwrap();
    let mut lines = vec![format!("{} {}", tree.last_zxid(), tree.digest())];
    while let Some(item) = reader.next_item().unwrap() {
        match item {
            SnapshotItem::Session(..) | SnapshotItem::Acl(..) | SnapshotItem::Node(_) => {
                lines.push(format!("{item:?}"));
            }
            SnapshotItem::End(_) => {}
        }
    }
    lines.sort();
    lines
}

/// The tree of the data that counts.
fn tree_in_force(disk: &SimulatedDisk) -> Tree {
    match migration(1).dirs.in_force(disk).unwrap().expect("one of the two is whole") {
        EngineKind::Zab => recover_zab(disk).tree,
        EngineKind::Raft => recover_raft(disk, 1).tree,
    }
}

/// Every file, to see what has changed.
fn files(disk: &SimulatedDisk) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for root in ["/data", "/data/raft", "/copy"] {
        for dir in ["", "version-2", "version-2.moved-1", "version-2.moved-2"] {
            let dir = Path::new(root).join(dir);
            for entry in disk.list(&dir).unwrap_or_default() {
                let path = dir.join(entry.name);
                files.insert(path.display().to_string(), disk.contents(&path).unwrap());
            }
        }
    }
    files
}

fn to_raft(disk: &SimulatedDisk) -> Moved {
    migration(1).run(disk, EngineKind::Raft, None).unwrap_or_else(|error| panic!("{error}"))
}

/// Members go on over Raft: an entry of a leader of term 5 that may be decided.
fn go_on(disk: &SimulatedDisk) -> Bytes {
    let found = recover_raft(disk, 1);
    let read = ReadOptions::default();
    let files = JournalFiles { disk: disk.clone(), dirs: raft_dirs(), read, texts: None };
    let mut journal = Journal::of_slots(found.journal, files);
    let item = entry(LAST.0 + 1, "raft");
    let slots =
        [(SlotKind::Empty, LAST, Bytes::new()), (SlotKind::Item, LAST.next(), item.clone())];
    journal.perform(Output::Register { lsn: Lsn(1), name: raft::TERM, value: 5 }).unwrap();
    for (n, (kind, at, body)) in (1..).zip(slots) {
        let slot = Slot { index: LAST.0 as u64 + n, period: 5, at, kind, body };
        journal.perform(Output::Slot { lsn: Lsn(n + 1), slot }).unwrap();
    }
    journal.commit().unwrap();
    item
}

#[test]
fn there_and_back_nothing_of_the_tree_is_lost() {
    let disk = zab_disk(MetadataMode::Strict);
    let before = recover_zab(&disk).tree;
    assert_eq!((before.last_zxid(), before.sessions().count()), (LAST, 1));
    assert!(before.find("/mine").is_some());
    let checked = migration(1).check(&disk).unwrap();
    assert_eq!((checked.end, checked.zxid, checked.digest), (End::Epoch(2), LAST, before.digest()));
    let zab_files: Vec<String> = files(&disk).into_keys().collect();
    let moved = to_raft(&disk);
    assert_eq!(moved.standing.as_ref(), Some(&checked));
    assert_eq!(moved.set_aside, [Path::new("/data/version-2.moved-1")]);
    let now = files(&disk);
    for old in zab_files.iter().filter(|name| name.contains("version-2")) {
        let aside = old.replace("version-2", "version-2.moved-1");
        assert!(now.contains_key(&aside) && !now.contains_key(old), "{old}");
    }
    let found = recover_raft(&disk, 1);
    assert_eq!(contents(&found.tree), contents(&before));
    let base = &found.durable.bases[0];
    assert_eq!((base.index, base.period, base.at), (LAST.0 as u64, 2, LAST));
    assert_eq!((found.durable.term, found.durable.is_lost), (2, false));
    assert!(found.durable.history > 1 && found.durable.slots.is_empty());
    drop(found);
    // What is not decided counts as history, as in ZAB.
    let item = go_on(&disk);
    let mut after = before;
    apply(&mut after, &item);
    let checked = migration(1).check(&disk).unwrap();
    assert_eq!(checked.end, End::Entry { term: 5, index: LAST.0 as u64 + 2 });
    let moved = migration(1).run(&disk, EngineKind::Zab, None).unwrap();
    assert_eq!(moved.standing, Some(checked));
    assert_eq!(moved.set_aside, [Path::new("/data/raft/version-2.moved-2")]);
    let found = recover_zab(&disk);
    assert_eq!(contents(&found.tree), contents(&after));
    // The last term's: of two members ZAB elects whom Raft would have.
    assert_eq!((found.durable.accepted, found.durable.current), (5, 5));
    assert_eq!(found.durable.last, LAST.next());
}

#[test]
fn members_with_the_same_state_begin_alike_and_others_do_not() {
    let history = |disk: &SimulatedDisk, me| {
        migration(me).run(disk, EngineKind::Raft, None).unwrap();
        recover_raft(disk, me).durable.history
    };
    let (one, two) = (zab_disk(MetadataMode::Ordered), zab_disk(MetadataMode::Strict));
    let other = zab_disk(MetadataMode::Ordered);
    let mut log = journal(&other);
    log.perform(append(1, LAST.0 + 1, entry(LAST.0 + 1, "undecided"))).unwrap();
    log.commit().unwrap();
    let checked = migration(3).check(&other).unwrap();
    assert_ne!(checked.to_string(), migration(1).check(&one).unwrap().to_string());
    let histories = [history(&one, 1), history(&two, 2), history(&other, 3)];
    assert!(histories[0] == histories[1] && histories[0] != histories[2], "{histories:x?}");
}

#[test]
fn another_members_data_can_be_taken_instead_of_ones_own() {
    let disk = zab_disk(MetadataMode::Strict);
    let before = recover_zab(&disk).tree;
    to_raft(&disk);
    go_on(&disk);
    // A copy of member 1's, on the disk of member 2, which has stayed behind.
    let second = SimulatedDisk::default();
    for (name, bytes) in files(&disk).iter().filter(|(name, _)| name.contains("raft/version-2/")) {
        second.install(Path::new(&name.replace("/data", "/copy")), bytes);
        second.install(Path::new(name), bytes);
    }
    let refused = migration(2).run(&second, EngineKind::Zab, None).unwrap_err();
    assert!(matches!(refused, MigrateError::OtherMember { found: 1, me: 2, .. }), "{refused}");
    let copy = Dirs::single("/copy/raft");
    let untouched = |disk: &SimulatedDisk| {
        files(disk).into_iter().filter(|(name, _)| name.starts_with("/copy")).collect::<Vec<_>>()
    };
    let copied = untouched(&second);
    let moved = migration(2).run(&second, EngineKind::Zab, Some(&copy)).unwrap();
    assert_eq!(moved.set_aside, [Path::new("/data/raft/version-2.moved-1")]);
    assert_eq!(untouched(&second), copied, "the copy stays as it is");
    let found = recover_zab(&second);
    assert_eq!(found.durable.last, LAST.next());
    assert_eq!(found.tree.sessions().count(), before.sessions().count());
}

/// Moves on a disk that fails, then loses power; whatever is found then counts, and the move can be
/// ended.
fn survives(make: impl Fn(MetadataMode) -> SimulatedDisk, to: EngineKind) {
    let expected = contents(&tree_and_tail(&make(MetadataMode::Ordered)));
    let (mut failed, mut unfinished) = (0, 0);
    for operation in [Operation::Write, Operation::Sync, Operation::Name, Operation::SyncDir] {
        for budget in 0.. {
            let mode = [MetadataMode::Ordered, MetadataMode::Strict][budget as usize % 2];
            let disk = make(mode);
            disk.fail_after(operation, budget);
            let done = migration(1).run(&disk, to, None);
            disk.clear_faults();
            for seed in 0..4 {
                let after = disk.fork();
                if seed > 0 {
                    after.crash(&mut Rng::new(budget * 4 + seed));
                }
                let counts = migration(1).dirs.in_force(&after).unwrap();
                assert!(counts.is_some(), "{operation:?} {budget}: neither is whole");
                let started = tree_and_tail(&after.fork());
                assert_eq!(
                    contents(&started),
                    expected,
                    "{operation:?} {budget}, counts {counts:?}"
                );
                unfinished += u32::from(counts != Some(to));
                if done.is_err() {
                    match migration(1).run(&after, to, None) {
                        Ok(_) => {}
                        // It was all done but for the answer.
                        Err(MigrateError::AlreadyThere { .. }) => {}
                        Err(error) => panic!("{operation:?} {budget}: {error}"),
                    }
                }
                assert_eq!(migration(1).dirs.in_force(&after).unwrap(), Some(to));
                assert_eq!(contents(&tree_and_tail(&after)), expected, "{operation:?} {budget}");
                let left = files(&after).into_keys();
                let left: Vec<String> = left.filter(|name| name.contains("migration")).collect();
                assert!(left.is_empty(), "{left:?}");
            }
            if done.is_ok() {
                break;
            }
            failed += 1;
        }
    }
    assert!(failed > 20 && unfinished > 20, "{failed} failures, {unfinished} came to nothing");
}

/// The tree of the data that counts, with all that its log holds.
fn tree_and_tail(disk: &SimulatedDisk) -> Tree {
    let mut tree = tree_in_force(disk);
    if migration(1).dirs.in_force(disk).unwrap() == Some(EngineKind::Raft) {
        let slots = recover_raft(disk, 1).durable.slots;
        slots.iter().filter_map(Slot::entry).for_each(|(_, item)| apply(&mut tree, item));
    }
    tree
}

#[test]
fn a_crash_on_the_way_to_raft_leaves_the_old_or_the_new_data() {
    survives(zab_disk, EngineKind::Raft);
}

#[test]
fn a_crash_on_the_way_back_leaves_the_old_or_the_new_data() {
    let over_raft = |mode| {
        let disk = zab_disk(mode);
        to_raft(&disk);
        go_on(&disk);
        disk
    };
    survives(over_raft, EngineKind::Zab);
}

#[track_caller]
fn is_refused(disk: &SimulatedDisk, move_it: &Migration, to: EngineKind, with: &str) {
    let before = files(disk);
    let refused = move_it.run(disk, to, None).unwrap_err().to_string();
    assert!(refused.contains(with), "{refused}");
    assert!(files(disk) == before, "something was changed");
}

#[test]
fn bad_data_is_refused_and_nothing_is_changed() {
    let (to_raft_of, to_zab_of) = (EngineKind::Raft, EngineKind::Zab);
    let empty = SimulatedDisk::default();
    is_refused(&empty, &migration(1), to_raft_of, "no data of engine=zab");
    is_refused(&empty, &migration(1), to_zab_of, "no data of engine=raft");
    let zab = zab_disk(MetadataMode::Strict);
    is_refused(&zab, &migration(1), to_zab_of, "of engine=zab already");
    zab.install(Path::new("/data/raft/version-2/journal.0000000000000001"), b"?");
    is_refused(&zab, &migration(1), to_raft_of, "there are files of engine=raft already");
    zab.install(Path::new("/data/raft/version-2/snapshot.0"), b"?");
    is_refused(&zab, &migration(1), to_raft_of, "move away what is not to count");

    let damaged = zab_disk(MetadataMode::Strict);
    for name in ["snapshot.0", "snapshot.200000001"] {
        assert!(damaged.flip_bit(&dirs().snapshots().join(name), 100 * 8));
    }
    is_refused(&damaged, &migration(1), to_raft_of, "snapshot.200000001");

    let half = zab_disk(MetadataMode::Strict);
    half.install(Path::new("/data/version-2/quorate.install"), b"1");
    is_refused(&half, &migration(1), to_raft_of, "not wholly in place");

    let raft = zab_disk(MetadataMode::Strict);
    to_raft(&raft);
    let other = Migration { cluster: [8; 16], ..migration(1) };
    is_refused(&raft, &other, to_zab_of, "another cluster");
    is_refused(&raft, &migration(2), to_zab_of, "that of member 1, this is member 2");
    let lost = raft.fork();
    lost.remove(Path::new("/data/raft/version-2/journal.0000000000000001")).unwrap();
    is_refused(&lost, &migration(1), to_zab_of, "has lost its data");
    // A start notes it for good.
    assert!(recover_raft(&lost, 1).durable.is_lost);
    is_refused(&lost, &migration(1), to_zab_of, "has lost its data");
    raft.install(Path::new("/data/quorate.migration"), b"elsewhere 1");
    is_refused(&raft, &migration(1), to_zab_of, "no note of");
}
