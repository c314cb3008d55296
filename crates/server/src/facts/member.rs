//! What words tell of a member's place in its ensemble.

use super::Facts;
use crate::standing::Standing;
use base::{SessionId, Time};
use keeper::{Expiry, Keeper};
use metrics::{LeaderGauges, Sizes};
use node::Status;
use wire::quorum::{PeerAddress, Role};
use words::{Buckets, MemberConf, Mode, Sessions};

impl Facts<'_> {
    /// What the server is, for words that are only answered while it is something.
    pub(super) fn known_mode(&self) -> Mode {
        self.mode.unwrap_or(Mode::Standalone)
    }

    pub(super) fn leads(&self) -> bool {
        self.mode == Some(Mode::Leader)
    }

    fn status(&self) -> Option<&Status> {
        self.standing.as_ref().map(|standing| &standing.status)
    }

    /// As in the reference, a read-only server does not speak of its ensemble.
    pub(super) fn peer_state(&self) -> Option<String> {
        self.standing_among_others().map(Standing::peer_state)
    }

    fn standing_among_others(&self) -> Option<&Standing> {
        self.standing.as_deref().filter(|_| self.mode != Some(Mode::ReadOnly))
    }

    /// Whom an observer follows.
    pub(super) fn observer_master_id(&self) -> Option<i64> {
        let master = self.status().filter(|_| self.mode == Some(Mode::Observer))?.master?;
        Some(master.0.cast_signed())
    }

    /// How many observers a follower serves that takes any.
    pub(super) fn synced_observers(&self) -> Option<i64> {
        let status = self.status().filter(|status| status.serves_observers)?;
        Some(number(status.observers.len()))
    }

    pub(super) fn quorum_size(&self) -> Option<i64> {
        let standing = self.standing_among_others()?;
        Some(number(standing.status.configuration.voters().count()))
    }

    pub(super) fn leader_gauges(&self, proposal_sizes: Sizes) -> Option<LeaderGauges> {
        let status = self.status().filter(|_| self.leads())?;
        let votes = |id: u64| status.configuration.is_voter(id.cast_signed());
        let voters = status.followers.iter().filter(|follower| votes(follower.0)).count();
        Some(LeaderGauges {
            learners: number(status.learners),
            synced_followers: number(status.followers.len()),
            synced_non_voting_followers: number(status.followers.len() - voters),
            synced_observers: number(status.observers.len()),
            pending_syncs: number(status.pending_syncs),
            leader_uptime: self.uptime_ms(),
            proposal_sizes,
        })
    }

    /// How long it has served without a break.
    pub(super) fn uptime_ms(&self) -> i64 {
        let since = match &self.standing {
            None => Some(Time::ZERO),
            Some(standing) => standing.serving_since.or(standing.read_only_since),
        };
        let now = self.service.clock.now();
        let uptime = now.since(since.unwrap_or(now));
        i64::try_from(uptime.as_millis()).unwrap_or(i64::MAX)
    }

    /// Sessions as this server knows them: who decides about them knows when they expire.
    pub(super) fn sessions(&self) -> Sessions {
        if matches!(self.mode, Some(Mode::Follower | Mode::Observer | Mode::ReadOnly)) {
            let tree = self.service.hub.tree();
            let mut sessions: Vec<(SessionId, i32)> = tree.sessions().collect();
            sessions.sort_unstable();
            return Sessions::Known(sessions);
        }
        Sessions::Tracked(self.buckets(Keeper::expiry))
    }

    /// Sessions that only this server knows; `None` if there are no such sessions.
    pub(super) fn local_sessions(&self) -> Option<Buckets<SessionId>> {
        self.has_local_sessions().then(|| self.buckets(Keeper::local_sessions))
    }

    pub(super) fn local_sessions_count(&self) -> i64 {
        if !self.has_local_sessions() {
            return 0; // without a look at the member, which may wait for the disk
        }
        number(self.service.look(|driver| driver.member.keeper().local_sessions().len()))
    }

    fn has_local_sessions(&self) -> bool {
        self.mode == Some(Mode::ReadOnly) || self.service.settings.has_local_sessions()
    }

    fn buckets(&self, sessions: fn(&Keeper) -> &Expiry) -> Buckets<SessionId> {
        let clock = &self.service.clock;
        Buckets(self.service.look(|driver| {
            let buckets = sessions(driver.member.keeper()).buckets();
            buckets.map(|(at, set)| (clock.wall_at(at), set.iter().copied().collect())).collect()
        }))
    }

    pub(super) fn member_conf(&self) -> Option<MemberConf> {
        let ensemble = self.service.settings.config.ensemble.as_ref()?;
        let configuration = self.status().map_or(&ensemble.committed, |s| &s.configuration);
        let own = configuration.server(ensemble.me.0.cast_signed()).unwrap_or(ensemble.own());
        let ports = |port: fn(&PeerAddress) -> u16| own.addresses().iter().map(port).collect();
        Some(MemberConf {
            init_limit: i64::from(ensemble.times.init_ticks),
            sync_limit: i64::from(ensemble.times.sync_ticks),
            election_ports: ports(|address| address.election_port),
            quorum_ports: ports(|address| address.quorum_port),
            is_observer: own.role() == Role::Observer,
            membership: (self.mode != Some(Mode::ReadOnly)).then(|| configuration.to_string()),
        })
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
