//! Changes of the configuration: entries of the order that name the next one.
//!
//! From its proposal on every decision needs a quorum of both configurations; with its decision
//! the next one takes effect, and whoever is designated leads without an election.
//! Source: Shraer, Reed, Malkhi, Junqueira, "Dynamic reconfiguration of primary/backup clusters",
//! USENIX ATC 2012, as the reference does it.

use crate::core::{Core, tell};
use crate::ensemble::{node, sid};
use base::{NodeId, Zxid};
use broadcast::{Context, Item, Output, Record};
use trace::Ensemble as Event;
use wire::quorum::{Membership, Rules, Server};
use wire::{OpCode, Txn, TxnHeader, TxnRecord};

/// The text of the committed configuration.
pub const CONFIGURATION: &str = "configuration";
/// The text of one that was seen and is not known to be committed.
pub const NEXT_CONFIGURATION: &str = "configuration.next";

/// Whether the entry changes the configuration.
pub(crate) fn reconfigures(item: &[u8]) -> bool {
    let op = item.get(TxnHeader::OP_OFFSET..TxnHeader::SIZE);
    op.is_some_and(|op| op == OpCode::Reconfig.number().to_be_bytes())
}

impl Core {
    /// The configuration that an entry names.
    fn configuration_of(&self, item: &[u8]) -> Option<Membership> {
        if !self.reconfig || !reconfigures(item) {
            return None;
        }
        let record = TxnRecord::decode(item).ok()?;
        let Txn::SetData { data, reconfig: true, .. } = record.txn else { return None };
        self.parse_configuration(std::str::from_utf8(data?).ok()?)
    }

    /// Whether the entry names a configuration.
    pub(crate) fn changes_configuration(&self, item: &[u8]) -> bool {
        self.configuration_of(item).is_some()
    }

    /// Reads a configuration's text.
    pub(crate) fn parse_configuration(&self, text: &str) -> Option<Membership> {
        // Whether one voter is enough was the proposer's business.
        let rules = Rules { multi_address: self.multi_address, standalone: false };
        Membership::parse(text, &rules).ok()
    }

    /// Appends an entry; a configuration that it names counts from now on.
    pub(crate) fn append(
        &mut self,
        at: Zxid,
        item: Item,
        context: Option<Context>,
        out: &mut Vec<Output>,
    ) {
        if let Some(next) = self.configuration_of(&item) {
            self.see(next, out);
        }
        self.history.append(at, item, context, out);
    }

    /// Takes note of a configuration that may become the committed one: on the disk before what
    /// makes it so.
    pub(crate) fn see(&mut self, next: Membership, out: &mut Vec<Output>) {
        let text = next.to_string();
        self.ensemble.see(next);
        let text = self.ensemble.next().map(|_| text);
        self.history.persist(Record::Text { name: NEXT_CONFIGURATION, text }, out);
    }

    /// Forgets one that was seen and whose entry this history lacks: a quorum of it and of the
    /// committed one has promised to have none that is longer, so it is decided nowhere, and never
    /// will be. Deviation: the reference lets it take effect without the entry.
    pub(crate) fn forget_void(&mut self, out: &mut Vec<Output>) {
        let last = self.history.last();
        if self.ensemble.next().is_some_and(|next| next.version() > last.0) {
            self.see(self.ensemble.committed.clone(), out);
        }
    }

    /// Takes a configuration as committed, if it is later than ours.
    pub(crate) fn activate(&mut self, membership: Membership, out: &mut Vec<Output>) -> bool {
        let version = membership.version();
        let text = Some(membership.to_string());
        if !self.ensemble.activate(membership) {
            return false;
        }
        self.history.persist(Record::Text { name: CONFIGURATION, text }, out);
        if self.ensemble.next().is_none() {
            self.history.persist(Record::Text { name: NEXT_CONFIGURATION, text: None }, out);
        }
        tell(Event::ConfigurationChanged { version }, out);
        true
    }

    /// Decides the entry, which is the next undecided one, and what it changes.
    pub(crate) fn commit_next(&mut self, at: Zxid, out: &mut Vec<Output>) {
        let entry = self.history.undecided().next().filter(|entry| entry.at == at);
        let next = entry.and_then(|entry| self.configuration_of(&entry.item));
        self.history.commit(at, out);
        if let Some(next) = next {
            self.activate(next, out);
        }
    }

    /// Who leads when an undecided entry's configuration takes effect: this leader, if it stays a
    /// voter at its place; else one of the voters in `candidates`, best first.
    pub(crate) fn designated(&self, item: &[u8], candidates: &[NodeId]) -> NodeId {
        let next = self.configuration_of(item);
        next.map_or(self.me, |next| self.designated_by(&next, candidates))
    }

    /// The same by that configuration.
    pub(crate) fn designated_by(&self, next: &Membership, candidates: &[NodeId]) -> NodeId {
        let mine = |of: &Membership| of.server(sid(self.me)).cloned();
        let stays = |(now, then): (Server, Server)| now.has_same_quorum_addresses(&then);
        let is_same = mine(&self.ensemble.committed).zip(mine(next)).is_some_and(stays);
        if next.is_voter(sid(self.me)) && is_same {
            return self.me;
        }
        let votes = |candidate: &&NodeId| next.is_voter(sid(**candidate));
        candidates.iter().find(votes).copied().unwrap_or(self.me)
    }

    /// What of this member's place in the ensemble its role depends on.
    pub(crate) fn place(&self, leader: NodeId) -> Place {
        let server = |of| self.ensemble.committed.server(sid(of));
        Place {
            is_voter: self.ensemble.committed.is_voter(sid(self.me)),
            role: server(self.me).map(Server::role),
            leader: self.ensemble.quorum_addresses(leader),
        }
    }

    /// Whom an activation names.
    pub(crate) fn designate(&mut self, leader: i64) {
        self.designated = Some(node(leader));
    }
}

/// A member's place in the ensemble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    is_voter: bool,
    role: Option<wire::quorum::Role>,
    leader: Option<broadcast::Addresses>,
}
