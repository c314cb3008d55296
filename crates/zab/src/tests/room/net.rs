//! Links: what is sent arrives in order, whole or in pieces, unless a test holds a direction or
//! parts two members.

use super::{Room, decode};
use crate::ELECTION;
use broadcast::{Channel, Input, LinkId};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// One side of a link.
pub(super) type End = (u64, LinkId);

#[derive(Default)]
pub(super) struct Net {
    links: BTreeMap<End, Link>,
    accepted: u64,
    /// Directions in which nothing arrives.
    held: BTreeSet<(u64, u64, Channel)>,
    /// Pairs that cannot connect.
    parted: BTreeSet<(u64, u64)>,
    /// What arrives comes in pieces of so many bytes.
    pub(super) chunk: Option<usize>,
}

struct Link {
    other: End,
    channel: Channel,
    /// Whether the other side has closed it.
    closing: bool,
    /// What is on the way from this end while its direction is held; none is its closing.
    held: VecDeque<Option<Bytes>>,
}

fn pair(a: u64, b: u64) -> (u64, u64) {
    (a.min(b), a.max(b))
}

impl Room {
    /// What is sent from now on does not arrive before it is released.
    pub(in crate::tests) fn hold(&mut self, from: u64, to: u64, channel: Channel) {
        self.transcript.note(self.now, &format!("what {from} sends to {to} is held"));
        self.net.held.insert((from, to, channel));
    }

    /// What was held arrives.
    pub(in crate::tests) fn release(&mut self, from: u64, to: u64, channel: Channel) {
        self.transcript.note(self.now, &format!("what {from} sent to {to} arrives"));
        self.net.held.remove(&(from, to, channel));
        self.release_some(from, to, usize::MAX);
    }

    /// The next `count` packets of what was held arrive.
    pub(in crate::tests) fn release_some(&mut self, from: u64, to: u64, count: usize) {
        let of_them = |end: &End, link: &Link| end.0 == from && link.other.0 == to;
        let ends = self.net.links.iter().filter(|(end, link)| of_them(end, link));
        for end in ends.map(|(end, _)| *end).collect::<Vec<_>>() {
            let Some(link) = self.net.links.get_mut(&end) else { continue };
            if count == usize::MAX && self.net.held.contains(&(from, to, link.channel)) {
                continue;
            }
            let other = link.other;
            let count = count.min(link.held.len());
            for piece in link.held.drain(..count).collect::<Vec<_>>() {
                match piece {
                    Some(bytes) => self.push_bytes(other, bytes),
                    None => self.push_down(other, "closed by the peer"),
                }
            }
        }
        self.flow();
    }

    /// Breaks all links between two members; they cannot connect.
    pub(in crate::tests) fn part(&mut self, a: u64, b: u64) {
        self.transcript.note(self.now, &format!("{a} and {b} are parted"));
        self.net.parted.insert(pair(a, b));
        self.break_links(|from, to| pair(from, to) == pair(a, b));
    }

    /// Parts one member from all others.
    pub(in crate::tests) fn isolate(&mut self, id: u64) {
        self.others(id).into_iter().for_each(|other| self.part(id, other));
    }

    /// Whoever was parted may connect again, and nothing is held.
    pub(in crate::tests) fn heal(&mut self) {
        self.transcript.note(self.now, "all links are good");
        self.net.parted.clear();
        for (from, to, _) in std::mem::take(&mut self.net.held) {
            self.release_some(from, to, usize::MAX);
        }
    }

    fn others(&self, id: u64) -> Vec<u64> {
        let all = self.setup.membership.servers().map(|server| server.id() as u64);
        all.filter(|other| *other != id).collect()
    }

    pub(super) fn break_links(&mut self, which: impl Fn(u64, u64) -> bool) {
        let links = self.net.links.iter();
        let broken = links.filter(|(end, link)| which(end.0, link.other.0)).map(|(end, _)| *end);
        for end in broken.collect::<Vec<_>>() {
            if let Some(link) = self.net.links.remove(&end) {
                self.push_down(link.other, "connection reset");
                self.push_down(end, "connection reset");
            }
        }
        self.flow();
    }

    pub(super) fn push_down(&mut self, end: End, reason: &str) {
        if let Some(link) = self.net.links.get_mut(&end) {
            link.closing = true;
        }
        let down = Input::LinkDown { link: end.1, reason: reason.to_owned() };
        self.events.push_back((end.0, down));
    }

