//! Sessions that only one member knows: what they can do, what they cost, and how they become
//! everybody's.

use super::ensemble::{Client, Ensemble};
use super::harness::{self, create, request};
use super::{get, set};
use crate::{Letter, LocalSessions};
use base::{NodeId, SessionId, Time};
use bytes::Bytes;
use jute::Reader;
use wire::quorum::{ForwardedRequest, put_request};
use wire::{ErrorCode, OpCode};

const EPHEMERAL_ON_LOCAL: i32 = ErrorCode::EphemeralOnLocalSession.number();
const EXPIRED: i32 = ErrorCode::SessionExpired.number();

fn ensemble(locals: LocalSessions) -> Ensemble {
    Ensemble::with(|config| config.local_sessions = locals)
}

/// How much was ever ordered.
fn ordered(ensemble: &Ensemble) -> usize {
    assert_eq!(ensemble[0].pending(), 0);
    ensemble[0].order_length()
}

fn close(xid: i32) -> Vec<u8> {
    request(xid, OpCode::CloseSession, |_| {})
}

fn is_known(ensemble: &Ensemble, at: usize, session: SessionId) -> bool {
    let known = ensemble[at].tree.session_timeout(session).is_some();
    assert_eq!(known, ensemble[at].keeper.expiry().get(session).is_some());
    known
}

#[test]
fn a_local_session_takes_no_place_in_the_order() {
    let mut ensemble = ensemble(LocalSessions::Upgradable);
    for of in 0..3 {
        let before = ordered(&ensemble);
        let client = ensemble.session(of);
        assert_eq!(client.id.0 >> 56, of as i64 + 1);
        assert_eq!(client.password, crate::password(client.id));
        for at in 0..3 {
            assert!(!is_known(&ensemble, at, client.id));
            assert_eq!(ensemble[at].keeper.local_sessions().is_open(client.id), at == of);
        }
        ensemble.pass_to(Time::from_millis(of as u64 + 1));
        ensemble.send(client, request(-2, OpCode::Ping, |_| {}));
        assert!(ensemble[of].heartbeat().is_empty(), "only its own member keeps its time");
        ensemble.got(client);
        ensemble.send(client, close(1));
        ensemble.run();
        assert_eq!(ensemble.got(client), [(1, 0)]);
        assert!(ensemble.is_closed(client));
        assert!(ensemble[of].keeper.local_sessions().is_empty());
        assert_eq!(ordered(&ensemble), before);
    }
}

#[test]
fn a_local_session_reads_watches_writes_and_syncs() {
    for locals in [LocalSessions::Fixed, LocalSessions::Upgradable] {
        let mut ensemble = ensemble(locals);
        for of in 0..3 {
            let client = ensemble.session(of);
            let node = format!("/x{of}");
            ensemble.send(client, request(1, OpCode::Exists, get(&node, true)));
            assert_eq!(ensemble.got(client), [(1, ErrorCode::NoNode.number())]);
            ensemble.send(client, request(2, OpCode::Create, create(&node, b"", 0)));
            ensemble.send(client, request(3, OpCode::SetData, set(&node, b"new")));
            ensemble.send(client, request(4, OpCode::Create2, create(&node, b"", 2)));
            ensemble.send(client, request(5, OpCode::Multi, harness::multi(&[("/m", 0)])));
            ensemble.send(client, request(6, OpCode::Sync, |out| jute::put_string(out, "/")));
            ensemble.send(client, close(7));
            ensemble.run();
            let events_and_replies = ensemble.got(client);
            let expected = [(-1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0)];
            assert_eq!(events_and_replies, expected, "member {of}");
            assert!(!is_known(&ensemble, of, client.id));
            ensemble.check_agreement();
        }
    }
}

