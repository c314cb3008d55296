//! The members: who votes, what is a quorum, where each is reached.

use base::NodeId;
use broadcast::Addresses;
use std::collections::BTreeSet;
use wire::quorum::{Address, Membership, PeerAddress};

/// The configurations that count: the committed one, and the next if it was seen.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Ensemble {
    pub(crate) me: NodeId,
    pub(crate) committed: Membership,
    next: Option<Membership>,
}

impl Ensemble {
    pub(crate) fn new(me: NodeId, committed: Membership, next: Option<Membership>) -> Ensemble {
        let mut ensemble = Ensemble { me, committed, next: None };
        if let Some(next) = next {
            ensemble.see(next);
        }
        ensemble
    }

    /// Takes note of a configuration that may become the committed one.
    pub(crate) fn see(&mut self, next: Membership) {
        self.next = Some(next).filter(|next| next.version() > self.committed.version());
    }

    /// Takes a configuration as committed, if it is later.
    pub(crate) fn activate(&mut self, membership: Membership) -> bool {
        if membership.version() <= self.committed.version() {
            return false;
        }
        self.next.take_if(|next| next.version() <= membership.version());
        self.committed = membership;
        true
    }

    /// The last one that was seen.
    pub(crate) fn last_seen(&self) -> &Membership {
        self.next.as_ref().unwrap_or(&self.committed)
    }

    /// The next one, if there is one.
    pub(crate) fn next(&self) -> Option<&Membership> {
        self.next.as_ref()
    }

    /// Whether these are a quorum of every configuration that counts.
    pub(crate) fn is_quorum(&self, members: &BTreeSet<NodeId>) -> bool {
        let is_quorum = |of: &Membership| of.is_quorum(members.iter().map(|node| sid(*node)));
        is_quorum(&self.committed) && self.next.as_ref().is_none_or(is_quorum)
    }

    /// Whether these are a quorum of the committed configuration.
    pub(crate) fn is_committed_quorum(&self, members: &BTreeSet<NodeId>) -> bool {
        self.committed.is_quorum(members.iter().map(|node| sid(*node)))
    }

    /// The furthest that a quorum has come, by how far each member is.
    pub(crate) fn reached<T: Ord>(&self, mut members: Vec<(T, NodeId)>) -> Option<T> {
        members.sort_unstable();
        let mut have = BTreeSet::new();
        while let Some((place, who)) = members.pop() {
            have.insert(who);
            if self.is_quorum(&have) {
                return Some(place);
            }
        }
        None
    }

    /// Whether it votes in any of them.
    pub(crate) fn is_voter(&self, node: NodeId) -> bool {
        let votes = |of: &Membership| of.is_voter(sid(node));
        votes(&self.committed) || self.next.as_ref().is_some_and(votes)
    }

    /// Whether this member may vote.
    pub(crate) fn am_voter(&self) -> bool {
        self.committed.is_voter(sid(self.me))
    }

    /// Whether it may lead.
    pub(crate) fn may_lead(&self, node: NodeId) -> bool {
        self.committed.weight(sid(node)) != 0
    }

    /// All voters of all of them.
    pub(crate) fn voters(&self) -> BTreeSet<NodeId> {
        let mut voters: BTreeSet<NodeId> = self.committed.voters().map(node).collect();
        voters.extend(self.next.iter().flat_map(Membership::voters).map(node));
        voters
    }

    /// Where it takes votes.
    pub(crate) fn election_addresses(&self, of: NodeId) -> Option<Addresses> {
        self.addresses(of, PeerAddress::election)
    }

    /// Where it takes learners.
    pub(crate) fn quorum_addresses(&self, of: NodeId) -> Option<Addresses> {
        self.addresses(of, PeerAddress::quorum)
    }

    /// Where it takes observers, if it follows and has that port.
    pub(crate) fn observer_addresses(&self, of: NodeId, port: u16) -> Option<Addresses> {
        self.addresses(of, |peer| Address { port, ..peer.quorum() })
    }

    fn addresses(&self, of: NodeId, which: impl Fn(&PeerAddress) -> Address) -> Option<Addresses> {
        Some(self.hosts(of)?.iter().map(|peer| which(peer).to_string()).collect())
    }

    /// Where it is.
    pub(crate) fn hosts(&self, of: NodeId) -> Option<&[PeerAddress]> {
        let server = self.committed.server(sid(of));
        let server = server.or_else(|| self.next.as_ref().and_then(|next| next.server(sid(of))));
        server.map(|server| server.addresses())
    }
}

/// As it stands on the wire.
pub(crate) const fn sid(node: NodeId) -> i64 {
    node.0.cast_signed()
}

/// From the wire.
pub(crate) const fn node(sid: i64) -> NodeId {
    NodeId(sid.cast_unsigned())
}
