//! Elections: votes, rounds, and who is believed.

use super::room::{Room, ensemble_text};
use super::{ms, z};
use crate::{ELECTION, Role};
use wire::quorum::ServerState::{Following, Leading, Looking};

/// The shortest pause between a member's words.
const NOTIFY_MIN: std::time::Duration = ms(200);

/// A real member among peers that the test plays.
fn alone(id: u64, size: u64) -> Room {
    let mut room = Room::empty(&ensemble_text(size, 0));
    (1..=size).filter(|other| *other != id).for_each(|other| room.play(other));
    room.start_all();
    room.flow();
    room
}

#[test]
fn scenario_01_three_fresh_servers_have_a_leader_and_no_transaction() {
    let mut room = Room::of(3);
    room.elect();
    for id in 1..=3 {
        assert_eq!(room.epochs(id), (1, 1), "member {id}");
    }
    room.all_have(&[]);
    assert_eq!(room.leaders(), [3]);
}

#[test]
fn scenario_02_the_epoch_beats_the_zxid_which_beats_the_id() {
    let mut room = Room::empty(&ensemble_text(3, 0));
    room.give(1, (2, 2), &[(z(1, 1), "a")]);
    room.give(2, (1, 1), &[(z(1, 1), "a"), (z(1, 2), "void")]);
    room.give(3, (1, 1), &[(z(1, 1), "a")]);
    room.start_all();
    assert_eq!(room.elect(), 1, "the epoch");
    room.all_have(&["a"]);

    let mut room = Room::empty(&ensemble_text(3, 0));
    room.give(1, (1, 1), &[(z(1, 1), "a")]);
    room.give(2, (1, 1), &[(z(1, 1), "a"), (z(1, 2), "b")]);
    room.give(3, (1, 1), &[(z(1, 1), "a")]);
    room.start_all();
    assert_eq!(room.elect(), 2, "the zxid");
    room.all_have(&["a", "b"]);
}

#[test]
fn scenario_05_a_vote_of_an_older_round_is_answered_and_not_counted() {
    let mut room = alone(3, 3);
    let link = room.link_to(1, ELECTION);
    let before = room.votes(1, link).len();
    room.vote(1, link, Looking, (3, 0, 0, 0));
    room.run(ms(150));
    assert_eq!(room.votes(1, link)[before..], [(Looking, 3, 1)], "the answer");
    room.run(ms(300));
    assert_eq!(room.status(3).role, Role::Looking);
}

#[test]
fn scenario_06_a_vote_of_a_newer_round_begins_that_round() {
    let mut room = alone(3, 5);
    let [one, two] = [1, 2].map(|id| room.link_to(id, ELECTION));
    room.vote(1, one, Looking, (3, 0, 0, 1));
    room.vote(2, two, Looking, (1, 0, 0, 7));
    assert_eq!(room.marks(3).round, 7);
    room.run(ms(300));
    assert_eq!(room.status(3).role, Role::Looking, "the vote of round 1 is forgotten");
    assert_eq!(room.votes(2, two).last(), Some(&(Looking, 3, 7)), "its own vote is the better one");
}

#[test]
fn trap_05_a_newer_rounds_vote_is_compared_with_the_initial_vote() {
    let mut room = alone(2, 5);
    let [three, one] = [room.open(3, 2), room.link_to(1, ELECTION)];
    room.vote(3, three, Looking, (3, 4, z(4, 9), 1));
    assert_eq!(room.votes(1, one).last(), Some(&(Looking, 3, 1)), "the better one is adopted");
    room.vote(1, one, Looking, (1, 0, 0, 2));
    assert_eq!(room.votes(1, one).last(), Some(&(Looking, 2, 2)), "3 has to say it again");
}

#[test]
fn scenario_07_votes_that_got_lost_are_sent_again() {
    let mut room = Room::empty(&ensemble_text(3, 0));
    room.start_all();
    (1..=3).for_each(|id| room.isolate(id));
    room.run(ms(5_000));
    assert_eq!(room.leader(), None);
    room.heal();
    room.elect();
}

#[test]
fn scenario_08_a_joiner_needs_a_quorum_of_settled_votes_and_the_leaders_own() {
    let mut room = alone(1, 3);
    let two = room.open(2, 1);
    room.vote(2, two, Following, (3, 1, 0, 5));
    room.run(ms(500));
    assert_eq!(room.status(1).role, Role::Looking, "one vote");
    let three = room.open(3, 1);
    room.vote(3, three, Leading, (3, 1, 0, 5));
    assert_eq!((room.status(1).role, room.marks(1).round), (Role::Following, 5));
}

#[test]
fn scenario_09_a_leader_that_is_dead_is_not_followed_whoever_names_it() {
    let mut room = alone(1, 5);
    for id in [2, 3, 4] {
        let link = room.open(id, 1);
        room.vote(id, link, Following, (5, 1, 0, 5));
    }
    room.run(ms(2_000));
    assert_eq!(room.status(1).role, Role::Looking);
}

