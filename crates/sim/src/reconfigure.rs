//! Changes of the ensemble: what a client asks for, and what must hold of who is in it.
//!
//! An entry is decided by the configuration before it, a change by that and by its own: their
//! quorums overlap. A configuration that takes effect anywhere is decided.

use crate::client::Client;
use crate::site::Site;
use crate::workload::Workload;
use crate::world::{Step, World};
use base::{Rng, Time};
use check::{Configuration, Op, Reconfiguration, Violation};
use std::time::Duration;

/// The client that changes the ensemble.
pub(crate) fn operator(timeout: Duration, data_max: u64, rng: &mut Rng) -> Client {
    let workload = Workload { watches: false, ..Workload::draw(rng, false, data_max) };
    let user = Some((OPERATOR.to_owned(), operator_id()));
    let mut client = Client::new(timeout.as_millis() as i32, workload, user);
    client.operates = true;
    client
}

/// Who may change the ensemble.
pub(crate) fn operator_id() -> String {
    auth::digest_id(auth::DigestAlg::default(), OPERATOR)
}

impl World {
    /// The operator asks for a change, as soon as it can. Says whether it will.
    pub(crate) fn reconfigure(&mut self) -> bool {
        let Some(now) = self.in_force(self.ledger.decided()) else { return false };
        let Some(operator) = self.clients.iter().position(|client| client.operates) else {
            return false;
        };
        // A configuration that needs a member which has lost its disk may come to nothing for good,
        // if its leader is lost before.
        let is_whole = self.whole().len() == self.sites.len();
        if self.clients[operator].script.len() >= CHANGES_MAX || !is_whole {
            return false;
        }
        let change = self.draw_change(&now);
        self.show(|| format!("{change:?}"));
        self.clients[operator].script.push_back(Op::Reconfig(change));
        true
    }

    /// Whether a change may be on its way, for all that is known.
    pub(crate) fn is_changing(&self) -> bool {
        let asks = |client: &Client| {
            client.operates && !(client.script.is_empty() && client.outstanding.is_empty())
        };
        let patience = self.options.manners().patience * 2;
        self.clients.iter().any(asks)
            || (self.changed_at != Time::ZERO && self.now.since(self.changed_at) < patience)
    }

    fn draw_change(&mut self, now: &Configuration) -> Reconfiguration {
        let all: Vec<i64> = self.sites.iter().map(id).collect();
        let (inside, outside): (Vec<i64>, Vec<i64>) =
            all.iter().partition(|id| now.servers.contains_key(id));
        let one = *self.rng.pick(&inside);
        let other = if outside.is_empty() { one } else { *self.rng.pick(&outside) };
        let leader = self.leader().map_or(one, |leader| id(&self.sites[leader]));
        let votes = self.rng.percent(70);
        let mut change = Reconfiguration { version: -1, ..Reconfiguration::default() };
        match self.rng.below(7) {
            0 => change.joining = vec![server(other, votes)],
            1 => change.leaving = vec![one],
            2 => change.joining = vec![server(one, !now.votes(one))],
            3 => change.leaving = vec![leader],
            4 => {
                (change.joining, change.leaving) = (vec![server(other, votes)], vec![one]);
            }
            5 => change.joining = vec![server(leader, false)],
            _ => {
                let some = all.into_iter().filter(|_| self.rng.percent(70)).collect::<Vec<_>>();
                change.members =
                    some.into_iter().map(|id| server(id, self.rng.percent(80))).collect();
                if change.members.is_empty() {
                    change.leaving = vec![one];
                }
            }
        }
        // Mostly any configuration is meant; the first one's number is not known.
        if now.version as u32 != 0 && self.rng.one_in(4) {
            change.version = now.version;
        }
        change
    }

    /// The configuration in force up to a place and with what is there.
    fn in_force(&self, place: i64) -> Option<Configuration> {
        self.ledger.configuration(place).cloned().or_else(|| self.options.configuration())
    }

    /// The members that must serve when all is well: those of the core that are in the ensemble.
    pub(crate) fn required(&self) -> Vec<usize> {
        if !self.healed || !self.options.reconfig() {
            return self.core.clone();
        }
        let Some(now) = self.in_force(self.ledger.decided()) else { return self.core.clone() };
        let is_in = |member: &usize| now.servers.contains_key(&id(&self.sites[*member]));
        self.core.iter().copied().filter(is_in).collect()
    }

    /// Every configuration that anybody still goes by, or may yet.
    pub(crate) fn configurations(&self) -> Vec<Configuration> {
        let decided = self.ledger.decided();
        let mut all: Vec<Configuration> = self.in_force(decided).into_iter().collect();
        for site in &self.sites {
            all.extend(self.ledger.changes(decided, site.tip).cloned());
            let kept = [zab::CONFIGURATION, zab::NEXT_CONFIGURATION].map(|name| site.kept(name));
            let first = self.options.ensemble.as_ref().filter(|_| kept[0].is_none());
            all.extend(first.and_then(|ensemble| ensemble.configuration(site.node)));
            all.extend(kept.into_iter().flatten().filter_map(|text| Configuration::parse(&text)));
        }
        all
    }

    /// Whether these members are a quorum.
    pub(crate) fn is_quorum(&self, configuration: &Configuration, members: &[usize]) -> bool {
        configuration.is_quorum(|voter| members.iter().any(|at| id(&self.sites[*at]) == voter))
    }

    /// What is decided newly is on the disks of a quorum.
    pub(crate) fn check_quorums(&self, before: i64, entry: i64) -> Step {
        if self.options.ensemble.is_none() || entry <= before {
            return Ok(());
        }
        for change in self.ledger.changes(before, entry) {
            self.check_quorum(self.ledger.entry_in(change.version, entry))?;
        }
        self.check_quorum(entry)
    }

    /// An entry is held by a quorum of the configuration in force before it, and by one of its own.
    fn check_quorum(&self, entry: i64) -> Step {
        let holders: Vec<usize> = (0..self.sites.len())
            .filter(|member| self.sites[*member].holds(&self.ledger, entry))
            .collect();
        for place in [self.ledger.before(entry), entry] {
            let Some(by) = self.in_force(place) else { continue };
            if !self.is_quorum(&by, &holders) {
                let holders: Vec<i64> = holders.iter().map(|at| id(&self.sites[*at])).collect();
                let what =
                    format!("{entry:#x} is decided and held by {holders:?}, no quorum of {by}");
                return Err(Violation::new("quorum", what));
            }
        }
        Ok(())
    }

    /// A configuration takes effect at a member: it is decided. The first one is the beginning of
    /// an epoch, and no entry.
    pub(crate) fn check_configuration(&self, member: usize, version: i64) -> Step {
        // Over Raft an entry counts as soon as it is in the log, and is told by its index.
        let over_raft = self.sites[member].slots.is_some();
        if version as u32 == 0 || over_raft {
            return Ok(());
        }
        if self.ledger.configuration(version).is_none_or(|by| by.version != version) {
            let node = self.sites[member].node.0;
            let what = format!("member {node} goes by {version:#x}, which nobody has logged");
            return Err(Violation::new("configuration", what));
        }
        self.check_quorum(version)
    }
}

/// A member's number in texts.
fn id(site: &Site) -> i64 {
    site.node.0.cast_signed()
}

fn server(id: i64, votes: bool) -> (i64, String) {
    let role = if votes { "participant" } else { "observer" };
    (id, format!("10.0.0.{id}:2888:3888:{role};0.0.0.0:2181"))
}

const OPERATOR: &str = "super:secret";
/// Changes that wait for the operator to ask for them.
const CHANGES_MAX: usize = 3;
