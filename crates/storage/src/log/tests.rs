//! The log's bytes, its rules for reading, and what it does when the disk fails.

mod ahead;

use super::{Finding, LogOptions, LogReader, ReadOptions, Tail, TxnLog, last_logged, padded_size};
use super::{HEADER_SIZE, truncate_log};
use crate::simulated::{Operation, SimulatedDisk};
use crate::testing::{
    DIR, disk, hex, in_dir, log, options, payload, reader, write_one_by_one, zxids,
};
use crate::{Damage, Disk, Error};
use base::{Rng, Zxid};
use proptest::prelude::*;
use std::path::Path;
use wire::{Txn, TxnRecord};

const RECORD_SIZE: u64 = 12 + 32 + 6 + 4 + 50 + 4 + 1;

#[test]
fn the_bytes_are_the_reference_s() {
    let payload = hex("0000000000000000 00000000 00000000000000d5 000001a1f98b9617 00000014
         00000004 2f74746c 00000002 0000000d378bf03c");
    let disk = disk();
    let options = LogOptions { preallocation: 0, durable_mark: false, ..LogOptions::default() };
    let mut log = TxnLog::new(disk.clone(), DIR, options);
    log.append(Zxid(0xd5), &payload).unwrap();
    log.commit().unwrap();
    let mut expected = hex("5a4b4c47 00000002 0000000000000000 0000000085c80741 00000034");
    expected.extend_from_slice(&payload);
    expected.push(b'B');
    assert_eq!(disk.contents(&in_dir("log.d5")).unwrap(), expected);
}

#[test]
fn files_grow_as_the_reference_s_do() {
    const MIB64: u64 = 64 * 1024 * 1024;
    assert_eq!(padded_size(16, 16, MIB64), MIB64 + 16);
    assert_eq!(padded_size(MIB64 - 4096, MIB64 + 16, MIB64), MIB64 + 16);
    assert_eq!(padded_size(MIB64 - 4080, MIB64 + 16, MIB64), 2 * MIB64 + 16);
    assert_eq!(padded_size(3 * MIB64 + 5, MIB64 + 16, MIB64), 4 * MIB64);
    assert_eq!(padded_size(1_000_000, 16, 0), 16);

    let disk = disk();
    let mut log = TxnLog::new(disk.clone(), DIR, LogOptions::default());
    log.append(Zxid(1), &payload(1, 10)).unwrap();
    log.commit().unwrap();
    assert_eq!(disk.list(Path::new(DIR)).unwrap()[0].len, 67_108_880);
    assert_eq!(log.file_size(), 67_108_880);
}

#[test]
fn a_commit_inside_the_padding_is_one_write_and_one_sync() {
    let disk = disk();
    let mut log = log(&disk);
    log.append(Zxid(1), &payload(1, 10)).unwrap();
    log.commit().unwrap();
    let before = disk.counters();
    log.append(Zxid(2), &payload(2, 10)).unwrap();
    log.append(Zxid(3), &payload(3, 10)).unwrap();
    log.commit().unwrap();
    let after = disk.counters();
    assert_eq!(after.writes - before.writes, 1);
    assert_eq!(after.syncs - before.syncs, 1);
    assert_eq!((after.names, after.dir_syncs), (before.names, before.dir_syncs));
    assert_eq!(log.last_synced(), Some(Zxid(3)));
}

#[test]
fn a_log_may_move_to_a_thread_of_its_own() {
    fn check<T: Send>(_: T) {}
    check(log(&disk()));
}

#[test]
fn rolling_and_restarting_begin_new_files() {
    let disk = disk();
    let mut first = log(&disk);
    first.append(Zxid(1), &payload(1, 10)).unwrap();
    first.append(Zxid(2), &payload(2, 10)).unwrap();
    first.roll().unwrap();
    assert_eq!(first.last_synced(), Some(Zxid(2)));
    first.append(Zxid(3), &payload(3, 10)).unwrap();
    first.commit().unwrap();
    assert_eq!(first.total_size(), 2 * (8192 + 16));
    first.reset_total_size();
    assert_eq!(first.total_size(), 8192 + 16);
    write_one_by_one(&disk, 4..=5);
    // The same name again: the old file can hold nothing that counts.
    write_one_by_one(&disk, 4..=4);
    let names: Vec<String> =
        disk.list(Path::new(DIR)).unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["log.1", "log.3", "log.4"]);
    assert_eq!(zxids(&mut reader(&disk, 1)).unwrap(), [1, 2, 3, 4]);
    assert_eq!(zxids(&mut reader(&disk, 3)).unwrap(), [3, 4]);
    let options = ReadOptions::default();
    assert_eq!(last_logged(&disk, Path::new(DIR), options).unwrap(), Some(Zxid(4)));
}

