//! An engine with a fixed primary, and the same one with a flaw: what the checkers must find.
//!
//! The first voter is primary for ever. An entry leaves it when it is durable there, and is
//! decided when a majority has it. Each start of the primary is a new period.

use base::{Lsn, Machine, NodeId, Rng, Time, Zxid};
use broadcast::{
    Channel, Context, Engine, Input, Item, LinkId, Membership, Output, ReadLevel, Reads, Record,
    Truths, View,
};
use bytes::Bytes;
use sim::engines::{Claim, Durable, Registers, Setup, Subject};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flaw {
    None,
    AcknowledgesEarly,
    AcknowledgesEarlyUnseen,
    DecidesAlone,
    SwapsEntries,
    SkipsAnEntry,
    ReadsStale,
    AnswersTwice,
    ForgetsItsPeriod,
    NeverDialsAgain,
    IsLoud,
    SpeaksAfterFailure,
    DeliversTwice,
    ServesUndecided,
}

const PORT: Channel = Channel(0);
const TICK: Duration = Duration::from_millis(50);
const HELLO: u8 = 1;
const ENTRY: u8 = 2;
const ACK: u8 = 3;
const DECIDED: u8 = 4;
const SNAP: u8 = 5;
const LETTER: u8 = 6;
const ANSWER: u8 = 7;
const PING: u8 = 8;
const BEAT: u8 = 9;
const READ: u8 = 10;
const READY: u8 = 11;

/// The subject.
#[derive(Clone, Debug)]
pub struct Fixed {
    setup: Setup,
    flaw: Flaw,
}

impl Fixed {
    pub fn of(setup: &Setup, flaw: Flaw) -> Self {
        Fixed { setup: setup.clone(), flaw }
    }
}

impl Subject for Fixed {
    type Engine = Member;
    const NAME: &'static str = "fixed";
    const UNIQUE_PLACES: bool = true;

    fn draw(setup: &Setup, _rng: &mut Rng) -> Self {
        Fixed::of(setup, Flaw::None)
    }

    fn recover(
        &self,
        node: NodeId,
        durable: &Durable,
        now: Time,
        _rng: &mut Rng,
        out: &mut Vec<Output>,
    ) -> Member {
        Member::recover(&self.setup, node, durable, self.flaw, now, out)
    }

    fn patience(&self) -> Duration {
        TICK * 10
    }

    fn is_replaceable(&self, node: NodeId) -> bool {
        node != self.setup.voters[0]
    }

    fn settles_within(&self) -> Duration {
        self.patience() * 50
    }

    fn rank(&self, _registers: &Registers, _last: Zxid) -> Option<(i64, Zxid)> {
        None
    }

    fn claims(&self, _channel: Channel, frame: &Bytes) -> Vec<Claim> {
        let unseen = self.flaw == Flaw::AcknowledgesEarlyUnseen;
        match frame[4] {
            HELLO => vec![Claim::Installed(0)],
            ACK if !unseen => vec![Claim::Logged(Zxid(number(frame, 5)))],
            _ => Vec::new(),
        }
    }
}

#[derive(Clone, Debug, Hash)]
struct Peer {
    acked: Zxid,
    votes: bool,
    node: NodeId,
}

/// One member.
#[derive(Clone, Debug, Hash)]
pub struct Member {
    flaw: Flaw,
    node: NodeId,
    leader: NodeId,
    observes: bool,
    majority: usize,
    lsn: Lsn,
    durable: Lsn,
    /// The log in memory, behind `base`.
    log: Vec<(Zxid, Item, Lsn)>,
    base: Zxid,
    last: Zxid,
    recovered: Zxid,
    delivered: Zxid,
    decided: Zxid,
    period: i64,
    primary: bool,
    replica: bool,
    contexts: BTreeMap<Zxid, Context>,
    peers: BTreeMap<LinkId, Peer>,
    buffers: BTreeMap<LinkId, Vec<u8>>,
    uplink: Option<LinkId>,
    next_link: u64,
    redial: Option<Time>,
    ping: Option<Time>,
    reads: VecDeque<(Option<LinkId>, Context)>,
    failed: bool,
    dialled: bool,
}

