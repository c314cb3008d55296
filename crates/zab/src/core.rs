//! What all roles of a member share.

use crate::config::{ACCEPTED_EPOCH, CURRENT_EPOCH, Config, Durable, Limits};
use crate::election::Vote;
use crate::ensemble::Ensemble;
use crate::history::History;
use crate::learner::is_observer;
use base::{Lsn, NodeId, Zxid};
use broadcast::{Addresses, LinkId, Output, Record};
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;
use trace::Event;
use wire::quorum::Address;

/// A member's state beneath its role.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Core {
    pub(crate) me: NodeId,
    pub(crate) limits: Limits,
    pub(crate) reconfig: bool,
    pub(crate) multi_address: bool,
    pub(crate) listen_on_all: bool,
    pub(crate) observer_port: Option<u16>,
    pub(crate) ensemble: Ensemble,
    pub(crate) history: History,
    /// The largest epoch that was promised: never less than `current_epoch`.
    pub(crate) accepted_epoch: i64,
    /// The epoch whose initial history this member has.
    pub(crate) current_epoch: i64,
    /// The logical clock of elections: how many this process has seen.
    pub(crate) round: i64,
    /// What the last election came to.
    pub(crate) elected: Vote,
    /// The round of that election.
    pub(crate) elected_round: i64,
    /// Whether the state cannot be brought back to what a leader wants: it is to be fetched whole.
    pub(crate) wants_snapshot: bool,
    /// Whether the disk was lost: a promise of this member counts for nothing until it
    /// stands in an epoch again.
    pub(crate) is_lost: bool,
    /// The version of the configuration that the state showed at the start: what others have of
    /// earlier ones is over.
    pub(crate) shown_configuration: i64,
    /// The largest promise of a voter that this member has heard of: the next epoch is behind it.
    pub(crate) foreseen: i64,
    /// How often in a row this member followed in vain.
    pub(crate) setbacks: u32,
    /// How often this observer has looked for a follower that serves observers.
    pub(crate) masters_asked: u64,
    /// Who leads without an election when this member's role ends.
    pub(crate) designated: Option<NodeId>,
    links: u64,
}

impl Core {
    pub(crate) fn recover(config: Config, durable: Durable) -> Core {
        let Config { me, committed, last_seen, .. } = config;
        let Config { reconfig, multi_address, listen_on_all, observer_port, limits, .. } = config;
        let Durable { accepted_epoch, current_epoch, last, recent, is_lost, configuration } =
            durable;
        let (entries, bytes) = (limits.recent_entries, limits.recent_bytes);
        Core {
            me,
            limits,
            reconfig,
            multi_address,
            listen_on_all,
            observer_port,
            ensemble: Ensemble::new(me, committed, last_seen),
            history: History::recover(last, recent, entries, bytes),
            accepted_epoch: accepted_epoch.max(current_epoch),
            current_epoch,
            round: 0,
            elected: Vote::NONE,
            elected_round: 0,
            wants_snapshot: is_lost,
            is_lost,
            shown_configuration: configuration,
            foreseen: 0,
            setbacks: 0,
            masters_asked: 0,
            designated: None,
            links: 0,
        }
    }

    /// Where this member listens, which others reach at these addresses.
    pub(crate) fn listen_addresses(&self, addresses: &Addresses) -> Addresses {
        if !self.listen_on_all {
            return addresses.clone();
        }
        let everywhere = |address: &String| match address.rsplit_once(':') {
            Some((_, port)) => format!("{}:{port}", Address::ANY_HOST),
            None => address.clone(),
        };
        let everywhere: BTreeSet<String> = addresses.iter().map(everywhere).collect();
        everywhere.into_iter().collect()
    }

    /// Where a member serves observers, if it does.
    pub(crate) fn observer_addresses(&self, of: NodeId) -> Option<Addresses> {
        self.ensemble.observer_addresses(of, self.observer_port?)
    }

