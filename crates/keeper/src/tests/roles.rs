//! Sessions that move and end, and members that change their roles.

use super::ensemble::{Client, Ensemble};
use super::harness::{Got, create, request};
use super::{get, set};
use base::{SessionId, Time};
use wire::{ErrorCode, OpCode};

#[test]
fn a_session_goes_on_at_another_member_and_not_where_it_was() {
    for (from, to) in [(1, 2), (0, 1), (1, 0), (1, 1), (0, 0)] {
        let mut ensemble = Ensemble::new();
        let old = ensemble.session(from);
        ensemble.send(old, request(1, OpCode::Create, create("/e", b"", 1)));
        ensemble.run();
        ensemble.got(old);
        let new = ensemble.reconnect(old, to);
        ensemble.run();
        assert_eq!(ensemble[to].established(new.slot), (old.id, old.password), "{from} to {to}");
        assert!(ensemble.is_closed(old) || from != 0, "the primary knows at once");
        if !ensemble.is_closed(old) {
            ensemble.send(old, request(2, OpCode::SetData, set("/e", b"old")));
            ensemble.run();
        }
        assert_eq!(ensemble.got(old), [], "{from} to {to}");
        assert!(ensemble.is_closed(old), "{from} to {to}");
        ensemble.send(new, request(1, OpCode::GetData, get("/e", false)));
        ensemble.send(new, request(2, OpCode::SetData, set("/e", b"new")));
        ensemble.run();
        let got = ensemble[to].got(new.slot);
        assert_eq!(got.iter().map(Got::err).collect::<Vec<_>>(), [0, 0]);
        assert_eq!(got[0].data(), b"");
        ensemble.check_agreement();
    }
}

#[test]
fn what_a_session_wrote_elsewhere_answers_nothing_here() {
    let mut ensemble = Ensemble::new();
    let old = ensemble.session(1);
    ensemble.send(old, request(7, OpCode::Create, create("/old", b"", 0)));
    ensemble.carry_from(1);
    let new = ensemble.reconnect(old, 2);
    ensemble.carry_from(2);
    ensemble.receive(2);
    ensemble[2].established(new.slot);
    ensemble.send(new, request(1, OpCode::Create, create("/new", b"", 0)));
    ensemble.decide();
    ensemble.receive(2);
    assert!(ensemble[2].tree.find("/old").is_some());
    assert_eq!(ensemble.got(new), []);
    ensemble.run();
    assert_eq!((ensemble.got(new), ensemble.got(old)), (vec![(1, 0)], vec![(7, 0)]));
}

#[test]
fn a_session_whose_end_is_under_way_goes_on_nowhere() {
    let mut ensemble = Ensemble::new();
    let old = ensemble.session(1);
    ensemble.send(old, request(1, OpCode::CloseSession, |_| {}));
    ensemble.carry_from(1);
    let new = ensemble.reconnect(old, 2);
    ensemble.carry_from(2);
    ensemble.receive(2);
    assert!(ensemble[2].is_refused(new.slot));
    ensemble.run();
    assert_eq!(ensemble.got(old), [(1, 0)]);
}

#[test]
fn a_multi_of_a_session_that_moved_closes_the_connection() {
    let mut ensemble = Ensemble::new();
    let old = ensemble.session(1);
    let new = ensemble.reconnect(old, 2);
    ensemble.run();
    assert!(ensemble[2].established(new.slot).0 == old.id);
    let multi = super::harness::multi(&[("/m", 0)]);
    ensemble.send(old, request(1, OpCode::Multi, multi));
    ensemble.run();
    assert!(ensemble.is_closed(old) && ensemble[0].tree.find("/m").is_none());
    assert_eq!(ensemble.got(old), []);
    assert!(!ensemble.is_closed(new));
}

#[test]
fn a_session_that_is_over_or_has_another_password_is_refused_on_a_replica() {
    let mut ensemble = Ensemble::new();
    let client = ensemble.session(2);
    let thief = ensemble.reconnect(Client { password: [7; 16], ..client }, 1);
    assert!(ensemble[1].outgoing.is_empty(), "nobody is asked");
    assert!(ensemble[1].is_refused(thief.slot) && !ensemble.is_closed(client));
    ensemble.send(client, request(1, OpCode::CloseSession, |_| {}));
    ensemble.run();
    let late = ensemble.reconnect(client, 1);
    assert!(!ensemble.is_closed(late), "only the primary knows");
    ensemble.run();
    assert!(ensemble[1].is_refused(late.slot) && ensemble.is_closed(late));
}

