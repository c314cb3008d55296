//! The client: one session, any number of handles on it.

use crate::handle::{Command, Handle};
use crate::{
    Acl, Builder, Bytes, Call, Create, Error, Id, Identity, OpResult, ReadOp, ReadResult, Stat,
    State, Status, Transaction, Watch, WatcherType,
};
use client_core::{ANY_VERSION, CONFIG_PATH, Op, Reply, Request};
use std::time::Duration;
use tokio::sync::watch;
use wire::AddWatchMode;

/// A handle on a session. Clones share it; the session is closed when the last is gone.
///
/// Versions are `None` for any.
#[derive(Clone, Debug)]
pub struct Client {
    handle: Handle,
}

/// A change of the ensemble. Texts are as in the configuration, separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconfig {
    /// Members to add or change.
    pub joining: Option<String>,
    /// Ids of members to remove.
    pub leaving: Option<String>,
    /// The whole new membership, in place of the two above.
    pub members: Option<String>,
    /// The version that the configuration must have.
    pub from_version: Option<i64>,
}

/// Makes a converter of a reply of one kind.
macro_rules! on {
    ($pattern:pat => $value:expr) => {
        |reply, _| if let $pattern = reply { Some($value) } else { None }
    };
    ($pattern:pat, $watch:ident => $value:expr) => {
        |reply, watch| {
            let $watch = watch?;
            if let $pattern = reply { Some($value) } else { None }
        }
    };
}

/// The session.
impl Client {
    pub(crate) fn new(handle: Handle) -> Client {
        Client { handle }
    }

    /// How to connect to `servers`: `host[:port],...[/chroot]`.
    pub fn builder(servers: &str) -> Builder {
        Builder::new(servers)
    }

    /// Connects with the defaults; short for `Client::builder(servers).connect()`.
    ///
    /// # Errors
    /// Those of [`Builder::connect`].
    pub async fn connect(servers: &str) -> Result<Client, Error> {
        Client::builder(servers).connect().await
    }

    /// A handle on the same session whose calls may take that long.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Client {
        Client { handle: Handle { request_timeout: Some(timeout), ..self.handle.clone() } }
    }

    /// How the session stands now.
    #[must_use]
    pub fn status(&self) -> Status {
        *self.handle.shared.status.borrow()
    }

    /// How the session stands, now and at every change.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Status> {
        self.handle.shared.status.clone()
    }

    /// What renews the session elsewhere.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.status().identity
    }

    /// Ends the session, with its ephemeral nodes, after the calls before; waits for the server's
    /// word. Without a connection the session ends by its time-out. Other handles fail from now.
    pub async fn close(self) {
        let mut status = self.subscribe();
        // A task that has ended has closed already.
        let _ = self.handle.commands.send(Command::Close);
        let _ = status.wait_for(|status| status.state.is_final()).await;
    }

    /// Waits until requests are served, or never will be.
    ///
    /// # Errors
    /// Why the session is over.
    pub async fn connected(&self) -> Result<(), Error> {
        let mut status = self.subscribe();
        let settled = status.wait_for(|s| s.is_connected() || s.state.is_final()).await;
        match settled {
            Ok(status) if matches!(status.state, State::Connected | State::ReadOnly) => Ok(()),
            Ok(status) => Err(status.final_error()),
            Err(_) => Err(Error::Closed),
        }
    }
}

