//! The world: members, links and clocks, and a queue of what happens next.

use crate::chance;
use crate::clock::Clock;
use crate::engines::chaos::Mend;
use crate::engines::heal::Phase;
use crate::engines::history::{Chain, State};
use crate::engines::host::{Effect, Host, Scene};
use crate::engines::judge::{Judge, Step, violated};
use crate::engines::options::Options;
use crate::engines::report::{Counts, Report};
use crate::engines::service::Told;
use crate::engines::subject::Subject;
use crate::hash::{hash_bytes, mix};
use crate::net::{self, Manners, Net};
use base::{Machine, NodeId, Rng, Time, Zxid};
use broadcast::{Input, LinkId};
use std::cmp::Ordering;
use std::collections::{BTreeSet, BinaryHeap};
use std::time::Duration;

/// What happens next. Those of a run that is over are nothing.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Start { member: usize },
    Wake { member: usize, at: Time },
    Net(net::Event),
    Synced { member: usize, run: u32 },
    Reset { member: usize, run: u32 },
    Stored { member: usize, run: u32, link: LinkId },
    LogRead { member: usize, run: u32, link: LinkId, from: Zxid },
    Checkpoint { member: usize },
    Crash { member: usize, run: u32 },
    Resume { member: usize },
    Work,
    Strike { index: usize },
    Mend(Mend),
    Heal,
    Poll,
}

struct Due {
    at: Time,
    order: u64,
    event: Event,
}

