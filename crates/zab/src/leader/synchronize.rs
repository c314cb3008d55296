//! Synchronization: brings each learner's history to the leader's, and serves when a quorum is
//! there.
//!
//! In one step: the choice, all that is decided, all that is not, and from then on all that comes.
//! So nothing is missed, whenever a learner comes.

use super::handshake::read_history_ack;
use super::peers::{Learner, Stage, is_full};
use super::sync::{Plan, choose};
use super::{Leading, Phase};
use crate::config::ReadLogLimit;
use crate::core::{Core, tell};
use base::{Lsn, NodeId, Zxid};
use broadcast::{Item, LinkId, Output, View};
use trace::Ensemble as Event;
use wire::quorum::{Packet, PacketKind, put_packet};

impl Leading {
    /// Sends a learner what it lacks, if it waits for that.
    pub(super) fn synchronize(&mut self, core: &Core, link: LinkId, out: &mut Vec<Output>) {
        let stage = self.learners.get(&link).map(|learner| learner.stage);
        let Some(Stage::Promised(p)) = stage else { return };
        let (last, decided) = decided(core, self.phase);
        let plan = choose_in_memory(core, p, (last, decided));
        let plan = if (core.limits.force_snapshot && !self.voids(core, p))
            || (self.is_early(core, link) && !is_safe_for_observers(plan, decided))
        {
            Plan::Snap
        } else {
            plan
        };
        if self.must_wait(core, p, plan) || self.waits_its_turn(core, link, plan) {
            return;
        }
        if plan == Plan::ReadLog && core.limits.read_log == ReadLogLimit::Host {
            if let Some(learner) = self.learners.get_mut(&link) {
                learner.stage = Stage::ReadingLog(p);
            }
            return out.push(Output::ReadLog { link, from: p });
        }
        self.send_difference(core, link, (p, plan), &[], out);
    }

    /// Whether a learner came as an observer and counts towards this member's quorum as a voter.
    fn is_early(&self, core: &Core, link: LinkId) -> bool {
        let votes = |learner: &Learner| learner.observes && core.ensemble.is_voter(learner.node);
        self.learners.get(&link).is_some_and(votes) && !self.is_established()
    }

    /// Whether the state would void what a learner's disk holds behind the place of the state, and
    /// that may be decided. Once this member is established its state is at all that was decided
    /// before.
    fn voids(&self, core: &Core, p: Zxid) -> bool {
        self.phase != Phase::Broadcast && p > applied(core)
    }

    /// Whether a learner is not sent the state yet. Without a quorum in time it is needed for one.
    fn must_wait(&self, core: &Core, p: Zxid, plan: Plan) -> bool {
        plan == Plan::Snap && self.voids(core, p) && !self.is_late
    }

    /// Whether too many are sent what they lack for one whose vote does not count.
    fn waits_its_turn(&self, core: &Core, link: LinkId, plan: Plan) -> bool {
        let observes = self.learners.get(&link).is_some_and(|learner| learner.observes);
        observes && !self.is_early(core, link) && is_full(core, &self.learners, plan)
    }

    /// Learners that waited are sent the state.
    pub(super) fn synchronize_all(&mut self, core: &Core, out: &mut Vec<Output>) {
        let links: Vec<LinkId> = self.learners.keys().copied().collect();
        for link in links {
            self.synchronize(core, link, out);
        }
    }

    /// The log was read for a learner.
    pub(crate) fn log_read(
        &mut self,
        core: &Core,
        link: LinkId,
        log: &[(Zxid, Item)],
        out: &mut Vec<Output>,
    ) {
        let Some(learner) = self.learners.get_mut(&link) else { return };
        let Stage::ReadingLog(p) = learner.stage else { return };
        let (plan, log) = choose_with_log(core, p, log, decided(core, self.phase));
        if self.waits_its_turn(core, link, plan) {
            if let Some(learner) = self.learners.get_mut(&link) {
                learner.stage = Stage::Promised(p);
            }
            return;
        }
        self.send_difference(core, link, (p, plan), log, out);
    }

