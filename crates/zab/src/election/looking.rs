//! A member that looks for a leader.
//!
//! In: notifications. Out: notifications, and whom to follow. Source: the reference's
//! `FastLeaderElection`.

use super::count::{Votes, leader_knows, supporters};
use super::mesh::Mesh;
use super::vote::{Heard, State, Vote, notification};
use crate::core::{Core, NOT_INITIALISED, millis, tell};
use base::{NodeId, Time};
use broadcast::Output;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use trace::Ensemble as Event;
use wire::quorum::ServerState;

/// An election, from one member's side.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Looking {
    proposal: Vote,
    /// Since when it looks.
    began: Time,
    /// Of this round; and those of settled members.
    received: Votes,
    /// Those of settled members, of any round.
    settled: Votes,
    /// Of a member without a vote of its own: what each voter that looks said last, and when.
    joinable: BTreeMap<NodeId, (Heard, Time)>,
    /// When it goes back to an earlier round, if the voters are in that one still.
    back_at: Option<Time>,
    interval: Duration,
    /// When everybody is told again.
    resend_at: Time,
    /// A quorum agrees; a better vote may come until then.
    decide_at: Option<Time>,
}

/// How an election ended.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Decided {
    pub(crate) vote: Vote,
    pub(crate) supporters: BTreeSet<NodeId>,
}

