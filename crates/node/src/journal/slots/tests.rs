//! A journal of slots over a disk that fails, tears and flips, against a model of what a start must
//! find.

mod crashes;
mod damage;

use super::{Chore, JournalFiles};
use crate::testing::{CONFIG, SNAPSHOT, apply, dirs, entry};
use crate::{Journal, Output, RecoverError, RecoveredSlots, SnapshotTask, recover_slots};
use base::{Lsn, NodeId, Rng, Zxid};
use broadcast::{Base, Slot, SlotKind};
use bytes::Bytes;
use std::path::Path;
use storage::journal::{Identity, Options, TornTail};
use storage::simulated::{MetadataMode, SimulatedDisk};
use storage::{Disk, Error, ReadOptions, RecoveryOptions};
use tree::Tree;

const IDENTITY: Identity = Identity { cluster: *b"a cluster of one", member: NodeId(7) };
/// Short, so that a few slots fill one.
const OPTIONS: Options = Options { segment_size: 4096 };

/// An empty disk.
fn new_disk(mode: MetadataMode) -> SimulatedDisk {
    SimulatedDisk::new(mode)
}

fn recover(disk: &SimulatedDisk) -> Result<RecoveredSlots<SimulatedDisk>, RecoverError> {
    let (options, journal) = (RecoveryOptions::default(), (IDENTITY, OPTIONS));
    recover_slots(disk, &dirs(), options, CONFIG, SNAPSHOT, journal, &mut || {})
}

/// What a journal amounts to.
#[derive(Clone, Debug, Default, PartialEq)]
struct Log {
    base: Option<Base>,
    slots: Vec<Slot>,
    term: i64,
    announced: Option<Base>,
}

impl Log {
    /// The last slot, or what stands in its place: index, period, place.
    fn last(&self) -> (u64, u64, Zxid) {
        let slot = self.slots.last().map(|slot| (slot.index, slot.period, slot.at));
        let base = self.base.as_ref().map(|base| (base.index, base.period, base.at));
        slot.or(base).unwrap_or((0, 0, Zxid::ZERO))
    }

    fn begin(&self) -> u64 {
        self.base.as_ref().map_or(0, |base| base.index)
    }

    fn put_base(&mut self, base: Base) {
        self.slots.retain(|slot| slot.index > base.index);
        self.base = Some(base);
    }

    /// What a start makes of it whose newest snapshot is of this place.
    fn settled(&self, applied: Zxid) -> Log {
        let mut log = self.clone();
        if let Some(base) = log.announced.take()
            && base.index > log.begin()
            && base.at <= applied
        {
            let same = |slot: &Slot| (slot.index, slot.period) == (base.index, base.period);
            if !log.slots.iter().any(same) {
                log.slots.clear();
            }
            log.put_base(base);
        }
        log
    }
}

/// The place and the digest of a tree.
type State = (Zxid, u64);

fn state(tree: &Tree) -> State {
    (tree.last_zxid(), tree.digest())
}

/// What a disk may hold.
#[derive(Clone, Debug)]
struct Possible {
    /// One of these, and nothing between them.
    logs: Vec<Log>,
    trees: Vec<State>,
    /// A state that is not there before its base is announced.
    coming: Option<State>,
}

/// What a start found.
struct Found {
    journal: storage::journal::Journal<SimulatedDisk>,
    tree: Tree,
    log: Log,
    torn: Option<TornTail>,
}

impl Possible {
    /// Starts, and sees that what is found is possible.
    fn check(&self, disk: &SimulatedDisk) -> Found {
        let found = recover(disk).unwrap_or_else(|error| panic!("a start: {error}"));
        let RecoveredSlots { tree, journal, torn, durable, .. } = found;
        assert!(!durable.is_lost, "nothing is lost");
        let now = state(&tree);
        assert!(self.trees.contains(&now), "{now:x?} is none of {:x?}", self.trees);
        let (base, slots, term) = (durable.bases.last().cloned(), durable.slots, durable.term);
        let log = Log { base, slots, term, announced: None };
        let knows_it = |log: &&Log| {
            let bases = log.announced.iter().chain(&log.base);
            self.coming != Some(now) || bases.into_iter().any(|base| base.at == now.0)
        };
        let logs = self.logs.iter().filter(knows_it);
        let expected: Vec<Log> = logs.map(|log| log.settled(now.0)).collect();
        assert!(expected.contains(&log), "{log:x?} is none of {expected:x?}");
        Found { journal, tree, log, torn }
    }
}

