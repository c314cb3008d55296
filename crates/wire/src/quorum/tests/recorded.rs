//! What a reference ensemble says, recorded: it decodes, means what it should, and encodes to the
//! same bytes. `testdata/quorum/README.md` says how it was recorded.

use super::*;

macro_rules! recorded {
    ($name:literal) => {
        include_bytes!(concat!("../../../testdata/quorum/", $name))
    };
}

/// A line for each packet of a stream.
fn transcript(mut stream: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    while !stream.is_empty() {
        let end = packet_len(stream, 1 << 20).unwrap().unwrap();
        let (bytes, rest) = stream.split_at(end);
        let packet = Packet::decode(bytes).unwrap();
        assert_eq!(bytes_of(&packet), bytes);
        let kind = packet.kind().unwrap();
        let mut again = Vec::new();
        match packet.auth_ids {
            Some(ids) => {
                put_packet_with_ids(&mut again, kind, packet.zxid, packet.data, &ids.to_vec());
            }
            None => put_packet(&mut again, kind, packet.zxid, packet.data),
        }
        assert_eq!(again, bytes);
        lines.push(format!("{kind:?} {:x}{}", packet.zxid, describe(kind, &packet)));
        stream = rest;
        if kind == PacketKind::Snap {
            let mut signature = Vec::new();
            jute::put_string(&mut signature, SNAP_SIGNATURE);
            let at = stream.windows(signature.len()).position(|bytes| bytes == signature);
            stream = &stream[at.unwrap() + signature.len()..];
        }
    }
    lines
}

/// What the data says; it must encode to the same bytes.
fn describe(kind: PacketKind, packet: &Packet<'_>) -> String {
    let data = packet.data;
    match kind {
        PacketKind::FollowerInfo | PacketKind::ObserverInfo => {
            let info = LearnerInfo::decode(data).unwrap().unwrap();
            assert_eq!(bytes_of(&info), data.unwrap());
            assert_eq!(info.protocol_version, PROTOCOL_VERSION);
            format!(" server {}, configuration {:x}", info.server_id, info.config_version)
        }
        PacketKind::LeaderInfo => {
            assert_eq!(decode_leader_info(data), Ok(PROTOCOL_VERSION));
            assert_eq!(data.unwrap(), encode_leader_info());
            String::new()
        }
        PacketKind::AckEpoch => {
            let epoch = decode_epoch_ack(data).unwrap();
            assert_eq!(data.unwrap(), encode_epoch_ack(epoch));
            format!(" {epoch:?}")
        }
        PacketKind::NewLeader => {
            let text = std::str::from_utf8(data.unwrap()).unwrap();
            let membership = Membership::parse(text, &Rules::DEFAULT).unwrap();
            assert_eq!(membership.to_string(), text);
            format!(" configuration {:x}", membership.version())
        }
        PacketKind::Request => {
            let request: ForwardedRequest<'_> = same(data);
            let ids = packet.auth_ids.map(|ids| ids.to_vec());
            let mut again = Vec::new();
            put_request(&mut again, &request, ids.as_deref());
            assert_eq!(again, bytes_of(packet));
            let schemes = ids.map(|ids| ids.into_iter().map(|id| id.scheme).collect::<Vec<_>>());
            format!(" op {}, cxid {}, {schemes:?}", request.op, request.cxid)
        }
        PacketKind::Ping if data.is_some() => {
            let touches: Vec<(i64, i32)> = Touches::decode(data).unwrap().iter().collect();
            let mut again = Vec::new();
            touches.iter().for_each(|(session, timeout)| put_touch(&mut again, *session, *timeout));
            assert_eq!(again, data.unwrap());
            assert!(touches.iter().all(|(_, timeout)| *timeout == 10_000));
            format!(" {} touched", touches.len())
        }
        PacketKind::Revalidate if data.unwrap().len() == 9 => {
            format!(" {}", same::<RevalidateReply>(data).is_valid)
        }
        PacketKind::Revalidate => format!(" for {} ms", same::<Revalidate>(data).timeout_ms),
        PacketKind::Proposal | PacketKind::Inform => transaction(data.unwrap(), packet.zxid),
        PacketKind::CommitAndActivate => {
            let Activation { designated_leader, txn } = same(data);
            assert!(txn.is_empty());
            format!(" leader {designated_leader}")
        }
        PacketKind::InformAndActivate => {
            let Activation { designated_leader, txn } = same(data);
            format!(" leader {designated_leader}{}", transaction(txn, packet.zxid))
        }
        PacketKind::Ack
        | PacketKind::Commit
        | PacketKind::Sync
        | PacketKind::Ping
        | PacketKind::UpToDate
        | PacketKind::Diff
        | PacketKind::Trunc
        | PacketKind::Snap => {
            assert_eq!(data, None);
            String::new()
        }
    }
}

