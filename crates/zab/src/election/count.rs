//! Who agrees with a vote, and whether that is enough.

use super::vote::{Heard, State};
use crate::core::Core;
use base::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// The last word of each voter.
pub(crate) type Votes = BTreeMap<NodeId, Heard>;

/// Those who agree.
pub(crate) fn supporters(votes: &Votes, heard: &Heard) -> BTreeSet<NodeId> {
    votes.iter().filter(|(_, vote)| vote.agrees(heard)).map(|(node, _)| *node).collect()
}

/// Whether the leader that settled members name knows of it: otherwise they may name a dead one.
pub(crate) fn leader_knows(core: &Core, votes: &Votes, leader: NodeId, round: i64) -> bool {
    if leader == core.me {
        return core.round == round;
    }
    votes.get(&leader).is_some_and(|vote| vote.state == State::Leading)
}
