//! Raft under the service: ZooKeeper's memberships are its configurations.
//!
//! The members that decide are Raft's own business; what the service shows and checks is the last
//! membership that was delivered. An entry that changes it is ZooKeeper's reconfig transaction, so
//! that one text serves both. Quorums are majorities: groups and weights are refused.

use base::{Machine, NodeId, Rng, Time, Zxid};
use broadcast::{Addresses, Input, Output};
use keeper::Members;
use raft::{Config, Configuration, ConfigurationError, Corrupt, Durable, Raft, Replication};
use tree::{CONFIG_PATH, Tree};
use wire::quorum::{Membership, Rules, Server};
use wire::{OpCode, Txn, TxnHeader, TxnRecord};
use zab::{Role, Status};

/// What a member over Raft is told at its start.
#[derive(Clone, Debug)]
pub struct RaftConfig {
    /// The engine's part.
    pub engine: Config,
    /// The members as long as no entry has named others.
    pub membership: Membership,
}

impl RaftConfig {
    /// The defaults, for the member of this line. It need not be one of these members yet.
    ///
    /// # Errors
    /// If these members make no configuration.
    pub fn new(
        own: &Server,
        cluster: u64,
        membership: Membership,
    ) -> Result<RaftConfig, ConfigurationError> {
        let me = NodeId(own.id().cast_unsigned());
        let mut engine = Config::new(me, cluster, configuration(&membership)?);
        (engine.names, engine.listen) = (named, addresses(own));
        Ok(RaftConfig { engine, membership })
    }
}

/// A running engine, and the membership that it has delivered.
#[derive(Debug)]
pub(crate) struct OverRaft {
    raft: Raft,
    me: NodeId,
    initial: Membership,
    committed: Membership,
    /// A membership that was delivered and not yet told.
    changed: Option<Membership>,
}

