//! ZAB under test: how it is recovered, and what its packets say.

use crate::engines::change::Members;
use crate::engines::disk::Durable;
use crate::engines::payload;
use crate::engines::subject::{Changes, Claim, Letter, Observation, Registers, Setup, Subject};
use base::{NodeId, Rng, Time, Zxid};
use broadcast::{Channel, Item, Output};
use bytes::Bytes;
use jute::{Decode, Encode, Reader};
use std::fmt::Write as _;
use std::time::Duration;
use wire::quorum::{
    ForwardedRequest, Membership, Packet, PacketKind, Rules, packet_len, put_packet,
    put_packet_with_data,
};
use wire::{OpCode, Txn, TxnHeader, TxnRecord};
use zab::{CONFIGURATION, Config, Limits, NEXT_CONFIGURATION, ReadLogLimit, Role, Zab};

/// The engine with its drawn parameters.
#[derive(Clone, Debug)]
pub struct ZabSubject {
    membership: Membership,
    observer_port: Option<u16>,
    limits: Limits,
    /// Whether the history begins near the end of what a counter can count.
    begins_late: bool,
    /// Whether entries change who the members are.
    changes: bool,
}

impl Subject for ZabSubject {
    type Engine = Zab;
    const NAME: &'static str = "zab";
    const UNIQUE_PLACES: bool = true;
    /// One server alone is no ensemble.
    const VOTERS_MIN: u64 = 2;
    const GROUPS: bool = true;
    const LOST_VOTERS: bool = true;
    const CHANGES: Changes = Changes::Half;

    fn draw(setup: &Setup, rng: &mut Rng) -> ZabSubject {
        let tick = Duration::from_millis(*rng.pick(&[40, 100, 400, 2000]));
        let limits = Limits {
            counter_max: *rng.pick(&[Limits::default().counter_max, 40, 400]),
            ..draw_limits(tick, rng)
        };
        let begins_late = rng.one_in(8);
        let observer_port = rng.one_in(2).then_some(2191);
        let (membership, changes) = (membership(setup), setup.changes);
        ZabSubject { membership, observer_port, limits, begins_late, changes }
    }

    fn recover(
        &self,
        node: NodeId,
        durable: &Durable,
        now: Time,
        _rng: &mut Rng,
        out: &mut Vec<Output>,
    ) -> Zab {
        let known = |name| durable.texts.get(name).map(|text| parse(text));
        let committed = known(CONFIGURATION).unwrap_or_else(|| self.membership.clone());
        let config = Config {
            me: node,
            committed: with_itself(committed, node),
            last_seen: known(NEXT_CONFIGURATION),
            reconfig: self.changes,
            multi_address: false,
            listen_on_all: false,
            observer_port: self.observer_port,
            limits: self.limits,
        };
        let (accepted_epoch, current_epoch) = epochs(&durable.registers);
        let (last, is_lost) = (durable.last(), durable.lost);
        let durable = zab::Durable {
            accepted_epoch,
            // What is logged of an epoch came behind the whole initial history of it.
            current_epoch: current_epoch.max(i64::from(last.epoch())),
            last,
            recent: durable.entries.clone(),
            is_lost,
            configuration: 0, // no state shows one here
        };
        Zab::recover(config, durable, now, out)
    }

    /// As the service that proposes one must see to.
    fn may_reconfigure(&self, engine: &Zab, target: &Members) -> bool {
        let Some(now) = engine.reconfigurable() else { return false };
        let synced = target.voters.iter().filter(|voter| now.synced.contains(voter)).count();
        let is_pending = now.last_seen.version() != now.committed;
        !is_pending && target.voters.len() >= 2 && synced * 2 > target.voters.len()
    }

    fn patience(&self) -> Duration {
        self.limits.sync_time()
    }

    fn settles_within(&self) -> Duration {
        settles_within(&self.limits)
    }

    fn begins(&self) -> Option<(Zxid, Registers)> {
        let at = Zxid(1 << 32 | i64::from(Limits::default().counter_max - 30));
        let registers = Registers::from([("acceptedEpoch", 1), ("currentEpoch", 1)]);
        self.begins_late.then_some((at, registers))
    }

    fn is_end_of_period(&self, at: Zxid) -> bool {
        at.counter() >= self.limits.counter_max
    }

