//! Defects that the reference had, each by its number in the reference's tracker.

use super::room::{Room, ensemble_text, item, packet};
use super::{at, ms, z};
use crate::QUORUM;
use broadcast::Input;
use trace::SyncMethod;
use wire::quorum::PacketKind;

/// The memory kept across an election hid what was logged and not applied.
#[test]
fn scenario_43_zk_2845_what_is_logged_and_not_decided_is_not_hidden() {
    let mut room = Room::of(3);
    room.elect();
    room.hold(3, 1, QUORUM);
    room.hold(3, 2, QUORUM);
    room.propose(3, &["void"]);
    room.isolate(3);
    room.until("2 leads", |room| room.leaders() == [2]);
    assert_eq!(room.marks(3).last, at(1, 1), "the log's end, not the state's");
    room.heal();
    room.elect();
    room.propose(2, &["a"]);
    room.crash(3);
    room.restart(3);
    room.elect();
    room.all_have(&["a"]);
    assert_eq!(room.on_disk(3), ["a"]);
}

/// A zxid within the range of the leader's entries, but not among them, got a plain DIFF.
#[test]
fn scenario_44_zk_1154_a_zxid_in_range_is_looked_up() {
    let mut room = Room::empty(&ensemble_text(3, 0));
    for id in [1, 2] {
        room.give(id, (2, 2), &[(z(1, 1), "a"), (z(2, 1), "b"), (z(2, 2), "c")]);
    }
    room.give(3, (1, 1), &[(z(1, 1), "a"), (z(1, 2), "void"), (z(1, 3), "void too")]);
    room.restart(1);
    room.restart(2);
    room.elect();
    room.restart(3);
    room.elect();
    assert_eq!(room.method(2, 3), Some(SyncMethod::Snap));
    room.all_have(&["a", "b", "c"]);
}

/// NEWLEADER was acknowledged before the difference was on the disk.
#[test]
fn scenario_45_zk_3911_newleader_is_acknowledged_when_the_history_is_durable() {
    let mut room = Room::empty(&ensemble_text(3, 0));
    room.give(1, (1, 1), &[]);
    room.give(3, (1, 1), &[(z(1, 1), "a")]);
    room.hold_disk(1);
    room.restart(1);
    room.restart(3);
    room.run(ms(500));
    room.sync_disk(1, 1); // the promise
    assert_eq!(room.leader(), None, "nobody serves what one disk has");
    room.sync_disk(1, 1); // the entry, and not the epoch
    assert_eq!(room.leader(), None);
    room.sync_disk(1, 1);
    assert_eq!(room.leader(), Some(3));
    room.crash(1);
    room.isolate(3);
    room.restart(1);
    room.restart(2);
    room.elect_among(&[1, 2]);
    assert_eq!([1, 2].map(|id| room.state(id)), [["a"], ["a"]]);
}

/// The epoch was written before the history.
#[test]
fn scenario_46_zk_4643_the_epoch_is_written_behind_the_history() {
    for durable in 0..4 {
        let mut room = Room::empty(&ensemble_text(3, 0));
        room.give(1, (1, 1), &[]);
        for id in [2, 3] {
            room.give(id, (1, 1), &[(z(1, 1), "a")]);
        }
        room.restart(2);
        room.restart(3);
        room.elect();
        room.restart(1);
        room.hold_disk(1);
        for _ in 0..durable {
            room.run(ms(50));
            room.sync_disk(1, 1);
        }
        room.crash(1);
        room.crash(3);
        room.restart(1);
        room.elect();
        room.all_have(&["a"]);
    }
}

/// The history was handed to the log's thread, and acknowledged before it was synced.
#[test]
fn scenario_47_zk_4646_zk_4785_an_acknowledgement_waits_for_the_sync_itself() {
    let mut room = Room::empty(&ensemble_text(3, 0));
    room.give(1, (1, 1), &[]);
    for id in [2, 3] {
        room.give(id, (1, 1), &[(z(1, 1), "a")]);
    }
    room.hold_disk(1);
    room.hold_disk(2);
    room.start_all();
    room.run(ms(500));
    for id in [1, 2] {
        room.sync_disk(id, 1);
    }
    room.run(ms(500));
    assert_eq!(room.leader(), None, "all is written, and nothing synced");
    room.crash(1);
    room.crash(2);
    assert_eq!(room.epochs(1), (2, 1));
}

