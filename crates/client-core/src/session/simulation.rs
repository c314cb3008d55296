//! A simulated network under the session: links that are cut at every point, a small server model
//! that remembers what it did, other clients that write, callers that cancel and time out.
//!
//! Checked: every request is completed once (or was cancelled); answers come in the order of the
//! requests; no write is done twice; every outcome that is called known is true; after the faults
//! end, no watcher waits for a change that has happened.

mod model;
mod verdict;

use super::{Ctx, Input, LinkId, Output, Session, State};
use crate::{
    ANY_VERSION, Config, ConnectString, Error, EventKind, Mode, Op, Reply, Request, WatcherId,
};
use base::{Machine, Rng, Time};
use bytes::Bytes;
use model::{Connection, Tree};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use wire::{Acl, AddWatchMode};

/// What was asked, as far as its check goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Write,
    Read,
    /// Completed at once or with the link: out of the order.
    Beside,
}

/// What a watcher waits for, and what it was told.
#[derive(Debug)]
struct Watcher {
    path: String,
    kind: Waits,
    /// The step of its success.
    since: usize,
    told: Vec<(usize, EventKind)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    /// For a change of the data that had this mzxid, or of its absence.
    Data(Option<i64>),
    /// For a change of the children that had this pzxid.
    Children(i64),
    Persistent,
    Recursive,
}

/// How often something rare happened, over all seeds.
#[derive(Debug, Default)]
struct Marks {
    done_unknown: usize,
    undone_unknown: usize,
    replayed: usize,
    resumed: usize,
    chunked: usize,
    cuts: usize,
    timed_out: usize,
    cancelled: usize,
}

struct Link {
    id: LinkId,
    connection: Connection,
    to_server: VecDeque<Bytes>,
    to_client: VecDeque<Bytes>,
}

struct World {
    rng: Rng,
    now: Time,
    step: usize,
    session: Session,
    dials: Vec<LinkId>,
    link: Option<Link>,
    tree: Tree,
    paths: Vec<String>,
    next: u64,
    asked: BTreeMap<u64, (Asked, Option<(Waits, String)>)>,
    cancelled: BTreeSet<u64>,
    outcomes: BTreeMap<u64, Result<Reply, Error>>,
    last_answered: u64,
    watchers: BTreeMap<u64, Watcher>,
    marks: Marks,
}

impl World {
    fn new(seed: u64) -> World {
        let mut rng = Rng::new(seed);
        let mut config = Config::new("a,b,c/c".parse::<ConnectString>().unwrap());
        config.session_timeout = Duration::from_secs(4);
        config.seed = seed;
        config.read_attempts = if rng.one_in(3) { 1 } else { 50 };
        // Names so long that watches on them need several requests to be set again.
        let length = if rng.one_in(8) { 30_000 } else { 1 };
        let paths = (0..8).map(|i| format!("/{}{i}", "n".repeat(length))).collect();
        World {
            now: Time::ZERO,
            step: 0,
            session: Session::new(config, Time::ZERO),
            dials: Vec::new(),
            link: None,
            tree: Tree::new("/c"),
            paths,
            next: 1,
            asked: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            outcomes: BTreeMap::new(),
            last_answered: 0,
            watchers: BTreeMap::new(),
            marks: Marks::default(),
            rng,
        }
    }

    fn run(mut self) -> Marks {
        for _ in 0..300 {
            self.step += 1;
            self.now += Duration::from_millis(self.rng.below(8));
            match self.rng.below(100) {
                0..25 => self.submit(),
                25..28 => self.cancel(),
                28..40 => self.other_client(),
                40..44 => self.cut(),
                44..46 => self.now += Duration::from_millis(self.rng.below(4000)),
                _ => self.progress(),
            }
            self.timers();
        }
        self.heal();
        self.verdict();
        self.marks
    }

    /// A short run whose link is cut once, at a step and after so many frames each way.
    fn run_with_cut(mut self, at: usize, served: usize, arriving: usize) -> Marks {
        for step in 0..SHORT_RUN {
            self.step += 1;
            self.now += Duration::from_millis(1);
            if step == at {
                self.cut_after(served, arriving);
            }
            match step % 5 {
                0 | 1 => self.submit(),
                2 if step % 3 == 0 => self.other_client(),
                _ => self.progress(),
            }
            self.timers();
        }
        self.heal();
        self.verdict();
        self.marks
    }

