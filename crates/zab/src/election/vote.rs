//! Votes and their order.

use crate::core::Core;
use crate::ensemble::{node, sid};
use base::{NodeId, Zxid};
use bytes::Bytes;
use wire::quorum::{NOTIFICATION_VERSION, Notification, ServerState, put_notification};

/// Whom a member wants to lead, and that one's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Vote {
    pub(crate) leader: NodeId,
    pub(crate) zxid: Zxid,
    pub(crate) epoch: i64,
}

impl Vote {
    /// The vote of who has none: below every other.
    pub(crate) const NONE: Vote =
        Vote { leader: node(i64::MIN), zxid: Zxid(i64::MIN), epoch: i64::MIN };

    /// A member's vote for itself; who is no voter, has no state to lead with, or may have forgotten
    /// what it promised, has none.
    pub(crate) fn own(core: &Core) -> Vote {
        if !core.ensemble.am_voter() || core.wants_snapshot || core.is_lost {
            return Vote::NONE;
        }
        let (epoch, zxid) = core.standing();
        Vote { leader: core.me, zxid, epoch }
    }

    /// Whether it is better: by epoch, then by history, then by id. Who has no weight never leads.
    pub(crate) fn beats(&self, other: &Vote, core: &Core) -> bool {
        let rank = |vote: &Vote| (vote.epoch, vote.zxid, sid(vote.leader));
        core.ensemble.may_lead(self.leader) && rank(self) > rank(other)
    }
}

/// What a member said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Heard {
    pub(crate) vote: Vote,
    pub(crate) round: i64,
    pub(crate) state: State,
    pub(crate) version: i32,
}

/// The state of who spoke. An enum of ours, for it is hashed and ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum State {
    Looking,
    Following,
    Leading,
    Observing,
}

impl Heard {
    pub(crate) fn from_wire(notification: &Notification<'_>) -> Heard {
        Heard {
            vote: Vote {
                leader: node(notification.leader),
                zxid: Zxid(notification.zxid),
                epoch: notification.peer_epoch,
            },
            round: notification.election_epoch,
            state: match notification.state {
                ServerState::Looking => State::Looking,
                ServerState::Following => State::Following,
                ServerState::Leading => State::Leading,
                ServerState::Observing => State::Observing,
            },
            version: notification.version,
        }
    }

    pub(crate) fn is_looking(&self) -> bool {
        self.state == State::Looking
    }

    /// Whether both are for the same leader. Settled members need not agree on the zxid or the
    /// round: they may have joined at different times.
    pub(crate) fn agrees(&self, other: &Heard) -> bool {
        if self.state == State::Looking || other.state == State::Looking {
            return self.vote == other.vote && self.round == other.round;
        }
        if (self.version == 0) != (other.version == 0) {
            return self.vote.leader == other.vote.leader;
        }
        self.vote.leader == other.vote.leader && self.vote.epoch == other.vote.epoch
    }
}

/// A message that tells a vote.
pub(crate) fn notification(core: &Core, vote: &Vote, round: i64, state: ServerState) -> Bytes {
    let text = core.ensemble.committed.to_string();
    let notification = Notification {
        state,
        leader: sid(vote.leader),
        zxid: vote.zxid.0,
        election_epoch: round,
        peer_epoch: vote.epoch,
        version: NOTIFICATION_VERSION,
        config: Some(&text),
    };
    let mut message = Vec::new();
    put_notification(&mut message, &notification);
    Bytes::from(message)
}
