//! The journal over a disk that fails, tears and flips, against a model of what it must hold.

mod faults;
mod model;
mod refusals;
mod script;

use super::{Identity, Journal, Options, Record, Recovered};
use crate::simulated::{MetadataMode, SimulatedDisk};
use crate::{Disk, Error};
use base::{Lsn, NodeId, Rng, Zxid};
use std::path::{Path, PathBuf};

const DIR: &str = "/data/journal";
const IDENTITY: Identity = Identity { cluster: *b"a cluster of one", member: NodeId(7) };
const OPTIONS: Options = Options { segment_size: 4096 };

fn disk() -> SimulatedDisk {
    disk_of(MetadataMode::Ordered)
}

fn disk_of(mode: MetadataMode) -> SimulatedDisk {
    let disk = SimulatedDisk::new(mode);
    disk.create_dir_all(Path::new(DIR)).unwrap();
    disk
}

fn recover(disk: &SimulatedDisk) -> Result<Recovered<SimulatedDisk>, Error> {
    Journal::recover(disk.clone(), DIR, IDENTITY, OPTIONS)
}

fn opened(disk: &SimulatedDisk) -> Journal<SimulatedDisk> {
    recover(disk).unwrap_or_else(|error| panic!("{error}")).journal
}

fn segment(number: u64) -> PathBuf {
    Path::new(DIR).join(super::recover::segment_name(number))
}

fn entry(journal: &mut Journal<SimulatedDisk>, lsn: u64, bytes: &[u8]) {
    let at = journal.next();
    journal.append(Lsn(lsn), &Record::Entry { at, bytes }).unwrap();
}

/// Entries of 100 bytes, one sync for each.
fn write_entries(disk: &SimulatedDisk, count: u64) {
    let mut journal = opened(disk);
    for lsn in 1..=count {
        entry(&mut journal, lsn, &[lsn as u8; 100]);
        journal.commit().unwrap();
    }
}

fn places(journal: &mut Journal<SimulatedDisk>, from: i64) -> Vec<i64> {
    let mut entries = journal.entries(Zxid(from)).unwrap().expect("it reaches back there");
    let mut places = Vec::new();
    while let Some((at, _)) = entries.next_entry().unwrap() {
        places.push(at.0);
    }
    places
}

#[test]
fn all_that_was_kept_is_there_again() {
    let disk = disk();
    let Recovered { mut journal, torn, is_new } = recover(&disk).ok().unwrap();
    assert!(is_new && torn.is_none());
    entry(&mut journal, 1, b"one");
    entry(&mut journal, 2, b"two");
    journal.append(Lsn(3), &Record::Register { name: "term", value: -5 }).unwrap();
    journal.append(Lsn(4), &Record::Text { name: "members", text: Some("a,b") }).unwrap();
    journal.append(Lsn(5), &Record::Text { name: "next", text: Some("c") }).unwrap();
    journal.append(Lsn(6), &Record::Text { name: "next", text: None }).unwrap();
    journal.append(Lsn(7), &Record::Truncate { to: Zxid(1) }).unwrap();
    entry(&mut journal, 8, b"other");
    journal.append(Lsn(9), &Record::Checkpoint { at: Zxid(1), state: b"term 4" }).unwrap();
    assert_eq!((journal.durable(), journal.is_dirty()), (Lsn(0), true));
    assert_eq!(journal.commit().unwrap(), Lsn(9));
    disk.crash(&mut Rng::new(1));
    let mut journal = opened(&disk);
    assert_eq!(journal.kept().registers["term"], -5);
    assert_eq!(
        journal.kept().texts.clone().into_iter().collect::<Vec<_>>(),
        [("members".into(), "a,b".into())]
    );
    let checkpoint = journal.kept().checkpoint.clone().unwrap();
    assert_eq!((checkpoint.at, &checkpoint.state[..]), (Zxid(1), &b"term 4"[..]));
    let mut entries = journal.entries(Zxid(1)).unwrap().unwrap();
    assert_eq!(entries.next_entry().unwrap(), Some((Zxid(1), &b"one"[..])));
    assert_eq!(entries.next_entry().unwrap(), Some((Zxid(2), &b"other"[..])));
    assert_eq!(entries.next_entry().unwrap(), None);
    assert!(journal.entries(Zxid(0)).unwrap().is_none());
}

