//! A replicated counter: three members in one process, hosted in a hundred lines.
//!
//! `cargo run -p raft --example counter`. Links are queues and time is a number here; the order in
//! which the host does things is the one that a real host must keep.

#![expect(clippy::wildcard_enum_match_arm, reason = "nothing fails in this world")]

use base::{Lsn, Machine, NodeId, Rng, Time, Zxid};
use broadcast::{Context, Input, LinkId, Output, Proposal, View};
use bytes::Bytes;
use raft::{Config, Configuration, Durable, Raft};
use std::collections::{BTreeMap, VecDeque};

/// A member: its engine, and the counter that its service keeps.
struct Member {
    engine: Raft,
    counter: i64,
    /// The last place given out, while it is primary.
    primary: Option<Zxid>,
    /// The last record in its journal, and the last that is durable.
    written: Lsn,
    durable: Lsn,
    /// What waits for the journal.
    gated: VecDeque<Output>,
}

#[derive(Default)]
struct World {
    now: Time,
    members: BTreeMap<u64, Member>,
    /// The two ends of each connection.
    links: BTreeMap<(u64, LinkId), (u64, LinkId)>,
    inbox: VecDeque<(u64, Input)>,
}

impl World {
    fn start(&mut self, id: u64, configuration: &Configuration) {
        let config = Config::new(NodeId(id), 42, configuration.clone());
        let mut out = Vec::new();
        let engine = Raft::recover(config, Durable::default(), Rng::new(id), self.now, &mut out)
            .expect("an empty disk is a good one");
        let (written, durable, gated) = Default::default();
        let member = Member { engine, counter: 0, primary: None, written, durable, gated };
        self.members.insert(id, member);
        self.perform(id, out);
    }

    /// One fact, then every command.
    fn give(&mut self, id: u64, input: Input) {
        let mut out = Vec::new();
        let member = self.members.get_mut(&id).expect("nobody leaves");
        member.engine.handle(self.now, input, &mut out);
        self.perform(id, out);
    }

    fn perform(&mut self, id: u64, out: Vec<Output>) {
        for output in out {
            let member = self.members.get_mut(&id).expect("it acts");
            match output {
                // A real host writes the record to a file here, and syncs before it says Durable.
                Output::Persist { lsn, .. } => member.written = lsn,
                Output::Dial { link, addresses, channel } => {
                    let to: u64 = addresses[0].parse().expect("an address is an id here");
                    let theirs = LinkId::accepted(id << 32 | link.0);
                    self.links.insert((id, link), (to, theirs));
                    self.links.insert((to, theirs), (id, link));
                    self.inbox.push_back((id, Input::LinkUp { link, channel }));
                    self.inbox.push_back((to, Input::LinkUp { link: theirs, channel }));
                }
                Output::HeartbeatDue { link } => {
                    self.inbox.push_back((id, Input::Heartbeat { link, letter: Bytes::new() }));
                }
                output => member.gated.push_back(output),
            }
        }
        let member = self.members.get_mut(&id).expect("it acts");
        if member.written > member.durable {
            member.durable = member.written;
            self.inbox.push_back((id, Input::Durable { upto: member.durable }));
        }
        self.open_gates(id);
    }

    fn open_gates(&mut self, id: u64) {
        let member = self.members.get_mut(&id).expect("it acts");
        let durable = member.durable;
        let is_open = |output: &mut Output| match output {
            Output::Send { after, .. } | Output::Deliver { after, .. } => *after <= durable,
            _ => true,
        };
        while let Some(output) = member.gated.pop_front_if(is_open) {
            match output {
                Output::Send { link, frame: bytes, .. } => {
                    let (to, link) = self.links[&(id, link)];
                    self.inbox.push_back((to, Input::Received { link, bytes }));
                }
                Output::Deliver { item, .. } => member.counter += i64::from(item[0]),
                Output::View(View::Primary { last }) => member.primary = Some(last),
                Output::View(_) => member.primary = None,
                _ => {} // nothing else happens where no disk fails and nobody is slow
            }
        }
    }

    /// Adds to the counter at whoever is primary.
    fn add(&mut self, amount: u8) {
        let mut members = self.members.iter_mut();
        let (id, last) = members
            .find_map(|(id, member)| Some((*id, member.primary.as_mut()?)))
            .expect("somebody leads");
        *last = last.next();
        let item = Bytes::copy_from_slice(&[amount]);
        let proposal = Proposal { context: Context(u64::from(amount)), at: *last, item };
        self.inbox.push_back((id, Input::Proposed(vec![proposal])));
    }

    fn run(&mut self, until: Time) {
        loop {
            while let Some((id, input)) = self.inbox.pop_front() {
                self.give(id, input);
            }
            let due = self.members.iter().filter_map(|(id, m)| Some((m.engine.deadline()?, *id)));
            let Some((at, id)) = due.min().filter(|(at, _)| *at <= until) else { break };
            self.now = self.now.max(at);
            self.give(id, Input::TimerExpired);
        }
        self.now = until;
    }
}

fn main() {
    let member = |id: u64| (NodeId(id), [id.to_string()].into());
    let configuration = Configuration::new([1, 2, 3].map(member), []).expect("three voters");
    let mut world = World::default();
    [1, 2, 3].into_iter().for_each(|id| world.start(id, &configuration));
    world.run(Time::from_millis(5_000));
    (1..=10).for_each(|amount| world.add(amount));
    world.run(Time::from_millis(6_000));
    for (id, member) in &world.members {
        println!("member {id} counts {}", member.counter);
        assert_eq!(member.counter, 55);
    }
}
