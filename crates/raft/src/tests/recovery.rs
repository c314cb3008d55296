//! Starts on what is durable.

use super::room::{Room, ms};
use crate::{Config, Durable, Raft};
use base::{Lsn, NodeId, Rng, Time, Zxid};
use broadcast::{Input, SlotKind};

#[test]
fn a_whole_ensemble_that_is_restarted_has_all_that_was_acknowledged() {
    let mut room = Room::of(3);
    let leader = room.elect();
    room.propose(leader, &["a", "b"]);
    (1..=3).for_each(|id| room.restart(id));
    assert!(room.state(1).is_empty(), "nobody knows yet what is committed");
    let leader = room.elect();
    room.run(ms(500));
    room.assert_all(&["a", "b"]);
    room.propose(leader, &["c"]);
    room.assert_all(&["a", "b", "c"]);
}

#[test]
fn a_tail_that_was_not_synced_is_lost_and_comes_again() {
    let mut room = Room::of(3);
    room.elect_one(1);
    room.hold_disk(3);
    room.propose(1, &["a", "b"]);
    room.crash_keeping(3, 1);
    room.start(3);
    assert_eq!(room.status(3).last, Zxid(1));
    room.run(ms(1_000));
    room.assert_all(&["a", "b"]);
}

#[test]
fn scenario_114_completions_of_an_earlier_run_mean_nothing() {
    let mut room = Room::of(1);
    room.elect();
    room.restart(1);
    room.hold_disk(1);
    room.give(1, Input::Durable { upto: Lsn(0) });
    room.run(ms(5_000));
    assert_eq!(room.primary(), None, "its own vote is not durable in this run");
}

#[test]
fn who_lost_its_disk_votes_no_more() {
    let config = Config::new(NodeId(1), 1, super::room::members(&[1], &[]));
    let durable = Durable { is_lost: true, ..Durable::default() };
    let mut out = Vec::new();
    let raft = Raft::recover(config, durable, Rng::new(1), Time::ZERO, &mut out);
    let raft = raft.expect("there is nothing that could be wrong");
    assert!(!raft.may_campaign());
}

#[test]
fn a_log_that_cannot_be_gone_on_with_is_refused_with_its_reason() {
    let config = || Config::new(NodeId(1), 1, super::room::members(&[1], &[]));
    let recover = |durable| {
        let mut out = Vec::new();
        let raft = Raft::recover(config(), durable, Rng::new(1), Time::ZERO, &mut out);
        raft.err().map(|error| error.to_string()).unwrap_or_default()
    };
    let slot = |index, period| {
        let (at, kind, body) = (Zxid(0), SlotKind::Empty, bytes::Bytes::new());
        broadcast::Slot { index, period, at, kind, body }
    };
    let slots = vec![slot(1, 1), slot(3, 1)];
    assert!(recover(Durable { slots, term: 1, ..Durable::default() }).contains("slot 3 behind 1"));
    let slots = vec![slot(1, 4)];
    assert!(recover(Durable { slots, term: 1, ..Durable::default() }).contains("term 4"));
}

#[test]
fn a_pause_and_late_words_break_nothing() {
    let mut room = Room::of(3);
    room.elect_one(1);
    room.propose(1, &["a"]);
    room.pause(1);
    room.until("another one leads", |room| room.primary().is_some_and(|id| id != 1));
    let leader = room.primary().expect("it was seen");
    room.propose(leader, &["b"]);
    room.resume(1);
    room.elect();
    room.run(ms(1_000));
    room.assert_all(&["a", "b"]);
}