#[test]
fn an_ephemeral_node_makes_its_session_everybodys() {
    let multi =
        |path: &'static str| request(2, OpCode::Multi, harness::multi(&[("/p", 0), (path, 1)]));
    let single = |op, flags| move |path: &'static str| request(2, op, create(path, b"", flags));
    for of in 0..3 {
        let asked: [&dyn Fn(&'static str) -> Vec<u8>; 4] = [
            &single(OpCode::Create, 1),
            &single(OpCode::Create2, 1),
            &single(OpCode::Create, 3),
            &multi,
        ];
        for ask in asked {
            let mut ensemble = ensemble(LocalSessions::Upgradable);
            let client = ensemble.session(of);
            let before = ordered(&ensemble);
            ensemble.send(client, ask("/e"));
            ensemble.send(client, request(3, OpCode::Create, create("/f", b"", 1)));
            ensemble.run();
            assert_eq!(ensemble.got(client), [(2, 0), (3, 0)]);
            assert_eq!(ordered(&ensemble), before + 3, "one upgrade and two writes");
            for at in 0..3 {
                assert_eq!(ensemble[at].tree.session_timeout(client.id), Some(6000));
                assert_eq!(ensemble[at].tree.ephemerals(client.id).count(), 2);
                assert!(ensemble[at].keeper.local_sessions().is_empty());
            }
            if of > 0 {
                assert_eq!(ensemble[of].heartbeat().len(), 12, "the primary keeps its time now");
            }
            let moved = ensemble.reconnect(client, (of + 1) % 3);
            ensemble.run();
            let established = ensemble[moved.of].established(moved.slot);
            assert_eq!(established, (client.id, client.password));
            ensemble.send(moved, close(4));
            ensemble.run();
            assert_eq!(ensemble.got(moved), [(4, 0)]);
            assert!(ensemble[0].tree.find("/f").is_none());
            assert!(!is_known(&ensemble, of, client.id));
            ensemble.check_agreement();
        }
    }
}

#[test]
fn writes_before_and_behind_an_upgrade_keep_their_places() {
    for of in 0..3 {
        let mut ensemble = ensemble(LocalSessions::Upgradable);
        let client = ensemble.session(of);
        ensemble.send(client, request(1, OpCode::Create, create("/p", b"", 0)));
        ensemble.send(client, request(0, OpCode::Create, create("/e", b"", 1)));
        ensemble.send(client, request(3, OpCode::SetData, set("/e", b"new")));
        ensemble.send(client, close(4));
        ensemble.run();
        assert_eq!(ensemble.got(client), [(1, 0), (0, 0), (3, 0), (4, 0)], "member {of}");
        assert!(ensemble.is_closed(client) && ensemble[0].tree.find("/e").is_none());
        assert!(!is_known(&ensemble, of, client.id));
        ensemble.check_agreement();
    }
}

/// The results of a multi of one create that came as its only reply.
fn part_error(ensemble: &mut Ensemble, client: Client) -> i32 {
    let got = ensemble[client.of].got(client.slot);
    assert_eq!((got.len(), got[0].err()), (1, 0));
    let mut body = Reader::new(got[0].body());
    let (op, _, err) = (body.int().unwrap(), body.bool().unwrap(), body.int().unwrap());
    assert_eq!(op, OpCode::Error.number());
    err
}

#[test]
fn without_upgrades_a_local_session_has_no_ephemeral_nodes() {
    for of in 0..3 {
        let mut ensemble = ensemble(LocalSessions::Fixed);
        let client = ensemble.session(of);
        ensemble.send(client, request(1, OpCode::Create, create("/p", b"", 0)));
        ensemble.send(client, request(2, OpCode::Create, create("/e", b"", 1)));
        ensemble.send(client, request(3, OpCode::Create, create("/e", b"", 0)));
        ensemble.run();
        assert_eq!(ensemble.got(client), [(1, 0), (2, EPHEMERAL_ON_LOCAL), (3, 0)]);
        ensemble.send(client, request(4, OpCode::Multi, harness::multi(&[("/m", 1)])));
        ensemble.run();
        // As in the reference, the leader knows why only of its own clients.
        let expected = if of == 0 { EPHEMERAL_ON_LOCAL } else { EXPIRED };
        assert_eq!(part_error(&mut ensemble, client), expected);
        assert!(!is_known(&ensemble, of, client.id) && !ensemble.is_closed(client));
        ensemble.check_agreement();
    }
}

#[test]
fn a_local_session_goes_on_at_its_own_member_alone() {
    for (of, to) in [(0, 0), (1, 1), (0, 1), (1, 0), (1, 2)] {
        let mut ensemble = ensemble(LocalSessions::Upgradable);
        let client = ensemble.session(of);
        let thief = ensemble.reconnect(Client { password: [7; 16], ..client }, of);
        assert!(ensemble[of].is_refused(thief.slot) && !ensemble.is_closed(client));
        let again = ensemble.reconnect(client, to);
        ensemble.run();
        if of == to {
            assert_eq!(ensemble[to].established(again.slot), (client.id, client.password));
            assert!(ensemble.is_closed(client));
            ensemble.send(again, request(1, OpCode::Create, create("/e", b"", 1)));
            ensemble.run();
            assert_eq!(ensemble.got(again), [(1, 0)]);
            assert!(is_known(&ensemble, to, client.id));
        } else {
            assert!(ensemble[to].is_refused(again.slot), "{of} to {to}");
            assert!(!ensemble.is_closed(client));
        }
    }
}

#[test]
fn a_silent_local_session_is_ended_by_its_own_member() {
    for of in 0..3 {
        let mut ensemble = ensemble(LocalSessions::Upgradable);
        let (silent, heard, left) =
            (ensemble.session(of), ensemble.session(of), ensemble.session(of));
        ensemble.pass_to(Time::from_millis(5000));
        ensemble.send(heard, request(-2, OpCode::Ping, |_| {}));
        ensemble.send(left, request(-2, OpCode::Ping, |_| {}));
        ensemble[of].detach(left.slot);
        assert_eq!(ensemble[of].keeper.deadline(), Some(Time::from_millis(9000)));
        ensemble.pass_to(Time::from_millis(9000));
        let before = ordered(&ensemble);
        for at in 0..3 {
            ensemble[at].expire();
            ensemble[at].answer_ready();
        }
        assert!(ensemble.is_closed(silent) && !ensemble.is_closed(heard));
        let again = ensemble.reconnect(silent, of);
        ensemble.run();
        assert!(ensemble[of].is_refused(again.slot));
        let again = ensemble.reconnect(left, of);
        ensemble.run();
        assert_eq!(ensemble[of].established(again.slot).0, left.id, "heard of before it left");
        assert_eq!(ordered(&ensemble), before);
    }
}

#[test]
fn a_member_that_leaves_its_role_forgets_its_local_sessions() {
    let mut ensemble = ensemble(LocalSessions::Upgradable);
    let (local, upgraded) = (ensemble.session(1), ensemble.session(1));
    ensemble.send(upgraded, request(1, OpCode::Create, create("/e", b"", 1)));
    ensemble.run();
    ensemble.elect(1);
    assert!(ensemble.is_closed(local) && ensemble.is_closed(upgraded));
    let again = ensemble.reconnect(local, 1);
    assert!(ensemble[1].is_refused(again.slot));
    let again = ensemble.reconnect(upgraded, 1);
    assert_eq!(ensemble[1].established(again.slot).0, upgraded.id);
}

#[test]
fn an_upgrade_that_is_lost_with_its_primary_leaves_no_session() {
    let mut ensemble = ensemble(LocalSessions::Upgradable);
    let client = ensemble.session(1);
    ensemble.send(client, request(1, OpCode::Create, create("/e", b"", 1)));
    ensemble.elect(1);
    assert!(ensemble.is_closed(client) && ensemble[1].tree.find("/e").is_none());
    let again = ensemble.reconnect(client, 1);
    assert!(ensemble[1].is_refused(again.slot));
}

#[test]
fn a_primary_that_knows_of_no_local_sessions_refuses_their_writes() {
    let mut ensemble = Ensemble::with(|config| {
        if config.server_id > 1 {
            config.local_sessions = LocalSessions::Upgradable;
        }
    });
    let client = ensemble.session(1);
    ensemble.send(client, request(1, OpCode::Create, create("/p", b"", 0)));
    ensemble.send(client, request(2, OpCode::Create, create("/e", b"", 1)));
    ensemble.send(client, request(3, OpCode::Create, create("/p", b"", 0)));
    ensemble.run();
    assert_eq!(ensemble.got(client), [(1, EXPIRED), (2, 0), (3, 0)], "it is everybody's then");
}

#[test]
fn a_replica_speaks_for_local_sessions_but_not_for_the_primarys() {
    let mut ensemble = ensemble(LocalSessions::Upgradable);
    for (session, taken) in [(0x0200_0000_0000_0007, true), (0x0100_0000_0000_0007, false)] {
        assert_eq!(is_taken(&mut ensemble, session), taken);
    }
}

#[test]
fn nobody_speaks_for_a_session_that_all_knew_and_that_has_ended() {
    let mut ensemble = ensemble(LocalSessions::Upgradable);
    let client = ensemble.session(1);
    ensemble.send(client, request(1, OpCode::Create, create("/e", b"", 1)));
    ensemble.run();
    assert!(is_known(&ensemble, 0, client.id));
    ensemble.send(client, close(2));
    ensemble.run();
    assert!(!is_known(&ensemble, 0, client.id));
    assert!(!is_taken(&mut ensemble, client.id.0), "it was on its way for long");
}

/// Whether the primary makes a node that the second member asks for in the name of a session.
fn is_taken(ensemble: &mut Ensemble, session: i64) -> bool {
    let from = ensemble.link(1);
    let mut body = Vec::new();
    let path = format!("/of-{session:x}");
    create(&path, b"", 0)(&mut body);
    let op = OpCode::Create.number();
    let mut bytes = Vec::new();
    let request = ForwardedRequest { session_id: session, cxid: 1, op, body: &body };
    put_request(&mut bytes, &request, None);
    ensemble[0].forwarded(&[Letter { from, node: NodeId(1), bytes: Bytes::from(bytes) }]);
    ensemble.run();
    ensemble[0].tree.find(&path).is_some()
}
