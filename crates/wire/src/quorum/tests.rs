//! Properties of what members say: it reads back, a piece that is cut is waited for, and what
//! cannot become right is refused at once.

mod recorded;

use super::*;
use crate::Id;
use jute::{Decode, Encode, Error, Reader};
use proptest::collection::vec;
use proptest::prelude::*;

const LIMIT: usize = 1 << 10;

fn bytes_of(value: &impl Encode) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    bytes
}

fn kind() -> impl Strategy<Value = PacketKind> {
    proptest::sample::select(PacketKind::ALL)
}

fn data() -> impl Strategy<Value = Option<Vec<u8>>> {
    proptest::option::of(vec(any::<u8>(), 0..40))
}

fn ids() -> impl Strategy<Value = Vec<Id>> {
    vec(("[a-z]{0,6}", any::<String>()).prop_map(|(scheme, id)| Id::new(scheme, id)), 0..4)
}

/// The length is found once the bytes are there, and not before; whatever follows.
fn is_found<E: std::fmt::Debug>(bytes: &[u8], len: impl Fn(&[u8]) -> Result<Option<usize>, E>) {
    for end in 0..bytes.len() {
        assert!(matches!(len(&bytes[..end]), Ok(None)), "{end} of {}", bytes.len());
    }
    let long = [bytes, &[0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
    assert!(matches!(len(&long), Ok(Some(end)) if end == bytes.len()));
}

proptest! {
    #[test]
    fn packets(kind in kind(), zxid: i64, data in data(), ids in proptest::option::of(ids())) {
        let mut bytes = Vec::new();
        match &ids {
            Some(ids) => put_packet_with_ids(&mut bytes, kind, zxid, data.as_deref(), ids),
            None => put_packet(&mut bytes, kind, zxid, data.as_deref()),
        }
        if let (None, Some(data)) = (&ids, &data) {
            let mut same = Vec::new();
            put_packet_with_data(&mut same, kind, zxid, |out| out.extend_from_slice(data));
            prop_assert_eq!(&same, &bytes);
        }
        is_found(&bytes, |bytes| packet_len(bytes, LIMIT));
        is_found(&bytes, |whole| packet_len(whole, bytes.len()));
        prop_assert!(packet_len(&bytes, bytes.len() - 1).is_err());
        let packet = Packet::decode(&bytes).unwrap();
        prop_assert_eq!(packet.kind(), Some(kind));
        prop_assert_eq!((packet.zxid, packet.data), (zxid, data.as_deref()));
        prop_assert_eq!(packet.auth_ids.map(|ids| ids.to_vec()), ids);
        prop_assert_eq!(&bytes_of(&packet), &bytes);
        for end in 0..bytes.len() {
            prop_assert!(Packet::decode(&bytes[..end]).is_err());
        }
        bytes.push(0);
        prop_assert_eq!(Packet::decode(&bytes), Err(Error::BadLength(1)));
    }

    #[test]
    fn any_bytes_are_a_packet_or_refused(bytes in vec(any::<u8>(), 0..64), small: bool) {
        let mut bytes = bytes;
        if small && bytes.len() > 16 {
            bytes[12..15].fill(0);
        }
        if let Ok(Some(end)) = packet_len(&bytes, LIMIT) {
            prop_assert!(Packet::decode(&bytes[..end]).is_ok());
        }
    }

    #[test]
    fn data_of_packets(id: i64, small: i32, body in vec(any::<u8>(), 0..20), yes: bool) {
        let info = LearnerInfo { server_id: id, protocol_version: small, config_version: !id };
        let bytes = bytes_of(&info);
        prop_assert_eq!(bytes.len(), LearnerInfo::SIZE);
        prop_assert_eq!(LearnerInfo::decode(Some(&bytes)), Ok(Some(info)));

        let request = ForwardedRequest { session_id: id, cxid: small, op: !small, body: &body };
        let bytes = bytes_of(&request);
        prop_assert_eq!(ForwardedRequest::decode(&mut Reader::new(&bytes)), Ok(request));
        let mut packet = Vec::new();
        put_request(&mut packet, &request, Some(&[]));
        let mut same = Vec::new();
        put_packet_with_ids(&mut same, PacketKind::Request, -1, Some(&bytes), &[]);
        prop_assert_eq!(packet, same);

        let question = Revalidate { session_id: id, timeout_ms: small };
        prop_assert_eq!(Revalidate::decode(&mut Reader::new(&bytes_of(&question))), Ok(question));
        let answer = RevalidateReply { session_id: id, is_valid: yes };
        let bytes = bytes_of(&answer);
        prop_assert_eq!(RevalidateReply::decode(&mut Reader::new(&bytes)), Ok(answer));
        let activation = Activation { designated_leader: id, txn: &body };
        let bytes = bytes_of(&activation);
        prop_assert_eq!(Activation::decode(&mut Reader::new(&bytes)), Ok(activation));
    }

    #[test]
    fn touched_sessions(touches in vec(any::<(i64, i32)>(), 0..5)) {
        let mut bytes = Vec::new();
        touches.iter().for_each(|(session, timeout)| put_touch(&mut bytes, *session, *timeout));
        let read = Touches::decode(Some(&bytes)).unwrap();
        prop_assert_eq!(read.len(), touches.len());
        prop_assert_eq!(read.iter().collect::<Vec<_>>(), touches);
        bytes.push(1);
        prop_assert_eq!(Touches::decode(Some(&bytes)), Err(Error::Truncated { missing: 11 }));
    }

    #[test]
    fn openings(id in 0..i64::MAX, hosts in vec(("[a-z]{1,9}", any::<u16>()), 1..4)) {
        let addresses: Vec<Address> =
            hosts.iter().map(|(host, port)| Address::new(host, *port)).collect();
        for form in [OpeningForm::Bare, OpeningForm::V1, OpeningForm::V2] {
            let addresses =
                if form == OpeningForm::Bare { Vec::new() } else { addresses.clone() };
            let opening = Opening { form, server_id: id, addresses };
            let bytes = bytes_of(&opening);
            is_found(&bytes, opening_len);
            prop_assert_eq!(Opening::decode(&bytes), Ok(opening));
        }
    }

    #[test]
    fn notifications(longs: [i64; 4], state in 0..4, version in 2.., config: String) {
        let [leader, zxid, election_epoch, peer_epoch] = longs;
        let state = ServerState::from_number(state).unwrap();
        let config = Some(&config[..]);
        let sent =
            Notification { state, leader, zxid, election_epoch, peer_epoch, version, config };
        let mut bytes = Vec::new();
        put_notification(&mut bytes, &sent);
        is_found(&bytes, message_len);
        let message = &bytes[4..];
        prop_assert_eq!(Notification::decode(message), Ok(sent));

        let old = Notification { peer_epoch: zxid >> 32, version: 0, config: None, ..sent };
        prop_assert_eq!(Notification::decode(&message[..28]), Ok(old));
        let old = Notification { version: 0, config: None, ..sent };
        prop_assert_eq!(Notification::decode(&message[..40]), Ok(old));
        for end in (0..28).chain(29..40).chain(41..message.len()) {
            prop_assert!(Notification::decode(&message[..end]).is_err(), "{}", end);
        }
    }
}

#[test]
fn a_packet_is_refused_at_the_length_that_is_wrong() {
    let packet = |lengths: &[i32]| {
        let mut bytes = vec![0; 12];
        lengths.iter().for_each(|length| bytes.extend_from_slice(&length.to_be_bytes()));
        packet_len(&bytes, 100)
    };
    assert_eq!(packet(&[-2]), Err(Error::BadLength(-2)));
    assert_eq!(packet(&[80]), Ok(None));
    assert_eq!(packet(&[81]), Err(Error::BadLength(81)));
    assert_eq!(packet(&[i32::MAX]), Err(Error::BadLength(i32::MAX)));
    assert_eq!(packet(&[-1, -2]), Err(Error::BadLength(-2)));
    assert_eq!(packet(&[-1, 10]), Ok(None));
    assert_eq!(packet(&[-1, 11]), Err(Error::BadLength(11)));
    assert_eq!(packet(&[-1, i32::MAX]), Err(Error::BadLength(i32::MAX)));
    assert_eq!(packet(&[-1, 1, 72]), Ok(None));
    assert_eq!(packet(&[-1, 1, 73]), Err(Error::BadLength(73)));
    assert_eq!(packet(&[-1, 1, -1, -2]), Err(Error::BadLength(-2)));
    assert_eq!(packet(&[-1, 1, -1, -1]), Ok(Some(28)));
    assert_eq!(packet(&[-1, 0]), Ok(Some(20)));
}

#[test]
fn every_kind_has_its_number() {
    let numbers: Vec<i32> = PacketKind::ALL.iter().map(|kind| kind.number()).collect();
    assert_eq!(numbers, (1..=19).collect::<Vec<_>>());
    assert!(PacketKind::ALL.iter().all(|k| PacketKind::from_number(k.number()) == Some(*k)));
    assert_eq!(PacketKind::from_number(0), None);
}

#[test]
fn learners_of_old_versions_say_less() {
    let bytes = bytes_of(&LearnerInfo::new(3, 0x1_0000_0000));
    let read = |end: usize| LearnerInfo::decode(Some(&bytes[..end]));
    let old = LearnerInfo { server_id: 3, protocol_version: PROTOCOL_VERSION, config_version: 0 };
    assert_eq!(read(12), Ok(Some(old)));
    assert_eq!(read(8), Ok(Some(LearnerInfo { protocol_version: 1, ..old })));
    assert_eq!(read(7), Err(Error::Truncated { missing: 1 }));
    assert_eq!(LearnerInfo::decode(None), Ok(None));
}

#[test]
fn epochs_and_versions() {
    assert_eq!(decode_leader_info(Some(&encode_leader_info())), Ok(0x10000));
    assert!(decode_leader_info(None).is_err());
    assert_eq!(decode_epoch_ack(Some(&encode_epoch_ack(Some(7)))), Ok(Some(7)));
    assert_eq!(decode_epoch_ack(Some(&[0xff; 4])), Ok(None));
    assert_eq!(encode_epoch_ack(None), [0xff; 4]);
}

#[test]
fn an_opening_is_refused_where_the_reference_refuses_it() {
    let opening = |mark: i64, text: &[u8]| {
        let mut bytes = mark.to_be_bytes().to_vec();
        bytes.extend_from_slice(&3_i64.to_be_bytes());
        jute::put_buffer(&mut bytes, Some(text));
        bytes
    };
    let read = |text: &str| Opening::decode(&opening(-65536, text.as_bytes()));
    let hosts = |text: &str| {
        read(text).unwrap().addresses.iter().map(Address::to_string).collect::<Vec<_>>()
    };
    assert_eq!(hosts("10.0.0.1:3888"), ["10.0.0.1:3888"]);
    assert_eq!(hosts("[::1]:3888|0.0.0.0:1|[::]:1|a:2|"), ["[0:0:0:0:0:0:0:1]:3888", "a:2"]);
    for bad in ["a", "a:", "a:b", "a:1:2", "a:65536", "[::1:1", "|a:1", "::1:5"] {
        assert!(matches!(read(bad), Err(OpeningError::BadAddress(_))), "{bad}");
    }
    let long = opening(-65536, &[b'a'; ADDRESSES_SIZE_MAX + 1]);
    assert_eq!(opening_len(&long[..20]), Err(OpeningError::BadLength(2049)));
    assert_eq!(opening_len(&opening(-65535, b"")), Err(OpeningError::BadLength(0)));
    assert_eq!(opening_len(&opening(-2, b"a")[..8]), Err(OpeningError::UnknownVersion(-2)));
    let cut = &opening(-65536, b"a:1")[..22];
    assert_eq!(Opening::decode(cut), Err(OpeningError::Truncated));
    let id_alone = Opening::decode(&i64::MAX.to_be_bytes()).unwrap();
    assert_eq!((id_alone.server_id, id_alone.form), (i64::MAX, OpeningForm::Bare));
}

#[test]
fn a_message_is_refused_at_its_length() {
    assert_eq!(message_len(&[0, 8, 0, 0]), Ok(None));
    assert_eq!(message_len(&[0, 8, 0, 1]), Err(Error::BadLength(0x8_0001)));
    assert_eq!(message_len(&[0, 0, 0, 0]), Err(Error::BadLength(0)));
    assert_eq!(message_len(&[0xff; 4]), Err(Error::BadLength(-1)));
    assert_eq!(message_len(&[0xff; 3]), Ok(None));
}

#[test]
fn a_notification_that_no_member_sends_is_dropped() {
    let sent = Notification {
        state: ServerState::Leading,
        leader: 1,
        zxid: 2,
        election_epoch: 3,
        peer_epoch: 4,
        version: 1,
        config: None,
    };
    // The old form has a version that does not count.
    let mut bytes = bytes_of(&sent);
    assert_eq!(Notification::decode(&bytes), Ok(Notification { version: 0, ..sent }));
    bytes.push(0);
    assert_eq!(Notification::decode(&bytes), Ok(sent));
    let mut bytes = bytes_of(&Notification { version: 2, config: Some("é"), ..sent });
    bytes.truncate(bytes.len() - 1);
    assert!(Notification::decode(&bytes).is_err());
    bytes[43] = 1;
    assert_eq!(Notification::decode(&bytes).unwrap().config, None);
    bytes[40..44].fill(0xff);
    assert_eq!(Notification::decode(&bytes), Err(Error::BadLength(-1)));
    bytes[3] = 4;
    bytes[40..44].fill(0);
    assert_eq!(Notification::decode(&bytes), Err(Error::BadValue(4)));
}
