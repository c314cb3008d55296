//! Synchronization: how a learner's history is brought to the leader's.

use super::room::{Room, ensemble_text, packet};
use super::{at, ms, z};
use crate::config::ReadLogLimit;
use crate::{QUORUM, Role};
use base::NodeId;
use broadcast::View;
use trace::SyncMethod;
use wire::quorum::PacketKind;

/// Three members with "a" and "b" everywhere, and 1 crashed before "c" and "d".
fn one_behind(tune: impl Fn(&mut Room)) -> Room {
    let mut room = Room::empty(&ensemble_text(3, 0));
    tune(&mut room);
    room.start_all();
    room.elect();
    room.propose(3, &["a", "b"]);
    room.crash(1);
    room.propose(3, &["c"]);
    room.propose(3, &["d"]);
    room
}

#[test]
fn scenario_24_an_equal_history_gets_an_empty_difference() {
    let mut room = Room::of(3);
    room.elect();
    room.propose(3, &["a"]);
    room.crash(1);
    room.play(1);
    room.run(ms(500));
    let link = room.learner(1, 3, PacketKind::FollowerInfo);
    room.promised_before(1, link, z(1, 1));
    let heard = room.heard(1, link);
    let kinds = [PacketKind::LeaderInfo, PacketKind::Diff, PacketKind::NewLeader];
    assert_eq!(heard, kinds.into_iter().zip([at(1, 0), at(1, 1), at(1, 0)]).collect::<Vec<_>>());
}

#[test]
fn scenario_25_who_is_behind_gets_the_difference_in_order() {
    let mut room = one_behind(|_| {});
    room.restart(1);
    room.elect();
    assert_eq!(room.method(3, 1), Some(SyncMethod::Diff));
    room.all_have(&["a", "b", "c", "d"]);
}

#[test]
fn scenario_26_a_tail_that_was_cut_stays_cut() {
    let mut room = Room::empty(&ensemble_text(3, 0));
    for id in [1, 2] {
        room.give(id, (1, 1), &[(z(1, 1), "a")]);
    }
    room.give(3, (1, 1), &[(z(1, 1), "a"), (z(1, 2), "void")]);
    room.restart(1);
    room.restart(2);
    room.elect();
    room.restart(3);
    room.elect();
    assert_eq!(room.method(2, 3), Some(SyncMethod::Trunc));
    room.crash(3);
    assert_eq!(room.on_disk(3), ["a"]);
    room.restart(3);
    room.elect();
    room.all_have(&["a"]);
}

#[test]
fn scenario_28_a_tail_of_another_epoch_is_not_cut_but_replaced() {
    let mut room = Room::empty(&ensemble_text(3, 0));
    for id in [1, 2] {
        room.give(id, (2, 2), &[(z(1, 1), "a"), (z(2, 1), "b")]);
    }
    room.give(3, (1, 1), &[(z(1, 1), "a"), (z(1, 2), "void")]);
    room.start_all();
    room.elect();
    assert_eq!(room.method(2, 3), Some(SyncMethod::Snap));
    room.all_have(&["a", "b"]);
    assert_eq!(room.on_disk(3), ["a", "b"]);
}

#[test]
fn scenario_30_who_is_far_behind_is_served_from_the_log() {
    let mut room = one_behind(|room| room.setup.limits.recent_entries = 1);
    room.restart(1);
    room.elect();
    assert_eq!(room.method(3, 1), Some(SyncMethod::Diff));
    room.all_have(&["a", "b", "c", "d"]);
}

/// Nothing is replayed, so nothing is in memory, and the log alone has the last entry too.
#[test]
fn who_leads_on_a_snapshot_alone_serves_the_log_to_its_end() {
    let mut room = Room::empty(&ensemble_text(3, 0));
    let log = [(z(1, 1), "a"), (z(1, 2), "b"), (z(1, 3), "c")];
    for (id, count) in [(1, 1), (2, 3), (3, 3)] {
        room.give(id, (1, 1), &log[..count]);
        room.take_snapshot(id);
        room.restart(id);
    }
    room.elect();
    assert_eq!(room.method(3, 1), Some(SyncMethod::Diff));
    room.all_have(&["a", "b", "c"]);
}

#[test]
fn scenario_31_a_log_that_does_not_reach_back_means_the_whole_state() {
    let mut room = one_behind(|room| room.setup.limits.recent_entries = 1);
    room.purge(3, z(1, 3));
    room.restart(1);
    room.elect();
    assert_eq!(room.method(3, 1), Some(SyncMethod::Snap));
    room.all_have(&["a", "b", "c", "d"]);
}

