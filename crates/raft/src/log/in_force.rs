//! Which of the logs that a disk holds is in force.

use base::Zxid;
use broadcast::{Base, Slot};

/// Of what a disk holds, the log that is in force.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InForce {
    /// Where it begins; `None` if it began with nothing.
    pub(crate) base: Option<Base>,
    /// What is behind that.
    pub(crate) slots: Vec<Slot>,
    /// From this index on all slots are of another history than the base, which holds all that
    /// was committed of theirs.
    pub(crate) void: Option<u64>,
}

/// Finds the log that is in force for a state that has reached this place.
pub(crate) fn in_force(bases: Vec<Base>, slots: Vec<Slot>, applied: Zxid) -> InForce {
    let reached = bases.into_iter().filter(|base| base.at <= applied);
    let Some(base) = reached.max_by_key(|base| base.index) else {
        return InForce { base: None, slots, void: None };
    };
    let holds = |slot: &Slot| slot.index == base.index && slot.period == base.period;
    let first = slots.first().map(|slot| slot.index);
    let void = first.filter(|first| *first <= base.index && !slots.iter().any(holds));
    if void.is_some() {
        return InForce { base: Some(base), slots: Vec::new(), void };
    }
    let behind = slots.into_iter().filter(|slot| slot.index > base.index).collect();
    InForce { base: Some(base), slots: behind, void }
}
