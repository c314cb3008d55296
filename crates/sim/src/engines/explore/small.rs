//! A state of a small ensemble, and what each step does to it.
//!
//! What a step does not touch is shared with the state before it.

use super::Bounds;
use super::conn::Conn;
use super::fingerprint::BEGIN;
use super::moves::{Move, RESET};
use crate::engines::host::{Effect, Host, Link, Scene};
use crate::engines::judge::{Judge, Step, Violation, violated};
use crate::engines::subject::{Setup, Subject};
use crate::net::{End, Packet};
use base::{Rng, Time, Zxid};
use broadcast::{Addresses, Channel, Input, LinkId};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

/// What a host has asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Job {
    Reset,
    Store(LinkId),
    ReadLog(LinkId, Zxid),
}

/// A member, and its ends of connections.
#[derive(Clone, Debug)]
pub(super) struct Node<E> {
    pub(super) host: Host<E>,
    pub(super) peers: BTreeMap<LinkId, usize>,
    pub(super) conns: BTreeMap<LinkId, (u64, usize)>,
    pub(super) jobs: VecDeque<Job>,
    pub(super) listening: BTreeMap<Channel, Addresses>,
    /// How many connections of each member it has accepted: their numbers say whose they are, so
    /// that they do not depend on who came first.
    pub(super) accepted: Vec<u64>,
    /// The fingerprint of all that.
    pub(super) print: u128,
}

/// How much of the bounds is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Left {
    pub(super) proposals: u32,
    pub(super) crashes: u32,
    pub(super) restarts: u32,
    pub(super) breaks: u32,
    pub(super) timeouts: u32,
    pub(super) stalls: u32,
}

/// A state.
#[derive(Debug)]
pub(super) struct Small<S: Subject> {
    pub(super) nodes: Vec<Arc<Node<S::Engine>>>,
    pub(super) conns: BTreeMap<u64, Arc<Conn>>,
    pub(super) judge: Arc<Judge>,
    pub(super) now: Time,
    /// When something came from outside last.
    pub(super) since: Time,
    pub(super) left: Left,
    lines: Option<Vec<String>>,
}

impl<S: Subject> Clone for Small<S> {
    fn clone(&self) -> Self {
        let (nodes, conns, judge) = (self.nodes.clone(), self.conns.clone(), self.judge.clone());
        let Small { now, since, left, .. } = *self;
        Small { nodes, conns, judge, now, since, left, lines: self.lines.clone() }
    }
}