impl Ord for Due {
    fn cmp(&self, other: &Due) -> Ordering {
        // The heap gives its greatest: the earliest is that.
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Due {}

/// A member, and what the world does to it.
pub(crate) struct Member<E> {
    pub(crate) host: Host<E>,
    pub(crate) clock: Clock,
    wake: Option<Time>,
    spins: u32,
    pub(crate) paused: bool,
    pub(crate) deferred: Vec<Event>,
    /// It never comes back.
    pub(crate) frozen: bool,
    pub(crate) disk_factor: u64,
    pub(crate) store_fails: bool,
    /// It crashes at the next sync: when that begins, or when it is done.
    pub(crate) sync_trap: Option<bool>,
    /// So many more starts end in a crash.
    pub(crate) crash_loop: u32,
}

/// One run.
pub(crate) struct World<S: Subject> {
    pub(crate) subject: S,
    pub(crate) options: Options,
    pub(crate) rng: Rng,
    pub(crate) now: Time,
    pub(crate) unit: Duration,
    queue: BinaryHeap<Due>,
    order: u64,
    pub(crate) members: Vec<Member<S::Engine>>,
    pub(crate) net: Net,
    pub(crate) judge: Judge,
    logs: Vec<Chain>,
    effects: Vec<Effect>,
    told: Vec<Told>,
    pub(crate) phase: Phase,
    pub(crate) decided_ids: BTreeSet<u64>,
    pub(crate) next_id: u64,
    pub(crate) counts: Counts,
    hash: u64,
    lines: Option<Vec<String>>,
    keep_lines: usize,
}

impl<S: Subject> World<S> {
    pub(crate) fn new(subject: S, options: Options, rng: Rng, keep_lines: usize) -> World<S> {
        let nodes = options.setup.everybody();
        let hosts = nodes.iter().enumerate().map(|(index, node)| {
            let mut host = Host::new(*node, index);
            host.service.window = options.window;
            host
        });
        let members: Vec<Member<S::Engine>> = hosts.map(Member::new).collect();
        let count = members.len();
        let unit = subject.patience();
        let Options { latency, cuts, .. } = options;
        let manners = Manners { latency, patience: unit, cuts };
        let mut world = World {
            unit,
            subject,
            rng,
            now: Time::ZERO,
            queue: BinaryHeap::new(),
            order: 0,
            members,
            net: Net::new(count, manners),
            judge: Judge::new(S::UNIQUE_PLACES, &options.setup),
            logs: vec![Chain::ROOT; count],
            effects: Vec::new(),
            told: Vec::new(),
            phase: Phase::Unsafe,
            decided_ids: BTreeSet::new(),
            next_id: 1,
            counts: Counts::default(),
            hash: 0,
            lines: (keep_lines > 0).then(Vec::new),
            keep_lines,
            options,
        };
        world.begin();
        world
    }

    /// All have the same history already.
    fn found(&mut self) {
        let Some((at, registers)) = self.subject.begins() else { return };
        let chain = self.judge.found(at);
        let state = State { last: at, count: 1, chain, work: Zxid::ZERO };
        for (member, log) in self.members.iter_mut().zip(&mut self.logs) {
            let disk = &mut member.host.disk;
            for image in [&mut disk.live, &mut disk.durable] {
                image.install(at, state, chain);
                image.registers.clone_from(&registers);
            }
            *log = chain;
            let rank = self.subject.rank(&registers, at);
            let held =
                self.judge.holds(member.host.index, chain, rank, self.subject.periods(&registers));
            held.expect("nothing is decided yet");
        }
        self.judge.shown(NodeId(0), chain).expect("all have it");
    }

    fn begin(&mut self) {
        self.found();
        for member in 0..self.members.len() {
            let delay = self.between(Duration::ZERO, self.unit);
            self.schedule(delay, Event::Start { member });
            if !self.options.checkpoint.is_zero() {
                let delay = self.around(self.options.checkpoint);
                self.schedule(delay, Event::Checkpoint { member });
            }
        }
        for index in 0..self.options.strikes.len() {
            let at = self.options.strikes[index].at;
            self.schedule(at.since(Time::ZERO), Event::Strike { index });
        }
        self.schedule(self.options.think, Event::Work);
        self.schedule(self.options.duration, Event::Heal);
    }

    pub(crate) fn run(mut self, seed: u64) -> Report {
        let mut ending = Ok(());
        while self.phase != Phase::Done {
            let Some(due) = self.queue.pop() else { break };
            self.now = due.at;
            self.counts.steps += 1;
            ending = self.dispatch(due.event);
            if ending.is_ok() && self.counts.steps > STEPS_MAX {
                ending = violated("a run ends", format!("{STEPS_MAX} steps"));
            }
            if ending.is_err() {
                break;
            }
        }
        self.counts.seeds = 1;
        self.counts.simulated = self.now.since(Time::ZERO);
        self.counts.decided = self.judge.decided() as u64;
        self.counts.periods = self.judge.periods();
        let ends = |at: &Zxid| self.subject.is_end_of_period(*at);
        let ended: BTreeSet<u32> =
            self.judge.decided_places().filter(ends).map(Zxid::epoch).collect();
        self.counts.roll_overs = ended.len() as u64;
        self.counts.changes = self.judge.decided_changes();
        self.counts.grouped = u64::from(!self.options.setup.groups.is_empty());
        self.counts.dials = self.net.dials;
        for member in &self.members {
            self.counts.frames += member.host.frames;
            self.counts.transfers += member.host.transfers;
            self.counts.resets += member.host.resets;
            self.counts.truncations += member.host.disk.truncations;
        }
        let mut lines = self.lines.take().unwrap_or_default();
        let surplus = lines.len().saturating_sub(self.keep_lines);
        lines.drain(..surplus);
        let violation = ending.err().map(|violation| (self.now, violation));
        Report { seed, violation, hash: self.hash, counts: self.counts, lines }
    }

    fn dispatch(&mut self, event: Event) -> Step {
        if let Some(member) = self.target(&event)
            && self.members[member].paused
        {
            self.members[member].deferred.push(event);
            return Ok(());
        }
        match event {
            Event::Start { member } => self.start(member),
            Event::Wake { member, at } => self.wake(member, at),
            Event::Net(event) => self.net(event),
            Event::Synced { member, run } if self.runs(member, run) => self.synced(member),
            Event::Reset { member, run } if self.runs(member, run) => {
                self.with(member, |host, now, scene| host.reset(now, scene))
            }
            Event::Stored { member, run, link } if self.runs(member, run) => {
                let fails = std::mem::take(&mut self.members[member].store_fails);
                self.with(member, |host, now, scene| match fails {
                    true => host.not_stored(now, link, scene),
                    false => host.stored(now, link, scene),
                })
            }
            Event::LogRead { member, run, link, from } if self.runs(member, run) => {
                self.counts.log_reads += 1;
                self.with(member, |host, now, scene| host.log_read(now, link, from, scene))
            }
            Event::Crash { member, run }
                if self.phase == Phase::Unsafe && self.runs(member, run) =>
            {
                self.crash(member)
            }
            Event::Synced { .. }
            | Event::Reset { .. }
            | Event::Stored { .. }
            | Event::LogRead { .. }
            | Event::Crash { .. } => Ok(()), // of a run that is over
            Event::Checkpoint { member } => self.checkpoint(member),
            Event::Resume { member } => self.resume(member),
            Event::Work => self.work(),
            Event::Strike { index } => self.strike(index),
            Event::Mend(mend) => self.mend(mend),
            Event::Heal => self.heal(),
            Event::Poll => self.poll(),
        }
    }

    /// Whose process must run for this to happen.
    fn target(&self, event: &Event) -> Option<usize> {
        match event {
            Event::Wake { member, .. }
            | Event::Synced { member, .. }
            | Event::Reset { member, .. }
            | Event::Stored { member, .. }
            | Event::LogRead { member, .. } => Some(*member),
            Event::Net(event) => self.net.target(event),
            Event::Start { .. }
            | Event::Checkpoint { .. }
            | Event::Crash { .. }
            | Event::Resume { .. }
            | Event::Work
            | Event::Strike { .. }
            | Event::Mend(_)
            | Event::Heal
            | Event::Poll => None,
        }
    }

    fn runs(&self, member: usize, run: u32) -> bool {
        let host = &self.members[member].host;
        host.run == run && host.engine.is_some()
    }

    /// Lets a host do something, and then all that follows from it.
    pub(crate) fn with(
        &mut self,
        index: usize,
        act: impl FnOnce(&mut Host<S::Engine>, Time, &mut Scene<'_, S>) -> Step,
    ) -> Step {
        let mut effects = std::mem::take(&mut self.effects);
        let mut lines = Vec::new();
        let member = &mut self.members[index];
        let mut scene = Scene {
            subject: &self.subject,
            judge: &mut self.judge,
            effects: &mut effects,
            peers: &self.net.peers[index],
            logs: &self.logs,
            told: &mut self.told,
            lines: self.lines.is_some().then_some(&mut lines),
        };
        let step = act(&mut member.host, member.clock.local(self.now), &mut scene);
        let node = member.host.node.0;
        lines.iter().for_each(|line| self.note(node, line));
        step?;
        let member = &mut self.members[index];
        self.logs[index] = member.host.disk.live.tip().1;
        for effect in effects.drain(..) {
            if let Effect::Crash = effect {
                self.crash(index)?;
                break;
            }
            self.perform(index, effect)?;
        }
        self.effects = effects;
        self.hear(index);
        self.begin_sync(index)?;
        self.rewake(index);
        Ok(())
    }

    fn hear(&mut self, index: usize) {
        let node = self.members[index].host.node.0;
        for told in std::mem::take(&mut self.told) {
            match told {
                Told::Delivered { id, acknowledged } => {
                    self.counts.acknowledged += u64::from(acknowledged);
                    self.decided_ids.insert(id);
                }
                Told::ReadDone { id } => {
                    self.counts.reads += 1;
                    self.decided_ids.insert(id);
                }
                Told::Refused => self.counts.refused += 1,
                Told::Viewed(view) => {
                    self.note(node, &format!("{view:?}"));
                    match view {
                        broadcast::View::Primary { .. } => self.counts.primaries += 1,
                        broadcast::View::Replica { .. } => self.counts.replicas += 1,
                        broadcast::View::Apart | broadcast::View::Silent => {}
                    }
                }
            }
        }
    }

    fn wake(&mut self, index: usize, at: Time) -> Step {
        let member = &mut self.members[index];
        if member.wake != Some(at) {
            return Ok(());
        }
        member.wake = None;
        let local = member.clock.local(self.now);
        let due = member.host.engine.as_ref().and_then(Machine::deadline);
        if due.is_none_or(|due| due > local) {
            self.rewake(index);
            return Ok(());
        }
        member.spins += 1;
        if member.spins > SPINS_MAX {
            let evidence = format!("node {}: {due:?} at {local:?}", member.host.node.0);
            return violated("a timer that expired is put off", evidence);
        }
        self.mix(&[1, index as u64]);
        self.with(index, |host, now, scene| host.handle(now, Input::TimerExpired, scene))
    }

    /// Sees to it that the engine is woken at its deadline.
    pub(crate) fn rewake(&mut self, index: usize) {
        let member = &mut self.members[index];
        let Some(due) = member.host.engine.as_ref().and_then(Machine::deadline) else { return };
        let at = member.clock.world(due).max(self.now);
        if at > self.now {
            member.spins = 0;
        }
        if member.wake.is_none_or(|wake| at < wake) {
            member.wake = Some(at);
            self.schedule(at.since(self.now), Event::Wake { member: index, at });
        }
    }

    /// The clock of this member has changed: what was planned by it is void.
    pub(crate) fn unwake(&mut self, index: usize) {
        self.members[index].wake = None;
        self.rewake(index);
    }

    pub(crate) fn schedule(&mut self, delay: Duration, event: Event) {
        self.order += 1;
        self.queue.push(Due { at: self.now + delay, order: self.order, event });
    }

    /// Something went in or out: it counts for the hash.
    pub(crate) fn mix(&mut self, words: &[u64]) {
        self.hash = words.iter().fold(mix(self.hash, self.now.0), |hash, word| mix(hash, *word));
    }

    pub(crate) fn mix_bytes(&mut self, index: usize, bytes: &[u8]) {
        self.mix(&[2, index as u64, hash_bytes(bytes)]);
    }

    pub(crate) fn note(&mut self, node: u64, line: &str) {
        let at = self.now.0 as f64 / 1e6;
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{at:12.3} {node} {line}"));
            if lines.len() > self.keep_lines * 2 + 1000 {
                lines.drain(..self.keep_lines);
            }
        }
    }

    pub(crate) fn between(&mut self, low: Duration, high: Duration) -> Duration {
        chance::between(&mut self.rng, low, high)
    }

    /// Around `mean`, with a long tail.
    pub(crate) fn around(&mut self, mean: Duration) -> Duration {
        chance::around(&mut self.rng, mean)
    }
}

impl<E: Machine<Input = Input, Output = broadcast::Output>> Member<E> {
    fn new(host: Host<E>) -> Member<E> {
        Member {
            host,
            clock: Clock::default(),
            wake: None,
            spins: 0,
            paused: false,
            deferred: Vec::new(),
            frozen: false,
            disk_factor: 1,
            store_fails: false,
            sync_trap: None,
            crash_loop: 0,
        }
    }
}

/// A run that takes more is one that does not end.
const STEPS_MAX: u64 = 1_000_000;
/// A timer may expire so often at one moment.
const SPINS_MAX: u32 = 1000;
