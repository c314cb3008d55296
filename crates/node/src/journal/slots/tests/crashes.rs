//! The power fails, or an operation of the disk, everywhere in a life that does all that there is.

use super::{Life, Step, in_logs, new_disk, recover, segments, state};
use crate::testing::{CONFIG, SNAPSHOT, apply, dirs, entry};
use crate::{Output, SnapshotTask};
use base::{Lsn, Rng};
use broadcast::{Slot, SlotKind};
use bytes::Bytes;
use std::collections::BTreeSet;
use storage::simulated::{Counters, MetadataMode, Operation, SimulatedDisk};
use storage::{Disk, Error};
use tree::Tree;

const MODES: [MetadataMode; 2] = [MetadataMode::Ordered, MetadataMode::Strict];

/// Appends, cuts, syncs of both kinds, bases, compactions, and states of all kinds that come.
const LIFE: &[Step] = &[
    Step::Cut(0),
    Step::Slots(4, 300),
    Step::Commit,
    Step::Slots(3, 700),
    Step::Cut(2),
    Step::Slots(2, 400),
    Step::Commit,
    Step::Beside,
    Step::Text,
    Step::Slots(8, 900),
    Step::Snapshot(2),
    Step::Chores,
    Step::Slots(9, 900),
    Step::Cut(3),
    Step::Beside,
    Step::Snapshot(1),
    Step::Chores,
    Step::Ahead(5),
    Step::Slots(4, 300),
    Step::Chores,
    Step::Commit,
    Step::Slots(3, 300),
    Step::Foreign(4),
    Step::Slots(6, 600),
    Step::Commit,
    Step::Cut(1),
    Step::Held(2),
    Step::Slots(3, 100),
    Step::Commit,
    Step::Text,
    Step::Snapshot(0),
    Step::Chores,
];

fn begin(mode: MetadataMode) -> Life {
    Life::begin(new_disk(mode)).unwrap_or_else(|error| panic!("{error}"))
}

/// What is done until something fails.
fn live(life: &mut Life) -> Result<(), Error> {
    LIFE.iter().try_for_each(|step| life.step(*step))
}

fn of_kind(counters: Counters, operation: Operation) -> u64 {
    match operation {
        Operation::Read => counters.reads,
        Operation::Write => counters.writes,
        Operation::Sync => counters.syncs,
        Operation::Name => counters.names,
        Operation::SyncDir => counters.dir_syncs,
    }
}

/// Nothing is taken or reported any more; a start finds what was promised, and goes on.
fn ends_and_goes_on(mut life: Life, error: &Error, seed: u64) {
    assert!(matches!(error, Error::Io { .. }), "{error}");
    let (durable, writes) = (life.journal.durable(), life.disk.counters().writes);
    let slot =
        Slot { index: 1, period: 1, at: base::Zxid(1), kind: SlotKind::Empty, body: Bytes::new() };
    for output in [
        Output::Slot { lsn: Lsn(1000), slot },
        Output::Text { lsn: Lsn(1001), name: "configuration.next", text: None },
        Output::Register { lsn: Lsn(1002), name: raft::VOTE, value: 1 },
    ] {
        assert!(matches!(life.journal.perform(output), Err(Error::Poisoned)));
    }
    assert_eq!((life.journal.durable(), life.disk.counters().writes), (durable, writes));
    life.disk.clear_faults();
    life.disk.set_capacity(None);
    if !seed.is_multiple_of(3) {
        life.disk.crash(&mut Rng::new(seed));
    }
    life.restart();
    for step in [Step::Cut(1), Step::Slots(6, 500), Step::Snapshot(1), Step::Chores] {
        life.step(step).unwrap();
    }
    life.disk.crash(&mut Rng::new(seed + 1));
    life.restart();
}

#[test]
fn the_power_may_fail_behind_every_step() {
    for mode in MODES {
        let mut life = begin(mode);
        for step in LIFE {
            life.step(*step).unwrap();
            for seed in 0..8 {
                let disk = life.disk.fork();
                disk.crash(&mut Rng::new(seed));
                let found = life.possible.check(&disk).log;
                // So does another start.
                assert_eq!(life.possible.check(&disk).log, found);
            }
        }
        assert!(!segments(&life.disk).contains(&"journal.0000000000000001".into()), "compacted");
    }
}

#[test]
fn the_power_may_fail_while_a_sync_is_under_way() {
    let (mut found, mut torn) = (BTreeSet::new(), 0);
    for seed in 0..60 {
        let mut life = begin(MetadataMode::Ordered);
        life.step(Step::Cut(0)).unwrap();
        life.step(Step::Slots(2, 100)).unwrap();
        life.step(Step::Commit).unwrap();
        life.step(Step::Slots(4, 600)).unwrap();
        assert!(life.journal.begin_sync().unwrap().is_some());
        life.disk.crash(&mut Rng::new(seed));
        torn += u32::from(life.restart().is_some());
        assert!(life.restart().is_none(), "the cut is there to stay");
        found.insert(life.log().last().0);
    }
    assert!(torn > 20, "{torn} torn tails are too few to prove anything");
    assert!(found.len() > 2 && found.contains(&2), "{found:?}");
}

