//! What a member of an ensemble keeps, and a life of it on a disk that fails.

use super::{Journal, Progress};
use crate::testing::{
    CONFIG, Elsewhere, SNAPSHOT, append, apply, dirs, entry, journal, journal_with,
};
use crate::{
    Output, RecentLimits, RecoverError, RecoveredMember, SnapshotTask, recover_member, reload,
};
use base::{Lsn, Rng, Zxid};
use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;
use storage::simulated::{MetadataMode, Operation, SimulatedDisk};
use storage::{Disk, Outcome, RecoveryOptions, RestoreError};
use tree::Tree;

const RECENT: RecentLimits = RecentLimits { entries: 5, bytes: 1000 };

fn recover(disk: &SimulatedDisk) -> Result<RecoveredMember, RecoverError> {
    let options = RecoveryOptions::default();
    recover_member(disk, &dirs(), options, CONFIG, SNAPSHOT, RECENT, &mut || {})
}

fn number(disk: &SimulatedDisk, name: &str) -> Option<String> {
    let bytes = disk.contents(&dirs().snapshots().join(name))?;
    Some(String::from_utf8(bytes).unwrap())
}

/// A new member's disk.
fn disk(mode: MetadataMode) -> SimulatedDisk {
    let disk = SimulatedDisk::new(mode);
    disk.create_dir_all(Path::new("/conf")).unwrap();
    assert_eq!(recover(&disk).ok().unwrap().restored.outcome, Outcome::Empty);
    disk
}

#[test]
fn a_register_is_durable_after_all_before_it() {
    let disk = disk(MetadataMode::Strict);
    let mut journal = journal(&disk);
    journal.perform(append(1, 1, entry(1, "a"))).unwrap();
    let register = Output::Register { lsn: Lsn(2), name: "acceptedEpoch", value: 7 };
    assert_eq!(journal.perform(register).unwrap(), None);
    let before = disk.fork();
    before.crash(&mut Rng::new(1));
    let recovered = recover(&before).ok().unwrap();
    assert_eq!((recovered.durable.accepted, recovered.durable.last), (7, Zxid(1)));
    assert!(journal.is_dirty(), "the host asks, and is told");
    assert_eq!(journal.commit().unwrap(), Progress::Durable(Lsn(2)));
    assert_eq!(journal.commit().unwrap(), Progress::Idle);
    // Beside a sync.
    journal.perform(append(3, 2, entry(2, "a"))).unwrap();
    let job = journal.begin_sync().unwrap().expect("an entry");
    let register = Output::Register { lsn: Lsn(4), name: "currentEpoch", value: 7 };
    journal.perform(register).unwrap();
    assert_eq!(journal.end_sync(job.perform()).unwrap(), Progress::Durable(Lsn(3)));
    assert!(journal.is_dirty());
    assert!(journal.begin_sync().unwrap().is_none());
    assert_eq!(journal.durable(), Lsn(4));
    assert_eq!(number(&disk, "currentEpoch").as_deref(), Some("7"));
}

#[test]
fn texts_are_kept_where_the_host_says() {
    let disk = disk(MetadataMode::Strict);
    let mut journal = journal_with(&disk, Some(Arc::new(Elsewhere(disk.clone()))));
    let text = |lsn, name, text: Option<&str>| Output::Text {
        lsn: Lsn(lsn),
        name,
        text: text.map(str::to_owned),
    };
    let next = Path::new("/conf/configuration.next");
    journal.perform(text(1, "configuration.next", Some("server.1=a"))).unwrap();
    let mut plain = self::journal(&disk.fork());
    plain.perform(text(1, "other", Some("x"))).unwrap();
    assert_eq!(plain.commit().unwrap(), Progress::Durable(Lsn(1)));
    disk.fork().crash(&mut Rng::new(1));
    assert_eq!(disk.contents(next).unwrap(), b"server.1=a");
    journal.perform(text(2, "configuration.next", None)).unwrap();
    journal.perform(text(3, "configuration.next", None)).unwrap();
    assert_eq!(disk.contents(next), None);
    assert_eq!(journal.commit().unwrap(), Progress::Durable(Lsn(3)));
}

#[test]
fn a_failed_number_ends_the_journal() {
    let disk = disk(MetadataMode::Ordered);
    let mut journal = journal(&disk);
    disk.fail_after(Operation::Name, 0);
    let register = || Output::Register { lsn: Lsn(1), name: "acceptedEpoch", value: 7 };
    assert!(matches!(journal.perform(register()), Err(storage::Error::Io { .. })));
    assert!(matches!(journal.perform(register()), Err(storage::Error::Poisoned)));
    let refused = journal.perform(append(2, 1, entry(1, "a")));
    assert!(matches!(refused, Err(storage::Error::Poisoned)));
}