/// The record in the data, which must encode to the same bytes.
fn same<'a, T: Decode<'a> + Encode>(data: Option<&'a [u8]>) -> T {
    let value = T::decode(&mut Reader::new(data.unwrap())).unwrap();
    assert_eq!(bytes_of(&value), data.unwrap());
    value
}

fn transaction(bytes: &[u8], zxid: i64) -> String {
    let txn = crate::TxnRecord::decode(bytes).unwrap();
    assert_eq!(txn.header.zxid, zxid);
    format!(" op {}", txn.header.op)
}

#[test]
fn a_follower_joins_with_an_image() {
    let learner = transcript(recorded!("snap.learner"));
    assert_eq!(
        learner[..5],
        [
            "FollowerInfo 0 server 3, configuration 100000000",
            "AckEpoch 0 Some(0)",
            "Ack 100000000",
            "Ack 100000000",
            "Ping 100000000 0 touched"
        ]
    );
    let leader = transcript(recorded!("snap.leader"));
    assert_eq!(
        leader[..8],
        [
            "LeaderInfo 100000000",
            "Snap 100000000",
            "NewLeader 100000000 configuration 100000000",
            "UpToDate ffffffffffffffff",
            "Ping 100000000",
            "Proposal 100000001 op -10",
            "Commit 100000001",
            "Proposal 100000002 op 1"
        ]
    );
}

#[test]
fn a_follower_joins_with_what_it_missed() {
    assert_eq!(
        transcript(recorded!("diff.learner")),
        [
            "FollowerInfo 100000000 server 3, configuration 100000000",
            "AckEpoch 100000004 None",
            "Ack 100000000",
            "Ack 100000000",
            "Ack 100000005",
            "Ack 100000006",
            "Ack 100000007",
            "Ping 100000007 0 touched",
            "Request ffffffffffffffff op -10, cxid 0, None",
            "Ack 100000008",
            "Request ffffffffffffffff op 1, cxid 1, Some([\"ip\", \"digest\"])",
            "Ack 100000009",
            "Request ffffffffffffffff op 1, cxid 2, Some([\"ip\", \"digest\"])",
            "Ack 10000000a",
            "Request ffffffffffffffff op 9, cxid 3, Some([\"ip\", \"digest\"])",
            "Revalidate ffffffffffffffff for 10000 ms",
            "Request ffffffffffffffff op 1, cxid 1, Some([\"ip\"])",
            "Ack 10000000b",
            "Ping 10000000b 2 touched"
        ]
    );
    assert_eq!(
        transcript(recorded!("diff.leader")),
        [
            "LeaderInfo 100000000",
            "Diff 100000007",
            "Proposal 100000005 op 1",
            "Commit 100000005",
            "Proposal 100000006 op 1",
            "Commit 100000006",
            "Proposal 100000007 op 1",
            "Commit 100000007",
            "NewLeader 100000000 configuration 100000000",
            "UpToDate ffffffffffffffff",
            "Ping 100000007",
            "Proposal 100000008 op -10",
            "Commit 100000008",
            "Proposal 100000009 op 1",
            "Commit 100000009",
            "Proposal 10000000a op -1",
            "Commit 10000000a",
            "Sync 0",
            "Revalidate ffffffffffffffff true",
            "Proposal 10000000b op 1",
            "Commit 10000000b",
            "Ping 10000000b"
        ]
    );
}

