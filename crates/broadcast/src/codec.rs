//! Slots and bases as bytes: what hosts write for an engine that keeps a log of its own.
//!
//! All numbers are big-endian; an index is not among them, it is the place of the bytes in their
//! journal. Documented in `docs/journal.md`.

use crate::record::{Base, Slot, SlotKind};
use base::Zxid;
use bytes::Bytes;
use std::fmt::Write;

impl Slot {
    /// Writes period, place, kind and body, in place of what `out` holds.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.period.to_be_bytes());
        out.extend_from_slice(&self.at.0.to_be_bytes());
        out.push(match self.kind {
            SlotKind::Empty => 0,
            SlotKind::Item => 1,
            SlotKind::Control => 2,
        });
        out.extend_from_slice(&self.body);
    }

    /// Reads what [`Slot::encode`] wrote of the slot with this index; `None` if it did not.
    #[must_use]
    pub fn decode(index: u64, bytes: &[u8]) -> Option<Slot> {
        let (period, rest) = bytes.split_first_chunk()?;
        let (at, rest) = rest.split_first_chunk()?;
        let (kind, body) = rest.split_first()?;
        let kind = match kind {
            0 => SlotKind::Empty,
            1 => SlotKind::Item,
            2 => SlotKind::Control,
            _ => return None,
        };
        let (period, at) = (u64::from_be_bytes(*period), Zxid(i64::from_be_bytes(*at)));
        Some(Slot { index, period, at, kind, body: Bytes::copy_from_slice(body) })
    }
}

impl Base {
    /// Period, place and configuration.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + self.configuration.len());
        out.extend_from_slice(&self.period.to_be_bytes());
        out.extend_from_slice(&self.at.0.to_be_bytes());
        out.extend_from_slice(&self.configuration);
        out
    }

    /// Reads what [`Base::encode`] wrote of the base with this index; `None` if it did not.
    #[must_use]
    pub fn decode(index: u64, bytes: &[u8]) -> Option<Base> {
        let (period, rest) = bytes.split_first_chunk()?;
        let (at, configuration) = rest.split_first_chunk()?;
        let (period, at) = (u64::from_be_bytes(*period), Zxid(i64::from_be_bytes(*at)));
        Some(Base { index, period, at, configuration: Bytes::copy_from_slice(configuration) })
    }

    /// As a text: the index, then [`Base::encode`], in hexadecimal.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{:016x}", self.index);
        for byte in self.encode() {
            let _ = write!(text, "{byte:02x}"); // a String takes all
        }
        text
    }

    /// Reads what [`Base::to_text`] wrote; `None` if it did not.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Base> {
        if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) || !text.len().is_multiple_of(2) {
            return None;
        }
        let (index, state) = text.split_at_checked(16)?;
        let index = u64::from_str_radix(index, 16).ok()?;
        let byte = |at: usize| u8::from_str_radix(&state[at..at + 2], 16).ok();
        let state: Option<Vec<u8>> = (0..state.len()).step_by(2).map(byte).collect();
        Base::decode(index, &state?)
    }
}

/// The name of the text that holds the base of a state that is to come.
pub const ANNOUNCED: &str = "announced";

#[cfg(test)]
mod tests {
    use crate::{Base, Slot, SlotKind};
    use base::Zxid;
    use bytes::Bytes;

    #[test]
    fn slots_come_out_as_they_went_in() {
        let kinds = [(SlotKind::Empty, ""), (SlotKind::Item, "item"), (SlotKind::Control, "c")];
        for (kind, body) in kinds {
            let (at, body) = (Zxid(0x3_0000_0005), Bytes::from_static(body.as_bytes()));
            let slot = Slot { index: 7, period: 5, at, kind, body };
            let mut bytes = b"what was there".to_vec();
            slot.encode(&mut bytes);
            assert_eq!(Slot::decode(7, &bytes), Some(slot));
            assert_eq!(Slot::decode(7, &bytes[..16]), None);
        }
        assert_eq!(Slot::decode(7, &[[0; 16].as_slice(), &[3]].concat()), None, "no such kind");
    }

    #[test]
    fn bases_come_out_as_they_went_in() {
        for configuration in ["", "voters"] {
            let (at, configuration) = (Zxid(0x3_0000_0005), Bytes::from(configuration));
            let base = Base { index: 9, period: 3, at, configuration };
            assert_eq!(Base::decode(9, &base.encode()).as_ref(), Some(&base));
            assert_eq!(Base::from_text(&base.to_text()).as_ref(), Some(&base));
        }
        let good = Base { index: 9, period: 3, at: Zxid(1), configuration: Bytes::new() }.to_text();
        for text in
            ["", "09", "+0000000000000900", "é", &good[1..], &good[..46], &format!("{good}x")]
        {
            assert_eq!(Base::from_text(text), None, "{text}");
        }
    }
}
