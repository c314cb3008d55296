//! A member that finds no quorum for long: who is served, and what.

use super::ensemble::Ensemble;
use super::harness::{Got, create, request};
use super::{get, set};
use crate::{Access, LocalSessions};
use base::{SessionId, Time};
use std::time::Duration;
use wire::{ErrorCode, OpCode};

const AFTER: Duration = Duration::from_secs(3);
const NOT_READ_ONLY: i32 = ErrorCode::NotReadOnly.number();

/// Members that have parted at 0 s, one of which looks for the others.
fn parted() -> Ensemble {
    let mut ensemble = Ensemble::with(|config| config.read_only_after = Some(AFTER));
    let client = ensemble.session(0);
    ensemble.send(client, request(1, OpCode::Create, create("/x", b"old", 0)));
    ensemble.run();
    ensemble.part();
    ensemble[1].keeper.looks_for_others(Time::ZERO);
    ensemble
}

/// Member 1 of such an ensemble in read-only mode.
fn read_only() -> Ensemble {
    let mut ensemble = parted();
    assert_eq!(ensemble[1].keeper.deadline(), Some(Time::ZERO + AFTER));
    ensemble.pass_to(Time::ZERO + AFTER);
    ensemble[1].expire();
    assert!(ensemble[1].keeper.is_read_only());
    ensemble
}

fn open(ensemble: &mut Ensemble) -> (usize, SessionId, [u8; 16]) {
    let slot = ensemble[1].accept();
    ensemble[1].connect_with(slot, SessionId::NONE, &[0; 16], Some(true));
    let (id, password) = ensemble[1].established_with(slot, Access::ReadOnly);
    (slot, id, password)
}

#[test]
fn it_begins_when_no_others_are_found_for_long() {
    let mut ensemble = parted();
    ensemble.pass_to(Time::from_millis(2999));
    ensemble[1].expire();
    assert!(!ensemble[1].keeper.is_read_only());
    let slot = ensemble[1].accept();
    ensemble[1].connect_with(slot, SessionId::NONE, &[0; 16], Some(true));
    assert!(ensemble[1].closed(slot), "too early");
    // Found for a moment, and lost again: the time begins anew.
    ensemble[1].keeper.has_found_others();
    assert_eq!(ensemble[1].keeper.deadline(), None);
    let now = ensemble[1].now;
    ensemble[1].keeper.looks_for_others(now);
    ensemble[1].keeper.looks_for_others(now + AFTER);
    ensemble.pass_to(Time::from_millis(5999));
    ensemble[1].expire();
    assert!(ensemble[1].keeper.is_read_only());
    ensemble[0].expire();
    assert!(!ensemble[0].keeper.is_read_only(), "it does not look for others");
    let mut never = Ensemble::new();
    never.part();
    never[1].keeper.looks_for_others(Time::ZERO);
    assert_eq!(never[1].keeper.deadline(), None);
}

#[test]
fn who_does_not_ask_for_it_is_sent_away_without_a_word() {
    let mut ensemble = read_only();
    for wants in [Some(false), None] {
        for session in [SessionId::NONE, SessionId(77)] {
            let slot = ensemble[1].accept();
            ensemble[1].connect_with(slot, session, &[0; 16], wants);
            assert!(ensemble[1].closed(slot));
            assert_eq!(ensemble[1].got(slot), []);
        }
    }
}

#[test]
fn reads_are_served_and_nothing_else() {
    let mut ensemble = read_only();
    let (slot, ..) = open(&mut ensemble);
    let house = &mut ensemble[1];
    house.send(slot, request(1, OpCode::GetData, get("/x", true)));
    let writes = [
        OpCode::Create,
        OpCode::Create2,
        OpCode::CreateContainer,
        OpCode::CreateTtl,
        OpCode::Delete,
        OpCode::SetData,
        OpCode::SetAcl,
        OpCode::Multi,
        OpCode::Reconfig,
        OpCode::Sync,
    ];
    for op in writes {
        house.send(slot, request(2, op, set("/x", b"new")));
    }
    house.send(slot, request(-2, OpCode::Ping, |_| {}));
    house.send(slot, request(3, OpCode::GetData, get("/x", false)));
    let got = house.got(slot);
    assert_eq!((got[0].xid(), got[0].data()), (1, &b"old"[..]));
    for (reply, op) in got[1..].iter().zip(writes) {
        assert_eq!((reply.xid(), reply.err(), reply.body()), (2, NOT_READ_ONLY, &[][..]), "{op:?}");
    }
    let rest: Vec<i32> = got[1 + writes.len()..].iter().map(Got::xid).collect();
    assert_eq!(rest, [-2, 3]);
    assert!(house.outgoing.is_empty() && house.pending() == 0 && house.watches.count() == 1);
}