#[test]
fn an_old_leader_joins_and_cuts_what_it_alone_has() {
    assert_eq!(
        transcript(recorded!("trunc.learner")),
        [
            "FollowerInfo 100000000 server 2, configuration 100000000",
            "AckEpoch 100000006 Some(1)",
            "Ack 200000000",
            "Ack 200000000",
            "Ping 200000000 0 touched"
        ]
    );
    assert_eq!(
        transcript(recorded!("trunc.leader")),
        [
            "LeaderInfo 200000000",
            "Trunc 100000005",
            "NewLeader 200000000 configuration 100000000",
            "UpToDate ffffffffffffffff",
            "Ping 200000000"
        ]
    );
}

#[test]
fn an_observer_is_informed() {
    assert_eq!(
        transcript(recorded!("observer.learner")),
        [
            "ObserverInfo 0 server 4, configuration 100000000",
            "AckEpoch 0 Some(0)",
            "Ack 100000000",
            "Ack 100000000",
            "Ping 10000000b 0 touched",
            "Request ffffffffffffffff op -10, cxid 0, None",
            "Request ffffffffffffffff op 1, cxid 1, Some([\"ip\"])",
            "Ping 10000000e 1 touched",
            "Ping 10000000e 0 touched",
            "Ping 10000000e 0 touched"
        ]
    );
    assert_eq!(
        transcript(recorded!("observer.leader")),
        [
            "LeaderInfo 100000000",
            "Snap 10000000b",
            "NewLeader 100000000 configuration 100000000",
            "UpToDate ffffffffffffffff",
            "Ping 10000000b",
            "Inform 10000000c op 1",
            "Inform 10000000d op -10",
            "Inform 10000000e op 1",
            "Ping 10000000e",
            "Ping 10000000e",
            "Ping 10000000e",
            "Inform 10000000f op -1",
            "Inform 100000010 op -1",
            "InformAndActivate 100000011 leader 2 op 16"
        ]
    );
}

#[test]
fn a_reconfiguration_is_activated() {
    let activate = transcript(recorded!("activate.leader"));
    assert_eq!(activate, ["CommitAndActivate 100000011 leader 2"]);
}

/// The opening, if there is one, and the notifications of one side of an election link.
fn votes<'a>(mut stream: &'a [u8], opens: Option<&str>) -> Vec<Notification<'a>> {
    if let Some(expected) = opens {
        let end = opening_len(stream).unwrap().unwrap();
        let opening = Opening::decode(&stream[..end]).unwrap();
        assert_eq!(bytes_of(&opening), &stream[..end]);
        let Opening { form, server_id, addresses } = opening;
        let addresses: Vec<String> = addresses.iter().map(Address::to_string).collect();
        assert_eq!(format!("{form:?} {server_id} {}", addresses.join(" ")), expected);
        stream = &stream[end..];
    }
    let mut votes = Vec::new();
    while !stream.is_empty() {
        let (message, rest) = stream.split_at(message_len(stream).unwrap().unwrap());
        let vote = Notification::decode(&message[4..]).unwrap();
        let mut again = Vec::new();
        put_notification(&mut again, &vote);
        assert_eq!(again, message);
        let rules = Rules { multi_address: true, ..Rules::DEFAULT };
        let config = Membership::parse(vote.config.unwrap(), &rules).unwrap();
        assert_eq!(Some(&*config.to_string()), vote.config);
        votes.push(vote);
        stream = rest;
    }
    votes
}