/// The acknowledgement of a proposal overtook that of NEWLEADER: all followers looped.
#[test]
fn zk_4685_joining_under_load_succeeds() {
    let mut room = Room::of(3);
    room.elect();
    room.crash(1);
    room.restart(1);
    room.hold_disk(1);
    for n in 0..20 {
        room.propose(3, &[&format!("{n}")]);
        room.sync_disk(1, 1);
        room.run(ms(10));
    }
    room.release_disk(1);
    room.elect();
    assert_eq!(room.state(1).len(), 20);
    assert_eq!(room.lost(3).len(), 1, "only its crash: {:?}", room.lost(3));
}

/// A COMMIT between NEWLEADER and UPTODATE found an empty queue.
#[test]
fn zk_4394_a_commit_behind_newleader_finds_its_proposal() {
    let mut room = Room::of(3);
    room.elect();
    room.crash(1);
    room.hold_disk(2);
    room.propose(3, &["a"]); // not decided: 3 has it alone
    room.hold(1, 3, QUORUM);
    room.restart(1);
    for _ in 0..2 {
        room.run(ms(50));
        room.release_some(1, 3, 1);
    }
    room.release_disk(2); // decided, while 1 is between NEWLEADER and UPTODATE
    room.heal();
    room.elect();
    room.all_have(&["a"]);
}

/// What was synchronized was not applied when the follower began to serve.
#[test]
fn zk_3023_a_follower_serves_all_that_it_was_synchronized_to() {
    let mut room = Room::of(3);
    room.elect();
    room.propose(3, &["a"]);
    room.crash(1);
    room.propose(3, &["b"]);
    room.restart(1);
    room.until("1 serves", |room| room.status(1).serving);
    assert_eq!(room.state(1), ["a", "b"]);
}

/// A state that was in memory only counted as history.
#[test]
fn scenario_42_zk_3642_a_state_counts_when_it_is_on_the_disk() {
    let mut room = Room::empty(&ensemble_text(3, 0));
    room.setup.limits.force_snapshot = true;
    room.restart(2);
    room.restart(3);
    room.elect();
    room.propose(3, &["a", "b"]);
    room.restart(1);
    room.hold_disk(1);
    room.run(ms(100));
    room.sync_disk(1, 1); // the promise; the state is in place, and not on the disk
    room.run(ms(100));
    room.crash(3);
    room.run(ms(1_000));
    assert_eq!(room.marks(1).last, at(0, 0), "it claims nothing of that state");
    room.crash(1);
    room.setup.limits.force_snapshot = false;
    room.restart(1);
    room.elect();
    room.crash(1);
    room.restart(1);
    room.elect();
    room.all_have(&["a", "b"]);
}

/// NEWLEADER was queued before what was proposed while the state was sent.
#[test]
fn zk_3104_what_is_proposed_while_a_state_is_sent_is_not_missed() {
    let mut room = Room::empty(&ensemble_text(3, 0));
    room.setup.limits.force_snapshot = true;
    room.restart(2);
    room.restart(3);
    room.elect();
    room.propose(3, &["a"]);
    room.hold_states(3);
    room.restart(1);
    room.propose(3, &["b", "c"]);
    room.crash(2);
    room.run(ms(100));
    room.release_states(3);
    room.restart(2);
    room.elect();
    room.crash(1);
    room.restart(1);
    room.elect();
    room.all_have(&["a", "b", "c"]);
}

/// A follower's ring of entries had a hole, which it served when it led.
#[test]
fn scenario_48_zk_4925_who_was_given_a_state_serves_no_hole() {
    let mut room = Room::of(3);
    room.elect();
    room.propose(3, &["a"]);
    room.crash(2);
    room.propose(3, &["b"]);
    room.crash(1);
    room.settle();
    room.setup.limits.force_snapshot = true;
    room.crash(3);
    room.restart(3);
    room.restart(2); // gets the state
    assert_eq!(room.elect(), 3);
    room.setup.limits.force_snapshot = false;
    room.propose(3, &["c"]);
    room.crash(3);
    room.restart(1); // has a and b
    assert_eq!(room.elect(), 2);
    room.all_have(&["a", "b", "c"]);
}