    fn heal(&mut self) {
        for _ in 0..20_000 {
            self.step += 1;
            let idle = self.dials.is_empty()
                && self.session.outstanding() == 0
                && self.session.state() == State::Connected
                && self
                    .link
                    .as_ref()
                    .is_some_and(|l| l.to_server.is_empty() && l.to_client.is_empty());
            if idle {
                return;
            }
            if !self.progress_one() {
                self.now = self.now.max(self.session.deadline().unwrap());
            }
            self.timers();
        }
        panic!("it never settled: {:?}", self.session);
    }

    fn give(&mut self, input: Input) {
        let mut out = Vec::new();
        self.session.handle(self.now, input, &mut out);
        for output in out {
            self.perform(output);
        }
    }

    fn timers(&mut self) {
        while self.session.deadline().is_some_and(|at| at <= self.now) {
            self.give(Input::TimerExpired);
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Dial { link, .. } => self.dials.push(link),
            Output::Hangup { link } => {
                self.dials.retain(|l| *l != link);
                if self.link.as_ref().is_some_and(|l| l.id == link) {
                    self.link = None;
                }
            }
            Output::Send { link, bytes } => {
                if let Some(l) = self.link.as_mut().filter(|l| l.id == link) {
                    let mut frames = crate::Frames::new(1 << 20);
                    frames.buffer.extend_from_slice(&bytes);
                    while let Some(frame) = frames.next_frame().unwrap() {
                        l.to_server.push_back(frame);
                    }
                    assert!(frames.buffer.is_empty(), "only whole frames are sent");
                }
            }
            Output::Probe { .. } => panic!("read-only mode was not asked for"),
            Output::State(state) => assert!(!state.is_final(), "{state:?}"),
            Output::Event { watcher, event } => {
                let known = self.watchers.get_mut(&watcher.0).expect("told before it was set");
                known.told.push((self.step, event.kind));
                assert!(self.paths.contains(&event.path) || event.path == "/", "{}", event.path);
                self.marks.resumed += usize::from(event.kind == EventKind::Resumed);
                self.marks.replayed +=
                    usize::from(event.zxid == -1 && event.kind != EventKind::Resumed);
            }
            Output::Completed { ctx, outcome } => self.completed(ctx.0, outcome),
        }
    }

    fn completed(&mut self, ctx: u64, outcome: Result<Reply, Error>) {
        assert!(!self.cancelled.contains(&ctx), "{ctx} was cancelled");
        let (asked, waits) = self.asked[&ctx].clone();
        let is_answer = matches!(outcome, Ok(_) | Err(Error::Refused(_)));
        if is_answer && asked != Asked::Beside {
            assert!(ctx > self.last_answered, "{ctx} after {}", self.last_answered);
            self.last_answered = ctx;
        }
        if let (Ok(reply), Some((kind, path))) = (&outcome, waits) {
            let kind = match (kind, reply) {
                (Waits::Data(_), Reply::Data(_, stat)) => Waits::Data(Some(stat.mzxid)),
                (Waits::Data(_), Reply::Exists(stat)) => Waits::Data(stat.map(|s| s.mzxid)),
                (Waits::Children(_), Reply::ChildrenWithStat(_, stat)) => {
                    Waits::Children(stat.pzxid)
                }
                (kind, _) => kind,
            };
            let watcher = Watcher { path, kind, since: self.step, told: Vec::new() };
            self.watchers.insert(ctx, watcher);
        }
        self.marks.timed_out += usize::from(matches!(outcome, Err(Error::TimedOut { .. })));
        let earlier = self.outcomes.insert(ctx, outcome);
        assert!(earlier.is_none(), "{ctx} was completed twice");
    }

