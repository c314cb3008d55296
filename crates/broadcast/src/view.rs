//! What a member may do at a moment, and what became of what it asked for.

use base::{NodeId, Zxid};

/// What this member may do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum View {
    /// It may propose; the first place that it may name follows `last`.
    Primary {
        /// The last place that is taken.
        last: Zxid,
    },
    /// It serves what is delivered and forwards what is proposed.
    Replica {
        /// Who is primary.
        primary: NodeId,
    },
    /// It belongs to nothing at the moment: the outcome of all that is under way is unknown. Nothing
    /// more is proposed from when this is said, however much that came before is still to be applied.
    Apart,
    /// Its disk has failed: it is silent for ever.
    Silent,
}

/// What a read must see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadLevel {
    /// All that the primary has proposed, if it still is the primary: ZooKeeper's `sync`.
    Proposed,
    /// All that was decided anywhere before it was asked for.
    Linearizable,
}

/// What became of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It never took a place, and never will.
    Rejected(Refusal),
    /// It may or may not have a place: only the order itself can tell.
    Unknown,
}

/// Why a proposal was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The place that it names is not the next one.
    OutOfOrder,
    /// This member is not primary.
    NotPrimary,
    /// The disk has failed.
    DiskFailed,
    /// It is larger than the engine takes, or too much is under way.
    Full,
    /// It changes the configuration, and the last change of it is still under way.
    Reconfiguring,
}