#[test]
fn two_connections_that_ask_for_one_session_get_it_one_after_the_other() {
    let mut ensemble = Ensemble::new();
    let client = ensemble.session(1);
    let (first, second) = (ensemble.reconnect(client, 2), ensemble.reconnect(client, 2));
    ensemble.run();
    assert_eq!(ensemble[2].established(first.slot).0, client.id);
    assert_eq!(ensemble[2].established(second.slot).0, client.id);
    assert!(ensemble.is_closed(first) && !ensemble.is_closed(second));
}

#[test]
fn the_end_of_a_session_closes_its_connections_everywhere() {
    for end_at in 0..3 {
        let mut ensemble = Ensemble::new();
        let old = ensemble.session(1);
        ensemble.send(old, request(1, OpCode::Create, create("/e", b"", 1)));
        ensemble.run();
        ensemble.got(old);
        let new = ensemble.reconnect(old, end_at);
        ensemble.run();
        ensemble[end_at].established(new.slot);
        ensemble.send(new, request(2, OpCode::CloseSession, |_| {}));
        ensemble.run();
        assert_eq!(ensemble.got(new), [(2, 0)]);
        assert!(ensemble.is_closed(new) && ensemble.is_closed(old), "{end_at}");
        assert_eq!(ensemble.got(old), []);
        assert!((0..3).all(|of| ensemble[of].tree.find("/e").is_none()));
        ensemble.check_agreement();
    }
}

#[test]
fn sessions_live_by_what_replicas_have_heard() {
    let mut ensemble = Ensemble::new();
    let (silent, heard, left) = (ensemble.session(1), ensemble.session(1), ensemble.session(2));
    for client in [silent, heard, left] {
        let node = format!("/{:x}", client.id.0);
        ensemble.send(client, request(1, OpCode::Create, create(&node, b"", 1)));
    }
    ensemble.run();
    ensemble.pass_to(Time::from_millis(1));
    ensemble.heartbeat();
    ensemble.pass_to(Time::from_millis(5000));
    ensemble.send(heard, request(-2, OpCode::Ping, |_| {}));
    ensemble.send(left, request(-2, OpCode::Ping, |_| {}));
    ensemble[2].detach(left.slot);
    ensemble.heartbeat();
    for end in [9000, 12_000] {
        ensemble.pass_to(Time::from_millis(end));
        ensemble[0].expire();
        ensemble.run();
        assert!(ensemble.is_closed(silent), "its replica closes it when the order says so");
        let is_over = |client: Client| ensemble[0].tree.session_timeout(client.id).is_none();
        assert!(is_over(silent));
        assert_eq!(is_over(heard), end > 9000);
        assert_eq!(is_over(left), end > 9000, "a connection that is gone was heard before");
    }
    assert_eq!(ensemble[1].tree.ephemerals(silent.id).count(), 0);
    assert_eq!(ensemble[1].keeper.deadline(), None, "a replica ends nothing");
    ensemble.check_agreement();
}

#[test]
fn a_heartbeat_tells_only_of_those_who_were_heard_since_the_last() {
    let mut ensemble = Ensemble::new();
    let (a, b) = (ensemble.session(1), ensemble.session(1));
    assert_eq!(ensemble[1].heartbeat().len(), 24);
    ensemble.pass_to(Time::from_millis(1));
    assert_eq!(ensemble[1].heartbeat().len(), 24, "heard at the very moment of the last");
    ensemble.send(b, request(-2, OpCode::Ping, |_| {}));
    ensemble.pass_to(Time::from_millis(2));
    let mut expected = Vec::new();
    wire::quorum::put_touch(&mut expected, b.id.0, 6000);
    assert_eq!(ensemble[1].heartbeat(), expected);
    assert!(ensemble[1].heartbeat().is_empty() && ensemble[0].heartbeat().is_empty());
    ensemble.send(a, request(-2, OpCode::Ping, |_| {}));
    assert_eq!(ensemble[1].heartbeat().len(), 12);
}

