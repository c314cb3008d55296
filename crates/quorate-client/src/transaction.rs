//! Several writes, all or none.

use crate::{Acl, Mode};
use bytes::Bytes;
use client_core::{ANY_VERSION, Op};

/// Writes that are done together or not at all, in their order.
///
/// ```
/// use quorate_client::{Mode, Transaction};
///
/// let transaction = Transaction::new()
///     .check("/config", Some(3))
///     .set("/config", "new", None)
///     .create("/log/entry-", "who", Mode::PersistentSequential);
/// assert_eq!(transaction.len(), 3);
/// ```
#[must_use = "a transaction does nothing before it is given to `Client::multi`"]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    pub(crate) ops: Vec<Op>,
}

impl Transaction {
    /// Nothing yet.
    pub fn new() -> Transaction {
        Transaction::default()
    }

    /// How many operations it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Creates a node that is open to everyone.
    pub fn create(self, path: &str, data: impl Into<Bytes>, mode: Mode) -> Self {
        self.create_with_acl(path, data, mode, Acl::open())
    }

    /// Creates a node with an access list.
    pub fn create_with_acl(
        self,
        path: &str,
        data: impl Into<Bytes>,
        mode: Mode,
        acl: Vec<Acl>,
    ) -> Self {
        self.with(Op::Create { path: path.to_owned(), data: Some(data.into()), acl, mode })
    }

    /// Deletes a node that has the version, or any.
    pub fn delete(self, path: &str, version: Option<i32>) -> Self {
        self.with(Op::Delete { path: path.to_owned(), version: version.unwrap_or(ANY_VERSION) })
    }

    /// Replaces the data of a node that has the version, or any.
    pub fn set(self, path: &str, data: impl Into<Bytes>, version: Option<i32>) -> Self {
        let version = version.unwrap_or(ANY_VERSION);
        self.with(Op::SetData { path: path.to_owned(), data: Some(data.into()), version })
    }

    /// Does nothing, and fails all if the node has another version, or is not there.
    pub fn check(self, path: &str, version: Option<i32>) -> Self {
        self.with(Op::Check { path: path.to_owned(), version: version.unwrap_or(ANY_VERSION) })
    }

    fn with(mut self, op: Op) -> Self {
        self.ops.push(op);
        self
    }
}