#[test]
fn its_sessions_are_its_own() {
    let mut ensemble = read_only();
    let (first, id, password) = open(&mut ensemble);
    assert_eq!((id.0 >> 56, password), (2, crate::password(id)));
    let house = &mut ensemble[1];
    let again = house.accept();
    house.connect_with(again, id, &password, Some(true));
    assert_eq!(house.established_with(again, Access::ReadOnly).0, id);
    assert!(house.closed(first));
    for (session, given) in [(id, [7; 16]), (SessionId(77), crate::password(SessionId(77)))] {
        let slot = house.accept();
        house.connect_with(slot, session, &given, Some(true));
        assert!(house.is_refused_with(slot, Access::ReadOnly) && house.closed(slot));
    }
    house.send(again, request(1, OpCode::CloseSession, |_| {}));
    assert_eq!(
        house.got(again).iter().map(|got| (got.xid(), got.err())).collect::<Vec<_>>(),
        [(1, 0)]
    );
    assert!(house.closed(again) && house.keeper.local_sessions().is_empty());
    let (silent, ..) = open(&mut ensemble);
    let end = ensemble[1].now + Duration::from_secs(9);
    ensemble.pass_to(end);
    ensemble[1].expire();
    ensemble[1].answer_ready();
    assert!(ensemble[1].closed(silent) && ensemble[1].keeper.local_sessions().is_empty());
}

#[test]
fn a_session_of_the_ensemble_is_not_taken_up() {
    let mut ensemble = Ensemble::with(|config| config.read_only_after = Some(AFTER));
    let client = ensemble.session(1);
    ensemble.part();
    ensemble[1].keeper.looks_for_others(Time::ZERO);
    ensemble.pass_to(Time::ZERO + AFTER);
    ensemble[1].expire();
    let slot = ensemble[1].accept();
    ensemble[1].connect_with(slot, client.id, &client.password, Some(true));
    assert!(ensemble[1].closed(slot), "it lives on elsewhere: this must not look like its end");
    assert_eq!(ensemble[1].got(slot), []);
}

#[test]
fn it_ends_with_all_connections_as_soon_as_others_are_found() {
    for locals in [LocalSessions::Off, LocalSessions::Upgradable] {
        let mut ensemble = Ensemble::with(|config| {
            config.read_only_after = Some(AFTER);
            config.local_sessions = locals;
        });
        ensemble.part();
        ensemble[1].keeper.looks_for_others(Time::ZERO);
        ensemble.pass_to(Time::ZERO + AFTER);
        ensemble[1].expire();
        let (slot, id, password) = open(&mut ensemble);
        ensemble[1].keeper.has_found_others();
        ensemble[1].answer_ready();
        assert!(ensemble[1].closed(slot) && !ensemble[1].keeper.is_read_only());
        assert_eq!(ensemble[1].keeper.deadline(), None);
        ensemble.elect(1);
        let again = ensemble[1].accept();
        ensemble[1].connect_with(again, id, &password, Some(true));
        assert!(ensemble[1].is_refused(again), "it ended with the mode");
        let fresh = ensemble[1].accept();
        ensemble[1].connect_with(fresh, SessionId::NONE, &[0; 16], Some(true));
        ensemble.run();
        ensemble[1].established(fresh);
        ensemble[1].send(fresh, request(1, OpCode::Create, create("/y", b"", 0)));
        ensemble.run();
        assert_eq!(ensemble[1].got(fresh)[0].err(), 0);
    }
}

#[test]
fn nobody_gets_a_weaker_read_than_asked_for() {
    let mut ensemble = read_only();
    let (slot, ..) = open(&mut ensemble);
    let house = &mut ensemble[1];
    house.send(slot, super::linearizable::auth("reads", b"linearizable"));
    assert_eq!(house.got(slot).len(), 1);
    house.send(slot, request(1, OpCode::GetData, get("/x", false)));
    assert!(house.closed(slot));
    assert_eq!(house.got(slot), []);
}