#[test]
fn whoever_becomes_primary_gives_every_session_its_full_time() {
    let mut ensemble = Ensemble::new();
    let client = ensemble.session(1);
    ensemble.pass_to(Time::from_millis(8000));
    ensemble.elect(2);
    ensemble[2].expire();
    assert_eq!(ensemble[2].pending(), 0);
    ensemble.pass_to(Time::from_millis(14_999));
    ensemble[2].expire();
    assert_eq!(ensemble[2].pending(), 0);
    ensemble.pass_to(Time::from_millis(15_000));
    ensemble[2].expire();
    ensemble.run();
    assert_eq!(ensemble[0].tree.session_timeout(client.id), None);
    ensemble.check_agreement();
}

#[test]
fn what_is_under_way_when_a_role_ends_is_unknown_and_never_answered() {
    let mut ensemble = Ensemble::new();
    let clients = [ensemble.session(0), ensemble.session(1), ensemble.session(2)];
    let idle = ensemble.session(1);
    for client in clients {
        let node = format!("/{}", client.of);
        ensemble.send(client, request(1, OpCode::Create, create(&node, b"", 0)));
        ensemble.send(client, request(2, OpCode::Sync, |out| jute::put_string(out, "/")));
    }
    ensemble.carry_from(1);
    ensemble.decide(); // the primary's own is on its way, the first replica's is proposed
    assert_eq!(ensemble.got(clients[0]), [(1, 0)]);
    ensemble.elect(1);
    for client in clients.into_iter().chain([idle]) {
        assert!(ensemble.is_closed(client));
        assert_eq!(ensemble.got(client), []);
    }
    ensemble.check_agreement();
    let found = |path| ensemble[2].tree.find(path).is_some();
    assert!(found("/0") && !found("/1") && !found("/2"));
    for client in clients {
        let again = ensemble.reconnect(client, (client.of + 1) % 3);
        ensemble.run();
        ensemble[again.of].established(again.slot);
        let node = format!("/again{}", client.of);
        ensemble.send(again, request(1, OpCode::Create, create(&node, b"", 0)));
        ensemble.run();
        assert_eq!(ensemble.got(again), [(1, 0)]);
    }
    ensemble.check_agreement();
}

#[test]
fn apart_nobody_is_served() {
    let mut ensemble = Ensemble::new();
    let client = ensemble.session(1);
    ensemble.part();
    assert!(ensemble.is_closed(client));
    for (session, password) in [(SessionId::NONE, [0; 16]), (client.id, client.password)] {
        let slot = ensemble[1].accept();
        ensemble[1].connect(slot, session, &password);
        assert!(ensemble[1].closed(slot));
        assert_eq!(ensemble[1].got(slot), []);
    }
    assert!(ensemble[1].outgoing.is_empty() && ensemble[1].heartbeat().is_empty());
    assert_eq!(ensemble[1].keeper.deadline(), None);
}

#[test]
fn a_member_of_an_ensemble_whose_disk_fails_serves_nobody() {
    let mut ensemble = Ensemble::new();
    let (a, b) = (ensemble.session(0), ensemble.session(0));
    ensemble.send(a, request(1, OpCode::Create, create("/x", b"", 0)));
    ensemble[0].fail_disk();
    assert!(ensemble.is_closed(a) && ensemble.is_closed(b));
}

#[test]
fn what_is_delivered_apart_is_applied_and_answers_nobody() {
    let mut ensemble = Ensemble::new();
    let client = ensemble.session(1);
    ensemble.send(client, request(1, OpCode::Create, create("/x", b"", 0)));
    ensemble.carry_from(1);
    ensemble.decide();
    ensemble.part();
    assert!(ensemble[1].tree.find("/x").is_some());
    assert_eq!(ensemble.got(client), []);
    ensemble.check_agreement();
}

#[test]
fn a_late_request_of_a_session_that_ends_is_told_so() {
    let mut ensemble = Ensemble::new();
    let client = ensemble.session(1);
    ensemble.pass_to(Time::from_millis(60_000));
    ensemble[0].expire();
    ensemble.send(client, request(1, OpCode::Create, create("/x", b"", 0)));
    ensemble.carry_from(1);
    assert_eq!(ensemble[0].pending(), 2);
    ensemble.run();
    assert!(ensemble.is_closed(client) && ensemble[1].tree.find("/x").is_none());
    let again = ensemble.reconnect(client, 0);
    assert!(ensemble[0].is_refused(again.slot));
    assert_eq!(ErrorCode::SessionExpired.number(), -112);
}