impl<S: Subject> Small<S>
where
    S::Engine: Clone + Hash,
{
    /// Where an exploration begins.
    pub(super) fn begin(subject: &S, setup: &Setup, bounds: &Bounds) -> Result<Self, Violation> {
        let members = setup.members();
        let node = |(index, node)| {
            Arc::new(Node {
                host: Host::new(node, index),
                peers: BTreeMap::new(),
                conns: BTreeMap::new(),
                jobs: VecDeque::new(),
                listening: BTreeMap::new(),
                accepted: vec![0; members.len()],
                print: 0,
            })
        };
        let count = members.len();
        let mut small = Small {
            nodes: members.iter().copied().enumerate().map(node).collect(),
            conns: BTreeMap::new(),
            judge: Arc::new(Judge::new(S::UNIQUE_PLACES, setup)),
            now: BEGIN,
            since: BEGIN,
            left: Left { proposals: 0, crashes: 0, restarts: 0, breaks: 0, timeouts: 0, stalls: 0 },
            lines: None,
        };
        if !bounds.cold {
            // All start at once, and everything happens in its order.
            for member in 0..count {
                small.step(subject, Move::Restart { member, early: false })?;
            }
            while let Some(first) = small.moves(subject)?.first() {
                small.step(subject, *first)?;
            }
        }
        small.since = small.now;
        let Bounds { proposals, crashes, restarts, breaks, timeouts, stalls, .. } = *bounds;
        small.left = Left { proposals, crashes, restarts, breaks, timeouts, stalls };
        Ok(small)
    }

    /// The steps once more, with all that goes in and out.
    pub(super) fn retrace(mut self, subject: &S, moves: &[Move]) -> Vec<String> {
        self.lines = Some(Vec::new());
        for chosen in moves {
            if let Some(lines) = &mut self.lines {
                lines.push(format!("{chosen:?}"));
            }
            if self.step(subject, *chosen).is_err() {
                break;
            }
        }
        self.lines.unwrap_or_default()
    }

    /// Does one step, and all that follows from it at once.
    pub(super) fn step(&mut self, subject: &S, chosen: Move) -> Step {
        match chosen {
            Move::Connect { conn } => self.connect(subject, conn),
            Move::Refuse { conn } => {
                let refused = self.conns.remove(&conn).expect("it is there");
                let End { member, link, .. } = refused.ends[0];
                self.node(member).conns.remove(&link);
                self.link_down(subject, member, link, "connection refused")
            }
            Move::Deliver { conn, side } => self.deliver(subject, conn, side),
            Move::Cut { conn, side } => {
                let queue = &mut self.conn(conn).pipes[side];
                queue.drain(..queue.len() - 1);
                self.deliver(subject, conn, side)
            }
            Move::Sync { member } => {
                let synced = self.node(member).host.disk.end_sync();
                let upto = synced.expect("no disk fails here");
                self.with(subject, member, |host, now, scene| host.durable(now, upto, scene))
            }
            Move::Job { member } => self.job(subject, member),
            Move::Timer { member, at, early } => {
                self.left.timeouts -= u32::from(early);
                self.expire(subject, member, at)
            }
            Move::Stall { member, at } => {
                (self.left.stalls, self.since) = (self.left.stalls - 1, at);
                self.expire(subject, member, at)
            }
            Move::Propose { member } => self.propose(subject, member),
            Move::Crash { member, kept } => self.crash(subject, member, kept),
            Move::Restart { member, early } => {
                self.left.restarts -= u32::from(early);
                self.since = self.now;
                self.with(subject, member, |host, now, scene| {
                    host.declare(scene)?;
                    host.recover(now, &mut Rng::new(0), scene)
                })
            }
            Move::Break { conn } => {
                (self.left.breaks, self.since) = (self.left.breaks - 1, self.now);
                self.push(conn, 0, Packet::End(RESET));
                self.push(conn, 1, Packet::End(RESET));
                Ok(())
            }
        }
    }

    fn expire(&mut self, subject: &S, member: usize, at: Time) -> Step {
        self.now = self.now.max(at);
        self.with(subject, member, |host, now, scene| {
            host.handle(now, Input::TimerExpired, scene)
        })?;
        self.print_all();
        Ok(())
    }

    fn node(&mut self, member: usize) -> &mut Node<S::Engine> {
        Arc::make_mut(&mut self.nodes[member])
    }

    fn conn(&mut self, id: u64) -> &mut Conn {
        Arc::make_mut(self.conns.get_mut(&id).expect("it is there"))
    }

    /// Lets a host do something, and then all that follows from it.
    fn with(
        &mut self,
        subject: &S,
        index: usize,
        act: impl FnOnce(&mut Host<S::Engine>, Time, &mut Scene<'_, S>) -> Step,
    ) -> Step {
        let logs: Vec<_> = self.nodes.iter().map(|node| node.host.disk.live.tip().1).collect();
        let (mut effects, mut told, mut lines) = (Vec::new(), Vec::new(), Vec::new());
        let node = Arc::make_mut(&mut self.nodes[index]);
        let mut scene = Scene {
            subject,
            judge: Arc::make_mut(&mut self.judge),
            effects: &mut effects,
            peers: &node.peers,
            logs: &logs,
            told: &mut told,
            lines: self.lines.is_some().then_some(&mut lines),
        };
        let done = act(&mut node.host, self.now, &mut scene);
        if let Some(all) = &mut self.lines {
            all.extend(lines.iter().map(|line| format!("  {} {line}", index + 1)));
        }
        done?;
        for effect in effects {
            self.perform(index, effect)?;
        }
        let now = self.now;
        let node = self.node(index);
        if let Some(engine) = &mut node.host.engine {
            subject.becalm(node.host.node, engine);
            node.host.disk.begin_sync();
        }
        node.print = node.fingerprint(now);
        self.judge_logs(subject, index)
    }

    /// Time has passed, for all.
    fn print_all(&mut self) {
        let now = self.now;
        for node in &mut self.nodes {
            let node = Arc::make_mut(node);
            node.print = node.fingerprint(now);
        }
    }

    fn perform(&mut self, index: usize, effect: Effect) -> Step {
        match effect {
            Effect::Send { link, bytes } => {
                if let Some((id, side)) = self.nodes[index].conns.get(&link).copied() {
                    self.push(id, side, Packet::Bytes(bytes));
                }
            }
            Effect::Finish { link } => self.finish(index, link),
            Effect::Dial { link, channel, addresses } => {
                self.dial(index, link, channel, addresses);
            }
            Effect::Listen { channel, addresses } => {
                self.node(index).listening.insert(channel, addresses);
            }
            Effect::Unlisten { channel } => {
                self.node(index).listening.remove(&channel);
            }
            Effect::Reset => self.node(index).jobs.push_back(Job::Reset),
            Effect::Store { link } => self.node(index).jobs.push_back(Job::Store(link)),
            Effect::ReadLog { link, from } => {
                self.node(index).jobs.push_back(Job::ReadLog(link, from));
            }
            Effect::Ended { reason } => {
                let evidence = format!("node {}: {reason}", self.nodes[index].host.node.0);
                return violated("no engine gives up", evidence);
            }
            Effect::Crash => {}
        }
        Ok(())
    }

    fn dial(&mut self, index: usize, link: LinkId, channel: Channel, addresses: Addresses) {
        let us = End { member: index, link, alive: true };
        let ends = [us, End { alive: false, ..us }];
        let conn = Conn { ends, pipes: Default::default(), channel, addresses, up: false };
        let run = self.nodes[index].host.run;
        let id = (index as u64) << 48 | u64::from(run) << 32 | link.0;
        self.conns.insert(id, Arc::new(conn));
        self.node(index).conns.insert(link, (id, 0));
    }

    fn connect(&mut self, subject: &S, id: u64) -> Step {
        let (to, channel) = self.acceptor(&self.conns[&id]).expect("somebody accepts");
        let from = self.conns[&id].ends[0];
        let node = self.node(to);
        let nth = &mut node.accepted[from.member];
        let link = LinkId::accepted((from.member as u64) << 32 | *nth);
        *nth += 1;
        node.conns.insert(link, (id, 1));
        node.peers.insert(link, from.member);
        node.host.links.insert(link, Link::new(channel));
        let conn = self.conn(id);
        conn.ends[1] = End { member: to, link, alive: true };
        (conn.up, conn.channel) = (true, channel);
        self.node(from.member).peers.insert(from.link, to);
        for (member, link) in [(to, link), (from.member, from.link)] {
            self.with(subject, member, |host, now, scene| {
                host.handle(now, Input::LinkUp { link, channel }, scene)
            })?;
        }
        Ok(())
    }

    /// Something more goes into a pipe that somebody reads.
    fn push(&mut self, id: u64, side: usize, packet: Packet) {
        let conn = self.conn(id);
        if !conn.up || !conn.ends[1 - side].alive {
            return;
        }
        let queue = &mut conn.pipes[side];
        if !matches!(queue.back(), Some(Packet::End(_))) {
            queue.push_back(packet);
        }
    }

    /// A side has closed it: what was sent arrives, and then the end.
    fn finish(&mut self, index: usize, link: LinkId) {
        let node = self.node(index);
        node.peers.remove(&link);
        let Some((id, side)) = node.conns.remove(&link) else { return };
        self.leave(id, side, "closed by the peer");
    }

    fn leave(&mut self, id: u64, side: usize, why: &'static str) {
        let conn = self.conn(id);
        conn.ends[side].alive = false;
        conn.pipes[1 - side].clear();
        self.push(id, side, Packet::End(why));
        self.forget(id);
    }

    fn forget(&mut self, id: u64) {
        if self.conns[&id].ends.iter().all(|end| !end.alive) {
            self.conns.remove(&id);
        }
    }

    fn deliver(&mut self, subject: &S, id: u64, side: usize) -> Step {
        let conn = self.conn(id);
        let packet = conn.pipes[side].pop_front().expect("something is there");
        let End { member, link, .. } = conn.ends[1 - side];
        match packet {
            Packet::Bytes(bytes) => self.with(subject, member, |host, now, scene| {
                host.received(now, link, Bytes::clone(&bytes), scene)
            }),
            Packet::End(why) => {
                let conn = self.conn(id);
                conn.ends[1 - side].alive = false;
                conn.pipes.iter_mut().for_each(VecDeque::clear);
                if conn.ends[side].alive {
                    // It is broken: the other side hears the same.
                    conn.pipes[1 - side].push_back(Packet::End(RESET));
                }
                self.forget(id);
                let node = self.node(member);
                node.conns.remove(&link);
                node.peers.remove(&link);
                self.link_down(subject, member, link, why)
            }
        }
    }

    fn link_down(&mut self, subject: &S, member: usize, link: LinkId, why: &str) -> Step {
        let reason = why.to_owned();
        self.with(subject, member, |host, now, scene| host.link_down(now, link, reason, scene))
    }

    fn job(&mut self, subject: &S, member: usize) -> Step {
        let job = self.node(member).jobs.pop_front().expect("something is there");
        self.with(subject, member, |host, now, scene| match job {
            Job::Reset => host.reset(now, scene),
            Job::Store(link) => host.stored(now, link, scene),
            Job::ReadLog(link, from) => host.log_read(now, link, from, scene),
        })
    }

    fn propose(&mut self, subject: &S, member: usize) -> Step {
        let id = u64::from(self.left.proposals);
        (self.left.proposals, self.since) = (self.left.proposals - 1, self.now);
        self.with(subject, member, |host, now, scene| {
            match host.service.propose(scene.subject, &[id]) {
                Some(input) => host.handle(now, input, scene),
                None => Ok(()),
            }
        })
    }

    fn crash(&mut self, subject: &S, member: usize, kept: usize) -> Step {
        (self.left.crashes, self.since) = (self.left.crashes - 1, self.now);
        let node = self.node(member);
        node.host.crash(kept);
        node.peers.clear();
        node.jobs.clear();
        node.listening.clear();
        node.accepted.fill(0);
        for (id, side) in std::mem::take(&mut node.conns).into_values() {
            self.leave(id, side, RESET);
        }
        self.with(subject, member, |host, _, scene| host.declare(scene))
    }
}

impl<S: Subject> Small<S> {
    /// Who accepts a connection that is not up.
    pub(super) fn acceptor(&self, conn: &Conn) -> Option<(usize, Channel)> {
        conn.addresses.iter().find_map(|address| {
            self.nodes.iter().enumerate().find_map(|(index, node)| {
                let mut ports = node.listening.iter();
                let port = ports.find(|(_, addresses)| addresses.contains(address))?;
                Some((index, *port.0))
            })
        })
    }

    /// Whether a connection leads to somebody who does not run.
    pub(super) fn is_down(&self, conn: &Conn) -> bool {
        let host = |address: &str| address.rsplit_once(':').map(|(host, _)| host.to_owned());
        let called = conn.addresses.first().and_then(|address| host(address));
        let runs = |node: &Arc<Node<S::Engine>>| {
            let mut all = node.listening.values().flat_map(|addresses| addresses.iter());
            all.any(|address| host(address) == called)
        };
        !self.nodes.iter().any(runs)
    }
}
