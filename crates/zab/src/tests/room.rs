//! A room of members: engines, their disks and links, and the time that they share.
//!
//! Everything happens in the order in which it comes, unless a test holds it: a link's direction,
//! a disk. After every step it is checked that whatever is decided is decided in one order
//! everywhere, and that nothing left its sender before what it claims was on the disk.

mod ask;
mod decode;
mod disk;
mod gates;
mod net;
mod peer;
mod transcript;

pub(super) use peer::packet;

use crate::{Config, Limits, Marks, Status, Zab};
use base::{Lsn, Machine, NodeId, Time, Zxid};
use broadcast::{Channel, Context, Decision, Input, Item, LinkId, Output, View};
use disk::Disk;
use gates::Gates;
use net::Net;
use peer::Peer;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use transcript::Transcript;
use wire::quorum::{Membership, Rules, put_touch};

/// What all members are told at their start.
#[derive(Clone)]
pub(super) struct Setup {
    pub(super) membership: Membership,
    pub(super) reconfig: bool,
    pub(super) observer_port: Option<u16>,
    pub(super) limits: Limits,
}

pub(super) struct Room {
    pub(super) now: Time,
    pub(super) setup: Setup,
    pub(super) transcript: Transcript,
    members: BTreeMap<u64, Member>,
    disks: BTreeMap<u64, Disk>,
    peers: BTreeMap<u64, Peer>,
    events: VecDeque<(u64, Input)>,
    /// What waits for members that sleep.
    asleep: BTreeMap<u64, Vec<Input>>,
    net: Net,
    /// What is decided, wherever.
    order: Vec<(Zxid, Item)>,
    contexts: u64,
}

/// A running member.
struct Member {
    engine: Zab,
    listening: BTreeSet<Channel>,
    /// The last place of the order that its service knows to be taken.
    next: Zxid,
    /// The state: all that is applied.
    state: Vec<(Zxid, Item)>,
    view: View,
    gates: Gates,
    fetching: Option<Fetching>,
    told: Vec<trace::Ensemble>,
    outcomes: Vec<(Context, Decision)>,
    reads: Vec<(Context, Zxid)>,
    /// What other services wrote to this one: letters, answers, beats.
    letters: Vec<Item>,
    /// The link that the last letter of a replica came on.
    forwarder: Option<LinkId>,
    fatal: Option<String>,
    log_by_hand: bool,
    asked_for_log: Option<LinkId>,
}

/// A state that comes in.
struct Fetching {
    link: LinkId,
    at: Zxid,
    bytes: Vec<u8>,
}

/// The text of an ensemble: participants 1 to `voters`, then as many observers.
pub(super) fn ensemble_text(voters: u64, observers: u64) -> String {
    let line = |id: u64| {
        let role = if id > voters { "observer" } else { "participant" };
        format!("server.{id}=m{id}:2888:3888:{role}\n")
    };
    (1..=voters + observers).map(line).collect()
}

/// The text of an ensemble of these participants.
pub(super) fn members_text(ids: &[u64]) -> String {
    ids.iter().map(|id| format!("server.{id}=m{id}:2888:3888:participant\n")).collect()
}

impl Room {
    /// Participants 1 to `size`, all running.
    pub(super) fn of(size: u64) -> Room {
        let mut room = Room::empty(&ensemble_text(size, 0));
        room.start_all();
        room
    }

    /// An ensemble of which nobody runs yet.
    pub(super) fn empty(text: &str) -> Room {
        let membership = Membership::parse(text, &Rules::DEFAULT).expect("a good text");
        Room {
            now: Time::ZERO,
            setup: Setup {
                membership,
                reconfig: false,
                observer_port: None,
                limits: Limits::default(),
            },
            transcript: Transcript::default(),
            members: BTreeMap::new(),
            disks: BTreeMap::new(),
            peers: BTreeMap::new(),
            events: VecDeque::new(),
            asleep: BTreeMap::new(),
            net: Net::default(),
            order: Vec::new(),
            contexts: 0,
        }
    }

    /// Starts every member that does not run.
    pub(super) fn start_all(&mut self) {
        let ids: Vec<u64> = self.setup.membership.servers().map(|s| s.id() as u64).collect();
        for id in ids {
            if !self.members.contains_key(&id) && !self.peers.contains_key(&id) {
                self.restart(id);
            }
        }
    }