#[test]
fn a_batch_costs_one_write_and_one_sync() {
    let disk = disk();
    let mut journal = opened(&disk);
    for round in 0..3 {
        let before = disk.counters();
        for n in 1..=10 {
            entry(&mut journal, round * 10 + n, b"some bytes");
        }
        journal.commit().unwrap();
        let after = disk.counters();
        assert_eq!((after.writes - before.writes, after.syncs - before.syncs), (1, 1));
        assert_eq!((after.names, after.dir_syncs), (before.names, before.dir_syncs));
    }
    assert_eq!(journal.segments(), (1, 1));
}

#[test]
fn what_is_appended_during_a_sync_waits_for_the_next() {
    let disk = disk();
    let mut journal = opened(&disk);
    entry(&mut journal, 1, b"one");
    let job = journal.begin_sync().unwrap().expect("something to sync");
    entry(&mut journal, 2, b"two");
    assert!(journal.is_dirty() && journal.is_syncing());
    assert_eq!(journal.end_sync(job.perform()).unwrap(), Lsn(1));
    let job = journal.begin_sync().unwrap().expect("the second");
    assert_eq!(journal.end_sync(job.perform()).unwrap(), Lsn(2));
    assert!(journal.begin_sync().unwrap().is_none(), "all is durable");
    disk.crash(&mut Rng::new(3));
    assert_eq!(places(&mut opened(&disk), 1), [1, 2]);
}

#[test]
fn a_prepared_segment_is_used_and_a_left_one_removed() {
    let disk = disk();
    let mut journal = opened(&disk);
    let plan = journal.plan_ahead().expect("nothing is prepared");
    assert!(journal.plan_ahead().is_none(), "one at a time");
    journal.done_ahead(plan.perform(&disk));
    let created = disk.counters().names;
    let mut lsn = 0;
    while journal.segments().1 == 1 {
        lsn += 1;
        entry(&mut journal, lsn, &[1; 500]);
    }
    assert_eq!(disk.counters().names - created, 1, "renamed, not made");
    let plan = journal.plan_ahead().expect("the next");
    journal.done_ahead(plan.perform(&disk));
    journal.commit().unwrap();
    assert_eq!(places(&mut opened(&disk), 1).len() as u64, lsn);
    assert_eq!(disk.list(Path::new(DIR)).unwrap().len(), 2);
}

#[test]
fn a_record_longer_than_a_segment_has_one_of_its_own() {
    let disk = disk();
    let mut journal = opened(&disk);
    entry(&mut journal, 1, b"small");
    entry(&mut journal, 2, &[7; 300_000]);
    entry(&mut journal, 3, b"small");
    journal.commit().unwrap();
    assert_eq!(journal.segments(), (1, 3));
    let mut journal = opened(&disk);
    let mut entries = journal.entries(Zxid(2)).unwrap().unwrap();
    assert_eq!(entries.next_entry().unwrap().unwrap().1, [7; 300_000]);
    assert_eq!(places(&mut journal, 1), [1, 2, 3]);
}

