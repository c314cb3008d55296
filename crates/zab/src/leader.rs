//! A member that leads: discovery, synchronization, broadcast.
//!
//! In: learners' packets and the service's proposals. Invariants: nothing is told of an epoch
//! before the promise of it is on this member's disk; nothing is served before a quorum has the
//! initial history and the epoch on its disks; a proposal is decided when it and all before it are
//! on the disks of a quorum, this member's own being one like the others.
//! Source: the reference's `Leader` and `LearnerHandler`.

mod broadcast;
mod discovery;
pub(crate) mod handshake;
mod liveness;
pub(crate) mod peers;
mod reads;
pub(crate) mod sync;
pub(crate) mod synchronize;

use crate::QUORUM;
use crate::core::{Core, epoch_start, tell};
use ::broadcast::{LinkId, Output};
use base::{Lsn, NodeId, Time, Zxid};
use bytes::Bytes;
pub(crate) use liveness::LISTEN_RETRY;
use peers::{Learner, Learners, Stage};
use reads::Reads;
use std::collections::{BTreeMap, BTreeSet};
use trace::Ensemble as Event;
use wire::quorum::{Packet, PacketKind, packet_len};

/// Leading.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Leading {
    phase: Phase,
    /// The epoch, once it is proposed.
    epoch: i64,
    /// Where this member stood when it was elected.
    initial: (i64, Zxid),
    learners: Learners,
    /// Voters that are here, and what they promised before.
    connected: BTreeMap<NodeId, i64>,
    /// Voters that promised the epoch.
    promised: BTreeSet<NodeId>,
    /// Voters that have the initial history and the epoch on their disks.
    installed: BTreeSet<NodeId>,
    /// Voters that came as observers and are awaited as what they are: they knew no better.
    returning: BTreeSet<NodeId>,
    /// Who is to lead by the configuration that took effect with this member's epoch.
    successor: Option<NodeId>,
    /// When the phase is to be over; of the last one, when it is no more waited for these.
    until: Time,
    tick_at: Time,
    ticks: u64,
    listen_at: Option<Time>,
    reads: Reads,
    /// Voters that elected this member, and since when it waits for a quorum to come.
    electors: (BTreeSet<NodeId>, Time),
    /// A voter that has promised a later epoch than this one: it can join the next.
    outdated: Option<(NodeId, i64)>,
    /// Whether a quorum takes longer than a tick to have this member's history.
    is_late: bool,
}

/// How far a leader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Phase {
    /// It waits for a quorum to come.
    Discovery,
    /// It waits for a quorum's promises; its own is on the disk when that record is.
    Promising(Lsn),
    /// It waits for a quorum to have its history; its own is on the disk when that record is.
    Synchronization(Lsn),
    /// It serves.
    Broadcast,
}

/// Why a member leads no more.
pub(crate) type Lost = String;

