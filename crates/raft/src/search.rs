//! How long a member knows no leader: said again and again, less and less often.

use crate::core::tell;
use crate::engine::{Raft, Role};
use base::{NodeId, Time};
use broadcast::Output;
use std::time::Duration;
use trace::Ensemble as Event;

/// Without a leader.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Search {
    since: Time,
    /// How long it lasts when it is said next.
    says_at: Duration,
}

impl Raft {
    /// Another time-out has passed without a leader.
    pub(crate) fn search_goes_on(&mut self, now: Time, out: &mut Vec<Output>) {
        let first = self.core.config.limits.election_timeout * QUIET_TIMEOUTS;
        let search = self.core.search.get_or_insert(Search { since: now, says_at: first });
        let lasts = now.since(search.since);
        if lasts < search.says_at {
            return;
        }
        search.says_at = lasts * 2;
        let configuration = self.core.configuration();
        let voters = configuration.members().filter(|node| configuration.is_voter(*node));
        let votes = |node: &NodeId| match &self.role {
            Role::Candidate(candidate) => candidate.has_vote_of(*node),
            Role::Follower(_) | Role::Leader(_) | Role::Silent => false,
        };
        let (voted, missing) = voters.partition(votes);
        let since_ms = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
        let round = self.core.term.cast_signed();
        tell(Event::ElectionStalled { round, since_ms, voted, missing }, out);
    }
}

/// Elections that fail so often in a row are nothing unusual.
const QUIET_TIMEOUTS: u32 = 4;
