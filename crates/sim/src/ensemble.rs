//! What a seed draws for members among others, and what follows from it for each of them.

use crate::chance::log_uniform;
use crate::engines::{Setup, draw_limits, membership};
use crate::net::Manners;
use crate::options::{Fault, Options};
use crate::reconfigure::operator_id;
use crate::strikes::{self, Strike};
use base::{NodeId, Rng};
use check::Configuration;
use keeper::LocalSessions;
use node::{EngineConfig, RaftConfig, RecentLimits};
use std::time::Duration;
use wire::quorum::Membership;
use zab::Limits;

/// An ensemble's parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ensemble {
    /// Who is in it.
    pub setup: Setup,
    /// The engine's times and sizes.
    pub limits: Limits,
    /// Those of Raft, if that is the engine.
    pub raft: Option<raft::Limits>,
    /// The faults, by time.
    pub strikes: Vec<Strike<Fault>>,
    /// Mean time on a link between members.
    pub latency: Duration,
    /// How often a stream is cut between two reads, in percent.
    pub cuts: u64,
    /// Bytes of a piece of a state that is sent.
    pub piece: usize,
    /// Whether only a quorum is healed at the end, and the others stay as they are.
    pub core_only: bool,
    /// Who may join: each begins with an empty disk, and as a voter or as an observer.
    pub joiners: Vec<(NodeId, bool)>,
    /// Whether the members can change.
    pub reconfig: bool,
    /// Whether sessions may be known to one member alone.
    pub local_sessions: LocalSessions,
    /// After how long without others a member serves reads alone.
    pub read_only_after: Option<Duration>,
    /// How many of the clients want linearizable reads, in percent.
    pub linearizable: u64,
}

impl Ensemble {
    /// Three to five voters, sometimes observers.
    fn draw(rng: &mut Rng) -> (Ensemble, Duration) {
        let voters = *rng.pick(&[3, 3, 3, 4, 5, 5]);
        let observers = *rng.pick(&[0, 0, 0, 1, 2]);
        let nodes = |from: u64, count: u64| (from..from + count).map(NodeId).collect();
        let setup = Setup {
            voters: nodes(1, voters),
            observers: nodes(voters + 1, observers),
            groups: Vec::new(),
            spares: Vec::new(),
            changes: false,
        };
        let tick = Duration::from_millis(*rng.pick(&[40, 100, 100, 400]));
        let limits = draw_limits(tick, rng);
        let unit = limits.sync_time().as_nanos() as u64;
        let duration = unit * rng.between(8, 25);
        let strikes = strikes::draw(rng, &Fault::AMONG_OTHERS, unit, duration);
        let changes = strikes.iter().any(|strike| strike.fault == Fault::Reconfigure);
        let others = if changes { rng.between(0, 2) } else { 0 };
        let first = voters + observers + 1;
        let joiners = (first..first + others).map(|id| (NodeId(id), rng.one_in(2))).collect();
        let ensemble = Ensemble {
            local_sessions: LocalSessions::Off,
            read_only_after: None,
            linearizable: 0,
            joiners,
            reconfig: changes || rng.one_in(8),
            setup,
            limits,
            raft: None,
            strikes,
            latency: Duration::from_nanos(log_uniform(rng, 20_000, unit / 40)),
            cuts: *rng.pick(&[0, 5, 50]),
            piece: *rng.pick(&[1, 200, 5000]),
            core_only: rng.percent(30),
        };
        (ensemble, Duration::from_nanos(duration))
    }

    /// Disks are lost, and damaged.
    fn draw_damage(&mut self, rng: &mut Rng, duration: Duration) {
        let unit = self.limits.sync_time().as_nanos() as u64;
        let duration = duration.as_nanos() as u64;
        self.strikes.extend(strikes::draw(rng, &Fault::OF_DISKS, unit, duration));
        self.strikes.sort_by_key(|strike| strike.at);
    }

