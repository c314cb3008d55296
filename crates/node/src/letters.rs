//! Letters cut into packets.
//!
//! The service writes packets one behind the other; an engine whose links carry letters whole gives
//! them back so, one that speaks ZooKeeper's protocol packet by packet.

use bytes::Bytes;
use wire::quorum::packet_len;

/// The packets of a letter. What cannot be cut comes last, as it is: the service refuses it.
pub(crate) fn packets(mut letter: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        if letter.is_empty() {
            return None;
        }
        let len = packet_len(&letter, usize::MAX).ok().flatten().unwrap_or(letter.len());
        Some(letter.split_to(len))
    })
}

#[cfg(test)]
mod tests {
    use super::packets;
    use bytes::Bytes;
    use wire::quorum::{PacketKind, put_packet};

    #[test]
    fn a_letter_is_cut_into_its_packets() {
        let mut letter = Vec::new();
        let mut ends = Vec::new();
        for data in [Some(&b"one"[..]), None, Some(&[][..]), Some(&[7; 300][..])] {
            put_packet(&mut letter, PacketKind::Request, 5, data);
            ends.push(letter.len());
        }
        let whole = Bytes::from(letter.clone());
        let cut: Vec<usize> = packets(whole.clone())
            .scan(0, |end, packet| {
                *end += packet.len();
                Some(*end)
            })
            .collect();
        assert_eq!(cut, ends);
        let short: Vec<Bytes> = packets(whole.slice(..ends[3] - 1)).collect();
        assert_eq!((short.len(), short[3].len()), (4, ends[3] - ends[2] - 1));
        assert_eq!(packets(Bytes::from_static(&[0x7f; 40])).count(), 1);
    }
}
