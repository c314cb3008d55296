//! Letters: those that no member writes, what waits behind a sync, and links that are lost.

use super::ensemble::{Ensemble, Mail};
use super::harness::{create, request};
use crate::Letter;
use base::{NodeId, SessionId};
use bytes::Bytes;
use jute::Encode;
use wire::OpCode;
use wire::quorum::{ForwardedRequest, PacketKind, put_packet, put_packet_with_data, put_request};

fn forwarded(session_id: i64, op: i32, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_request(&mut bytes, &ForwardedRequest { session_id, cxid: 1, op, body }, None);
    bytes
}

fn packet(kind: PacketKind, data: Option<&[u8]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_packet(&mut bytes, kind, -1, data);
    bytes
}

#[test]
fn a_bad_letter_costs_its_link_and_nothing_else() {
    let served_by_replicas = OpCode::ALL.iter().filter(|op| {
        !matches!(
            op,
            OpCode::Create
                | OpCode::Create2
                | OpCode::CreateContainer
                | OpCode::CreateTtl
                | OpCode::Delete
                | OpCode::DeleteContainer
                | OpCode::SetData
                | OpCode::SetAcl
                | OpCode::Multi
                | OpCode::Check
                | OpCode::Reconfig
                | OpCode::CreateSession
                | OpCode::CloseSession
                | OpCode::Sync
        )
    });
    let mut bad: Vec<Vec<u8>> =
        served_by_replicas.map(|op| forwarded(77, op.number(), b"")).collect();
    bad.push(forwarded(77, 9999, b""));
    bad.push(forwarded(0, OpCode::Create.number(), b""));
    bad.push(forwarded(77, OpCode::CreateSession.number(), b"abc"));
    bad.push(packet(PacketKind::Request, None));
    bad.push(packet(PacketKind::Request, Some(&[0; 15])));
    bad.push(packet(PacketKind::Revalidate, Some(&[0; 11])));
    bad.push(packet(PacketKind::Revalidate, None));
    bad.push(packet(PacketKind::Sync, None));
    bad.push(packet(PacketKind::Proposal, Some(&[0; 64])));
    bad.push(vec![]);
    bad.push(vec![0; 19]);
    let mut good = forwarded(77, OpCode::CreateSession.number(), &6000_i32.to_be_bytes());
    for bytes in bad {
        let mut ensemble = Ensemble::new();
        let (from, other) = (ensemble.link(1), ensemble.link(2));
        let letter = |from, bytes: &[u8]| Letter {
            from,
            node: NodeId(1),
            bytes: Bytes::copy_from_slice(bytes),
        };
        ensemble[0].forwarded(&[letter(from, &bytes), letter(from, &good), letter(other, &good)]);
        let refused = std::mem::take(&mut ensemble[0].outgoing.refused);
        assert_eq!(refused.iter().map(|r| r.link).collect::<Vec<_>>(), [from], "{bytes:?}");
        assert_eq!(ensemble[0].pending(), 1, "the other link's");
        assert!(ensemble[0].outgoing.is_empty());
        ensemble.run();
        assert_eq!(ensemble[2].tree.session_timeout(SessionId(77)), Some(6000));
        ensemble.check_agreement();
    }
    good.truncate(good.len() - 1);
    let mut ensemble = Ensemble::new();
    let link = ensemble.link(1);
    let house = &mut ensemble[0];
    house.keeper.heard(link, &good, house.now, &mut house.outgoing);
    assert_eq!(house.outgoing.refused.len(), 1);
}

#[test]
fn what_clients_may_not_do_fails_and_does_not_cost_the_link() {
    for op in [OpCode::Check, OpCode::DeleteContainer, OpCode::SetData, OpCode::Multi] {
        let mut ensemble = Ensemble::new();
        let client = ensemble.session(1);
        let from = ensemble.link(1);
        let bytes = Bytes::from(forwarded(client.id.0, op.number(), b"not a request"));
        ensemble[0].forwarded(&[Letter { from, node: NodeId(1), bytes }]);
        assert!(ensemble[0].outgoing.refused.is_empty());
        assert_eq!(ensemble[0].pending(), 1, "its failure has a place in the order");
        ensemble.run();
        ensemble.check_agreement();
    }
}