#[test]
fn a_size_limit_rolls_after_a_sync() {
    let disk = disk();
    let options = LogOptions { preallocation: 0, size_limit: Some(300), ..options() };
    let mut log = TxnLog::new(disk.clone(), DIR, options);
    for zxid in 1..=7 {
        log.append(Zxid(zxid), &payload(zxid, 50)).unwrap();
        log.commit().unwrap();
    }
    let entries = disk.list(Path::new(DIR)).unwrap();
    let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["log.1", "log.4", "log.7"]);
    assert_eq!(zxids(&mut reader(&disk, 1)).unwrap(), [1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn a_batch_larger_than_the_padding_and_the_buffer_reads_back() {
    let disk = disk();
    let mut log = log(&disk);
    for zxid in 1..=9 {
        log.append(Zxid(zxid), &payload(zxid, 700_000)).unwrap();
    }
    assert!(log.buffered_bytes() < 5_000_000);
    log.commit().unwrap();
    assert!(disk.list(Path::new(DIR)).unwrap()[0].len > 9 * 700_000);
    let mut reader = reader(&disk, 1);
    for zxid in 1..=9 {
        let record = reader.next_record().unwrap().unwrap();
        assert_eq!(record.payload, payload(zxid, 700_000));
    }
    assert!(reader.next_record().unwrap().is_none());
}

#[test]
fn an_error_ends_the_log_for_ever() {
    for operation in [Operation::Write, Operation::Sync] {
        let disk = disk();
        let mut log = log(&disk);
        log.append(Zxid(1), &payload(1, 10)).unwrap();
        log.commit().unwrap();
        disk.fail_after(operation, 0);
        log.append(Zxid(2), &payload(2, 10)).unwrap();
        assert!(matches!(log.commit(), Err(Error::Io { .. })));
        assert!(log.has_failed());
        assert_eq!(log.last_synced(), Some(Zxid(1)));
        let counters = disk.counters();
        assert!(matches!(log.append(Zxid(3), &payload(3, 1)), Err(Error::Poisoned)));
        assert!(matches!(log.flush(), Err(Error::Poisoned)));
        assert!(matches!(log.sync(), Err(Error::Poisoned)));
        assert!(matches!(log.roll(), Err(Error::Poisoned)));
        assert_eq!(disk.counters(), counters);
    }
}

#[test]
fn a_full_disk_is_an_error_and_what_was_synced_stays() {
    let disk = disk();
    disk.set_capacity(Some(10_000));
    let mut log = log(&disk);
    let mut synced = Vec::new();
    for zxid in 1..200 {
        let appended = log.append(Zxid(zxid), &payload(zxid, 50));
        match appended.and_then(|()| log.commit()) {
            Ok(()) => synced.push(zxid),
            Err(Error::Io { source, .. }) => {
                assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(synced.len() > 30 && synced.len() < 199);
    assert_eq!(zxids(&mut reader(&disk, 1)).unwrap(), synced);
}

#[test]
fn damage_before_the_mark_is_refused_with_its_place() {
    let disk = disk();
    write_one_by_one(&disk, 1..=100);
    let path = in_dir("log.1");
    let offset = HEADER_SIZE + 3 * RECORD_SIZE;
    assert!(disk.flip_bit(&path, (offset + 40) * 8));
    match zxids(&mut reader(&disk, 1)) {
        Err(error @ Error::Corrupt { offset: at, damage: Damage::Checksum, after, .. }) => {
            assert_eq!((at, after), (offset, Zxid(3)));
            let text = error.to_string();
            assert!(
                text.contains("log.1: checksum mismatch at byte 343 (after zxid 0x3)"),
                "{text}"
            );
        }
        other => panic!("{other:?}"),
    }
}

/// The reference's files have no mark: then whole records behind the damage tell.
#[test]
fn without_a_mark_records_behind_the_damage_make_it_corruption() {
    let image = |zero_from: u64, zero_to: u64| {
        let disk = disk();
        let options = LogOptions { durable_mark: false, ..options() };
        let mut log = TxnLog::new(disk.clone(), DIR, options);
        for zxid in 1..=5 {
            log.append(Zxid(zxid), &payload(zxid, 50)).unwrap();
        }
        log.commit().unwrap();
        let mut bytes = disk.contents(&in_dir("log.1")).unwrap();
        bytes[zero_from as usize..zero_to as usize].fill(0);
        disk.install(&in_dir("log.1"), &bytes);
        disk
    };
    let third = HEADER_SIZE + 2 * RECORD_SIZE;
    let fifth = HEADER_SIZE + 4 * RECORD_SIZE;
    // A hole of zeros looks like padding; two records follow it.
    let disk = image(third, third + RECORD_SIZE);
    assert!(
        matches!(zxids(&mut reader(&disk, 1)), Err(Error::Corrupt { offset, .. }) if offset == third)
    );
    // In the last record it is a torn write: nothing follows.
    for (from, to) in [(0, 12), (0, 20), (5, 30), (30, 109), (108, 109), (8, 12)] {
        let disk = image(fifth + from, fifth + to);
        let mut reader = reader(&disk, 1);
        assert_eq!(zxids(&mut reader).unwrap(), [1, 2, 3, 4]);
        assert!(matches!(
            reader.findings(),
            [Finding::TornTail { offset, after: Zxid(4), .. }] if *offset == fifth
        ));
        let live = ReadOptions { tail: Tail::Live, ..ReadOptions::default() };
        let mut reader = LogReader::open(disk.clone(), Path::new(DIR), Zxid(2), live).unwrap();
        assert_eq!(zxids(&mut reader).unwrap(), [2, 3, 4]);
        assert!(reader.findings().is_empty());
    }
}

#[test]
fn a_torn_middle_file_is_fine_only_if_the_next_continues_it() {
    let disk = disk();
    write_one_by_one(&disk, 1..=3);
    let mut bytes = disk.contents(&in_dir("log.1")).unwrap();
    bytes[(HEADER_SIZE + 2 * RECORD_SIZE) as usize + 30] ^= 1;
    disk.install(&in_dir("log.1"), &bytes);
    let gap = disk.fork();
    write_one_by_one(&disk, 3..=4);
    let mut continued = reader(&disk, 1);
    assert_eq!(zxids(&mut continued).unwrap(), [1, 2, 3, 4]);
    assert!(matches!(continued.findings(), [Finding::TornMiddle { .. }]));
    write_one_by_one(&gap, 4..=5);
    assert!(matches!(zxids(&mut reader(&gap, 1)), Err(Error::Corrupt { after: Zxid(2), .. })));
    // A snapshot covers the gap.
    assert_eq!(zxids(&mut reader(&gap, 4)).unwrap(), [4, 5]);
}

#[test]
fn gaps_within_an_epoch_are_refused_and_other_oddities_reported() {
    let disk = disk();
    write_one_by_one(&disk, [1, 2, 4].into_iter());
    assert!(matches!(
        zxids(&mut reader(&disk, 1)),
        Err(Error::Gap { after: Zxid(2), next: Zxid(4), .. })
    ));
    assert!(matches!(zxids(&mut reader(&disk, 0)), Err(Error::Gap { .. })));
    let lenient = ReadOptions { refuse_gaps: false, ..ReadOptions::default() };
    let mut reader_of_gap = LogReader::open(disk, Path::new(DIR), Zxid(1), lenient).unwrap();
    assert_eq!(zxids(&mut reader_of_gap).unwrap(), [1, 2, 4]);
    assert_eq!(reader_of_gap.findings(), [Finding::Gap { after: Zxid(2), next: Zxid(4) }]);

    let disk = crate::testing::disk();
    write_one_by_one(&disk, [1, 2, 2, 1, 3, 0x1_0000_0001].into_iter());
    let mut reader = reader(&disk, 1);
    assert_eq!(zxids(&mut reader).unwrap(), [1, 2, 2, 1, 3, 0x1_0000_0001]);
    let odd = |zxid| Finding::OutOfOrder { after: Zxid(2), zxid: Zxid(zxid) };
    assert_eq!(reader.findings(), [odd(2), odd(1)]);
}

#[test]
fn bad_beginnings_of_files() {
    let check = |name: &str, bytes: &[u8]| {
        let disk = disk();
        write_one_by_one(&disk, 5..=6);
        disk.install(&in_dir(name), bytes);
        let mut reader = reader(&disk, 5);
        zxids(&mut reader).map(|zxids| (zxids, reader.findings().to_vec()))
    };
    for bytes in [&b""[..], b"ZKLG", &[0; 600]] {
        // Begun last: nothing was in it. Begun before others: something is lost.
        let (read, findings) = check("log.7", bytes).unwrap();
        assert_eq!((read, findings), (vec![5, 6], vec![Finding::Unbegun(in_dir("log.7"))]));
        assert!(matches!(check("log.4", bytes), Err(Error::Corrupt { offset: 0, .. })));
    }
    let bad_magic = check("log.7", b"ZKSN\0\0\0\x02\0\0\0\0\0\0\0\0");
    assert!(matches!(bad_magic, Err(Error::Corrupt { damage: Damage::Magic, .. })));
    let header_only = check("log.7", b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0");
    assert_eq!(header_only.unwrap(), (vec![5, 6], vec![]));
}

#[test]
fn a_record_above_the_limit_is_not_damage() {
    let disk = disk();
    let mut log = log(&disk);
    log.append(Zxid(1), &payload(1, 5000)).unwrap();
    log.append(Zxid(2), &payload(2, 50)).unwrap();
    log.commit().unwrap();
    let options = ReadOptions { record_size_max: 4096, ..ReadOptions::default() };
    let mut reader = LogReader::open(disk, Path::new(DIR), Zxid(1), options).unwrap();
    let error = zxids(&mut reader).unwrap_err();
    assert!(matches!(error, Error::RecordTooLong { offset: 16, limit: 4096, .. }));
    assert!(error.to_string().contains("raise jute.maxbuffer"));
}

#[test]
fn truncation_keeps_the_record_and_drops_what_follows() {
    let disk = disk();
    let options = ReadOptions::default();
    write_one_by_one(&disk, 1..=30);
    write_one_by_one(&disk, 31..=33);
    write_one_by_one(&disk, 34..=34);
    let missing = truncate_log(&disk, Path::new(DIR), Zxid(99), options);
    assert!(matches!(missing, Err(Error::NotInLog { zxid: Zxid(99), .. })));
    assert_eq!(zxids(&mut reader(&disk, 1)).unwrap().len(), 34);
    truncate_log(&disk, Path::new(DIR), Zxid(32), options).unwrap();
    assert_eq!(disk.list(Path::new(DIR)).unwrap().len(), 2);
    assert_eq!(zxids(&mut reader(&disk, 31)).unwrap(), [31, 32]);
    truncate_log(&disk, Path::new(DIR), Zxid(5), options).unwrap();
    write_one_by_one(&disk, 6..=7);
    let mut reader = reader(&disk, 1);
    assert_eq!(zxids(&mut reader).unwrap(), [1, 2, 3, 4, 5, 6, 7]);
    assert!(reader.findings().is_empty());
}

#[test]
fn a_truncation_is_durable() {
    for seed in 0..50 {
        let disk = disk();
        write_one_by_one(&disk, 1..=5);
        write_one_by_one(&disk, 6..=7);
        truncate_log(&disk, Path::new(DIR), Zxid(3), ReadOptions::default()).unwrap();
        disk.crash(&mut Rng::new(seed));
        assert_eq!(zxids(&mut reader(&disk, 1)).unwrap(), [1, 2, 3]);
    }
}

fn fixture(name: &str, bytes: &[u8]) -> SimulatedDisk {
    let disk = SimulatedDisk::default();
    disk.install(&in_dir(name), bytes);
    disk
}

#[test]
fn the_reference_s_logs_are_read_and_written_alike() {
    let ops = [-10, 1, 1, 1, 1, 1, 1, 19, 21, 1, 7, 5, -1, -1, -1, 14, 14, -10, 1, 1, -11, 1, 1, 2];
    let files = [
        (&include_bytes!("../../testdata/digest.log.1")[..], true),
        (include_bytes!("../../testdata/plain.log.1"), false),
    ];
    for (bytes, has_digest) in files {
        let theirs = fixture("log.1", bytes);
        let mut reader = reader(&theirs, 1);
        let ours = disk();
        let options = LogOptions { preallocation: 0, durable_mark: false, ..options() };
        let mut log = TxnLog::new(ours.clone(), DIR, options);
        let mut found = Vec::new();
        while let Some(record) = reader.next_record().unwrap() {
            let txn = TxnRecord::decode(record.payload).unwrap();
            found.push(txn.header.op);
            let may_have = has_digest && !matches!(txn.txn, Txn::Error(_));
            assert_eq!(txn.digest.is_some(), may_have);
            log.append(record.zxid(), record.payload).unwrap();
        }
        assert_eq!(found, ops);
        assert!(reader.findings().is_empty());
        log.commit().unwrap();
        let written = ours.contents(&in_dir("log.1")).unwrap();
        assert_eq!(written, bytes[..bytes.len() - 128]);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let with_header = [b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0", &bytes[..]].concat();
        for bytes in [&bytes, &with_header] {
            let _ = zxids(&mut reader(&fixture("log.1", bytes), 0));
        }
    }

    #[test]
    fn a_damaged_log_never_yields_what_was_not_written(
        at in 0_usize..6000, with in prop::collection::vec(any::<u8>(), 1..40), mark in any::<bool>(),
    ) {
        let disk = disk();
        let mut log = TxnLog::new(disk.clone(), DIR, LogOptions { durable_mark: mark, ..options() });
        for zxid in 1..=20 {
            log.append(Zxid(zxid), &payload(zxid, 50)).unwrap();
            if zxid % 3 == 0 {
                log.commit().unwrap();
            }
        }
        log.commit().unwrap();
        let mut bytes = disk.contents(&in_dir("log.1")).unwrap();
        bytes[at..at + with.len()].copy_from_slice(&with);
        let damaged = fixture("log.1", &bytes);
        let mut reader = reader(&damaged, 1);
        let mut next = 1;
        while let Ok(Some(record)) = reader.next_record() {
            prop_assert_eq!(record.payload, &payload(next, 50)[..]);
            next += 1;
        }
    }
}
