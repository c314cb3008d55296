//! A member that does not vote: a learner, one that is removed or yet to be added, one whose disk
//! was lost.
//!
//! It follows like any other, and votes when it is asked: a candidate may know of a later
//! configuration in which it does. It never stands for election.

use crate::candidate::Campaign;
use crate::core::tell;
use crate::engine::{Raft, Role};
use base::Time;
use broadcast::{Output, View};
use trace::Ensemble as Event;

impl Raft {
    /// Whether this member may stand for election: it votes in its own configuration, or did in the
    /// one before while that is not known to be over, its disk was never lost, and no state is on
    /// its way in. Who is removed by an entry may be the only one that has it: it is needed until
    /// that is committed (dissertation, section 4.2.2).
    pub(crate) fn may_campaign(&self) -> bool {
        let (log, me) = (&self.core.log, self.core.me());
        let (index, now) = log.configuration();
        let voted = || index > log.committed() && log.configuration_at(index - 1).is_voter(me);
        let votes = now.is_voter(me) || voted();
        votes && !self.core.is_lost && self.core.fetching.is_none()
    }

    /// No leader was heard for long.
    pub(crate) fn election_due(&mut self, now: Time, out: &mut Vec<Output>) {
        match &mut self.role {
            Role::Leader(_) | Role::Silent => return,
            Role::Follower(follower) => {
                if let Some((leader, _)) = follower.leader {
                    tell(Event::LeaderLost { leader, reason: "it says nothing".to_owned() }, out);
                }
                follower.leader_lost();
            }
            Role::Candidate(_) => {}
        }
        self.search_goes_on(now, out);
        if self.may_campaign() {
            let pre = self.core.config.pre_vote;
            return self.campaign(if pre { Campaign::Pre } else { Campaign::Real }, now, out);
        }
        self.core.heard = None;
        self.core.say(View::Apart, out);
        self.core.reset_election(now);
    }
}
