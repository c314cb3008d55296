//! The engine of a member: chosen here, at run time, and nowhere else.

use base::{Machine, Time, Zxid};
use broadcast::{Input, Output, Solo};
use keeper::Members;
use wire::quorum::Membership;
use zab::{Durable, Zab};

/// Which engine, with what it is told at its start.
#[derive(Clone, Debug)]
pub enum EngineConfig {
    /// A server alone.
    Solo,
    /// ZooKeeper's atomic broadcast: its configuration, and the epochs on this member's disk.
    Zab(Box<zab::Config>),
}

/// A running engine.
#[derive(Debug)]
pub(crate) enum Engine {
    Solo(Solo),
    Zab(Box<Zab>),
}

impl Engine {
    /// Goes on with what is durable.
    pub(crate) fn recover(
        config: EngineConfig,
        durable: Durable,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Engine {
        match config {
            EngineConfig::Solo => Engine::Solo(Solo::recover(durable.last, out)),
            EngineConfig::Zab(config) => {
                Engine::Zab(Box::new(Zab::recover(*config, durable, now, out)))
            }
        }
    }

    /// What a change of the members is checked against; `None` unless it leads others.
    pub(crate) fn members(&self) -> Option<Members> {
        let Engine::Zab(zab) = self else { return None };
        let zab::Reconfigurable { committed, last_seen, synced } = zab.reconfigurable()?;
        let synced = synced.iter().map(|node| node.0.cast_signed()).collect();
        Some(Members { committed, last_seen, synced })
    }

    /// The configuration in force; `None` of a server alone.
    pub(crate) fn configuration(&self) -> Option<&Membership> {
        match self {
            Engine::Solo(_) => None,
            Engine::Zab(zab) => Some(zab.configuration()),
        }
    }

    /// A member's place among others; `None` if it has none.
    pub(crate) fn status(&self) -> Option<zab::Status> {
        match self {
            Engine::Solo(_) => None,
            Engine::Zab(zab) => Some(zab.status()),
        }
    }

    /// Whether it looks for other members, and belongs to nothing as long as it finds too few.
    pub(crate) fn is_looking(&self) -> bool {
        match self {
            Engine::Solo(_) => false,
            Engine::Zab(zab) => zab.is_looking(),
        }
    }

    /// The end of what the members have decided; `None` for a server alone.
    pub(crate) fn committed(&self) -> Option<Zxid> {
        match self {
            Engine::Solo(_) => None,
            Engine::Zab(zab) => Some(zab.committed()),
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
        }
    }

    fn deadline(&self) -> Option<Time> {
        match self {
            Engine::Solo(solo) => solo.deadline(),
            Engine::Zab(zab) => zab.deadline(),
        }
    }
}
