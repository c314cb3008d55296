//! What goes through a follower between its observers and the leader.
//!
//! The leader answers syncs in the order in which they came, and renewals of sessions by their ids;
//! it knows of one learner here. So this member keeps who asked: an observer, or its own service.

use super::ObserverMaster;
use crate::core::Core;
use base::{Lsn, Zxid};
use broadcast::{Item, LinkId, Output};
use bytes::Bytes;
use jute::{Decode, Encode, Reader};
use std::collections::VecDeque;
use wire::OpCode;
use wire::quorum::{
    Activation, ForwardedRequest, Packet, PacketKind, Revalidate, RevalidateReply, Touches,
    packet_len, put_packet, put_packet_with_data, put_touch,
};

/// Who asked; none is this member's own service.
type Asker = Option<LinkId>;

/// What the leader is yet to answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    syncs: VecDeque<Asker>,
    /// Sessions that are to be renewed.
    renewals: VecDeque<(i64, Asker)>,
}

impl Asked {
    /// Takes note of a packet to the leader.
    fn note(&mut self, asker: Asker, packet: &Packet<'_>) -> Result<(), jute::Error> {
        let mut data = Reader::new(packet.data.unwrap_or_default());
        match packet.kind() {
            Some(PacketKind::Request) => {
                if ForwardedRequest::decode(&mut data)?.op == OpCode::Sync.number() {
                    self.syncs.push_back(asker);
                }
            }
            Some(PacketKind::Revalidate) => {
                let session = Revalidate::decode(&mut data)?.session_id;
                self.renewals.push_back((session, asker));
            }
            Some(_) | None => {}
        }
        Ok(())
    }

    /// Who is to have an answer of the leader's.
    fn take(&mut self, packet: &Packet<'_>) -> Asker {
        if packet.kind() == Some(PacketKind::Sync) {
            return self.syncs.pop_front().flatten();
        }
        let mut data = Reader::new(packet.data.unwrap_or_default());
        let session = RevalidateReply::decode(&mut data).ok()?.session_id;
        let place = self.renewals.iter().position(|(asked, _)| *asked == session)?;
        self.renewals.remove(place)?.1
    }
}

impl ObserverMaster {
    /// A packet of an observer that serves.
    pub(super) fn relay(
        &mut self,
        core: &Core,
        link: LinkId,
        kind: Option<PacketKind>,
        frame: &Bytes,
        packet: &Packet<'_>,
        out: &mut Vec<Output>,
    ) -> Result<(), String> {
        match kind {
            Some(PacketKind::Ack) => {
                let at = Zxid(packet.zxid);
                if at.counter() != 0 && at <= core.history.last() {
                    return Err(format!("an observer acknowledged {at}"));
                }
            }
            Some(PacketKind::Ping) => {
                let touches = Touches::decode(packet.data).map_err(|e| format!("its ping: {e}"))?;
                self.touched.extend(touches.iter());
            }
            Some(PacketKind::Request | PacketKind::Revalidate) => {
                self.asked.note(Some(link), packet).map_err(|e| format!("its letter: {e}"))?;
                let (link, frame) = (self.leader, frame.clone());
                out.push(Output::Send { link, frame, after: Lsn::ZERO });
            }
            Some(_) | None => {} // nothing that an observer says
        }
        Ok(())
    }

    /// This member's own service writes to the leader's.
    pub(in crate::learner) fn forwarded(&mut self, letters: &[u8]) {
        let mut rest = letters;
        while let Ok(Some(size)) = packet_len(rest, usize::MAX) {
            if let Ok(packet) = Packet::decode(&rest[..size]) {
                // What cannot be read is nothing that is answered.
                let _ = self.asked.note(None, &packet);
            }
            rest = &rest[size..];
        }
    }

    /// An answer of the leader's; whether it was an observer's to have.
    pub(in crate::learner) fn answered(
        &mut self,
        frame: &Bytes,
        packet: &Packet<'_>,
        out: &mut Vec<Output>,
    ) -> bool {
        let Some(link) = self.asked.take(packet) else { return false };
        if self.has(link) {
            out.push(Output::Send { link, frame: frame.clone(), after: Lsn::ZERO });
        }
        true
    }

    /// Adds what observers have heard to what the leader is told.
    pub(in crate::learner) fn touches(&mut self, letter: &mut Vec<u8>) {
        for (session, timeout_ms) in std::mem::take(&mut self.touched) {
            put_touch(letter, session, timeout_ms);
        }
    }

    /// An entry is decided; with it perhaps who leads from now on.
    pub(in crate::learner) fn inform(
        &mut self,
        core: &Core,
        (at, item): (Zxid, &Item),
        designated_leader: Option<i64>,
        out: &mut Vec<Output>,
    ) {
        if self.observers.is_empty() {
            return;
        }
        let mut frame = Vec::new();
        match designated_leader {
            None => put_packet(&mut frame, PacketKind::Inform, at.0, Some(item)),
            Some(designated_leader) => {
                put_packet_with_data(&mut frame, PacketKind::InformAndActivate, at.0, |data| {
                    Activation { designated_leader, txn: item }.encode(data);
                });
            }
        }
        self.send_all(frame, out);
        self.synchronize_all(core, out);
    }
}