    fn submit(&mut self) {
        let ctx = self.next;
        self.next += 1;
        let path = self.rng.pick(&self.paths.clone()).clone();
        let watch = self.rng.one_in(2).then_some(WatcherId(ctx));
        let data = Some(Bytes::copy_from_slice(&ctx.to_be_bytes()));
        let waits = |kind| watch.map(|_| (kind, path.clone()));
        let (request, asked, waits) = match self.rng.below(9) {
            0 | 1 => {
                let op = Op::SetData { path, data, version: ANY_VERSION };
                (Request::Write(op), Asked::Write, None)
            }
            2 => {
                let op = Op::Create { path, data, acl: Acl::open(), mode: Mode::Persistent };
                (Request::Write(op), Asked::Write, None)
            }
            3 => {
                let waits = waits(Waits::Data(None));
                (Request::GetData { path, watch }, Asked::Read, waits)
            }
            4 => {
                let waits = waits(Waits::Data(None));
                (Request::Exists { path, watch }, Asked::Read, waits)
            }
            5 => {
                let waits = watch.map(|_| (Waits::Children(0), "/".to_owned()));
                (Request::ChildrenWithStat { path: "/".into(), watch }, Asked::Read, waits)
            }
            6 => {
                let (mode, kind, path) = if self.rng.one_in(2) {
                    (AddWatchMode::Persistent, Waits::Persistent, path)
                } else {
                    (AddWatchMode::PersistentRecursive, Waits::Recursive, "/".to_owned())
                };
                let waits = Some((kind, path.clone()));
                let watcher = WatcherId(ctx);
                (Request::AddWatch { path, mode, watcher }, Asked::Read, waits)
            }
            7 => {
                let ids: Vec<u64> = self.watchers.keys().copied().collect();
                let id = if ids.is_empty() { 0 } else { *self.rng.pick(&ids) };
                (Request::RemoveWatcher(WatcherId(id)), Asked::Beside, None)
            }
            _ => (Request::Sync { path }, Asked::Read, None),
        };
        self.asked.insert(ctx, (asked, waits));
        let deadline =
            self.rng.one_in(6).then(|| self.now + Duration::from_millis(self.rng.below(200)));
        self.give(Input::Submitted { ctx: Ctx(ctx), request, deadline });
    }

    /// A caller goes away: of a request under way, or of a watcher.
    fn cancel(&mut self) {
        let waiting: Vec<u64> = (1..self.next).filter(|c| !self.outcomes.contains_key(c)).collect();
        if self.rng.one_in(2) && !waiting.is_empty() {
            let ctx = *self.rng.pick(&waiting);
            self.cancelled.insert(ctx);
            self.marks.cancelled += 1;
            self.give(Input::Cancelled { ctx: Ctx(ctx) });
        } else if let Some((id, _)) = self.watchers.pop_first() {
            self.give(Input::Unwatched { watcher: WatcherId(id) });
        }
    }

    fn other_client(&mut self) {
        let path = format!("/c{}", self.rng.pick(&self.paths));
        let events = match self.rng.below(3) {
            0 => self.tree.create(&path, 0, self.step),
            1 => self.tree.set(&path, 0, self.step),
            _ => self.tree.delete(&path, self.step),
        };
        if let (Some(link), Ok((_, events))) = (&mut self.link, events) {
            link.connection.tell(&events, &mut link.to_client);
        }
    }

    /// Ends the link: some of what is on its way still arrives, in both directions.
    fn cut(&mut self) {
        if let Some(link) = self.link.take() {
            let served = self.rng.below(link.to_server.len() as u64 + 1) as usize;
            self.end_link(link, served, |rng, there| rng.below(there as u64 + 1) as usize);
        }
    }

    /// Ends the link after so many frames of what is on its way to either side.
    fn cut_after(&mut self, served: usize, arriving: usize) {
        if let Some(link) = self.link.take() {
            let served = served.min(link.to_server.len());
            self.end_link(link, served, |_, there| arriving.min(there));
        }
    }

    /// Ends a link; `arriving` says how many of the frames that are there reach the client.
    fn end_link(
        &mut self,
        mut link: Link,
        served: usize,
        arriving: impl FnOnce(&mut Rng, usize) -> usize,
    ) {
        self.marks.cuts += 1;
        for frame in link.to_server.drain(..served) {
            link.connection.serve(&mut self.tree, &frame, &mut link.to_client, self.step);
        }
        let id = link.id;
        let arriving = arriving(&mut self.rng, link.to_client.len());
        for frame in link.to_client.drain(..).take(arriving) {
            self.give(Input::Received { link: id, frame });
        }
        self.give(Input::Disconnected { link: id });
    }