/// Writes.
impl Client {
    /// Creates a node: await it, or first say its mode and access list.
    pub fn create(&self, path: &str, data: impl Into<Bytes>) -> Create<'_> {
        Create::new(&self.handle, path, data.into())
    }

    /// Deletes a node without children.
    pub fn delete(&self, path: &str, version: Option<i32>) -> Call<()> {
        let version = version.unwrap_or(ANY_VERSION);
        let op = Op::Delete { path: path.to_owned(), version };
        self.handle.submit(Request::Write(op), None, on!(Reply::Done => ()))
    }

    /// Replaces a node's data.
    pub fn set(&self, path: &str, data: impl Into<Bytes>, version: Option<i32>) -> Call<Stat> {
        let version = version.unwrap_or(ANY_VERSION);
        let op = Op::SetData { path: path.to_owned(), data: Some(data.into()), version };
        self.handle.submit(Request::Write(op), None, on!(Reply::Stat(stat) => stat))
    }

    /// Does all operations or none; one result for each.
    pub fn multi(&self, transaction: Transaction) -> Call<Vec<OpResult>> {
        let request = Request::Multi(transaction.ops);
        self.handle.submit(request, None, on!(Reply::Multi(results) => results))
    }

    /// Replaces a node's access list; the version is the list's own (`Stat::aversion`).
    pub fn set_acl(&self, path: &str, acl: Vec<Acl>, version: Option<i32>) -> Call<Stat> {
        let version = version.unwrap_or(ANY_VERSION);
        let request = Request::SetAcl { path: path.to_owned(), acl, version };
        self.handle.submit(request, None, on!(Reply::Stat(stat) => stat))
    }

    /// Changes the ensemble; answers with the new configuration.
    pub fn reconfig(&self, change: Reconfig) -> Call<(Bytes, Stat)> {
        let Reconfig { joining, leaving, members, from_version } = change;
        let config_id = from_version.unwrap_or(-1);
        let request = Request::Reconfig { joining, leaving, members, config_id };
        let convert = on!(Reply::Data(data, stat) => (data.unwrap_or_default(), stat));
        self.handle.submit(request, None, convert)
    }
}

/// Reads.
impl Client {
    /// A node's data and stat; null data reads as empty.
    pub fn get(&self, path: &str) -> Call<(Bytes, Stat)> {
        let request = Request::GetData { path: path.to_owned(), watch: None };
        let convert = on!(Reply::Data(data, stat) => (data.unwrap_or_default(), stat));
        self.handle.submit(request, None, convert)
    }

    /// The same, with a watch for the next change.
    pub fn get_watched(&self, path: &str) -> Call<(Bytes, Stat, Watch)> {
        self.handle.submit_watched(
            path,
            false,
            |id| Request::GetData { path: path.to_owned(), watch: Some(id) },
            on!(Reply::Data(data, stat), watch => (data.unwrap_or_default(), stat, watch)),
        )
    }

    /// A node's stat, if there is a node.
    pub fn exists(&self, path: &str) -> Call<Option<Stat>> {
        let request = Request::Exists { path: path.to_owned(), watch: None };
        self.handle.submit(request, None, on!(Reply::Exists(stat) => stat))
    }

    /// The same, with a watch for the next change, also where there is no node.
    pub fn exists_watched(&self, path: &str) -> Call<(Option<Stat>, Watch)> {
        self.handle.submit_watched(
            path,
            false,
            |id| Request::Exists { path: path.to_owned(), watch: Some(id) },
            on!(Reply::Exists(stat), watch => (stat, watch)),
        )
    }

    /// Names of a node's children, in no order.
    pub fn children(&self, path: &str) -> Call<Vec<String>> {
        let request = Request::Children { path: path.to_owned(), watch: None };
        self.handle.submit(request, None, on!(Reply::Children(names) => names))
    }

    /// The same, with a watch for the next child that comes or goes.
    pub fn children_watched(&self, path: &str) -> Call<(Vec<String>, Watch)> {
        self.handle.submit_watched(
            path,
            false,
            |id| Request::Children { path: path.to_owned(), watch: Some(id) },
            on!(Reply::Children(names), watch => (names, watch)),
        )
    }

    /// Names of a node's children, in no order, and its stat.
    pub fn children_with_stat(&self, path: &str) -> Call<(Vec<String>, Stat)> {
        let request = Request::ChildrenWithStat { path: path.to_owned(), watch: None };
        let convert = on!(Reply::ChildrenWithStat(names, stat) => (names, stat));
        self.handle.submit(request, None, convert)
    }

    /// The same, with a watch for the next child that comes or goes.
    pub fn children_with_stat_watched(&self, path: &str) -> Call<(Vec<String>, Stat, Watch)> {
        self.handle.submit_watched(
            path,
            false,
            |id| Request::ChildrenWithStat { path: path.to_owned(), watch: Some(id) },
            on!(Reply::ChildrenWithStat(names, stat), watch => (names, stat, watch)),
        )
    }

