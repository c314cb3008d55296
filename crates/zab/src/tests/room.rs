//! The room: what hosts do, in the order in which it comes.

use crate::{Config, Durable, Limits, Role, Zab};
use base::{Machine, NodeId, Time, Zxid};
use broadcast::{Channel, Context, Input, Item, LinkId, Output, Proposal, Record, View};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;
use wire::quorum::{Membership, Rules};

pub(super) struct Room {
    now: Time,
    size: u64,
    members: BTreeMap<u64, Member>,
    disks: BTreeMap<u64, Disk>,
    events: VecDeque<(u64, Input)>,
    /// The two ends of each link.
    links: BTreeMap<(u64, LinkId), (u64, LinkId)>,
    accepted: u64,
}

struct Member {
    engine: Zab,
    listening: BTreeMap<Channel, bool>,
    last: Zxid,
    delivered: Vec<Zxid>,
    /// The state that comes next on a link.
    fetching: Option<(LinkId, Zxid)>,
}

#[derive(Default, Clone)]
struct Disk {
    entries: Vec<(Zxid, Item)>,
    registers: BTreeMap<&'static str, i64>,
}

fn membership(size: u64) -> Membership {
    let mut text = String::new();
    for id in 1..=size {
        let _ = writeln!(text, "server.{id}=m{id}:2888:3888:participant");
    }
    Membership::parse(&text, &Rules::DEFAULT).expect("a good text")
}

impl Room {
    pub(super) fn of(size: u64) -> Room {
        let mut room = Room {
            now: Time::ZERO,
            size,
            members: BTreeMap::new(),
            disks: BTreeMap::new(),
            events: VecDeque::new(),
            links: BTreeMap::new(),
            accepted: 0,
        };
        (1..=size).for_each(|id| room.restart(id));
        room
    }

    pub(super) fn restart(&mut self, id: u64) {
        let disk = self.disks.entry(id).or_default().clone();
        let register = |name| disk.registers.get(name).copied().unwrap_or_default();
        let durable = Durable {
            accepted_epoch: register("acceptedEpoch"),
            current_epoch: register("currentEpoch"),
            last: disk.entries.last().map_or(Zxid::ZERO, |(at, _)| *at),
            recent: disk.entries.clone(),
        };
        let config = Config {
            me: NodeId(id),
            committed: membership(self.size),
            last_seen: None,
            reconfig: false,
            multi_address: false,
            limits: Limits::default(),
        };
        let mut out = Vec::new();
        let delivered = disk.entries.iter().map(|(at, _)| *at).collect();
        let engine = Zab::recover(config, durable, self.now, &mut out);
        let listening = BTreeMap::new();
        self.members
            .insert(id, Member { engine, listening, last: Zxid::ZERO, delivered, fetching: None });
        self.perform(id, out);
    }

    pub(super) fn crash(&mut self, id: u64) {
        self.members.remove(&id);
        let ends: Vec<_> = self.links.keys().filter(|(node, _)| *node == id).copied().collect();
        for end in ends {
            self.cut(end);
        }
    }

    fn cut(&mut self, end: (u64, LinkId)) {
        let Some(other) = self.links.remove(&end) else { return };
        self.links.remove(&other);
        let down = Input::LinkDown { link: other.1, reason: "closed by the peer".to_owned() };
        self.events.push_back((other.0, down));
    }

    /// Until nothing happens for a while.
    pub(super) fn settle(&mut self) {
        let until = self.now + Duration::from_secs(30);
        loop {
            while let Some((node, input)) = self.events.pop_front() {
                self.handle(node, input);
            }
            let due = self.members.iter().filter_map(|(id, m)| Some((m.engine.deadline()?, *id)));
            let Some((at, id)) = due.min() else { return };
            if at > until {
                return;
            }
            self.now = self.now.max(at);
            self.handle(id, Input::TimerExpired);
        }
    }

    fn handle(&mut self, node: u64, input: Input) {
        let Some(member) = self.members.get_mut(&node) else { return };
        if let Input::Received { link, .. } = &input
            && !self.links.contains_key(&(node, *link))
        {
            return;
        }
        let mut input = input;
        if let Input::Received { link, bytes } = &input
            && let Some((_, at)) = member.fetching.take_if(|(from, _)| from == link)
        {
            // A state comes whole in this room: its places, which are the log from now on.
            let places = bytes.chunks(8).map(|c| i64::from_be_bytes(c.try_into().expect("8")));
            member.delivered = places.map(Zxid).collect();
            let disk = self.disks.entry(node).or_default();
            disk.entries = member.delivered.iter().map(|at| (*at, Item::new())).collect();
            let link = *link;
            member.engine.handle(self.now, Input::SnapshotReceived { link }, &mut Vec::new());
            input = Input::SnapshotInstalled { link, at, rest: Bytes::new() };
        }
        let mut out = Vec::new();
        member.engine.handle(self.now, input, &mut out);
        self.perform(node, out);
    }