    /// Followers that an observer asks one after the other, each observer and each time another one
    /// first. Behind them the leader, if that was in vain for long. None if observers go to the
    /// leader anyway. Deviation: the reference shuffles, and never asks the leader.
    pub(crate) fn masters(&mut self, leader: NodeId) -> VecDeque<NodeId> {
        if self.observer_port.is_none() || !is_observer(self) {
            return VecDeque::new();
        }
        let voters = self.ensemble.committed.voters().map(crate::ensemble::node);
        let mut masters: VecDeque<NodeId> = voters.filter(|voter| *voter != leader).collect();
        let first = self.me.0.wrapping_add(self.masters_asked);
        self.masters_asked += 1;
        if let Some(first) = first.checked_rem(masters.len() as u64) {
            masters.rotate_left(first as usize);
        }
        if self.setbacks > SETBACKS_MAX {
            masters.push_back(leader);
        }
        masters
    }

    /// A number for a link to be dialled.
    pub(crate) fn next_link(&mut self) -> LinkId {
        self.links += 1;
        LinkId(self.links)
    }

    /// Promises to take part in no older epoch.
    pub(crate) fn promise(&mut self, epoch: i64, out: &mut Vec<Output>) -> Lsn {
        assert!(epoch > self.accepted_epoch, "promises only grow");
        self.accepted_epoch = epoch;
        let record = Record::Register { name: ACCEPTED_EPOCH, value: epoch };
        self.history.persist(record, out)
    }

    /// States that the initial history of the epoch is in the log. From here on a member that
    /// lost its disk has all that it ever acknowledged and that was decided, and may vote.
    pub(crate) fn install(&mut self, epoch: i64, out: &mut Vec<Output>) -> Lsn {
        assert!(epoch >= self.current_epoch && epoch <= self.accepted_epoch, "promised before");
        (self.current_epoch, self.is_lost) = (epoch, false);
        let record = Record::Register { name: CURRENT_EPOCH, value: epoch };
        self.history.persist(record, out)
    }

    /// Where this member stands, as votes compare it.
    pub(crate) fn standing(&self) -> (i64, Zxid) {
        (self.current_epoch, self.history.last())
    }
}

/// The end of the history of a member that must not be counted.
pub(crate) const NOT_INITIALISED: Zxid = Zxid(-1);

/// Tells of something.
pub(crate) fn tell(event: trace::Ensemble, out: &mut Vec<Output>) {
    out.push(Output::Trace(Event::Ensemble(event)));
}

/// How often an observer looks for a follower in vain before it asks the leader as well: when nobody
/// answers, each time takes a second.
const SETBACKS_MAX: u32 = 10;

/// The last epoch whose places are positive numbers: a peer that names a later one is wrong.
pub(crate) const EPOCH_MAX: i64 = i32::MAX as i64;

/// Whole milliseconds, for events.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The beginning of an epoch, which is no transaction.
pub(crate) const fn epoch_start(epoch: i64) -> Zxid {
    Zxid(epoch << 32)
}

#[cfg(test)]
mod tests {
    use super::Core;
    use crate::config::{Config, Durable, Limits};
    use base::NodeId;
    use broadcast::Addresses;
    use wire::quorum::{Membership, Rules};

    #[test]
    fn ports_are_open_at_the_own_addresses_or_at_all() {
        let text = "server.1=b:3:4|c:3:5:participant";
        let rules = Rules { multi_address: true, standalone: false };
        let committed = Membership::parse(text, &rules).expect("a good text");
        let core = |listen_on_all| {
            let config = Config {
                me: NodeId(1),
                committed: committed.clone(),
                last_seen: None,
                reconfig: false,
                multi_address: true,
                listen_on_all,
                observer_port: Some(9),
                limits: Limits::default(),
            };
            Core::recover(config, Durable::default())
        };
        let listens = |core: &Core, at: Option<Addresses>| {
            core.listen_addresses(&at.expect("a member has addresses")).join(" ")
        };
        let (own, all) = (core(false), core(true));
        assert_eq!(listens(&own, own.ensemble.election_addresses(own.me)), "b:4 c:5");
        assert_eq!(listens(&own, own.ensemble.quorum_addresses(own.me)), "b:3 c:3");
        assert_eq!(listens(&all, all.ensemble.election_addresses(all.me)), "0.0.0.0:4 0.0.0.0:5");
        assert_eq!(listens(&all, all.ensemble.quorum_addresses(all.me)), "0.0.0.0:3");
        assert_eq!(listens(&own, own.observer_addresses(own.me)), "b:9 c:9");
        assert_eq!(listens(&all, all.observer_addresses(all.me)), "0.0.0.0:9");
    }
}