#[test]
fn compaction_keeps_what_the_caller_and_the_checkpoint_need() {
    let disk = disk();
    let mut journal = opened(&disk);
    for lsn in 1..=100 {
        entry(&mut journal, lsn, &[3; 200]);
    }
    journal.append(Lsn(101), &Record::Register { name: "term", value: 9 }).unwrap();
    assert!(journal.compact(Zxid(90)).unwrap().is_none(), "no checkpoint covers them");
    journal.append(Lsn(102), &Record::Checkpoint { at: Zxid(60), state: b"" }).unwrap();
    let removal = journal.compact(Zxid(30)).unwrap().expect("some segments");
    assert!(journal.compact(Zxid(90)).unwrap().is_none(), "one removal at a time");
    let removed = journal.end_removal(removal.perform()).unwrap();
    assert!(removed > 0 && (2..=31).contains(&journal.first().0), "{}", journal.first());
    let removal = journal.compact(Zxid(90)).unwrap().expect("more segments");
    journal.end_removal(removal.perform()).unwrap();
    assert!((32..=61).contains(&journal.first().0), "never beyond the checkpoint");
    let first = journal.first();
    drop(journal);
    disk.crash(&mut Rng::new(1));
    let mut journal = opened(&disk);
    assert_eq!((journal.first(), journal.kept().registers["term"]), (first, 9));
    assert_eq!(places(&mut journal, first.0), (first.0..=100).collect::<Vec<_>>());
}

#[test]
fn the_space_of_a_long_segment_is_given_back_in_pieces() {
    let disk = disk();
    let mut journal = opened(&disk);
    entry(&mut journal, 1, &vec![3; 10 << 20]);
    for lsn in 2..=20 {
        entry(&mut journal, lsn, &[3; 200]);
    }
    journal.append(Lsn(21), &Record::Checkpoint { at: Zxid(20), state: b"" }).unwrap();
    let removal = journal.compact(Zxid(20)).unwrap().expect("some segments");
    let before = disk.counters();
    journal.end_removal(removal.perform()).unwrap();
    let after = disk.counters();
    assert_eq!(after.writes - before.writes, 2, "10 MiB are cut to 6 and to 2");
    assert!(after.dir_syncs > before.dir_syncs, "and not before it is gone");
}

#[test]
fn a_received_snapshot_stands_in_place_of_all_entries() {
    let disk = disk();
    let mut journal = opened(&disk);
    entry(&mut journal, 1, b"old");
    journal.append(Lsn(2), &Record::Checkpoint { at: Zxid(500), state: b"s" }).unwrap();
    entry(&mut journal, 3, b"new");
    journal.close().unwrap();
    let mut journal = opened(&disk);
    assert_eq!((journal.first(), journal.next()), (Zxid(501), Zxid(502)));
    assert_eq!(places(&mut journal, 501), [501]);
}

#[test]
fn after_a_failure_nothing_is_written() {
    let disk = disk();
    let mut journal = opened(&disk);
    entry(&mut journal, 1, b"one");
    journal.commit().unwrap();
    entry(&mut journal, 2, b"two");
    let job = journal.begin_sync().unwrap().expect("something to sync");
    disk.fail_after(crate::simulated::Operation::Sync, 0);
    assert!(matches!(journal.end_sync(job.perform()), Err(Error::Io { .. })));
    let writes = disk.counters().writes;
    let record = Record::Entry { at: Zxid(3), bytes: b"" };
    assert!(matches!(journal.append(Lsn(3), &record), Err(Error::Poisoned)));
    assert!(matches!(journal.compact(Zxid(1)), Err(Error::Poisoned)));
    assert!(journal.plan_ahead().is_none() && journal.has_failed());
    assert_eq!((disk.counters().writes, journal.durable()), (writes, Lsn(1)));
}

#[test]
#[allow(clippy::disallowed_methods)] // a panic is the outcome that is asked for
fn records_that_cannot_come_now_are_not_taken() {
    let bad = [
        Record::Entry { at: Zxid(3), bytes: b"" },
        Record::Truncate { to: Zxid(0) },
        Record::Checkpoint { at: Zxid(0), state: b"" },
        Record::Register { name: "", value: 1 },
        Record::Mark { durable: 0 },
    ];
    for record in bad {
        let disk = disk();
        let mut journal = opened(&disk);
        entry(&mut journal, 1, b"one");
        journal.append(Lsn(2), &Record::Checkpoint { at: Zxid(1), state: b"" }).unwrap();
        let append = std::panic::AssertUnwindSafe(|| journal.append(Lsn(3), &record));
        assert!(std::panic::catch_unwind(append).is_err(), "{record:?}");
    }
}