impl OverRaft {
    /// Goes on with what is durable, and the tree of that.
    ///
    /// # Errors
    /// If the log cannot be gone on with.
    pub(crate) fn recover(
        config: RaftConfig,
        durable: Durable,
        tree: &Tree,
        rng: Rng,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Result<OverRaft, Corrupt> {
        let RaftConfig { engine, membership: initial } = config;
        let me = engine.me;
        let raft = Raft::recover(engine, durable, rng, now, out)?;
        let committed = shown(tree).unwrap_or_else(|| initial.clone());
        Ok(OverRaft { raft, me, initial, committed, changed: None })
    }

    /// The tree is another one.
    pub(crate) fn replaced(&mut self, tree: &Tree) {
        let committed = shown(tree).unwrap_or_else(|| self.initial.clone());
        if committed != self.committed {
            self.changed = Some(committed.clone());
            self.committed = committed;
        }
    }

    /// A membership that was delivered since the last time; asking takes it.
    pub(crate) fn take_changed(&mut self) -> Option<Membership> {
        self.changed.take()
    }

    pub(crate) fn configuration(&self) -> &Membership {
        &self.committed
    }

    /// What a change of the members is checked against; `None` unless it leads.
    pub(crate) fn members(&self) -> Option<Members> {
        let status = self.raft.status();
        if status.role != raft::Role::Leader || !status.serving {
            return None;
        }
        let committed = self.committed.version();
        // One that is under way is a later one.
        let last_seen = if self.raft.may_reconfigure() {
            self.committed.clone()
        } else {
            self.committed.clone().with_version(i64::MAX)
        };
        let keeps_up = |(_, state): &(u64, Replication)| *state == Replication::Replicate;
        let synced = status.followers.iter().filter(|(_, progress)| keeps_up(progress));
        let synced = synced.map(|(node, _)| node.0.cast_signed());
        let synced = synced.chain([self.me.0.cast_signed()]).collect();
        Some(Members { committed, last_seen, synced, knows_groups: false })
    }

    pub(crate) fn status(&self) -> Status {
        let status = self.raft.status();
        let votes = self.committed.is_voter(self.me.0.cast_signed());
        let role = match (status.role, status.leader) {
            (raft::Role::Leader, _) => Role::Leading,
            (raft::Role::Silent, _) => Role::Silent,
            (raft::Role::Follower, Some(_)) if votes => Role::Following,
            (raft::Role::Follower, Some(_)) => Role::Observing,
            (raft::Role::Follower | raft::Role::PreCandidate | raft::Role::Candidate, _) => {
                Role::Looking
            }
        };
        let keeps_up = status.followers.iter().filter(|(_, p)| p.1 == Replication::Replicate);
        let (followers, observers): (Vec<NodeId>, Vec<NodeId>) = keeps_up
            .map(|(node, _)| *node)
            .partition(|node| self.committed.is_voter(node.0.cast_signed()));
        Status {
            role,
            leader: status.leader,
            master: status.leader,
            serves_observers: false,
            serving: status.serving,
            synchronizing: !status.serving && role != Role::Looking,
            method: None,
            committed: status.committed_at,
            learners: followers.len() + observers.len(),
            followers,
            observers,
            pending_syncs: 0,
            configuration: self.committed.clone(),
        }
    }

    /// Whether it knows no leader.
    pub(crate) fn is_looking(&self) -> bool {
        self.raft.leader().is_none()
    }

    pub(crate) fn committed(&self) -> Zxid {
        self.raft.committed_at()
    }

    /// Who leads best if this member, which leads now, does no more.
    pub(crate) fn successor(&self) -> Option<NodeId> {
        let status = self.raft.status();
        let votes = |node: &NodeId| status.configuration.is_voter(*node);
        let voters = status.followers.iter().filter(|(node, _)| votes(node));
        let keeps_up = voters.filter(|(_, progress)| progress.1 == Replication::Replicate);
        keeps_up.max_by_key(|(_, progress)| progress.0).map(|(node, _)| *node)
    }
}

impl Machine for OverRaft {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        let before = out.len();
        self.raft.handle(now, input, out);
        for output in &out[before..] {
            if let Output::Deliver { item, .. } = output
                && let Some(membership) = membership_of(item)
            {
                self.committed = membership.clone();
                self.changed = Some(membership);
            }
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.raft.deadline()
    }
}

/// The configuration of a membership.
pub(crate) fn configuration(membership: &Membership) -> Result<Configuration, ConfigurationError> {
    let member = |id: i64| {
        let server = membership.server(id).expect("it was listed");
        (NodeId(id.cast_unsigned()), addresses(server))
    };
    let (voters, observers) = (membership.voters().map(member), membership.observers().map(member));
    Configuration::new(voters, observers)
}

/// Where the other members reach it: its quorum ports.
fn addresses(server: &Server) -> Addresses {
    server.addresses().iter().map(|address| address.quorum().to_string()).collect()
}

/// The members that an entry names, if it changes them.
pub(crate) fn named(item: &[u8]) -> Option<Configuration> {
    // Who proposed it has seen that it makes one.
    configuration(&membership_of(item)?).ok()
}

fn membership_of(item: &[u8]) -> Option<Membership> {
    let op = item.get(TxnHeader::OP_OFFSET..TxnHeader::SIZE)?;
    if op != OpCode::Reconfig.number().to_be_bytes() {
        return None;
    }
    let record = TxnRecord::decode(item).ok()?;
    let Txn::SetData { data, reconfig: true, .. } = record.txn else { return None };
    parse(data?)
}

/// The membership that a tree shows, if an entry has brought one.
pub(crate) fn shown(tree: &Tree) -> Option<Membership> {
    let membership = parse(tree.data(tree.find(CONFIG_PATH)?)?)?;
    (membership.version() > 0).then_some(membership)
}

/// Reads a text that was checked when it was proposed.
fn parse(text: &[u8]) -> Option<Membership> {
    let rules = Rules { multi_address: true, standalone: false };
    Membership::parse(std::str::from_utf8(text).ok()?, &rules).ok()
}
