//! Connections between members: streams of bytes with a delay, cut anywhere, that can be blocked
//! or lost.
//!
//! The net owns no clock and no queue: what is to happen later it leaves in [`Net::due`], and the
//! world gives it back when its time has come. What a member is to be told comes as [`News`].
//! Invariant: what goes into a pipe comes out in order and without a gap, or the pipe ends.

mod pipe;

use crate::chance::{around, between};
use base::{Rng, Time};
use broadcast::{Addresses, Channel, LinkId};
use bytes::Bytes;
pub(crate) use pipe::Packet;
use pipe::Pipe;
use std::collections::BTreeMap;
use std::time::Duration;

/// One side of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) member: usize,
    pub(crate) link: LinkId,
    /// Whether its engine is still to hear of it.
    pub(crate) alive: bool,
}

/// A connection; side 0 has dialled. `pipes[s]` carries what side `s` sends.
#[derive(Clone, Debug)]
pub(crate) struct Conn {
    pub(crate) ends: [End; 2],
    pipes: [Pipe; 2],
    channel: Channel,
    addresses: Addresses,
    /// Whether somebody has accepted.
    up: bool,
    /// When the one who dials gives up.
    until: Time,
}

/// What happens later.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// The first word of a connection arrives.
    Dialed { conn: u64 },
    /// A side learns that the connection is there.
    Up { conn: u64, side: usize },
    /// What this side has sent arrives.
    Flow { conn: u64, side: usize },
}

/// What a member is to be told.
#[derive(Clone, Debug)]
pub(crate) struct News {
    pub(crate) member: usize,
    pub(crate) link: LinkId,
    pub(crate) what: What,
}

/// What of a link.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Up { channel: Channel, accepted: bool, peer: usize },
    Down { reason: &'static str, dialled: bool },
    Received(Bytes),
}

/// How fast and how rough it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manners {
    /// Mean time on a link.
    pub(crate) latency: Duration,
    /// About how long it takes to notice a loss.
    pub(crate) patience: Duration,
    /// How often a stream is cut between two reads, in percent.
    pub(crate) cuts: u64,
}

/// Who cannot send to whom, who listens where, and the connections.
#[derive(Clone, Debug)]
pub(crate) struct Net {
    members: usize,
    manners: Manners,
    blocked: Vec<u16>,
    pub(crate) slow: Vec<u64>,
    listening: BTreeMap<String, (usize, Channel)>,
    pub(crate) conns: BTreeMap<u64, Conn>,
    next: u64,
    /// Connections that each member has accepted so far.
    accepted: Vec<u64>,
    /// The connections of each member, and its side of each.
    links: Vec<BTreeMap<LinkId, (u64, usize)>>,
    /// Who is at the other end of each member's links.
    pub(crate) peers: Vec<BTreeMap<LinkId, usize>>,
    /// What is to be given back after a while.
    pub(crate) due: Vec<(Duration, Event)>,
    /// How often anybody dialled.
    pub(crate) dials: u64,
}

impl Net {
    pub(crate) fn new(members: usize, manners: Manners) -> Net {
        let squared = members * members;
        Net {
            members,
            manners,
            blocked: vec![0; squared],
            slow: vec![1; squared],
            listening: BTreeMap::new(),
            conns: BTreeMap::new(),
            next: 0,
            accepted: vec![0; members],
            links: vec![BTreeMap::new(); members],
            peers: vec![BTreeMap::new(); members],
            due: Vec::new(),
            dials: 0,
        }
    }

    pub(crate) fn pair(&self, from: usize, to: usize) -> usize {
        from * self.members + to
    }

    fn blocks(&self, from: usize, to: usize) -> bool {
        self.blocked[self.pair(from, to)] > 0
    }

    /// Blocks these directions, or lets one block of each go.
    pub(crate) fn block(&mut self, pairs: &[(usize, usize)]) {
        for (from, to) in pairs {
            let pair = self.pair(*from, *to);
            self.blocked[pair] += 1;
        }
    }

    /// Lets one block of each direction go; what has waited goes on.
    pub(crate) fn unblock(&mut self, now: Time, pairs: &[(usize, usize)]) {
        for (from, to) in pairs {
            let pair = self.pair(*from, *to);
            self.blocked[pair] -= 1;
        }
        self.reflow_all(now);
    }

    /// Nothing is blocked or slow any more.
    pub(crate) fn unblock_all(&mut self) {
        self.blocked.fill(0);
        self.slow.fill(1);
    }

    /// Whose process must run for this to happen.
    pub(crate) fn target(&self, event: &Event) -> Option<usize> {
        let (conn, side) = match *event {
            Event::Dialed { .. } => return None,
            Event::Up { conn, side } => (conn, side),
            Event::Flow { conn, side } => (conn, 1 - side),
        };
        Some(self.conns.get(&conn)?.ends[side].member)
    }

