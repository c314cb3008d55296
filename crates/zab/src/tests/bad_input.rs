//! What peers should not say: their link is closed with one event, and nobody else notices.

use super::room::{Room, ensemble_text, packet};
use super::{at, ms, z};
use crate::{ELECTION, QUORUM, Role};
use broadcast::LinkId;
use jute::Encode;
use wire::quorum::{LearnerInfo, PacketKind};

/// Members 2 and 3 serve; the test plays 1.
fn serving() -> Room {
    let mut room = Room::empty(&ensemble_text(3, 0));
    room.play(1);
    room.start_all();
    room.elect();
    room.propose(3, &["a"]);
    room
}

/// The link is closed for this reason, told once, and the others serve on.
fn refused(room: &mut Room, link: LinkId, reason: &str) {
    assert!(!room.connected(1, link), "the link is closed: {reason}");
    let told: Vec<String> = room.refusals(3).into_iter().chain(room.lost(3)).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains(reason), "{} instead of {reason}", told[0]);
    room.propose(3, &["b"]);
    assert_eq!([2, 3].map(|id| room.state(id)), [["a", "b"], ["a", "b"]]);
}

#[test]
fn first_packets_that_are_none() {
    let info = |version: i32, config_version: i64, id: i64| {
        let mut info = LearnerInfo::new(id, config_version);
        info.protocol_version = version;
        let mut data = Vec::new();
        info.encode(&mut data);
        packet(PacketKind::FollowerInfo, 0, Some(&data))
    };
    let of_epoch = |epoch: i64| {
        let mut data = Vec::new();
        LearnerInfo::new(1, 0).encode(&mut data);
        packet(PacketKind::FollowerInfo, epoch << 32, Some(&data))
    };
    let mut negative = packet(PacketKind::FollowerInfo, 0, None);
    negative[12..16].copy_from_slice(&(-7_i32).to_be_bytes());
    let mut huge = packet(PacketKind::FollowerInfo, 0, None);
    huge[12..16].copy_from_slice(&i32::MAX.to_be_bytes());
    let mut strange = packet(PacketKind::Ack, 0, None);
    strange[..4].copy_from_slice(&99_i32.to_be_bytes());
    let cases = [
        (info(1, 0, 1), "its protocol 0x1 is too old"),
        (info(0x10000, 7, 1), "its configuration 7 is later than 0"),
        (info(0x10000, 0, 3), "another server has this one's id 3"),
        (info(0x10000, 0, 2), "server 2 is here already, and alive"),
        (of_epoch(-1), "it promised 0xffffffff, which is no epoch"),
        (of_epoch(i64::from(i32::MAX)), "it promised 0x7fffffff, which is no epoch"),
        (packet(PacketKind::FollowerInfo, 0, None), "it did not say its id"),
        (packet(PacketKind::FollowerInfo, 0, Some(b"abc")), "trunc"),
        (packet(PacketKind::Ack, 0, None), "it began with packet 3"),
        (strange, "it began with packet 99"),
        (negative, "its packet: "),
        (huge, "its packet: "),
        (b"GET / HTTP/1.1\r\nHost: m3\r\n\r\n".to_vec(), "its packet: "),
    ];
    for (bytes, reason) in cases {
        let mut room = serving();
        let link = room.call(1, 3, QUORUM);
        room.say(1, link, &bytes);
        let reason = if reason == "trunc" { "" } else { reason };
        refused(&mut room, link, reason);
    }
}

#[test]
fn packets_out_of_turn() {
    let cases: [(&[(PacketKind, i64)], &str); 4] = [
        (&[(PacketKind::Ack, 0)], "packet 3 came where ACKEPOCH was to come"),
        (&[(PacketKind::AckEpoch, 0)], ""), // no epoch
        (&[(PacketKind::Ping, 0)], "packet 5 came where ACKEPOCH was to come"),
        (&[(PacketKind::FollowerInfo, 0)], "packet 11 came where ACKEPOCH was to come"),
    ];
    for (packets, reason) in cases {
        let mut room = serving();
        let link = room.learner(1, 3, PacketKind::FollowerInfo);
        for (kind, zxid) in packets {
            room.say(1, link, &packet(*kind, *zxid, None));
        }
        refused(&mut room, link, reason);
    }
}

#[test]
fn another_acknowledgement_than_that_of_newleader() {
    for zxid in [z(1, 1), z(2, 0), 0] {
        let mut room = serving();
        let link = room.learner(1, 3, PacketKind::FollowerInfo);
        room.promised_before(1, link, 0);
        room.ack(1, link, zxid);
        refused(&mut room, link, "came where ACK of 0x100000000 was to come");
    }
}

/// Member 1, played, serves under 3.
fn follower(room: &mut Room) -> LinkId {
    let link = room.learner(1, 3, PacketKind::FollowerInfo);
    room.promised_before(1, link, z(1, 1));
    room.ack(1, link, z(1, 0));
    assert_eq!(room.heard(1, link).last(), Some(&(PacketKind::UpToDate, base::Zxid(-1))));
    link
}

#[test]
fn an_acknowledgement_of_nothing_counts_for_nothing() {
    let mut room = serving();
    let link = follower(&mut room);
    room.hold_disk(2);
    room.ack(1, link, z(1, 9));
    room.ack(1, link, i64::MAX);
    room.ack(1, link, -1);
    room.propose(3, &["b"]);
    assert_eq!(room.state(3), ["a"], "nobody but 3 has it");
    room.ack(1, link, z(1, 2));
    assert_eq!(room.state(3), ["a", "b"]);
}

