//! A member's place in its ensemble, as those who ask are told, and what it counts on its way there.
//!
//! All of it comes from the events of the ensemble: a change of role or of learners always has one.

use crate::counters::{Counters, millis};
use base::{NodeId, Time, Zxid};
use metrics::{Metrics, Sizes};
use node::{Role, Status};
use std::collections::BTreeMap;
use trace::{Ensemble as Event, SyncMethod};
use words::Mode;

/// A member at a moment.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) status: Status,
    /// Since when it serves; `None` if it does not.
    pub(crate) serving_since: Option<Time>,
    /// Since when it serves reads alone, because it finds no quorum; `None` if it does not.
    pub(crate) read_only_since: Option<Time>,
}

impl Standing {
    /// What it is for clients; `None` if it has none.
    pub(crate) fn mode(&self, leader_serves: bool) -> Option<Mode> {
        if !self.status.serving {
            return self.read_only_since.map(|_| Mode::ReadOnly);
        }
        match self.status.role {
            Role::Leading => leader_serves.then_some(Mode::Leader),
            Role::Following => Some(Mode::Follower),
            Role::Observing => Some(Mode::Observer),
            Role::Looking | Role::Silent => None,
        }
    }

    /// The same member when its service has ended.
    pub(crate) fn without_service(&self) -> Standing {
        let status = Status { serving: false, ..self.status.clone() };
        Standing { status, serving_since: None, read_only_since: None }
    }

    /// The reference's name for what it does and how far it is.
    pub(crate) fn peer_state(&self) -> String {
        let Status { role, serving, synchronizing, method, .. } = &self.status;
        let role = match role {
            Role::Looking | Role::Silent => return "looking".to_owned(),
            Role::Following => "following",
            Role::Observing => "observing",
            Role::Leading => "leading",
        };
        match (serving, synchronizing, method) {
            (true, _, _) => format!("{role} - broadcast"),
            (false, true, Some(method)) => {
                format!("{role} - synchronization - {}", method.name().to_lowercase())
            }
            (false, true, None) => format!("{role} - synchronization"),
            (false, false, _) => format!("{role} - discovery"),
        }
    }
}

/// Times on the way from one role to the next.
#[derive(Debug, Default)]
pub(crate) struct Journey {
    looking_since: Option<Time>,
    promised_at: Option<Time>,
    unavailable_since: Option<Time>,
    serving_since: Option<Time>,
    read_only_since: Option<Time>,
    /// Learners that are being synchronized.
    in_flight: BTreeMap<NodeId, SyncMethod>,
    /// What is decided, as far as it is counted.
    counted: Zxid,
}

impl Journey {
    /// The member at this moment.
    pub(crate) fn standing(&self, status: Status) -> Standing {
        let Journey { serving_since, read_only_since, .. } = *self;
        Standing { status, serving_since, read_only_since }
    }

    /// It begins to serve reads alone, or ends to.
    pub(crate) fn reads_only(&mut self, since: Option<Time>) {
        self.read_only_since = since;
    }