    pub(crate) fn take(&mut self, now: Time, event: Event, rng: &mut Rng) -> Option<News> {
        match event {
            Event::Dialed { conn } => self.dialed(now, conn, rng),
            Event::Up { conn, side } => self.up(conn, side),
            Event::Flow { conn, side } => self.flow(now, conn, side, rng),
        }
    }

    /// A member accepts connections at these addresses, in place of others of the channel.
    pub(crate) fn listen(&mut self, member: usize, channel: Channel, addresses: &Addresses) {
        self.unlisten(member, Some(channel));
        for address in addresses.iter() {
            self.listening.insert(address.clone(), (member, channel));
        }
    }

    /// It accepts no more on this channel, or on none.
    pub(crate) fn unlisten(&mut self, member: usize, channel: Option<Channel>) {
        self.listening.retain(|_, (whose, what)| {
            *whose != member || channel.is_some_and(|channel| *what != channel)
        });
    }

    pub(crate) fn dial(
        &mut self,
        now: Time,
        (member, link): (usize, LinkId),
        channel: Channel,
        addresses: Addresses,
        rng: &mut Rng,
    ) {
        self.dials += 1;
        let us = End { member, link, alive: true };
        let them = End { alive: false, ..us };
        let patience = self.manners.patience;
        let until = now + between(rng, patience / 4, patience * 2);
        let (ends, pipes) = ([us, them], Default::default());
        let conn = Conn { ends, pipes, channel, addresses, up: false, until };
        let id = self.next;
        self.next += 1;
        self.conns.insert(id, conn);
        self.links[member].insert(link, (id, 0));
        let delay = around(rng, self.manners.latency);
        self.due.push((delay, Event::Dialed { conn: id }));
    }

    /// The first word of a connection arrives: somebody accepts it, refuses it, or nobody hears it.
    fn dialed(&mut self, now: Time, id: u64, rng: &mut Rng) -> Option<News> {
        let conn = self.conns.get(&id)?;
        let (from, until) = (conn.ends[0].member, conn.until);
        // The first of the addresses that anybody listens on.
        let listening = |address: &String| self.listening.get(address).copied();
        let Some((to, channel)) = conn.addresses.iter().find_map(listening) else {
            return Some(self.dial_failed(id, "connection refused"));
        };
        if self.blocks(from, to) || self.blocks(to, from) {
            if now >= until {
                return Some(self.dial_failed(id, "timed out"));
            }
            let again = self.manners.patience / 8;
            let again = again.min(until.since(now)).max(Duration::from_nanos(1));
            self.due.push((again, Event::Dialed { conn: id }));
            return None;
        }
        let link = LinkId::accepted(self.accepted[to]);
        self.accepted[to] += 1;
        let delay = self.latency(to, from, rng);
        let conn = self.conns.get_mut(&id).expect("it is there");
        conn.ends[1] = End { member: to, link, alive: true };
        (conn.up, conn.channel) = (true, channel);
        conn.pipes[1].last = now + delay;
        self.links[to].insert(link, (id, 1));
        self.due.push((Duration::ZERO, Event::Up { conn: id, side: 1 }));
        self.due.push((delay, Event::Up { conn: id, side: 0 }));
        None
    }

    fn dial_failed(&mut self, id: u64, reason: &'static str) -> News {
        let failed = self.conns.remove(&id).expect("it is there");
        let End { member, link, .. } = failed.ends[0];
        self.links[member].remove(&link);
        News { member, link, what: What::Down { reason, dialled: true } }
    }

    fn up(&mut self, id: u64, side: usize) -> Option<News> {
        let conn = self.conns.get(&id)?;
        let (us, them) = (conn.ends[side], conn.ends[1 - side]);
        if !us.alive {
            return None;
        }
        if them.alive {
            self.peers[us.member].insert(us.link, them.member);
        }
        let what = What::Up { channel: conn.channel, accepted: side == 1, peer: them.member };
        Some(News { member: us.member, link: us.link, what })
    }

    fn latency(&self, from: usize, to: usize, rng: &mut Rng) -> Duration {
        let factor = self.slow[self.pair(from, to)];
        around(rng, self.manners.latency) * factor as u32
    }

    /// A member sends bytes on a link.
    pub(crate) fn send(
        &mut self,
        now: Time,
        (member, link): (usize, LinkId),
        bytes: Bytes,
        rng: &mut Rng,
    ) {
        let Some((id, side)) = self.links[member].get(&link).copied() else { return };
        self.push(now, (id, side), Packet::Bytes(bytes), Duration::ZERO, rng);
    }

