//! `prepare`: validates a write against the tree and all that is pending, and turns it into a
//! transaction that every replica applies without a question.
//!
//! In: the tree, the changes that are proposed but not applied, a request. Out: a transaction's
//! body and its pending changes, or the error in the reference's order of checks.
//! Invariant: a failed request leaves no pending change behind.
//! Source: client protocol, sections 7, 8, 11, 12, 18.

mod changes;
mod create;
mod multi;
mod node;
mod reconfig;
mod session;

pub(crate) use changes::Changes;
pub(crate) use multi::{decode_create_in_multi, decode_set_data_in_multi, makes_ephemeral};

use crate::{AskMembers, Config, Ids};
use auth::{Fixed, InvalidAcl};
use base::{SessionId, WallTime, Zxid};
use changes::{AclState, Pending, Place, Prefix};
use tree::Tree;
use wire::{Acls, ErrorCode, Id, OpCode, Txn, TxnDigest, perms, validate_path};

/// What one request is prepared against.
pub(crate) struct Preparation<'a> {
    pub(crate) config: &'a Config,
    pub(crate) tree: &'a Tree,
    pub(crate) changes: &'a mut Changes,
    /// The place that the transaction will have.
    pub(crate) zxid: Zxid,
    /// The time that nodes get.
    pub(crate) time: WallTime,
    pub(crate) session: SessionId,
    /// Whether the session takes requests, and from there.
    pub(crate) session_state: Result<(), ErrorCode>,
    /// Whether it may have ephemeral nodes as well.
    pub(crate) ephemeral_state: Result<(), ErrorCode>,
    pub(crate) ids: &'a Ids,
    pub(crate) members: AskMembers<'a>,
    /// Whether a change of the members is pending.
    pub(crate) reconfiguring: bool,
    /// Nodes whose soft quota this request exceeds.
    pub(crate) soft_quota: &'a mut Vec<String>,
}

type Outcome<T = ()> = Result<T, ErrorCode>;

impl Preparation<'_> {
    /// The digest of the tree once everything that is pending is applied.
    pub(crate) fn digest(&self) -> Option<TxnDigest> {
        self.config.digest.then(|| TxnDigest {
            version: TxnDigest::VERSION,
            tree: self.changes.digest(self.tree),
        })
    }

    fn check_session(&self) -> Outcome {
        self.session_state
    }

    fn check_path(&self, path: &str) -> Outcome {
        validate_path(path).map_err(|_| ErrorCode::BadArguments)
    }

    /// The node with all pending changes, and where its own are kept.
    #[inline]
    fn node(&mut self, path: &str) -> Outcome<(Pending, Place)> {
        self.changes.get(self.tree, path, self.config)
    }

    /// The node at a path that nobody has checked. One that is found is a path: creates check
    /// theirs. Only the empty one finds the root, which has another name.
    #[inline]
    fn named(&mut self, path: &str) -> Outcome<(Pending, Place)> {
        let found = self.node(path);
        if found.is_err() || path.is_empty() {
            self.check_path(path)?;
        }
        found
    }

    /// The list as it is kept: duplicates removed, `auth` expanded.
    fn fix_up<'b>(&self, acl: Option<Acls<'b>>) -> Outcome<Fixed<'b>> {
        self.config.auth.fix_up(acl, self.ids).map_err(|invalid| match invalid {
            InvalidAcl::Refused => ErrorCode::InvalidAcl,
            InvalidAcl::NullId => ErrorCode::MarshallingError,
        })
    }

    fn may(&self, acl: &AclState, perms: i32) -> Outcome {
        let ids: &[Id] = self.ids;
        let allowed = match acl {
            AclState::Open => true,
            AclState::InTree(node) => self.config.auth.permits(self.tree.acl(*node), ids, perms),
            AclState::New(list) => self.config.auth.permits(Some(list), ids, perms),
        };
        if allowed { Ok(()) } else { Err(ErrorCode::NoAuth) }
    }

    /// Refuses what a hard quota forbids, and notes what a soft one would.
    fn check_quota(&mut self, path: &str, bytes: i64, count: i64) -> Outcome {
        if !self.config.enforce_quota {
            return Ok(());
        }
        let Some(quota) = self.tree.quota(path) else { return Ok(()) };
        let (limits, usage) = (quota.limits, quota.usage);
        let mut exceeded = false;
        for (hard, soft, used, more) in [
            (limits.count_hard, limits.count, usage.count, count),
            (limits.bytes_hard, limits.bytes, usage.bytes, bytes),
        ] {
            let limit = if hard > -1 { hard } else { soft };
            if limit > -1 && more != 0 && used.saturating_add(more) > limit {
                if hard > -1 {
                    return Err(ErrorCode::QuotaExceeded);
                }
                exceeded = true;
            }
        }
        if exceeded {
            self.soft_quota.push(quota.path);
        }
        Ok(())
    }
}

/// The next version of something that has `current` and is asked to have `expected`.
fn next_version(current: i32, expected: i32) -> Outcome<i32> {
    if expected != -1 && expected != current {
        return Err(ErrorCode::BadVersion);
    }
    // -1 means "any" in requests, so no version may be -1.
    Ok(match current.wrapping_add(1) {
        -1 => 0,
        version => version,
    })
}

/// Appends the transaction; gives its type, which is not always the request's.
fn put(out: &mut Vec<u8>, txn: &Txn<'_>, in_multi: bool) -> OpCode {
    if in_multi {
        txn.encode_in_multi(out);
    } else {
        txn.encode_body(out);
    }
    txn.op()
}

/// The data's size as quotas and stats count it.
fn size(data: Option<&[u8]>) -> i64 {
    data.map_or(0, |data| i64::try_from(data.len()).unwrap_or(i64::MAX))
}

/// The text before the last slash, which must be there; empty for children of the root.
fn parent_of(path: &str) -> Outcome<&str> {
    match wire::parent_and_name(path) {
        Some((parent, _)) if !path.contains('\0') => Ok(parent),
        _ => Err(ErrorCode::BadArguments),
    }
}

const READ: i32 = perms::READ;
const WRITE: i32 = perms::WRITE;