    /// Counts what has happened to a member that is there now.
    pub(crate) fn happened(
        &mut self,
        event: &Event,
        status: &Status,
        now: Time,
        counters: &mut Counters,
    ) {
        let role = status.role;
        let Metrics { counters: counts, summaries, .. } = &mut counters.metrics;
        match event {
            Event::ElectionStarted { .. } => {
                counts.looking_count += 1;
                self.looking_since = Some(now);
                self.apart(now);
            }
            Event::ElectionDecided { .. } => {
                let since = self.looking_since.take();
                // As in the reference, an observer has no elections.
                if let Some(since) = since.filter(|_| role != Role::Observing) {
                    summaries.election_time.record(millis(now.since(since)));
                }
            }
            Event::EpochPromised { .. } => self.promised_at = Some(now),
            Event::LearnerSynced { learner, method, .. } => {
                match method {
                    SyncMethod::Snap => counts.snap_count += 1,
                    SyncMethod::Diff | SyncMethod::Trunc => counts.diff_count += 1,
                }
                self.in_flight.insert(*learner, *method);
                self.count_in_flight(*method, &mut counters.metrics);
            }
            Event::LearnerJoined { learner } | Event::LearnerLost { learner, .. } => {
                if let Some(method) = self.in_flight.remove(learner) {
                    self.count_in_flight(method, &mut counters.metrics);
                }
            }
            Event::Established { .. } => {
                let took = self.serves(now);
                summaries.unavailable_time.record(took);
                summaries.leader_unavailable_time.record(took);
                counters.proposal_sizes = Sizes::default();
                self.counted = status.committed;
            }
            Event::Joined { .. } => {
                let synced = millis(now.since(self.promised_at.take().unwrap_or(now)));
                match role {
                    Role::Observing => summaries.observer_sync_time.record(synced),
                    Role::Following | Role::Leading | Role::Looking | Role::Silent => {
                        summaries.follower_sync_time.record(synced);
                    }
                }
                summaries.unavailable_time.record(self.serves(now));
                self.counted = status.committed; // it came with the synchronization
            }
            Event::VoterChangedMind { .. } => counts.quit_leading_due_to_disloyal_voter += 1,
            Event::SteppedDown { .. } | Event::LeaderLost { .. } => self.apart(now),
            Event::VoteChanged { .. }
            | Event::ElectionStalled { .. }
            | Event::EpochProposed { .. }
            | Event::EpochAgreed { .. }
            | Event::LinkRefused { .. }
            | Event::ListenFailed { .. }
            | Event::ConfigurationChanged { .. } => {}
        }
    }

    /// Counts what was decided since the last time, by a member that serves as `role`.
    pub(crate) fn decided(&mut self, upto: Zxid, role: Option<Role>, counters: &mut Counters) {
        let before = std::mem::replace(&mut self.counted, upto);
        let goes_on = before.epoch() == upto.epoch();
        let from = if goes_on { before.counter() } else { 0 };
        let count = u64::from(upto.counter().saturating_sub(from));
        let counts = &mut counters.metrics.counters;
        match role {
            Some(Role::Leading) => counts.commit_count += count,
            Some(Role::Following | Role::Observing) => {
                counts.learner_commit_received_count += count;
            }
            Some(Role::Looking | Role::Silent) | None => {}
        }
    }

    /// Whether something was decided that is not counted.
    pub(crate) fn is_behind(&self, upto: Zxid) -> bool {
        self.counted != upto
    }

    fn apart(&mut self, now: Time) {
        self.unavailable_since.get_or_insert(now);
        (self.serving_since, self.promised_at) = (None, None);
        self.in_flight.clear();
    }

    /// It serves from now on; gives the milliseconds in which it did not.
    fn serves(&mut self, now: Time) -> u64 {
        self.serving_since = Some(now);
        millis(now.since(self.unavailable_since.take().unwrap_or(now)))
    }

