//! Linearizable reads: what they wait for at the primary and at replicas, and what they show.

use super::ensemble::{Client, Ensemble, Mail};
use super::harness::{Got, House, create, frame, request};
use super::{get, path, set};
use base::Zxid;
use broadcast::ReadLevel;
use bytes::Bytes;
use jute::{Decode, Encode, Reader, put_int};
use wire::quorum::{ForwardedRequest, Packet, PacketKind};
use wire::{ErrorCode, EventType, OpCode, TxnHeader, xid};

/// addAuth.
pub(super) fn auth(scheme: &str, data: &[u8]) -> Vec<u8> {
    frame(xid::AUTH, OpCode::Auth.number(), |out| {
        put_int(out, 0);
        jute::put_string(out, scheme);
        jute::put_buffer(out, Some(data));
    })
}

/// A session that wants its reads so.
fn session(ensemble: &mut Ensemble, of: usize, reads: &str) -> Client {
    let client = ensemble.session(of);
    ensemble.send(client, auth("reads", reads.as_bytes()));
    assert_eq!(ensemble.got(client), [(xid::AUTH, 0)]);
    client
}

/// A node that all have, and a second version of it that only the primary has, acknowledged.
fn lagging() -> Ensemble {
    let mut ensemble = Ensemble::new();
    let writer = ensemble.session(0);
    ensemble.send(writer, request(1, OpCode::Create, create("/x", b"old", 0)));
    ensemble.run();
    ensemble.send(writer, request(2, OpCode::SetData, set("/x", b"new")));
    ensemble.decide();
    assert_eq!(ensemble.got(writer), [(1, 0), (2, 0)]);
    ensemble
}

fn data(got: &[Got]) -> Vec<&[u8]> {
    got.iter().map(Got::data).collect()
}

/// What the primary is asked, as packets.
fn asked(ensemble: &Ensemble, of: usize) -> Vec<i64> {
    let letters = &ensemble[of].outgoing.letters;
    let mut at = 0;
    let mut asked = Vec::new();
    while let Some(len) = wire::quorum::packet_len(&letters[at..], 1 << 20).unwrap() {
        let packet = Packet::decode(&letters[at..at + len]).unwrap();
        let request = ForwardedRequest::decode(&mut Reader::new(packet.data.unwrap())).unwrap();
        asked.push(request.session_id);
        at += len;
    }
    asked
}

#[test]
fn a_replica_that_lags_shows_old_data_unless_the_read_is_linearizable() {
    let mut ensemble = lagging();
    let local = session(&mut ensemble, 1, "local");
    // The sessions' own beginnings have brought the member up to date: it lags again.
    let linearizable = session(&mut ensemble, 1, "linearizable");
    let writer = ensemble.session(0);
    ensemble.send(writer, request(1, OpCode::SetData, set("/x", b"newest")));
    ensemble.decide();
    assert_eq!(ensemble.got(writer), [(1, 0)], "acknowledged");

    ensemble.send(local, request(1, OpCode::GetData, get("/x", false)));
    assert_eq!(data(&ensemble[1].got(local.slot)), [b"new"], "stale, as it may be");
    ensemble.send(linearizable, request(1, OpCode::GetData, get("/x", false)));
    ensemble.carry_from(1);
    ensemble.answer_read();
    assert_eq!(ensemble[1].got(linearizable.slot), []);
    ensemble.receive(1);
    assert_eq!(ensemble[1].got(linearizable.slot), [], "the answer is on its way");
    ensemble.receive(1);
    assert_eq!(data(&ensemble[1].got(linearizable.slot)), [b"newest"]);
}

#[test]
fn the_answer_of_a_primary_is_not_enough_before_that_place_is_applied() {
    let mut ensemble = lagging();
    let client = session(&mut ensemble, 1, "linearizable");
    let writer = ensemble.session(0);
    ensemble.send(writer, request(1, OpCode::SetData, set("/x", b"newest")));
    ensemble.decide();
    ensemble.send(client, request(1, OpCode::GetData, get("/x", false)));
    ensemble.carry_from(1);
    ensemble.answer_read();
    // An engine whose letters overtake deliveries.
    ensemble.mail[1].make_contiguous().reverse();
    assert!(matches!(ensemble.mail[1].front(), Some(Mail::Letter(_))));
    ensemble.receive(1);
    assert_eq!(ensemble[1].got(client.slot), []);
    ensemble.receive(1);
    assert_eq!(data(&ensemble[1].got(client.slot)), [b"newest"]);
}

