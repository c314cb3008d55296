//! What was synced and is damaged, and what is whole and means nothing.

use super::{IDENTITY, Life, OPTIONS, Step, in_logs, new_disk, recover, segments};
use crate::RecoverError;
use crate::testing::dirs;
use base::{Lsn, Zxid};
use broadcast::ANNOUNCED;
use storage::journal::{Journal, Record, Refusal, read_journal};
use storage::simulated::{MetadataMode, SimulatedDisk};
use storage::{Disk, Error};

/// A member with a base, a cut, and slots in several segments, each synced by itself.
fn lived() -> Life {
    let mut life = Life::begin(new_disk(MetadataMode::Ordered)).ok().unwrap();
    let steps = [Step::Cut(0), Step::Slots(3, 300), Step::Snapshot(1), Step::Cut(1)];
    steps.iter().for_each(|step| life.step(*step).unwrap());
    for _ in 0..9 {
        life.step(Step::Slots(1, 900)).unwrap();
        life.step(Step::Commit).unwrap();
    }
    life
}

/// The record of a slot: its segment, and where it begins there.
fn place_of(disk: &SimulatedDisk, index: u64) -> (String, u64) {
    let mut found = None;
    read_journal(disk, &dirs().logs(), None, |item| {
        if matches!(item.record, Record::Entry { at, .. } if at.0.unsigned_abs() == index) {
            let name = item.path.file_name().unwrap().to_string_lossy().into_owned();
            found = Some((name, item.offset));
        }
    })
    .unwrap();
    found.expect("the slot is there")
}

#[test]
fn a_flip_in_what_was_synced_is_refused_with_its_place_or_changes_nothing() {
    let mut life = lived();
    life.restart(); // marks all
    let (mut refused, mut harmless) = (0, 0);
    for name in segments(&life.disk) {
        let path = in_logs(&name);
        for byte in (0..life.disk.contents(&path).unwrap().len() as u64).step_by(3) {
            let disk = life.disk.fork();
            assert!(disk.flip_bit(&path, byte * 8 + byte % 8));
            let writes = disk.counters().writes;
            match recover(&disk) {
                Ok(_) => {
                    life.possible.check(&disk);
                    harmless += 1;
                }
                Err(RecoverError::Storage(Error::Journal(refusal))) => {
                    assert!(refusal.to_string().contains(&name), "{refusal}");
                    assert_eq!(disk.counters().writes, writes, "a refusal changes nothing");
                    refused += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert!(refused > 1000 && harmless > 0, "{refused} {harmless}");
}

#[test]
fn damage_in_the_middle_is_no_torn_tail() {
    let life = lived();
    let last = life.log().last().0;
    for index in life.log().begin() + 1..last {
        let (name, offset) = place_of(&life.disk, index);
        let disk = life.disk.fork();
        assert!(disk.flip_bit(&in_logs(&name), (offset + 20) * 8));
        let refused = recover(&disk).err().unwrap_or_else(|| panic!("slot {index} was skipped"));
        let RecoverError::Storage(Error::Journal(Refusal::Corrupt { path, offset: at, .. })) =
            &refused
        else {
            panic!("{refused}");
        };
        assert_eq!((path, *at), (&in_logs(&name), offset), "{refused}");
    }
    // Behind the last one nothing speaks for it.
    let (name, offset) = place_of(&life.disk, last);
    let disk = life.disk.fork();
    assert!(disk.flip_bit(&in_logs(&name), (offset + 20) * 8));
    let found = recover(&disk).ok().unwrap();
    let torn = found.torn.expect("it is told");
    assert_eq!((torn.path, torn.offset), (in_logs(&name), offset));
    assert_eq!(found.durable.slots.last().unwrap().index, last - 1);
}

#[test]
fn a_base_without_its_snapshot_is_refused() {
    let life = lived();
    let base = life.log().base.clone().unwrap();
    let snapshot = in_logs(format!("snapshot.{:x}", base.at.0));
    for is_gone in [false, true] {
        let disk = life.disk.fork();
        if is_gone {
            disk.remove(&snapshot).unwrap();
        } else {
            assert!(disk.flip_bit(&snapshot, 60 * 8));
        }
        // The one that every member begins with is still there.
        let refused = recover(&disk).err().expect("the log does not begin there");
        assert!(
            matches!(refused, RecoverError::SnapshotLost { at, found: Zxid::ZERO, .. } if at == base.at),
            "{refused}"
        );
    }
}

/// A member's journal with this record at its end.
fn with(record: &Record<'_>) -> SimulatedDisk {
    let disk = Life::begin(new_disk(MetadataMode::Ordered)).ok().unwrap().disk;
    let recovered = Journal::recover(disk.clone(), dirs().logs(), IDENTITY, OPTIONS).unwrap();
    let mut journal = recovered.journal;
    journal.append(Lsn(journal.appended().0 + 1), record).unwrap();
    journal.commit().unwrap();
    disk
}

#[test]
fn what_no_engine_writes_is_refused_and_named() {
    let (at, long) = (Zxid(1), [0; 17]);
    let mut unknown = long;
    unknown[16] = 3;
    for (record, named) in [
        (Record::Entry { at, bytes: &long[..16] }, "a slot"),
        (Record::Entry { at, bytes: &unknown }, "a slot"),
        (Record::Checkpoint { at, state: &long[..15] }, "where the log begins"),
        (Record::Text { name: ANNOUNCED, text: Some("no hexadecimals") }, "an announced state"),
    ] {
        let disk = with(&record);
        for _ in 0..2 {
            let refused = recover(&disk).err().expect(named).to_string();
            let expected = format!("{}: {named} cannot be read", dirs().logs().display());
            assert!(refused.starts_with(&expected), "{refused}");
        }
    }
    assert!(recover(&with(&Record::Entry { at, bytes: &long })).is_ok(), "an empty slot");
}
