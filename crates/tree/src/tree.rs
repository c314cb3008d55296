//! The tree itself: what it holds, and every read.

use crate::acl_cache::{self, AclCache};
use crate::digest::{DigestPrefix, Digests, counts, digest_of};
use crate::foresight::{Foreseen, Neighbourhood};
use crate::nodes::{Nodes, ROOT};
use crate::owned::{Owned, ReapRules};
use crate::quota::{self, Quota, QuotaPaths, QuotaText};
use crate::walk::Cursors;
use base::{SessionId, WallTime, Zxid};
use std::collections::BTreeMap;
use wire::{Acl, OwnerKind, OwnerRules, Stat, StatPersisted};

/// What must be the same on every server of an ensemble for their trees to be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// `zookeeper.digest.enabled`: whether digests are computed and compared.
    pub digest: bool,
    /// How stored owners are read.
    pub owners: OwnerRules,
}

impl Default for Config {
    fn default() -> Config {
        Config { digest: true, owners: OwnerRules::default() }
    }
}

/// A node. Good until that node is deleted; afterwards it may stand for another one, or reading
/// through it may panic, so it is never kept across an [`Tree::apply`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeIndex(pub(crate) u32);

/// The replicated state.
pub struct Tree {
    pub(crate) config: Config,
    pub(crate) nodes: Nodes,
    pub(crate) acls: AclCache,
    pub(crate) owned: Owned,
    pub(crate) quotas: QuotaPaths,
    pub(crate) sessions: BTreeMap<SessionId, i32>,
    pub(crate) digests: Digests,
    pub(crate) last_zxid: Zxid,
    /// The same, without beginnings of epochs that this tree has seen.
    pub(crate) last_txn: Zxid,
    /// Sum over all paths and data; the root counts twice, under both of its names.
    pub(crate) size: u64,
    pub(crate) cursors: Cursors,
    /// How many nodes were removed, wrapping: hints are only good while it stays.
    pub(crate) removals: u32,
    /// Where nodes were last looked for that are changed.
    pub(crate) near: Neighbourhood,
}

impl std::fmt::Debug for Tree {
    /// A tree is large: how many nodes it has, and where it stands.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (nodes, last_zxid) = (self.node_count(), self.last_zxid());
        f.debug_struct("Tree")
            .field("nodes", &nodes)
            .field("last_zxid", &last_zxid)
            .finish_non_exhaustive()
    }
}

impl Tree {
    /// An empty tree: the root, `/zookeeper`, and `/zookeeper/quota` and `/zookeeper/config`.
    #[must_use]
    pub fn new(config: Config) -> Tree {
        let stat = StatPersisted::default();
        let mut tree = Tree::bare(config);
        tree.nodes = Nodes::new(Some(b""), acl_cache::OPEN, &stat);
        tree.redigest(ROOT, "", Some(b""), None);
        for path in ["/zookeeper", quota::QUOTA_ROOT] {
            tree.insert(path, Some(b""), acl_cache::OPEN, &stat);
        }
        tree.insert_config_node();
        tree
    }

    /// A root that is still to be replaced, and nothing else.
    pub(crate) fn bare(config: Config) -> Tree {
        Tree {
            config,
            nodes: Nodes::new(None, acl_cache::OPEN, &StatPersisted::default()),
            acls: AclCache::new(),
            owned: Owned::default(),
            quotas: QuotaPaths::default(),
            sessions: BTreeMap::new(),
            digests: Digests::new(config.digest),
            last_zxid: Zxid::ZERO,
            last_txn: Zxid::ZERO,
            size: 1,
            cursors: Cursors::default(),
            removals: 0,
            near: Neighbourhood::default(),
        }
    }

    /// The node at `path`. "" and "/" are the root; all else is taken verbatim ("/a/" is none).
    #[must_use]
    pub fn find(&self, path: &str) -> Option<NodeIndex> {
        self.nodes.find(path).map(NodeIndex)
    }

    /// The child of `parent` with that name.
    #[must_use]
    pub fn child(&self, parent: NodeIndex, name: &str) -> Option<NodeIndex> {
        self.nodes.child(parent.0, name).map(NodeIndex)
    }