#[test]
fn every_operation_may_fail() {
    let mut failures = 0;
    for mode in MODES {
        let mut whole = begin(mode);
        live(&mut whole).unwrap();
        let counters = whole.disk.counters();
        for operation in [Operation::Write, Operation::Sync, Operation::Name, Operation::SyncDir] {
            for skipped in 0..of_kind(counters, operation) {
                let disk = new_disk(mode);
                disk.fail_after(operation, skipped);
                let mut life = match Life::begin(disk.clone()) {
                    Ok(life) => life,
                    Err(_) => {
                        // The first start fails; the next one is still that of a new member.
                        disk.crash(&mut Rng::new(skipped));
                        Life::begin(disk).unwrap_or_else(|error| panic!("{error}"));
                        continue;
                    }
                };
                // Space that is not found ahead costs only time.
                if let Err(error) = live(&mut life) {
                    ends_and_goes_on(life, &error, skipped);
                    failures += 1;
                }
            }
        }
    }
    assert!(failures > 150, "{failures} failures are too few to prove anything");
}

#[test]
fn a_full_disk_ends_the_journal_and_loses_nothing() {
    let mut failures = 0;
    for capacity in (8_000..60_000).step_by(500) {
        let disk = new_disk(MetadataMode::Ordered);
        disk.set_capacity(Some(capacity));
        let Ok(mut life) = Life::begin(disk) else { continue };
        if let Err(error) = live(&mut life) {
            ends_and_goes_on(life, &error, capacity);
            failures += 1;
        }
    }
    assert!(failures > 10, "{failures}");
}

/// A state has come and its snapshot is there, and the power failed before the log was told.
fn half_installed(step: Step, seed: u64) -> Life {
    let mut life = begin(MetadataMode::Strict);
    let before = [Step::Cut(0), Step::Slots(9, 200), Step::Commit, Step::Slots(2, 600)];
    before.iter().for_each(|step| life.step(*step).unwrap());
    let syncs = |disk: &SimulatedDisk| disk.counters().syncs;
    let whole = life.disk.counters().syncs;
    let mut trial = begin(MetadataMode::Strict);
    before.iter().for_each(|step| trial.step(*step).unwrap());
    trial.step(step).unwrap();
    // The last sync is that of the base.
    life.disk.fail_after(Operation::Sync, syncs(&trial.disk) - whole - 1);
    life.step(step).unwrap_err();
    life.disk.crash(&mut Rng::new(seed));
    life
}

#[test]
fn a_start_may_fail_anywhere_between_two_states_and_is_tried_again() {
    for step in [Step::Ahead(3), Step::Held(3), Step::Foreign(3)] {
        let life = half_installed(step, 5);
        let expected = life.possible.check(&life.disk.fork());
        assert_eq!(state(&expected.tree), state(&life.tree), "the state has come");
        assert_eq!(expected.log.base.as_ref().unwrap().index, life.applied);
        let stays = if matches!(step, Step::Held(_)) { 3 } else { 0 };
        assert_eq!(expected.log.slots.len(), stays, "{step:?}");
        for operation in [Operation::Read, Operation::Write, Operation::Sync, Operation::SyncDir] {
            let mut failures = 0;
            for skipped in 0..100 {
                let disk = life.disk.fork();
                disk.fail_after(operation, skipped);
                if recover(&disk).is_ok() {
                    break;
                }
                disk.crash(&mut Rng::new(skipped));
                let found = life.possible.check(&disk);
                assert_eq!(found.log, expected.log, "{step:?} {operation:?} {skipped}");
                failures += 1;
            }
            assert!(failures > 0, "{operation:?}");
        }
    }
}

#[test]
fn a_state_that_never_came_is_forgotten() {
    let mut life = begin(MetadataMode::Ordered);
    for step in [Step::Cut(0), Step::Slots(5, 200), Step::Commit] {
        life.step(step).unwrap();
    }
    let before = life.log().clone();
    life.disk.fail_after(Operation::Name, 0); // the snapshot's file
    life.step(Step::Ahead(4)).unwrap_err();
    life.disk.crash(&mut Rng::new(3));
    life.restart();
    assert_eq!(life.log(), &before);
    // A snapshot of the own history that passes its place does not bring it back.
    let mut tree = Tree::new(CONFIG);
    apply(&mut tree, &entry(5000, "later"));
    SnapshotTask::take(life.disk.clone(), &dirs().snapshots(), &tree, SNAPSHOT).unwrap();
    life.possible.trees = vec![state(&tree)];
    life.restart();
    assert_eq!(life.log(), &before);
}

#[test]
fn who_lost_its_journal_says_so_whatever_start_fails() {
    let mut life = begin(MetadataMode::Strict);
    life.restart(); // who never had anything has lost nothing
    for step in [Step::Cut(0), Step::Slots(5, 200), Step::Snapshot(0)] {
        life.step(step).unwrap();
    }
    let lost = life.disk.fork();
    for name in segments(&lost) {
        lost.remove(&in_logs(name)).unwrap();
    }
    lost.sync_dir(&dirs().logs()).unwrap();
    let mut failures = 0;
    for operation in [Operation::Write, Operation::Sync, Operation::Name, Operation::SyncDir] {
        for skipped in 0..50 {
            let disk = lost.fork();
            disk.fail_after(operation, skipped);
            match recover(&disk) {
                Ok(found) => {
                    assert!(found.durable.is_lost);
                    break;
                }
                Err(error) => {
                    assert!(error.to_string().ends_with("(os error 5)"), "{error}");
                    failures += 1;
                }
            }
            disk.clear_faults();
            if skipped % 2 == 0 {
                disk.crash(&mut Rng::new(skipped));
            }
            for _ in 0..2 {
                let found = recover(&disk).unwrap_or_else(|error| panic!("{error}"));
                assert!(found.durable.is_lost, "{operation:?} {skipped}");
            }
        }
    }
    assert!(failures > 4, "{failures}");
}
