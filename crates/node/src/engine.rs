//! The engine of a member: chosen here, at run time, and nowhere else.

use crate::over_raft::{OverRaft, RaftConfig};
use crate::recovery::RecoverError;
use base::{Machine, NodeId, Rng, Time, Zxid};
use broadcast::{Input, Output, Solo};
use keeper::Members;
use tree::Tree;
use wire::quorum::Membership;
use zab::{Status, Zab};

/// Which engine, with what it is told at its start.
#[derive(Clone, Debug)]
pub enum EngineConfig {
    /// A server alone.
    Solo,
    /// ZooKeeper's atomic broadcast: its configuration, and the epochs on this member's disk.
    Zab(Box<zab::Config>),
    /// Raft.
    Raft(Box<RaftConfig>),
}

/// What an engine finds on the disk.
#[derive(Debug)]
pub(crate) struct Durable {
    pub(crate) zab: zab::Durable,
    pub(crate) raft: raft::Durable,
}

/// A running engine.
#[derive(Debug)]
pub(crate) enum Engine {
    Solo(Solo),
    Zab(Box<Zab>),
    Raft(Box<OverRaft>),
}

impl Engine {
    /// Goes on with what is durable.
    ///
    /// # Errors
    /// If that cannot be gone on with.
    pub(crate) fn recover(
        config: EngineConfig,
        durable: Durable,
        tree: &Tree,
        rng: &mut Rng,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Result<Engine, RecoverError> {
        Ok(match config {
            EngineConfig::Solo => Engine::Solo(Solo::recover(durable.zab.last, out)),
            EngineConfig::Zab(config) => {
                Engine::Zab(Box::new(Zab::recover(*config, durable.zab, now, out)))
            }
            EngineConfig::Raft(config) => {
                let (durable, rng) = (durable.raft, rng.fork());
                let engine = OverRaft::recover(*config, durable, tree, rng, now, out)?;
                Engine::Raft(Box::new(engine))
            }
        })
    }

    /// What a change of the members is checked against; `None` unless it leads others.
    pub(crate) fn members(&self) -> Option<Members> {
        let zab = match self {
            Engine::Solo(_) => return None,
            Engine::Zab(zab) => zab,
            Engine::Raft(raft) => return raft.members(),
        };
        let zab::Reconfigurable { committed, last_seen, synced } = zab.reconfigurable()?;
        let synced = synced.iter().map(|node| node.0.cast_signed()).collect();
        Some(Members { committed, last_seen, synced, knows_groups: true })
    }

    /// The configuration in force; `None` of a server alone.
    pub(crate) fn configuration(&self) -> Option<&Membership> {
        match self {
            Engine::Solo(_) => None,
            Engine::Zab(zab) => Some(zab.configuration()),
            Engine::Raft(raft) => Some(raft.configuration()),
        }
    }

    /// A configuration that was decided since the last time, of an engine that does not keep it in
    /// a text of its own; asking takes it.
    pub(crate) fn take_changed(&mut self) -> Option<Membership> {
        match self {
            Engine::Solo(_) | Engine::Zab(_) => None,
            Engine::Raft(raft) => raft.take_changed(),
        }
    }

    /// The tree is another one.
    pub(crate) fn replaced(&mut self, tree: &Tree) {
        match self {
            Engine::Solo(_) | Engine::Zab(_) => {}
            Engine::Raft(raft) => raft.replaced(tree),
        }
    }

    /// A member's place among others; `None` if it has none.
    pub(crate) fn status(&self) -> Option<Status> {
        match self {
            Engine::Solo(_) => None,
            Engine::Zab(zab) => Some(zab.status()),
            Engine::Raft(raft) => Some(raft.status()),
        }
    }

    /// Whether it looks for other members, and belongs to nothing as long as it finds too few.
    pub(crate) fn is_looking(&self) -> bool {
        match self {
            Engine::Solo(_) => false,
            Engine::Zab(zab) => zab.is_looking(),
            Engine::Raft(raft) => raft.is_looking(),
        }
    }

    /// The end of what the members have decided; `None` for a server alone.
    pub(crate) fn committed(&self) -> Option<Zxid> {
        match self {
            Engine::Solo(_) => None,
            Engine::Zab(zab) => Some(zab.committed()),
            Engine::Raft(raft) => Some(raft.committed()),
        }
    }

    /// Who is to lead in this member's place, if it leads and the engine can hand over.
    pub(crate) fn successor(&self) -> Option<NodeId> {
        match self {
            Engine::Solo(_) | Engine::Zab(_) => None,
            Engine::Raft(raft) => raft.successor(),
        }
    }
}

impl Machine for Engine {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        match self {
            Engine::Solo(solo) => solo.handle(now, input, out),
            Engine::Zab(zab) => zab.handle(now, input, out),
            Engine::Raft(raft) => raft.handle(now, input, out),
        }
    }

    fn deadline(&self) -> Option<Time> {
        match self {
            Engine::Solo(solo) => solo.deadline(),
            Engine::Zab(zab) => zab.deadline(),
            Engine::Raft(raft) => raft.deadline(),
        }
    }
}
