//! Logs that begin with a state from elsewhere: whose are one, and whose must not meet.

use super::room::{CLUSTER, Room, item, members, ms};
use crate::frames::{Message, VERSION};
use base::{NodeId, Zxid};
use broadcast::Base;

/// The place that a log of another engine ended at: its fifth entry of epoch 3.
const AT: Zxid = Zxid(3 << 32 | 5);
const HISTORY: u64 = 1 << 63 | 7;

/// Members whose logs begin with the state at a place, each as a history.
fn moved(begins: &[(u64, Zxid, u64)]) -> Room {
    let mut room = Room::empty(&[1, 2, 3], &[]);
    for (id, at, history) in begins {
        let mut configuration = Vec::new();
        members(&[1, 2, 3], &[]).encode(&mut configuration);
        let (index, period) = (at.0.cast_unsigned(), 3);
        let base = Base { index, period, at: *at, configuration: configuration.into() };
        let state = vec![(*at, item("moved"))];
        room.disks.entry(*id).or_default().begin(base, *history, state);
    }
    let strangers = begins.iter().filter(|(_, _, history)| *history != HISTORY);
    room.strangers = strangers.map(|(id, ..)| *id).collect();
    (1..=3).for_each(|id| room.start(id));
    room
}

fn refusals(room: &Room, id: u64) -> Vec<&str> {
    let reasons = room.members[&id].events.iter().filter_map(|event| {
        let trace::Ensemble::LinkRefused { reason, .. } = event else { return None };
        Some(reason.as_str())
    });
    reasons.collect()
}

#[test]
fn the_order_goes_on_behind_a_state_from_elsewhere() {
    let mut room = moved(&[(1, AT, HISTORY), (2, AT, HISTORY), (3, AT, HISTORY)]);
    let leader = room.elect();
    assert!(room.status(leader).term > 3);
    for text in ["a", "b", "c"] {
        room.propose(leader, &[text]);
    }
    room.assert_all(&["moved", "a", "b", "c"]);
    assert_eq!(room.order().last().map(|(at, _)| *at), Some(Zxid(AT.0 + 3)));
    (1..=3).for_each(|id| room.restart(id));
    let leader = room.elect();
    room.propose(leader, &["d"]);
    room.assert_all(&["moved", "a", "b", "c", "d"]);
}

#[test]
fn members_that_began_with_other_states_do_not_count_each_other() {
    for (at, history) in [(Zxid(AT.0 + 2), HISTORY + 1), (AT, HISTORY + 1), (Zxid(9), HISTORY + 2)]
    {
        let mut room = moved(&[(1, AT, HISTORY), (2, AT, HISTORY), (3, at, history)]);
        room.until("one of two leads", |room| room.primary().is_some());
        let leader = room.primary().expect("one leads");
        assert!(leader != 3, "a quorum is of one history");
        room.propose(leader, &["a", "b", "c"]);
        room.run(ms(5_000));
        assert_eq!(room.state(3 - leader), ["moved", "a", "b", "c"]);
        assert_eq!(room.state(3), ["moved"], "nothing of another history is applied");
        for id in 1..=3 {
            let told = refusals(&room, id);
            assert!(
                told.iter().any(|reason| reason.contains("began with another state")),
                "{told:?}"
            );
        }
        // With the other one alone there is no quorum, however late its log.
        room.crash(leader);
        room.run(ms(5_000));
        assert_eq!(room.primary(), None);
    }
}

#[test]
fn who_began_with_nothing_is_not_of_a_history_from_elsewhere() {
    let mut room = moved(&[(1, AT, HISTORY), (2, AT, HISTORY), (3, AT, HISTORY)]);
    room.play(9);
    let (version, cluster, history) = (VERSION, CLUSTER, 1);
    let (from, to) = (NodeId(9), NodeId(1));
    let link = room.dial_silently(9, 1);
    room.say(9, link, &Message::Hello { version, cluster, history, from, to });
    assert_eq!(room.heard(9, link), None, "the connection is closed");
}

#[test]
fn who_has_no_log_takes_the_history_of_its_leaders_state() {
    let mut room = moved(&[(1, AT, HISTORY), (2, AT, HISTORY)]);
    room.elect_one(1);
    room.propose(1, &["a"]);
    room.run(ms(1_000));
    assert_eq!(room.state(3), ["moved", "a"]);
    assert_eq!(room.members[&3].engine.core.history(), HISTORY);
    room.restart(3);
    assert_eq!(room.members[&3].engine.core.history(), HISTORY, "for good");
    room.propose(1, &["b"]);
    room.run(ms(1_000));
    room.assert_all(&["moved", "a", "b"]);
}
