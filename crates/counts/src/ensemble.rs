//! The engines of three members that decide what one of them proposes: who leads, two who follow,
//! and between them links that are instant and disks that are as quick.
//!
//! What is counted is the engine alone, of all three together: no tree, no journal, no socket.

use crate::batch::{Batch, Benchmark};
use crate::house::NOW;
use crate::requests::DATA;
use base::{Lsn, NodeId, Rng, Time, Zxid};
use broadcast::{Channel, Context, Engine, Input, Item, LinkId, Output, Proposal, View};
use bytes::Bytes;
use raft::Raft;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use wire::quorum::{Membership, Rules};
use zab::Zab;

pub(crate) const BENCHMARKS: &[Benchmark] = &[
    Benchmark { name: "zab-broadcast", operations: COUNT, set_up: || broadcasting(zab, ROUND) },
    Benchmark { name: "raft-broadcast", operations: COUNT, set_up: || broadcasting(raft, ROUND) },
    Benchmark { name: "raft-single", operations: COUNT, set_up: || broadcasting(raft, 1) },
];

const COUNT: usize = 1000;
/// Proposals that are made together.
const ROUND: usize = 50;

/// A member, and its end of a link.
type End = (u64, LinkId);

struct Member<E> {
    engine: E,
    listening: BTreeSet<Channel>,
    /// Whether it leads or follows.
    serves: bool,
    /// The end of its history when it became primary.
    leads_from: Option<Zxid>,
    written: Lsn,
    delivered: usize,
}

struct Ensemble<E> {
    now: Time,
    members: BTreeMap<u64, Member<E>>,
    /// The other end of each link.
    links: BTreeMap<End, End>,
    accepted: u64,
    events: VecDeque<(u64, Input)>,
    outputs: Vec<Output>,
}

/// An engine that begins with an empty disk.
type Start<E> = fn(NodeId, Time, &mut Vec<Output>) -> E;

fn zab(me: NodeId, now: Time, out: &mut Vec<Output>) -> Zab {
    let text = IDS.map(|id| format!("server.{id}=m{id}:2888:3888:participant\n")).concat();
    let config = zab::Config {
        me,
        committed: Membership::parse(&text, &Rules::DEFAULT).expect("a good text"),
        last_seen: None,
        reconfig: false,
        multi_address: false,
        listen_on_all: false,
        observer_port: None,
        limits: zab::Limits::default(),
    };
    Zab::recover(config, zab::Durable::default(), now, out)
}

fn raft(me: NodeId, now: Time, out: &mut Vec<Output>) -> Raft {
    let members = IDS.map(|id| (NodeId(id), [format!("m{id}:2888")].into()));
    let members = raft::Configuration::new(members, []).expect("three voters");
    let config = raft::Config::new(me, 1, members);
    let engine = Raft::recover(config, raft::Durable::default(), Rng::new(me.0), now, out);
    engine.expect("an empty disk is a good one")
}

impl<E: Engine> Ensemble<E> {
    /// Members that have found a leader.
    fn established(start: Start<E>) -> Ensemble<E> {
        let mut ensemble = Ensemble {
            now: NOW,
            members: BTreeMap::new(),
            links: BTreeMap::new(),
            accepted: 0,
            events: VecDeque::new(),
            outputs: Vec::new(),
        };
        IDS.into_iter().for_each(|id| ensemble.start(id, start));
        while !ensemble.members.values().all(|member| member.serves) {
            ensemble.next_timer();
        }
        ensemble
    }

    fn start(&mut self, id: u64, start: Start<E>) {
        let engine = start(NodeId(id), self.now, &mut self.outputs);
        let (listening, written) = Default::default();
        let (serves, leads_from, delivered) = (false, None, 0);
        let member = Member { engine, listening, serves, leads_from, written, delivered };
        self.members.insert(id, member);
        self.perform(id);
    }

    fn next_timer(&mut self) {
        let due = self.members.iter().filter_map(|(id, m)| Some((m.engine.deadline()?, *id)));
        let (at, id) = due.min().expect("somebody waits for something");
        self.now = self.now.max(at);
        self.events.push_back((id, Input::TimerExpired));
        self.flow();
    }

    /// Everything that follows at this moment.
    fn flow(&mut self) {
        while let Some((id, input)) = self.events.pop_front() {
            let member = self.members.get_mut(&id).expect("nobody goes");
            member.engine.handle(self.now, input, &mut self.outputs);
            self.perform(id);
        }
    }

