//! Truncations and installs that a crash may end anywhere, and what a start makes of the rest.

use super::{Nobody, Truncated};
use crate::simulated::{MetadataMode, Operation, SimulatedDisk};
use crate::testing::{DIR, in_dir, options, payload};
use crate::{
    Begin, Compression, Dirs, Disk, Error, LogOptions, ReadOptions, Recovery, RecoveryOptions,
    Restore, RestoreError, SnapshotTrailer, SnapshotWriter, TxnLog,
};
use base::{Rng, SessionId, Zxid};
use std::path::Path;
use wire::{Acls, NodeRecord, StatPersisted, TxnRecord};

/// Two histories: a record and a snapshot say by a size and a path whose they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum History {
    Old = 50,
    New = 60,
}
use History::{New, Old};

fn dirs() -> Dirs {
    Dirs::single("/data")
}

fn read() -> ReadOptions {
    ReadOptions::default()
}

fn log(disk: &SimulatedDisk) -> TxnLog<SimulatedDisk> {
    TxnLog::new(disk.clone(), DIR, LogOptions { preallocation: 4096, ..options() })
}

fn append(log: &mut TxnLog<SimulatedDisk>, history: History, zxid: i64) -> Result<(), Error> {
    log.append(Zxid(zxid), &payload(zxid, history as usize))?;
    log.commit()
}

/// A snapshot whose walk ended when `end` was applied.
fn snapshot(
    disk: &SimulatedDisk,
    history: History,
    zxid: i64,
    end: Option<i64>,
) -> Result<(), Error> {
    let dir = Path::new(DIR);
    let mut writer = SnapshotWriter::create(disk.clone(), dir, Zxid(zxid), Compression::None)?;
    writer.sessions([].into_iter())?;
    writer.acls([].into_iter())?;
    for path in ["", if history == Old { "/old" } else { "/new" }] {
        let (path, stat) = (path.into(), StatPersisted::default());
        writer.node(&NodeRecord { path, data: None, acl_id: -1, stat })?;
    }
    writer.finish(None, end.map(Zxid)).map(|_| ())
}

/// What a start finds.
#[derive(Debug, Default, PartialEq, Eq)]
struct State {
    snapshot: Option<i64>,
    path: String,
    /// Zxids and sizes of the records behind it.
    txns: Vec<(i64, usize)>,
}

impl State {
    fn last(&self) -> i64 {
        self.txns.last().map(|(zxid, _)| *zxid).or(self.snapshot).unwrap()
    }

    /// Whether it is a beginning of that history.
    fn is_of(&self, history: History) -> bool {
        self.path == if history == Old { "/old" } else { "/new" }
            && self.txns.iter().all(|(_, size)| *size == history as usize)
    }
}

impl Restore for State {
    type Error = String;

    fn begin(&mut self, begin: Begin) -> Result<(), String> {
        let Begin::Snapshot(zxid) = begin else { return Err("no snapshot".into()) };
        *self = State { snapshot: Some(zxid.0), ..State::default() };
        Ok(())
    }

    fn session(&mut self, _: SessionId, _: i32) -> Result<(), String> {
        Ok(())
    }

    fn acl(&mut self, _: i64, _: &Acls<'_>) -> Result<(), String> {
        Ok(())
    }

    fn node(&mut self, node: &NodeRecord<'_>) -> Result<(), String> {
        self.path = node.path.clone().into_owned();
        Ok(())
    }

    fn snapshot_done(&mut self, _: Zxid, _: &SnapshotTrailer) -> Result<(), String> {
        Ok(())
    }

    fn txn(&mut self, txn: &TxnRecord<'_>, payload: &[u8]) -> Result<(), String> {
        let overhead = crate::testing::payload(0, 0).len();
        self.txns.push((txn.header.zxid, payload.len() - overhead));
        Ok(())
    }
}

fn recover(disk: &SimulatedDisk) -> Result<State, RestoreError<String>> {
    let mut state = State::default();
    Recovery::open(disk.clone(), dirs(), RecoveryOptions::default())?.restore(&mut state)?;
    Ok(state)
}

fn reach(disk: &SimulatedDisk, at: i64) -> Result<State, RestoreError<String>> {
    let mut state = State::default();
    let recovery = Recovery::open(disk.clone(), dirs(), RecoveryOptions::default())?;
    recovery.restore_to(&mut state, Zxid(at))?;
    Ok(state)
}

