//! What all roles of a member share.

use crate::config::{ACCEPTED_EPOCH, CURRENT_EPOCH, Config, Durable, Limits};
use crate::election::Vote;
use crate::ensemble::Ensemble;
use crate::history::History;
use base::{Lsn, NodeId, Zxid};
use broadcast::{LinkId, Output, Record};
use trace::Event;

/// A member's state beneath its role.
#[derive(Clone, Debug)]
pub(crate) struct Core {
    pub(crate) me: NodeId,
    pub(crate) limits: Limits,
    pub(crate) reconfig: bool,
    pub(crate) multi_address: bool,
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
    /// Who leads without an election when this member's role ends.
    pub(crate) designated: Option<NodeId>,
    /// How often in a row this member followed somebody and did not come to serve.
    pub(crate) futile: u32,
    links: u64,
}

impl Core {
    pub(crate) fn recover(config: Config, durable: Durable) -> Core {
        let Config { me, committed, last_seen, reconfig, multi_address, limits } = config;
        let Durable { accepted_epoch, current_epoch, last, recent } = durable;
        let (entries, bytes) = (limits.recent_entries, limits.recent_bytes);
        Core {
            me,
            limits,
            reconfig,
            multi_address,
            ensemble: Ensemble::new(me, committed, last_seen),
            history: History::recover(last, recent, entries, bytes),
            accepted_epoch: accepted_epoch.max(current_epoch),
            current_epoch,
            round: 0,
            elected: Vote::NONE,
            elected_round: 0,
            wants_snapshot: false,
            designated: None,
            futile: 0,
            links: 0,
        }
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

    /// States that the initial history of the epoch is in the log.
    pub(crate) fn install(&mut self, epoch: i64, out: &mut Vec<Output>) -> Lsn {
        assert!(epoch >= self.current_epoch && epoch <= self.accepted_epoch, "promised before");
        self.current_epoch = epoch;
        let record = Record::Register { name: CURRENT_EPOCH, value: epoch };
        self.history.persist(record, out)
    }

    /// Where this member stands, as votes compare it.
    pub(crate) fn standing(&self) -> (i64, Zxid) {
        (self.current_epoch, self.history.last())
    }
}

/// Tells of something.
pub(crate) fn tell(event: trace::Ensemble, out: &mut Vec<Output>) {
    out.push(Output::Trace(Event::Ensemble(event)));
}

/// The beginning of an epoch, which is no transaction.
pub(crate) const fn epoch_start(epoch: i64) -> Zxid {
    Zxid(epoch << 32)
}