    /// What is written is durable before anything else happens, so that no gate is shut.
    fn perform(&mut self, id: u64) {
        let member = self.members.get_mut(&id).expect("nobody goes");
        let written = member.written;
        let mut outputs = std::mem::take(&mut self.outputs);
        for output in &outputs {
            if let Output::Persist { lsn, .. } = output {
                member.written = *lsn;
            }
        }
        if member.written > written {
            self.events.push_back((id, Input::Durable { upto: member.written }));
        }
        outputs.drain(..).for_each(|output| self.act(id, output));
        self.outputs = outputs;
    }

    #[allow(clippy::wildcard_enum_match_arm)] // the rest does not happen, or asks for nothing
    fn act(&mut self, id: u64, output: Output) {
        let member = self.members.get_mut(&id).expect("nobody goes");
        match output {
            Output::Send { link, frame, .. } => self.send((id, link), frame),
            Output::Deliver { .. } => member.delivered += 1,
            Output::View(view) => member.told(view),
            Output::Listen { channel, .. } => {
                member.listening.insert(channel);
            }
            Output::Unlisten { channel } => {
                member.listening.remove(&channel);
            }
            Output::Dial { link, channel, addresses } => {
                self.dial((id, link), channel, &addresses[0]);
            }
            Output::Close { link } => self.close((id, link)),
            Output::HeartbeatDue { link } => {
                self.events.push_back((id, Input::Heartbeat { link, letter: Bytes::new() }));
            }
            _ => {}
        }
    }

    fn send(&mut self, from: End, bytes: Bytes) {
        if let Some((to, link)) = self.links.get(&from).copied() {
            self.events.push_back((to, Input::Received { link, bytes }));
        }
    }

    fn dial(&mut self, from: End, channel: Channel, address: &str) {
        let host = address.split(':').next().and_then(|host| host.strip_prefix('m'));
        let to: u64 = host.and_then(|id| id.parse().ok()).expect("an address of the ensemble");
        if !self.members.get(&to).is_some_and(|member| member.listening.contains(&channel)) {
            return self.down(from, "refused");
        }
        self.accepted += 1;
        let there = (to, LinkId::accepted(self.accepted));
        for (end, other) in [(from, there), (there, from)] {
            self.links.insert(end, other);
        }
        for (id, link) in [there, from] {
            self.events.push_back((id, Input::LinkUp { link, channel }));
        }
    }

    fn close(&mut self, from: End) {
        if let Some(other) = self.links.remove(&from) {
            self.links.remove(&other);
            self.down(other, "closed by the peer");
        }
    }

    fn down(&mut self, (id, link): End, reason: &str) {
        self.events.push_back((id, Input::LinkDown { link, reason: reason.to_owned() }));
    }
}

impl<E> Member<E> {
    fn told(&mut self, view: View) {
        self.serves = matches!(view, View::Primary { .. } | View::Replica { .. });
        if let View::Primary { last } = view {
            self.leads_from = Some(last);
        }
    }
}

/// Rounds of proposals to the one that leads.
struct Broadcasting<E> {
    ensemble: Ensemble<E>,
    leader: u64,
    rounds: Vec<Vec<Proposal>>,
}

/// Rounds of so many proposals that are made together.
fn broadcasting<E: Engine + 'static>(start: Start<E>, together: usize) -> Box<dyn Batch> {
    let mut ensemble = Ensemble::established(start);
    let mut leaders = ensemble.members.iter().filter_map(|(id, m)| Some((*id, m.leads_from?)));
    let (leader, mut at) = leaders.next_back().expect("one leads");
    let mut round = || {
        let items = Item::from(DATA.repeat(together)); // one buffer, as a primary's batch is
        let next = |number| {
            at = at.next();
            let item = items.slice(number * DATA.len()..(number + 1) * DATA.len());
            Proposal { context: Context(0), at, item }
        };
        (0..together).map(next).collect()
    };
    let first = round();
    let rounds = (0..COUNT / together).map(|_| round()).collect();
    ensemble.events.push_back((leader, Input::Proposed(first)));
    ensemble.flow(); // buffers have their size
    ensemble.members.values_mut().for_each(|member| member.delivered = 0);
    Box::new(Broadcasting { ensemble, leader, rounds })
}

impl<E: Engine> Batch for Broadcasting<E> {
    fn run(&mut self) -> usize {
        for round in self.rounds.drain(..) {
            self.ensemble.events.push_back((self.leader, Input::Proposed(round)));
            self.ensemble.flow();
        }
        self.ensemble.members[&self.leader].delivered
    }

    fn check(&mut self) {
        for (id, member) in &self.ensemble.members {
            assert_eq!(member.delivered, COUNT, "all is decided at member {id}");
        }
    }
}

const IDS: [u64; 3] = [1, 2, 3];
