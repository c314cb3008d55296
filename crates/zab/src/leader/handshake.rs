//! The packets on a learner's way to a history: a leader and an observer master read and write the
//! same ones.

use super::peers::{Learner, Stage};
use super::sync::Plan;
use crate::core::{Core, EPOCH_MAX, epoch_start, tell};
use base::{Lsn, Zxid};
use broadcast::{LinkId, Output};
use trace::{Ensemble as Event, SyncMethod};
use wire::quorum::{
    LearnerInfo, PROTOCOL_VERSION, Packet, PacketKind, encode_leader_info, put_packet,
};

/// What a learner says of itself, and the epoch that it promised.
///
/// # Errors
/// Why it cannot be a learner of this member.
pub(crate) fn read_info(core: &Core, packet: &Packet<'_>) -> Result<(LearnerInfo, i64), String> {
    let info = LearnerInfo::decode(packet.data).map_err(|error| error.to_string())?;
    let info = info.ok_or("it did not say its id")?;
    if info.protocol_version < PROTOCOL_VERSION {
        return Err(format!("its protocol {:#x} is too old", info.protocol_version));
    }
    let accepted = i64::from(Zxid(packet.zxid).epoch());
    if accepted >= EPOCH_MAX {
        return Err(format!("it promised {accepted:#x}, which is no epoch"));
    }
    let committed = core.ensemble.committed.version();
    if info.config_version > committed {
        let version = info.config_version;
        return Err(format!("its configuration {version:x} is later than {committed:x}"));
    }
    Ok((info, accepted))
}

/// LEADERINFO: the epoch that a learner is to promise.
pub(crate) fn leader_info(epoch: i64) -> Vec<u8> {
    let mut frame = Vec::new();
    let (at, data) = (epoch_start(epoch).0, encode_leader_info());
    put_packet(&mut frame, PacketKind::LeaderInfo, at, Some(&data));
    frame
}

/// ACKEPOCH: where the learner's history ends.
///
/// # Errors
/// If it is another packet.
pub(crate) fn read_epoch_ack(packet: &Packet<'_>) -> Result<Zxid, String> {
    if packet.kind() != Some(PacketKind::AckEpoch) {
        return Err(format!("packet {} came where ACKEPOCH was to come", packet.kind));
    }
    Ok(Zxid(packet.zxid))
}

/// ACK of NEWLEADER: the learner has what it was sent.
///
/// # Errors
/// If it is another packet, or of another epoch.
pub(crate) fn read_history_ack(packet: &Packet<'_>, epoch: i64) -> Result<(), String> {
    let start = epoch_start(epoch);
    if packet.kind() != Some(PacketKind::Ack) || Zxid(packet.zxid) != start {
        let (kind, at) = (packet.kind, Zxid(packet.zxid));
        return Err(format!("packet {kind} of {at} came where ACK of {start} was to come"));
    }
    Ok(())
}

impl Learner {
    /// It was sent what it lacks behind `from`, by plan, and has the end of what is decided with it.
    pub(crate) fn was_sent(&mut self, plan: Plan, from: Zxid, upto: Zxid, out: &mut Vec<Output>) {
        let method = method_of(plan);
        self.stage = Stage::Synced;
        self.synced_upto = upto;
        self.is_sent_state = method == SyncMethod::Snap;
        tell(Event::LearnerSynced { learner: self.node, method, from, upto }, out);
    }

    /// UPTODATE: it serves.
    pub(crate) fn joins(&mut self, link: LinkId, out: &mut Vec<Output>) {
        self.stage = Stage::Active;
        tell(Event::LearnerJoined { learner: self.node }, out);
        let mut frame = Vec::new();
        put_packet(&mut frame, PacketKind::UpToDate, -1, None);
        out.push(Output::Send { link, frame: frame.into(), after: Lsn::ZERO });
    }
}

fn method_of(plan: Plan) -> SyncMethod {
    match plan {
        Plan::Diff { .. } => SyncMethod::Diff,
        Plan::Trunc { .. } => SyncMethod::Trunc,
        Plan::Snap | Plan::ReadLog => SyncMethod::Snap,
    }
}