#[test]
fn a_read_at_the_primary_waits_for_its_engine_and_is_not_prepared() {
    let mut ensemble = lagging();
    let client = session(&mut ensemble, 0, "linearizable");
    ensemble.send(client, request(1, OpCode::GetData, get("/x", false)));
    assert_eq!(ensemble[0].got(client.slot), []);
    let levels: Vec<_> = ensemble[0].outgoing.reads.iter().map(|(_, level)| *level).collect();
    assert_eq!(levels, [ReadLevel::Linearizable]);
    assert!(ensemble[0].order.is_empty() && ensemble[0].keeper.outstanding() == 0);
    ensemble.answer_read();
    assert_eq!(data(&ensemble[0].got(client.slot)), [b"new"]);
}

#[test]
fn a_read_at_the_primary_waits_for_what_the_engine_says_to_be_applied() {
    let mut ensemble = lagging();
    let client = session(&mut ensemble, 0, "linearizable");
    let writer = ensemble.session(0);
    ensemble.send(writer, request(1, OpCode::SetData, set("/x", b"newest")));
    ensemble.send(client, request(1, OpCode::GetData, get("/x", false)));
    ensemble.collect();
    let proposed = ensemble[0].order.back().unwrap().at;
    ensemble.reads[0].1 = proposed;
    ensemble.answer_read();
    assert_eq!(ensemble[0].got(client.slot), [], "what was proposed is decided, and not here");
    ensemble.decide();
    assert_eq!(data(&ensemble[0].got(client.slot)), [b"newest"]);
}

#[test]
fn reads_that_come_while_a_round_is_under_way_share_the_next_one() {
    for of in [0, 1] {
        let mut ensemble = lagging();
        let clients: Vec<_> = (0..4).map(|_| session(&mut ensemble, of, "linearizable")).collect();
        let read = || request(1, OpCode::GetData, get("/x", false));
        ensemble.send(clients[0], read());
        if of != 0 {
            ensemble.carry_from(of);
        }
        ensemble.collect();
        assert_eq!(ensemble.reads.len(), 1);
        for client in &clients[1..] {
            ensemble.send(*client, read());
        }
        ensemble.collect();
        assert!(ensemble[of].outgoing.is_empty(), "they wait");
        ensemble.answer_read();
        ensemble.receive(of);
        assert_eq!(ensemble[of].got(clients[0].slot).len(), 1);
        for client in &clients[1..] {
            assert_eq!(ensemble.got(*client), [], "that round began before they came");
        }
        if of != 0 {
            assert_eq!(asked(&ensemble, of).len(), 1);
            ensemble.carry_from(of);
        }
        assert_eq!(ensemble.reads.len(), 1, "one for all of them");
        ensemble.answer_read();
        ensemble.receive(of);
        for client in &clients[1..] {
            assert_eq!(ensemble[of].got(client.slot).len(), 1);
        }
        ensemble.run();
        ensemble.check_agreement();
    }
}

#[test]
fn reads_of_one_connection_that_come_together_ask_once() {
    let mut ensemble = lagging();
    let client = session(&mut ensemble, 1, "linearizable");
    ensemble[1].hold = true;
    for xid in 1..=50 {
        ensemble.send(client, request(xid, OpCode::Exists, get("/x", false)));
    }
    ensemble[1].hold = false;
    ensemble.send(client, request(51, OpCode::Exists, get("/x", false)));
    assert_eq!(asked(&ensemble, 1).len(), 1);
    ensemble.run();
    let expected: Vec<_> = (1..=51).map(|xid| (xid, 0)).collect();
    assert_eq!(ensemble.got(client), expected);
}

