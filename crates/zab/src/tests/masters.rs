//! Followers that serve observers in the leader's place.

use super::room::{BEAT_MS, Room, ensemble_text, packet};
use super::{ms, z};
use crate::{OBSERVERS, QUORUM};
use base::Zxid;
use broadcast::{Input, LinkId};
use jute::Encode;
use trace::SyncMethod;
use wire::OpCode;
use wire::quorum::{
    ForwardedRequest, PacketKind, Revalidate, RevalidateReply, Touches, put_packet_with_data,
    put_touch,
};

/// Three voters, of which the last leads, and an observer that looks for followers first.
fn with_master() -> Room {
    let mut room = Room::empty(&ensemble_text(3, 1));
    room.setup.observer_port = Some(2191);
    room.start_all();
    room.elect();
    assert_eq!(room.leader(), Some(3));
    room
}

fn master(room: &Room, observer: u64) -> Option<u64> {
    room.status(observer).master.map(|node| node.0)
}

fn request(session_id: i64, op: OpCode) -> Vec<u8> {
    let mut frame = Vec::new();
    put_packet_with_data(&mut frame, PacketKind::Request, -1, |data| {
        ForwardedRequest { session_id, cxid: 1, op: op.number(), body: b"" }.encode(data);
    });
    frame
}

fn question(session_id: i64) -> Vec<u8> {
    let mut frame = Vec::new();
    put_packet_with_data(&mut frame, PacketKind::Revalidate, -1, |data| {
        Revalidate { session_id, timeout_ms: 9 }.encode(data);
    });
    frame
}

fn reply(session_id: i64) -> Vec<u8> {
    let mut frame = Vec::new();
    put_packet_with_data(&mut frame, PacketKind::Revalidate, -1, |data| {
        RevalidateReply { session_id, is_valid: true }.encode(data);
    });
    frame
}

/// An observer that a test plays, at a follower that serves it.
fn played(room: &mut Room, follower: u64, last: i64) -> LinkId {
    let link = room.call(4, follower, OBSERVERS);
    room.introduce(4, link, PacketKind::ObserverInfo);
    room.promise(4, link, 0, last);
    link
}

#[test]
fn an_observer_learns_from_a_follower_and_the_leader_hears_nothing_of_it() {
    let mut room = with_master();
    assert!(matches!(master(&room, 4), Some(1 | 2)), "{:?}", master(&room, 4));
    let follower = master(&room, 4).expect("one");
    assert_eq!(room.status(4).leader.map(|node| node.0), Some(3));
    room.transcript.take();
    room.propose(3, &["a"]);
    let text = room.transcript.take().join("\n");
    assert!(text.contains(&format!("{follower} -> 4  INFORM 0x100000001 \"a\"")), "{text}");
    assert!(!text.contains("3 -> 4"), "{text}");
    room.all_have(&["a"]);
    let observers = |id| room.status(id).observers.len();
    assert_eq!((observers(3), observers(follower)), (0, 1));
    room.settle();
    assert_eq!(master(&room, 4), Some(follower), "pings keep it there");
}

#[test]
fn an_observer_catches_up_from_its_master() {
    let mut room = with_master();
    room.crash(4);
    room.propose(3, &["a", "b"]);
    room.restart(4);
    room.elect();
    room.all_have(&["a", "b"]);
    let follower = master(&room, 4).expect("one");
    assert_eq!(room.method(follower, 4), Some(SyncMethod::Diff));
}

#[test]
fn an_observer_far_behind_is_served_from_its_masters_log_or_sent_its_state() {
    for (purged, method) in [(false, SyncMethod::Diff), (true, SyncMethod::Snap)] {
        let mut room = Room::empty(&ensemble_text(3, 1));
        room.setup.observer_port = Some(2191);
        room.setup.limits.recent_entries = 1;
        room.start_all();
        room.elect();
        room.propose(3, &["a"]);
        room.crash(4);
        room.propose(3, &["b"]);
        room.propose(3, &["c"]);
        if purged {
            [1, 2].into_iter().for_each(|id| room.purge(id, z(1, 2)));
        }
        room.restart(4);
        room.elect();
        room.all_have(&["a", "b", "c"]);
        let follower = master(&room, 4).expect("one");
        assert_eq!(room.method(follower, 4), Some(method));
        room.propose(3, &["d"]);
        room.all_have(&["a", "b", "c", "d"]);
    }
}

