//! What a transaction did: results for the one who asked, changes for those who watch.

use wire::{Acl, EventType, Stat};

/// One thing that watchers may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// What happened.
    pub event: EventType,
    /// To which node; "/" for the root.
    pub path: &'a str,
    /// The access list that decides who may be told: the node's when it happened, the one that it
    /// had for a deleted node. `None` is the open list.
    pub acl: Option<&'a [Acl]>,
}

/// The outcome of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpResult {
    /// Its number; -1 for an error's transaction, and for every part of a multi that failed.
    pub op: i32,
    /// 0, or the number of an error code.
    pub err: i32,
    /// The node's stat right afterwards, for the operations whose replies carry one: create2 and
    /// its kin, setData, setACL.
    pub stat: Option<Stat>,
}

/// The outcome of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Results {
    /// Of a single operation.
    One(OpResult),
    /// Of each operation of a multi.
    Multi(Vec<OpResult>),
}

impl Results {
    /// The first error, or 0.
    #[must_use]
    pub fn err(&self) -> i32 {
        self.ops().iter().map(|result| result.err).find(|err| *err != 0).unwrap_or(0)
    }

    /// The results as a slice: one of a single operation.
    #[must_use]
    pub fn ops(&self) -> &[OpResult] {
        match self {
            Results::One(result) => std::slice::from_ref(result),
            Results::Multi(results) => results,
        }
    }
}

/// The tree's digest is not what the proposer, or a snapshot, says it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestMismatch {
    /// What they say.
    pub expected: u64,
    /// What it is.
    pub actual: u64,
}

/// What applying a transaction gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// What to reply.
    pub results: Results,
    /// Set if the replica has diverged; it goes on all the same.
    pub digest_mismatch: Option<DigestMismatch>,
}
