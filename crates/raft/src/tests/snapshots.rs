//! States in place of logs.

use super::room::{Room, is_state, ms};
use crate::{Replication, Role};
use base::NodeId;

/// Three members that keep one delivered entry, and 3 has missed nine.
fn behind() -> Room {
    let mut room = Room::empty(&[1, 2, 3], &[]);
    room.setup.limits.recent_entries = 1;
    (1..=3).for_each(|id| room.start(id));
    room.elect_one(1);
    room.propose(1, &["a"]);
    room.crash(3);
    for n in 0..9 {
        room.propose(1, &[&format!("{n}")]);
    }
    room
}

fn states_sent(room: &Room, id: u64) -> usize {
    room.members[&id].events.iter().filter(|event| is_state(event)).count()
}

#[test]
fn scenarios_61_68_who_is_too_far_behind_gets_the_state_and_then_the_tail() {
    let mut room = behind();
    room.start(3);
    room.run(ms(1_000));
    assert_eq!(states_sent(&room, 1), 1);
    assert_eq!(room.state(3).len(), 10);
    room.propose(1, &["z"]);
    assert_eq!(room.state(3).len(), 11);
    assert_eq!(room.status(1).followers[&NodeId(3)].1, Replication::Replicate);
}

#[test]
fn a_leader_tells_how_a_follower_comes_to_its_log_and_when_it_is_there() {
    let mut room = behind();
    let told = |room: &mut Room| -> Vec<String> {
        let is_of_3 = |line: &String| line.contains("a learner") && line.contains("peer=3");
        room.told(1).into_iter().filter(is_of_3).collect()
    };
    told(&mut room);
    room.start(3);
    room.hold_disk(3);
    room.run(ms(500));
    assert_eq!(told(&mut room), ["synchronizing a learner peer=3 method=SNAP from=0x0 upto=0xa"]);
    room.release_disk(3);
    room.run(ms(500));
    assert_eq!(told(&mut room), ["a learner has joined peer=3"]);
    room.restart(3);
    room.run(ms(500));
    let [lost, synced, joined] = &told(&mut room)[..] else { panic!("three things happen") };
    assert!(lost.starts_with("a learner is lost peer=3"), "{lost}");
    assert_eq!(synced, "synchronizing a learner peer=3 method=DIFF from=0xa upto=0xa");
    assert_eq!(joined, "a learner has joined peer=3");
}

#[test]
fn scenario_63_nothing_is_sent_while_the_state_is_on_its_way() {
    let mut room = behind();
    room.start(3);
    room.hold_disk(3);
    room.run(ms(5_000));
    let state = |room: &Room| room.status(1).followers[&NodeId(3)].1;
    assert!(matches!(state(&room), Replication::Snapshot(_)), "{:?}", state(&room));
    room.propose(1, &["z"]);
    assert_eq!(room.role(3), Role::Follower, "it does not stand for election meanwhile");
    room.release_disk(3);
    room.run(ms(300));
    assert_eq!(room.state(3).len(), 11);
}

#[test]
fn a_leader_with_one_follower_that_fetches_goes_on_leading() {
    let mut room = behind();
    room.start(3);
    room.hold_disk(3);
    room.flow();
    room.run(ms(300));
    room.crash(2);
    room.run(ms(5_000));
    assert_eq!(room.role(1), Role::Leader, "3 says that it is there");
    room.release_disk(3);
    room.propose(1, &["z"]);
    room.run(ms(300));
    assert_eq!(room.state(3).len(), 11);
}

#[test]
fn scenarios_69_72_a_crash_before_the_state_is_there_leaves_the_old_log() {
    let mut room = behind();
    room.start(3);
    room.hold_disk(3);
    room.run(ms(500));
    let pending = room.disks[&3].pending();
    assert!(pending > 0);
    room.crash_keeping(3, pending);
    room.start(3);
    room.run(ms(1_000));
    assert_eq!(room.state(3).len(), 10);
    room.checkpoint(3);
    room.restart(3);
    assert_eq!(room.state(3).len(), 10, "scenario 69: from the state alone");
    room.run(ms(1_000));
    room.propose(1, &["z"]);
    assert_eq!(room.state(3).len(), 11);
}