#[test]
fn an_observer_moves_on_when_its_master_is_gone() {
    let mut room = with_master();
    let first = master(&room, 4).expect("one");
    room.crash(first);
    room.propose(3, &["a"]);
    room.elect();
    assert_eq!(master(&room, 4), Some(3 - first), "the other follower");
    room.all_have(&["a"]);
}

#[test]
fn an_observer_comes_with_its_masters_to_another_leader() {
    let mut room = with_master();
    room.propose(3, &["a"]);
    room.crash(3);
    assert_eq!(room.elect(), 2);
    assert_eq!(master(&room, 4), Some(1), "it does not serve who leads");
    room.propose(2, &["b"]);
    room.all_have(&["a", "b"]);
}

#[test]
fn an_observer_without_a_master_goes_to_the_leader() {
    let mut room = Room::empty(&ensemble_text(3, 1));
    room.start_all();
    room.elect();
    room.setup.observer_port = Some(2191);
    room.crash(4);
    room.restart(4);
    room.elect();
    assert_eq!(master(&room, 4), Some(3), "nobody has that port");
    room.propose(3, &["a"]);
    room.all_have(&["a"]);
}

#[test]
fn an_observer_that_is_ahead_of_its_master_waits_and_is_not_cut() {
    let mut room = with_master();
    room.crash(4);
    room.play(4);
    room.hold(3, 1, QUORUM);
    room.propose(3, &["a", "b"]);
    // It was told by 2 of what 1 has not heard of.
    let link = played(&mut room, 1, z(1, 2));
    let kinds = |room: &Room| room.heard(4, link).into_iter().map(|(kind, _)| kind).collect();
    let heard: Vec<PacketKind> = kinds(&room);
    assert_eq!(heard, [PacketKind::LeaderInfo]);
    room.release(3, 1, QUORUM);
    let heard: Vec<PacketKind> = kinds(&room);
    assert_eq!(heard, [PacketKind::LeaderInfo, PacketKind::Diff, PacketKind::NewLeader]);
}

#[test]
fn what_a_master_has_not_decided_its_observers_do_not_hear_of() {
    let mut room = with_master();
    room.crash(4);
    room.play(4);
    room.hold(1, 3, QUORUM);
    room.hold(2, 3, QUORUM);
    room.propose(3, &["a"]);
    let link = played(&mut room, 1, 0);
    room.ack(4, link, z(1, 0));
    let proposals = |room: &Room| {
        let heard = room.heard(4, link);
        let is_new = |(kind, _): &(PacketKind, Zxid)| {
            matches!(kind, PacketKind::Proposal | PacketKind::Inform)
        };
        heard.into_iter().filter(is_new).collect::<Vec<_>>()
    };
    assert_eq!(proposals(&room), []);
    room.release(1, 3, QUORUM);
    assert_eq!(proposals(&room), [(PacketKind::Inform, Zxid(z(1, 1)))]);
}

#[test]
fn followers_and_acknowledgements_are_not_taken_at_the_port_for_observers() {
    let mut room = with_master();
    room.propose(3, &["a"]);
    room.crash(4);
    room.play(4);
    let link = room.call(4, 1, OBSERVERS);
    room.introduce(4, link, PacketKind::FollowerInfo);
    assert!(!room.connected(4, link));
    let link = played(&mut room, 1, 0);
    room.ack(4, link, z(1, 0));
    assert!(room.connected(4, link));
    room.ack(4, link, z(1, 1));
    assert!(!room.connected(4, link));
    let reason = room.lost(1).pop().expect("one");
    assert_eq!(reason, "4: an observer acknowledged 0x100000001");
}

