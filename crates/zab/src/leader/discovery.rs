//! Discovery: a quorum agrees on an epoch that nobody had before.

use super::handshake::{leader_info, read_epoch_ack, read_info};
use super::peers::{Stage, taken_over};
use super::{Leading, Lost, Phase};
use crate::core::{Core, NOT_INITIALISED, epoch_start, tell};
use crate::ensemble::node;
use base::{NodeId, Time};
use broadcast::{LinkId, Output};
use std::time::Duration;
use trace::Ensemble as Event;
use wire::quorum::{Packet, PacketKind, decode_epoch_ack};

impl Leading {
    /// FOLLOWERINFO or OBSERVERINFO.
    pub(super) fn info(
        &mut self,
        core: &mut Core,
        link: LinkId,
        kind: Option<PacketKind>,
        packet: &Packet<'_>,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Result<(), String> {
        let observes = match kind {
            Some(PacketKind::FollowerInfo) => false,
            Some(PacketKind::ObserverInfo) => true,
            Some(_) | None => return Err(format!("it began with packet {}", packet.kind)),
        };
        let (info, accepted) = read_info(core, packet)?;
        let who = node(info.server_id);
        self.take_over(core, who, now, out)?;
        let Some(learner) = self.learners.get_mut(&link) else { return Ok(()) };
        (learner.node, learner.observes, learner.stage) = (who, observes, Stage::Registered);
        if !observes {
            self.returning.remove(&who);
        }
        if core.ensemble.is_voter(who) {
            core.foreseen = core.foreseen.max(accepted);
        }
        if self.is_established() && accepted > self.epoch && core.ensemble.is_voter(who) {
            // It may take part in no epoch of ours; with a later one it can.
            self.outdated = Some((who, accepted));
        }
        if self.phase > Phase::Discovery {
            self.offer(core, link, out);
            return Ok(());
        }
        // Also if it came as an observer: it may not know yet of a configuration by which it votes.
        if core.ensemble.is_voter(who) {
            self.connected.insert(who, accepted);
        }
        self.discover(core, now, out);
        Ok(())
    }

    /// A member that comes again takes the place of its old link, unless that one is alive.
    fn take_over(
        &mut self,
        core: &Core,
        who: NodeId,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Result<(), String> {
        let quiet = if self.is_established() { core.limits.tick } else { Duration::ZERO };
        let Some(old) = taken_over(core, &self.learners, who, (now, quiet))? else { return Ok(()) };
        self.learners.remove(&old);
        out.push(Output::Close { link: old });
        Ok(())
    }

    /// A voter looks for a leader: if it elected this one, and no quorum has come for as long as
    /// that is borne, this member had better look again too.
    pub(crate) fn looks_again(
        &self,
        core: &Core,
        who: NodeId,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Result<(), Lost> {
        let (electors, since) = &self.electors;
        let waited = now.since(*since);
        let is_over = core.limits.disloyal_wait.is_some_and(|most| waited > most);
        if self.phase == Phase::Discovery && electors.contains(&who) && is_over {
            tell(Event::VoterChangedMind { voter: who }, out);
            return Err(format!("server {} looks for another leader", who.0));
        }
        Ok(())
    }

    /// With a quorum here, proposes the epoch.
    pub(super) fn discover(&mut self, core: &mut Core, now: Time, out: &mut Vec<Output>) {
        let here = self.connected.keys().copied().collect();
        if self.phase != Phase::Discovery || !core.ensemble.is_quorum(&here) {
            return;
        }
        let largest = self.connected.values().copied().max().unwrap_or_default();
        self.epoch = largest.max(core.accepted_epoch).max(core.foreseen) + 1;
        tell(Event::EpochProposed { epoch: self.epoch }, out);
        self.phase = Phase::Promising(core.promise(self.epoch, out));
        self.until = now + core.limits.init_time();
        let links: Vec<LinkId> = self.learners.keys().copied().collect();
        for link in links {
            self.offer(core, link, out);
        }
    }

    /// LEADERINFO, behind this member's own promise.
    fn offer(&mut self, core: &Core, link: LinkId, out: &mut Vec<Output>) {
        let registered = |stage| stage == Stage::Registered;
        let Some(learner) = self.learners.get_mut(&link).filter(|l| registered(l.stage)) else {
            return;
        };
        learner.stage = Stage::Offered;
        self.send(link, leader_info(self.epoch), core.history.lsn(), out);
    }

    /// ACKEPOCH.
    pub(super) fn epoch_ack(
        &mut self,
        core: &mut Core,
        link: LinkId,
        packet: &Packet<'_>,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Result<(), String> {
        let last = read_epoch_ack(packet)?;
        let epoch = decode_epoch_ack(packet.data).map_err(|error| error.to_string())?;
        let Some(learner) = self.learners.get_mut(&link) else { return Ok(()) };
        learner.stage = Stage::Promised(last);
        let who = learner.node;
        if let Some(epoch) = epoch {
            let standing = (i64::from(epoch), last);
            // Where this member's epoch begins is the end of its initial history, which this has.
            let is_start = standing == (self.initial.0, epoch_start(self.initial.0));
            if standing > self.initial && !is_start {
                let (own_epoch, own_last) = self.initial;
                return Err(format!(
                    "it is ahead: {epoch:#x} and {last} against {own_epoch:#x} and {own_last}"
                ));
            }
            if core.ensemble.is_voter(who) && last != NOT_INITIALISED {
                self.promised.insert(who);
            }
        }
        if self.phase >= Phase::Synchronization(base::Lsn::ZERO) {
            self.synchronize(core, link, out);
        }
        self.agree(core, now, out);
        Ok(())
    }

    /// With a quorum's promises, its own included, the epoch is agreed.
    pub(super) fn agree(&mut self, core: &mut Core, now: Time, out: &mut Vec<Output>) {
        let Phase::Promising(own) = self.phase else { return };
        if !core.history.is_durable(own) {
            return;
        }
        self.promised.insert(core.me);
        if !core.ensemble.is_quorum(&self.promised) {
            return;
        }
        let promised = self.promised.iter().copied().collect();
        tell(Event::EpochAgreed { epoch: self.epoch, promised }, out);
        core.forget_void(out);
        self.propose_configuration(core, out);
        self.phase = Phase::Synchronization(core.install(self.epoch, out));
        self.until = now + core.limits.init_time();
        self.synchronize_all(core, out);
    }

    /// The first epoch with changeable membership gives the configuration its first version.
    fn propose_configuration(&self, core: &mut Core, out: &mut Vec<Output>) {
        if core.reconfig && core.ensemble.last_seen().version() == 0 {
            let first = core.ensemble.committed.clone().with_version(self.start().0);
            core.see(first, out);
        }
    }
}