#[test]
fn scenario_10_who_claims_to_lead_without_support_is_not_followed() {
    let mut room = alone(1, 3);
    let three = room.open(3, 1);
    room.vote(3, three, Leading, (3, 9, z(9, 9), 5));
    room.run(ms(2_000));
    assert_eq!(room.status(1).role, Role::Looking);
}

#[test]
fn scenario_11_a_vote_for_no_member_is_ignored() {
    let mut room = alone(1, 3);
    for id in [2, 3] {
        let link = room.open(id, 1);
        room.vote(id, link, Looking, (9, 9, z(9, 9), 1));
        room.vote(id, link, Following, (9, 9, z(9, 9), 1));
    }
    room.run(ms(2_000));
    assert_eq!(room.status(1).role, Role::Looking);
}

#[test]
fn scenario_12_votes_of_observers_and_strangers_do_not_count() {
    let mut room = Room::empty(&ensemble_text(3, 1));
    [2, 3, 4, 7].into_iter().for_each(|id| room.play(id));
    room.start_all();
    for id in [4, 7] {
        let link = room.open(id, 1);
        room.vote(id, link, Looking, (1, 0, 0, 1));
        assert!(!room.votes(id, link).is_empty(), "they are answered: so they learn who leads");
    }
    room.run(ms(500));
    assert_eq!(room.status(1).role, Role::Looking);
}

#[test]
fn scenario_13_a_better_vote_may_come_while_the_election_settles() {
    let mut room = alone(2, 3);
    let one = room.link_to(1, ELECTION);
    room.vote(1, one, Looking, (2, 0, 0, 1));
    room.run(ms(100));
    assert_eq!(room.status(2).role, Role::Looking, "it waits for 3");
    let three = room.open(3, 2);
    room.vote(3, three, Looking, (3, 0, 0, 1));
    room.run(ms(300));
    let status = room.status(2);
    assert_eq!((status.role, status.leader), (Role::Following, Some(base::NodeId(3))));
}

/// A real observer 3 among participants 1 and 2 that the test plays, and its links to them.
fn observing() -> (Room, [broadcast::LinkId; 2]) {
    let mut room = Room::empty(&ensemble_text(2, 1));
    [1, 2].into_iter().for_each(|id| room.play(id));
    room.start_all();
    room.flow();
    let links = [1, 2].map(|id| room.link_to(id, ELECTION));
    (room, links)
}

#[test]
fn who_has_no_vote_is_in_the_round_of_the_voters_also_if_that_is_an_earlier_one() {
    let (mut room, [one, two]) = observing();
    room.vote(1, one, Looking, (1, 0, 0, 7));
    assert_eq!(room.votes(1, one).last(), Some(&(Looking, 1, 7)));
    room.hang_up(1, one);
    room.vote(2, two, Looking, (2, 0, 0, 4));
    room.run(NOTIFY_MIN);
    assert_eq!(room.votes(2, two).last(), Some(&(Looking, 2, 4)), "and says what they say");
    room.run(ms(10));
    let one = room.link_to(1, ELECTION);
    room.vote(1, one, Looking, (2, 0, 0, 4));
    room.run(ms(300));
    assert_eq!((room.status(3).role, room.marks(3).round), (Role::Observing, 4));
}

#[test]
fn who_has_no_vote_is_not_dragged_to_and_fro_by_voters_that_do_not_hear_each_other() {
    let (mut room, [one, two]) = observing();
    room.vote(1, one, Looking, (1, 0, 0, 7));
    let before = room.votes(1, one).len();
    for _ in 0..20 {
        room.vote(2, two, Looking, (2, 0, 0, 4));
        room.vote(1, one, Looking, (1, 0, 0, 7));
    }
    assert_eq!(room.votes(1, one).len(), before, "nothing new is to be said");
    room.vote(2, two, Looking, (2, 0, 0, 4));
    room.run(NOTIFY_MIN);
    assert_eq!(room.marks(3).round, 7, "1 is there still");
    room.vote(1, one, Following, (2, 0, 0, 4));
    room.vote(2, two, Looking, (2, 0, 0, 5));
    room.run(NOTIFY_MIN);
    assert_eq!(room.votes(2, two).last(), Some(&(Looking, 2, 5)), "1 looks no more");
}

/// Each hears from the other where it was.
#[test]
fn two_without_a_vote_do_not_follow_each_other_to_and_fro() {
    let mut room = Room::empty(&ensemble_text(5, 0));
    [3, 4, 5].into_iter().for_each(|id| room.play(id));
    room.start_all();
    for id in [1, 2] {
        room.lose_disk(id);
        room.restart(id);
    }
    room.run(ms(100));
    room.hold(1, 2, ELECTION);
    room.hold(2, 1, ELECTION);
    for (id, round) in [(1, 17), (2, 16)] {
        let link = room.open(3, id);
        room.vote(3, link, Looking, (3, 0, 0, round));
        assert_eq!(room.marks(id).round, round);
        room.part(3, id);
    }
    room.release(1, 2, ELECTION);
    room.release(2, 1, ELECTION);
    room.run(NOTIFY_MIN);
    assert_eq!([1, 2].map(|id| room.marks(id).round), [17, 17]);
}