    /// What is over ZooKeeper's broadcast alone: how members serve.
    fn draw_more(&mut self, rng: &mut Rng) {
        let unit = self.limits.sync_time().as_nanos() as u64;
        self.local_sessions = match rng.below(7) {
            0 => LocalSessions::Fixed,
            1 | 2 => LocalSessions::Upgradable,
            _ => LocalSessions::Off,
        };
        let reads_alone = rng.percent(30);
        let after = Duration::from_nanos(log_uniform(rng, unit / 10, unit * 2));
        self.read_only_after = reads_alone.then_some(after);
        self.linearizable = *rng.pick(&[0, 40, 100]);
    }

    /// All that may ever be members: those at first, voters first, and those that may join.
    #[must_use]
    pub fn everyone(&self) -> Vec<NodeId> {
        let joiners = self.joiners.iter().map(|(node, _)| *node);
        self.setup.members().into_iter().chain(joiners).collect()
    }

    /// The ensemble as it begins, as its members know it, and one that may join itself as well.
    fn membership(&self, node: NodeId) -> Membership {
        let mut setup = self.setup.clone();
        let joiner = self.joiners.iter().find(|(joiner, _)| *joiner == node);
        if let Some((_, votes)) = joiner {
            let place = if *votes { &mut setup.voters } else { &mut setup.observers };
            place.push(node);
        }
        membership(&setup)
    }

    /// The same as a list of servers.
    pub(crate) fn configuration(&self, node: NodeId) -> Option<Configuration> {
        Configuration::parse(&self.membership(node).to_string())
    }
}

impl Options {
    /// The faults that are planned.
    #[must_use]
    pub fn strikes(&self) -> &[Strike<Fault>] {
        self.ensemble.as_ref().map_or(&[], |ensemble| &ensemble.strikes)
    }

    /// The same with only these of its planned faults.
    #[must_use]
    pub fn with_strikes(&self, kept: &[usize]) -> Options {
        let mut options = self.clone();
        if let Some(ensemble) = &mut options.ensemble {
            let all = std::mem::take(&mut ensemble.strikes);
            ensemble.strikes = kept.iter().filter_map(|at| all.get(*at).copied()).collect();
        }
        options
    }

    /// What the seed says for an ensemble.
    #[must_use]
    pub fn draw_ensemble(rng: &mut Rng) -> Options {
        let mut options = Options::draw_members(rng);
        if let Some(ensemble) = &mut options.ensemble {
            ensemble.draw_more(rng);
        }
        options
    }

    /// The same, and disks are lost and damaged while a quorum keeps its own.
    #[must_use]
    pub fn draw_damaged(rng: &mut Rng) -> Options {
        let mut options = Options::draw_ensemble(rng);
        if let Some(ensemble) = &mut options.ensemble {
            ensemble.draw_damage(rng, options.duration);
        }
        options
    }

    /// The same, whatever the engine.
    fn draw_members(rng: &mut Rng) -> Options {
        let (ensemble, duration) = Ensemble::draw(rng);
        let alone = Options::draw(rng);
        let unit = ensemble.limits.sync_time().as_nanos() as u64;
        Options {
            faults: Vec::new(),
            duration,
            clients: rng.between(2, 6) as u32,
            think: Duration::from_nanos(log_uniform(rng, unit / 50, unit / 4)),
            window: log_uniform(rng, 1, 8) as u32,
            tick: ensemble.limits.tick,
            ensemble: Some(ensemble),
            ..alone
        }
    }

    /// The same over Raft.
    #[must_use]
    pub fn draw_over_raft(rng: &mut Rng) -> Options {
        let mut options = Options::draw_members(rng);
        if let Some(ensemble) = &mut options.ensemble {
            ensemble.raft = Some(draw_raft(ensemble.limits.tick, rng));
        }
        options
    }

    /// Whether the engine is Raft.
    pub(crate) fn over_raft(&self) -> bool {
        self.ensemble.as_ref().is_some_and(|ensemble| ensemble.raft.is_some())
    }

