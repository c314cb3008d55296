//! The rules of a start, and thousands of crashes.

use super::{Begin, Outcome, Recovery, RecoveryOptions, Restore, RestoreError, Restored};
use crate::simulated::{MetadataMode, Operation, SimulatedDisk};
use crate::testing::{DIR, in_dir, log, options, payload, write_one_by_one};
use crate::{
    AheadPlan, Compression, Damage, Dirs, Disk, Error, Finding, LogOptions, SnapshotTrailer,
    SnapshotWriter, TxnLog,
};
use base::{Rng, SessionId, Zxid};
use std::path::Path;
use wire::{Acls, NodeRecord, StatPersisted, TxnRecord};

/// Remembers what it was fed. Refuses nodes without a parent, as a tree does.
#[derive(Debug, Default)]
struct Fed {
    begun: Vec<Begin>,
    paths: Vec<String>,
    sessions: Vec<i64>,
    acls: Vec<i64>,
    done: Option<(Zxid, SnapshotTrailer)>,
    txns: Vec<i64>,
    payloads: Vec<Vec<u8>>,
}

impl Restore for Fed {
    type Error = String;

    fn begin(&mut self, begin: Begin) -> Result<(), String> {
        let mut begun = std::mem::take(&mut self.begun);
        begun.push(begin);
        *self = Fed { begun, ..Fed::default() };
        Ok(())
    }

    fn session(&mut self, session: SessionId, _: i32) -> Result<(), String> {
        self.sessions.push(session.0);
        Ok(())
    }

    fn acl(&mut self, id: i64, _: &Acls<'_>) -> Result<(), String> {
        self.acls.push(id);
        Ok(())
    }

    fn node(&mut self, node: &NodeRecord<'_>) -> Result<(), String> {
        let parent = node.path.rsplit_once('/').map(|(parent, _)| parent);
        if parent.is_some_and(|parent| !self.paths.iter().any(|path| path == parent)) {
            return Err(format!("{} has no parent", node.path));
        }
        self.paths.push(node.path.clone().into_owned());
        Ok(())
    }

    fn snapshot_done(&mut self, zxid: Zxid, trailer: &SnapshotTrailer) -> Result<(), String> {
        self.done = Some((zxid, *trailer));
        Ok(())
    }

    fn txn(&mut self, txn: &TxnRecord<'_>, payload: &[u8]) -> Result<(), String> {
        self.txns.push(txn.header.zxid);
        self.payloads.push(payload.to_vec());
        Ok(())
    }
}

fn recover_with(
    disk: &SimulatedDisk,
    options: RecoveryOptions,
) -> Result<(Restored, Fed), RestoreError<String>> {
    let mut fed = Fed::default();
    let recovery = Recovery::open(disk.clone(), Dirs::single("/data"), options)?;
    let restored = recovery.restore(&mut fed)?;
    Ok((restored, fed))
}

fn recover(disk: &SimulatedDisk) -> Result<(Restored, Fed), RestoreError<String>> {
    recover_with(disk, RecoveryOptions::default())
}