    fn push_bytes(&mut self, end: End, bytes: Bytes) {
        let size = self.net.chunk.unwrap_or(usize::MAX);
        let mut rest = bytes;
        while !rest.is_empty() {
            let bytes = rest.split_to(size.min(rest.len()));
            self.events.push_back((end.0, Input::Received { link: end.1, bytes }));
        }
    }

    /// What the host does before its engine learns of an input; none if it does not.
    pub(super) fn arrive(&mut self, node: u64, input: Input) -> Option<Input> {
        match &input {
            Input::Received { link, bytes } => {
                if !self.net.links.contains_key(&(node, *link)) {
                    return None; // closed on this side
                }
                let fetches = self.members.get(&node).and_then(|m| m.fetching.as_ref());
                if fetches.is_some_and(|fetching| fetching.link == *link) {
                    self.fetched(node, bytes);
                    if !self.disks.entry(node).or_default().held {
                        self.flush(node, usize::MAX);
                    }
                    return None;
                }
            }
            Input::LinkDown { link, .. } => {
                self.net.links.remove(&(node, *link));
                if let Some(member) = self.members.get_mut(&node) {
                    member.fetching.take_if(|fetching| fetching.link == *link);
                }
            }
            _ => {}
        }
        match self.peers.get_mut(&node) {
            Some(peer) => {
                peer.take(input);
                None
            }
            None => Some(input),
        }
    }

    pub(super) fn dial(&mut self, from: End, channel: Channel, address: &str) {
        let host = address.split(':').next().and_then(|host| host.strip_prefix('m'));
        let to: u64 = host.and_then(|id| id.parse().ok()).expect("an address of the room");
        let member = self.members.get(&to).is_some_and(|m| m.listening.contains(&channel));
        let listens = member || self.peers.contains_key(&to);
        if !listens || self.net.parted.contains(&pair(from.0, to)) {
            self.transcript.refused(self.now, from.0, to, channel);
            return self.push_down(from, "refused");
        }
        self.net.accepted += 1;
        let there = (to, LinkId::accepted(self.net.accepted));
        for (end, other) in [(from, there), (there, from)] {
            let link = Link { other, channel, closing: false, held: VecDeque::new() };
            self.net.links.insert(end, link);
        }
        self.transcript.connected(self.now, from.0, to, channel);
        for (node, link) in [there, from] {
            self.events.push_back((node, Input::LinkUp { link, channel }));
        }
    }

    /// Sends what an engine says: packet by packet on the quorum port.
    pub(super) fn send(&mut self, from: End, frame: &Bytes) {
        let Some(link) = self.net.links.get(&from) else { return };
        let (channel, to) = (link.channel, link.other.0);
        for piece in decode::pieces(channel, frame) {
            if channel != ELECTION {
                self.check_claim(from.0, &piece);
            }
            self.transcript.sent(self.now, from.0, to, channel, &piece);
            self.transmit(from, piece);
        }
    }

    pub(super) fn transmit(&mut self, from: End, bytes: Bytes) {
        let Some(link) = self.net.links.get_mut(&from) else { return };
        let other = link.other;
        if self.net.held.contains(&(from.0, other.0, link.channel)) || !link.held.is_empty() {
            return link.held.push_back(Some(bytes));
        }
        self.push_bytes(other, bytes);
    }

    /// One side closes: the other one learns of it behind all that was sent.
    pub(super) fn close(&mut self, from: End) {
        let Some(link) = self.net.links.get_mut(&from) else { return };
        let other = link.other;
        if self.net.held.contains(&(from.0, other.0, link.channel)) && !link.closing {
            return link.held.push_back(None);
        }
        self.net.links.remove(&from);
        let is_open = self.net.links.get(&other).is_some_and(|link| !link.closing);
        if is_open {
            self.transcript.closed(self.now, from.0, other.0);
            self.push_down(other, "closed by the peer");
        }
    }

    pub(super) fn is_open(&self, end: End) -> bool {
        self.net.links.get(&end).is_some_and(|link| !link.closing)
    }

    /// Everything comes in pieces of so many bytes.
    pub(in crate::tests) fn cut_into(&mut self, bytes: usize) {
        self.net.chunk = Some(bytes);
    }
}
