//! A room of members: engines, their disks and connections, and the time that they share.
//!
//! A step is one thing that happens: bytes arrive, a disk syncs, time passes. Directed tests let
//! all of it happen in order, unless they hold something; the random test picks. After every step
//! the room checks what must always be so (`check`), and every frame against its sender's disk.

mod ask;
mod check;
mod disk;
mod host;
mod net;
mod transcript;

use crate::frames::Message;
use crate::{Config, Configuration, Lease, Limits, Raft};
pub(super) use ask::is_state;
use base::{Lsn, Machine, NodeId, Rng, Time, Zxid};
use broadcast::{Context, Decision, Input, Item, LinkId, Output, View};
use check::Truth;
use disk::Disk;
use net::Net;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use transcript::Transcript;

/// What all members are told at their start.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) initial: Configuration,
    pub(super) pre_vote: bool,
    pub(super) check_quorum: bool,
    pub(super) lease: Option<Lease>,
    pub(super) limits: Limits,
}

/// A running member.
pub(super) struct Member {
    pub(super) engine: Raft,
    pub(super) view: View,
    /// All that is applied.
    pub(super) state: Vec<(Zxid, Item)>,
    /// The last place that its service gave out.
    next: Zxid,
    durable: Lsn,
    /// What waits for gates: of links, and of the service.
    links: BTreeMap<LinkId, VecDeque<Output>>,
    stream: VecDeque<Output>,
    fetching: Option<(LinkId, Zxid)>,
    pub(super) paused: bool,
    pub(super) outcomes: BTreeMap<Context, Option<Decision>>,
    pub(super) asked: BTreeMap<Context, Zxid>,
    pub(super) ready: BTreeMap<Context, Zxid>,
    /// Reads that cannot run.
    pub(super) refused: BTreeMap<Context, Decision>,
    pub(super) letters: Vec<Item>,
    pub(super) forwarder: Option<LinkId>,
    pub(super) events: Vec<trace::Ensemble>,
    pub(super) fatal: Option<String>,
}

/// The room.
pub(super) struct Room {
    pub(super) now: Time,
    pub(super) setup: Setup,
    pub(super) members: BTreeMap<u64, Member>,
    pub(super) disks: BTreeMap<u64, Disk>,
    pub(super) net: Net,
    pub(super) transcript: Transcript,
    /// Members that the test plays.
    played: BTreeSet<u64>,
    /// Members of another history, which is not compared with that of the others.
    pub(super) strangers: BTreeSet<u64>,
    truth: Truth,
    contexts: u64,
    seed: Rng,
    log: VecDeque<String>,
}

/// These voters and learners, at the addresses that the room knows.
pub(super) fn members(voters: &[u64], learners: &[u64]) -> Configuration {
    crate::configuration::tests::of(voters, learners)
}

/// The members that an item names: `members 1,2 3` are voters 1 and 2, and learner 3.
fn names(item: &[u8]) -> Option<Configuration> {
    let text = std::str::from_utf8(item.strip_prefix(b"members ")?).ok()?;
    let (voters, learners) = text.split_once(' ')?;
    let ids =
        |text: &str| -> Vec<u64> { text.split(',').filter_map(|id| id.parse().ok()).collect() };
    Some(members(&ids(voters), &ids(learners)))
}

impl Room {
    /// Voters 1 to `size`, all running.
    pub(super) fn of(size: u64) -> Room {
        let mut room = Room::empty(&(1..=size).collect::<Vec<_>>(), &[]);
        (1..=size).for_each(|id| room.start(id));
        room
    }

    /// Members of which nobody runs yet.
    pub(super) fn empty(voters: &[u64], learners: &[u64]) -> Room {
        let limits = Limits { recent_entries: 1000, ..Limits::default() };
        let (initial, lease) = (members(voters, learners), None);
        Room {
            now: Time::ZERO,
            setup: Setup { initial, pre_vote: true, check_quorum: true, lease, limits },
            members: BTreeMap::new(),
            disks: BTreeMap::new(),
            net: Net::default(),
            transcript: Transcript::default(),
            played: BTreeSet::new(),
            strangers: BTreeSet::new(),
            truth: Truth::default(),
            contexts: 0,
            seed: Rng::new(7),
            log: VecDeque::new(),
        }
    }

    /// Draws all that is random from this seed.
    pub(super) fn seeded(mut self, seed: u64) -> Room {
        self.seed = Rng::new(seed);
        self
    }