/// Each takes the other's answer for a question if neither has a vote for the other.
#[test]
fn who_looks_answers_one_without_a_vote_only_now_and_then() {
    let (mut room, _) = observing();
    room.play(4);
    let four = room.open(4, 3);
    let ask = |room: &mut Room| {
        (0..20).for_each(|_| room.vote(4, four, Looking, (4, 0, 0, 1)));
        room.votes(4, four).len()
    };
    assert_eq!(ask(&mut room), 1);
    room.run(ms(200));
    assert_eq!(ask(&mut room), 2, "it may have asked anew");
}

#[test]
fn who_has_a_vote_goes_back_to_no_earlier_round() {
    let mut room = alone(3, 5);
    let [one, two] = [1, 2].map(|id| room.link_to(id, ELECTION));
    room.vote(1, one, Looking, (1, 0, 0, 7));
    assert_eq!(room.votes(1, one).last(), Some(&(Looking, 3, 7)));
    room.hang_up(1, one);
    room.vote(2, two, Looking, (2, 0, 0, 4));
    assert_eq!(room.votes(2, two).last(), Some(&(Looking, 3, 7)));
}

#[test]
fn an_uninitialised_member_does_not_count() {
    let mut room = alone(3, 3);
    let one = room.link_to(1, ELECTION);
    room.vote(1, one, Looking, (3, 0, -1, 1));
    room.run(ms(500));
    assert_eq!(room.status(3).role, Role::Looking);
}

#[test]
fn an_election_is_over_at_once_when_everybody_agrees_or_is_out_of_reach() {
    let mut room = Room::of(3);
    room.run(ms(10));
    assert_eq!(room.leader(), Some(3), "all agree");
    let mut room = Room::empty(&ensemble_text(3, 0));
    room.restart(1);
    room.restart(2);
    room.run(ms(10));
    assert_eq!(room.leader(), Some(2), "3 refuses connections");
}

/// 1 and 3 still say what they said to it before its disk was lost.
#[test]
fn who_lost_its_disk_is_not_elected_for_what_it_had() {
    let mut room = Room::of(3);
    room.run(ms(10));
    room.crash(1);
    room.crash(3);
    room.lose_disk(2);
    room.restart(2);
    for id in [1, 3] {
        room.play(id);
    }
    for state in [Looking, Following] {
        for id in [1, 3] {
            let link = room.open(id, 2);
            room.vote(id, link, state, (2, 1, 0x1_0000_0005, 7));
        }
        room.run(ms(1_000));
        assert_eq!(room.status(2).role, Role::Looking, "{state:?}");
    }
}

/// The port of a process that is ending may still take a connection: nobody will call back.
#[test]
fn who_was_lost_and_only_takes_a_call_is_not_waited_for() {
    let mut room = alone(1, 3);
    let (two, three) = (room.open(2, 1), room.open(3, 1));
    room.hang_up(3, three);
    room.vote(2, two, Looking, (2, 0, 0, 1));
    room.run(ms(10));
    assert_eq!(room.status(1).role, Role::Following);
}

#[test]
fn scenario_67_a_bridge_between_two_halves_finds_a_leader() {
    let mut room = Room::empty(&ensemble_text(5, 0));
    for (a, b) in [(1, 4), (1, 5), (2, 4), (2, 5)] {
        room.part(a, b); // 3 reaches all
    }
    room.start_all();
    room.until("there is a leader", |room| room.leader().is_some());
}

#[test]
fn scenario_23_members_without_weight_neither_lead_nor_count() {
    let text = "server.1=m1:2888:3888\nserver.2=m2:2888:3888\nserver.3=m3:2888:3888\n\
                group.1=1:2:3\nweight.1=1\nweight.2=1\nweight.3=0\n";
    let mut room = Room::empty(text);
    room.restart(1);
    room.restart(3);
    room.settle();
    assert_eq!(room.leader(), None, "3 has no weight");
    room.restart(2);
    assert_eq!(room.elect(), 2, "of those with weight");
    room.crash(1);
    room.settle();
    assert_eq!(room.leader(), None);
}

#[test]
fn scenario_23_a_quorum_of_groups_is_enough_and_needed() {
    let mut text = ensemble_text(9, 0);
    text.push_str("group.1=1:2:3\ngroup.2=4:5:6\ngroup.3=7:8:9\n");
    (1..=9).for_each(|id| text.push_str(&format!("weight.{id}=1\n")));
    let mut room = Room::empty(&text);
    [1, 2, 4].into_iter().for_each(|id| room.restart(id));
    room.settle();
    assert_eq!(room.leader(), None, "one group only");
    room.restart(5);
    assert_eq!(room.elect(), 5, "two groups of three, four members of nine");
    room.propose(5, &["a"]);
    room.all_have(&["a"]);
    room.crash(4);
    room.settle();
    assert_eq!(room.leader(), None);
}
