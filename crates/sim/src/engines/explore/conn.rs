//! A connection without a clock: what one side has sent, whole frame by whole frame.

use crate::net::{End, Packet};
use broadcast::{Addresses, Channel};
use std::collections::VecDeque;

/// A connection; side 0 has dialled. `pipes[s]` carries what side `s` sends, oldest first.
#[derive(Clone, Debug)]
pub(super) struct Conn {
    pub(super) ends: [End; 2],
    pub(super) pipes: [VecDeque<Packet>; 2],
    pub(super) channel: Channel,
    pub(super) addresses: Addresses,
    /// Whether somebody has accepted.
    pub(super) up: bool,
}

impl Conn {
    /// Whether its end is on its way.
    pub(super) fn is_broken(&self) -> bool {
        let ends = |pipe: &VecDeque<Packet>| matches!(pipe.back(), Some(Packet::End(_)));
        self.pipes.iter().any(ends) || self.ends.iter().any(|end| !end.alive)
    }
}