impl Leading {
    /// Opens the port for learners; these voters elected it.
    pub(crate) fn begin(
        core: &mut Core,
        electors: BTreeSet<NodeId>,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Leading {
        let mut leading = Leading {
            phase: Phase::Discovery,
            epoch: 0,
            initial: core.standing(),
            learners: Learners::new(),
            connected: BTreeMap::from([(core.me, core.accepted_epoch)]),
            promised: BTreeSet::new(),
            installed: BTreeSet::new(),
            returning: BTreeSet::new(),
            successor: None,
            until: now + core.limits.gather_time(),
            tick_at: now + core.limits.tick / 2,
            ticks: 0,
            listen_at: None,
            reads: Reads::default(),
            electors: (electors, now),
            outdated: None,
            is_late: false,
        };
        leading.listen(core, out);
        leading.discover(core, now, out);
        leading
    }

    fn listen(&mut self, core: &Core, out: &mut Vec<Output>) {
        self.listen_at = None;
        if let Some(addresses) = core.ensemble.quorum_addresses(core.me) {
            let addresses = core.listen_addresses(&addresses);
            out.push(Output::Listen { channel: QUORUM, addresses });
        }
    }

    /// The port could not be opened: it is tried again, as long as the phase lasts.
    pub(crate) fn listen_failed(&mut self, reason: String, now: Time, out: &mut Vec<Output>) {
        tell(Event::ListenFailed { port: "quorum", reason }, out);
        self.listen_at = Some(now + liveness::LISTEN_RETRY);
    }

    /// Whether this member serves.
    pub(crate) fn is_established(&self) -> bool {
        self.phase == Phase::Broadcast
    }

    /// Whether learners are being brought to this member's history, or are there.
    pub(crate) fn is_synchronizing(&self) -> bool {
        matches!(self.phase, Phase::Synchronization(_))
    }

    /// The epoch; 0 before there is one.
    pub(crate) fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Learners that serve: those that vote, and those that observe.
    pub(crate) fn active(&self) -> (Vec<NodeId>, Vec<NodeId>) {
        let active = |observes: bool| {
            let learners = self.learners.values();
            let these = learners.filter(|l| l.stage == Stage::Active && l.observes == observes);
            these.map(|learner| learner.node).collect()
        };
        (active(false), active(true))
    }

    /// How many learners have said who they are.
    pub(crate) fn named(&self) -> usize {
        self.learners.values().filter(|learner| learner.stage > Stage::Nameless).count()
    }

    /// How many reads wait for what was proposed before them.
    pub(crate) fn pending_syncs(&self) -> usize {
        self.reads.pending_syncs()
    }

    /// Who has this member's history and is to have more: itself, and learners that count.
    pub(crate) fn synced(&self, me: NodeId) -> Vec<NodeId> {
        let learners = self.learners.values().filter(|learner| learner.counts());
        std::iter::once(me).chain(learners.map(|learner| learner.node)).collect()
    }

    /// Leaves all learners.
    pub(crate) fn end(&self, out: &mut Vec<Output>) {
        out.push(Output::Unlisten { channel: QUORUM });
        out.extend(self.learners.keys().map(|&link| Output::Close { link }));
    }

    /// A learner's connection is there.
    pub(crate) fn link_up(&mut self, link: LinkId, now: Time, out: &mut Vec<Output>) {
        if self.learners.len() >= LEARNERS_MAX {
            return out.push(Output::Close { link });
        }
        self.learners.insert(link, Learner::new(now));
    }

    /// A learner's connection is gone.
    pub(crate) fn link_down(
        &mut self,
        core: &Core,
        link: LinkId,
        reason: String,
        out: &mut Vec<Output>,
    ) -> Result<(), Lost> {
        let Some(learner) = self.learners.remove(&link) else { return Ok(()) };
        self.lost(core, link, &learner, reason, out)
    }

    /// Closes a learner's connection.
    fn drop_learner(
        &mut self,
        core: &Core,
        link: LinkId,
        reason: String,
        out: &mut Vec<Output>,
    ) -> Result<(), Lost> {
        let Some(learner) = self.learners.remove(&link) else { return Ok(()) };
        out.push(Output::Close { link });
        self.lost(core, link, &learner, reason, out)
    }

    fn lost(
        &mut self,
        core: &Core,
        link: LinkId,
        learner: &Learner,
        reason: String,
        out: &mut Vec<Output>,
    ) -> Result<(), Lost> {
        if learner.stage == Stage::Nameless {
            tell(Event::LinkRefused { link: link.0, peer: None, reason }, out);
            return Ok(());
        }
        if self.phase == Phase::Discovery {
            self.connected.remove(&learner.node);
        }
        tell(Event::LearnerLost { learner: learner.node, reason }, out);
        if self.is_established() {
            self.synchronize_all(core, out); // it may have been somebody's turn before others
        }
        self.has_quorum(core)
    }

    /// Bytes came from a learner.
    pub(crate) fn received(
        &mut self,
        core: &mut Core,
        link: LinkId,
        bytes: Bytes,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Result<(), Lost> {
        let Some(learner) = self.learners.get_mut(&link) else { return Ok(()) };
        learner.heard = now;
        learner.inbound.push(bytes);
        let limit = core.limits.packet_size_max;
        while let Some(learner) = self.learners.get_mut(&link) {
            let frame = match learner.inbound.next(|bytes| packet_len(bytes, limit)) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => {
                    return self.drop_learner(core, link, format!("its packet: {error}"), out);
                }
            };
            if let Err(reason) = self.packet(core, link, &frame, now, out) {
                self.drop_learner(core, link, reason, out)?;
            }
        }
        if let Some((who, promised)) = self.outdated {
            let who = who.0;
            return Err(format!("server {who} has promised the later epoch {promised:#x}"));
        }
        // What all these packets together came to is decided once.
        self.decide(core, out)
    }

    /// One packet of a learner; an error is its end.
    fn packet(
        &mut self,
        core: &mut Core,
        link: LinkId,
        frame: &Bytes,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Result<(), String> {
        let packet = Packet::decode(frame).map_err(|error| format!("its packet: {error}"))?;
        let kind = packet.kind();
        let Some(learner) = self.learners.get_mut(&link) else { return Ok(()) };
        match learner.stage {
            Stage::Nameless => self.info(core, link, kind, &packet, now, out),
            Stage::Offered => self.epoch_ack(core, link, &packet, now, out),
            Stage::Synced => self.history_ack(core, link, &packet, out),
            Stage::Installed | Stage::Active => {
                self.active_packet(core, link, kind, frame, &packet, out)
            }
            Stage::Registered | Stage::Promised(_) | Stage::ReadingLog(_) => {
                Err(format!("packet {} came out of turn", packet.kind))
            }
        }
    }

    fn active_packet(
        &mut self,
        core: &Core,
        link: LinkId,
        kind: Option<PacketKind>,
        frame: &Bytes,
        packet: &Packet<'_>,
        out: &mut Vec<Output>,
    ) -> Result<(), String> {
        let Some(learner) = self.learners.get_mut(&link) else { return Ok(()) };
        let node = learner.node;
        match kind {
            Some(PacketKind::Ack) => {
                let at = Zxid(packet.zxid);
                if at.counter() == 0 || at > core.history.last() {
                    return Ok(()); // the second one of its epoch; or of nothing that was proposed
                }
                if learner.observes {
                    return Err(format!("an observer acknowledged {at}"));
                }
                learner.acknowledged = learner.acknowledged.max(at);
            }
            Some(PacketKind::Ping) => {
                if let Some(round) = learner.pings.pop_front() {
                    learner.ponged = round;
                }
                let letter = packet.data.map_or_else(Bytes::new, |data| frame.slice_ref(data));
                out.push(Output::HeartbeatHeard { from: link, node, letter });
                self.reads_on(core, out);
            }
            Some(PacketKind::Request | PacketKind::Revalidate) => {
                if self.is_established() {
                    out.push(Output::Forwarded { from: link, node, letter: frame.clone() });
                }
            }
            Some(_) | None => {} // nothing that a learner says
        }
        Ok(())
    }

    /// A letter of the service to that of a learner.
    pub(crate) fn answer(&self, to: LinkId, letter: Bytes, out: &mut Vec<Output>) {
        if self.learners.get(&to).is_some_and(Learner::is_forwarded) {
            out.push(Output::Send { link: to, frame: letter, after: Lsn::ZERO });
        }
    }

    fn send(&self, link: LinkId, frame: Vec<u8>, after: Lsn, out: &mut Vec<Output>) {
        out.push(Output::Send { link, frame: Bytes::from(frame), after });
    }

    /// The beginning of the epoch.
    fn start(&self) -> Zxid {
        epoch_start(self.epoch)
    }
}

/// Links of learners, and of those that want to be.
const LEARNERS_MAX: usize = 1024;