    fn observe(&self, engine: &Zab) -> Option<Observation> {
        let (status, marks) = (engine.status(), engine.marks());
        Some(Observation {
            accepted: marks.accepted_epoch,
            current: marks.current_epoch,
            established: status.role == Role::Leading && status.serving,
            logged: marks.last,
            committed: status.committed,
        })
    }

    fn rank(&self, registers: &Registers, last: Zxid) -> Option<(i64, Zxid)> {
        Some((epochs(registers).1.max(i64::from(last.epoch())), last))
    }

    fn periods(&self, registers: &Registers) -> Option<(i64, i64)> {
        Some(epochs(registers))
    }

    fn claims(&self, channel: Channel, frame: &Bytes) -> Vec<Claim> {
        let mut claims = Vec::new();
        for packet in self.packets(channel, frame) {
            let period = packet.zxid >> 32;
            match packet.kind() {
                Some(PacketKind::LeaderInfo) => claims.push(Claim::Promised(period)),
                Some(PacketKind::Ack) if packet.zxid as u32 == 0 => {
                    claims.push(Claim::Installed(period));
                }
                Some(PacketKind::Ack) => claims.push(Claim::Logged(Zxid(packet.zxid))),
                Some(_) | None => {}
            }
        }
        claims
    }

    fn item(&self, at: Zxid, body: Bytes) -> Item {
        match payload::change(&body).zip(payload::read(&body)) {
            Some((members, (id, before))) => reconfiguration(at, &members, (id, before)),
            None => body,
        }
    }

    fn contents(&self, item: &Item) -> Option<Bytes> {
        let Some((members, (id, before))) = read_reconfiguration(item) else {
            return Some(item.clone());
        };
        Some(payload::write(id, before, &members.encode()).into())
    }

    fn letter(&self, kind: Letter, body: Bytes) -> Bytes {
        let kind = match kind {
            Letter::Request => return request(&body),
            Letter::Answer => PacketKind::Sync,
            Letter::Heartbeat => return body,
        };
        let mut packet = Vec::new();
        put_packet(&mut packet, kind, -1, Some(&body));
        Bytes::from(packet)
    }

    fn body(&self, letter: &Bytes) -> Option<Bytes> {
        match Packet::decode(letter) {
            Ok(packet) if packet.kind() == Some(PacketKind::Request) => {
                let request = ForwardedRequest::decode(&mut Reader::new(packet.data?)).ok()?;
                Some(letter.slice_ref(request.body))
            }
            Ok(packet) => Some(letter.slice_ref(packet.data?)),
            Err(_) => Some(letter.clone()),
        }
    }

    fn show(&self, channel: Channel, frame: &Bytes) -> String {
        let show = |packet: Packet<'_>| match packet.kind() {
            Some(kind) => format!("{kind:?} {} ", Zxid(packet.zxid)),
            None => format!("{} {} ", packet.kind, Zxid(packet.zxid)),
        };
        self.packets(channel, frame).into_iter().map(show).collect()
    }

    fn describe(&self) -> String {
        format!("{:?} observer port {:?}", self.limits, self.observer_port)
    }
}

impl ZabSubject {
    /// For an exploration: an election takes the first quorum that agrees.
    #[must_use]
    pub fn small(setup: &Setup) -> ZabSubject {
        let limits = Limits { finalize_wait: Duration::ZERO, ..Limits::default() };
        ZabSubject {
            membership: membership(setup),
            limits,
            observer_port: None,
            begins_late: false,
            changes: false,
        }
    }

    /// The packets of a frame; none if it belongs to an election.
    fn packets<'f>(&self, channel: Channel, frame: &'f Bytes) -> Vec<Packet<'f>> {
        let mut packets = Vec::new();
        let mut rest = if channel == zab::ELECTION { &[] } else { &frame[..] };
        while let Ok(Some(len)) = packet_len(rest, self.limits.packet_size_max) {
            packets.push(Packet::decode(&rest[..len]).expect("it was measured"));
            rest = &rest[len..];
        }
        packets
    }
}

/// A request to which the answer is a packet: a sync.
fn request(body: &[u8]) -> Bytes {
    let mut packet = Vec::new();
    put_packet_with_data(&mut packet, PacketKind::Request, -1, |data| {
        ForwardedRequest { session_id: 1, cxid: 0, op: OpCode::Sync.number(), body }.encode(data);
    });
    Bytes::from(packet)
}