fn names(disk: &SimulatedDisk) -> String {
    let names: Vec<String> =
        disk.list(Path::new(DIR)).unwrap().into_iter().map(|entry| entry.name).collect();
    names.join(" ")
}

/// Snapshots 0, 4 and 7, and records 1 to 9 in files that begin with 1, 3 and 8.
fn disk(mode: MetadataMode) -> SimulatedDisk {
    let disk = SimulatedDisk::new(mode);
    disk.create_dir_all(Path::new(DIR)).unwrap();
    snapshot(&disk, Old, 0, Some(0)).unwrap();
    let mut log = log(&disk);
    for zxid in 1..=9 {
        append(&mut log, Old, zxid).unwrap();
        if zxid == 2 || zxid == 7 {
            log.roll().unwrap();
        }
        if zxid == 4 || zxid == 7 {
            snapshot(&disk, Old, zxid, Some(zxid)).unwrap();
        }
    }
    disk.sync_dir(Path::new("/")).unwrap();
    disk
}

/// Runs `step` on copies of the disk, each time with another operation that fails, until none
/// does. After each the power fails, and `check` sees what is left.
fn fail_everywhere(
    step: impl Fn(&SimulatedDisk) -> Result<(), Error>,
    mut check: impl FnMut(&SimulatedDisk, bool),
) -> u32 {
    let mut crashes = 0;
    for mode in [MetadataMode::Ordered, MetadataMode::Strict] {
        let disk = disk(mode);
        for operation in [Operation::Write, Operation::Sync, Operation::Name, Operation::SyncDir] {
            for skipped in 0.. {
                let mut has_failed = false;
                for seed in 0..4 {
                    let disk = disk.fork();
                    disk.fail_after(operation, skipped);
                    has_failed = step(&disk).is_err();
                    disk.clear_faults();
                    // A failed operation may have left things as a process that dies would.
                    if seed > 0 {
                        disk.crash(&mut Rng::new(seed * 1000 + skipped));
                    }
                    check(&disk, has_failed);
                    crashes += u32::from(has_failed);
                }
                if !has_failed {
                    break;
                }
            }
        }
    }
    crashes
}

#[test]
fn section_8_a_truncation_ends_everything_that_leads_further() {
    let cases = [
        (9, "log.1 log.3 log.8 snapshot.0 snapshot.4 snapshot.7"),
        (8, "log.1 log.3 log.8 snapshot.0 snapshot.4 snapshot.7"),
        (7, "log.1 log.3 snapshot.0 snapshot.4 snapshot.7"),
        (6, "log.1 log.3 snapshot.0 snapshot.4"),
        (4, "log.1 log.3 snapshot.0 snapshot.4"),
        (2, "log.1 snapshot.0"),
        (1, "log.1 snapshot.0"),
        (0, "snapshot.0"),
    ];
    for (to, left) in cases {
        let disk = disk(MetadataMode::Strict);
        let mut log = log(&disk);
        let reached = reach(&disk, to).unwrap();
        assert_eq!(log.truncate(&dirs(), Zxid(to), read()).unwrap(), Truncated::Done);
        disk.crash(&mut Rng::new(to as u64));
        assert_eq!(names(&disk), left, "{to}");
        assert_eq!(reach(&disk, to).unwrap(), reached);
        assert_eq!(recover(&disk).unwrap().last(), to);
        // Again, and on.
        let mut log = self::log(&disk);
        assert_eq!(log.truncate(&dirs(), Zxid(to), read()).unwrap(), Truncated::Done);
        append(&mut log, New, to + 1).unwrap();
        assert_eq!(log.last_synced(), Some(Zxid(to + 1)));
        let state = recover(&disk).unwrap();
        assert_eq!(state.txns.last(), Some(&(to + 1, New as usize)));
        assert_eq!(state.last(), to + 1);
    }
}