    /// Sends by plan; `log` holds the entries before those in memory, if the plan counts them.
    fn send_difference(
        &mut self,
        core: &Core,
        link: LinkId,
        (p, plan): (Zxid, Plan),
        log: &[(Zxid, Item)],
        out: &mut Vec<Output>,
    ) {
        let Some(learner) = self.learners.get_mut(&link) else { return };
        let (last, decided) = decided(core, self.phase);
        let to = ForWhom { link, observes: learner.observes, epoch: self.epoch };
        let frame = put_difference(core, to, (plan, log), (last, decided), out);
        learner.was_sent(plan, p, last, out);
        self.send(link, frame, Lsn::ZERO, out);
    }

    /// ACK of NEWLEADER.
    pub(super) fn history_ack(
        &mut self,
        core: &mut Core,
        link: LinkId,
        packet: &Packet<'_>,
        out: &mut Vec<Output>,
    ) -> Result<(), String> {
        let Some(learner) = self.learners.get_mut(&link) else { return Ok(()) };
        read_history_ack(packet, self.epoch)?;
        learner.stage = Stage::Installed;
        learner.acknowledged = learner.acknowledged.max(learner.synced_upto);
        let who = learner.node;
        if self.is_established() {
            self.up_to_date(link, out);
            self.synchronize_all(core, out);
            return Ok(());
        }
        if core.ensemble.is_voter(who) {
            self.installed.insert(who);
        }
        self.establish(core, out);
        Ok(())
    }

    /// With a quorum that has its history, this member serves.
    pub(super) fn establish(&mut self, core: &mut Core, out: &mut Vec<Output>) {
        let Phase::Synchronization(own) = self.phase else { return };
        if !core.history.is_durable(own) {
            return;
        }
        self.installed.insert(core.me);
        if !core.ensemble.is_quorum(&self.installed) {
            return;
        }
        self.phase = Phase::Broadcast;
        let early = self.learners.values().filter(|learner| learner.observes);
        let early = early.map(|learner| learner.node);
        self.returning = early.filter(|node| self.installed.contains(node)).collect();
        core.history.commit(core.history.last(), out);
        core.history.begin_epoch(self.start());
        core.elected.epoch = self.epoch;
        if let Some(next) = core.ensemble.next().cloned().filter(|_| core.reconfig) {
            let designated = core.designated_by(&next, &self.candidates(core));
            self.successor = Some(designated).filter(|leader| *leader != core.me);
            core.activate(next, out);
        }
        let supporters = self.installed.iter().copied().collect();
        tell(Event::Established { epoch: self.epoch, supporters }, out);
        out.push(Output::View(View::Primary { last: self.start() }));
        let waiting = |stage| stage == Stage::Installed;
        let learners = self.learners.iter().filter(|(_, learner)| waiting(learner.stage));
        let links: Vec<LinkId> = learners.map(|(link, _)| *link).collect();
        for link in links {
            self.up_to_date(link, out);
        }
        self.synchronize_all(core, out);
    }

    /// Who may lead by a configuration that takes effect with this member's epoch, best first:
    /// those that have all there is.
    fn candidates(&self, core: &Core) -> Vec<NodeId> {
        let mut candidates = self.best(core.history.last());
        candidates.extend(self.installed.iter().copied().filter(|node| *node != core.me));
        candidates
    }

    fn up_to_date(&mut self, link: LinkId, out: &mut Vec<Output>) {
        if let Some(learner) = self.learners.get_mut(&link) {
            learner.joins(link, out);
        }
    }
}

/// Who is to get a difference.
pub(crate) struct ForWhom {
    pub(crate) link: LinkId,
    pub(crate) observes: bool,
    /// The epoch that it is to have.
    pub(crate) epoch: i64,
}

/// Whether an observer's acknowledgement of NEWLEADER says that all is on its disk. One of the
/// reference acknowledges a difference before it has logged it, and a state or a cut when it has a
/// snapshot of all that came with them.
fn is_safe_for_observers(plan: Plan, count: usize) -> bool {
    match plan {
        Plan::Diff { from, .. } => from >= count,
        Plan::Trunc { .. } | Plan::Snap => true,
        Plan::ReadLog => false, // what it holds is a difference
    }
}

/// The choice with what is in memory alone.
pub(crate) fn choose_in_memory(core: &Core, p: Zxid, (last, decided): (Zxid, usize)) -> Plan {
    let places = core.history.entries().range(..decided).map(|entry| entry.at);
    choose(p, Some(core.history.before()), places, last)
}