#[test]
fn after_a_truncation_the_state_is_reloaded_with_its_last_entries() {
    let disk = disk(MetadataMode::Ordered);
    let mut journal = journal(&disk);
    let mut trees = vec![Tree::new(CONFIG).digest()];
    let mut tree = Tree::new(CONFIG);
    for zxid in 1..=20 {
        journal.perform(append(zxid as u64, zxid, entry(zxid, "a"))).unwrap();
        apply(&mut tree, &entry(zxid, "a"));
        trees.push(tree.digest());
        if zxid == 10 {
            journal.perform(Output::Roll).unwrap();
            SnapshotTask::take(disk.clone(), &dirs().snapshots(), &tree, SNAPSHOT).unwrap();
        }
    }
    let options = RecoveryOptions::default();
    for (to, recent) in [(17, vec![13, 14, 15, 16, 17]), (12, vec![11, 12]), (3, vec![1, 2, 3])] {
        assert_eq!(journal.perform(Output::Truncate { lsn: Lsn(30), to: Zxid(to) }).unwrap(), None);
        let (tree, entries) =
            reload(&disk, &dirs(), options, CONFIG, Zxid(to), RECENT).ok().unwrap();
        assert_eq!((tree.last_zxid(), tree.digest()), (Zxid(to), trees[to as usize]));
        assert_eq!(entries.iter().map(|(at, _)| at.0).collect::<Vec<_>>(), recent);
        assert!(entries.iter().all(|(at, item)| *item == entry(at.0, "a")));
    }
    // There is no way on to where it was.
    journal.perform(Output::Truncate { lsn: Lsn(31), to: Zxid(17) }).unwrap();
    let lost = reload(&disk, &dirs(), options, CONFIG, Zxid(17), RECENT).err().unwrap();
    assert!(lost.to_string().contains("no transaction 0x11"), "{lost}");
    assert_eq!(recover(&disk).ok().unwrap().durable.last, Zxid(3));
}

/// What a member may be: its place and its digest.
type State = (Zxid, u64);

/// A member's life; the model is the list of states that its history had.
struct Life {
    disk: SimulatedDisk,
    rng: Rng,
    journal: Journal<SimulatedDisk>,
    tree: Tree,
    lsn: u64,
    /// States, each with the entry that led there; the first is a snapshot's.
    history: Vec<(State, Bytes)>,
    /// How many of them are durable.
    durable: usize,
    accepted: i64,
    /// Histories that this member had.
    histories: u32,
    /// An install was begun and may not be complete.
    is_installing: bool,
}

impl Life {
    fn new(seed: u64) -> Life {
        let mut rng = Rng::new(seed);
        let mode = *rng.pick(&[MetadataMode::Ordered, MetadataMode::Strict]);
        let disk = disk(mode);
        let (journal, tree) = (journal(&disk), Tree::new(CONFIG));
        let history = vec![(state(&tree), Bytes::new())];
        Life {
            disk,
            rng,
            journal,
            tree,
            lsn: 0,
            history,
            durable: 1,
            accepted: 0,
            histories: 0,
            is_installing: false,
        }
    }

    fn last(&self) -> Zxid {
        self.history.last().unwrap().0.0
    }

    fn next_lsn(&mut self) -> Lsn {
        self.lsn += 1;
        Lsn(self.lsn)
    }

    /// One step. If it fails, what the disk may hold now.
    fn step(&mut self) -> Result<(), Vec<State>> {
        let states = |history: &[(State, Bytes)]| history.iter().map(|(at, _)| *at).collect();
        let from_durable: Vec<State> = states(&self.history[self.durable - 1..]);
        match self.rng.below(20) {
            0..=9 => {
                let at = if self.rng.one_in(10) {
                    Zxid((i64::from(self.last().epoch()) + 1) << 32 | 1)
                } else {
                    self.last().next()
                };
                let item = entry(at.0, &self.histories.to_string());
                let output = append(self.next_lsn().0, at.0, item.clone());
                let done = self.journal.perform(output);
                apply(&mut self.tree, &item);
                self.history.push((state(&self.tree), item));
                let possible = states(&self.history[self.durable - 1..]);
                done.map(|_| ()).map_err(|_| possible)
            }
            10..=13 => {
                self.journal.commit().map_err(|_| from_durable)?;
                self.durable = self.history.len();
                Ok(())
            }
            14 => self.journal.perform(Output::Roll).map(|_| ()).map_err(|_| from_durable),
            15 => {
                // Only what is durable is applied, and only what is applied is in a snapshot.
                self.journal.commit().map_err(|_| from_durable)?;
                self.durable = self.history.len();
                let now = vec![*states(&self.history).last().unwrap()];
                let dir = dirs().snapshots();
                SnapshotTask::take(self.disk.clone(), &dir, &self.tree, SNAPSHOT)
                    .map(|_| ())
                    .map_err(|_| now)
            }
            16 => {
                self.accepted = self.accepted.max(i64::from(self.last().epoch())) + 1;
                let (name, value, lsn) = ("acceptedEpoch", self.accepted, self.next_lsn());
                let output = Output::Register { lsn, name, value };
                self.journal.perform(output).map_err(|_| from_durable)?;
                self.durable = self.history.len();
                Ok(())
            }
            17..=18 => self.truncate(),
            _ => self.install(),
        }
    }