impl Looking {
    /// Begins a new round.
    pub(crate) fn begin(
        core: &mut Core,
        mesh: &mut Mesh,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Looking {
        core.round += 1;
        let (epoch, zxid) = core.standing();
        tell(Event::ElectionStarted { round: core.round, zxid, epoch }, out);
        let interval = core.limits.notify_min;
        let mut looking = Looking {
            proposal: Vote::own(core),
            began: now,
            received: Votes::new(),
            settled: Votes::new(),
            joinable: BTreeMap::new(),
            back_at: None,
            interval,
            resend_at: now + interval,
            decide_at: None,
        };
        looking.propose(core, mesh, out);
        looking.weigh(core, mesh, now);
        looking
    }

    /// When it wants to be asked again.
    pub(crate) fn deadline(&self) -> Time {
        [self.decide_at, self.back_at].into_iter().flatten().fold(self.resend_at, Time::min)
    }

    /// Since when it looks.
    pub(crate) fn began(&self) -> Time {
        self.began
    }

    /// What it says of itself now.
    pub(crate) fn proposal(&self) -> Vote {
        self.proposal
    }

    /// Tells all voters, itself included.
    fn propose(&mut self, core: &mut Core, mesh: &mut Mesh, out: &mut Vec<Output>) {
        let message = notification(core, &self.proposal, core.round, ServerState::Looking);
        for voter in core.ensemble.voters() {
            if voter == core.me {
                let vote = self.own(core);
                self.received.insert(voter, vote);
            } else {
                mesh.send(core, voter, message.clone(), out);
            }
        }
    }

    fn own(&self, core: &Core) -> Heard {
        Heard { vote: self.proposal, round: core.round, state: State::Looking, version: 2 }
    }

    /// Time has passed.
    pub(crate) fn expired(
        &mut self,
        core: &mut Core,
        mesh: &mut Mesh,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Option<Decided> {
        self.join_voters(core, mesh, now, out);
        self.weigh(core, mesh, now);
        if let Some(decided) = self.decided(core, now) {
            return Some(decided);
        }
        if self.resend_at <= now {
            self.interval = (self.interval * 2).min(core.limits.notify_max);
            self.resend_at = now + self.interval;
            if self.interval >= STALLED_MIN {
                self.tell_stalled(core, now, out);
            }
            self.propose(core, mesh, out);
        }
        None
    }

    fn tell_stalled(&self, core: &Core, now: Time, out: &mut Vec<Output>) {
        let has_voted = |voter: &NodeId| self.received.contains_key(voter);
        let (voted, missing) = core.ensemble.voters().into_iter().partition(has_voted);
        let since_ms = millis(now.since(self.began));
        tell(Event::ElectionStalled { round: core.round, since_ms, voted, missing }, out);
    }

    /// A voter speaks.
    pub(crate) fn heard(
        &mut self,
        core: &mut Core,
        mesh: &mut Mesh,
        from: NodeId,
        heard: Heard,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Option<Decided> {
        self.joinable.remove(&from);
        match heard.state {
            State::Looking => self.heard_looking(core, mesh, from, heard, now, out),
            State::Following | State::Leading => {
                if let Some(decided) = self.heard_settled(core, from, heard) {
                    return Some(decided);
                }
            }
            State::Observing => return None,
        }
        self.weigh(core, mesh, now);
        self.decided(core, now)
    }

    fn heard_looking(
        &mut self,
        core: &mut Core,
        mesh: &mut Mesh,
        from: NodeId,
        heard: Heard,
        now: Time,
        out: &mut Vec<Output>,
    ) {
        let names_a_voter = heard.vote.zxid != NOT_INITIALISED && may_win(core, &heard.vote);
        if names_a_voter && Vote::own(core) == Vote::NONE {
            self.joinable.insert(from, (heard, now));
            self.join_voters(core, mesh, now, out);
        }
        if heard.round < core.round {
            // It is behind: it is told where we are, unless our round does not count.
            if !core.ensemble.is_voter(core.me) {
                return;
            }
            let message = notification(core, &self.proposal, core.round, ServerState::Looking);
            return mesh.send(core, from, message, out);
        }
        if !names_a_voter {
            return;
        }
        if heard.round > core.round {
            core.round = heard.round;
            self.received.clear();
            let own = Vote::own(core);
            self.proposal = if heard.vote.beats(&own, core) { heard.vote } else { own };
            self.changed(core, mesh, out);
        } else if heard.vote.beats(&self.proposal, core) {
            self.proposal = heard.vote;
            self.changed(core, mesh, out);
        }
        self.received.insert(from, heard);
    }

    /// A member without a vote of its own has no round of its own either: it is in the latest of
    /// those that voters are in from whom it hears, and says what they say. A voter may count it
    /// that knows of a later configuration, and would wait for it for ever. Of the voters' last words
    /// and not of each word as it comes: two that do not hear each other would drag it to and fro.
    /// And back only after a pause: two that have no vote would follow each other to and fro, as fast
    /// as the link can. Deviation: the reference never goes back to an earlier round.
    fn join_voters(&mut self, core: &mut Core, mesh: &mut Mesh, now: Time, out: &mut Vec<Output>) {
        let lasts = core.limits.notify_max * 2;
        self.joinable.retain(|voter, (_, at)| mesh.is_linked(*voter) && now.since(*at) <= lasts);
        let words = self.joinable.iter().map(|(voter, (heard, _))| (*voter, *heard));
        let round = words.clone().map(|(_, heard)| heard.round).max();
        let Some(round) = round.filter(|round| *round != core.round) else {
            self.back_at = None;
            return;
        };
        let pause = core.limits.notify_min;
        if round < core.round && *self.back_at.get_or_insert(now + pause) > now {
            return;
        }
        self.back_at = None;
        core.round = round;
        self.received = words.filter(|(_, heard)| heard.round == round).collect();
        let votes = self.received.values().map(|heard| heard.vote);
        let better = |best: Vote, vote: Vote| if vote.beats(&best, core) { vote } else { best };
        self.proposal = votes.fold(Vote::NONE, better);
        self.changed(core, mesh, out);
    }

    fn changed(&mut self, core: &mut Core, mesh: &mut Mesh, out: &mut Vec<Output>) {
        self.decide_at = None;
        let Vote { leader, zxid, epoch } = self.proposal;
        tell(Event::VoteChanged { round: core.round, leader, zxid, epoch }, out);
        self.propose(core, mesh, out);
    }

    /// A leader that others follow already has its quorums: that those who name it are one of the
    /// committed configuration is enough, for a later one that this member alone has seen may
    /// ask for this member itself. Deviation: the reference asks for both, and stays outside.
    fn heard_settled(&mut self, core: &mut Core, from: NodeId, heard: Heard) -> Option<Decided> {
        if !may_win(core, &heard.vote) {
            return None;
        }
        let leader = heard.vote.leader;
        if heard.round == core.round {
            self.received.insert(from, heard);
            let supporters = supporters(&self.received, &heard);
            if core.ensemble.is_committed_quorum(&supporters)
                && leader_knows(core, &self.received, leader, heard.round)
            {
                return Some(Decided { vote: heard.vote, supporters });
            }
        }
        self.settled.insert(from, heard);
        let supporters = supporters(&self.settled, &heard);
        if core.ensemble.is_committed_quorum(&supporters)
            && leader_knows(core, &self.settled, leader, heard.round)
        {
            core.round = heard.round;
            return Some(Decided { vote: heard.vote, supporters });
        }
        None
    }

    /// Whether a quorum agrees, and how long a better vote is waited for.
    fn weigh(&mut self, core: &Core, mesh: &Mesh, now: Time) {
        let supporters = supporters(&self.received, &self.own(core));
        if !core.ensemble.is_quorum(&supporters) {
            self.decide_at = None;
            return;
        }
        let nobody_else = core.ensemble.voters().iter().all(|voter| {
            supporters.contains(voter) || *voter == core.me || mesh.is_out_of_reach(*voter)
        });
        let latest = if nobody_else { now } else { now + core.limits.finalize_wait };
        self.decide_at = Some(self.decide_at.map_or(latest, |at| at.min(latest)));
    }

    fn decided(&self, core: &Core, now: Time) -> Option<Decided> {
        self.decide_at.filter(|at| *at <= now)?;
        let supporters = supporters(&self.received, &self.own(core));
        Some(Decided { vote: self.proposal, supporters })
    }
}

/// Whether this vote names a voter, and not this member while that has no vote for itself: then it
/// is for what the member was before its disk was lost, and would make it lead with nothing.
/// Deviation: the reference takes it.
fn may_win(core: &Core, vote: &Vote) -> bool {
    core.ensemble.is_voter(vote.leader) && (vote.leader != core.me || Vote::own(core) != Vote::NONE)
}

/// From this time between two rounds of notifications on, each round is worth a line.
const STALLED_MIN: Duration = Duration::from_secs(3);
