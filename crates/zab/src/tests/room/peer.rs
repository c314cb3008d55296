//! A peer that a test plays by hand, byte by byte.

use super::Room;
use crate::{ELECTION, QUORUM};
use base::Zxid;
use broadcast::{Channel, Input, LinkId};
use bytes::Bytes;
use jute::Encode;
use std::collections::BTreeMap;
use wire::quorum::{
    Address, LearnerInfo, Notification, Opening, OpeningForm, Packet, PacketKind, ServerState,
    encode_epoch_ack, encode_leader_info, message_len, opening_len, packet_len, put_notification,
    put_packet,
};

/// What a peer was sent, by link.
#[derive(Default)]
pub(super) struct Peer {
    links: BTreeMap<LinkId, (Channel, Vec<u8>)>,
    dialled: u64,
}

impl Peer {
    pub(super) fn take(&mut self, input: Input) {
        match input {
            Input::LinkUp { link, channel } => {
                self.links.insert(link, (channel, Vec::new()));
            }
            Input::Received { link, bytes } => {
                if let Some((_, heard)) = self.links.get_mut(&link) {
                    heard.extend_from_slice(&bytes);
                }
            }
            _ => {}
        }
    }
}

/// A packet without ids.
pub(in crate::tests) fn packet(kind: PacketKind, zxid: i64, data: Option<&[u8]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_packet(&mut bytes, kind, zxid, data);
    bytes
}

impl Room {
    /// From now on the test plays this member.
    pub(in crate::tests) fn play(&mut self, id: u64) {
        self.peers.insert(id, Peer::default());
    }

    /// The peer connects to a member's port.
    pub(in crate::tests) fn call(&mut self, id: u64, to: u64, channel: Channel) -> LinkId {
        let peer = self.peers.get_mut(&id).expect("it is played");
        peer.dialled += 1;
        let link = LinkId(peer.dialled);
        self.dial((id, link), channel, &format!("m{to}:0"));
        self.flow();
        link
    }

    /// The peer sends these bytes.
    pub(in crate::tests) fn say(&mut self, id: u64, link: LinkId, bytes: &[u8]) {
        self.send((id, link), &Bytes::copy_from_slice(bytes));
        self.flow();
    }

    /// The peer closes the link.
    pub(in crate::tests) fn hang_up(&mut self, id: u64, link: LinkId) {
        self.close((id, link));
        self.flow();
    }

    /// Whether the member has not closed the link.
    pub(in crate::tests) fn connected(&self, id: u64, link: LinkId) -> bool {
        self.is_open((id, link))
    }

    /// The packets that the peer was sent, without pings: kind, zxid, data.
    pub(in crate::tests) fn heard(&self, id: u64, link: LinkId) -> Vec<(PacketKind, Zxid)> {
        let mut rest = &self.peers[&id].links[&link].1[..];
        let mut heard = Vec::new();
        while let Ok(Some(size)) = packet_len(rest, usize::MAX) {
            let packet = Packet::decode(&rest[..size]).expect("a good packet");
            heard.push((packet.kind().expect("a known type"), Zxid(packet.zxid)));
            rest = &rest[size..];
        }
        heard.retain(|(kind, _)| *kind != PacketKind::Ping);
        heard
    }

    /// The votes that the peer was sent: the sender's state, the leader, the round.
    pub(in crate::tests) fn votes(&self, id: u64, link: LinkId) -> Vec<(ServerState, i64, i64)> {
        let mut rest = &self.peers[&id].links[&link].1[..];
        if link.is_accepted()
            && let Ok(Some(size)) = opening_len(rest)
        {
            rest = &rest[size..];
        }
        let mut votes = Vec::new();
        while let Ok(Some(size)) = message_len(rest) {
            let said = Notification::decode(&rest[4..size]).expect("a good vote");
            votes.push((said.state, said.leader, said.election_epoch));
            rest = &rest[size..];
        }
        votes
    }

    /// The pings that the peer was sent.
    pub(in crate::tests) fn pings(&self, id: u64, link: LinkId) -> usize {
        let mut rest = &self.peers[&id].links[&link].1[..];
        let mut pings = 0;
        while let Ok(Some(size)) = packet_len(rest, usize::MAX) {
            let packet = Packet::decode(&rest[..size]).expect("a good packet");
            pings += usize::from(packet.kind() == Some(PacketKind::Ping));
            rest = &rest[size..];
        }
        pings
    }