    /// The parent; `None` of the root.
    #[must_use]
    pub fn parent(&self, node: NodeIndex) -> Option<NodeIndex> {
        (node.0 != ROOT).then(|| NodeIndex(self.nodes.record(node.0).parent))
    }

    /// The whole path; "/" of the root.
    #[must_use]
    pub fn path(&self, node: NodeIndex) -> String {
        let mut path = String::new();
        self.nodes.push_path(node.0, &mut path);
        if path.is_empty() { "/".to_owned() } else { path }
    }

    /// The data; `None` is null.
    #[must_use]
    pub fn data(&self, node: NodeIndex) -> Option<&[u8]> {
        self.nodes.blob(node.0).data
    }

    /// The stat as clients see it.
    #[must_use]
    pub fn stat(&self, node: NodeIndex) -> Stat {
        let blob = self.nodes.blob(node.0);
        self.stat_with(node.0, blob.owner, data_size(blob.data) as i32)
    }

    /// The same, by who knows how long the data is.
    pub(crate) fn stat_of_length(&self, node: u32, data_length: i32) -> Stat {
        self.stat_with(node, self.nodes.owner(node), data_length)
    }

    fn stat_with(&self, node: u32, owner: i64, data_length: i32) -> Stat {
        let record = self.nodes.record(node);
        let family = self.nodes.family(node);
        let num_children = family.map_or(0, |family| family.children as i32);
        let created = family.map_or(0, |family| family.cversion);
        Stat {
            czxid: record.czxid,
            mzxid: record.mzxid,
            ctime: record.ctime,
            mtime: record.mtime,
            version: record.version,
            // Each child counts when it is created and again when it is gone.
            cversion: created.wrapping_mul(2).wrapping_sub(num_children),
            aversion: record.aversion,
            ephemeral_owner: self.config.owners.visible(owner),
            data_length,
            num_children,
            pzxid: family.map_or(record.czxid, |family| family.pzxid),
        }
    }

    /// The stat as it is stored, and as it goes into the digest.
    #[must_use]
    pub fn stat_persisted(&self, node: NodeIndex) -> StatPersisted {
        self.nodes.stat(node.0)
    }

    /// How many children there are.
    #[must_use]
    pub fn num_children(&self, node: NodeIndex) -> usize {
        self.nodes.family(node.0).map_or(0, |family| family.children as usize)
    }

    /// The names of the children, in no order that matters.
    pub fn children(&self, node: NodeIndex) -> impl Iterator<Item = &str> {
        self.nodes.children(node.0).map(|child| self.nodes.name(child))
    }

    /// Appends the vector of the children's names as replies hold it, in no order that matters.
    pub fn put_children(&self, node: NodeIndex, out: &mut Vec<u8>) {
        self.nodes.put_children(node.0, out);
    }

    /// The access list; `None` is the open one that was never given, which allows everything.
    #[must_use]
    pub fn acl(&self, node: NodeIndex) -> Option<&[Acl]> {
        self.acls.list(self.nodes.record(node.0).acl)
    }

    /// Whether its list lets everyone do everything, as most do.
    #[must_use]
    pub fn is_open(&self, node: NodeIndex) -> bool {
        self.acls.is_open(self.nodes.record(node.0).acl)
    }

    /// What kind of node it is.
    #[must_use]
    pub fn owner(&self, node: NodeIndex) -> OwnerKind {
        self.kind(node.0)
    }

    /// The node's part of the digest; 0 for what is not counted, or with digests off.
    #[must_use]
    pub fn node_digest(&self, node: NodeIndex) -> u32 {
        self.digests.of(node.0)
    }

    /// What the node's path and data add to its digest; `path` is the node's own.
    #[must_use]
    pub fn digest_prefix(&self, node: NodeIndex, path: &str) -> DigestPrefix {
        match self.nodes.family(node.0) {
            Some(family) if self.digests.enabled && counts(path) => {
                DigestPrefix::from_crc(family.digest_prefix)
            }
            _ => DigestPrefix::new(path, self.nodes.blob(node.0).data),
        }
    }

    /// How many nodes are below it. Walks them.
    #[must_use]
    pub fn descendants(&self, node: NodeIndex) -> usize {
        if node.0 == ROOT { self.nodes.len() - 1 } else { self.nodes.subtree(node.0).count() - 1 }
    }