#[test]
fn a_session_keeps_its_order_around_linearizable_reads() {
    for of in 0..3 {
        let mut ensemble = lagging();
        let client = session(&mut ensemble, of, "linearizable");
        ensemble.send(client, request(1, OpCode::SetData, set("/x", b"one")));
        ensemble.send(client, request(2, OpCode::GetData, get("/x", false)));
        ensemble.send(client, request(3, OpCode::SetData, set("/x", b"two")));
        ensemble.send(client, frame(xid::PING, OpCode::Ping.number(), |_| {}));
        ensemble.send(client, request(4, OpCode::GetData, get("/x", false)));
        ensemble.send(client, request(5, OpCode::SetData, set("/x", b"three")));
        ensemble.run();
        let got = ensemble[of].got(client.slot);
        let xids: Vec<_> = got.iter().map(Got::xid).collect();
        assert_eq!(xids, [1, 2, 3, xid::PING, 4, 5], "member {of}");
        assert_eq!((got[1].data(), got[4].data()), (&b"one"[..], &b"two"[..]), "member {of}");
        ensemble.check_agreement();
    }
}

#[test]
fn a_write_does_not_overtake_a_read_that_waits_for_its_round() {
    let mut ensemble = lagging();
    let client = session(&mut ensemble, 0, "linearizable");
    ensemble.send(client, request(1, OpCode::GetData, get("/x", false)));
    ensemble.send(client, request(2, OpCode::SetData, set("/x", b"own")));
    assert!(ensemble[0].order.is_empty());
    ensemble.answer_read();
    assert_eq!(data(&ensemble[0].got(client.slot)), [b"new"]);
    ensemble.run();
    assert_eq!(ensemble.got(client), [(2, 0)]);
}

#[test]
fn every_read_that_shows_nodes_waits_and_no_other_does() {
    let mut ensemble = lagging();
    let client = session(&mut ensemble, 1, "linearizable");
    let multi_read = |out: &mut Vec<u8>| {
        wire::MultiHeader { op: OpCode::GetData.number(), done: false, err: -1 }.encode(out);
        get("/x", false)(out);
        wire::MULTI_END.encode(out);
    };
    let waiting = [
        request(1, OpCode::GetData, get("/x", true)),
        request(2, OpCode::Exists, get("/x", false)),
        request(3, OpCode::GetChildren, get("/x", true)),
        request(4, OpCode::GetChildren2, get("/x", false)),
        request(5, OpCode::GetAcl, path("/x")),
        request(6, OpCode::GetEphemerals, path("/")),
        request(7, OpCode::GetAllChildrenNumber, path("/")),
        request(8, OpCode::MultiRead, multi_read),
    ];
    for (xid, frame) in (1..).zip(waiting) {
        ensemble.send(client, frame);
        assert_eq!(ensemble.got(client), [], "{xid}");
        assert_eq!(asked(&ensemble, 1).len(), 1, "{xid}");
        ensemble.run();
        assert_eq!(ensemble.got(client), [(xid, 0)]);
    }
    let add_watch = |out: &mut Vec<u8>| {
        path("/x")(out);
        put_int(out, 0);
    };
    let at_once = [
        request(9, OpCode::AddWatch, add_watch),
        request(10, OpCode::WhoAmI, |_| {}),
        frame(xid::PING, OpCode::Ping.number(), |_| {}),
    ];
    for frame in at_once {
        ensemble.send(client, frame);
        assert_eq!(ensemble.got(client).len(), 1);
    }
    assert!(ensemble.is_quiet());
}

#[test]
fn a_linearizable_read_sets_its_watch_where_it_reads() {
    let mut ensemble = lagging();
    let client = session(&mut ensemble, 1, "linearizable");
    let writer = ensemble.session(0);
    ensemble.send(writer, request(1, OpCode::SetData, set("/x", b"newest")));
    ensemble.decide();
    ensemble.send(client, request(1, OpCode::GetData, get("/x", true)));
    ensemble.run();
    let got = ensemble[1].got(client.slot);
    assert_eq!((got.len(), got[0].data()), (1, &b"newest"[..]), "no event for what it shows");
    ensemble.send(writer, request(2, OpCode::SetData, set("/x", b"last")));
    ensemble.run();
    let event = (EventType::NodeDataChanged as i32, "/x".to_owned());
    assert_eq!(ensemble[1].got(client.slot)[0].event(), Some(event));
}

