//! What the member's half wants sent: places in the order, letters, answers, reads.

use broadcast::{Context, LinkId, Proposal, ReadLevel};
use bytes::Bytes;

/// What a step of the service asks of the engine. The service appends, the host of the service
/// drains; proposals go before reads, which are to see them.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// Transactions that want a place in the order.
    pub proposals: Vec<Proposal>,
    /// Letters to the primary, one behind the other: whole packets, to be sent as they are.
    pub letters: Vec<u8>,
    /// Letters to replicas: whole packets.
    pub answers: Vec<(LinkId, Bytes)>,
    /// Reads that want to know what they must see; see [`crate::Keeper::read_ready`].
    pub reads: Vec<(Context, ReadLevel)>,
    /// Links whose other end wrote what no member writes: to be closed.
    pub refused: Vec<Refused>,
}

impl Outgoing {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.proposals.is_empty()
            && self.letters.is_empty()
            && self.answers.is_empty()
            && self.reads.is_empty()
            && self.refused.is_empty()
    }

    /// Refuses a letter, and with it the link that it came on.
    pub(super) fn refuse(&mut self, link: LinkId, BadLetter(reason): BadLetter) {
        self.refused.push(Refused { link, reason });
    }

    /// Whether a letter of this link was refused: the rest are not looked at.
    pub(super) fn has_refused(&self, link: LinkId) -> bool {
        self.refused.iter().any(|refused| refused.link == link)
    }
}

/// A link to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which.
    pub link: LinkId,
    /// Why, for people.
    pub reason: &'static str,
}

/// Why a letter is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadLetter(pub(super) &'static str);

impl From<jute::Error> for BadLetter {
    fn from(_: jute::Error) -> BadLetter {
        BadLetter("a letter is malformed")
    }
}
