//! What a member begins with, and what it may read to others.

use super::{Durable, read_log, recover_member};
use crate::testing::{CONFIG, SNAPSHOT, append, apply, dirs, entry, journal};
use crate::{Output, RecentLimits, RecoverError, RecoveredMember, SnapshotTask};
use base::{Lsn, Zxid};
use std::path::Path;
use storage::simulated::SimulatedDisk;
use storage::{Disk, Outcome, RecoveryOptions};
use tree::Tree;

const RECENT: RecentLimits = RecentLimits { entries: 500, bytes: 1 << 20 };

fn recover(
    disk: &SimulatedDisk,
    options: RecoveryOptions,
) -> Result<RecoveredMember, RecoverError> {
    recover_member(disk, &dirs(), options, CONFIG, SNAPSHOT, RECENT, &mut || {})
}

fn durable(disk: &SimulatedDisk) -> (Outcome, Durable) {
    let recovered = recover(disk, RecoveryOptions::default()).ok().unwrap();
    (recovered.restored.outcome, recovered.durable)
}

fn names(disk: &SimulatedDisk) -> String {
    let names = disk.list(&dirs().snapshots()).unwrap().into_iter().map(|entry| entry.name);
    names.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_member_begins_with_its_epochs_and_its_last_entries() {
    let disk = SimulatedDisk::default();
    let nothing =
        Durable { accepted: 0, current: 0, last: Zxid(0), is_lost: false, recent: Vec::new() };
    assert_eq!(durable(&disk), (Outcome::Empty, nothing));
    let mut journal = journal(&disk);
    let register = |lsn, name, value| Output::Register { lsn: Lsn(lsn), name, value };
    journal.perform(register(1, "acceptedEpoch", 4)).unwrap();
    let places = [0x4_0000_0001, 0x4_0000_0002, 0x4_0000_0003];
    for (lsn, zxid) in (2..).zip(places) {
        journal.perform(append(lsn, zxid, entry(zxid, "a"))).unwrap();
    }
    journal.commit().unwrap();
    // The crash is before currentEpoch is written.
    let recent = places.map(|zxid| (Zxid(zxid), entry(zxid, "a"))).to_vec();
    let expected =
        Durable { accepted: 4, current: 4, last: Zxid(places[2]), is_lost: false, recent };
    assert_eq!(durable(&disk), (Outcome::Restored, expected));
}

#[test]
fn a_flipped_bit_of_the_only_snapshot_is_refused_with_the_name_of_the_file() {
    let whole = SimulatedDisk::default();
    durable(&whole);
    let path = dirs().snapshots().join("snapshot.0");
    // What comes behind the checksum, a slash with its length, means nothing to anybody.
    let covered = whole.contents(&path).unwrap().len() - 5;
    let bits = covered as u64 * 8;
    for bit in 0..bits {
        let disk = whole.fork();
        disk.flip_bit(&path, bit);
        let refused = recover(&disk, RecoveryOptions::default()).err().map(|e| e.to_string());
        let names_it = |refused: &String| refused.contains(&*path.to_string_lossy());
        assert!(refused.as_ref().is_some_and(names_it), "bit {bit}: {refused:?}");
    }
}

#[test]
fn a_member_that_lost_its_database_is_not_a_new_one() {
    let disk = SimulatedDisk::default();
    assert_eq!(durable(&disk).0, Outcome::Empty);
    assert_eq!(names(&disk), "acceptedEpoch currentEpoch snapshot.0");
    for entry in disk.list(&dirs().snapshots()).unwrap() {
        disk.remove(&dirs().snapshots().join(entry.name)).unwrap();
    }
    for _ in 0..2 {
        let unknown =
            Durable { accepted: 0, current: 0, last: Zxid(-1), is_lost: true, recent: Vec::new() };
        assert_eq!(durable(&disk), (Outcome::Unknown, unknown));
        assert!(!names(&disk).contains("snapshot"), "it would be a state at the next start");
    }
    // A leader's state makes it a member again, with what the leader sends behind it.
    let mut tree = Tree::new(CONFIG);
    apply(&mut tree, &entry(0x1_0000_0003, "leader"));
    let mut journal = journal(&disk);
    let (lsn, name) = (Lsn(1), "acceptedEpoch");
    journal.perform(Output::Register { lsn, name, value: 1 }).unwrap();
    journal.install(&tree, SNAPSHOT).unwrap();
    let found = |disk: &SimulatedDisk| {
        let (outcome, found) = durable(disk);
        (outcome, found.last, found.is_lost)
    };
    let last = Zxid(0x1_0000_0003);
    assert_eq!(found(&disk), (Outcome::Restored, last, true));
    let (lsn, name) = (Lsn(2), "currentEpoch");
    self::journal(&disk).perform(Output::Register { lsn, name, value: 1 }).unwrap();
    assert_eq!(found(&disk), (Outcome::Restored, last, false));
    // Or someone says that all begins anew.
    for name in ["snapshot.100000003", "acceptedEpoch", "currentEpoch"] {
        disk.remove(&dirs().snapshots().join(name)).unwrap();
    }
    disk.install(Path::new("/data/initialize"), b"");
    assert_eq!(durable(&disk).0, Outcome::Empty);
}

#[test]
fn the_log_is_read_up_to_a_part_of_the_newest_snapshot() {
    let disk = SimulatedDisk::default();
    assert_eq!(durable(&disk).0, Outcome::Empty);
    let (mut journal, mut tree) = (journal(&disk), Tree::new(CONFIG));
    for zxid in 1..=30 {
        journal.perform(append(zxid as u64, zxid, entry(zxid, "a"))).unwrap();
        apply(&mut tree, &entry(zxid, "a"));
    }
    journal.commit().unwrap();
    SnapshotTask::take(disk.clone(), &dirs().snapshots(), &tree, SNAPSHOT).unwrap();
    let read = |from, factor| {
        let options = RecoveryOptions::default();
        let recent = RecentLimits { entries: 5, bytes: 1 << 20 };
        let entries = read_log(&disk, &dirs(), options, Zxid(from), factor, recent);
        entries.into_iter().map(|(at, _)| at.0).collect::<Vec<_>>()
    };
    let last = |count: i64| (31 - count..=30).collect::<Vec<_>>();
    assert_eq!(read(21, 0.33), last(10));
    assert_eq!(read(1, 0.33), [0; 0], "more than a third of a snapshot");
    assert_eq!(read(1, 0.0), last(30));
    assert_eq!(read(21, -1.0), [0; 0]);
    assert_eq!(read(31, 0.33), [0; 0]);
    assert_eq!(read(25, 0.001), last(6), "five that a learner lacks, as many as are kept");
    assert_eq!(read(24, 0.001), [0; 0]);
}

#[test]
fn a_log_whose_epoch_a_snapshot_ends_later_is_not_read_on() {
    let disk = SimulatedDisk::default();
    assert_eq!(durable(&disk).0, Outcome::Empty);
    let (mut journal, mut tree) = (journal(&disk), Tree::new(CONFIG));
    let next_epoch = 0x1_0000_0001;
    for (lsn, zxid) in (1..).zip([1, 2, 3, next_epoch]) {
        journal.perform(append(lsn, zxid, entry(zxid, "a"))).unwrap();
    }
    journal.commit().unwrap();
    let read = |disk: &SimulatedDisk, from| {
        let options = RecoveryOptions::default();
        let entries = read_log(disk, &dirs(), options, Zxid(from), 0.0, RECENT);
        entries.into_iter().map(|(at, _)| at.0).collect::<Vec<_>>()
    };
    assert_eq!(read(&disk, 2), [2, 3, next_epoch]);
    apply(&mut tree, &entry(7, "a"));
    SnapshotTask::take(disk.clone(), &dirs().snapshots(), &tree, SNAPSHOT).unwrap();
    assert_eq!(read(&disk, 2), [0; 0], "it was sent a state, and has no log of 4 to 7");
    assert_eq!(read(&disk, next_epoch), [next_epoch]);
}