/// The choice with what the log holds, and as much of that as comes before the entries in memory.
pub(crate) fn choose_with_log<'l>(
    core: &Core,
    p: Zxid,
    log: &'l [(Zxid, Item)],
    (last, decided): (Zxid, usize),
) -> (Plan, &'l [(Zxid, Item)]) {
    let recent = core.history.entries().range(..decided);
    let first = recent.clone().next().map(|entry| entry.at);
    let min = first.unwrap_or(last);
    // The log joins what is in memory if it holds the first of that, or the last before it; if there
    // is nothing, as after a start on a state alone, the log must hold all.
    let holds = |(at, _): &(Zxid, Item)| *at >= min || *at == core.history.before();
    let joins = log.iter().any(holds);
    let is_before = |at: Zxid| first.map_or(at <= last, |first| at < first);
    let before = log.partition_point(|(at, _)| is_before(*at));
    let log = if joins { &log[..before] } else { &[] };
    if log.is_empty() {
        return (Plan::Snap, log);
    }
    let places = log.iter().map(|(at, _)| *at).chain(recent.map(|entry| entry.at));
    let places: Vec<Zxid> = places.collect();
    (choose(p, None, places.iter().copied(), last), log)
}

/// What a learner is sent by plan, up to NEWLEADER; a state, and what comes before it, is sent at
/// once. `log` holds the entries before those in memory, if the plan counts them.
pub(crate) fn put_difference(
    core: &Core,
    to: ForWhom,
    (plan, log): (Plan, &[(Zxid, Item)]),
    (last, decided): (Zxid, usize),
    out: &mut Vec<Output>,
) -> Vec<u8> {
    let ForWhom { link, observes, epoch } = to;
    let mut frame = Vec::new();
    let from = match plan {
        Plan::Diff { upto, from } => {
            put_packet(&mut frame, PacketKind::Diff, upto.0, None);
            from
        }
        Plan::Trunc { to, from } => {
            put_packet(&mut frame, PacketKind::Trunc, to.0, None);
            from
        }
        Plan::Snap | Plan::ReadLog => {
            // The state is at what is decided and on this disk; the rest follows. Where an epoch
            // begins is no place for it: other members could not compare it.
            let at = last.min(applied(core)).min(core.history.last_entry());
            put_packet(&mut frame, PacketKind::Snap, at.0, None);
            let frame = std::mem::take(&mut frame).into();
            out.push(Output::Send { link, frame, after: Lsn::ZERO });
            out.push(Output::SendSnapshot { link });
            log.len() + core.history.entries().partition_point(|entry| entry.at <= at)
        }
    };
    let entries = core.history.entries();
    let recent = entries.range(..decided).map(|entry| (entry.at, &entry.item));
    let all = log.iter().map(|(at, item)| (*at, item)).chain(recent);
    for (at, item) in all.skip(from) {
        put_packet(&mut frame, PacketKind::Proposal, at.0, Some(item));
        put_packet(&mut frame, PacketKind::Commit, at.0, None);
    }
    if !observes {
        for entry in entries.range(decided..) {
            put_packet(&mut frame, PacketKind::Proposal, entry.at.0, Some(&entry.item));
        }
    }
    let text = core.ensemble.last_seen().to_string();
    let start = crate::core::epoch_start(epoch).0;
    put_packet(&mut frame, PacketKind::NewLeader, start, Some(text.as_bytes()));
    frame
}

/// What a quorum has decided, as [`decided`].
pub(crate) fn decided_by_quorum(core: &Core) -> (Zxid, usize) {
    decided(core, Phase::Broadcast)
}

/// The end of what learners get as decided, and how many of the entries in memory that is. Before
/// a leader is established that is all it has: it becomes decided with its quorum.
fn decided(core: &Core, phase: Phase) -> (Zxid, usize) {
    let entries = core.history.entries();
    if phase == Phase::Broadcast {
        let committed = core.history.committed();
        (committed, entries.partition_point(|entry| entry.at <= committed))
    } else {
        (core.history.last(), entries.len())
    }
}

/// Where the state is for sure: delivered, and through its gate.
fn applied(core: &Core) -> Zxid {
    core.history.committed().min(core.history.synced())
}