/// One thing that a member does with its journal.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Slots of this many bytes each.
    Slots(u64, usize),
    /// The last slots are cut off, and a later term begins.
    Cut(u64),
    Commit,
    /// A sync beside, with a slot that comes meanwhile.
    Beside,
    /// A text beside the journal.
    Text,
    /// A snapshot up to this many slots before the last, then the base.
    Snapshot(u64),
    /// What is to be done beside the journal.
    Chores,
    /// A state comes from a leader that is so many slots ahead.
    Ahead(u64),
    /// A state comes of a slot that is there, so many before the last.
    Held(u64),
    /// A state comes of a place so many before the last, where another history has been.
    Foreign(u64),
}

/// A member that lives on a disk.
struct Life {
    disk: SimulatedDisk,
    journal: Journal<SimulatedDisk>,
    tree: Tree,
    /// The last slot that the tree has.
    applied: u64,
    lsn: u64,
    /// What the journal may hold after a crash; the last is what was asked for.
    possible: Possible,
}

impl Life {
    /// A new member.
    fn begin(disk: SimulatedDisk) -> Result<Life, RecoverError> {
        let found = recover(&disk)?;
        assert!(!found.durable.is_lost);
        let (tree, logs) = (found.tree, vec![Log::default()]);
        let possible = Possible { logs, trees: vec![state(&tree)], coming: None };
        let journal = open(&disk, found.journal);
        Ok(Life { disk, journal, tree, applied: 0, lsn: 0, possible })
    }

    /// Goes on with what a start finds.
    fn restart(&mut self) -> Option<TornTail> {
        self.disk.clear_faults();
        let Found { journal, tree, log, torn } = self.possible.check(&self.disk);
        let has = |slot: &&Slot| slot.at <= tree.last_zxid();
        let applied = log.slots.iter().rev().find(has).map(|slot| slot.index);
        self.applied = applied.unwrap_or(log.begin());
        self.possible = Possible { logs: vec![log], trees: vec![state(&tree)], coming: None };
        (self.journal, self.tree) = (open(&self.disk, journal), tree);
        self.lsn = 0;
        torn
    }

    fn log(&self) -> &Log {
        self.possible.logs.last().unwrap()
    }

    fn next_lsn(&mut self) -> Lsn {
        self.lsn += 1;
        Lsn(self.lsn)
    }

    fn is_durable(&mut self) {
        self.possible.logs.drain(..self.possible.logs.len() - 1);
    }

    fn has_snapshot(&mut self) {
        self.possible.trees.drain(..self.possible.trees.len() - 1);
    }

    /// Has an output performed that makes `next` of the log.
    fn perform(&mut self, output: Output, next: Log) -> Result<(), Error> {
        self.possible.logs.push(next);
        assert_eq!(self.journal.perform(output)?, None);
        Ok(())
    }

    fn step(&mut self, step: Step) -> Result<(), Error> {
        match step {
            Step::Slots(count, bytes) => (0..count).try_for_each(|_| self.append(bytes)),
            Step::Cut(back) => self.cut(back),
            Step::Commit => self.commit(),
            Step::Beside => self.beside(),
            Step::Text => self.text(),
            Step::Snapshot(back) => self.snapshot(back),
            Step::Chores => self.chores(),
            Step::Ahead(by) => {
                let (index, period, _) = self.log().last();
                self.receive(index + by, period + 1)
            }
            Step::Held(back) => {
                self.apply_up_to(self.log().last().0 - back);
                self.install(self.applied)
            }
            Step::Foreign(back) => {
                let (index, period, _) = self.log().last();
                self.receive(index - back, period + 1)
            }
        }
    }

    fn append(&mut self, bytes: usize) -> Result<(), Error> {
        let mut next = self.log().clone();
        let (index, _, last) = next.last();
        let (index, period) = (index + 1, next.term.unsigned_abs());
        let slot = match index % 5 {
            0 => Slot { index, period, at: last, kind: SlotKind::Empty, body: Bytes::new() },
            1 => {
                let (kind, body) = (SlotKind::Control, Bytes::from_static(b"members"));
                Slot { index, period, at: last, kind, body }
            }
            _ => {
                let at = Zxid(last.0 + 1);
                let body = entry(at.0, &format!("{period} {}", "x".repeat(bytes)));
                Slot { index, period, at, kind: SlotKind::Item, body }
            }
        };
        next.slots.push(slot.clone());
        let lsn = self.next_lsn();
        self.perform(Output::Slot { lsn, slot }, next)
    }

    fn cut(&mut self, back: u64) -> Result<(), Error> {
        let mut next = self.log().clone();
        next.term += 1;
        let (lsn, name, value) = (self.next_lsn(), raft::TERM, next.term);
        self.perform(Output::Register { lsn, name, value }, next.clone())?;
        let from = (next.last().0 + 1 - back).max(self.applied + 1);
        next.slots.retain(|slot| slot.index < from);
        let lsn = self.next_lsn();
        self.perform(Output::Cut { lsn, from }, next)
    }

    fn commit(&mut self) -> Result<(), Error> {
        self.journal.commit()?;
        assert_eq!(self.journal.durable(), Lsn(self.lsn));
        self.is_durable();
        Ok(())
    }

