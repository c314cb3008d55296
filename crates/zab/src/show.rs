//! What a running engine shows of itself.

use crate::engine::{Role, Zab};
use crate::learner::is_observer;
use crate::status::{self, Marks, Reconfigurable, Status};
use base::Zxid;

impl Zab {
    /// A member's state, for tools.
    #[must_use]
    pub fn status(&self) -> Status {
        let core = &self.core;
        let (role, leader, serving) = match &self.role {
            Role::Looking(_) => (status::Role::Looking, None, false),
            Role::Learning(learning) => {
                let observes = is_observer(core);
                let role = if observes { status::Role::Observing } else { status::Role::Following };
                (role, Some(learning.leader), learning.is_active())
            }
            Role::Leading(leading) => {
                (status::Role::Leading, Some(core.me), leading.is_established())
            }
            Role::Silent => (status::Role::Silent, None, false),
        };
        let (followers, observers) = match &self.role {
            Role::Leading(leading) => leading.active(),
            Role::Learning(learning) => {
                let observers = learning.observers.as_ref();
                (Vec::new(), observers.map(|o| o.active()).unwrap_or_default())
            }
            Role::Looking(_) | Role::Silent => Default::default(),
        };
        let (learners, pending_syncs) = match &self.role {
            Role::Leading(leading) => (leading.named(), leading.pending_syncs()),
            Role::Looking(_) | Role::Learning(_) | Role::Silent => (0, 0),
        };
        let (master, serves_observers) = match &self.role {
            Role::Learning(learning) => (Some(learning.master), learning.observers.is_some()),
            Role::Leading(_) => (Some(core.me), false),
            Role::Looking(_) | Role::Silent => (None, false),
        };
        let method = match &self.role {
            Role::Learning(learning) => learning.method(),
            Role::Looking(_) | Role::Leading(_) | Role::Silent => None,
        };
        let synchronizing = match &self.role {
            Role::Leading(leading) => leading.is_synchronizing(),
            Role::Learning(_) => method.is_some() && !serving,
            Role::Looking(_) | Role::Silent => false,
        };
        Status {
            role,
            leader,
            master,
            serves_observers,
            serving,
            synchronizing,
            method,
            committed: core.history.committed(),
            followers,
            observers,
            learners,
            pending_syncs,
            configuration: core.ensemble.committed.clone(),
        }
    }

    /// What it keeps of its past, for tools.
    #[must_use]
    pub fn marks(&self) -> Marks {
        let core = &self.core;
        Marks {
            accepted_epoch: core.accepted_epoch,
            current_epoch: core.current_epoch,
            last: core.history.last(),
            round: core.round,
        }
    }

    /// Where this member stands, for tests that play its peers.
    #[cfg(test)]
    pub(crate) fn standing(&self) -> (i64, base::Zxid) {
        self.core.standing()
    }

    /// Whether this member looks for a leader.
    #[must_use]
    pub fn is_looking(&self) -> bool {
        matches!(self.role, Role::Looking(_))
    }

    /// The end of what is decided, as far as this member knows.
    #[must_use]
    pub fn committed(&self) -> Zxid {
        self.core.history.committed()
    }

    /// The configuration in force.
    #[must_use]
    pub fn configuration(&self) -> &wire::quorum::Membership {
        &self.core.ensemble.committed
    }

    /// What a change of the configuration is checked against; `None` unless this member serves as
    /// the leader.
    #[must_use]
    pub fn reconfigurable(&self) -> Option<Reconfigurable> {
        let Role::Leading(leading) = &self.role else { return None };
        let ensemble = &self.core.ensemble;
        leading.is_established().then(|| Reconfigurable {
            committed: ensemble.committed.version(),
            last_seen: ensemble.last_seen().clone(),
            synced: leading.synced(self.core.me),
        })
    }
}