#[test]
fn section_8_what_is_not_there_is_not_truncated_to() {
    let disk = disk(MetadataMode::Ordered);
    let before = (names(&disk), recover(&disk).unwrap());
    let truncate = |disk: &SimulatedDisk, to| log(disk).truncate(&dirs(), Zxid(to), read());
    for to in [10, 0x1_0000_0000, -1] {
        assert_eq!(truncate(&disk, to).unwrap(), Truncated::NotThere);
        assert!(reach(&disk, to).is_err());
    }
    assert_eq!((names(&disk), recover(&disk).unwrap()), before);
    // The snapshots that are left begin after it.
    for name in ["snapshot.0", "snapshot.4", "log.1"] {
        disk.remove(&in_dir(name)).unwrap();
    }
    assert_eq!(truncate(&disk, 6).unwrap(), Truncated::NotThere);
    assert_eq!(truncate(&disk, 8).unwrap(), Truncated::Done);
    assert_eq!(recover(&disk).unwrap().last(), 8);
    // Damage on the way there.
    let disk = self::disk(MetadataMode::Ordered);
    assert!(disk.flip_bit(&in_dir("log.3"), 8 * 250));
    assert!(disk.flip_bit(&in_dir("snapshot.4"), 8 * 40));
    let before = names(&disk);
    assert_eq!(truncate(&disk, 6).unwrap(), Truncated::NotThere);
    assert_eq!(names(&disk), before);
}

#[test]
fn a_snapshot_whose_walk_saw_later_transactions_goes_as_well() {
    let disk = disk(MetadataMode::Ordered);
    snapshot(&disk, Old, 5, Some(7)).unwrap();
    assert_eq!(reach(&disk, 7).unwrap().snapshot, Some(7));
    assert_eq!(reach(&disk, 6).unwrap().snapshot, Some(4));
    assert_eq!(log(&disk).truncate(&dirs(), Zxid(6), read()).unwrap(), Truncated::Done);
    assert_eq!(names(&disk), "log.1 log.3 snapshot.0 snapshot.4");
}

#[test]
fn a_snapshot_that_is_being_written_does_not_appear_after_a_truncation() {
    let disk = disk(MetadataMode::Ordered);
    let dir = Path::new(DIR);
    let mut late = SnapshotWriter::create(disk.clone(), dir, Zxid(9), Compression::None).unwrap();
    late.sessions([].into_iter()).unwrap();
    late.acls([].into_iter()).unwrap();
    log(&disk).truncate(&dirs(), Zxid(8), read()).unwrap();
    assert!(matches!(late.finish(None, None), Err(Error::Io { .. })));
    assert_eq!(recover(&disk).unwrap().last(), 8);
}

#[test]
fn a_sync_that_was_under_way_says_nothing_of_a_file_of_the_same_name() {
    let disk = disk(MetadataMode::Ordered);
    let mut log = log(&disk);
    append(&mut log, Old, 10).unwrap();
    log.append(Zxid(11), &payload(11, 50)).unwrap();
    let job = log.begin_sync().unwrap().expect("a record to sync");
    log.truncate(&dirs(), Zxid(9), read()).unwrap();
    log.append(Zxid(10), &payload(10, 60)).unwrap();
    log.flush().unwrap();
    log.end_sync(job.perform()).unwrap();
    assert_eq!(log.last_synced(), Some(Zxid(9)));
    let job = log.begin_sync().unwrap().expect("the new file is not synced");
    log.end_sync(job.perform()).unwrap();
    disk.crash(&mut Rng::new(3));
    assert_eq!(recover(&disk).unwrap().txns.last(), Some(&(10, New as usize)));
}

#[test]
fn a_crash_within_a_truncation_leaves_a_beginning_from_which_it_can_be_asked_again() {
    for to in [2, 4, 5, 8] {
        let truncate = |disk: &SimulatedDisk| {
            log(disk).truncate(&dirs(), Zxid(to), read()).map(|done| {
                assert_eq!(done, Truncated::Done);
            })
        };
        let crashes = fail_everywhere(truncate, |disk, has_failed| {
            let state = recover(disk).unwrap_or_else(|error| panic!("{to}: {error}"));
            assert!(state.is_of(Old) && (to..=9).contains(&state.last()), "{to}: {state:?}");
            assert!(has_failed || state.last() == to);
            truncate(disk).unwrap();
            append(&mut log(disk), New, to + 1).unwrap();
            let state = recover(disk).unwrap();
            assert_eq!((state.last(), state.txns.last()), (to + 1, Some(&(to + 1, 60))));
        });
        assert!(crashes > 20, "{crashes}");
    }
}