/// An entry that makes these the members. What all entries hold stands in its header.
fn reconfiguration(at: Zxid, members: &Members, (id, before): (u64, Zxid)) -> Item {
    let voters = members.voters.iter().map(|node| server(*node, true));
    let observers = members.observers.iter().map(|node| server(*node, false));
    let text: String = voters.chain(observers).collect();
    let text = parse(&text).with_version(at.0).to_string();
    let data = Some(text.as_bytes());
    let path = "/zookeeper/config".into();
    let txn = Txn::SetData { path, data, version: -1, reconfig: true };
    let op = txn.op().number();
    let client_id = id.cast_signed();
    let header = TxnHeader { client_id, cxid: 0, zxid: at.0, time: before.0, op };
    let mut item = Vec::new();
    TxnRecord { header, txn, digest: None }.encode(&mut item);
    item.into()
}

/// The members that such an entry names, and what all entries hold.
fn read_reconfiguration(item: &Item) -> Option<(Members, (u64, Zxid))> {
    let TxnRecord { header, txn, .. } = TxnRecord::decode(item).ok()?;
    let Txn::SetData { data: Some(text), reconfig: true, .. } = txn else { return None };
    let membership = parse(std::str::from_utf8(text).ok()?);
    let nodes =
        |ids: &mut dyn Iterator<Item = i64>| ids.map(|id| NodeId(id.cast_unsigned())).collect();
    let voters = nodes(&mut membership.voters());
    let members = Members { voters, observers: nodes(&mut membership.observers()) };
    Some((members, (header.client_id.cast_unsigned(), Zxid(header.time))))
}

/// A configuration with a line for the member itself, as who may join has one. It is an operator's
/// then, and has no version: others would take it for what was decided under that.
fn with_itself(membership: Membership, node: NodeId) -> Membership {
    if membership.server(node.0.cast_signed()).is_some() {
        return membership;
    }
    let own = server(node, false);
    parse(&format!("{own}{membership}")).with_version(0)
}

/// Its line in a configuration.
fn server(node: NodeId, votes: bool) -> String {
    let kind = if votes { "participant" } else { "observer" };
    format!("server.{0}=10.0.0.{0}:2888:3888:{kind}\n", node.0)
}

fn parse(text: &str) -> Membership {
    Membership::parse(text, &Rules::DEFAULT).expect("the text is good")
}

/// The configuration that all members begin with.
pub(crate) fn membership(setup: &Setup) -> Membership {
    let servers = setup.members().into_iter();
    let mut text: String = servers.map(|node| server(node, setup.voters.contains(&node))).collect();
    for (group, voters) in setup.groups.iter().enumerate() {
        let ids: Vec<String> = voters.iter().map(|(node, _)| node.0.to_string()).collect();
        let _infallible = writeln!(text, "group.{}={}", group + 1, ids.join(":"));
        for (node, weight) in voters {
            let _infallible = writeln!(text, "weight.{}={weight}", node.0);
        }
    }
    parse(&text)
}

/// The protocol's times and sizes, by seed.
pub(crate) fn draw_limits(tick: Duration, rng: &mut Rng) -> Limits {
    let notify_min = Duration::from_millis(*rng.pick(&[20, 200]));
    Limits {
        tick,
        init: rng.between(4, 10) as u32,
        sync: rng.between(3, 6) as u32,
        finalize_wait: *rng.pick(&[tick / 4, Duration::from_millis(200)]),
        notify_min,
        notify_max: notify_min * *rng.pick(&[2, 16, 300]),
        connect_retry: tick / 2,
        recent_entries: *rng.pick(&[1, 3, 20, 500]),
        force_snapshot: rng.one_in(8),
        read_log: *rng.pick(&[ReadLogLimit::Never, ReadLogLimit::Host]),
        ..Limits::default()
    }
}

/// In how much time a healed core must have converged.
pub(crate) fn settles_within(limits: &Limits) -> Duration {
    limits.sync_time() * 60
        + limits.init_time() * 10
        + limits.notify_max.min(limits.tick * 100) * 10
}

/// The promised and the installed epoch.
fn epochs(registers: &Registers) -> (i64, i64) {
    let register = |name| registers.get(name).copied().unwrap_or(0);
    (register("acceptedEpoch"), register("currentEpoch"))
}