fn storage_error(result: Result<(Restored, Fed), RestoreError<String>>) -> Error {
    match result {
        Err(RestoreError::Storage(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn snapshot(disk: &SimulatedDisk, zxid: i64, paths: &[&str]) {
    let (disk, dir) = (disk.clone(), Path::new(DIR));
    let mut writer = SnapshotWriter::create(disk, dir, Zxid(zxid), Compression::None).unwrap();
    writer.sessions([(SessionId(5), 4000)].into_iter()).unwrap();
    writer.acls([(1, &[][..])].into_iter()).unwrap();
    for path in paths {
        let (path, stat) = ((*path).into(), StatPersisted::default());
        writer.node(&NodeRecord { path, data: None, acl_id: -1, stat }).unwrap();
    }
    writer.finish(None, Some(Zxid(zxid))).unwrap();
}

fn disk() -> SimulatedDisk {
    let disk = crate::testing::disk();
    snapshot(&disk, 0, &["", "/zookeeper"]);
    disk
}

fn names(disk: &SimulatedDisk) -> Vec<String> {
    disk.list(Path::new(DIR)).unwrap().into_iter().map(|entry| entry.name).collect()
}

#[test]
fn the_newest_snapshot_and_what_follows_it() {
    let disk = disk();
    write_one_by_one(&disk, 1..=5);
    snapshot(&disk, 3, &["", "/a", "/a/b"]);
    disk.install(&in_dir("new-snapshot.4.gz.tmp"), b"half");
    let (restored, fed) = recover(&disk).unwrap();
    assert_eq!(restored.outcome, Outcome::Restored);
    assert_eq!((restored.snapshot, restored.last, restored.replayed), (Some(Zxid(3)), Zxid(5), 2));
    assert_eq!(fed.begun, [Begin::Snapshot(Zxid(3))]);
    assert_eq!((fed.paths, fed.txns), (vec!["".into(), "/a".into(), "/a/b".into()], vec![4, 5]));
    assert_eq!((fed.sessions, fed.acls), (vec![5], vec![1]));
    assert_eq!(fed.done.unwrap().0, Zxid(3));
    assert_eq!(names(&disk), ["log.1", "snapshot.0", "snapshot.3"]);
}

#[test]
fn a_bad_snapshot_makes_way_for_an_older_one() {
    let disk = disk();
    write_one_by_one(&disk, 1..=5);
    snapshot(&disk, 3, &["", "/a/orphan"]);
    snapshot(&disk, 4, &["", "/a"]);
    assert!(disk.flip_bit(&in_dir("snapshot.4"), 480));
    let (restored, fed) = recover(&disk).unwrap();
    assert_eq!((restored.snapshot, restored.last), (Some(Zxid(0)), Zxid(5)));
    assert_eq!(fed.txns, [1, 2, 3, 4, 5]);
    assert_eq!(fed.paths, ["", "/zookeeper"]);
    let [(four, seal), (three, orphan)] = &restored.skipped_snapshots[..] else { panic!() };
    assert_eq!((four.zxid, three.zxid), (Zxid(4), Zxid(3)));
    assert!(matches!(seal, Error::Corrupt { damage: Damage::Checksum, .. }));
    assert!(matches!(orphan, Error::Corrupt { damage: Damage::Malformed, .. }));

    // The log that leads from the older one to the newer is gone.
    disk.remove(&in_dir("log.1")).unwrap();
    write_one_by_one(&disk, 5..=5);
    let error = storage_error(recover(&disk));
    assert!(matches!(error, Error::Gap { after: Zxid(0), next: Zxid(5), .. }));

    assert!(disk.flip_bit(&in_dir("snapshot.0"), 300));
    let error = storage_error(recover(&disk));
    assert!(matches!(error, Error::NoValidSnapshot { tried: 3, .. }), "{error}");
    // A disk that cannot read says nothing about a snapshot.
    disk.fail_after(Operation::Read, 4);
    assert!(matches!(storage_error(recover(&disk)), Error::Io { .. }));
}

#[test]
fn logs_without_a_snapshot_are_refused_unless_trusted() {
    let disk = crate::testing::disk();
    write_one_by_one(&disk, 1..=3);
    assert!(matches!(storage_error(recover(&disk)), Error::NoSnapshot(_)));
    disk.install(&in_dir("snapshot.2"), b"torn");
    assert!(matches!(storage_error(recover(&disk)), Error::NoSnapshot(_)));
    let options = RecoveryOptions { trust_empty_snapshot: true, ..RecoveryOptions::default() };
    let (restored, fed) = recover_with(&disk, options).unwrap();
    assert_eq!((restored.snapshot, restored.last, fed.txns), (None, Zxid(3), vec![1, 2, 3]));
    assert_eq!(fed.begun, [Begin::Empty]);
}

#[test]
fn an_empty_directory_is_a_new_database_only_if_someone_says_so() {
    let never = RecoveryOptions { create_database: false, ..RecoveryOptions::default() };
    let outcome = |disk: &SimulatedDisk, options| {
        let (restored, fed) = recover_with(disk, options).unwrap();
        assert_eq!(fed.begun, [Begin::Empty]);
        (restored.outcome, restored.last.0)
    };
    let disk = SimulatedDisk::default();
    assert_eq!(outcome(&disk, RecoveryOptions::default()), (Outcome::Empty, 0));
    assert_eq!(outcome(&disk, never), (Outcome::Unknown, -1));
    disk.install(Path::new("/data/initialize"), b"");
    assert_eq!(outcome(&disk, never), (Outcome::Empty, 0));
    assert_eq!(outcome(&disk, never), (Outcome::Unknown, -1));
    disk.install(&in_dir("log.1"), b"");
    assert_eq!(outcome(&disk, never), (Outcome::Unknown, -1));
    assert!(names(&disk).is_empty());
}

#[test]
fn directories_are_made_or_missed_and_never_mixed() {
    let open = |disk: &SimulatedDisk, create_dirs| {
        let dirs = Dirs { data: "/data".into(), log: "/log".into() };
        let options = RecoveryOptions { create_dirs, ..RecoveryOptions::default() };
        Recovery::open(disk.clone(), dirs, options).map(|_| ())
    };
    let disk = SimulatedDisk::default();
    assert!(matches!(open(&disk, false), Err(Error::MissingDir(_))));
    open(&disk, true).unwrap();
    open(&disk, false).unwrap();
    disk.install(Path::new("/log/version-2/snapshot.0"), b"");
    assert!(matches!(open(&disk, true), Err(Error::SnapshotsAmongLogs(_))));
    disk.remove(Path::new("/log/version-2/snapshot.0")).unwrap();
    disk.install(Path::new("/data/version-2/log.1"), b"");
    assert!(matches!(open(&disk, true), Err(Error::LogsAmongSnapshots(_))));
}

#[test]
fn a_torn_tail_is_cut_once_and_stays_cut() {
    let disk = disk();
    write_one_by_one(&disk, 1..=3);
    let mut bytes = disk.contents(&in_dir("log.1")).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end - 20..].fill(0);
    disk.install(&in_dir("log.1"), &bytes);
    let (restored, fed) = recover(&disk).unwrap();
    assert_eq!(fed.txns, [1, 2]);
    assert!(matches!(&restored.findings[..], [Finding::TornTail { after: Zxid(2), .. }]));
    disk.crash(&mut Rng::new(1));
    let (restored, fed) = recover(&disk).unwrap();
    assert_eq!((fed.txns, restored.findings), (vec![1, 2], vec![]));
    write_one_by_one(&disk, 3..=4);
    assert_eq!(recover(&disk).unwrap().1.txns, [1, 2, 3, 4]);
}

#[test]
fn the_reference_s_directory_is_restored() {
    let disk = SimulatedDisk::default();
    disk.install(&in_dir("log.1"), include_bytes!("../../testdata/digest.log.1"));
    disk.install(&in_dir("snapshot.0"), include_bytes!("../../testdata/digest.snapshot.0"));
    let (restored, fed) = recover(&disk).unwrap();
    assert_eq!((restored.snapshot, restored.replayed), (Some(Zxid(0)), 24));
    assert_eq!(fed.paths.len(), 4);
    let gzip = include_bytes!("../../testdata/digest.snapshot.18.gz");
    disk.install(&in_dir("snapshot.18.gz"), gzip);
    let (restored, fed) = recover(&disk).unwrap();
    assert_eq!((restored.snapshot, restored.replayed), (Some(Zxid(0x18)), 0));
    assert_eq!(fed.done.unwrap().1.digest.unwrap().zxid, Zxid(0x18));
}

const OPERATIONS: [Operation; 5] =
    [Operation::Read, Operation::Write, Operation::Sync, Operation::Name, Operation::SyncDir];

/// A server's life on a bad disk: what it has appended and what it was promised.
struct Life {
    disk: SimulatedDisk,
    rng: Rng,
    log: TxnLog<SimulatedDisk>,
    options: LogOptions,
    /// Sizes of all records that are or may be in the log; the first has zxid 1.
    sizes: Vec<usize>,
    /// How many of them are durable.
    synced: usize,
    /// What is to be done ahead of the log, beside it.
    ahead: Option<AheadPlan>,
    /// How many files were begun with a spare.
    spares_used: usize,
}

impl Life {
    fn new(seed: u64, options: LogOptions) -> Life {
        let mut rng = Rng::new(seed);
        let mode = *rng.pick(&[MetadataMode::Ordered, MetadataMode::Strict]);
        let disk = SimulatedDisk::new(mode);
        disk.create_dir_all(Path::new(DIR)).unwrap();
        snapshot(&disk, 0, &[""]);
        let preallocation = *rng.pick(&[0, 4096, 10_000, 65_536]);
        let options = LogOptions { preallocation, ..options };
        let log = TxnLog::new(disk.clone(), DIR, options);
        let (sizes, synced, ahead, spares_used) = (Vec::new(), 0, None, 0);
        Life { disk, rng, log, options, sizes, synced, ahead, spares_used }
    }

    fn step(&mut self) {
        let done = match self.rng.below(13) {
            10 => {
                self.ahead = self.ahead.take().or_else(|| self.log.plan_ahead());
                Ok(())
            }
            11..=12 => {
                self.work_ahead();
                Ok(())
            }
            0..=4 => {
                let size = *self.rng.pick(&[0, 10, 100, 500, 3000]);
                let zxid = self.sizes.len() as i64 + 1;
                let had_spare = self.has_spare();
                let done = self.log.append(Zxid(zxid), &payload(zxid, size));
                self.spares_used += usize::from(had_spare && !self.has_spare());
                if done.is_ok() {
                    self.sizes.push(size);
                }
                done
            }
            5 => self.log.flush(),
            6 => {
                let done = self.log.roll();
                if done.is_ok() {
                    self.synced = self.sizes.len();
                }
                done
            }
            _ => {
                let done = self.log.commit();
                if done.is_ok() {
                    self.synced = self.sizes.len();
                }
                done
            }
        };
        assert!(done.is_ok() || self.log.has_failed());
    }

    /// What a host's thread does at some time after the plan was made.
    fn work_ahead(&mut self) {
        if let Some(plan) = self.ahead.take() {
            self.log.done_ahead(plan.perform(&self.disk));
        }
    }

    fn has_spare(&self) -> bool {
        self.disk.contents(&in_dir("new-log.tmp")).is_some()
    }

    /// The process dies, or the power fails as well; the disk then holds what was promised, and
    /// nothing that was not appended.
    fn crash(&mut self) -> Result<(), RestoreError<String>> {
        if self.rng.one_in(2) {
            self.disk.crash(&mut self.rng);
        } else {
            self.disk.clear_faults();
        }
        if self.rng.one_in(3) {
            let operation = *self.rng.pick(&OPERATIONS);
            self.disk.fail_after(operation, self.rng.below(8));
            let interrupted = recover(&self.disk);
            self.disk.clear_faults();
            match interrupted {
                Ok(_) => {}
                Err(RestoreError::Storage(Error::Io { .. })) => self.disk.crash(&mut self.rng),
                Err(error) => return Err(error),
            }
        }
        let (_, fed) = recover(&self.disk)?;
        let found = fed.txns.len();
        assert!((self.synced..=self.sizes.len()).contains(&found), "{found}, {}", self.synced);
        for (index, found) in fed.payloads.iter().enumerate() {
            assert_eq!(*found, payload(index as i64 + 1, self.sizes[index]));
        }
        self.sizes.truncate(found);
        // What recovery has seen it must see again: it may have been shown to others.
        self.disk.crash(&mut self.rng);
        assert_eq!(recover(&self.disk)?.1.txns.len(), found);
        self.synced = found;
        assert!(!self.has_spare(), "a start leaves no spare behind");
        self.ahead = None;
        self.log = TxnLog::new(self.disk.clone(), DIR, self.options);
        Ok(())
    }
}

#[test]
fn no_crash_loses_what_was_synced_or_stops_a_recovery() {
    let mut spares_used = 0;
    for seed in 0..3000 {
        let mut life = Life::new(seed, options());
        for _ in 0..4 {
            for _ in 0..life.rng.below(40) {
                life.step();
            }
            life.crash().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        }
        spares_used += life.spares_used;
    }
    assert!(spares_used > 1000, "{spares_used}");
}

#[test]
fn no_failing_disk_makes_a_false_promise() {
    for seed in 0..2000 {
        let mut life = Life::new(seed, options());
        for _ in 0..3 {
            let operation = *life.rng.pick(&OPERATIONS);
            life.disk.fail_after(operation, life.rng.below(20));
            for _ in 0..life.rng.below(40) {
                life.step();
            }
            life.crash().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        }
    }
}

/// Without the mark a torn batch may have to be refused; what was synced is never dropped.
#[test]
fn without_a_mark_a_crash_may_stop_a_recovery_but_loses_nothing() {
    let mut refused = 0;
    for seed in 0..2000 {
        let mut life = Life::new(seed, LogOptions { durable_mark: false, ..options() });
        for _ in 0..life.rng.below(60) {
            life.step();
        }
        match life.crash() {
            Ok(()) => {}
            Err(RestoreError::Storage(Error::Corrupt { .. })) => refused += 1,
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    assert!((1..400).contains(&refused), "{refused}");
}

#[test]
fn flipped_bits_are_refused_or_reported_never_passed_over() {
    let (mut refused, mut cut) = (0, 0);
    for seed in 0..3000 {
        let mut rng = Rng::new(seed);
        let disk = disk();
        let mut log = log(&disk);
        let mut batches = vec![0];
        let mut zxid = 0;
        for _ in 0..rng.between(1, 12) {
            for _ in 0..rng.between(1, 12) {
                zxid += 1;
                log.append(Zxid(zxid), &payload(zxid, 40)).unwrap();
            }
            log.commit().unwrap();
            batches.push(zxid);
        }
        let end = disk.contents(&in_dir("log.1")).unwrap();
        let end = end.iter().rposition(|byte| *byte != 0).unwrap() as u64;
        assert!(disk.flip_bit(&in_dir("log.1"), rng.between(16 * 8, end * 8 + 7)));
        match recover(&disk) {
            Err(RestoreError::Storage(Error::Corrupt { .. })) => refused += 1,
            Err(error) => panic!("seed {seed}: {error}"),
            Ok((restored, fed)) => {
                // It cannot be told from a crash; at most what the mark may lag is lost.
                cut += 1;
                assert!(
                    matches!(&restored.findings[..], [Finding::TornTail { .. }]),
                    "seed {seed}"
                );
                let last_batch = batches[batches.len() - 2];
                let kept = fed.txns.len() as i64;
                assert!(kept >= last_batch.min(zxid - 20), "seed {seed}: {kept} of {zxid}");
            }
        }
    }
    assert!(refused > 1500 && cut > 100, "{refused} {cut}");
}