    /// A member's service.
    pub(crate) fn keeper(&self, node: NodeId) -> keeper::Config {
        let mut config = keeper::Config::standalone();
        config.tick = self.tick;
        config.session_timeout_min = self.tick * 2;
        config.session_timeout_max = self.tick * 20;
        config.owners.extended_types = self.ttl_nodes;
        config.reaper.interval = self.tick * 3;
        if let Some(ensemble) = &self.ensemble {
            config.alone = false;
            config.local_sessions = ensemble.local_sessions;
            config.read_only_after = ensemble.read_only_after;
            config.reconfig_enabled = self.reconfig();
            config.auth.super_digest = Some(operator_id());
            config.server_id = node.0 as u8;
        }
        config
    }

    /// A member's engine; its disk has kept the configuration in force and one that was seen, if
    /// they are not the first.
    pub(crate) fn engine(&self, node: NodeId, kept: [Option<Membership>; 2]) -> EngineConfig {
        let Some(ensemble) = &self.ensemble else { return EngineConfig::Solo };
        if let Some(limits) = ensemble.raft {
            // Who may join begins without a part in it.
            let first = membership(&ensemble.setup);
            let known = ensemble.membership(node);
            let own = known.server(node.0.cast_signed()).expect("it knows itself");
            let mut config = RaftConfig::new(own, 1, first).expect("there are voters");
            config.engine.limits = limits;
            return EngineConfig::Raft(Box::new(config));
        }
        let [committed, last_seen] = kept;
        EngineConfig::Zab(Box::new(zab::Config {
            me: node,
            committed: committed.unwrap_or_else(|| ensemble.membership(node)),
            observer_port: None,
            last_seen,
            reconfig: ensemble.reconfig,
            multi_address: false,
            listen_on_all: false,
            limits: ensemble.limits,
        }))
    }

    /// Who is in the ensemble at first; none of a server alone.
    pub(crate) fn configuration(&self) -> Option<Configuration> {
        Configuration::parse(&membership(&self.ensemble.as_ref()?.setup).to_string())
    }

    /// Whether sessions may be known to one member alone.
    pub(crate) fn local_sessions(&self) -> LocalSessions {
        self.ensemble.as_ref().map_or(LocalSessions::Off, |ensemble| ensemble.local_sessions)
    }

    /// Whether the members can change.
    pub(crate) fn reconfig(&self) -> bool {
        self.ensemble.as_ref().is_some_and(|ensemble| ensemble.reconfig)
    }

    /// What a member keeps of its log for others.
    pub(crate) fn recent(&self) -> RecentLimits {
        match &self.ensemble {
            None => RecentLimits::NONE,
            Some(Ensemble { limits, .. }) => {
                RecentLimits { entries: limits.recent_entries, bytes: limits.recent_bytes }
            }
        }
    }

    /// How the net is.
    pub(crate) fn manners(&self) -> Manners {
        let (latency, patience, cuts) = match &self.ensemble {
            None => (Duration::ZERO, Duration::ZERO, 0),
            Some(ensemble) => (ensemble.latency, ensemble.limits.sync_time(), ensemble.cuts),
        };
        Manners { latency, patience, cuts }
    }

    /// In how much time everyone must be served when all is mended.
    pub(crate) fn settles_within(&self) -> Duration {
        let alone = Duration::from_secs(60);
        let members = self.ensemble.as_ref();
        let patience = |ensemble: &Ensemble| match &ensemble.raft {
            Some(limits) => limits.election_timeout * 100,
            None => crate::engines::settles_within(&ensemble.limits),
        };
        members.map_or(alone, |ensemble| patience(ensemble) + alone)
    }
}

/// Raft's times and sizes, where a tick is the time of a session's.
fn draw_raft(tick: Duration, rng: &mut Rng) -> raft::Limits {
    let election_timeout = tick * *rng.pick(&[2, 4, 10]);
    raft::Limits {
        election_timeout,
        // What replicas hear of sessions comes with it.
        heartbeat: (election_timeout / *rng.pick(&[4, 10])).min(tick / 2),
        connect_retry: election_timeout / 10,
        opening: election_timeout * 4,
        snapshot_patience: election_timeout * 10,
        append_size_max: *rng.pick(&[300, 5000, 1 << 20]),
        inflight_max: *rng.pick(&[3, 256]),
        recent_entries: *rng.pick(&[1, 20, 500]),
        ..raft::Limits::default()
    }
}
