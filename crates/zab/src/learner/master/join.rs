//! An observer's way to a follower's history.

use super::ObserverMaster;
use crate::config::ReadLogLimit;
use crate::core::Core;
use crate::ensemble::node;
use crate::leader::handshake::{leader_info, read_epoch_ack, read_history_ack, read_info};
use crate::leader::peers::{Stage, is_full, taken_over};
use crate::leader::sync::Plan;
use crate::leader::synchronize::{
    ForWhom, choose_in_memory, choose_with_log, decided_by_quorum, put_difference,
};
use base::{Lsn, NodeId, Time, Zxid};
use broadcast::{Item, LinkId, Output};
use bytes::Bytes;
use wire::quorum::{Packet, PacketKind};

impl ObserverMaster {
    /// One packet of an observer; an error is its end.
    pub(super) fn packet(
        &mut self,
        core: &Core,
        link: LinkId,
        frame: &Bytes,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Result<(), String> {
        let packet = Packet::decode(frame).map_err(|error| format!("its packet: {error}"))?;
        let kind = packet.kind();
        let Some(observer) = self.observers.get_mut(&link) else { return Ok(()) };
        match observer.stage {
            Stage::Nameless => self.info(core, link, kind, &packet, now, out),
            Stage::Offered => self.epoch_ack(core, link, &packet, out),
            Stage::Synced => {
                self.history_ack(link, &packet, out)?;
                self.synchronize_all(core, out);
                Ok(())
            }
            Stage::Installed | Stage::Active => self.relay(core, link, kind, frame, &packet, out),
            Stage::Registered | Stage::Promised(_) | Stage::ReadingLog(_) => {
                Err(format!("packet {} came out of turn", packet.kind))
            }
        }
    }

    /// OBSERVERINFO.
    fn info(
        &mut self,
        core: &Core,
        link: LinkId,
        kind: Option<PacketKind>,
        packet: &Packet<'_>,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Result<(), String> {
        if kind != Some(PacketKind::ObserverInfo) {
            return Err(format!("packet {} came where OBSERVERINFO was to come", packet.kind));
        }
        let (info, _) = read_info(core, packet)?;
        let who = node(info.server_id);
        self.take_over(core, who, now, out)?;
        let Some(observer) = self.observers.get_mut(&link) else { return Ok(()) };
        (observer.node, observer.observes, observer.stage) = (who, true, Stage::Offered);
        // The epoch is this member's already, on its disk and with a quorum.
        let frame = leader_info(self.epoch).into();
        out.push(Output::Send { link, frame, after: Lsn::ZERO });
        Ok(())
    }

    /// An observer that comes again takes the place of its old link, unless that one is alive.
    fn take_over(
        &mut self,
        core: &Core,
        who: NodeId,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Result<(), String> {
        let since = (now, core.limits.tick);
        let Some(old) = taken_over(core, &self.observers, who, since)? else { return Ok(()) };
        self.close(old, "it has come again".to_owned(), out);
        Ok(())
    }

    /// ACKEPOCH.
    fn epoch_ack(
        &mut self,
        core: &Core,
        link: LinkId,
        packet: &Packet<'_>,
        out: &mut Vec<Output>,
    ) -> Result<(), String> {
        let last = read_epoch_ack(packet)?;
        if let Some(observer) = self.observers.get_mut(&link) {
            observer.stage = Stage::Promised(last);
        }
        self.synchronize(core, link, out);
        Ok(())
    }

    /// Sends an observer what it lacks, if it waits for that and this member has what it has.
    pub(super) fn synchronize(&mut self, core: &Core, link: LinkId, out: &mut Vec<Output>) {
        let stage = self.observers.get(&link).map(|observer| observer.stage);
        let Some(Stage::Promised(p)) = stage else { return };
        let (last, decided) = decided_by_quorum(core);
        // Observers have nothing of this epoch that is not decided.
        if p > last && i64::from(p.epoch()) == self.epoch && p.counter() > 0 {
            return;
        }
        let plan = if core.limits.force_snapshot {
            Plan::Snap
        } else {
            choose_in_memory(core, p, (last, decided))
        };
        if is_full(core, &self.observers, plan) {
            return;
        }
        let Some(observer) = self.observers.get_mut(&link) else { return };
        if plan == Plan::ReadLog && core.limits.read_log == ReadLogLimit::Host {
            observer.stage = Stage::ReadingLog(p);
            return out.push(Output::ReadLog { link, from: p });
        }
        self.send_difference(core, link, (p, plan), &[], out);
    }

    /// Observers that waited for this member.
    pub(super) fn synchronize_all(&mut self, core: &Core, out: &mut Vec<Output>) {
        let waits = |stage| matches!(stage, Stage::Promised(_));
        let waiting = self.observers.iter().filter(|(_, observer)| waits(observer.stage));
        for link in waiting.map(|(link, _)| *link).collect::<Vec<_>>() {
            self.synchronize(core, link, out);
        }
    }

    /// The log was read for an observer.
    pub(crate) fn log_read(
        &mut self,
        core: &Core,
        link: LinkId,
        log: &[(Zxid, Item)],
        out: &mut Vec<Output>,
    ) {
        let stage = self.observers.get(&link).map(|observer| observer.stage);
        let Some(Stage::ReadingLog(p)) = stage else { return };
        let (plan, log) = choose_with_log(core, p, log, decided_by_quorum(core));
        if is_full(core, &self.observers, plan) {
            if let Some(observer) = self.observers.get_mut(&link) {
                observer.stage = Stage::Promised(p);
            }
            return;
        }
        self.send_difference(core, link, (p, plan), log, out);
    }

    fn send_difference(
        &mut self,
        core: &Core,
        link: LinkId,
        (p, plan): (Zxid, Plan),
        log: &[(Zxid, Item)],
        out: &mut Vec<Output>,
    ) {
        let Some(observer) = self.observers.get_mut(&link) else { return };
        let (last, decided) = decided_by_quorum(core);
        let to = ForWhom { link, observes: true, epoch: self.epoch };
        let frame = put_difference(core, to, (plan, log), (last, decided), out);
        observer.was_sent(plan, p, last, out);
        out.push(Output::Send { link, frame: frame.into(), after: Lsn::ZERO });
    }

    /// ACK of NEWLEADER: the observer serves.
    fn history_ack(
        &mut self,
        link: LinkId,
        packet: &Packet<'_>,
        out: &mut Vec<Output>,
    ) -> Result<(), String> {
        let Some(observer) = self.observers.get_mut(&link) else { return Ok(()) };
        read_history_ack(packet, self.epoch)?;
        observer.joins(link, out);
        Ok(())
    }
}
