//! One direction of a connection.

use base::{Rng, Time};
use bytes::Bytes;
use std::collections::VecDeque;

/// What is on its way.
#[derive(Clone, Debug)]
pub(crate) enum Packet {
    Bytes(Bytes),
    /// The end, and why.
    End(&'static str),
}

/// What was sent and has not been read, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Pipe {
    queue: VecDeque<(Time, Packet)>,
    /// An event for its front is under way.
    pub(super) flowing: bool,
    /// Nothing arrives before what was sent earlier.
    pub(super) last: Time,
}

impl Pipe {
    /// Forgets all that is on its way.
    pub(super) fn clear(&mut self) {
        self.queue.clear();
    }

    /// Adds what would arrive at `at`; says when it flows if no event for that is under way.
    pub(super) fn push(&mut self, at: Time, packet: Packet) -> Option<Time> {
        let at = self.last.max(at);
        self.last = at;
        self.queue.push_back((at, packet));
        (!std::mem::replace(&mut self.flowing, true)).then_some(at)
    }

    /// When its front flows, if there is one and no event for it is under way; now one is.
    pub(super) fn flow_again(&mut self) -> Option<Time> {
        let (at, _) = self.queue.front().filter(|_| !self.flowing)?;
        self.flowing = true;
        Some(*at)
    }

    /// Takes what has arrived by `now`: several frames together, or only a part of one.
    pub(super) fn take(&mut self, now: Time, cut: bool, rng: &mut Rng) -> Option<Packet> {
        let (_, first) = self.queue.pop_front()?;
        let Packet::Bytes(mut bytes) = first else { return Some(first) };
        let mut together: Vec<u8> = Vec::new();
        while let Some((at, Packet::Bytes(more))) = self.queue.front() {
            if *at > now {
                break;
            }
            if together.is_empty() {
                together.extend_from_slice(&bytes);
            }
            together.extend_from_slice(more);
            self.queue.pop_front();
        }
        if !together.is_empty() {
            bytes = Bytes::from(together);
        }
        if cut && bytes.len() > 1 {
            let rest = bytes.split_off(rng.between(1, bytes.len() as u64 - 1) as usize);
            self.queue.push_front((now, Packet::Bytes(rest)));
        }
        Some(Packet::Bytes(bytes))
    }
}