#[test]
fn scenario_66_a_state_that_is_not_needed_is_not_taken() {
    use crate::frames::Message;
    use base::Zxid;
    let mut room = Room::empty(&[1, 2, 3], &[]);
    [2, 3].into_iter().for_each(|id| room.play(id));
    room.start(1);
    let link = room.dial_as(2, 1);
    let entry = |at| {
        let item = crate::log::Payload::Item(super::room::item("x"));
        crate::log::Entry::new(1, Zxid(at), item)
    };
    let (prev_index, prev_term, commit) = (0, 0, 1);
    let entries = vec![entry(1), entry(2)];
    room.say(2, link, &Message::Append { term: 1, prev_index, prev_term, commit, entries });
    let configuration = super::room::members(&[1, 2, 3], &[]);
    let (index, index_term, at) = (2, 1, Zxid(2));
    let (term, history) = (1, 1);
    let message = Message::Snapshot { term, history, index, index_term, at, configuration };
    room.say(2, link, &message);
    assert_eq!(room.heard(2, link), None, "what follows cannot be read past");
    assert_eq!(room.status(1).committed, 2, "what is in the log is committed");
    assert_eq!(room.state(1).len(), 2);
}

#[test]
fn scenario_67_a_state_makes_a_learner_of_who_was_a_voter() {
    let mut room = behind();
    room.propose(1, &["members 1,2 3"]);
    room.run(ms(300));
    room.propose(1, &["y"]);
    room.start(3);
    room.run(ms(1_000));
    assert_eq!(states_sent(&room, 1), 1);
    assert_eq!(room.state(3).len(), 12);
    let learners: Vec<NodeId> = room.status(3).configuration.learners().collect();
    assert_eq!(learners, [NodeId(3)]);
    room.time_out(3);
    assert_eq!(room.role(3), Role::Follower, "it does not stand for election");
}

#[test]
fn scenario_67_who_is_no_member_any_more_gets_no_state() {
    let mut room = behind();
    room.propose(1, &["members 1,2 "]);
    room.run(ms(300));
    room.start(3);
    room.run(ms(5_000));
    assert_eq!((states_sent(&room, 1), room.state(3).len()), (0, 0));
    assert_eq!(room.primary(), Some(1), "and disturbs nobody");
}

#[test]
fn scenario_70_nothing_is_delivered_while_a_state_is_on_its_way() {
    let mut room = behind();
    room.start(3);
    room.hold_disk(3);
    room.run(ms(300));
    for n in 0..5 {
        room.propose(1, &[&format!("later {n}")]);
    }
    room.run(ms(1_000));
    assert_eq!(room.state(3).len(), 0);
    room.release_disk(3);
    room.run(ms(1_000));
    assert_eq!(room.state(3).len(), 15);
}

/// Whoever leads by now: what it sends would stand in front of the state.
#[test]
fn nothing_is_logged_behind_a_state_that_is_to_come() {
    use crate::frames::Message;
    use base::Zxid;
    let mut room = Room::empty(&[1, 2, 3], &[]);
    [2, 3].into_iter().for_each(|id| room.play(id));
    room.start(1);
    let entry = |term, at| {
        let item = crate::log::Payload::Item(super::room::item("x"));
        crate::log::Entry::new(term, Zxid(at), item)
    };
    let append = |term, prev_index, prev_term, entry| {
        let (commit, entries) = (0, vec![entry]);
        Message::Append { term, prev_index, prev_term, commit, entries }
    };
    let link = room.dial_as(2, 1);
    room.say(2, link, &append(1, 0, 0, entry(1, 1)));
    let configuration = super::room::members(&[1, 2, 3], &[]);
    let (index, index_term, at, history) = (9, 1, Zxid(9), 0);
    room.say(
        2,
        link,
        &Message::Snapshot { term: 1, history, index, index_term, at, configuration },
    );
    let other = room.dial_as(3, 1);
    room.say(3, other, &append(2, 1, 1, entry(2, 2)));
    assert_eq!((room.status(1).term, room.status(1).last_index), (2, 1));
}

#[test]
fn the_log_on_the_disk_is_cut_behind_a_checkpoint() {
    let mut room = Room::empty(&[1], &[]);
    room.setup.limits.recent_entries = 10;
    room.start(1);
    room.elect();
    for n in 0..100 {
        room.propose(1, &[&format!("{n}")]);
    }
    assert_eq!(room.disks[&1].slots(), 101);
    room.checkpoint(1);
    assert!(room.disks[&1].slots() < 25, "{}", room.disks[&1].slots());
    room.restart(1);
    room.elect();
    assert_eq!(room.state(1).len(), 100);
    room.propose(1, &["z"]);
    assert_eq!(room.state(1).len(), 101);
}
