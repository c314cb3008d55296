//! What members say to each other: where a piece ends is told the same however it arrives, and
//! what decodes encodes to the same bytes or, where bytes have several forms, to the same value.

use jute::{Decode, Encode, Reader};
use wire::quorum::{
    self, Activation, ForwardedRequest, LearnerInfo, Membership, Notification, Opening,
    OpeningForm, Packet, Revalidate, RevalidateReply, Rules, Touches,
};

/// Longest packet that is taken, in bytes.
const PACKET_SIZE_MAX: usize = 4096;

/// A stream of packets.
pub(crate) fn packets(mut stream: &[u8]) {
    let len = |bytes: &[u8]| quorum::packet_len(bytes, PACKET_SIZE_MAX);
    while let Ok(Some(end)) = len(stream) {
        assert!(end <= PACKET_SIZE_MAX);
        assert_eq!(len(&stream[..end]), Ok(Some(end)));
        assert_eq!(len(&stream[..end - 1]), Ok(None));
        let (bytes, rest) = stream.split_at(end);
        let packet = Packet::decode(bytes).expect("a whole packet");
        assert_eq!(encoded(&packet), bytes);
        if let Some(ids) = packet.auth_ids {
            assert_eq!(ids.to_vec().len(), ids.len());
        }
        data(packet.data);
        stream = rest;
    }
    if let Ok(packet) = Packet::decode(stream) {
        assert!(stream.len() > PACKET_SIZE_MAX, "{packet:?} would have been found");
    }
    data(Some(stream));
}

/// The bytes as each kind of data.
fn data(bytes: Option<&[u8]>) {
    quorum::decode_leader_info(bytes).ok();
    if let Ok(epoch) = quorum::decode_epoch_ack(bytes) {
        assert!(bytes.is_some_and(|bytes| bytes.starts_with(&quorum::encode_epoch_ack(epoch))));
    }
    if let Ok(Some(info)) = LearnerInfo::decode(bytes) {
        assert_eq!(LearnerInfo::decode(Some(&encoded(&info))), Ok(Some(info)));
    }
    if let Ok(touches) = Touches::decode(bytes) {
        let mut again = Vec::new();
        touches.iter().for_each(|(id, timeout)| quorum::put_touch(&mut again, id, timeout));
        assert_eq!(again, bytes.unwrap_or_default());
    }
    let bytes = bytes.unwrap_or_default();
    same::<ForwardedRequest<'_>>(bytes);
    same::<Activation<'_>>(bytes);
    same::<Revalidate>(bytes);
    if let Ok(reply) = RevalidateReply::decode(&mut Reader::new(bytes)) {
        assert_eq!(RevalidateReply::decode(&mut Reader::new(&encoded(&reply))), Ok(reply));
    }
}

/// What decodes encodes to the bytes that it came from.
fn same<'a, T: Decode<'a> + Encode>(bytes: &'a [u8]) {
    let mut reader = Reader::new(bytes);
    if let Ok(value) = T::decode(&mut reader) {
        assert_eq!(encoded(&value), bytes[..bytes.len() - reader.rest().len()]);
    }
}

fn encoded(value: &impl Encode) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    bytes
}

/// The opening of an election link.
pub(crate) fn opening(data: &[u8]) {
    let len = quorum::opening_len(data);
    let Ok(opening) = Opening::decode(data) else { return };
    let end = len.expect("it decodes").expect("it is whole");
    assert_eq!(quorum::opening_len(&data[..end]), Ok(Some(end)));
    assert_eq!(quorum::opening_len(&data[..end - 1]), Ok(None));
    if opening.form == OpeningForm::Bare || !opening.addresses.is_empty() {
        let long: usize = opening.addresses.iter().map(|address| address.host.len() + 10).sum();
        // IPv6 addresses grow when they are written in full.
        if long <= quorum::ADDRESSES_SIZE_MAX {
            assert_eq!(Opening::decode(&encoded(&opening)), Ok(opening));
        }
    }
}

/// The messages of an election link, and the bytes as a message.
pub(crate) fn notifications(data: &[u8]) {
    notification(data);
    let mut stream = data;
    while let Ok(Some(end)) = quorum::message_len(stream) {
        assert_eq!(quorum::message_len(&stream[..end]), Ok(Some(end)));
        assert_eq!(quorum::message_len(&stream[..end - 1]), Ok(None));
        notification(&stream[4..end]);
        stream = &stream[end..];
    }
}

fn notification(message: &[u8]) {
    let Ok(vote) = Notification::decode(message) else { return };
    let mut bytes = Vec::new();
    quorum::put_notification(&mut bytes, &vote);
    let again = Notification::decode(&bytes[4..]).expect("just written");
    let config = if vote.version > 1 { Some(vote.config.unwrap_or_default()) } else { None };
    // The form without a configuration has a version that does not count.
    let version = if vote.version > 1 { vote.version } else { 0 };
    assert_eq!(again, Notification { config, version, ..vote });
}

/// Lines of which the first says who joins and the second who leaves; the rest is a configuration.
pub(crate) fn membership(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (joining, rest) = text.split_once('\n').unwrap_or(("", &text));
    let (leaving, rest) = rest.split_once('\n').unwrap_or(("", rest));
    for rules in [Rules::DEFAULT, Rules { multi_address: true, standalone: false }] {
        for text in [&*text, rest] {
            let Ok(membership) = Membership::parse(text, &rules) else { continue };
            check(&membership, &rules);
            let next = membership.with_joiners_leavers(Some(joining), Some(leaving), &rules);
            next.iter().for_each(|next| check(next, &rules));
        }
        let replaced = Membership::from_new_members(&text, &rules);
        replaced.iter().for_each(|next| check(next, &rules));
    }
}

fn check(membership: &Membership, rules: &Rules) {
    let printed = membership.to_string();
    let again = Membership::parse(&printed, rules).expect("just printed");
    assert_eq!(again, *membership);
    assert_eq!(again.to_string(), printed);
    let file = Membership::parse(&membership.file_text(), rules).expect("just printed");
    assert!(file.has_same_members(membership));
    let voters: Vec<i64> = membership.voters().collect();
    assert_eq!(voters.len() + membership.observers().count(), membership.servers().len());
    let outweighs = voters.iter().any(|id| membership.weight(*id) > 0);
    let all = membership.is_quorum(voters.iter().copied());
    assert!(outweighs || !all, "votes that weigh nothing decide nothing");
    assert!(all || membership.has_groups() || voters.is_empty());
    let (odd, even): (Vec<i64>, Vec<i64>) = voters.iter().partition(|id| **id % 2 != 0);
    assert!(!membership.is_quorum(odd) || !membership.is_quorum(even));
}