    fn progress(&mut self) {
        self.progress_one();
    }

    /// One thing that is under way happens; says whether there was one.
    fn progress_one(&mut self) -> bool {
        if let Some(link) = self.dials.pop() {
            let (to_server, to_client) = (VecDeque::new(), VecDeque::new());
            self.link =
                Some(Link { id: link, connection: Connection::default(), to_server, to_client });
            self.give(Input::Connected { link });
            return true;
        }
        let toward_client = self.rng.one_in(2);
        let Some(link) = &mut self.link else { return false };
        if toward_client || link.to_server.is_empty() {
            let Some(frame) = link.to_client.pop_front() else { return false };
            let id = link.id;
            self.give(Input::Received { link: id, frame });
        } else {
            let frame = link.to_server.pop_front().expect("looked at");
            link.connection.serve(&mut self.tree, &frame, &mut link.to_client, self.step);
            self.marks.chunked = self.marks.chunked.max(link.connection.set_watches);
        }
        true
    }
}

#[test]
fn no_reply_is_lost_or_doubled_and_no_watcher_waits_in_vain() {
    let mut all = Marks::default();
    for seed in 0..4000 {
        // A failing seed is named by its panic's test output.
        let marks = std::panic::catch_unwind(|| World::new(seed).run());
        let Ok(marks) = marks else { panic!("seed {seed}") };
        all.done_unknown += marks.done_unknown;
        all.undone_unknown += marks.undone_unknown;
        all.replayed += marks.replayed;
        all.resumed += marks.resumed;
        all.chunked = all.chunked.max(marks.chunked);
        all.cuts += marks.cuts;
        all.timed_out += marks.timed_out;
        all.cancelled += marks.cancelled;
    }
    // A world that never does this proves nothing.
    assert!(all.done_unknown > 100 && all.undone_unknown > 100, "{all:?}");
    assert!(all.replayed > 1000 && all.resumed > 1000 && all.cuts > 10_000, "{all:?}");
    assert!(all.timed_out > 1000 && all.cancelled > 1000 && all.chunked >= 2, "{all:?}");
}

/// Steps of a run that is cut once; more frames than this are hardly ever on their way.
const SHORT_RUN: usize = 60;
const ON_THE_WAY_MAX: usize = 5;

#[test]
fn a_cut_at_any_point_is_survived() {
    let mut all = Marks::default();
    for seed in 0..6 {
        for at in 0..SHORT_RUN {
            for (served, arriving) in
                (0..ON_THE_WAY_MAX).flat_map(|s| (0..ON_THE_WAY_MAX).map(move |a| (s, a)))
            {
                let run = || World::new(seed).run_with_cut(at, served, arriving);
                let Ok(marks) = std::panic::catch_unwind(run) else {
                    panic!("seed {seed}, cut at {at} after {served} and {arriving}")
                };
                all.cuts += marks.cuts;
                all.done_unknown += marks.done_unknown;
                all.undone_unknown += marks.undone_unknown;
                all.resumed += marks.resumed;
            }
        }
    }
    // All but the first steps, before there is a link, are points to cut at.
    assert!(all.cuts > 6 * (SHORT_RUN - 5) * ON_THE_WAY_MAX * ON_THE_WAY_MAX, "{all:?}");
    assert!(all.done_unknown > 100 && all.undone_unknown > 100 && all.resumed > 1000, "{all:?}");
}

#[test]
fn a_seed_gives_the_same_commands_twice() {
    let trace = |seed| {
        let mut world = World::new(seed);
        let mut trace = String::new();
        for _ in 0..200 {
            world.step += 1;
            world.now += Duration::from_millis(world.rng.below(8));
            if world.rng.one_in(3) {
                world.submit()
            } else {
                world.progress()
            }
            world.timers();
            trace += &format!("{:?}", world.session);
        }
        trace
    };
    assert_eq!(trace(7), trace(7));
    assert_ne!(trace(7), trace(8));
}