#[test]
fn scenario_32_a_log_that_must_not_be_read_means_the_whole_state() {
    let mut room = one_behind(|room| {
        room.setup.limits.recent_entries = 1;
        room.setup.limits.read_log = ReadLogLimit::Never;
    });
    room.restart(1);
    room.elect();
    assert_eq!(room.method(3, 1), Some(SyncMethod::Snap));
    room.all_have(&["a", "b", "c", "d"]);
}

#[test]
fn scenario_33_a_leader_that_has_only_a_state_sends_it() {
    let mut room = one_behind(|room| room.setup.limits.force_snapshot = true);
    room.setup.limits.force_snapshot = false;
    room.restart(1);
    room.elect();
    assert_eq!(room.method(3, 1), Some(SyncMethod::Snap));
    room.propose(3, &["e"]);
    room.crash(2);
    room.crash(3);
    room.purge(1, z(1, 5));
    room.restart(2);
    room.crash(1);
    room.restart(1);
    room.elect();
    room.all_have(&["a", "b", "c", "d", "e"]);
}

#[test]
fn scenario_35_a_state_that_is_sent_while_writes_go_on_is_good() {
    let mut room = one_behind(|room| room.setup.limits.force_snapshot = true);
    room.hold_states(3);
    room.restart(1);
    room.propose(3, &["e", "f"]);
    room.release_states(3);
    room.propose(3, &["g"]);
    room.elect();
    room.all_have(&["a", "b", "c", "d", "e", "f", "g"]);
    assert_eq!(room.on_disk(1), ["a", "b", "c", "d", "e", "f", "g"]);
}

#[test]
fn scenario_36_what_is_proposed_while_a_learner_joins_reaches_it_once() {
    for step in 0..12 {
        let mut room = one_behind(|_| {});
        room.hold(3, 1, QUORUM);
        room.hold(1, 3, QUORUM);
        room.restart(1);
        for _ in 0..step {
            room.release_some(3, 1, 1);
            room.release_some(1, 3, 1);
        }
        room.propose(3, &["e"]);
        room.propose(3, &["f"]);
        room.heal();
        room.elect();
        room.all_have(&["a", "b", "c", "d", "e", "f"]);
    }
}

/// A real member 1 that follows peer 3, which has offered it epoch 1 and an empty difference.
fn following(offered: &[(PacketKind, i64, Option<&[u8]>)]) -> (Room, broadcast::LinkId) {
    let mut room = Room::empty(&ensemble_text(3, 0));
    room.play(2);
    room.play(3);
    room.restart(1);
    room.flow();
    let link = room.lead(3, 1, 0, 0);
    room.offer(3, link, 1);
    for (kind, zxid, data) in offered {
        room.say(3, link, &packet(*kind, *zxid, *data));
    }
    (room, link)
}

#[test]
fn scenario_37_a_proposal_may_be_decided_between_newleader_and_uptodate() {
    let (mut room, link) = following(&[
        (PacketKind::Diff, 0, None),
        (PacketKind::Proposal, z(1, 1), Some(b"a")),
        (PacketKind::NewLeader, z(1, 0), None),
        (PacketKind::Commit, z(1, 1), None),
        (PacketKind::Proposal, z(1, 2), Some(b"b")),
    ]);
    assert_eq!(room.state(1), [""; 0], "nothing is decided before the leader is established");
    room.say(3, link, &packet(PacketKind::UpToDate, -1, None));
    assert_eq!(room.state(1), ["a"]);
    assert_eq!(room.on_disk(1), ["a", "b"]);
    room.say(3, link, &packet(PacketKind::Commit, z(1, 2), None));
    assert_eq!(room.state(1), ["a", "b"]);
}

/// A state that was sent while writes went on holds some of what was decided meanwhile, and not the
/// rest: who read it then would see a later write without an earlier one.
#[test]
fn nobody_is_served_before_what_was_decided_during_synchronization_is_applied() {
    let (mut room, link) = following(&[
        (PacketKind::Diff, 0, None),
        (PacketKind::NewLeader, z(1, 0), None),
        (PacketKind::Proposal, z(1, 1), Some(b"a")),
        (PacketKind::Commit, z(1, 1), None),
    ]);
    room.hold_disk(1);
    room.say(3, link, &packet(PacketKind::UpToDate, -1, None));
    assert_eq!((room.view(1), room.state(1)), (View::Apart, Vec::<String>::new()));
    room.release_disk(1);
    let replica = View::Replica { primary: NodeId(3) };
    assert_eq!((room.view(1), room.state(1)), (replica, vec!["a".to_owned()]));
}