/// What another server's leader makes of the question: an error in the order.
#[test]
fn an_error_in_the_order_answers_the_question_too() {
    let mut ensemble = lagging();
    let client = session(&mut ensemble, 1, "linearizable");
    let writer = ensemble.session(0);
    ensemble.send(writer, request(1, OpCode::SetData, set("/x", b"newest")));
    ensemble.decide();
    ensemble.send(client, request(1, OpCode::GetData, get("/x", false)));
    let letter = std::mem::take(&mut ensemble[1].outgoing.letters);
    let packet = Packet::decode(&letter).unwrap();
    assert_eq!(packet.kind(), Some(PacketKind::Request));
    let question = ForwardedRequest::decode(&mut Reader::new(packet.data.unwrap())).unwrap();
    assert_eq!(question.session_id >> 56, 2, "an id of this member's");
    let error = |session_id: i64, number: i32, zxid: Zxid| {
        let op = OpCode::Error.number();
        let header = TxnHeader { client_id: session_id, cxid: number, zxid: zxid.0, time: 0, op };
        let mut txn = Vec::new();
        header.encode(&mut txn);
        put_int(&mut txn, ErrorCode::SessionExpired.number());
        Bytes::from(txn)
    };
    let at = ensemble[0].tree.last_zxid().next();
    let others = error(question.session_id + 1, question.cxid, at);
    let older = error(question.session_id, question.cxid - 1, at.next());
    let answer = error(question.session_id, question.cxid, at.next().next());
    ensemble.mail[1].push_back(Mail::Delivery(at, others));
    ensemble.mail[1].push_back(Mail::Delivery(at.next(), older));
    ensemble.mail[1].push_back(Mail::Delivery(at.next().next(), answer));
    for _ in 0..3 {
        ensemble.receive(1);
        assert_eq!(ensemble[1].got(client.slot), [], "neither a write nor another's error");
    }
    ensemble.receive(1);
    assert_eq!(data(&ensemble[1].got(client.slot)), [b"newest"]);
}

#[test]
fn a_question_is_a_failing_request_to_whoever_does_not_know_it() {
    let mut ensemble = lagging();
    let client = session(&mut ensemble, 1, "linearizable");
    ensemble.send(client, request(1, OpCode::GetData, get("/x", false)));
    let letter = std::mem::take(&mut ensemble[1].outgoing.letters);
    let packet = Packet::decode(&letter).unwrap();
    let mut plain = Vec::new();
    let request = ForwardedRequest::decode(&mut Reader::new(packet.data.unwrap())).unwrap();
    wire::quorum::put_request(&mut plain, &request, Some(&[]));
    ensemble[1].outgoing.letters = plain;
    ensemble.carry_from(1);
    assert_eq!(ensemble[0].order.len(), 1, "it has a place in the order");
    ensemble.run();
    assert_eq!(data(&ensemble[1].got(client.slot)), [b"new"]);
    ensemble.check_agreement();
}

#[test]
fn a_question_that_an_observer_master_passed_on_is_answered_through_the_order() {
    let mut ensemble = lagging();
    let client = session(&mut ensemble, 1, "linearizable");
    ensemble.send(client, request(1, OpCode::GetData, get("/x", false)));
    ensemble.carry_by(1, 2);
    assert_eq!(ensemble[0].order.len(), 1, "it has a place in the order");
    assert!(ensemble[0].outgoing.reads.is_empty());
    ensemble.run();
    assert_eq!(data(&ensemble[1].got(client.slot)), [b"new"]);
    ensemble.check_agreement();
}