    /// Starts a member on what its disk holds.
    pub(super) fn start(&mut self, id: u64) {
        assert!(!self.members.contains_key(&id), "member {id} runs");
        let disk = self.disks.entry(id).or_default();
        let (durable, state) = (disk.recover(), disk.state.clone());
        let Setup { initial, pre_vote, check_quorum, lease, limits } = self.setup.clone();
        let mut config = Config::new(NodeId(id), CLUSTER, initial);
        config.listen = [net::address(id)].into();
        config.names = names;
        (config.pre_vote, config.check_quorum) = (pre_vote, check_quorum);
        (config.lease, config.limits) = (lease, limits);
        let mut out = Vec::new();
        let rng = self.seed.fork();
        let engine = Raft::recover(config, durable, rng, self.now, &mut out).expect("a good disk");
        self.note(format!("{id} starts"));
        self.started(id);
        let member = Member {
            engine,
            view: View::Apart,
            state,
            next: Zxid::ZERO,
            durable: Lsn::ZERO,
            links: BTreeMap::new(),
            stream: VecDeque::new(),
            fetching: None,
            paused: false,
            outcomes: BTreeMap::new(),
            asked: BTreeMap::new(),
            ready: BTreeMap::new(),
            refused: BTreeMap::new(),
            letters: Vec::new(),
            forwarder: None,
            events: Vec::new(),
            fatal: None,
        };
        self.members.insert(id, member);
        self.perform(id, out);
    }

    /// Ends a member: what was not synced is lost but for the first `kept` records, and its
    /// connections break.
    pub(super) fn crash_keeping(&mut self, id: u64, kept: usize) {
        self.note(format!("{id} crashes, keeps {kept}"));
        assert!(self.members.remove(&id).is_some(), "member {id} does not run");
        self.disks.get_mut(&id).expect("it ran").crash(kept);
        self.net.abandon(id);
    }

    pub(super) fn crash(&mut self, id: u64) {
        self.crash_keeping(id, 0);
    }

    pub(super) fn restart(&mut self, id: u64) {
        self.crash(id);
        self.start(id);
    }

    /// Gives a member a fact, and checks everything.
    pub(super) fn give(&mut self, id: u64, input: Input) {
        if !self.members.contains_key(&id) {
            return;
        }
        let mut out = Vec::new();
        if !matches!(input, Input::Received { .. }) {
            let line = format!("{id} <- {input:?}");
            self.note(line);
        }
        let member_engine = &mut self.members.get_mut(&id).expect("it runs").engine;
        member_engine.handle(self.now, input, &mut out);
        self.perform(id, out);
        self.check(id);
    }

    /// Everything that can happen at this moment happens, in order.
    pub(super) fn flow(&mut self) {
        for _ in 0..STEPS_MAX {
            let ids: Vec<u64> = self.members.keys().copied().collect();
            let mut moved = false;
            for id in ids {
                if self.disks.get(&id).is_some_and(|disk| !disk.held && disk.has_pending()) {
                    self.sync(id, usize::MAX);
                    moved = true;
                }
            }
            for (conn, side) in self.net.deliverable() {
                moved |= self.arrive(conn, side);
            }
            if !moved {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        self.run_while(until, |_| true);
        self.now = until;
    }

    /// Lets time pass until this is so; a minute at the most.
    pub(super) fn until(&mut self, what: &str, done: impl Fn(&Room) -> bool) {
        self.run_while(self.now + Duration::from_mins(1), |room| !done(room));
        let states = || -> Vec<String> {
            let members = self.members.iter();
            members
                .map(|(id, member)| {
                    let Raft { core, role } = &member.engine;
                    let (term, last, committed) =
                        (core.term, core.log.last_index(), core.log.committed());
                    let (fetching, now) = (&core.fetching, core.log.configuration());
                    format!(
                        "{id}: {term} {last} {committed} {:?} {fetching:?} {role:?} {now:?}",
                        core.view()
                    )
                })
                .collect()
        };
        assert!(done(self), "a minute later it is still not so that {what}: {:#?}", states());
    }

    fn run_while(&mut self, until: Time, more: impl Fn(&Room) -> bool) {
        self.flow();
        let mut steps = 0;
        while more(self) {
            steps += 1;
            assert!(steps < STEPS_MAX, "time does not go on");
            let Some((at, id)) = self.next_deadline().filter(|(at, _)| *at <= until) else {
                return;
            };
            self.now = self.now.max(at);
            self.give(id, Input::TimerExpired);
            self.flow();
        }
    }

    /// Which member wants to hear of time next, and when.
    pub(super) fn next_deadline(&self) -> Option<(Time, u64)> {
        let awake = self.members.iter().filter(|(_, member)| !member.paused);
        awake.filter_map(|(id, member)| Some((member.engine.deadline()?, *id))).min()
    }

    fn note(&mut self, line: String) {
        let ms = self.now.0 as f64 / 1e6;
        self.log.push_back(format!("{ms:10.3} {line}"));
        if self.log.len() > LINES_KEPT {
            self.log.pop_front();
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.log.iter().for_each(|line| eprintln!("{line}"));
        }
    }
}

/// An item of text.
pub(super) fn item(text: &str) -> Item {
    Item::from(text.to_owned())
}

/// Milliseconds.
pub(super) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A message as a frame.
pub(super) fn frame(message: &Message) -> Item {
    let mut bytes = Vec::new();
    message.put(&mut bytes);
    bytes.into()
}

pub(super) const CLUSTER: u64 = 0xc1;
const STEPS_MAX: usize = 10_000;
const LINES_KEPT: usize = 300;
