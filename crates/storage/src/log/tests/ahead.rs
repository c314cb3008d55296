//! How files begin: with space that was found ahead, without, and when the disk fails meanwhile.

use super::*;

/// Does what the log wants ahead; says whether it wanted anything.
fn work_ahead(log: &mut TxnLog<SimulatedDisk>, disk: &SimulatedDisk) -> bool {
    let Some(plan) = log.plan_ahead() else { return false };
    assert_eq!(log.plan_ahead(), None, "one plan at a time");
    log.done_ahead(plan.perform(disk));
    true
}

#[test]
fn with_a_spare_a_roll_allocates_and_syncs_nothing_but_the_name() {
    let disk = disk();
    let mut log = log(&disk);
    assert!(work_ahead(&mut log, &disk));
    let before = disk.counters();
    log.append(Zxid(1), &payload(1, 10)).unwrap();
    let after = disk.counters();
    assert_eq!((after.writes, after.syncs), (before.writes, before.syncs));
    assert_eq!((after.names - before.names, after.dir_syncs - before.dir_syncs), (1, 1));
    log.roll().unwrap();
    assert!(work_ahead(&mut log, &disk));
    assert!(!work_ahead(&mut log, &disk));
    log.append(Zxid(2), &payload(2, 10)).unwrap();
    log.commit().unwrap();
    assert!(work_ahead(&mut log, &disk));
    log.discard_spare().unwrap();
    let entries = disk.list(Path::new(DIR)).unwrap();
    let files: Vec<_> = entries.iter().map(|entry| (&*entry.name, entry.len)).collect();
    assert_eq!(files, [("log.1", 8192 + 16), ("log.2", 8192 + 16)]);
    assert_eq!(zxids(&mut reader(&disk, 1)).unwrap(), [1, 2]);
}

#[test]
fn the_bytes_of_a_spare_are_those_of_any_other_file() {
    let (with, without) = (disk(), disk());
    let (mut spared, mut plain) = (log(&with), log(&without));
    assert!(work_ahead(&mut spared, &with));
    for (log, disk) in [(&mut spared, &with), (&mut plain, &without)] {
        for zxid in 1..=120 {
            log.append(Zxid(zxid), &payload(zxid, 50)).unwrap();
            log.commit().unwrap();
            assert!(disk.contents(&in_dir("log.1")).is_some());
        }
    }
    assert_eq!(with.contents(&in_dir("log.1")), without.contents(&in_dir("log.1")));
}

#[test]
fn a_file_that_is_three_quarters_full_grows_ahead_and_rolls_no_earlier() {
    let disk = disk();
    let options = LogOptions { size_limit: Some(100_000), preallocation: 65_536, ..options() };
    let mut log = TxnLog::new(disk.clone(), DIR, options);
    log.append(Zxid(1), &payload(1, 40_000)).unwrap();
    log.commit().unwrap();
    assert!(work_ahead(&mut log, &disk), "a spare");
    assert!(!work_ahead(&mut log, &disk), "there is room");
    log.append(Zxid(2), &payload(2, 10_000)).unwrap();
    log.commit().unwrap();
    assert!(work_ahead(&mut log, &disk), "growth");
    assert!(!work_ahead(&mut log, &disk), "it has grown");
    assert_eq!(disk.contents(&in_dir("log.1")).unwrap().len(), 2 * 65_536 + 16);
    // A server that does nothing ahead would not have padded it yet, and so not rolled.
    assert_eq!(log.file_size(), 65_536 + 16);
    let before = disk.counters();
    log.append(Zxid(3), &payload(3, 12_000)).unwrap();
    log.flush().unwrap();
    assert_eq!(disk.counters().writes - before.writes, 1, "no allocation");
    assert_eq!(log.file_size(), 2 * 65_536 + 16);
    log.sync().unwrap();
    assert_eq!(log.file_size(), 0, "over the limit");
    assert_eq!(zxids(&mut reader(&disk, 1)).unwrap(), [1, 2, 3]);
}

#[test]
fn what_cannot_be_done_ahead_is_done_in_time() {
    for operation in [Operation::Name, Operation::Write, Operation::Sync] {
        let disk = disk();
        let mut log = log(&disk);
        log.append(Zxid(1), &payload(1, 10)).unwrap();
        log.commit().unwrap();
        disk.fail_after(operation, 0);
        assert!(work_ahead(&mut log, &disk));
        assert!(disk.contents(&in_dir("new-log.tmp")).is_none());
        assert!(!work_ahead(&mut log, &disk), "not again for this file");
        log.roll().unwrap();
        log.append(Zxid(2), &payload(2, 10)).unwrap();
        log.commit().unwrap();
        assert!(work_ahead(&mut log, &disk));
        assert_eq!(zxids(&mut reader(&disk, 1)).unwrap(), [1, 2]);
    }
}

/// The reference refuses to start on a log without a header, for ever.
#[test]
fn no_log_is_without_its_header_whatever_fails_as_it_begins() {
    let mut failures = 0;
    for operation in [Operation::Name, Operation::Write, Operation::Sync] {
        for skipped in 0..3 {
            let disk = disk();
            let mut log = log(&disk);
            disk.fail_after(operation, skipped);
            let appended = log.append(Zxid(1), &payload(1, 10));
            failures += u32::from(appended.and_then(|()| log.commit()).is_err());
            let path = in_dir("log.1");
            let begun = disk.contents(&path).is_none_or(|bytes| bytes.starts_with(b"ZKLG"));
            assert!(begun, "{operation:?} {skipped}");
        }
    }
    assert!(failures > 3, "{failures}");
}