#[test]
fn a_replica_takes_no_letter_that_it_did_not_ask_for() {
    let mut ensemble = Ensemble::new();
    let client = ensemble.session(1);
    let mut reply = Vec::new();
    put_packet_with_data(&mut reply, PacketKind::Revalidate, -1, |out| {
        wire::quorum::RevalidateReply { session_id: client.id.0, is_valid: false }.encode(out);
    });
    let letters = [
        reply,
        packet(PacketKind::Sync, None),
        packet(PacketKind::Revalidate, Some(&[0; 8])),
        packet(PacketKind::Commit, None),
        vec![1, 2, 3],
    ];
    for letter in &letters {
        ensemble[1].in_section(|keeper, section| keeper.answered(section, letter));
    }
    let mut events = Vec::new();
    ensemble[1].keeper.take_events(&mut events);
    let refused = events.iter().filter(|e| matches!(e, trace::Event::LetterRefused { .. }));
    assert_eq!(refused.count(), letters.len());
    ensemble.send(client, request(1, OpCode::Create, create("/x", b"", 0)));
    ensemble.run();
    assert_eq!(ensemble.got(client), [(1, 0)]);
}

#[test]
fn letters_to_one_who_is_not_primary_are_not_taken() {
    let mut ensemble = Ensemble::new();
    let from = ensemble.link(1);
    let bytes = Bytes::from(forwarded(77, OpCode::CreateSession.number(), &[0; 4]));
    let letter = Letter { from, node: NodeId(1), bytes };
    ensemble[2].forwarded(std::slice::from_ref(&letter));
    assert!(ensemble[2].outgoing.is_empty() && ensemble[2].pending() == 0);
}

#[test]
fn sessions_outlive_the_link_that_they_came_by() {
    let mut ensemble = Ensemble::new();
    let client = ensemble.session(1);
    ensemble.send(client, request(1, OpCode::Create, create("/x", b"", 1)));
    ensemble.send(client, request(2, OpCode::Sync, |out| jute::put_string(out, "/")));
    ensemble.carry_from(1);
    let lost = ensemble.link(1);
    ensemble[0].keeper.link_lost(lost);
    let house = &mut ensemble[1];
    house.keeper.become_apart();
    house.answer_ready();
    assert!(ensemble.is_closed(client));
    ensemble.answer_read();
    ensemble.decide();
    assert!(ensemble.mail[1].iter().all(|mail| matches!(mail, Mail::Delivery(..))));
    let again = ensemble.reconnect(client, 2);
    ensemble.run();
    assert_eq!(ensemble[2].established(again.slot).0, client.id);
    assert!(ensemble[2].tree.find("/x").is_some());
}

/// A replica of the reference waits for the answer to what it forwarded first, sync or write.
#[test]
fn what_is_behind_a_sync_on_a_link_waits_for_the_letter() {
    let mut ensemble = Ensemble::new();
    let (client, other) = (ensemble.session(1), ensemble.session(2));
    ensemble.send(client, request(1, OpCode::Create, create("/before", b"", 0)));
    ensemble.send(client, request(2, OpCode::Sync, |out| jute::put_string(out, "/")));
    ensemble.send(client, request(3, OpCode::Create, create("/behind", b"", 0)));
    ensemble.send(other, request(1, OpCode::Create, create("/other", b"", 0)));
    ensemble.carry_from(1);
    ensemble.carry_from(2);
    assert_eq!(ensemble[0].pending(), 2, "what is behind the sync is not proposed");
    ensemble.decide();
    ensemble.answer_read();
    let came: Vec<bool> = ensemble.mail[1].iter().map(|m| matches!(m, Mail::Letter(_))).collect();
    assert_eq!(came, [false, true], "the letter follows what was before it");
    ensemble.run();
    assert_eq!(ensemble.got(client), [(1, 0), (2, 0), (3, 0)]);
    ensemble.check_agreement();
}

#[test]
fn what_is_behind_a_sync_is_lost_with_the_link() {
    let mut ensemble = Ensemble::new();
    let client = ensemble.session(1);
    ensemble.send(client, request(1, OpCode::Create, create("/before", b"", 0)));
    ensemble.send(client, request(2, OpCode::Sync, |out| jute::put_string(out, "/")));
    ensemble.send(client, request(3, OpCode::Create, create("/behind", b"", 0)));
    ensemble.carry_from(1);
    let lost = ensemble.link(1);
    ensemble[0].keeper.link_lost(lost);
    assert!(ensemble[0].keeper.freed().is_empty());
    assert_eq!(ensemble[0].pending(), 1);
}