    /// Something more goes into a pipe.
    fn push(
        &mut self,
        now: Time,
        (id, side): (u64, usize),
        packet: Packet,
        later: Duration,
        rng: &mut Rng,
    ) {
        let Some(conn) = self.conns.get(&id) else { return };
        if !conn.up || !conn.ends[1 - side].alive {
            return;
        }
        let (from, to) = (conn.ends[side].member, conn.ends[1 - side].member);
        let delay = self.latency(from, to, rng) + later;
        let pipe = &mut self.conns.get_mut(&id).expect("it is there").pipes[side];
        if let Some(at) = pipe.push(now + delay, packet) {
            self.due.push((at.since(now), Event::Flow { conn: id, side }));
        }
    }

    /// A member wants no more of a link, once all that it sent is gone.
    pub(crate) fn finish(&mut self, now: Time, member: usize, link: LinkId, rng: &mut Rng) {
        let Some((id, side)) = self.links[member].remove(&link) else { return };
        self.peers[member].remove(&link);
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.ends[side].alive = false;
        if !conn.up {
            self.conns.remove(&id);
            return;
        }
        conn.pipes[1 - side].clear();
        self.push(now, (id, side), Packet::End("closed by the peer"), Duration::ZERO, rng);
        self.forget(id);
    }

    /// A member's process is gone, and all its connections with it.
    pub(crate) fn abandon_all(&mut self, now: Time, member: usize, rng: &mut Rng) {
        self.unlisten(member, None);
        self.peers[member].clear();
        for (id, side) in std::mem::take(&mut self.links[member]).into_values() {
            self.abandon(now, id, side, rng);
        }
    }

    /// A side is gone without a word; the other one learns of it soon, or late.
    fn abandon(&mut self, now: Time, id: u64, side: usize, rng: &mut Rng) {
        let Manners { patience, latency, .. } = self.manners;
        let lost = rng.one_in(2);
        let late = if rng.one_in(4) { patience * 3 } else { latency };
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.ends[side].alive = false;
        conn.pipes[1 - side].clear();
        if lost {
            conn.pipes[side].clear();
        }
        let other = conn.ends[1 - side];
        if !conn.up {
            self.conns.remove(&id);
            return;
        }
        self.peers[other.member].remove(&other.link);
        self.push(now, (id, side), Packet::End("connection reset"), late, rng);
        self.forget(id);
    }

    /// A connection breaks: both sides learn of it, what is under way is lost.
    pub(crate) fn break_conn(&mut self, now: Time, id: u64, rng: &mut Rng) {
        let patience = self.manners.patience;
        let late = [0, 1].map(|_| if rng.one_in(4) { patience } else { Duration::ZERO });
        let Some(conn) = self.conns.get_mut(&id).filter(|conn| conn.up) else { return };
        conn.pipes.iter_mut().for_each(Pipe::clear);
        for (side, late) in late.into_iter().enumerate() {
            self.push(now, (id, side), Packet::End("connection reset"), late, rng);
        }
    }

    fn forget(&mut self, id: u64) {
        if self.conns.get(&id).is_some_and(|conn| conn.ends.iter().all(|end| !end.alive)) {
            self.conns.remove(&id);
        }
    }

    /// What has arrived is read, in one piece or several, unless the way is blocked.
    fn flow(&mut self, now: Time, id: u64, side: usize, rng: &mut Rng) -> Option<News> {
        let cut = self.manners.cuts > 0 && rng.percent(self.manners.cuts);
        let conn = self.conns.get_mut(&id)?;
        let (from, to) = (conn.ends[side].member, conn.ends[1 - side]);
        conn.pipes[side].flowing = false;
        if !to.alive {
            conn.pipes[side].clear();
            return None;
        }
        if self.blocks(from, to.member) {
            return None; // until the way is free
        }
        let conn = self.conns.get_mut(&id).expect("it is there");
        let packet = conn.pipes[side].take(now, cut, rng);
        self.reflow(now, id, side);
        let what = match packet? {
            Packet::Bytes(bytes) => What::Received(bytes),
            Packet::End(reason) => {
                self.lose(id, 1 - side);
                What::Down { reason, dialled: false }
            }
        };
        Some(News { member: to.member, link: to.link, what })
    }

    /// A side has heard that the connection is gone.
    fn lose(&mut self, id: u64, side: usize) {
        let conn = self.conns.get_mut(&id).expect("it is there");
        conn.ends[side].alive = false;
        let End { member, link, .. } = conn.ends[side];
        self.links[member].remove(&link);
        self.peers[member].remove(&link);
        self.forget(id);
    }

    fn reflow(&mut self, now: Time, id: u64, side: usize) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if let Some(at) = conn.pipes[side].flow_again() {
            self.due.push((at.since(now), Event::Flow { conn: id, side }));
        }
    }

    /// Ways are free again: what has waited goes on.
    pub(crate) fn reflow_all(&mut self, now: Time) {
        let ids: Vec<u64> = self.conns.keys().copied().collect();
        for id in ids {
            self.reflow(now, id, 0);
            self.reflow(now, id, 1);
        }
    }
}
