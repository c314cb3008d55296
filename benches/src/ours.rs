//! Quorate's engine: its frames go through queues, its records into a log in memory.

use crate::{Applied, Ensemble, Load, RECENT};
use base::{Lsn, Machine, NodeId, Rng, Time, Zxid};
use broadcast::{Context, Input, LinkId, Output, Proposal, Record, View};
use bytes::Bytes;
use raft::{Config, Configuration, Durable, Raft};
use std::collections::VecDeque;

struct Member {
    engine: Raft,
    journal: VecDeque<Record>,
    written: Lsn,
    /// The last place given out, while it is primary.
    primary: Option<Zxid>,
    applied: Applied,
    /// Both ends of its links: its own, and whose and which the other one is.
    links: Vec<(LinkId, usize, LinkId)>,
}

/// Three of them.
pub(crate) struct Members {
    now: Time,
    members: Vec<Member>,
    inbox: VecDeque<(usize, Input)>,
    outputs: Vec<Output>,
    /// The load's items that are proposed by now.
    next: usize,
    /// What the leader had applied before.
    before: u64,
    leader: usize,
}

impl Members {
    pub(crate) fn start() -> Members {
        let member = |id: u64| (NodeId(id), [id.to_string()].into());
        let configuration = Configuration::new([0, 1, 2].map(member), []).expect("three voters");
        let (inbox, outputs) = Default::default();
        let (now, members) = (Time::ZERO, Vec::new());
        let mut all = Members { now, members, inbox, outputs, next: 0, before: 0, leader: 0 };
        let mut beginnings = Vec::new();
        for id in 0..3 {
            let config = Config::new(NodeId(id), 42, configuration.clone());
            let mut outputs = Vec::new();
            let engine =
                Raft::recover(config, Durable::default(), Rng::new(id), all.now, &mut outputs);
            let engine = engine.expect("an empty disk is a good one");
            let (journal, written, applied, links) = Default::default();
            all.members.push(Member { engine, journal, written, primary: None, applied, links });
            beginnings.push(outputs);
        }
        for (id, outputs) in beginnings.into_iter().enumerate() {
            all.outputs = outputs;
            all.perform(id);
        }
        let nothing = Load::new(0, 8, 0);
        all.flow(&nothing);
        while all.members.iter().all(|member| member.primary.is_none()) {
            let due = all.members.iter().enumerate();
            let due = due.filter_map(|(id, member)| Some((member.engine.deadline()?, id))).min();
            let (at, id) = due.expect("somebody waits for something");
            all.now = all.now.max(at);
            all.inbox.push_back((id, Input::TimerExpired));
            all.flow(&nothing);
        }
        all.leader = all.members.iter().position(|m| m.primary.is_some()).expect("one leads");
        all
    }

    /// The next items, as many as may be under way, in one piece: all that a host has at a moment.
    fn propose(&mut self, load: &Load) {
        let member = &mut self.members[self.leader];
        let under_way = self.next - (member.applied.items - self.before) as usize;
        let free = (load.window - under_way).min(load.items.len() - self.next);
        let Some(last) = member.primary.as_mut().filter(|_| free > 0) else { return };
        let items = &load.items[self.next..self.next + free];
        let proposals = items.iter().map(|item| {
            *last = last.next();
            Proposal { context: Context(last.0 as u64), at: *last, item: item.clone() }
        });
        self.inbox.push_back((self.leader, Input::Proposed(proposals.collect())));
        self.next += free;
    }

    fn flow(&mut self, load: &Load) {
        while let Some((id, input)) = self.inbox.pop_front() {
            self.members[id].engine.handle(self.now, input, &mut self.outputs);
            let before = self.members[id].applied.items;
            self.perform(id);
            if id == self.leader && self.members[id].applied.items > before {
                self.propose(load);
            }
        }
    }

    /// What is written is durable at once: no gate is ever shut.
    #[expect(clippy::wildcard_enum_match_arm, reason = "nothing fails in this world")]
    fn perform(&mut self, id: usize) {
        let mut outputs = std::mem::take(&mut self.outputs);
        let written = self.members[id].written;
        for output in outputs.drain(..) {
            let member = &mut self.members[id];
            match output {
                Output::Persist { lsn, record } => {
                    member.written = lsn;
                    member.journal.push_back(record);
                    if member.journal.len() > RECENT {
                        member.journal.pop_front();
                    }
                }
                Output::Send { link, frame: bytes, .. } => {
                    let end = member.links.iter().find(|(own, _, _)| *own == link);
                    let (_, to, link) = *end.expect("nobody goes");
                    self.inbox.push_back((to, Input::Received { link, bytes }));
                }
                Output::Deliver { item, .. } => member.applied.apply(&item),
                Output::View(View::Primary { last }) => member.primary = Some(last),
                Output::View(_) => member.primary = None,
                Output::Dial { link, channel, addresses } => {
                    let to: usize = addresses[0].parse().expect("an address is a number here");
                    let theirs = LinkId::accepted((id as u64) << 32 | link.0);
                    member.links.push((link, to, theirs));
                    self.inbox.push_back((id, Input::LinkUp { link, channel }));
                    self.inbox.push_back((to, Input::LinkUp { link: theirs, channel }));
                    self.members[to].links.push((theirs, id, link));
                }
                Output::HeartbeatDue { link } => {
                    self.inbox.push_back((id, Input::Heartbeat { link, letter: Bytes::new() }));
                }
                _ => {}
            }
        }
        self.outputs = outputs;
        let upto = self.members[id].written;
        if upto > written {
            self.inbox.push_back((id, Input::Durable { upto }));
        }
    }
}

impl Ensemble for Members {
    fn run(&mut self, load: &Load) {
        (self.next, self.before) = (0, self.members[self.leader].applied.items);
        self.propose(load);
        self.flow(load);
    }

    fn applied(&self) -> Vec<Applied> {
        self.members.iter().map(|member| member.applied).collect()
    }
}
