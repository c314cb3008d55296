//! Clients of replicas: what they write, read, watch and wait for.

use super::ensemble::Ensemble;
use super::harness::{self, Got, House, create, request};
use super::{get, path, set};
use base::SessionId;
use std::time::Duration;
use wire::{ErrorCode, EventType, OpCode};

fn delete(node: &str) -> impl FnOnce(&mut Vec<u8>) {
    move |out| {
        path(node)(out);
        jute::put_int(out, -1);
    }
}

fn set_acl(node: &str) -> impl FnOnce(&mut Vec<u8>) {
    move |out| {
        path(node)(out);
        jute::put_int(out, 1);
        jute::Encode::encode(&wire::Acl::open()[0], out);
        jute::put_int(out, -1);
    }
}

/// Requests of every kind, good and bad.
fn program() -> Vec<Vec<u8>> {
    let ttl = |out: &mut Vec<u8>| {
        create("/ttl", b"t", 5)(out);
        jute::put_long(out, 60_000);
    };
    vec![
        request(1, OpCode::Create, create("/a", b"one", 0)),
        request(2, OpCode::Create2, create("/a/e", b"two", 1)),
        request(3, OpCode::Create, create("/a/s-", b"", 2)),
        request(4, OpCode::CreateContainer, create("/c", b"", 4)),
        request(5, OpCode::CreateTtl, ttl),
        request(6, OpCode::SetData, set("/a", b"three")),
        request(7, OpCode::SetAcl, set_acl("/a")),
        request(8, OpCode::GetData, get("/a", false)),
        request(9, OpCode::Create, create("/a", b"", 0)),
        request(10, OpCode::Delete, delete("/a")),
        request(11, OpCode::Delete, delete("/none")),
        request(12, OpCode::SetData, |out: &mut Vec<u8>| out.push(7)),
        request(13, OpCode::Multi, harness::multi(&[("/m", 0), ("/m/s-", 2)])),
        request(14, OpCode::Multi, harness::multi(&[("/n", 0), ("/a", 0), ("/o", 0)])),
        request(15, OpCode::Multi, |out: &mut Vec<u8>| out.push(7)),
        request(16, OpCode::Sync, path("/a")),
        request(17, OpCode::Sync, |out: &mut Vec<u8>| out.push(7)),
        request(18, OpCode::Reconfig, |out: &mut Vec<u8>| out.extend_from_slice(&[0xff; 20])),
        request(19, OpCode::Create2, create("/a/e/no", b"", 0)),
        request(20, OpCode::GetChildren2, get("/a", false)),
        request(21, OpCode::Delete, delete("/a/s-0000000001")),
        request(22, OpCode::CloseSession, |_| {}),
    ]
}

#[test]
fn a_replica_answers_byte_for_byte_like_a_server_alone() {
    let mut house = House::with(|config| config.owners.extended_types = true);
    let alone = house.session();
    program().into_iter().for_each(|frame| house.send(alone, frame));
    house.deliver_all();
    let expected = house.frames(alone);
    assert_eq!(expected.len(), program().len());
    for of in 0..3 {
        for pipelined in [true, false] {
            let mut ensemble = Ensemble::with(|config| {
                config.owners.extended_types = true;
                config.server_id = 1;
            });
            let client = ensemble.session(of);
            for frame in program() {
                ensemble.send(client, frame);
                if !pipelined {
                    ensemble.run();
                }
            }
            ensemble.run();
            assert_eq!(ensemble[of].frames(client.slot), expected, "member {of}");
            assert!(ensemble.is_closed(client));
            assert!(ensemble[1].tree.find("/a/e").is_none());
            ensemble.check_agreement();
        }
    }
}

#[test]
fn a_session_of_a_replica_is_known_everywhere_and_has_its_id_from_there() {
    let mut ensemble = Ensemble::new();
    for of in 0..3 {
        let client = ensemble.session(of);
        assert_eq!(client.id.0 >> 56, of as i64 + 1);
        assert_eq!(client.password, crate::password(client.id));
        for house in 0..3 {
            assert_eq!(ensemble[house].tree.session_timeout(client.id), Some(6000));
            assert!(ensemble[house].keeper.expiry().is_open(client.id));
        }
    }
}