/// As a journal does it.
fn install(disk: &SimulatedDisk, at: i64) -> Result<TxnLog<SimulatedDisk>, Error> {
    let mut log = log(disk);
    log.begin_install(&dirs(), Zxid(at), read())?;
    snapshot(disk, New, at, Some(at))?;
    log.installed(&dirs(), Zxid(at))?;
    Ok(log)
}

const PLACES: [i64; 7] = [0, 4, 6, 9, 20, 0x2_0000_0000, 0x2_0000_0005];

#[test]
fn a_crash_within_an_install_leaves_the_old_history_or_the_new_and_never_both() {
    for at in PLACES {
        let step = |disk: &SimulatedDisk| {
            let mut log = install(disk, at)?;
            append(&mut log, New, at + 1)?;
            append(&mut log, New, at + 2)
        };
        let crashes = fail_everywhere(step, |disk, has_failed| {
            let state = recover(disk).unwrap_or_else(|error| panic!("{at:#x}: {error}"));
            assert!(state.is_of(Old) || state.is_of(New), "{at:#x}: {state:?}");
            assert!(has_failed || (state.is_of(New) && state.last() == at + 2));
            if state.is_of(New) {
                // The start has completed the install: nothing leads into the old history.
                let left = names(disk).replace(&format!("log.{:x}", at + 1), "");
                assert_eq!(left.trim(), format!("snapshot.{at:x}"));
            }
            // The leader asks again, from wherever it is.
            let mut log = install(disk, at).unwrap();
            append(&mut log, New, at + 1).unwrap();
            let expected = State {
                snapshot: Some(at),
                path: "/new".into(),
                txns: vec![(at + 1, New as usize)],
            };
            assert_eq!(recover(disk).unwrap(), expected);
            assert_eq!(names(disk), format!("log.{:x} snapshot.{at:x}", at + 1));
        });
        assert!(crashes > 40, "{crashes}");
    }
}

#[test]
fn a_received_snapshot_that_goes_bad_does_not_let_the_old_history_in() {
    for at in PLACES {
        let disk = disk(MetadataMode::Ordered);
        let mut log = install(&disk, at).unwrap();
        append(&mut log, New, at + 1).unwrap();
        assert!(disk.flip_bit(&in_dir(&format!("snapshot.{at:x}")), 8 * 40));
        let refused = recover(&disk);
        assert!(
            matches!(refused, Err(RestoreError::Storage(Error::NoValidSnapshot { tried: 1, .. }))),
            "{refused:?}"
        );
    }
}

/// The reference keeps its old logs when it has received a snapshot.
#[test]
fn logs_that_end_before_a_received_snapshot_are_no_gap() {
    for at in [12, 0x2_0000_0000, 0x2_0000_0007] {
        let disk = disk(MetadataMode::Ordered);
        snapshot(&disk, New, at, Some(at)).unwrap();
        let state = recover(&disk).unwrap();
        assert_eq!((state.snapshot, state.txns.len()), (Some(at), 0));
        let mut log = log(&disk);
        append(&mut log, New, at + 1).unwrap();
        append(&mut log, New, at + 2).unwrap();
        let next_epoch = 0x3_0000_0001;
        append(&mut log, New, next_epoch).unwrap();
        let state = recover(&disk).unwrap();
        assert!(state.is_of(New));
        assert_eq!((state.snapshot, state.txns.len(), state.last()), (Some(at), 3, next_epoch));
        // From an older snapshot there is no way over the gap, if it shows.
        assert!(disk.flip_bit(&in_dir(&format!("snapshot.{at:x}")), 8 * 40));
        let is_visible = (at & 0xffff_ffff) != 0;
        let refused = recover(&disk);
        assert_eq!(
            matches!(refused, Err(RestoreError::Storage(Error::Gap { .. }))),
            is_visible,
            "{at:#x}"
        );
    }
}

#[test]
fn a_failed_reset_ends_the_log() {
    for operation in [Operation::Name, Operation::SyncDir] {
        let disk = disk(MetadataMode::Ordered);
        let mut log = log(&disk);
        disk.fail_after(operation, 0);
        assert!(matches!(log.truncate(&dirs(), Zxid(5), read()), Err(Error::Io { .. })));
        assert!(matches!(log.append(Zxid(10), &payload(10, 1)), Err(Error::Poisoned)));
        assert!(matches!(log.installed(&dirs(), Zxid(5)), Err(Error::Poisoned)));
    }
    Nobody.begin(Begin::Empty).unwrap();
}