#[test]
fn packets_of_types_from_a_later_release_are_ignored() {
    let mut room = serving();
    let link = follower(&mut room);
    let mut strange = packet(PacketKind::Ack, 0, None);
    strange[..4].copy_from_slice(&99_i32.to_be_bytes());
    room.say(1, link, &strange);
    assert!(room.connected(1, link));
}

#[test]
fn garbage_on_the_election_port() {
    let mut long = (-65536_i64).to_be_bytes().to_vec();
    long.extend_from_slice(&1_i64.to_be_bytes());
    let with_len = |len: i32, text: &[u8]| {
        let mut bytes = long.clone();
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.extend_from_slice(text);
        bytes
    };
    let same = {
        let mut bytes = 3_i64.to_be_bytes().to_vec();
        bytes.extend_from_slice(b"....");
        bytes
    };
    let cases = [
        (b"\xff\xff\xff\xff\xff\xff\xff\x00....".to_vec(), "an election opening"),
        (with_len(-1, b""), "an election opening"),
        (with_len(i32::MAX, b""), "an election opening"),
        (with_len(4, b"what"), "an election opening"),
        (same, "another server has this one's id 3"),
    ];
    for (bytes, reason) in cases {
        let mut room = serving();
        let link = room.call(1, 3, ELECTION);
        room.say(1, link, &bytes);
        refused(&mut room, link, reason);
    }
}

#[test]
fn election_messages_of_bad_lengths_and_unreadable_ones() {
    let mut room = Room::empty(&ensemble_text(3, 0));
    room.play(3);
    room.restart(1);
    room.restart(2);
    room.elect();
    let link = room.open(3, 2);
    room.say(3, link, &8_i32.to_be_bytes());
    room.say(3, link, b"unknown!");
    assert!(room.connected(3, link), "what cannot be read is not heard");
    room.say(3, link, &(-1_i32).to_be_bytes());
    assert!(!room.connected(3, link));
    assert_eq!(room.refusals(2).len(), 1, "{:?}", room.refusals(2));
}

/// A real member 1 that serves under peer 3.
fn under_peer() -> (Room, LinkId) {
    let mut room = Room::empty(&ensemble_text(3, 0));
    room.play(2);
    room.play(3);
    room.restart(1);
    room.flow();
    let link = room.lead(3, 1, 0, 0);
    room.offer(3, link, 1);
    for (kind, zxid) in
        [(PacketKind::Diff, 0), (PacketKind::NewLeader, z(1, 0)), (PacketKind::UpToDate, -1)]
    {
        room.say(3, link, &packet(kind, zxid, None));
    }
    assert!(room.status(1).serving);
    (room, link)
}

#[test]
fn a_leader_that_says_what_cannot_be_is_left() {
    let p = |zxid: i64| packet(PacketKind::Proposal, zxid, Some(b"x"));
    let cases = [
        (vec![packet(PacketKind::Commit, z(1, 1), None)], "was not proposed"),
        (vec![p(z(1, 2))], "does not go on from"),
        (vec![p(z(1, 1)), p(z(1, 3))], "does not go on from"),
        (vec![p(z(1, 1)), p(z(1, 1))], "does not go on from"),
        (vec![p(z(1, 1)), packet(PacketKind::Commit, z(1, 2), None)], "is next"),
        (vec![packet(PacketKind::Proposal, z(1, 1), None)], "no transaction"),
        (vec![packet(PacketKind::CommitAndActivate, z(1, 1), None)], "no data"),
        (vec![b"\x00\x00\x00\x02........\x7f\xff\xff\xff".to_vec()], "the leader's packet"),
    ];
    for (packets, reason) in cases {
        let (mut room, link) = under_peer();
        packets.iter().for_each(|bytes| room.say(3, link, bytes));
        assert!(!room.connected(3, link), "{reason}");
        let told = room.refusals(1);
        assert_eq!(told.len(), 1);
        assert!(told[0].contains(reason), "{} instead of {reason}", told[0]);
        assert_eq!(room.status(1).role, Role::Looking);
    }
}

#[test]
fn a_leader_that_says_what_is_out_of_turn_is_left() {
    let cases = [
        (packet(PacketKind::Diff, 0, None), "where LEADERINFO was to come"),
        (packet(PacketKind::UpToDate, -1, None), "where LEADERINFO was to come"),
        (packet(PacketKind::LeaderInfo, -1 << 32, None), "it leads 0xffffffff, which is no epoch"),
    ];
    for (bytes, reason) in cases {
        let mut room = Room::empty(&ensemble_text(3, 0));
        room.play(2);
        room.play(3);
        room.restart(1);
        room.flow();
        let link = room.lead(3, 1, 0, 0);
        room.say(3, link, &bytes);
        assert!(room.refusals(1)[0].contains(reason), "{:?}", room.refusals(1));
        assert!(!room.connected(3, link));
    }
    let (mut room, link) = under_peer();
    room.say(3, link, &packet(PacketKind::UpToDate, -1, None));
    room.say(3, link, &packet(PacketKind::Trunc, 0, None));
    assert!(room.connected(3, link), "what means nothing in broadcast is ignored");
}

#[test]
fn a_second_server_with_the_same_id_does_not_disturb_the_first() {
    let mut room = serving();
    let first = follower(&mut room);
    room.ack(1, first, z(1, 1));
    let second = room.learner(1, 3, PacketKind::FollowerInfo);
    assert!(room.connected(1, first) && !room.connected(1, second));
    room.run(ms(3_000));
    let third = room.learner(1, 3, PacketKind::FollowerInfo);
    assert!(room.connected(1, third), "the first one was silent for a tick");
    assert!(!room.connected(1, first));
    assert_eq!(room.heard(1, third), [(PacketKind::LeaderInfo, at(1, 0))]);
}
