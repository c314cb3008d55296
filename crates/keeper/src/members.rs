//! What a change of the members is checked against.

use std::collections::BTreeSet;
use wire::quorum::Membership;

/// The ensemble, as its primary sees it.
#[derive(Clone, Debug)]
pub struct Members {
    /// The version of the configuration in force.
    pub committed: i64,
    /// The last configuration that was seen.
    pub last_seen: Membership,
    /// The members that have all of the primary's history, itself among them.
    pub synced: BTreeSet<i64>,
    /// Whether quorums may be made of groups.
    pub knows_groups: bool,
}

/// Gives the members, if this is the primary of an ensemble. Asked only when they are to change.
pub type AskMembers<'a> = &'a dyn Fn() -> Option<Members>;