#[test]
fn a_letter_that_answers_nothing_is_noted() {
    let mut ensemble = lagging();
    let client = session(&mut ensemble, 1, "linearizable");
    ensemble.send(client, request(1, OpCode::GetData, get("/x", false)));
    ensemble.carry_from(1);
    ensemble.answer_read();
    let Some(Mail::Letter(letter)) = ensemble.mail[1].back().cloned() else { panic!("a letter") };
    ensemble.run();
    assert_eq!(ensemble[1].got(client.slot).len(), 1);
    ensemble.mail[1].push_back(Mail::Letter(letter));
    ensemble.run();
    let mut events = Vec::new();
    ensemble[1].keeper.take_events(&mut events);
    assert!(events.iter().any(|event| matches!(event, trace::Event::LetterRefused { .. })));
}

#[test]
fn reads_that_wait_when_the_role_ends_are_never_answered() {
    for of in 0..3 {
        let mut ensemble = lagging();
        let client = session(&mut ensemble, of, "linearizable");
        ensemble.send(client, request(1, OpCode::GetData, get("/x", false)));
        if of != 0 {
            ensemble.carry_from(of);
        }
        ensemble.collect();
        ensemble.elect(2);
        assert!(ensemble.is_closed(client), "member {of}");
        ensemble.run();
        assert_eq!(ensemble.got(client), [], "member {of}");
        let again = ensemble.reconnect(client, 1);
        ensemble.run();
        ensemble[1].established(again.slot);
        ensemble.send(again, auth("reads", b"linearizable"));
        ensemble.send(again, request(1, OpCode::GetData, get("/x", false)));
        assert_eq!(ensemble.got(again), [(xid::AUTH, 0)]);
        ensemble.run();
        assert_eq!(data(&ensemble[1].got(again.slot)), [b"new"]);
    }
}

#[test]
fn a_connection_that_goes_away_leaves_the_other_reads_of_its_round() {
    let mut ensemble = lagging();
    let gone = session(&mut ensemble, 1, "linearizable");
    let stays = session(&mut ensemble, 1, "linearizable");
    for client in [gone, stays] {
        ensemble.send(client, request(1, OpCode::GetData, get("/x", false)));
    }
    ensemble[1].detach(gone.slot);
    ensemble.run();
    assert_eq!(ensemble.got(gone), []);
    assert_eq!(data(&ensemble[1].got(stays.slot)), [b"new"]);
}

#[test]
fn the_most_that_a_session_ever_asked_for_counts() {
    for (server, said, waits) in [
        (false, &[][..], false),
        (true, &[], true),
        (true, &["local"], false),
        (false, &["linearizable"], true),
        // Clients repeat both after a reconnect, in any order.
        (false, &["linearizable", "local"], true),
        (true, &["local", "linearizable"], true),
    ] {
        let mut ensemble = Ensemble::with(|config| config.linearizable_reads = server);
        let client = ensemble.session(1);
        for reads in said {
            ensemble.send(client, auth("reads", reads.as_bytes()));
            assert_eq!(ensemble.got(client), [(xid::AUTH, 0)]);
        }
        ensemble.send(client, request(1, OpCode::Exists, get("/", false)));
        assert_eq!(ensemble.got(client).is_empty(), waits, "{server} {said:?}");
        ensemble.run();
        ensemble.send(client, request(2, OpCode::WhoAmI, |_| {}));
        let ids = ensemble[1].got(client.slot).pop().unwrap();
        assert_eq!(Reader::new(ids.body()).int(), Ok(1), "its address, and nothing else");
    }
}

#[test]
fn a_way_to_read_that_does_not_exist_is_an_error() {
    for data in [&b"sometimes"[..], b"", b"Linearizable"] {
        let mut ensemble = Ensemble::new();
        let client = ensemble.session(1);
        ensemble.send(client, auth("reads", data));
        assert_eq!(ensemble.got(client), [(xid::AUTH, ErrorCode::AuthFailed.number())]);
        assert!(ensemble.is_closed(client));
    }
}

#[test]
fn a_server_alone_answers_at_once() {
    let mut house = House::with(|config| config.linearizable_reads = true);
    let a = house.session();
    house.send(a, auth("reads", b"linearizable"));
    house.send(a, request(1, OpCode::Exists, get("/", false)));
    let got = house.got(a);
    assert_eq!(got.iter().map(Got::xid).collect::<Vec<_>>(), [xid::AUTH, 1]);
    assert!(house.outgoing.is_empty());
}