    fn truncate(&mut self) -> Result<(), Vec<State>> {
        let keep = self.rng.between(1, self.history.len() as u64) as usize;
        let to = self.history[keep - 1].0;
        let left = self.history[(keep - 1).min(self.durable - 1)..].iter();
        let possible: Vec<State> = left.map(|(at, _)| *at).collect();
        let output = Output::Truncate { lsn: self.next_lsn(), to: to.0 };
        self.journal.perform(output).map_err(|_| possible.clone())?;
        let options = RecoveryOptions::default();
        let reloaded = reload(&self.disk, &dirs(), options, CONFIG, to.0, RECENT);
        let (tree, recent) = match reloaded {
            Ok(reloaded) => reloaded,
            Err(RecoverError::Restore(RestoreError::Storage(storage::Error::Io { .. }))) => {
                return Err(possible);
            }
            // A start may have completed an install with a snapshot that was there before.
            Err(_) if self.is_installing => return Ok(()),
            Err(error) => panic!("it was there: {error}"),
        };
        assert_eq!(state(&tree), to);
        self.history.truncate(keep);
        self.check_recent(&recent);
        self.tree = tree;
        self.durable = keep;
        Ok(())
    }

    /// A leader's state, of another history.
    fn install(&mut self) -> Result<(), Vec<State>> {
        self.histories += 1;
        let last = self.last().0;
        let at = *self.rng.pick(&[last, last + 3, last - last.min(2), last + (1 << 32)]);
        let mut tree = Tree::new(CONFIG);
        apply(&mut tree, &entry(at.max(1), &format!("base {}", self.histories)));
        let at = tree.last_zxid();
        let left = self.history.iter().map(|(at, _)| *at);
        // The void end is cut before there is a new state: a beginning may be what is left.
        let keep = self.history.partition_point(|(state, _)| state.0 <= at);
        let kept = (self.durable - 1).min(keep.saturating_sub(1));
        let mut possible: Vec<State> = left.skip(kept).collect();
        possible.push(state(&tree));
        self.is_installing = true;
        self.journal.install(&tree, SNAPSHOT).map_err(|_| possible)?;
        self.is_installing = false;
        self.history = vec![(state(&tree), Bytes::new())];
        (self.tree, self.durable) = (tree, 1);
        Ok(())
    }

    /// The power fails, or only the process dies; a start finds what it may find.
    fn crash(&mut self, possible: &[State]) {
        self.disk.clear_faults();
        if !self.rng.one_in(4) {
            self.disk.crash(&mut self.rng);
        }
        let recovered = recover(&self.disk).unwrap_or_else(|error| panic!("a start: {error}"));
        let RecoveredMember { tree, restored, durable } = recovered;
        assert_eq!(restored.outcome, Outcome::Restored);
        let found = state(&tree);
        assert!(possible.contains(&found), "{found:?} is none of {possible:x?}");
        assert!(durable.accepted >= durable.current);
        assert_eq!(durable.last, found.0);
        match self.history.iter().rposition(|(state, _)| *state == found) {
            Some(at) => self.history.truncate(at + 1),
            None => self.history = vec![(found, Bytes::new())],
        }
        self.check_recent(&durable.recent);
        self.accepted = durable.accepted;
        self.durable = self.history.len();
        (self.tree, self.journal) = (tree, journal(&self.disk));
    }

    fn check_recent(&self, recent: &[(Zxid, Bytes)]) {
        let known = self.history[1..].iter().map(|((at, _), item)| (*at, item.clone()));
        let known: Vec<(Zxid, Bytes)> = known.collect();
        assert!(known.ends_with(recent), "{recent:?} is no end of {known:?}");
    }
}

fn state(tree: &Tree) -> State {
    (tree.last_zxid(), tree.digest())
}

#[test]
fn no_crash_mixes_histories_or_loses_what_was_promised() {
    for seed in 0..300 {
        let mut life = Life::new(seed);
        for _ in 0..4 {
            let operation = *life.rng.pick(&[
                Operation::Write,
                Operation::Sync,
                Operation::Name,
                Operation::SyncDir,
                Operation::Read,
            ]);
            let skipped = life.rng.below(40);
            life.disk.fail_after(operation, skipped);
            let mut possible = None;
            for _ in 0..life.rng.below(60) {
                // Entries are of an epoch that was promised.
                if i64::from(life.last().epoch()) + 1 > life.accepted {
                    life.accepted = i64::from(life.last().epoch()) + 1;
                    let (lsn, value) = (life.next_lsn(), life.accepted);
                    let name = "acceptedEpoch";
                    if life.journal.perform(Output::Register { lsn, name, value }).is_err() {
                        break;
                    }
                    life.durable = life.history.len();
                }
                if let Err(states) = life.step() {
                    possible = Some(states);
                    break;
                }
            }
            let possible = possible.unwrap_or_else(|| {
                life.history[life.durable - 1..].iter().map(|(state, _)| *state).collect()
            });
            life.crash(&possible);
        }
    }
}
