//! The engines of three members that decide what one of them proposes: who leads, two who follow,
//! and between them links that are instant and disks that are as quick.
//!
//! What is counted is ZAB alone, of all three together: no tree, no journal, no socket.

use crate::batch::{Batch, Benchmark};
use crate::house::NOW;
use crate::requests::DATA;
use base::{Lsn, Machine, NodeId, Time, Zxid};
use broadcast::{Channel, Context, Input, Item, LinkId, Output, Proposal, View};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use wire::quorum::{Membership, Rules};
use zab::{Config, Durable, Limits, Zab};

pub(crate) const BENCHMARKS: &[Benchmark] =
    &[Benchmark { name: "zab-broadcast", operations: COUNT, set_up: broadcasting }];

const COUNT: usize = 1000;
/// Proposals that are made together.
const ROUND: usize = 50;

/// A member, and its end of a link.
type End = (u64, LinkId);

struct Member {
    engine: Zab,
    listening: BTreeSet<Channel>,
    /// The end of its history when it became primary.
    leads_from: Option<Zxid>,
    written: Lsn,
    delivered: usize,
}

struct Ensemble {
    now: Time,
    members: BTreeMap<u64, Member>,
    /// The other end of each link.
    links: BTreeMap<End, End>,
    accepted: u64,
    events: VecDeque<(u64, Input)>,
    outputs: Vec<Output>,
}

impl Ensemble {
    /// Members that have found a leader.
    fn established() -> Ensemble {
        let text = IDS.map(|id| format!("server.{id}=m{id}:2888:3888:participant\n")).concat();
        let committed = Membership::parse(&text, &Rules::DEFAULT).expect("a good text");
        let mut ensemble = Ensemble {
            now: NOW,
            members: BTreeMap::new(),
            links: BTreeMap::new(),
            accepted: 0,
            events: VecDeque::new(),
            outputs: Vec::new(),
        };
        IDS.into_iter().for_each(|id| ensemble.start(id, &committed));
        while ensemble.serving() < IDS.len() {
            ensemble.next_timer();
        }
        ensemble
    }

    fn start(&mut self, id: u64, committed: &Membership) {
        let config = Config {
            me: NodeId(id),
            committed: committed.clone(),
            last_seen: None,
            reconfig: false,
            multi_address: false,
            listen_on_all: false,
            observer_port: None,
            limits: Limits::default(),
        };
        let engine = Zab::recover(config, Durable::default(), self.now, &mut self.outputs);
        let listening = BTreeSet::new();
        let (leads_from, written, delivered) = (None, Lsn::ZERO, 0);
        self.members.insert(id, Member { engine, listening, leads_from, written, delivered });
        self.perform(id);
    }

    fn serving(&self) -> usize {
        self.members.values().filter(|member| member.engine.status().serving).count()
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
            Output::View(View::Primary { last }) => member.leads_from = Some(last),
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

/// Rounds of proposals to the one that leads.
struct Broadcasting {
    ensemble: Ensemble,
    leader: u64,
    rounds: Vec<Vec<Proposal>>,
}

fn broadcasting() -> Box<dyn Batch> {
    let mut ensemble = Ensemble::established();
    let mut leaders = ensemble.members.iter().filter_map(|(id, m)| Some((*id, m.leads_from?)));
    let (leader, mut at) = leaders.next_back().expect("one leads");
    let mut round = || {
        let items = Item::from(DATA.repeat(ROUND)); // one buffer, as a primary's batch is
        let next = |number| {
            at = at.next();
            let item = items.slice(number * DATA.len()..(number + 1) * DATA.len());
            Proposal { context: Context(0), at, item }
        };
        (0..ROUND).map(next).collect()
    };
    let first = round();
    let rounds = (0..COUNT / ROUND).map(|_| round()).collect();
    ensemble.events.push_back((leader, Input::Proposed(first)));
    ensemble.flow(); // buffers have their size
    ensemble.members.values_mut().for_each(|member| member.delivered = 0);
    Box::new(Broadcasting { ensemble, leader, rounds })
}

impl Batch for Broadcasting {
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
