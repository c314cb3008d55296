//! Leadership transfer.

use super::room::{Room, ms};
use crate::Role;
use base::NodeId;
use broadcast::{Input, View};

fn transfer(room: &mut Room, from: u64, to: u64) {
    room.give(from, Input::TransferRequested { to: NodeId(to) });
    room.flow();
}

#[test]
fn scenario_98_an_up_to_date_member_takes_over_at_once() {
    let mut room = Room::of(3);
    room.elect_one(1);
    room.propose(1, &["a"]);
    let began = room.now;
    transfer(&mut room, 1, 3);
    assert_eq!((room.primary(), room.now), (Some(3), began), "no time-out was needed");
    transfer(&mut room, 3, 1);
    assert_eq!(room.primary(), Some(1), "scenario 105: and back");
}

#[test]
fn scenarios_99_102_a_slow_member_is_brought_up_to_date_first() {
    let mut room = Room::of(3);
    room.elect_one(1);
    room.hold_disk(3);
    room.propose(1, &["a", "b"]);
    transfer(&mut room, 1, 3);
    assert_eq!(room.role(1), Role::Leader);
    assert_eq!(room.members[&1].view, View::Apart, "nothing is proposed meanwhile");
    room.release_disk(3);
    assert_eq!(room.primary(), Some(3));
    assert_eq!(room.state(3), ["a", "b"]);
}

#[test]
fn scenario_100_to_itself_a_stranger_or_a_learner_is_nothing() {
    let mut room = Room::empty(&[1, 2], &[3]);
    (1..=3).for_each(|id| room.start(id));
    room.elect_one(1);
    for to in [1, 3, 9] {
        transfer(&mut room, 1, to);
        assert_eq!(room.primary(), Some(1));
    }
}

#[test]
fn scenario_101_a_target_that_does_not_take_over_is_given_up() {
    let mut room = Room::of(3);
    room.elect_one(1);
    room.isolate(3);
    transfer(&mut room, 1, 3);
    assert_eq!(room.primary(), None);
    room.run(ms(1_100));
    assert_eq!(room.primary(), Some(1), "after an election timeout");
    room.run(ms(500)); // connections were ended with it, so that nobody waits for lost letters
    room.propose(1, &["a"]);
    assert_eq!(room.state(2), ["a"]);
    transfer(&mut room, 1, 3);
    transfer(&mut room, 1, 2);
    assert_eq!(room.primary(), Some(2), "scenario 105: another target replaces the first");
}

#[test]
fn scenario_103_a_later_term_ends_a_transfer() {
    let mut room = Room::empty(&[1, 2, 3], &[]);
    (room.setup.pre_vote, room.setup.check_quorum) = (false, false);
    (1..=3).for_each(|id| room.start(id));
    room.elect_one(1);
    room.hold_disk(3);
    room.propose(1, &["a"]);
    transfer(&mut room, 1, 3);
    room.time_out(2);
    room.flow();
    assert_eq!(room.primary(), Some(2));
    room.release_disk(3);
    room.run(ms(3_000));
    assert_eq!(room.state(3), ["a"]);
}

#[test]
fn scenario_104_who_is_about_to_lose_its_vote_is_no_target() {
    let mut room = Room::of(3);
    room.elect_one(1);
    [2, 3].into_iter().for_each(|id| room.hold_disk(id));
    room.propose(1, &["members 1,2 "]);
    assert!(room.status(1).configuration.is_voter(NodeId(3)), "until the change ends");
    transfer(&mut room, 1, 3);
    assert_eq!(room.primary(), Some(1));
    room.release_disk(2);
    transfer(&mut room, 1, 2);
    assert_eq!(room.primary(), Some(2));
}

#[test]
fn scenario_106_who_is_no_member_does_not_stand() {
    use crate::frames::Message;
    let mut room = Room::empty(&[2, 3], &[]);
    [2, 3].into_iter().for_each(|id| room.play(id));
    room.start(1);
    let link = room.dial_as(2, 1);
    room.say(2, link, &Message::TimeoutNow { term: 1 });
    assert_eq!(room.role(1), Role::Follower);
}