/// A leader's difference has a hole: it must not get into a follower's log.
#[test]
fn zk_4925_a_follower_takes_no_difference_with_a_hole() {
    let mut room = Room::empty(&ensemble_text(3, 0));
    room.play(2);
    room.play(3);
    room.give(1, (1, 1), &[(z(1, 1), "a")]);
    room.restart(1);
    room.flow();
    let link = room.lead(3, 1, 1, z(1, 3));
    room.offer(3, link, 2);
    room.say(3, link, &packet(PacketKind::Diff, z(1, 3), None));
    room.say(3, link, &packet(PacketKind::Proposal, z(1, 3), Some(b"c")));
    assert_eq!(room.refusals(1), ["proposal 0x100000003 does not go on from 0x100000001"]);
    assert_eq!(room.on_disk(1), ["a"]);
}

/// The difference from the log skipped a gap.
#[test]
fn scenario_31_zk_2846_zk_2418_a_log_with_a_gap_is_not_served() {
    let gaps: [&[(i64, &str)]; 3] = [
        &[(1, "a"), (2, "b"), (3, "c")], // ends before the entries in memory
        &[(1, "a"), (3, "c"), (4, "d"), (5, "e")], // within
        &[(3, "c"), (4, "d"), (5, "e")], // at its beginning
    ];
    for log in gaps {
        let mut room = Room::empty(&ensemble_text(3, 0));
        room.setup.limits.recent_entries = 1;
        room.restart(2);
        room.restart(3);
        room.elect();
        room.propose(3, &["a", "b", "c", "d", "e"]);
        room.play(1);
        let link = room.learner(1, 3, PacketKind::FollowerInfo);
        room.answer_log_by_hand(3);
        room.promise(1, link, 0, 0);
        let log = log.iter().map(|(counter, text)| (at(1, *counter), item(text))).collect();
        let link_there = room.asked_for_log(3);
        room.input(3, Input::LogRead { link: link_there, entries: log });
        assert_eq!(room.method(3, 1), Some(SyncMethod::Snap));
    }
}

/// The bounds of the entries in memory were wrong after a start.
#[test]
fn zk_3526_zk_4352_who_is_behind_the_entries_in_memory_is_not_in_their_range() {
    let mut room = Room::empty(&ensemble_text(3, 0));
    room.setup.limits.recent_entries = 1;
    let all = [(z(1, 1), "a"), (z(1, 2), "b"), (z(1, 3), "c")];
    room.give(1, (1, 1), &all[..1]);
    room.give(2, (1, 1), &all);
    room.give(3, (1, 1), &all);
    room.restart(2);
    room.restart(3);
    room.elect();
    room.restart(1);
    room.elect();
    room.all_have(&["a", "b", "c"]);
}

/// A crash at each step of writing the epochs: the vote is what the disk says.
#[test]
fn zk_4269_zk_1653_zk_335_zk_582_epochs_are_what_the_disk_says() {
    for records in 0..3 {
        let mut room = Room::of(3);
        room.elect();
        room.propose(3, &["a"]);
        room.crash(3);
        for id in [1, 2] {
            room.crash(id);
        }
        room.restart(1);
        room.restart(2);
        room.hold_disk(1);
        room.hold_disk(2);
        room.run(ms(500));
        for id in [1, 2] {
            room.sync_disk(id, records);
        }
        for id in [1, 2] {
            room.crash(id);
            let (accepted, current) = room.epochs(id);
            room.restart(id);
            let marks = room.marks(id);
            assert_eq!((marks.accepted_epoch, marks.current_epoch), (accepted, current));
        }
        room.start_all();
        room.elect();
        room.all_have(&["a"]);
    }
}

/// A member that has no state to vote with does not claim one.
#[test]
fn zk_2678_a_member_that_needs_a_state_has_no_vote() {
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
    room.hold_states(2);
    room.run(ms(1_000));
    room.crash(2);
    assert_eq!(room.elect(), 1, "3 has a log that leads nowhere");
    room.restart(2);
    room.elect();
    room.all_have(&["a"]);
}