    fn beside(&mut self) -> Result<(), Error> {
        self.append(50)?;
        let (covered, lsn) = (self.possible.logs.len() - 1, self.lsn);
        let job = self.journal.begin_sync()?.expect("a slot");
        self.append(700)?;
        self.journal.end_sync(job.perform())?;
        assert_eq!(self.journal.durable(), Lsn(lsn));
        self.possible.logs.drain(..covered);
        Ok(())
    }

    fn text(&mut self) -> Result<(), Error> {
        let text = format!("server.1={}", self.lsn);
        let (lsn, name) = (self.next_lsn(), "configuration.next");
        self.journal.perform(Output::Text { lsn, name, text: Some(text.clone()) })?;
        self.is_durable();
        let after = self.disk.fork();
        after.crash(&mut Rng::new(lsn.0));
        assert_eq!(after.contents(&dirs().data.join(name)).unwrap(), text.as_bytes());
        self.possible.check(&after);
        Ok(())
    }

    /// Only what is durable is applied.
    fn apply_up_to(&mut self, index: u64) {
        let slots = self.possible.logs.last().unwrap().slots.iter();
        for slot in slots.filter(|slot| slot.index > self.applied && slot.index <= index) {
            if slot.kind == SlotKind::Item {
                apply(&mut self.tree, &slot.body);
            }
        }
        self.applied = index;
        self.possible.trees.push(state(&self.tree));
    }

    fn snapshot(&mut self, back: u64) -> Result<(), Error> {
        self.commit()?;
        let index = self.log().last().0 - back;
        self.apply_up_to(index);
        let dir = dirs().snapshots();
        if SnapshotTask::take(self.disk.clone(), &dir, &self.tree, SNAPSHOT).is_err() {
            return Ok(()); // which is not the journal's matter: the log is not shortened
        }
        self.has_snapshot();
        let base = self.base_of(index);
        let mut next = self.log().clone();
        next.put_base(base.clone());
        let lsn = self.next_lsn();
        self.perform(Output::Base { lsn, base }, next)
    }

    /// The base that stands for a slot.
    fn base_of(&self, index: u64) -> Base {
        let slot = self.log().slots.iter().find(|slot| slot.index == index).expect("a slot");
        let configuration = Bytes::from_static(b"members");
        Base { index, period: slot.period, at: self.tree.last_zxid(), configuration }
    }

    fn chores(&mut self) -> Result<(), Error> {
        while let Some(chore) = self.journal.next_chore() {
            let is_last = matches!(chore, Chore::Ahead(_));
            let done = chore.perform(&self.disk);
            self.journal.chore_done(done)?;
            if is_last {
                break;
            }
        }
        Ok(())
    }

    /// A state of another history.
    fn receive(&mut self, index: u64, period: u64) -> Result<(), Error> {
        let at = Zxid(self.tree.last_zxid().0 + 1000);
        self.tree = Tree::new(CONFIG);
        apply(&mut self.tree, &entry(at.0, &format!("received {index} {period}")));
        self.possible.trees.push(state(&self.tree));
        self.applied = index;
        let configuration = Bytes::from_static(b"others");
        self.announce(Base { index, period, at, configuration })
    }

    /// The state of a slot that is there.
    fn install(&mut self, index: u64) -> Result<(), Error> {
        self.announce(self.base_of(index))
    }

    fn announce(&mut self, base: Base) -> Result<(), Error> {
        let mut next = self.log().clone();
        next.announced = Some(base.clone());
        let lsn = self.next_lsn();
        self.perform(Output::Announced { lsn, base: base.clone() }, next.clone())?;
        // Of the old log or the new state, one.
        (next.announced, next.slots) = (None, Vec::new());
        next.put_base(base);
        self.possible.logs.push(next);
        self.possible.coming = Some(state(&self.tree));
        self.journal.install(&self.tree, SNAPSHOT)?;
        self.possible.coming = None;
        self.is_durable();
        self.has_snapshot();
        Ok(())
    }
}

fn open(
    disk: &SimulatedDisk,
    journal: storage::journal::Journal<SimulatedDisk>,
) -> Journal<SimulatedDisk> {
    let (disk, dirs, read) = (disk.clone(), dirs(), ReadOptions::default());
    Journal::of_slots(journal, JournalFiles { disk, dirs, read, texts: None })
}

/// The files of the journal, oldest first.
fn segments(disk: &SimulatedDisk) -> Vec<String> {
    let names = disk.list(&dirs().logs()).unwrap().into_iter().map(|entry| entry.name);
    names.filter(|name| name.starts_with("journal.")).collect()
}

fn in_logs(name: impl AsRef<Path>) -> std::path::PathBuf {
    dirs().logs().join(name)
}