    /// Several reads in one round trip; one outcome for each.
    pub fn multi_read(&self, reads: Vec<ReadOp>) -> Call<Vec<Result<ReadResult, Error>>> {
        self.handle.submit(
            Request::MultiRead(reads),
            None,
            on!(Reply::MultiRead(results) => {
                results.into_iter().map(|result| result.map_err(Error::from)).collect()
            }),
        )
    }

    /// A node's access list and stat.
    pub fn acl(&self, path: &str) -> Call<(Vec<Acl>, Stat)> {
        let request = Request::GetAcl { path: path.to_owned() };
        self.handle.submit(request, None, on!(Reply::Acl(acl, stat) => (acl, stat)))
    }

    /// Waits until this server has all that the leader had committed: reads after it see that.
    pub fn sync(&self, path: &str) -> Call<()> {
        let request = Request::Sync { path: path.to_owned() };
        self.handle.submit(request, None, on!(Reply::Path(_) => ()))
    }

    /// Paths of this session's ephemeral nodes that begin with `prefix`; `/` for all.
    pub fn ephemerals(&self, prefix: &str) -> Call<Vec<String>> {
        let request = Request::Ephemerals { prefix: prefix.to_owned() };
        self.handle.submit(request, None, on!(Reply::Paths(paths) => paths))
    }

    /// How many nodes there are below a node, at every depth.
    pub fn descendant_count(&self, path: &str) -> Call<u64> {
        let request = Request::DescendantCount { path: path.to_owned() };
        let convert = on!(Reply::Count(count) => u64::try_from(count).unwrap_or(0));
        self.handle.submit(request, None, convert)
    }

    /// The ensemble's configuration and its stat; no chroot hides it.
    pub fn config(&self) -> Call<(Bytes, Stat)> {
        let convert = on!(Reply::Data(data, stat) => (data.unwrap_or_default(), stat));
        self.handle.submit(Request::GetConfig { watch: None }, None, convert)
    }

    /// The same, with a watch for its next change.
    pub fn config_watched(&self) -> Call<(Bytes, Stat, Watch)> {
        self.handle.submit_watched(
            CONFIG_PATH,
            false,
            |id| Request::GetConfig { watch: Some(id) },
            on!(Reply::Data(data, stat), watch => (data.unwrap_or_default(), stat, watch)),
        )
    }
}

/// Watches that stay, and identities.
impl Client {
    /// Watches a node, whether it is there or not: its creation, deletion, data and children.
    pub fn watch(&self, path: &str) -> Call<Watch> {
        self.add_watch(path, AddWatchMode::Persistent)
    }

    /// Watches a node and all below it: creations, deletions and data.
    pub fn watch_recursive(&self, path: &str) -> Call<Watch> {
        self.add_watch(path, AddWatchMode::PersistentRecursive)
    }

    fn add_watch(&self, path: &str, mode: AddWatchMode) -> Call<Watch> {
        self.handle.submit_watched(
            path,
            true,
            |watcher| Request::AddWatch { path: path.to_owned(), mode, watcher },
            on!(Reply::Done, watch => watch),
        )
    }

    /// Removes all of this client's watches of one type from a path; their streams end.
    pub fn remove_watches(&self, path: &str, which: WatcherType) -> Call<()> {
        let request = Request::RemoveWatches { path: path.to_owned(), which };
        self.handle.submit(request, None, on!(Reply::Done => ()))
    }

    /// Adds an identity to this connection and to all that follow it.
    ///
    /// A refusal ends the session with [`Error::AuthFailed`].
    pub fn add_auth(&self, scheme: &str, credentials: impl Into<Bytes>) -> Call<()> {
        let (scheme, credentials) = (scheme.to_owned(), credentials.into());
        self.handle.submit(Request::Auth { scheme, credentials }, None, on!(Reply::Done => ()))
    }

    /// Adds an identity without waiting for the server's word.
    pub(crate) fn offer_auth(&self, scheme: String, credentials: Bytes) {
        // Cancelling takes back the interest in the answer, not the credentials.
        drop(self.add_auth(&scheme, credentials));
    }

    /// The identities that the server knows this connection by; ids are user names.
    pub fn who_am_i(&self) -> Call<Vec<Id>> {
        self.handle.submit(Request::WhoAmI, None, on!(Reply::Identities(ids) => ids))
    }
}
