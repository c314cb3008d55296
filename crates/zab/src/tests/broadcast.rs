//! Broadcast, and what failures do to it.

use super::room::{Room, ensemble_text};
use super::{at, ms, z};
use crate::{QUORUM, Role};
use broadcast::{Decision, Refusal, View};
use trace::Ensemble as Event;

#[test]
fn scenario_49_of_a_pipeline_the_survivors_keep_a_prefix() {
    for reached in 0..=4 {
        let mut room = Room::of(3);
        room.elect();
        room.hold(3, 2, QUORUM);
        room.hold(3, 1, QUORUM);
        room.propose(3, &["a", "b", "c", "d"]);
        room.release_some(3, 2, reached);
        room.crash(3);
        room.heal();
        room.elect();
        assert_eq!(room.state(1), ["a", "b", "c", "d"][..reached]);
        room.propose(2, &["e"]);
        room.restart(3);
        room.elect();
        let mut expected = vec!["a", "b", "c", "d"][..reached].to_vec();
        expected.push("e");
        room.all_have(&expected);
    }
}

/// Zab's counter-example for Paxos: P1 has A and B under way, of which B would be kept and A not.
#[test]
fn scenario_50_no_later_entry_of_a_primary_is_kept_without_the_earlier_one() {
    let mut room = Room::of(3);
    room.elect();
    room.hold(3, 1, QUORUM);
    room.hold(3, 2, QUORUM);
    room.propose(3, &["A", "B"]);
    room.crash(3);
    room.heal();
    assert_eq!(room.elect(), 2);
    room.propose(2, &["C"]);
    room.restart(3);
    room.elect();
    room.crash(2);
    room.elect();
    room.restart(2);
    room.elect();
    room.all_have(&["C"]);
}

#[test]
fn scenario_51_nothing_is_decided_before_what_is_ahead_of_it() {
    let mut room = Room::of(3);
    room.elect();
    room.crash(2);
    room.play(2);
    room.run(ms(100));
    let link = room.learner(2, 3, wire::quorum::PacketKind::FollowerInfo);
    room.promised_before(2, link, 0);
    room.ack(2, link, z(1, 0));
    room.hold_disk(1);
    room.hold_disk(3);
    room.propose(3, &["a", "b"]);
    room.ack(2, link, z(1, 2));
    assert_eq!(room.status(3).committed, at(1, 0), "2 alone has them");
    room.sync_disk(3, 1);
    assert_eq!(room.status(3).committed, at(1, 1), "all up to a is on two disks");
    room.release_disk(3);
    assert_eq!(room.status(3).committed, at(1, 2));
}

#[test]
fn scenario_53_what_an_older_connection_brings_is_ignored() {
    let mut room = Room::of(3);
    room.elect();
    room.hold(3, 1, QUORUM);
    room.propose(3, &["a"]);
    room.part(1, 3); // what was on the way is lost
    room.heal();
    room.elect();
    room.propose(3, &["b"]);
    room.all_have(&["a", "b"]);
}

#[test]
fn scenario_54_a_leader_without_quorum_steps_down_and_does_not_know_what_becomes_of_it() {
    let mut room = Room::of(3);
    room.elect();
    room.hold(3, 1, QUORUM);
    room.hold(3, 2, QUORUM);
    let lost = room.propose(3, &["lost"]);
    room.isolate(3);
    assert_eq!(room.view(3), View::Apart, "at once: the links of its quorum are gone");
    assert_eq!(room.status(3).role, Role::Looking);
    assert_eq!(room.outcome(3, lost[0]), None, "the view says it: unknown");
    let refused = room.propose(3, &["refused"]);
    let not_primary = Decision::Rejected(Refusal::NotPrimary);
    assert_eq!(room.outcome(3, refused[0]), Some(not_primary));
}

#[test]
fn scenario_54_a_leader_that_hears_nobody_steps_down_within_the_limit() {
    let mut room = Room::of(3);
    room.elect();
    for follower in [1, 2] {
        room.hold(3, follower, QUORUM);
        room.hold(follower, 3, QUORUM);
    }
    room.run(ms(12_000));
    assert_eq!(room.status(3).role, Role::Looking, "syncLimit is 10 s");
}

/// It becomes leader when its own disk is ready: the follower that made it so has gone by then.
#[test]
fn scenario_54_a_leader_that_lost_its_quorum_before_it_was_established_steps_down() {
    let mut room = Room::empty(&ensemble_text(3, 0));
    room.restart(1);
    room.restart(3);
    room.hold_disk(3);
    room.run(ms(300));
    room.sync_disk(3, 1);
    room.crash(1);
    room.release_disk(3);
    room.run(ms(3_000));
    assert_eq!(room.leaders(), []);
}

