//! Crashes between any two durable steps.

use super::room::{Room, ensemble_text};
use super::{ms, z};
use crate::QUORUM;

/// How a learner is to be synchronized.
#[derive(Clone, Copy)]
enum Way {
    Diff,
    Trunc,
    Snap,
}

/// Members 2 and 3 serve "a", "b", "c"; 1 is behind, or has something else.
fn ensemble(way: Way) -> Room {
    let mut room = Room::empty(&ensemble_text(3, 0));
    let all = [(z(1, 1), "a"), (z(1, 2), "b"), (z(1, 3), "c"), (z(1, 4), "void")];
    let has = match way {
        Way::Diff | Way::Snap => 1,
        Way::Trunc => 4,
    };
    room.give(1, (1, 1), &all[..has]);
    for id in [2, 3] {
        room.give(id, (1, 1), &all[..3]);
    }
    room.setup.limits.force_snapshot = matches!(way, Way::Snap);
    room.restart(2);
    room.restart(3);
    room.elect();
    room.propose(3, &["d"]);
    room
}

/// 2 has lost its disk and is back, and 1 has promised 3 to follow: nothing more reaches its disk, and
/// `hold` keeps back what 2 is to get.
fn after_a_loss(hold: impl FnOnce(&mut Room)) -> Room {
    let mut room = ensemble(Way::Diff);
    room.lose_disk(2);
    room.until("3 leads no more", |room| room.leader().is_none());
    room.restart(1);
    room.hold_disk(1);
    room.restart(2);
    hold(&mut room);
    room.run(ms(500));
    room.sync_disk(1, 1); // its promise
    room
}

/// 1 and 2 are a quorum if 2 `has_all` again, and 1 stands in no new epoch otherwise.
fn are_a_quorum(room: &Room, has_all: bool, after: usize) {
    assert_eq!(room.leader(), has_all.then_some(2), "after {after} steps");
    assert_eq!(room.epochs(1).1 > 1, has_all, "after {after} steps");
}

/// 3 comes back, and all have what was acknowledged before.
fn nothing_is_lost(mut room: Room) {
    room.heal();
    room.restart(3);
    let leader = room.elect();
    room.propose(leader, &["e"]);
    room.settle();
    room.all_have(&["a", "b", "c", "d", "e"]);
}

/// Its promises and what it acknowledged are known to nobody: 1, which never had it, and 2, which has
/// forgotten it, must not be a quorum before 2 has all of it again.
#[test]
fn who_lost_its_disk_votes_when_it_stands_in_an_epoch_and_not_when_it_has_a_state() {
    let mut came_back = [false, false];
    for steps in 0..8 {
        let mut room = after_a_loss(|room| room.hold_disk(2));
        for _ in 0..steps {
            room.run(ms(20));
            room.sync_disk(2, 1);
        }
        assert_eq!(room.on_disk(1), ["a"]);
        let (_, current) = room.epochs(2);
        (1..=3).for_each(|id| room.crash(id));
        room.restart(1);
        room.restart(2);
        room.run(ms(5_000));
        let has_all = current > 0;
        came_back[usize::from(has_all)] = true;
        are_a_quorum(&room, has_all, steps);
        nothing_is_lost(room);
    }
    assert_eq!(came_back, [true, true]);
}

#[test]
fn who_lost_its_disk_does_not_vote_between_the_state_and_what_comes_behind_it() {
    let mut came = [false, false];
    for frames in 0..8 {
        let mut room = after_a_loss(|room| room.hold(3, 2, QUORUM));
        for _ in 0..frames {
            room.run(ms(20));
            room.release_some(3, 2, 1);
        }
        room.run(ms(20));
        let (_, current) = room.epochs(2);
        room.crash(1);
        room.crash(3);
        room.restart(1);
        room.run(ms(5_000));
        let has_all = current > 0;
        came[usize::from(has_all)] |= !room.on_disk(2).is_empty();
        are_a_quorum(&room, has_all, frames);
        nothing_is_lost(room);
    }
    assert_eq!(came, [true, true], "a state, and no more; and all");
}