    /// Starts a member with exactly what its disk holds.
    pub(super) fn restart(&mut self, id: u64) {
        assert!(!self.members.contains_key(&id), "member {id} runs");
        let disk = self.disks.entry(id).or_default();
        let durable = disk.recover();
        let state = disk.entries.clone();
        let config = Config {
            me: NodeId(id),
            committed: disk.committed(&self.setup.membership),
            last_seen: disk.last_seen(),
            reconfig: self.setup.reconfig,
            multi_address: false,
            listen_on_all: false,
            observer_port: self.setup.observer_port,
            limits: self.setup.limits,
        };
        self.transcript.note(self.now, &format!("{id} starts"));
        let mut out = Vec::new();
        let engine = Zab::recover(config, durable, self.now, &mut out);
        let member = Member {
            engine,
            listening: BTreeSet::new(),
            next: Zxid::ZERO,
            state,
            view: View::Apart,
            gates: Gates::default(),
            fetching: None,
            told: Vec::new(),
            outcomes: Vec::new(),
            reads: Vec::new(),
            letters: Vec::new(),
            forwarder: None,
            fatal: None,
            log_by_hand: false,
            asked_for_log: None,
        };
        self.members.insert(id, member);
        self.perform(id, out);
    }

    /// Starts a member that knows the ensemble, and itself as one that is to join.
    pub(super) fn join(&mut self, id: u64, ensemble: &[u64]) {
        self.restart_told(id, &members_text(&[ensemble, &[id]].concat()));
        self.run(Duration::from_secs(2));
    }

    /// Starts a member with a file that its operator has written, on a state that shows the
    /// configuration of this version.
    pub(super) fn restart_with_file(&mut self, id: u64, text: &str, shown: i64) {
        let disk = self.disks.entry(id).or_default();
        disk.forget_configurations();
        disk.shown_configuration = shown;
        self.restart_told(id, text);
    }

    /// Starts a member that is told of another ensemble than all others.
    fn restart_told(&mut self, id: u64, text: &str) {
        let told = Membership::parse(text, &Rules::DEFAULT).expect("a good text");
        let known = std::mem::replace(&mut self.setup.membership, told);
        self.restart(id);
        self.setup.membership = known;
    }

    /// Ends a member: what its disk had not made durable is lost, and its links break.
    pub(super) fn crash(&mut self, id: u64) {
        self.transcript.note(self.now, &format!("{id} crashes"));
        assert!(self.members.remove(&id).is_some(), "member {id} does not run");
        self.disks.entry(id).or_default().lose_written();
        self.break_links(|from, _| from == id);
    }

    /// Ends a member and gives it an empty disk, and a host that knows that there was another.
    pub(super) fn lose_disk(&mut self, id: u64) {
        self.crash(id);
        let mut disk = Disk::default();
        disk.lost = true;
        self.disks.insert(id, disk);
    }

    /// The disk fails: nothing more becomes durable.
    pub(super) fn fail_disk(&mut self, id: u64) {
        self.transcript.note(self.now, &format!("the disk of {id} fails"));
        self.disks.entry(id).or_default().held = true;
        self.events.push_back((id, Input::DiskFailed { at: Lsn::ZERO }));
        self.flow();
    }

    /// From now on nothing becomes durable at this member.
    pub(super) fn hold_disk(&mut self, id: u64) {
        self.transcript.note(self.now, &format!("the disk of {id} is slow"));
        self.disks.entry(id).or_default().held = true;
    }

    /// Everything that was written becomes durable, and all that is written from now on.
    pub(super) fn release_disk(&mut self, id: u64) {
        self.transcript.note(self.now, &format!("the disk of {id} is quick"));
        self.disks.entry(id).or_default().held = false;
        self.sync_disk(id, usize::MAX);
    }

    /// The next `count` records become durable.
    pub(super) fn sync_disk(&mut self, id: u64, count: usize) {
        self.flush(id, count);
        self.flow();
    }

    /// Everything that follows at this moment.
    pub(super) fn flow(&mut self) {
        let mut steps = 0;
        while let Some((node, input)) = self.events.pop_front() {
            self.handle(node, input);
            steps += 1;
            assert!(steps < STEPS_MAX, "it does not come to rest");
        }
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        self.run_while(until, |_| true);
        self.now = until;
    }

    /// Lets time pass until this is so; half a minute at the most.
    pub(super) fn until(&mut self, what: &str, done: impl Fn(&Room) -> bool) {
        let until = self.now + SETTLE;
        self.run_while(until, |room| !done(room));
        assert!(done(self), "half a minute later it is still not so that {what}");
    }

    /// Half a minute.
    pub(super) fn settle(&mut self) {
        self.run(SETTLE);
    }

    fn run_while(&mut self, until: Time, more: impl Fn(&Room) -> bool) {
        let mut steps = 0;
        self.flow();
        while more(self) {
            let awake = self.members.iter().filter(|(id, _)| !self.asleep.contains_key(id));
            let due = awake.filter_map(|(id, m)| Some((m.engine.deadline()?, *id)));
            let Some((at, id)) = due.min().filter(|(at, _)| *at <= until) else { return };
            self.now = self.now.max(at);
            self.handle(id, Input::TimerExpired);
            self.flow();
            steps += 1;
            assert!(steps < STEPS_MAX, "time does not go on");
        }
    }

