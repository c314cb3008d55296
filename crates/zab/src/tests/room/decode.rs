//! What travels, in words.

use crate::ELECTION;
use crate::reconfiguration::reconfigures;
use base::Zxid;
use broadcast::Channel;
use bytes::Bytes;
use jute::{Decode, Reader};
use wire::quorum::{
    Activation, LearnerInfo, Notification, Opening, Packet, PacketKind, ServerState,
    decode_epoch_ack, message_len, packet_len,
};
use wire::{Txn, TxnRecord};

/// The packets of a frame of the ports for learners; a frame of the election port is one.
pub(super) fn pieces(channel: Channel, frame: &Bytes) -> Vec<Bytes> {
    let mut rest = frame.clone();
    let mut pieces = Vec::new();
    while channel != ELECTION && !rest.is_empty() {
        let Ok(Some(size)) = packet_len(&rest, usize::MAX) else { break };
        pieces.push(rest.split_to(size));
    }
    if !rest.is_empty() {
        pieces.push(rest);
    }
    pieces
}

/// A piece in words.
pub(super) fn words(channel: Channel, piece: &[u8]) -> String {
    if channel == ELECTION { election(piece) } else { quorum(piece) }
}

fn election(piece: &[u8]) -> String {
    if let Ok(Some(size)) = message_len(piece)
        && size == piece.len()
        && let Ok(said) = Notification::decode(&piece[4..])
    {
        let state = match said.state {
            ServerState::Looking => "looking",
            ServerState::Following => "following",
            ServerState::Leading => "leading",
            ServerState::Observing => "observing",
        };
        let leader = match said.leader {
            i64::MIN => "nobody".to_owned(),
            leader => leader.to_string(),
        };
        let (zxid, epoch) = match said.zxid {
            i64::MIN => ("-".to_owned(), "-".to_owned()),
            zxid => (Zxid(zxid).to_string(), format!("{:#x}", said.peer_epoch)),
        };
        let round = said.election_epoch;
        return format!("VOTE {leader} epoch={epoch} zxid={zxid} round={round} ({state})");
    }
    match Opening::decode(piece) {
        Ok(opening) => format!("OPENING server {}", opening.server_id),
        Err(_) => format!("{} bytes", piece.len()),
    }
}

fn quorum(piece: &[u8]) -> String {
    let Ok(packet) = Packet::decode(piece) else { return format!("{} bytes", piece.len()) };
    let Some(kind) = packet.kind() else { return format!("packet of type {}", packet.kind) };
    let name = format!("{kind:?}").to_uppercase();
    let at = Zxid(packet.zxid);
    match kind {
        PacketKind::FollowerInfo | PacketKind::ObserverInfo => {
            let info = LearnerInfo::decode(packet.data).ok().flatten();
            let (sid, version) = info.map_or((0, 0), |i| (i.server_id, i.config_version));
            format!("{name} server={sid} accepted={:#x} config={version:x}", at.epoch())
        }
        PacketKind::LeaderInfo | PacketKind::NewLeader => {
            format!("{name} epoch={:#x}", at.epoch())
        }
        PacketKind::AckEpoch => {
            let current = match decode_epoch_ack(packet.data) {
                Ok(Some(epoch)) => format!("{epoch:#x}"),
                Ok(None) => "(promised before)".to_owned(),
                Err(_) => "?".to_owned(),
            };
            format!("{name} current={current} last={at}")
        }
        PacketKind::Proposal | PacketKind::Inform => {
            format!("{name} {at} {}", text(packet.data.unwrap_or_default()))
        }
        PacketKind::CommitAndActivate | PacketKind::InformAndActivate => {
            let data = packet.data.unwrap_or_default();
            let designated = Activation::decode(&mut Reader::new(data));
            let leader = designated.map_or(0, |activation| activation.designated_leader);
            format!("{name} {at} leader={leader}")
        }
        PacketKind::UpToDate => name,
        PacketKind::Ack if at.counter() == 0 => format!("ACK {at} (NEWLEADER)"),
        PacketKind::Request
        | PacketKind::Ack
        | PacketKind::Commit
        | PacketKind::Ping
        | PacketKind::Revalidate
        | PacketKind::Sync
        | PacketKind::Diff
        | PacketKind::Trunc
        | PacketKind::Snap => format!("{name} {at}"),
    }
}

/// An item in words.
pub(super) fn text(item: &[u8]) -> String {
    if !reconfigures(item) {
        return format!("{:?}", String::from_utf8_lossy(item));
    }
    let record = TxnRecord::decode(item).map(|record| record.txn);
    let Ok(Txn::SetData { data: Some(text), .. }) = record else { return "reconfig".to_owned() };
    let text = String::from_utf8_lossy(text);
    let servers = text.lines().filter_map(|line| line.strip_prefix("server."));
    let ids: Vec<&str> = servers.filter_map(|line| line.split('=').next()).collect();
    format!("reconfig to {}", ids.join(","))
}
