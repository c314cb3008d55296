//! Connections: streams of bytes with a delay, cut anywhere, that can be blocked or lost.
//!
//! Invariant: what goes into a pipe comes out in order and without a gap, or the pipe ends.

use crate::engines::subject::Setup;
use base::{NodeId, Time};
use broadcast::{Addresses, Channel, LinkId};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// What is on its way.
#[derive(Clone, Debug)]
pub(crate) enum Packet {
    Bytes(Bytes),
    /// The end, and why.
    End(&'static str),
}

/// One direction of a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pipe {
    pub(crate) queue: VecDeque<(Time, Packet)>,
    /// An event for its front is under way.
    pub(crate) flowing: bool,
    /// Nothing arrives before what was sent earlier.
    pub(crate) last: Time,
}

/// One side of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) member: usize,
    pub(crate) run: u32,
    pub(crate) link: LinkId,
    /// Whether its engine is still to hear of it.
    pub(crate) alive: bool,
}

/// A connection; side 0 has dialled. `pipes[s]` carries what side `s` sends.
#[derive(Clone, Debug)]
pub(crate) struct Conn {
    pub(crate) ends: [End; 2],
    pub(crate) pipes: [Pipe; 2],
    pub(crate) channel: Channel,
    pub(crate) addresses: Addresses,
    /// Whether somebody has accepted.
    pub(crate) up: bool,
    /// When the one who dials gives up.
    pub(crate) until: Time,
}

/// Who cannot send to whom, who listens where, and the connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Net {
    members: usize,
    blocked: Vec<u16>,
    pub(crate) slow: Vec<u64>,
    pub(crate) listening: BTreeMap<String, (usize, Channel)>,
    pub(crate) conns: BTreeMap<u64, Conn>,
    pub(crate) next: u64,
}

impl Net {
    pub(crate) fn new(members: usize) -> Net {
        let squared = members * members;
        Net { members, blocked: vec![0; squared], slow: vec![1; squared], ..Net::default() }
    }

    pub(crate) fn pair(&self, from: usize, to: usize) -> usize {
        from * self.members + to
    }

    pub(crate) fn blocks(&self, from: usize, to: usize) -> bool {
        self.blocked[self.pair(from, to)] > 0
    }

    /// Blocks these directions, or lets one block of each go.
    pub(crate) fn block(&mut self, pairs: &[(usize, usize)]) {
        for (from, to) in pairs {
            let pair = self.pair(*from, *to);
            self.blocked[pair] += 1;
        }
    }

    pub(crate) fn unblock(&mut self, pairs: &[(usize, usize)]) {
        for (from, to) in pairs {
            let pair = self.pair(*from, *to);
            self.blocked[pair] -= 1;
        }
    }

    pub(crate) fn unblock_all(&mut self) {
        self.blocked.fill(0);
        self.slow.fill(1);
    }

    /// Who accepts at the first of these addresses that anybody listens on.
    pub(crate) fn acceptor(&self, addresses: &Addresses) -> Option<(usize, Channel)> {
        addresses.iter().find_map(|address| self.listening.get(address).copied())
    }
}

impl Setup {
    /// The address of a port, as every member knows it.
    #[must_use]
    pub fn address(node: NodeId, channel: Channel) -> String {
        format!("10.0.0.{}:{}", node.0, 2000 + u16::from(channel.0))
    }
}