    fn perform(&mut self, id: u64, out: Vec<Output>) {
        let mut durable = None;
        for output in out {
            let member = self.members.get_mut(&id).expect("it acts");
            match output {
                Output::Persist { lsn, record } => {
                    durable = Some(lsn);
                    self.disks.entry(id).or_default().take(record);
                }
                Output::Send { link, frame, .. } => self.send((id, link), frame),
                Output::Deliver { at, .. } => member.delivered.push(at),
                Output::View(View::Primary { last }) => member.last = last,
                Output::Listen { channel, .. } => {
                    member.listening.insert(channel, true);
                }
                Output::Unlisten { channel } => {
                    member.listening.remove(&channel);
                }
                Output::Dial { link, channel, addresses } => {
                    self.dial((id, link), channel, &addresses[0]);
                }
                Output::Close { link } => self.cut((id, link)),
                Output::HeartbeatDue { link } => {
                    let letter = Bytes::new();
                    self.events.push_back((id, Input::Heartbeat { link, letter }));
                }
                Output::ResetTo { at } => {
                    let disk = &self.disks[&id];
                    let recent: Vec<_> =
                        disk.entries.iter().filter(|(e, _)| *e <= at).cloned().collect();
                    member.delivered.retain(|e| *e <= at);
                    self.events.push_back((id, Input::ResetDone { recent }));
                }
                Output::ReadLog { link, .. } => {
                    let entries = self.disks[&id].entries.clone();
                    self.events.push_back((id, Input::LogRead { link, entries }));
                }
                Output::View(_)
                | Output::Trace(_)
                | Output::Outcome { .. }
                | Output::ReadReady { .. }
                | Output::Forwarded { .. }
                | Output::Answered { .. }
                | Output::HeartbeatHeard { .. } => {}
                Output::SendSnapshot { link } => {
                    let places = member.delivered.iter().flat_map(|at| at.0.to_be_bytes());
                    let bytes: Vec<u8> = places.collect();
                    self.send((id, link), Bytes::from(bytes));
                }
                Output::FetchSnapshot { link, at, rest } => {
                    assert!(rest.is_empty(), "frames are not cut in this room");
                    member.fetching = Some((link, at));
                }
                Output::Fatal { reason } => panic!("member {id}: {reason}"),
            }
        }
        if let Some(upto) = durable {
            self.events.push_back((id, Input::Durable { upto }));
        }
    }

    fn dial(&mut self, from: (u64, LinkId), channel: Channel, address: &str) {
        let host = address.split(':').next().and_then(|host| host.strip_prefix('m'));
        let to: u64 = host.and_then(|id| id.parse().ok()).expect("an address of the room");
        let member = self.members.get(&to).filter(|m| m.listening.contains_key(&channel));
        if member.is_none() {
            let down = Input::LinkDown { link: from.1, reason: "refused".to_owned() };
            self.events.push_back((from.0, down));
            return;
        }
        self.accepted += 1;
        let there = (to, LinkId::accepted(self.accepted));
        self.links.insert(from, there);
        self.links.insert(there, from);
        for (node, link) in [there, from] {
            self.events.push_back((node, Input::LinkUp { link, channel }));
        }
    }

    fn send(&mut self, from: (u64, LinkId), bytes: Bytes) {
        if let Some(&(node, link)) = self.links.get(&from) {
            self.events.push_back((node, Input::Received { link, bytes }));
        }
    }

    pub(super) fn leader(&self) -> Option<u64> {
        let leads = |m: &Member| {
            let status = m.engine.status();
            status.role == Role::Leading && status.serving
        };
        self.members.iter().find(|(_, member)| leads(member)).map(|(id, _)| *id)
    }

    pub(super) fn propose(&mut self, id: u64, count: u64) {
        let member = self.members.get_mut(&id).expect("it is there");
        let mut proposals = Vec::new();
        for n in 0..count {
            member.last = member.last.next();
            let item = Bytes::from(format!("{n}"));
            proposals.push(Proposal { context: Context(n), at: member.last, item });
        }
        self.handle(id, Input::Proposed(proposals));
    }

    pub(super) fn delivered(&self, id: u64) -> &[Zxid] {
        &self.members[&id].delivered
    }
}

impl Disk {
    fn take(&mut self, record: Record) {
        match record {
            Record::Entry { at, item } => self.entries.push((at, item)),
            Record::Truncate { to } => self.entries.retain(|(at, _)| *at <= to),
            Record::Register { name, value } => {
                self.registers.insert(name, value);
            }
            Record::Text { .. } => {}
        }
    }
}
