//! A learner that serves: entry by entry.

use super::{Learning, Lost, activation, data_of, is_observer};
use crate::core::Core;
use crate::ensemble::node;
use crate::history::follows;
use base::{Lsn, Zxid};
use broadcast::{Item, Output};
use bytes::Bytes;
use wire::quorum::{PACKET_SIZE_MIN, Packet, PacketKind, put_packet};

impl Learning {
    pub(super) fn active(
        &mut self,
        core: &mut Core,
        kind: PacketKind,
        frame: &Bytes,
        packet: &Packet<'_>,
        out: &mut Vec<Output>,
    ) -> Result<(), Lost> {
        let at = Zxid(packet.zxid);
        match kind {
            PacketKind::Proposal => append(core, at, data_of(frame, packet.data)?, out),
            PacketKind::Commit => self.commit(core, at, None, out),
            PacketKind::CommitAndActivate => {
                let designated = activation(packet.data)?.designated_leader;
                self.activate(core, at, designated, out)
            }
            PacketKind::Inform => {
                append(core, at, data_of(frame, packet.data)?, out)?;
                self.commit(core, at, None, out)
            }
            PacketKind::InformAndActivate => {
                let activation = activation(packet.data)?;
                append(core, at, frame.slice_ref(activation.txn), out)?;
                self.activate(core, at, activation.designated_leader, out)
            }
            PacketKind::Ping => {
                self.pings.push_back(packet.zxid);
                out.push(Output::HeartbeatDue { link: self.link });
                Ok(())
            }
            // A request that comes back is an answer that only Quorate's primaries write.
            PacketKind::Revalidate | PacketKind::Sync | PacketKind::Request => {
                if let Some(observers) = &mut self.observers
                    && observers.answered(frame, packet, out)
                {
                    return Ok(());
                }
                out.push(Output::Answered { letter: frame.clone() });
                Ok(())
            }
            // Nothing that a leader says to one who serves.
            PacketKind::Ack
            | PacketKind::NewLeader
            | PacketKind::FollowerInfo
            | PacketKind::UpToDate
            | PacketKind::Diff
            | PacketKind::Trunc
            | PacketKind::Snap
            | PacketKind::ObserverInfo
            | PacketKind::LeaderInfo
            | PacketKind::AckEpoch => Ok(()),
        }
    }

    /// A configuration takes effect: with another leader or another place this role is over.
    fn activate(
        &mut self,
        core: &mut Core,
        at: Zxid,
        designated: i64,
        out: &mut Vec<Output>,
    ) -> Result<(), Lost> {
        let before = core.place(self.leader);
        self.commit(core, at, Some(designated), out)?;
        if node(designated) == self.leader && core.place(self.leader) == before {
            return Ok(());
        }
        core.designate(designated);
        Err(format!("by the new configuration {designated} leads, or this member's place changed"))
    }

    /// The next entry is decided; with it perhaps who leads from now on.
    fn commit(
        &mut self,
        core: &mut Core,
        at: Zxid,
        designated: Option<i64>,
        out: &mut Vec<Output>,
    ) -> Result<(), Lost> {
        let next = core.history.undecided().next();
        let next = next.ok_or_else(|| format!("commit of {at}, which was not proposed"))?;
        if next.at != at {
            return Err(format!("commit of {at}, but {} is next", next.at));
        }
        match &mut self.observers {
            None => core.commit_next(at, out),
            Some(observers) => {
                let item = next.item.clone();
                core.commit_next(at, out);
                observers.inform(core, (at, &item), designated, out);
            }
        }
        Ok(())
    }

    /// Entries became durable: those that came as proposals are acknowledged.
    pub(crate) fn durable(&mut self, core: &Core, entries: &[Zxid], out: &mut Vec<Output>) {
        if !self.is_active() || is_observer(core) {
            return;
        }
        let mut frame = Vec::with_capacity(entries.len() * PACKET_SIZE_MIN);
        for at in entries.iter().filter(|at| **at > self.acknowledged) {
            put_packet(&mut frame, PacketKind::Ack, at.0, None);
        }
        if !frame.is_empty() {
            self.send(frame, Lsn::ZERO, out);
        }
    }
}

fn append(core: &mut Core, at: Zxid, item: Item, out: &mut Vec<Output>) -> Result<(), Lost> {
    let last = core.history.last();
    if !follows(last, at) {
        return Err(format!("proposal {at} does not go on from {last}"));
    }
    core.append(at, item, None, out);
    Ok(())
}
