//! A fixed life of a journal with every single operation of the disk failing, the disk full at
//! every length, and every byte flipped.

use super::super::{Journal, Record, Refusal, read_journal};
use super::model::Model;
use super::script::{KINDS, Run, Step};
use super::{
    DIR, IDENTITY, OPTIONS, disk, disk_of, entry, opened, recover, segment, write_entries,
};
use crate::simulated::{MetadataMode, Operation, SimulatedDisk};
use crate::{Disk, DiskFile, Error};
use base::{Lsn, Rng, Zxid};
use std::path::Path;

/// Appends, rolls, truncations, compactions, syncs of both kinds and segments made ahead.
fn life() -> Vec<Step> {
    let mut rng = Rng::new(20);
    let step = |_| (rng.below(u64::from(KINDS)) as u8, rng.below(1 << 16) as u16);
    (0..160).map(step).collect()
}

/// Lives until something fails; whether something did.
fn live(run: &mut Run) -> bool {
    for step in life() {
        if let Err(error) = run.step(step) {
            assert!(matches!(error, Error::Io { .. }), "{error}");
            assert!(run.journal.has_failed());
            return true;
        }
    }
    false
}

#[test]
fn every_operation_may_fail_and_every_step_crash() {
    let mut failures = 0;
    for mode in [MetadataMode::Ordered, MetadataMode::Strict] {
        for operation in [Operation::Write, Operation::Sync, Operation::Name, Operation::SyncDir] {
            for skipped in 0..count_of(operation) {
                let disk = disk_of(mode);
                disk.fail_after(operation, skipped);
                let Ok(mut run) = Run::new(disk.clone()) else { continue };
                let has_failed = live(&mut run);
                disk.clear_faults();
                if skipped % 2 == 0 {
                    // Only the process ends; what the disk never got can still be read.
                    run.restart();
                }
                run.crash(&mut Rng::new(skipped));
                run.step((0, 10)).unwrap();
                run.crash(&mut Rng::new(skipped + 1));
                failures += u64::from(has_failed);
            }
        }
    }
    assert!(failures > 200, "{failures} failures are too few to prove anything");
}

/// How many operations of that kind the life takes.
fn count_of(operation: Operation) -> u64 {
    let mut run = Run::new(disk()).unwrap_or_else(|error| panic!("{error}"));
    assert!(!live(&mut run));
    let counters = run.disk.counters();
    match operation {
        Operation::Read => counters.reads,
        Operation::Write => counters.writes,
        Operation::Sync => counters.syncs,
        Operation::Name => counters.names,
        Operation::SyncDir => counters.dir_syncs,
    }
}

#[test]
fn recovery_may_fail_anywhere_and_is_tried_again() {
    let torn = torn_disk(6);
    let expected = kept(&torn.fork());
    for operation in [Operation::Read, Operation::Write, Operation::Sync, Operation::SyncDir] {
        let mut failures = 0;
        for skipped in 0..60 {
            let disk = torn.fork();
            disk.fail_after(operation, skipped);
            let Err(error) = recover(&disk) else { break };
            assert!(matches!(error, Error::Io { .. }), "{error}");
            disk.crash(&mut Rng::new(skipped));
            assert_eq!(kept(&disk), expected, "{operation:?} {skipped}");
            failures += 1;
        }
        assert!(failures > 0, "{operation:?}");
    }
}

#[test]
fn a_full_disk_ends_the_journal_and_loses_nothing() {
    let mut failures = 0;
    for capacity in (8192..80_000).step_by(700) {
        let disk = disk();
        disk.set_capacity(Some(capacity));
        let Ok(mut run) = Run::new(disk) else { continue };
        failures += u64::from(live(&mut run));
        run.crash(&mut Rng::new(capacity));
    }
    assert!(failures > 5, "{failures}");
}

#[test]
fn a_torn_batch_is_cut_and_reported_once() {
    let mut cuts = 0;
    for seed in 0..200 {
        let disk = torn_disk(seed);
        let recovered = recover(&disk).unwrap_or_else(|error| panic!("{seed}: {error}"));
        if let Some(torn) = &recovered.torn {
            assert_eq!(torn.path, segment(1));
            assert!(torn.bytes > 0 && torn.offset >= 1360);
            cuts += 1;
        }
        assert!(recovered.journal.next() >= Zxid(11), "ten were durable");
        assert!(recover(&disk).ok().unwrap().torn.is_none(), "the cut is there to stay");
    }
    assert!((50..200).contains(&cuts), "{cuts}");
}

#[test]
fn a_mark_does_not_speak_for_what_was_written_during_the_sync() {
    for seed in 0..100 {
        let disk = disk();
        let mut journal = opened(&disk);
        entry(&mut journal, 1, &[1; 100]);
        let done = journal.begin_sync().unwrap().expect("something to sync").perform();
        entry(&mut journal, 2, &[2; 1500]);
        journal.entries(Zxid(1)).unwrap();
        journal.end_sync(done).unwrap();
        entry(&mut journal, 3, &[3; 700]);
        journal.entries(Zxid(1)).unwrap();
        disk.crash(&mut Rng::new(seed));
        let recovered = recover(&disk).unwrap_or_else(|error| panic!("{seed}: {error}"));
        assert!(recovered.journal.next() >= Zxid(2));
    }
}

