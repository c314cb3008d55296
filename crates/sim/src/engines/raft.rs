//! Raft under test: how it is recovered, and what its frames say.

use crate::engines::change::Members;
use crate::engines::disk::Durable;
use crate::engines::options::Fault;
use crate::engines::payload;
use crate::engines::subject::{Changes, Claim, Observation, Registers, Setup, Subject};
use base::{NodeId, Rng, Time, Zxid};
use broadcast::{Addresses, Channel, Output};
use bytes::Bytes;
use raft::{
    Config, Configuration, HISTORY, Lease, Limits, PEERS, Promise, Raft, Role, TERM, VOTE,
    VOTE_TERM,
};
use std::time::Duration;

/// The engine with its drawn parameters.
#[derive(Clone, Debug)]
pub struct RaftSubject {
    initial: Configuration,
    limits: Limits,
    pre_vote: bool,
    lease: Option<Lease>,
}

impl Subject for RaftSubject {
    type Engine = Raft;
    const NAME: &'static str = "raft";
    /// What was never committed may be void, and its place another entry's.
    const UNIQUE_PLACES: bool = false;
    const LOST_FOR_EVER: bool = true;
    const CHANGES: Changes = Changes::Always;
    const TURNS_BACK: bool = true;
    const READS_AT_REPLICAS: bool = true;
    const RANKED_BY_LOG: bool = true;

    fn draw(setup: &Setup, rng: &mut Rng) -> RaftSubject {
        let election_timeout = Duration::from_millis(*rng.pick(&[100, 400, 1000, 4000]));
        let limits = Limits {
            election_timeout,
            heartbeat: election_timeout / *rng.pick(&[4, 10]),
            connect_retry: election_timeout / 10,
            opening: election_timeout * 4,
            snapshot_patience: election_timeout * 10,
            append_size_max: *rng.pick(&[1, 300, 1 << 20]),
            inflight_max: *rng.pick(&[1, 3, 256]),
            inflight_bytes_max: *rng.pick(&[100, 64 << 20]),
            uncommitted_bytes_max: *rng.pick(&[300, 5000, usize::MAX]),
            recent_entries: *rng.pick(&[1, 3, 20, 500]),
            ..Limits::default()
        };
        // Clocks go at half or at double speed.
        let lease = rng.one_in(4).then_some(Lease { drift_percent: 300 });
        RaftSubject { initial: configuration(setup), limits, pre_vote: !rng.one_in(8), lease }
    }

    fn recover(
        &self,
        node: NodeId,
        durable: &Durable,
        now: Time,
        rng: &mut Rng,
        out: &mut Vec<Output>,
    ) -> Raft {
        let limits = self.limits;
        let mut config = Config::new(node, 1, self.initial.clone());
        (config.limits, config.pre_vote, config.lease) = (limits, self.pre_vote, self.lease);
        config.listen = [Setup::address(node, PEERS)].into();
        config.names = |item| payload::change(item).map(|members| named(&members));
        let register = |name| durable.registers.get(name).copied().unwrap_or(0);
        let found = raft::Durable {
            term: register(TERM),
            vote: register(VOTE),
            vote_term: register(VOTE_TERM),
            bases: durable.bases.clone(),
            slots: durable.slots.clone(),
            applied: self.replayed(durable),
            is_lost: durable.lost,
            history: register(HISTORY).cast_unsigned(),
        };
        Raft::recover(config, found, rng.fork(), now, out)
            .expect("the disk keeps what it was given")
    }

    /// No lease outlasts a clock that jumps.
    fn bears(&self, fault: Fault) -> bool {
        self.lease.is_none() || fault != Fault::ClockJump
    }

    fn may_reconfigure(&self, engine: &Raft, _target: &Members) -> bool {
        engine.may_reconfigure()
    }

    fn patience(&self) -> Duration {
        self.limits.election_timeout * 2
    }

    fn settles_within(&self) -> Duration {
        self.limits.election_timeout * 100
    }

    /// The log does not say what of it is committed: the state begins with its snapshot.
    fn replayed(&self, durable: &Durable) -> Zxid {
        durable.snapshot.map_or(Zxid::ZERO, |(at, _)| at)
    }

    fn becalm(&self, node: NodeId, engine: &mut Raft) {
        engine.reseed(Rng::new(node.0));
    }

    fn observe(&self, engine: &Raft) -> Option<Observation> {
        let status = engine.status();
        Some(Observation {
            accepted: status.term.cast_signed(),
            current: status.term.cast_signed(),
            established: status.role == Role::Leader,
            logged: status.last,
            committed: status.committed_at,
        })
    }

    fn periods(&self, registers: &Registers) -> Option<(i64, i64)> {
        Some((registers.get(TERM).copied().unwrap_or(0), 0))
    }

    fn claims(&self, channel: Channel, frame: &Bytes) -> Vec<Claim> {
        if channel != PEERS {
            return Vec::new();
        }
        let claims = |promise| match promise {
            Promise::Vote(term) => {
                let term = term.cast_signed();
                vec![Claim::Promised(term), Claim::Register(VOTE_TERM, term)]
            }
            Promise::Log(index) => vec![Claim::Slots(index)],
        };
        raft::promises(frame).into_iter().flat_map(claims).collect()
    }

    fn show(&self, _channel: Channel, frame: &Bytes) -> String {
        raft::show(frame)
    }

    fn describe(&self) -> String {
        format!("{:?} PreVote {} {:?}", self.limits, self.pre_vote, self.lease)
    }
}

impl RaftSubject {
    /// For an exploration: as it is by default, with small frames.
    #[must_use]
    pub fn small(setup: &Setup) -> RaftSubject {
        // An entry goes in a frame of its own: there are more orders.
        let limits = Limits { append_size_max: 1, ..Limits::default() };
        let initial = configuration(setup);
        RaftSubject { initial, limits, pre_vote: true, lease: None }
    }
}

/// The configuration that all members begin with.
fn configuration(setup: &Setup) -> Configuration {
    named(&Members {
        voters: setup.voters.iter().copied().collect(),
        observers: setup.observers.iter().copied().collect(),
    })
}

fn named(members: &Members) -> Configuration {
    let member = |node: &NodeId| {
        let addresses: Addresses = [Setup::address(*node, PEERS)].into();
        (*node, addresses)
    };
    let (voters, learners) = (members.voters.iter(), members.observers.iter());
    Configuration::new(voters.map(member), learners.map(member)).expect("there are voters")
}