impl Member {
    fn recover(
        setup: &Setup,
        node: NodeId,
        durable: &Durable,
        flaw: Flaw,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Member {
        let leader = setup.voters[0];
        let last = durable.last();
        let log = durable.entries.iter().map(|(at, item)| (*at, item.clone(), Lsn::ZERO)).collect();
        let first = durable.entries.first().map_or(last, |(at, _)| Zxid(at.0 - 1));
        let mut member = Member {
            flaw,
            node,
            leader,
            observes: setup.observers.contains(&node),
            majority: setup.voters.len() / 2 + 1,
            lsn: Lsn::ZERO,
            durable: Lsn::ZERO,
            log,
            base: if durable.snapshot.is_some() { first } else { Zxid::ZERO },
            last,
            recovered: last,
            delivered: last,
            decided: Zxid::ZERO,
            period: durable.registers.get("period").copied().unwrap_or(0),
            primary: false,
            replica: false,
            contexts: BTreeMap::new(),
            peers: BTreeMap::new(),
            buffers: BTreeMap::new(),
            uplink: None,
            next_link: 0,
            redial: None,
            ping: None,
            reads: VecDeque::new(),
            failed: false,
            dialled: false,
        };
        out.push(Output::View(View::Apart));
        if node == leader {
            member.period += 1;
            if flaw != Flaw::ForgetsItsPeriod || member.period == 1 {
                let value = member.period;
                member.persist(Record::Register { name: "period", value }, out);
            } else {
                member.period -= 1;
            }
            member.ping = Some(now + TICK);
            let addresses = [Setup::address(node, PORT)].into();
            out.push(Output::Listen { channel: PORT, addresses });
            member.decide(out);
        } else {
            member.redial = Some(now);
        }
        member
    }

    fn persist(&mut self, record: Record, out: &mut Vec<Output>) -> Lsn {
        self.lsn = Lsn(self.lsn.0 + 1);
        out.push(Output::Persist { lsn: self.lsn, record });
        self.lsn
    }

    fn append(&mut self, at: Zxid, item: Item, out: &mut Vec<Output>) -> Lsn {
        let lsn = self.persist(Record::Entry { at, item: item.clone() }, out);
        self.log.push((at, item, lsn));
        self.last = at;
        lsn
    }

    /// How far its own log is durable.
    fn own(&self) -> Zxid {
        let durable = self.log.iter().rev().find(|(_, _, lsn)| *lsn <= self.durable);
        durable.map_or(self.recovered, |(at, _, _)| *at)
    }

    /// The primary looks what a majority has.
    fn decide(&mut self, out: &mut Vec<Output>) {
        let voters = self.peers.values().filter(|peer| peer.votes);
        let mut acked: Vec<Zxid> = voters.map(|peer| peer.acked).collect();
        acked.push(self.own());
        acked.sort_unstable_by(|a, b| b.cmp(a));
        let majority = if self.flaw == Flaw::DecidesAlone { 1 } else { self.majority };
        let Some(at) = acked.get(majority - 1).copied() else { return };
        let at = at.min(self.own());
        if self.durable == Lsn::ZERO && self.lsn > Lsn::ZERO && self.flaw != Flaw::ForgetsItsPeriod
        {
            return; // the period is not durable yet
        }
        if at >= self.recovered && !self.primary {
            self.primary = true;
            let last = Zxid(self.period << 32).max(self.last);
            out.push(Output::View(View::Primary { last }));
        }
        if self.primary && at > self.decided {
            self.decided = at;
            self.deliver(out);
            let links: Vec<LinkId> = self.peers.keys().copied().collect();
            links.into_iter().for_each(|link| send(link, DECIDED, &[at.0], &[], Lsn::ZERO, out));
        }
        if self.primary {
            for (link, context) in std::mem::take(&mut self.reads) {
                self.ready(link, context, out);
            }
        }
    }

    fn ready(&self, link: Option<LinkId>, context: Context, out: &mut Vec<Output>) {
        let at_least = self.decided;
        match link {
            None => out.push(Output::ReadReady { context, at_least }),
            Some(link) => {
                send(link, READY, &[context.0 as i64, at_least.0], &[], Lsn::ZERO, out);
            }
        }
    }

    fn deliver(&mut self, out: &mut Vec<Output>) {
        let (from, to) = (self.delivered, self.decided);
        for (at, item, lsn) in self.log.iter().filter(|(at, _, _)| *at > from && *at <= to) {
            let (at, after) = (*at, *lsn);
            let context = self.contexts.remove(&at);
            out.push(Output::Deliver { at, context, item: item.clone(), after });
            if self.flaw == Flaw::DeliversTwice && at.counter() % 7 == 0 {
                out.push(Output::Deliver { at, context: None, item: item.clone(), after });
            }
            if let Some(context) = context.filter(|_| self.flaw == Flaw::AnswersTwice) {
                let decision = broadcast::Decision::Unknown;
                out.push(Output::Outcome { context, decision });
            }
            self.delivered = at;
        }
    }

    fn hello(&mut self, link: LinkId, node: u64, has: Zxid, votes: bool, out: &mut Vec<Output>) {
        // An earlier connection of the same member may not be known to be gone.
        self.peers.retain(|_, peer| peer.node.0 != node);
        self.peers.insert(link, Peer { acked: has, votes, node: NodeId(node) });
        let mut from = has;
        if has < self.base {
            send(link, SNAP, &[self.delivered.0], &[], Lsn::ZERO, out);
            out.push(Output::SendSnapshot { link });
            from = self.delivered;
        }
        for (at, item, lsn) in self.log.iter().filter(|(at, _, _)| *at > from) {
            send(link, ENTRY, &[at.0], item, *lsn, out);
        }
        if self.primary || self.flaw == Flaw::ServesUndecided {
            let decided = self.decided.max(self.recovered);
            send(link, DECIDED, &[decided.0], &[], Lsn::ZERO, out);
        }
        self.decide(out);
    }

    fn frame(&mut self, link: LinkId, kind: u8, body: &[u8], now: Time, out: &mut Vec<Output>) {
        let word = |at: usize| number(body, at * 8);
        match kind {
            HELLO => self.hello(link, word(0) as u64, Zxid(word(1)), word(2) == 1, out),
            ENTRY => {
                let at = Zxid(word(0));
                if at <= self.last || (self.flaw == Flaw::SkipsAnEntry && at.counter() % 5 == 3) {
                    return;
                }
                let lsn = self.append(at, Bytes::copy_from_slice(&body[8..]), out);
                let early =
                    matches!(self.flaw, Flaw::AcknowledgesEarly | Flaw::AcknowledgesEarlyUnseen);
                send(link, ACK, &[at.0], &[], if early { Lsn::ZERO } else { lsn }, out);
            }
            ACK => {
                if let Some(peer) = self.peers.get_mut(&link) {
                    peer.acked = Zxid(word(0));
                }
                self.decide(out);
            }
            DECIDED => {
                self.decided = Zxid(word(0));
                self.deliver(out);
                if !self.replica && self.decided >= self.last.min(self.recovered) {
                    self.replica = true;
                    out.push(Output::View(View::Replica { primary: self.leader }));
                }
            }
            LETTER => {
                let Some(Peer { node, .. }) = self.peers.get(&link) else { return };
                let (from, node, letter) = (link, *node, Bytes::copy_from_slice(body));
                out.push(Output::Forwarded { from, node, letter });
            }
            ANSWER => out.push(Output::Answered { letter: Bytes::copy_from_slice(body) }),
            PING => out.push(Output::HeartbeatDue { link }),
            BEAT => {
                let Some(Peer { node, .. }) = self.peers.get(&link) else { return };
                let (from, node, letter) = (link, *node, Bytes::copy_from_slice(body));
                out.push(Output::HeartbeatHeard { from, node, letter });
            }
            READ => {
                self.reads.push_back((Some(link), Context(word(0) as u64)));
                self.decide(out);
            }
            READY => {
                let (context, at_least) = (Context(word(0) as u64), Zxid(word(1)));
                out.push(Output::ReadReady { context, at_least });
            }
            other => panic!("no such frame: {other} at {now:?}"),
        }
    }

    fn bytes(&mut self, link: LinkId, more: &[u8], now: Time, out: &mut Vec<Output>) {
        let mut buffer = self.buffers.remove(&link).unwrap_or_default();
        buffer.extend_from_slice(more);
        while let Some(head) = buffer.get(..4) {
            let len = u32::from_be_bytes(head.try_into().unwrap()) as usize;
            if buffer.len() < 4 + len {
                break;
            }
            let frame: Vec<u8> = buffer.drain(..4 + len).skip(4).collect();
            if frame[0] == SNAP {
                let (at, rest) = (Zxid(number(&frame, 1)), Bytes::from(buffer));
                out.push(Output::FetchSnapshot { link, at, rest });
                return;
            }
            self.frame(link, frame[0], &frame[1..], now, out);
        }
        self.buffers.insert(link, buffer);
    }

    fn propose(&mut self, proposals: Vec<broadcast::Proposal>, out: &mut Vec<Output>) {
        let mut frames = Vec::new();
        for proposal in proposals {
            assert!(self.primary && proposal.at > self.last, "the service knows its place");
            self.contexts.insert(proposal.at, proposal.context);
            let lsn = self.append(proposal.at, proposal.item.clone(), out);
            frames.push((proposal.at, proposal.item, lsn));
        }
        if self.flaw == Flaw::SwapsEntries {
            frames.reverse();
        }
        let links: BTreeSet<LinkId> = self.peers.keys().copied().collect();
        for link in links {
            for (at, item, lsn) in &frames {
                send(link, ENTRY, &[at.0], item, *lsn, out);
            }
        }
        self.decide(out);
    }

    fn read(&mut self, context: Context, out: &mut Vec<Output>) {
        if self.flaw == Flaw::ReadsStale {
            out.push(Output::ReadReady { context, at_least: self.delivered });
        } else if self.node == self.leader {
            self.reads.push_back((None, context));
            self.decide(out);
        } else if let Some(link) = self.uplink.filter(|_| self.replica) {
            send(link, READ, &[context.0 as i64], &[], Lsn::ZERO, out);
        }
    }

    fn dial(&mut self, out: &mut Vec<Output>) {
        self.redial = None;
        self.dialled = true;
        self.next_link += 1;
        let link = LinkId(self.next_link);
        let addresses = [Setup::address(self.leader, PORT)].into();
        out.push(Output::Dial { link, channel: PORT, addresses });
    }

    fn down(&mut self, link: LinkId, now: Time, out: &mut Vec<Output>) {
        self.peers.remove(&link);
        self.buffers.remove(&link);
        self.reads.retain(|(from, _)| *from != Some(link));
        if self.node == self.leader {
            return;
        }
        self.uplink = None;
        if std::mem::take(&mut self.replica) {
            out.push(Output::View(View::Apart));
        }
        if self.flaw != Flaw::NeverDialsAgain || !self.dialled {
            self.redial = Some(now + TICK);
        }
    }

    fn expired(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.redial.is_some_and(|at| at <= now) {
            self.dial(out);
        }
        if self.ping.is_some_and(|at| at <= now) {
            let loud = self.flaw == Flaw::IsLoud;
            self.ping = Some(now + if loud { TICK / 200 } else { TICK });
            self.peers.keys().for_each(|link| send(*link, PING, &[], &[], Lsn::ZERO, out));
        }
    }
}

impl Machine for Member {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        if self.failed && self.flaw != Flaw::SpeaksAfterFailure {
            return;
        }
        match input {
            Input::TimerExpired => self.expired(now, out),
            Input::Proposed(proposals) => self.propose(proposals, out),
            Input::ReadRequested { context, level: ReadLevel::Linearizable } => {
                self.read(context, out);
            }
            Input::Forward { letter } => {
                if let Some(link) = self.uplink {
                    send(link, LETTER, &[], &letter, Lsn::ZERO, out);
                }
            }
            Input::Answer { to, letter } => send(to, ANSWER, &[], &letter, Lsn::ZERO, out),
            Input::Heartbeat { link, letter } => send(link, BEAT, &[], &letter, Lsn::ZERO, out),
            Input::LinkUp { link, .. } if link.0 >> 63 == 0 => {
                self.uplink = Some(link);
                let votes = i64::from(!self.observes);
                let words = [self.node.0 as i64, self.last.0, votes];
                send(link, HELLO, &words, &[], self.lsn, out);
                self.recovered = self.last;
            }
            Input::LinkDown { link, .. } => self.down(link, now, out),
            Input::Received { link, bytes } => self.bytes(link, &bytes, now, out),
            Input::Durable { upto } => {
                self.durable = upto;
                if self.node == self.leader {
                    self.decide(out);
                }
            }
            Input::DiskFailed { .. } => {
                self.failed = true;
                out.push(Output::View(View::Silent));
            }
            Input::SnapshotInstalled { link, at, rest } => {
                (self.last, self.delivered, self.base) = (at, at, at);
                self.log.clear();
                self.recovered = at;
                if self.uplink == Some(link) {
                    send(link, ACK, &[at.0], &[], Lsn::ZERO, out);
                    self.bytes(link, &rest, now, out);
                }
            }
            Input::SnapshotRefused { link, .. } => {
                out.push(Output::Close { link });
                self.down(link, now, out);
            }
            Input::ReadRequested { .. }
            | Input::TransferRequested { .. }
            | Input::Checkpointed { .. }
            | Input::LinkUp { .. }
            | Input::ListenFailed { .. }
            | Input::SnapshotReceived { .. }
            | Input::ResetDone { .. }
            | Input::ResetFailed { .. }
            | Input::LogRead { .. } => {}
        }
    }

    fn deadline(&self) -> Option<Time> {
        [self.redial, self.ping].into_iter().flatten().min().filter(|_| !self.failed)
    }
}

impl Engine for Member {
    const TRUTHS: Truths = Truths {
        name: "fixed",
        primary_order: true,
        fifo_links: true,
        membership: Membership::Alone,
        reads: Reads::Always,
    };
}

fn send(link: LinkId, kind: u8, words: &[i64], body: &[u8], after: Lsn, out: &mut Vec<Output>) {
    let len = 1 + words.len() * 8 + body.len();
    let mut frame = Vec::with_capacity(4 + len);
    frame.extend_from_slice(&(len as u32).to_be_bytes());
    frame.push(kind);
    words.iter().for_each(|word| frame.extend_from_slice(&word.to_be_bytes()));
    frame.extend_from_slice(body);
    out.push(Output::Send { link, frame: Bytes::from(frame), after });
}

fn number(bytes: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(bytes[at..at + 8].try_into().unwrap())
}