#[test]
fn members_open_election_links_and_vote() {
    let whole = |v: &Notification<'_>| {
        let Notification { state, leader, zxid, election_epoch, peer_epoch, version, .. } = *v;
        (state, leader, zxid, election_epoch, peer_epoch, version)
    };
    let opening = "V1 1 127.0.0.1:31521";
    assert_eq!(votes(recorded!("election-opening-1-to-2"), Some(opening)), []);

    let asks = votes(recorded!("election-3-to-1"), Some("V1 3 127.0.0.1:31523"));
    let asked: Vec<_> = asks.iter().map(whole).collect();
    assert_eq!(asked, [(ServerState::Looking, 3, 0x1_0000_0004, 1, 1, 2)]);
    let answers = votes(recorded!("election-1-to-3"), None);
    let answered: Vec<_> = answers.iter().map(whole).collect();
    assert_eq!(answered, [(ServerState::Following, 2, 0, 1, 1, 2); 2]);

    let asks = votes(recorded!("election-4-to-2"), Some("V1 4 127.0.0.1:31524"));
    let asked: Vec<_> = asks.iter().map(whole).collect();
    assert_eq!(asked, [(ServerState::Looking, i64::MIN, i64::MIN, 1, i64::MIN, 2)]);
    let answers = votes(recorded!("election-2-to-4"), None);
    let answered: Vec<_> = answers.iter().map(whole).collect();
    assert_eq!(answered, [(ServerState::Leading, 2, 0, 1, 1, 2)]);

    let both = "V2 3 127.0.0.1:31523 127.0.0.2:31523";
    assert_eq!(votes(recorded!("election-several-addresses"), Some(both)).len(), 1);
}

/// Requests to reconfigure in their order, each with the answer: a code or the new text.
fn check_reconfigurations(table: &str, rules: &Rules) {
    let mut current = Membership::default();
    for row in table.lines() {
        let fields: Vec<String> = row.split('\t').map(|field| field.replace("\\n", "\n")).collect();
        let [label, joining, leaving, members, answer] = &fields[..] else { panic!("{row}") };
        let given = |field: &'_ String| Some(field.clone()).filter(|field| field != "~");
        if label == "base" {
            current = Membership::parse(answer, rules).unwrap();
            continue;
        }
        let next = match given(members) {
            Some(members) => Membership::from_new_members(&members, rules),
            None => {
                let (joining, leaving) = (given(joining), given(leaving));
                current.with_joiners_leavers(joining.as_deref(), leaving.as_deref(), rules)
            }
        };
        match next {
            // A quorum of the new members must be synced, which is the leader's to know.
            Ok(_) if answer == "-13" => {}
            Ok(next) => {
                let version = Membership::parse(answer, rules).unwrap().version();
                let next = next.with_version(version);
                let sorted = |text: &str| {
                    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
                    lines.sort();
                    lines
                };
                assert_eq!(sorted(&next.to_string()), sorted(answer), "{label}");
                // After joining and leaving, the leader's own table has grown in another way.
                assert!(members == "~" || next.to_string() == *answer, "{label}\n{next}");
                current = next;
            }
            Err(error) => {
                let code = error.problem.error_code() as i32;
                assert_eq!(code.to_string(), *answer, "{label}: {error}");
            }
        }
    }
}

#[test]
fn reconfigurations_have_the_answers_of_the_reference() {
    let rules = Rules { multi_address: false, standalone: false };
    check_reconfigurations(text(recorded!("reconfig-several.tsv")), &rules);
    check_reconfigurations(text(recorded!("reconfig-alone.tsv")), &Rules::DEFAULT);
    let rules = Rules { multi_address: true, standalone: false };
    check_reconfigurations(text(recorded!("reconfig-multi.tsv")), &rules);
}

#[test]
fn a_configuration_is_filed_as_the_reference_files_it() {
    let file = text(recorded!("dynamic"));
    assert_eq!(Membership::parse(file, &Rules::DEFAULT).unwrap().file_text(), file);
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}