    /// The link of that channel that a member made to the peer last.
    pub(in crate::tests) fn link_to(&self, id: u64, channel: Channel) -> LinkId {
        let links = self.peers[&id].links.iter().rev();
        let mut accepted = links.filter(|(link, (c, _))| link.is_accepted() && *c == channel);
        *accepted.next().expect("a member has called").0
    }

    /// A notification of the peer's; it begins with an opening if the link is new.
    pub(in crate::tests) fn vote(
        &mut self,
        id: u64,
        link: LinkId,
        state: ServerState,
        (leader, epoch, zxid, round): (i64, i64, i64, i64),
    ) {
        let (peer_epoch, election_epoch) = (epoch, round);
        let version = 2;
        let config = Some("");
        let said =
            Notification { state, leader, zxid, election_epoch, peer_epoch, version, config };
        let mut bytes = Vec::new();
        put_notification(&mut bytes, &said);
        self.say(id, link, &bytes);
    }

    /// The peer calls a member's election port, and says who it is.
    pub(in crate::tests) fn open(&mut self, id: u64, to: u64) -> LinkId {
        let link = self.call(id, to, ELECTION);
        let addresses = vec![Address::new(&format!("m{id}"), 3888)];
        let server_id = id as i64;
        let mut bytes = Vec::new();
        Opening { form: OpeningForm::V1, server_id, addresses }.encode(&mut bytes);
        self.say(id, link, &bytes);
        link
    }

    /// The peer votes a real member into leading, in the first round.
    pub(in crate::tests) fn support(&mut self, id: u64, leader: u64) {
        let link = self.link_to(id, ELECTION);
        let (epoch, last) = self.members[&leader].engine.standing();
        let round = self.marks(leader).round;
        self.vote(id, link, ServerState::Looking, (leader as i64, epoch, last.0, round));
        self.run(std::time::Duration::from_millis(250));
    }

    /// The peer connects to a leader as a learner.
    pub(in crate::tests) fn learner(&mut self, id: u64, leader: u64, info: PacketKind) -> LinkId {
        let link = self.call(id, leader, QUORUM);
        self.introduce(id, link, info);
        link
    }

    /// The peer says who it is.
    pub(in crate::tests) fn introduce(&mut self, id: u64, link: LinkId, info: PacketKind) {
        let mut data = Vec::new();
        LearnerInfo::new(id as i64, 0).encode(&mut data);
        self.say(id, link, &packet(info, 0, Some(&data)));
    }

    /// The peer promises the epoch, with that history.
    pub(in crate::tests) fn promise(&mut self, id: u64, link: LinkId, current: u32, last: i64) {
        let data = encode_epoch_ack(Some(current));
        self.say(id, link, &packet(PacketKind::AckEpoch, last, Some(&data)));
    }

    /// The peer says that it promised the epoch before.
    pub(in crate::tests) fn promised_before(&mut self, id: u64, link: LinkId, last: i64) {
        let data = encode_epoch_ack(None);
        self.say(id, link, &packet(PacketKind::AckEpoch, last, Some(&data)));
    }

    /// The peer acknowledges NEWLEADER, or a proposal.
    pub(in crate::tests) fn ack(&mut self, id: u64, link: LinkId, at: i64) {
        self.say(id, link, &packet(PacketKind::Ack, at, None));
    }

    /// The peer is elected by a member with a smaller id, which then connects.
    pub(in crate::tests) fn lead(&mut self, id: u64, of: u64, epoch: i64, zxid: i64) -> LinkId {
        let link = self.open(id, of);
        let round = self.marks(of).round;
        self.vote(id, link, ServerState::Looking, (id as i64, epoch, zxid, round));
        self.run(std::time::Duration::from_millis(250));
        self.link_to(id, QUORUM)
    }

    /// The peer, as leader, offers an epoch and a way of synchronization.
    pub(in crate::tests) fn offer(&mut self, id: u64, link: LinkId, epoch: i64) {
        let info = encode_leader_info();
        self.say(id, link, &packet(PacketKind::LeaderInfo, epoch << 32, Some(&info)));
    }
}