#[test]
fn scenario_38_no_proposal_is_acknowledged_before_newleader() {
    let (mut room, link) = following(&[(PacketKind::Diff, 0, None)]);
    room.hold_disk(1);
    for (kind, zxid, data) in [
        (PacketKind::NewLeader, z(1, 0), None),
        (PacketKind::Proposal, z(1, 1), Some(&b"a"[..])),
        (PacketKind::UpToDate, -1, None),
        (PacketKind::Proposal, z(1, 2), Some(b"b")),
    ] {
        room.say(3, link, &packet(kind, zxid, data));
    }
    assert_eq!(room.heard(3, link)[2..], []);
    room.release_disk(1);
    let acks = [at(1, 0), at(1, 0), at(1, 1), at(1, 2)].map(|zxid| (PacketKind::Ack, zxid));
    assert_eq!(room.heard(3, link)[2..], acks);
}

#[test]
fn scenario_41_a_leader_that_comes_back_gets_no_state() {
    let mut room = Room::of(3);
    room.elect();
    room.propose(3, &["a", "b"]);
    room.crash(3);
    room.elect();
    room.restart(3);
    room.elect();
    assert_eq!(room.method(2, 3), Some(SyncMethod::Diff));
}

#[test]
fn scenario_41_a_leader_that_was_cut_off_gets_no_state() {
    let mut room = Room::of(3);
    room.elect();
    room.propose(3, &["a"]);
    room.crash(3);
    room.elect();
    room.restart(3);
    room.elect();
    room.isolate(2); // it leads epoch 2, in which nothing was proposed
    room.until("another one leads", |room| room.leaders() == [3]);
    room.heal();
    room.elect();
    assert_eq!(room.method(3, 2), Some(SyncMethod::Diff));
    room.all_have(&["a"]);
}

/// A leader whose disk is behind its followers' keeps what is on theirs only.
#[test]
fn scenario_64_a_state_from_a_slow_disk_misses_nothing() {
    let mut room = Room::empty(&ensemble_text(5, 0));
    room.setup.limits.recent_entries = 2;
    room.setup.limits.force_snapshot = true;
    [1, 2, 3, 5].into_iter().for_each(|id| room.restart(id));
    assert_eq!(room.elect(), 5);
    room.propose(5, &["a"]);
    room.hold(4, 5, QUORUM);
    room.restart(4);
    room.flow();
    room.release_some(4, 5, 1); // it is told the epoch, and its answer is on the way
    room.hold_disk(5);
    for text in ["b", "c", "d", "e", "f"] {
        room.propose(5, &[text]);
    }
    assert_eq!(room.status(5).committed, at(1, 6), "1, 2 and 3 have all");
    room.heal();
    room.run(ms(1_000));
    assert_eq!(room.method(5, 4), Some(SyncMethod::Snap));
    room.release_disk(5);
    room.elect();
    room.all_have(&["a", "b", "c", "d", "e", "f"]);
}

#[test]
fn a_state_that_cannot_go_back_is_fetched_whole() {
    let mut room = Room::empty(&ensemble_text(3, 0));
    for id in [1, 2] {
        room.give(id, (1, 1), &[(z(1, 1), "a")]);
    }
    room.give(3, (1, 1), &[(z(1, 1), "a"), (z(1, 2), "void")]);
    room.purge(3, z(1, 2));
    room.restart(1);
    room.restart(2);
    room.elect();
    room.restart(3);
    room.elect();
    assert_eq!(room.method(2, 3), Some(SyncMethod::Snap));
    room.all_have(&["a"]);
    assert_eq!(room.fatal(3), None);
}

#[test]
fn a_member_between_two_states_ends_its_role_when_it_is_there() {
    let mut room = one_behind(|room| room.setup.limits.force_snapshot = true);
    room.restart(1);
    room.hold_disk(1);
    room.run(ms(300));
    assert!(!room.status(1).serving);
    room.crash(3);
    room.run(ms(1_000));
    assert_eq!(room.status(1).role, Role::Following, "its state is another one already");
    room.release_disk(1);
    room.elect();
    room.all_have(&["a", "b", "c", "d"]);
}

#[test]
fn a_former_leader_without_proposals_is_not_ahead_and_gets_a_difference() {
    let mut room = Room::empty(&ensemble_text(3, 0));
    for id in [2, 3] {
        room.give(id, (2, 2), &[(z(1, 1), "a")]);
    }
    room.play(1);
    room.start_all();
    room.elect();
    let link = room.learner(1, 3, PacketKind::FollowerInfo);
    room.promise(1, link, 2, z(2, 0)); // where its own epoch began
    let heard = room.heard(1, link);
    let kinds = [PacketKind::LeaderInfo, PacketKind::Diff, PacketKind::NewLeader];
    assert_eq!(heard, kinds.into_iter().zip([at(3, 0), at(1, 1), at(3, 0)]).collect::<Vec<_>>());
    assert_eq!(room.lost(3), [""; 0]);
}