#[test]
fn scenario_55_a_write_without_quorum_survives_everywhere_or_nowhere() {
    for survives in [false, true] {
        let mut room = Room::of(3);
        room.elect();
        room.crash(1);
        room.hold(2, 3, QUORUM);
        if !survives {
            room.hold(3, 2, QUORUM);
        }
        room.propose(3, &["x"]);
        room.crash(3);
        room.heal();
        room.restart(1);
        room.elect();
        room.restart(3);
        room.elect();
        room.all_have(if survives { &["x"] } else { &[] });
    }
}

#[test]
fn scenario_56_an_old_leaders_tail_is_cut() {
    let mut room = Room::of(3);
    room.elect();
    room.propose(3, &["a"]);
    room.hold(3, 1, QUORUM);
    room.hold(3, 2, QUORUM);
    room.propose(3, &["void"]);
    room.isolate(3);
    room.until("2 leads", |room| room.leaders() == [2]);
    assert_eq!(room.state(3), ["a"], "what no quorum had was never applied");
    room.heal();
    room.elect();
    room.propose(2, &["b"]);
    room.all_have(&["a", "b"]);
    assert_eq!(room.on_disk(3), ["a", "b"]);
}

#[test]
fn scenario_57_an_old_leaders_tail_that_another_kept_stays() {
    let mut room = Room::of(3);
    room.elect();
    room.hold(3, 1, QUORUM);
    room.hold(2, 3, QUORUM);
    room.hold(1, 3, QUORUM);
    room.propose(3, &["kept"]);
    room.isolate(3);
    room.until("2 leads", |room| room.leaders() == [2]);
    room.heal();
    room.elect();
    room.all_have(&["kept"]);
}

#[test]
fn scenario_62_zk_1277_an_epoch_ends_before_its_counter_does() {
    let mut room = Room::empty(&ensemble_text(3, 0));
    room.setup.limits.counter_max = 4;
    room.start_all();
    let mut texts = Vec::new();
    for n in 0..10 {
        let leader = room.elect();
        let text = format!("{n}");
        room.propose(leader, &[&text]);
        texts.push(text);
    }
    room.elect();
    room.all_have(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(room.epochs(1).1, 3, "two epochs of four, and a third one");
}

#[test]
fn scenario_62_a_batch_over_the_end_is_kept() {
    let mut room = Room::empty(&ensemble_text(3, 0));
    room.setup.limits.counter_max = 2;
    room.start_all();
    room.elect();
    room.propose(3, &["a", "b", "c"]);
    room.elect();
    room.all_have(&["a", "b", "c"]);
}

#[test]
fn scenario_63_a_slow_follower_is_left_and_comes_back() {
    let mut room = Room::of(3);
    room.elect();
    room.hold_disk(1);
    room.propose(3, &["a"]);
    assert_eq!(room.state(3), ["a"], "the others go on");
    room.run(ms(12_000));
    assert_eq!(room.lost(3)[0], "1: it does not acknowledge in time");
    room.propose(3, &["b"]);
    room.release_disk(1);
    room.elect();
    room.all_have(&["a", "b"]);
}

#[test]
fn scenario_64_followers_decide_before_the_leaders_disk_and_it_applies_when_it_has() {
    let mut room = Room::of(3);
    room.elect();
    room.hold_disk(3);
    room.propose(3, &["a"]);
    assert_eq!([1, 2].map(|id| room.state(id)), [["a"], ["a"]]);
    assert!(room.state(3).is_empty(), "its own disk is behind");
    room.release_disk(3);
    room.all_have(&["a"]);
}

#[test]
fn scenario_65_a_leader_that_slept_finds_itself_deposed() {
    let mut room = Room::of(3);
    room.elect();
    room.propose(3, &["a"]);
    room.pause(3);
    room.run(ms(15_000));
    assert_eq!(room.leaders(), [2, 3], "the followers have left it, and it does not know");
    let read = room.read(3, broadcast::ReadLevel::Linearizable);
    room.propose(3, &["void"]);
    room.resume(3);
    room.elect();
    assert_eq!(room.read_at(3, read), None);
    room.all_have(&["a"]);
}

#[test]
fn scenario_66_a_leader_that_hears_no_answers_steps_down() {
    let mut room = Room::of(3);
    room.elect();
    room.hold(1, 3, QUORUM);
    room.hold(2, 3, QUORUM);
    room.propose(3, &["a"]);
    room.run(ms(12_000));
    let stepped_down = |event: &trace::Ensemble| matches!(event, Event::SteppedDown { .. });
    assert!(room.events(3).iter().any(stepped_down));
    room.heal();
    room.elect();
    room.all_have(&["a"]);
}

#[test]
fn a_proposal_for_another_place_is_refused_alone() {
    let mut room = Room::of(1);
    room.elect();
    room.propose(1, &["a"]);
    let item = super::room::item("b");
    let wrong = room.propose_at(1, at(1, 7), item.clone());
    let out_of_order = Decision::Rejected(Refusal::OutOfOrder);
    assert_eq!(room.outcome(1, wrong), Some(out_of_order));
    room.propose_at(1, at(1, 2), item);
    room.all_have(&["a", "b"]);
}