    /// The digest of the whole tree; 0 with digests off.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digests.total()
    }

    /// The last transaction at which the digest was known, and that digest: what a snapshot says
    /// of itself. Zero before the first, and not moving while the tree is fuzzy.
    #[must_use]
    pub fn digest_applied(&self) -> (Zxid, u64) {
        self.digests.last
    }

    /// The digests at zxids divisible by 128, oldest first, the last 1024 of them.
    pub fn digest_log(&self) -> impl Iterator<Item = (Zxid, u64)> {
        self.digests.log()
    }

    /// How often the digest was not what it should have been.
    #[must_use]
    pub fn digest_mismatches(&self) -> u64 {
        self.digests.mismatches
    }

    /// The highest zxid that was applied.
    #[must_use]
    pub fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// The last transaction that was applied; what was restored counts as one. It is what snapshots
    /// are named after: no history of another member holds the place where an epoch began.
    #[must_use]
    pub fn last_txn(&self) -> Zxid {
        self.last_txn
    }

    /// The sessions and their time-outs in ms, by id.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, i32)> {
        self.sessions.iter().map(|(session, timeout_ms)| (*session, *timeout_ms))
    }

    /// The time-out of a session in ms, if there is such a session.
    #[must_use]
    pub fn session_timeout(&self, session: SessionId) -> Option<i32> {
        self.sessions.get(&session).copied()
    }

    /// The paths of a session's ephemeral nodes, sorted.
    pub fn ephemerals(&self, session: SessionId) -> impl Iterator<Item = String> {
        self.sorted_paths(self.owned.of_session(session)).into_iter()
    }

    /// How many ephemeral nodes there are.
    #[must_use]
    pub fn ephemerals_count(&self) -> usize {
        self.owned.ephemerals_count()
    }

    /// The sessions that have ephemeral nodes, by id.
    pub fn sessions_with_ephemerals(&self) -> impl Iterator<Item = SessionId> {
        self.owned.sessions()
    }

    /// The sessions that have ephemeral nodes and do not exist: what a replay may leave.
    pub fn orphan_sessions(&self) -> impl Iterator<Item = SessionId> {
        self.owned.sessions().filter(|session| !self.sessions.contains_key(session))
    }

    /// The containers and the nodes with a TTL that have had their time, sorted by path.
    #[must_use]
    pub fn reapable(&self, now: WallTime, rules: ReapRules) -> Vec<String> {
        let idle = |node: u32| now.0.saturating_sub(self.nodes.record(node).mtime);
        let childless = |node: &u32| self.num_children(NodeIndex(*node)) == 0;
        let containers = self.owned.containers().filter(childless).filter(|node| {
            self.nodes.stat(*node).cversion > 0
                || (rules.never_used_ms != 0 && idle(*node) > rules.never_used_ms)
        });
        let ttls = self.owned.ttls().filter(childless).filter(
            |node| matches!(self.kind(*node), OwnerKind::Ttl(ttl) if ttl != 0 && idle(*node) > ttl),
        );
        self.sorted_paths(containers.chain(ttls))
    }

    /// The quota that `path` falls under: the deepest one, if its usage is kept.
    #[must_use]
    pub fn quota(&self, path: &str) -> Option<Quota> {
        let path = self.quotas.deepest(path)?;
        self.nodes.find(&quota::stats_path(path)).map(|_| self.quota_of(path))
    }

    /// All quotas, by path.
    pub fn quotas(&self) -> impl Iterator<Item = Quota> {
        self.quotas.iter().map(|path| self.quota_of(path))
    }

    /// How many nodes there are, as the reference counts: the root twice.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.nodes.len() + 1
    }

    /// The characters of all paths and the bytes of all data; the root counts twice.
    #[must_use]
    pub fn approximate_data_size(&self) -> u64 {
        self.size
    }

    /// How many different access lists were given.
    #[must_use]
    pub fn acl_count(&self) -> usize {
        self.acls.len()
    }

    pub(crate) fn kind(&self, node: u32) -> OwnerKind {
        self.config.owners.kind(self.nodes.owner(node))
    }

    fn sorted_paths(&self, nodes: impl Iterator<Item = u32>) -> Vec<String> {
        let mut paths: Vec<String> = nodes.map(|node| self.path(NodeIndex(node))).collect();
        paths.sort_unstable();
        paths
    }

    fn quota_of(&self, path: &str) -> Quota {
        let text = |path: String| {
            let data = self.nodes.find(&path).and_then(|node| self.nodes.blob(node).data);
            QuotaText::parse(data)
        };
        let limits = text(quota::limits_path(path)).limits();
        let usage = text(quota::stats_path(path)).usage();
        Quota { path: path.to_owned(), limits, usage }
    }

    /// Renews a node's digest from its path, its data, which the caller has, and its stat.
    pub(crate) fn redigest(
        &mut self,
        node: u32,
        path: &str,
        data: Option<&[u8]>,
        foreseen: Option<Foreseen>,
    ) {
        if !self.digests.enabled || !counts(path) {
            return;
        }
        if let Some(Foreseen { digest, .. }) = foreseen
            && self.nodes.family(node).is_none()
        {
            let stat = || self.nodes.stat(node);
            debug_assert_eq!(digest, digest_of(path, data, &stat()), "{path} was foreseen wrongly");
            return self.digests.set(node, digest);
        }
        let digest = match self.nodes.family_mut(node) {
            None => digest_of(path, data, &self.nodes.stat(node)),
            Some(family) => {
                let prefix = DigestPrefix::new(path, data);
                family.digest_prefix = prefix.crc();
                prefix.with_stat(&self.nodes.stat(node))
            }
        };
        self.digests.set(node, digest);
    }

    /// Renews a node's digest where only its stat has changed.
    pub(crate) fn redigest_stat(&mut self, node: u32, path: &str, foreseen: Option<Foreseen>) {
        if !self.digests.enabled || !counts(path) {
            return;
        }
        let compute = |tree: &Tree| {
            tree.digest_prefix(NodeIndex(node), path).with_stat(&tree.nodes.stat(node))
        };
        let digest = match foreseen {
            Some(Foreseen { digest, .. }) => {
                debug_assert_eq!(digest, compute(self), "{path} was foreseen wrongly");
                digest
            }
            None => compute(self),
        };
        self.digests.set(node, digest);
    }

    /// Makes a node ready to have children.
    pub(crate) fn ensure_family(&mut self, node: u32, path: &str) {
        if self.nodes.family(node).is_some() {
            return;
        }
        let prefix = if self.digests.enabled {
            DigestPrefix::new(path, self.nodes.blob(node).data).crc()
        } else {
            0
        };
        self.nodes.add_family(node, prefix);
    }

    /// Adds a node at a path whose parent exists and where there is none.
    pub(crate) fn insert(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        acl: u32,
        stat: &StatPersisted,
    ) -> u32 {
        let (parent_path, name) = wire::parent_and_name(path).expect("a path with a slash");
        let parent = self.nodes.find_parent(parent_path).expect("the parent exists");
        self.insert_at((parent, name), path, data, acl, stat, None)
    }

    /// Adds a node where there is none: its links, its digest, its kind, its size.
    pub(crate) fn insert_at(
        &mut self,
        (parent, name): (u32, &str),
        path: &str,
        data: Option<&[u8]>,
        acl: u32,
        stat: &StatPersisted,
        foreseen: Option<Foreseen>,
    ) -> u32 {
        self.ensure_family(parent, &path[..path.len() - name.len() - 1]);
        let node = self.nodes.insert(parent, name, data, acl, stat);
        self.redigest(node, path, data, foreseen);
        self.owned.insert(self.config.owners.kind(stat.ephemeral_owner), node);
        self.size += node_size(path, data);
        node
    }
}

/// What a node adds to the approximate size: characters as the reference counts them (UTF-16).
pub(crate) fn node_size(path: &str, data: Option<&[u8]>) -> u64 {
    let characters = if path.is_ascii() { path.len() } else { path.encode_utf16().count() };
    characters as u64 + data_size(data)
}

pub(crate) fn data_size(data: Option<&[u8]>) -> u64 {
    data.map_or(0, |data| data.len() as u64)
}