#[test]
fn scenario_39_a_joiner_may_crash_after_each_of_its_durable_steps() {
    for way in [Way::Diff, Way::Trunc, Way::Snap] {
        for steps in 0..12 {
            let mut room = ensemble(way);
            room.restart(1);
            room.hold_disk(1);
            for _ in 0..steps {
                room.run(ms(20));
                room.sync_disk(1, 1);
            }
            room.crash(1);
            let (accepted, current) = room.epochs(1);
            assert!(accepted >= current && current <= 2);
            if current == 2 {
                assert_eq!(room.on_disk(1)[..3], ["a", "b", "c"], "who installed has all");
            }
            room.crash(2);
            room.restart(1);
            room.elect();
            room.propose(3, &["e"]);
            room.restart(2);
            room.elect();
            room.all_have(&["a", "b", "c", "d", "e"]);
        }
    }
}

#[test]
fn scenario_40_a_leader_may_crash_while_it_synchronizes() {
    // How many packets of the learners arrive before: FOLLOWERINFO, ACKEPOCH, ACK, ACK.
    for packets in 0..5 {
        for reached in [1, 2] {
            let mut room = Room::empty(&ensemble_text(3, 0));
            room.give(1, (1, 1), &[(z(1, 1), "a")]);
            room.give(2, (1, 1), &[(z(1, 1), "a")]);
            room.give(3, (1, 1), &[(z(1, 1), "a"), (z(1, 2), "b")]);
            room.hold(1, 3, QUORUM);
            room.hold(2, 3, QUORUM);
            room.start_all();
            room.run(ms(300));
            for _ in 0..packets {
                room.release_some(reached, 3, 1);
            }
            let established = room.leader().is_some();
            room.crash(3);
            room.heal();
            room.elect();
            if established {
                room.all_have(&["a", "b"]);
            }
            room.restart(3);
            room.elect();
            let state = room.state(1);
            room.all_have(&state.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
}

#[test]
fn scenario_40_a_leader_may_crash_after_uptodate_to_one() {
    let mut room = Room::empty(&ensemble_text(3, 0));
    for id in [1, 2] {
        room.give(id, (1, 1), &[]);
    }
    room.give(3, (1, 1), &[(z(1, 1), "a")]);
    room.hold(2, 3, QUORUM);
    room.start_all();
    room.until("1 serves", |room| room.status(1).serving);
    room.crash(3);
    room.heal();
    assert_eq!(room.elect(), 1, "it has the epoch");
    room.all_have(&["a"]);
}

#[test]
fn scenario_58_what_is_acknowledged_survives_a_crash_of_all() {
    let mut room = Room::of(3);
    room.elect();
    room.propose(3, &["a", "b"]);
    (1..=3).for_each(|id| room.crash(id));
    room.start_all();
    room.elect();
    room.all_have(&["a", "b"]);
}

#[test]
fn scenario_59_one_of_the_least_quorum_is_enough_to_keep_it() {
    for other in [1, 2] {
        let mut room = Room::of(3);
        room.elect();
        room.hold_disk(1);
        room.propose(3, &["a"]);
        assert_eq!(room.state(3), ["a"], "on the disks of 2 and 3");
        (1..=3).for_each(|id| room.crash(id));
        assert_eq!([1, 2, 3].map(|id| room.on_disk(id).len()), [0, 1, 1]);
        room.restart(3);
        room.restart(other);
        room.elect();
        room.start_all();
        room.elect();
        room.all_have(&["a"]);
    }
}

#[test]
fn scenario_60_a_follower_whose_disk_fails_leaves() {
    let mut room = Room::of(3);
    room.elect();
    room.propose(3, &["a"]);
    room.fail_disk(1);
    room.propose(3, &["b"]);
    room.run(ms(3_000));
    assert_eq!(room.status(1).role, crate::Role::Silent);
    assert_eq!(room.view(1), broadcast::View::Silent);
    assert_eq!([2, 3].map(|id| room.state(id).len()), [2, 2]);
    room.crash(1);
    room.restart(1);
    room.elect();
    room.all_have(&["a", "b"]);
}

#[test]
fn scenario_60_zk_4882_a_leader_whose_disk_fails_stops() {
    let mut room = Room::of(3);
    room.elect();
    room.propose(3, &["a"]);
    room.fail_disk(3);
    let b = room.propose(3, &["b"]);
    assert_eq!(room.state(3), ["a"], "what it cannot log it does not apply");
    assert_eq!(room.outcome(3, b[0]), None);
    room.run(ms(2_000));
    assert_eq!(room.leaders(), [2]);
    room.crash(3);
    room.restart(3);
    room.elect();
    room.all_have(&["a"]);
}
