//! Connections: two queues each, that a test can hold, and pairs that cannot reach each other.

use base::Zxid;
use broadcast::{Item, LinkId};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Where a member listens.
pub(super) fn address(id: u64) -> String {
    format!("m{id}:1")
}

/// What travels.
#[derive(Clone, Debug)]
pub(super) enum Wire {
    Up,
    Bytes(Bytes),
    State(Vec<(Zxid, Item)>),
    Down(&'static str),
}

/// One side of a connection.
#[derive(Clone, Debug)]
pub(super) struct Side {
    pub(super) node: u64,
    pub(super) link: LinkId,
    /// What is on its way to this side.
    pub(super) queue: VecDeque<Wire>,
    pub(super) gone: bool,
}

/// The net. A connection's first side has dialled.
#[derive(Default)]
pub(crate) struct Net {
    pub(super) conns: BTreeMap<u64, [Side; 2]>,
    numbers: u64,
    /// Directions in which nothing arrives, for now.
    blocked: BTreeSet<(u64, u64)>,
}

impl Net {
    pub(super) fn dial(&mut self, from: (u64, LinkId), to: Option<u64>) -> u64 {
        self.numbers += 1;
        let side = |(node, link), first| Side { node, link, queue: [first].into(), gone: false };
        let accepted = LinkId::accepted(self.numbers);
        let sides = match to {
            Some(to) => [side(from, Wire::Up), side((to, accepted), Wire::Up)],
            None => {
                let mut nobody = side((0, accepted), Wire::Up);
                nobody.gone = true;
                [side(from, Wire::Down("nobody is there")), nobody]
            }
        };
        self.conns.insert(self.numbers, sides);
        self.numbers
    }

    pub(super) fn find(&self, node: u64, link: LinkId) -> Option<(u64, usize)> {
        self.conns.iter().find_map(|(conn, sides)| {
            let side = sides.iter().position(|side| side.node == node && side.link == link)?;
            Some((*conn, side))
        })
    }

    /// Sides to which something can arrive now.
    pub(crate) fn deliverable(&self) -> Vec<(u64, usize)> {
        let both =
            self.conns.iter().flat_map(|(conn, sides)| [(*conn, 0, sides), (*conn, 1, sides)]);
        let open = both.filter(|(_, side, sides)| {
            let to = &sides[*side];
            let pair = (sides[1 - side].node, to.node);
            !to.gone && !to.queue.is_empty() && !self.blocked.contains(&pair)
        });
        open.map(|(conn, side, _)| (conn, side)).collect()
    }

    /// This side leaves: the other hears of it behind all that was sent.
    pub(super) fn leave(&mut self, conn: u64, side: usize) {
        let Some(sides) = self.conns.get_mut(&conn) else { return };
        sides[side].gone = true;
        sides[1 - side].queue.push_back(Wire::Down("the other side has closed"));
        if sides.iter().all(|side| side.gone) {
            self.conns.remove(&conn);
        }
    }

    /// A process is gone: what it has sent may still arrive.
    pub(super) fn abandon(&mut self, node: u64) {
        let of_it = |(conn, sides): (&u64, &[Side; 2])| {
            let side = sides.iter().position(|side| side.node == node && !side.gone)?;
            Some((*conn, side))
        };
        let these: Vec<(u64, usize)> = self.conns.iter().filter_map(of_it).collect();
        these.into_iter().for_each(|(conn, side)| self.leave(conn, side));
    }

    /// A connection breaks at once for both.
    pub(crate) fn reset(&mut self, conn: u64) {
        if let Some(sides) = self.conns.get_mut(&conn) {
            sides.iter_mut().for_each(|side| side.queue = [Wire::Down("it broke")].into());
        }
    }

    pub(crate) fn all(&self) -> Vec<u64> {
        self.conns.keys().copied().collect()
    }

    /// Nothing gets from one to the other until it is let through again; nothing is lost.
    pub(crate) fn block(&mut self, from: u64, to: u64) {
        self.blocked.insert((from, to));
    }

    pub(crate) fn unblock(&mut self, from: u64, to: u64) {
        self.blocked.remove(&(from, to));
    }

    pub(super) fn is_blocked(&self, from: u64, to: u64) -> bool {
        self.blocked.contains(&(from, to))
    }

    /// How many pieces are on their way to a member.
    pub(crate) fn waiting(&self, to: u64) -> usize {
        let sides = self.conns.values().flatten().filter(|side| side.node == to);
        sides.map(|side| side.queue.len()).sum()
    }

    /// Everything reaches everybody again.
    pub(crate) fn unblock_all(&mut self) {
        self.blocked.clear();
    }
}