    /// A member's process stands still: nothing reaches it, and its timers do not run.
    pub(super) fn pause(&mut self, id: u64) {
        self.transcript.note(self.now, &format!("{id} stands still"));
        self.asleep.insert(id, Vec::new());
    }

    pub(super) fn resume(&mut self, id: u64) {
        self.transcript.note(self.now, &format!("{id} goes on"));
        for input in self.asleep.remove(&id).unwrap_or_default() {
            self.handle(id, input);
        }
        self.flow();
    }

    fn handle(&mut self, node: u64, input: Input) {
        if let Some(waiting) = self.asleep.get_mut(&node) {
            return waiting.push(input);
        }
        let Some(input) = self.arrive(node, input) else { return };
        let Some(member) = self.members.get_mut(&node) else { return };
        let mut out = Vec::new();
        member.engine.handle(self.now, input, &mut out);
        self.perform(node, out);
    }

    fn perform(&mut self, id: u64, out: Vec<Output>) {
        for output in out {
            self.act(id, output);
        }
        if !self.disks.entry(id).or_default().held {
            self.flush(id, usize::MAX);
        }
        self.pump(id);
    }

    fn act(&mut self, id: u64, output: Output) {
        self.transcript.output(self.now, id, &output);
        let member = self.members.get_mut(&id).expect("it acts");
        match output {
            Output::Persist { lsn, record } => {
                self.disks.entry(id).or_default().write(lsn, record);
            }
            Output::ResetTo { at } => self.disks.entry(id).or_default().reset(at),
            Output::Send { .. }
            | Output::SendSnapshot { .. }
            | Output::Close { .. }
            | Output::Deliver { .. }
            | Output::View(_) => member.gates.push(output),
            Output::Listen { channel, .. } => {
                member.listening.insert(channel);
            }
            Output::Unlisten { channel } => {
                member.listening.remove(&channel);
            }
            Output::Dial { link, channel, addresses } => {
                self.dial((id, link), channel, &addresses[0]);
            }
            Output::HeartbeatDue { link } => {
                let mut letter = Vec::new();
                put_touch(&mut letter, id as i64, BEAT_MS);
                let letter = Item::from(letter);
                self.events.push_back((id, Input::Heartbeat { link, letter }));
            }
            Output::ReadLog { link, .. } if member.log_by_hand => {
                member.asked_for_log = Some(link);
            }
            Output::ReadLog { link, from } => {
                let entries = self.disks[&id].read_log(from);
                self.events.push_back((id, Input::LogRead { link, entries }));
            }
            Output::FetchSnapshot { link, at, rest } => {
                member.fetching = Some(Fetching { link, at, bytes: Vec::new() });
                self.fetched(id, &rest);
            }
            Output::Outcome { context, decision } => member.outcomes.push((context, decision)),
            Output::ReadReady { context, at_least } => member.reads.push((context, at_least)),
            Output::Trace(trace::Event::Ensemble(event)) => member.told.push(event),
            Output::Fatal { reason } => member.fatal = Some(reason),
            Output::Forwarded { from, letter, .. } => {
                member.forwarder = Some(from);
                member.letters.push(letter);
            }
            Output::Answered { letter } | Output::HeartbeatHeard { letter, .. } => {
                member.letters.push(letter)
            }
            Output::Trace(_) => {}
        }
    }

    /// What a member applies is what is applied everywhere.
    fn applied(&mut self, id: u64) {
        let state = &self.members[&id].state;
        let both = state.len().min(self.order.len());
        assert_eq!(state[..both], self.order[..both], "member {id} has another order");
        self.order.extend_from_slice(&state[both..]);
        let grows = self.order.is_sorted_by(|(before, _), (after, _)| before < after);
        assert!(grows, "the order goes back at member {id}");
    }

    pub(super) fn status(&self, id: u64) -> Status {
        self.members[&id].engine.status()
    }

    pub(super) fn marks(&self, id: u64) -> Marks {
        self.members[&id].engine.marks()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.transcript.tail());
        }
    }
}

/// An item of text.
pub(super) fn item(text: &str) -> Item {
    Item::from(text.to_owned())
}

/// The time-out of the one session that each member's service has heard of, in ms.
pub(super) const BEAT_MS: i32 = 4000;
/// More steps than anything takes.
const STEPS_MAX: u64 = 100_000;
/// A while in which everything settles that does.
const SETTLE: Duration = Duration::from_secs(30);
