//! Frames, and states of whole trees, behind their gates: in order on each link.

use base::Lsn;
use broadcast::LinkId;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// Frames that wait for the journal, and those behind them.
#[derive(Debug, Default)]
pub(crate) struct Sends {
    waiting: BTreeMap<LinkId, VecDeque<(Lsn, Sent)>>,
}

/// What is sent on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Bytes.
    Frame(Bytes),
    /// The tree, as it is when it leaves.
    State,
}

impl Sends {
    /// Gives the frame back if it may leave now; keeps it if it has to wait.
    pub(crate) fn push(
        &mut self,
        link: LinkId,
        frame: Bytes,
        after: Lsn,
        durable: Lsn,
    ) -> Option<Bytes> {
        if self.waiting.is_empty() && after <= durable {
            return Some(frame);
        }
        match self.waiting.get_mut(&link) {
            Some(waiting) => waiting.push_back((after, Sent::Frame(frame))),
            None if after <= durable => return Some(frame),
            None => {
                self.waiting.insert(link, VecDeque::from([(after, Sent::Frame(frame))]));
            }
        }
        None
    }

    /// Whether a state may leave now; it is kept if it has to wait for what is ahead of it.
    pub(crate) fn push_state(&mut self, link: LinkId) -> bool {
        let waiting = self.waiting.get_mut(&link);
        waiting.is_none_or(|waiting| {
            waiting.push_back((Lsn::ZERO, Sent::State));
            false
        })
    }

    /// Forgets what waits for a link that is gone.
    pub(crate) fn forget(&mut self, link: LinkId) {
        self.waiting.remove(&link);
    }

    /// What may leave now, in order on each link.
    pub(crate) fn release(&mut self, durable: Lsn, mut leave: impl FnMut(LinkId, Sent)) {
        self.waiting.retain(|&link, waiting| {
            while let Some((_, frame)) = waiting.pop_front_if(|(after, _)| *after <= durable) {
                leave(link, frame);
            }
            !waiting.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{Sends, Sent};
    use base::Lsn;
    use broadcast::LinkId;
    use bytes::Bytes;

    #[test]
    fn frames_keep_their_order_behind_a_gate() {
        let mut sends = Sends::default();
        let frame = |n: u8| Bytes::copy_from_slice(&[n]);
        let (one, other) = (LinkId(1), LinkId(2));
        assert!(sends.push(one, frame(1), Lsn(0), Lsn(0)).is_some());
        assert!(sends.push(one, frame(2), Lsn(5), Lsn(0)).is_none());
        assert!(sends.push(one, frame(3), Lsn(0), Lsn(0)).is_none(), "behind what waits");
        assert!(sends.push(other, frame(4), Lsn(0), Lsn(0)).is_some(), "another link");
        assert!(sends.push(one, frame(5), Lsn(6), Lsn(0)).is_none());
        assert!(!sends.push_state(one) && sends.push_state(other), "a state keeps its place, too");
        assert!(sends.push(one, frame(6), Lsn(0), Lsn(0)).is_none());
        let mut left = Vec::new();
        sends.release(Lsn(5), |link, sent| left.push((link, sent)));
        let sent = |n| (one, Sent::Frame(frame(n)));
        assert_eq!(left, [sent(2), sent(3)]);
        sends.release(Lsn(6), |link, sent| left.push((link, sent)));
        assert_eq!(left[2..], [sent(5), (one, Sent::State), sent(6)]);
    }
}
