//! The learners of a leader, and the observers of a follower, each as far as it is.

use super::sync::Plan;
use crate::core::Core;
use base::{NodeId, Time, Zxid};
use broadcast::Inbound;
use broadcast::LinkId;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// One learner's link.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Learner {
    pub(crate) node: NodeId,
    pub(crate) stage: Stage,
    pub(crate) inbound: Inbound,
    pub(crate) observes: bool,
    /// When it was last heard, or its link came up.
    pub(crate) heard: Time,
    /// The end of what it has on its disk, as far as it said.
    pub(crate) acknowledged: Zxid,
    /// The end of what it was sent as decided when it was synchronized.
    pub(crate) synced_upto: Zxid,
    /// Whether it was sent the whole state then.
    pub(crate) is_sent_state: bool,
    /// Rounds of pings that it has not answered.
    pub(crate) pings: VecDeque<u64>,
    /// The last round that it answered.
    pub(crate) ponged: u64,
    /// A proposal that it is to acknowledge in time, and since when.
    pub(crate) mark: Option<(Zxid, Time)>,
}

/// How far a learner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Stage {
    /// It has not said who it is.
    Nameless,
    /// It has, and waits for the epoch.
    Registered,
    /// It was told the epoch.
    Offered,
    /// It has answered; its history ends there.
    Promised(Zxid),
    /// The log is read for it.
    ReadingLog(Zxid),
    /// It was sent what it lacks, and gets all that comes.
    Synced,
    /// It has it on its disk.
    Installed,
    /// It serves.
    Active,
}

impl Learner {
    pub(crate) fn new(now: Time) -> Learner {
        Learner {
            node: NodeId(0),
            stage: Stage::Nameless,
            inbound: Inbound::default(),
            observes: false,
            heard: now,
            acknowledged: Zxid::ZERO,
            synced_upto: Zxid::ZERO,
            is_sent_state: false,
            pings: VecDeque::new(),
            ponged: 0,
            mark: None,
        }
    }

    /// Whether it gets all that is proposed or decided.
    pub(crate) fn is_forwarded(&self) -> bool {
        self.stage >= Stage::Synced
    }

    /// Whether what it acknowledged counts: it has the initial history.
    pub(crate) fn counts(&self) -> bool {
        self.stage >= Stage::Installed && !self.observes
    }
}

/// All learners by link.
pub(crate) type Learners = BTreeMap<LinkId, Learner>;

/// The link of a member.
pub(crate) fn link_of(learners: &Learners, node: NodeId) -> Option<LinkId> {
    let named = |learner: &Learner| learner.stage > Stage::Nameless && learner.node == node;
    learners.iter().find(|(_, learner)| named(learner)).map(|(link, _)| *link)
}

/// Whether as many learners as may are being sent what they lack by such a plan: one whose vote does
/// not count waits then.
pub(crate) fn is_full(core: &Core, learners: &Learners, plan: Plan) -> bool {
    let is_state = match plan {
        Plan::Snap => true,
        Plan::Diff { .. } | Plan::Trunc { .. } => false,
        Plan::ReadLog => return false, // it is not known yet
    };
    let limits = &core.limits;
    let most = if is_state { limits.snapshots_max } else { limits.differences_max };
    let sent =
        |learner: &&Learner| learner.stage == Stage::Synced && learner.is_sent_state == is_state;
    learners.values().filter(sent).count() >= most
}

/// The link whose place a member takes that comes again; an error if the id is this member's own, or
/// that link was heard within the time.
pub(crate) fn taken_over(
    core: &Core,
    learners: &Learners,
    who: NodeId,
    (now, within): (Time, Duration),
) -> Result<Option<LinkId>, String> {
    if who == core.me {
        return Err(format!("another server has this one's id {}", who.0));
    }
    let Some(old) = link_of(learners, who) else { return Ok(None) };
    let heard = learners.get(&old).map_or(now, |learner| learner.heard);
    if now.since(heard) < within {
        return Err(format!("server {} is here already, and alive", who.0));
    }
    Ok(Some(old))
}