#[test]
fn reads_stand_between_the_writes_that_a_replica_forwarded() {
    let mut ensemble = Ensemble::new();
    let client = ensemble.session(1);
    ensemble.send(client, request(1, OpCode::Create, create("/x", b"one", 0)));
    ensemble.send(client, request(2, OpCode::GetData, get("/x", false)));
    ensemble.send(client, request(3, OpCode::SetData, set("/x", b"two")));
    ensemble.send(client, request(4, OpCode::GetData, get("/x", false)));
    ensemble.carry_from(1);
    ensemble.decide();
    ensemble.decide();
    assert_eq!(ensemble[1].got(client.slot), [], "decided is not yet applied here");
    ensemble.receive(1);
    let got = ensemble[1].got(client.slot);
    assert_eq!(got.iter().map(Got::xid).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(got[1].data(), b"one");
    ensemble.receive(1);
    let got = ensemble[1].got(client.slot);
    assert_eq!(got.iter().map(Got::xid).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(got[1].data(), b"two");
}

#[test]
fn a_sync_is_answered_when_all_that_was_proposed_before_is_here() {
    let mut ensemble = Ensemble::new();
    let (writer, reader) = (ensemble.session(0), ensemble.session(1));
    ensemble.send(writer, request(1, OpCode::Create, create("/x", b"", 0)));
    ensemble.send(reader, request(1, OpCode::Sync, path("/")));
    ensemble.send(reader, request(2, OpCode::Exists, get("/x", false)));
    ensemble.carry_from(1);
    ensemble.answer_read();
    assert!(ensemble.mail[1].is_empty(), "the primary has not applied it");
    ensemble.decide();
    ensemble.receive(1);
    assert_eq!(ensemble.got(reader), [], "the letter is behind what it tells of");
    ensemble.receive(1);
    assert_eq!(ensemble.got(reader), [(1, 0), (2, 0)]);
}

#[test]
fn a_sync_behind_a_write_waits_for_its_letter() {
    let mut ensemble = Ensemble::new();
    let client = ensemble.session(1);
    ensemble.send(client, request(1, OpCode::Create, create("/x", b"", 0)));
    ensemble.send(client, request(2, OpCode::Sync, path("/")));
    ensemble.carry_from(1);
    ensemble.decide();
    ensemble.receive(1);
    assert_eq!(ensemble.got(client), [(1, 0)]);
    ensemble.answer_read();
    ensemble.receive(1);
    assert_eq!(ensemble.got(client), [(2, 0)]);
}

#[test]
fn what_comes_behind_a_sync_answers_it_and_its_letter_counts_for_no_other() {
    let mut ensemble = Ensemble::new();
    let (a, b) = (ensemble.session(1), ensemble.session(1));
    ensemble.send(a, request(1, OpCode::Sync, path("/")));
    ensemble.send(a, request(2, OpCode::Exists, get("/x", false)));
    ensemble.send(a, request(3, OpCode::Create, create("/x", b"", 0)));
    ensemble.carry_from(1);
    ensemble.answer_read();
    ensemble.carry_from(1);
    ensemble.decide();
    // Another primary may send its letter late.
    ensemble.mail[1].swap(0, 1);
    ensemble.receive(1);
    let no_node = ErrorCode::NoNode.number();
    assert_eq!(ensemble.got(a), [(1, 0), (2, no_node), (3, 0)]);
    ensemble.send(b, request(1, OpCode::Sync, path("/")));
    ensemble.carry_from(1);
    ensemble.receive(1);
    assert_eq!(ensemble.got(b), [], "that was the first one's letter");
    ensemble.answer_read();
    ensemble.receive(1);
    assert_eq!(ensemble.got(b), [(1, 0)]);
    ensemble.run();
    ensemble.check_agreement();
}

#[test]
fn a_sync_of_the_primarys_client_waits_for_the_engine_and_for_its_turn() {
    let mut ensemble = Ensemble::new();
    let (a, b) = (ensemble.session(0), ensemble.session(0));
    ensemble.send(a, request(1, OpCode::Sync, path("/")));
    ensemble.send(a, request(2, OpCode::Exists, get("/x", false)));
    assert_eq!(ensemble.got(a), []);
    ensemble.answer_read();
    assert_eq!(ensemble.got(a), [(1, 0), (2, ErrorCode::NoNode.number())]);
    // In front of a write the read must not see that write.
    ensemble.send(a, request(3, OpCode::Sync, path("/")));
    ensemble.send(a, request(4, OpCode::Exists, get("/x", false)));
    ensemble.send(a, request(5, OpCode::Create, create("/x", b"", 0)));
    ensemble.send(b, request(1, OpCode::Sync, path("/")));
    ensemble.decide();
    assert_eq!(ensemble.got(a), [(3, 0), (4, ErrorCode::NoNode.number()), (5, 0)]);
    assert_eq!(ensemble.got(b), []);
    ensemble.answer_read();
    assert_eq!(ensemble.got(b), [], "that was the answer to the other");
    ensemble.answer_read();
    assert_eq!(ensemble.got(b), [(1, 0)]);
}

#[test]
fn a_watch_on_a_replica_fires_before_the_change_can_be_read_there() {
    let mut ensemble = Ensemble::new();
    let (watcher, writer) = (ensemble.session(1), ensemble.session(2));
    ensemble.send(watcher, request(1, OpCode::Exists, get("/x", true)));
    ensemble.got(watcher);
    ensemble.send(writer, request(1, OpCode::Create, create("/x", b"", 0)));
    ensemble.carry_from(2);
    ensemble.decide();
    ensemble.receive(2);
    assert_eq!(ensemble.got(writer), [(1, 0)]);
    ensemble.send(watcher, request(2, OpCode::Exists, get("/x", false)));
    assert_eq!(ensemble.got(watcher), [(2, ErrorCode::NoNode.number())], "not applied here");
    ensemble.receive(1);
    ensemble.send(watcher, request(3, OpCode::Exists, get("/x", false)));
    let got = ensemble[1].got(watcher.slot);
    assert_eq!(got[0].event(), Some((EventType::NodeCreated as i32, "/x".to_owned())));
    assert_eq!((got[1].xid(), got[1].err()), (3, 0));
}

#[test]
fn a_write_that_waited_too_long_is_not_forwarded_and_refused_in_its_turn() {
    let limit = Duration::from_millis(5);
    let mut ensemble = Ensemble::with(|config| config.throttled_op_wait = Some(limit));
    let client = ensemble.session(1);
    ensemble.send(client, request(1, OpCode::Create, create("/x", b"", 0)));
    ensemble[1].hold = true;
    ensemble.send(client, request(2, OpCode::Create, create("/y", b"", 0)));
    ensemble[1].now += Duration::from_millis(6);
    ensemble[1].hold = false;
    ensemble.send(client, request(3, OpCode::Create, create("/z", b"", 0)));
    ensemble.run();
    let throttled = ErrorCode::ThrottledOp.number();
    assert_eq!(ensemble.got(client), [(1, 0), (2, throttled), (3, 0)]);
    for ahead in [0, 1] {
        for xid in 0..ahead {
            ensemble.send(client, request(xid, OpCode::SetData, set("/x", b"")));
        }
        ensemble[1].hold = true;
        ensemble.send(client, request(4, OpCode::Create, create("/y", b"", 0)));
        ensemble[1].now += Duration::from_millis(6);
        ensemble[1].hold = false;
        ensemble.send(client, request(-2, OpCode::Ping, |_| {}));
        let expected = [(0, 0), (4, throttled), (-2, 0)];
        assert_eq!(ensemble[1].keeper.outstanding(), 2 * ahead as usize);
        ensemble.run();
        assert_eq!(ensemble.got(client), expected[1 - ahead as usize..]);
    }
    assert!(ensemble[0].tree.find("/y").is_none());
}

#[test]
fn identities_travel_with_the_request() {
    let mut ensemble = Ensemble::new();
    let (owner, other) = (ensemble.session(1), ensemble.session(2));
    let auth = |out: &mut Vec<u8>| {
        jute::put_int(out, 0);
        jute::put_string(out, "digest");
        jute::put_buffer(out, Some(b"me:secret"));
    };
    ensemble.send(owner, request(-4, OpCode::Auth, auth));
    let creator = wire::Acl { perms: wire::perms::ALL, id: wire::Id::new("auth", "") };
    let acl = std::slice::from_ref(&creator);
    ensemble.send(owner, request(1, OpCode::Create, harness::create_with("/mine", b"", 0, acl)));
    ensemble.run();
    ensemble.send(owner, request(2, OpCode::SetData, set("/mine", b"mine")));
    ensemble.send(other, request(1, OpCode::SetData, set("/mine", b"theirs")));
    ensemble.run();
    assert_eq!(ensemble.got(owner), [(-4, 0), (1, 0), (2, 0)]);
    assert_eq!(ensemble.got(other), [(1, ErrorCode::NoAuth.number())]);
}

#[test]
fn what_the_server_does_itself_answers_no_request_of_the_same_number() {
    let mut ensemble = Ensemble::new();
    let client = ensemble.session(1);
    ensemble.pass_to(base::Time::from_millis(60_000));
    ensemble.send(client, request(0, OpCode::Create, create("/x", b"", 0)));
    ensemble[0].expire();
    ensemble.decide();
    ensemble.receive(1);
    assert_eq!(ensemble.got(client), []);
    assert!(ensemble.is_closed(client), "its session has expired");
    ensemble.run();
    assert!(ensemble[1].tree.find("/x").is_none());
    assert_eq!(ensemble[1].tree.session_timeout(client.id), None);
    ensemble.check_agreement();
    assert_ne!(client.id, SessionId::NONE);
}

#[test]
fn a_connection_that_its_session_left_holds_back_no_write_for_when_that_returns() {
    let mut ensemble = Ensemble::new();
    let old = ensemble.session(1);
    ensemble.send(old, request(1, OpCode::Sync, path("/")));
    (2..70).for_each(|xid| ensemble.send(old, request(xid, OpCode::Exists, get("/", false))));
    ensemble.send(old, request(70, OpCode::Create, create("/late", b"", 0))); // behind the reads
    ensemble.carry_from(1);
    let elsewhere = ensemble.reconnect(old, 2);
    ensemble.carry_from(2);
    ensemble.receive(2);
    assert!(ensemble[2].is_renewed(elsewhere.slot));
    ensemble.send(elsewhere, request(71, OpCode::Create, create("/next", b"", 0)));
    ensemble.carry_from(2);
    let back = ensemble.reconnect(elsewhere, 1);
    assert!(ensemble.is_closed(old), "the session may be anywhere but here");
    ensemble.run();
    assert!(ensemble[1].is_renewed(back.slot));
    assert!(ensemble[0].tree.find("/next").is_some());
    assert!(ensemble[0].tree.find("/late").is_none(), "it would come behind what was later");
}

#[test]
fn a_session_that_asks_for_another_connection_writes_nothing_more_on_the_old_one() {
    let mut ensemble = Ensemble::new();
    let old = ensemble.session(1);
    ensemble[1].hold = true; // both are taken together
    let new = ensemble.reconnect(old, 1);
    ensemble.send(old, request(1, OpCode::Create, create("/late", b"", 0)));
    ensemble[1].hold = false;
    ensemble[1].accept();
    let other = ensemble.session(1);
    assert!(ensemble.is_closed(old) && !ensemble.is_closed(other));
    assert!(ensemble[1].is_renewed(new.slot));
    assert!(ensemble[0].tree.find("/late").is_none());
}