    fn count_in_flight(&self, method: SyncMethod, metrics: &mut Metrics) {
        let is_snap = |method: &SyncMethod| *method == SyncMethod::Snap;
        let same = self.in_flight.values().filter(|other| is_snap(other) == is_snap(&method));
        let count = same.count() as u64;
        let summaries = &mut metrics.summaries;
        match method {
            SyncMethod::Snap => summaries.inflight_snap_count.record(count),
            SyncMethod::Diff | SyncMethod::Trunc => summaries.inflight_diff_count.record(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, Journey, Role, Status};
    use crate::counters::Counters;
    use crate::hub::{Hub, SharedHub};
    use crate::published::Published;
    use base::{NodeId, Time, Zxid};
    use node::Shared;
    use std::sync::Arc;
    use std::time::Duration;
    use trace::SyncMethod;
    use tree::Tree;
    use wire::quorum::Membership;
    use words::Mode;

    fn status(role: Role, serving: bool, committed: i64) -> Status {
        Status {
            role,
            leader: None,
            master: None,
            serves_observers: false,
            serving,
            synchronizing: false,
            method: None,
            committed: Zxid(committed),
            followers: Vec::new(),
            observers: Vec::new(),
            learners: 0,
            pending_syncs: 0,
            configuration: Membership::default(),
        }
    }

    fn at(ms: u64) -> Time {
        Time::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn the_state_of_a_peer_has_the_references_words() {
        let journey = Journey::default();
        let state = |status: Status| journey.standing(status).peer_state();
        assert_eq!(state(status(Role::Looking, false, 0)), "looking");
        assert_eq!(state(status(Role::Leading, false, 0)), "leading - discovery");
        let syncing = Status { synchronizing: true, ..status(Role::Leading, false, 0) };
        assert_eq!(state(syncing), "leading - synchronization");
        let method = Some(SyncMethod::Diff);
        let syncing = Status { synchronizing: true, method, ..status(Role::Following, false, 0) };
        assert_eq!(state(syncing), "following - synchronization - diff");
        assert_eq!(state(status(Role::Observing, true, 0)), "observing - broadcast");
    }

    #[test]
    fn a_leader_that_is_not_to_serve_is_nothing_for_clients() {
        let standing = Journey::default().standing(status(Role::Leading, true, 0));
        assert_eq!((standing.mode(true), standing.mode(false)), (Some(Mode::Leader), None));
        let standing = Journey::default().standing(status(Role::Following, true, 0));
        assert_eq!(standing.mode(false), Some(Mode::Follower));
        let standing = Journey::default().standing(status(Role::Following, false, 0));
        assert_eq!(standing.mode(true), None);
    }

    #[test]
    fn whoever_asks_hears_that_nobody_is_served_before_a_client_is_closed() {
        let published = Arc::new(Published::default());
        let hub = Arc::new(Hub::new(Tree::new(tree::Config::default())));
        let shared = SharedHub { hub, published: Arc::clone(&published) };
        let mode = || published.standing().unwrap().mode(true);
        let mut journey = Journey::default();
        published.stands(journey.standing(status(Role::Following, true, 0)));
        assert_eq!(mode(), Some(Mode::Follower));
        shared.write(|_, _, clients| clients.close_all());
        assert_eq!(mode(), None);
        journey.reads_only(Some(at(1)));
        published.stands(journey.standing(status(Role::Looking, false, 0)));
        assert_eq!(mode(), Some(Mode::ReadOnly));
        shared.write(|_, _, clients| clients.close_all());
        assert_eq!(mode(), None);
    }

    #[test]
    fn times_count_from_the_loss_of_a_leader_and_commits_from_the_synchronization() {
        let (mut journey, mut counters) = (Journey::default(), Counters::default());
        let (leader, start) = (NodeId(2), 5 << 32);
        let looking = status(Role::Looking, false, 0);
        let lost = Event::LeaderLost { leader, reason: String::new() };
        journey.happened(&lost, &looking, at(100), &mut counters);
        let started = Event::ElectionStarted { round: 2, zxid: Zxid(0), epoch: 4 };
        journey.happened(&started, &looking, at(110), &mut counters);
        let following = status(Role::Following, false, 0);
        let decided = Event::ElectionDecided {
            round: 2,
            leader,
            zxid: Zxid(0),
            epoch: 4,
            supporters: Vec::new(),
            unreachable: Vec::new(),
            took_ms: 30,
        };
        journey.happened(&decided, &following, at(140), &mut counters);
        let promised = Event::EpochPromised { leader, epoch: 5 };
        journey.happened(&promised, &following, at(150), &mut counters);
        let serving = status(Role::Following, true, start + 3);
        let joined = Event::Joined { leader, epoch: 5, method: SyncMethod::Diff };
        journey.happened(&joined, &serving, at(170), &mut counters);
        assert_eq!(journey.standing(serving).serving_since, Some(at(170)));
        journey.decided(Zxid(start + 5), Some(Role::Following), &mut counters);
        let metrics = &counters.metrics;
        assert_eq!(metrics.summaries.election_time.sum(), 30);
        assert_eq!(metrics.summaries.follower_sync_time.sum(), 20);
        assert_eq!(metrics.summaries.unavailable_time.sum(), 70);
        assert_eq!(metrics.summaries.leader_unavailable_time.count(), 0);
        assert_eq!(metrics.counters.looking_count, 1);
        assert_eq!(metrics.counters.learner_commit_received_count, 2);
    }
}