#[test]
fn a_flip_is_refused_or_changes_nothing() {
    let disk = disk();
    let mut run = Run::new(disk.clone()).unwrap_or_else(|error| panic!("{error}"));
    assert!(!live(&mut run));
    run.restart();
    run.step((8, 0)).unwrap();
    let expected = kept(&disk);
    let (mut refused, mut harmless) = (0, 0);
    for file in disk.list(Path::new(DIR)).unwrap() {
        let path = Path::new(DIR).join(&file.name);
        for byte in 0..file.len {
            let flipped = disk.fork();
            assert!(flipped.flip_bit(&path, byte * 8 + byte % 8));
            let writes = flipped.counters().writes;
            match recover(&flipped) {
                Ok(_) => harmless += 1,
                Err(Error::Journal(refusal)) => {
                    let text = refusal.to_string();
                    assert!(text.contains(&file.name), "{text}");
                    assert_eq!(flipped.counters().writes, writes, "a refusal changes nothing");
                    refused += 1;
                    continue;
                }
                Err(error) => panic!("{error}"),
            }
            assert_eq!(kept(&flipped), expected, "{} byte {byte}", file.name);
        }
    }
    assert!(refused > 1000 && harmless > 0, "{refused} {harmless}");
}

#[test]
fn damage_to_the_last_batch_reads_as_a_torn_tail_unless_the_journal_was_closed() {
    for is_closed in [false, true] {
        let disk = disk();
        let mut journal = opened(&disk);
        for lsn in 1..=3 {
            entry(&mut journal, lsn, &[lsn as u8; 100]);
            journal.commit().unwrap();
        }
        let last = {
            let mut offsets = Vec::new();
            read_journal(&disk, Path::new(DIR), None, |item| {
                if matches!(item.record, Record::Entry { .. }) {
                    offsets.push(item.offset);
                }
            })
            .unwrap();
            offsets
        };
        if is_closed {
            journal.close().unwrap();
        }
        disk.flip_bit(&segment(1), (last[2] + 40) * 8);
        match (is_closed, recover(&disk)) {
            (false, Ok(recovered)) => {
                let torn = recovered.torn.expect("it is told");
                assert_eq!((torn.offset, recovered.journal.next()), (last[2], Zxid(3)));
            }
            (true, Err(Error::Journal(Refusal::Corrupt { offset, .. }))) => {
                assert_eq!(offset, last[2]);
            }
            (_, other) => panic!("{:?}", other.err().map(|error| error.to_string())),
        }
    }
}

#[test]
fn a_lost_or_stray_write_before_the_mark_is_refused() {
    let disk = disk();
    write_entries(&disk, 20);
    let zeroed = disk.fork();
    let mut file = zeroed.open_rw(&segment(1)).unwrap();
    file.write_at(512, &[0; 512]).unwrap();
    assert!(recover(&zeroed).is_err(), "a sector that never came");
    // A record of the same length, good by itself, from elsewhere in the same segment.
    let mut places = Vec::new();
    read_journal(&disk, Path::new(DIR), None, |item| {
        if matches!(item.record, Record::Entry { .. }) {
            places.push((item.offset, item.size));
        }
    })
    .unwrap();
    let (from, size) = places[3];
    let mut bytes = vec![0; size as usize];
    let mut file = disk.open_rw(&segment(1)).unwrap();
    file.read_at(from, &mut bytes).unwrap();
    file.write_at(places[7].0, &bytes).unwrap();
    let error = recover(&disk).err().unwrap().to_string();
    assert!(error.contains("belongs elsewhere"), "{error}");
}

/// Ten entries that are durable, and a batch over many sectors that a crash met.
fn torn_disk(seed: u64) -> SimulatedDisk {
    let disk = disk();
    let mut journal = opened(&disk);
    for lsn in 1..=10 {
        entry(&mut journal, lsn, &[lsn as u8; 100]);
    }
    journal.commit().unwrap();
    for lsn in 11..=20 {
        entry(&mut journal, lsn, &[lsn as u8; 100]);
    }
    drop(journal.begin_sync().unwrap());
    disk.crash(&mut Rng::new(seed));
    disk
}

/// All that a journal holds.
fn kept(disk: &SimulatedDisk) -> Model {
    let recovered = Journal::recover(disk.clone(), DIR, IDENTITY, OPTIONS);
    let mut journal = recovered.unwrap_or_else(|error| panic!("{error}")).journal;
    let first = journal.first();
    let (kept, last) = (journal.kept().clone(), journal.next().0 - 1);
    let mut model = Model { kept, last, ..Model::default() };
    let mut entries = journal.entries(first).unwrap().unwrap();
    while let Some((at, bytes)) = entries.next_entry().unwrap() {
        model.entries.insert(at.0, bytes.to_vec());
    }
    assert_eq!(journal.durable(), Lsn::ZERO);
    model
}