#[test]
fn answers_go_to_who_asked() {
    let mut room = with_master();
    room.crash(4);
    room.play(4);
    let link = played(&mut room, 1, 0);
    room.ack(4, link, z(1, 0));
    // The observer asks before and behind the follower's own service.
    room.say(4, link, &[request(7, OpCode::Sync), question(7)].concat());
    let own = [request(8, OpCode::Sync), question(8), request(8, OpCode::SetData)].concat();
    room.input(1, Input::Forward { letter: own.into() });
    room.say(4, link, &request(9, OpCode::Sync));
    let asked: usize = room.letters(3).len();
    assert_eq!(asked, 6, "the leader's service has all letters");
    let leader = room.forwarder(3);
    let sync = packet(PacketKind::Sync, 0, None);
    // Renewals may be answered in any order, syncs are answered in theirs.
    for letter in [reply(8), sync.clone(), reply(7), sync.clone(), sync.clone()] {
        room.input(3, Input::Answer { to: leader, letter: letter.into() });
    }
    let own: Vec<_> = room.letters(1).into_iter().collect();
    assert_eq!(own, [item_of(&reply(8)), item_of(&sync)]);
    let heard = room.heard(4, link);
    let answers: Vec<PacketKind> = heard.into_iter().map(|(kind, _)| kind).skip(4).collect();
    assert_eq!(answers, [PacketKind::Sync, PacketKind::Revalidate, PacketKind::Sync]);
}

#[test]
fn what_an_observer_has_heard_of_sessions_goes_up_with_the_next_beat() {
    let mut room = with_master();
    room.crash(4);
    room.play(4);
    let link = played(&mut room, 1, 0);
    room.ack(4, link, z(1, 0));
    let mut touches = Vec::new();
    put_touch(&mut touches, 7, 5000);
    room.say(4, link, &packet(PacketKind::Ping, 0, Some(&touches)));
    room.say(4, link, &packet(PacketKind::Ping, 0, Some(&touches)));
    room.run(ms(2500));
    let told: Vec<Vec<(i64, i32)>> = (room.letters(3).iter())
        .map(|letter| Touches::decode(Some(letter)).expect("good ones").iter().collect())
        .collect();
    let beats = |told: &[(i64, i32)]| told.iter().filter(|(session, _)| *session == 7).count();
    assert_eq!(told.iter().map(|told| beats(told)).sum::<usize>(), 1, "{told:?}");
    assert!(told.contains(&vec![(1, BEAT_MS), (7, 5000)]), "{told:?}");
    room.say(4, link, &packet(PacketKind::Ping, 0, Some(b"x")));
    assert!(!room.connected(4, link), "a touch that is cut");
}

#[test]
fn a_silent_observer_is_given_up_by_its_master() {
    let mut room = with_master();
    room.crash(4);
    room.play(4);
    let link = played(&mut room, 1, 0);
    room.ack(4, link, z(1, 0));
    let limits = room.setup.limits;
    room.run(limits.sync_time() - limits.tick);
    assert!(room.connected(4, link));
    assert!(room.pings(4, link) > 0);
    room.run(limits.tick * 2);
    assert!(!room.connected(4, link));
}

fn item_of(bytes: &[u8]) -> broadcast::Item {
    broadcast::Item::copy_from_slice(bytes)
}

#[test]
fn an_observer_waits_for_its_turn_at_a_follower_too() {
    let mut room = Room::empty(&ensemble_text(3, 2));
    room.setup.observer_port = Some(2191);
    room.setup.limits.differences_max = 1;
    [4, 5].into_iter().for_each(|id| room.play(id));
    room.start_all();
    room.elect();
    room.propose(3, &["a"]);
    let links = [4, 5].map(|id| {
        let link = room.call(id, 1, OBSERVERS);
        room.introduce(id, link, PacketKind::ObserverInfo);
        room.promise(id, link, 0, 0);
        link
    });
    assert_eq!((room.method(1, 4), room.method(1, 5)), (Some(SyncMethod::Diff), None));
    room.ack(4, links[0], z(1, 0));
    assert_eq!(room.method(1, 5), Some(SyncMethod::Diff));
}
