//! Nodes that go of themselves: small indexes of ephemerals, containers and nodes with a TTL.

use base::SessionId;
use std::collections::{BTreeMap, BTreeSet};
use wire::OwnerKind;

/// When a container that never had a child goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReapRules {
    /// `znode.container.maxNeverUsedIntervalMs`: after that many ms; 0 for never.
    pub never_used_ms: i64,
}

/// The indexes, by node.
#[derive(Default)]
pub(crate) struct Owned {
    by_session: BTreeMap<SessionId, BTreeSet<u32>>,
    ephemerals: usize,
    containers: BTreeSet<u32>,
    ttls: BTreeSet<u32>,
}

impl Owned {
    pub(crate) fn insert(&mut self, kind: OwnerKind, node: u32) {
        match kind {
            OwnerKind::Persistent => {}
            OwnerKind::Ephemeral(session) => {
                let is_new = self.by_session.entry(session).or_default().insert(node);
                self.ephemerals += usize::from(is_new);
            }
            OwnerKind::Container => {
                self.containers.insert(node);
            }
            OwnerKind::Ttl(_) => {
                self.ttls.insert(node);
            }
        }
    }

    pub(crate) fn remove(&mut self, kind: OwnerKind, node: u32) {
        match kind {
            OwnerKind::Persistent => {}
            OwnerKind::Ephemeral(session) => {
                let Some(nodes) = self.by_session.get_mut(&session) else { return };
                self.ephemerals -= usize::from(nodes.remove(&node));
                if nodes.is_empty() {
                    self.by_session.remove(&session);
                }
            }
            OwnerKind::Container => {
                self.containers.remove(&node);
            }
            OwnerKind::Ttl(_) => {
                self.ttls.remove(&node);
            }
        }
    }

    /// How many ephemerals there are.
    pub(crate) fn ephemerals_count(&self) -> usize {
        self.ephemerals
    }

    pub(crate) fn of_session(&self, session: SessionId) -> impl Iterator<Item = u32> + use<'_> {
        self.by_session.get(&session).into_iter().flatten().copied()
    }

    pub(crate) fn sessions(&self) -> impl Iterator<Item = SessionId> + use<'_> {
        self.by_session.keys().copied()
    }

    pub(crate) fn containers(&self) -> impl Iterator<Item = u32> + use<'_> {
        self.containers.iter().copied()
    }

    pub(crate) fn ttls(&self) -> impl Iterator<Item = u32> + use<'_> {
        self.ttls.iter().copied()
    }
}
