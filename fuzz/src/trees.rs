//! Trees to begin with, snapshots of them, and what must hold of any tree.

use base::{SessionId, WallTime, Zxid};
use tree::{ReapRules, RestoreError, Tree, TreeBuilder, Walk};
use wire::{Acl, Acls, CreateKind, CreateTxn, NodeRecord, OwnerRules, Txn, TxnHeader, TxnRecord};

/// All kinds of nodes.
pub(crate) const OWNERS: OwnerRules = OwnerRules { extended_types: true, emulate_353_ttl: false };
pub(crate) const CONFIG: tree::Config = tree::Config { digest: true, owners: OWNERS };

/// The tree of a new server.
pub(crate) fn empty() -> Tree {
    Tree::new(CONFIG)
}

/// A few nodes of every kind that needs no session, one with a list of its own, one with quotas.
pub(crate) fn filled() -> Tree {
    let mut tree = empty();
    let kinds = [
        ("/a", CreateKind::Create),
        ("/a/b", CreateKind::Create),
        ("/a/b/c", CreateKind::Create2),
        ("/q", CreateKind::Create),
        ("/q/in", CreateKind::Create),
        ("/container", CreateKind::Container),
        ("/ttl", CreateKind::Ttl(500)),
        ("/zookeeper/quota/q", CreateKind::Create),
    ];
    for (path, kind) in kinds {
        create(&mut tree, path, kind, b"data");
    }
    let limits = b"count=3,bytes=40=;byteHardLimit=80;countHardLimit=5";
    create(&mut tree, "/zookeeper/quota/q/zookeeper_limits", CreateKind::Create, limits);
    create(&mut tree, "/zookeeper/quota/q/zookeeper_stats", CreateKind::Create, b"count=0,bytes=0");
    create(&mut tree, "/acl", CreateKind::Create, b"");
    let mut bytes = Vec::new();
    jute::Writer::new(&mut bytes).vector(&Acl::read_only());
    let acl = Acls::decode(&mut jute::Reader::new(&bytes)).ok().flatten().unwrap_or(Acls::OPEN);
    apply(&mut tree, Txn::SetAcl { path: "/acl".into(), acl, version: 1 });
    tree
}

fn create(tree: &mut Tree, path: &str, kind: CreateKind, data: &[u8]) {
    apply(
        tree,
        Txn::Create(CreateTxn {
            kind,
            path: path.into(),
            data: Some(data),
            acl: Acls::OPEN,
            ephemeral: false,
            parent_cversion: -1,
        }),
    );
}

/// Applies a transaction of the server's own, without a digest.
fn apply(tree: &mut Tree, txn: Txn<'_>) {
    let zxid = tree.last_zxid().next().0;
    let op = txn.op().number();
    let header = TxnHeader { client_id: 0, cxid: 0, zxid, time: 1_000, op };
    tree.apply(&TxnRecord { header, txn, digest: None }, &mut |_| {});
}

/// A snapshot that is taken while the tree changes.
pub(crate) struct Fuzzy {
    walk: Walk,
    builder: TreeBuilder,
}

impl Fuzzy {
    pub(crate) fn begin(tree: &Tree) -> Fuzzy {
        let walk = tree.begin_walk();
        let mut builder = TreeBuilder::new(CONFIG);
        walk.sessions.iter().for_each(|(session, ms)| builder.session(*session, *ms));
        walk.acls.iter().for_each(|(id, list)| builder.acl(*id, list.to_vec()));
        Fuzzy { walk, builder }
    }

    /// Lists some nodes; whether there are more.
    pub(crate) fn step(&mut self, tree: &Tree, nodes: usize) -> bool {
        let Fuzzy { walk, builder } = self;
        tree.walk_next(walk, nodes, &mut |node: NodeRecord<'_>| {
            let taken: Result<(), RestoreError> = builder.node(&node);
            assert_eq!(taken, Ok(()), "a walk lists parents first and each node once");
        })
    }

    /// What was applied as a whole when it began.
    pub(crate) fn start(&self) -> Zxid {
        self.walk.start
    }

    /// Lists the rest and builds the tree.
    pub(crate) fn finish(mut self, tree: &Tree) -> Tree {
        while self.step(tree, 64) {}
        let start = self.start();
        self.builder.finish(start).expect("a walk lists the root")
    }
}

/// Two trees with the same nodes. What quotas count is no part of it.
pub(crate) fn same(left: &Tree, right: &Tree) {
    assert_eq!(left.digest(), right.digest());
    assert_eq!(left.node_count(), right.node_count());
    assert_eq!(left.ephemerals_count(), right.ephemerals_count());
    assert!(left.sessions().eq(right.sessions()));
}

/// The tree is what its own snapshot says, and every index agrees with its nodes.
pub(crate) fn check(tree: &Tree) {
    let rebuilt = Fuzzy::begin(tree).finish(tree);
    same(tree, &rebuilt);
    let owned: Vec<SessionId> = tree.sessions_with_ephemerals().collect();
    let count: usize = owned.iter().map(|session| tree.ephemerals(*session).count()).sum();
    assert_eq!(count, tree.ephemerals_count());
    for path in tree.reapable(WallTime(i64::MAX), ReapRules { never_used_ms: 1 }) {
        assert!(tree.find(&path).is_some_and(|node| tree.num_children(node) == 0));
    }
    for quota in tree.quotas() {
        let kept = format!("/zookeeper/quota{}/zookeeper_stats", quota.path);
        assert_eq!(tree.quota(&quota.path).is_some(), tree.find(&kept).is_some());
    }
}

/// The text of quotas, as limits and as usage, and the keeping of usage upon it.
pub(crate) fn quota_text(data: &[u8]) {
    let mut tree = empty();
    create(&mut tree, "/q", CreateKind::Create, b"");
    create(&mut tree, "/zookeeper/quota/q", CreateKind::Create, b"");
    create(&mut tree, "/zookeeper/quota/q/zookeeper_limits", CreateKind::Create, data);
    create(&mut tree, "/zookeeper/quota/q/zookeeper_stats", CreateKind::Create, data);
    for path in ["/q/a", "/q/a/b"] {
        create(&mut tree, path, CreateKind::Create, data);
    }
    let path = "/zookeeper/quota/q/zookeeper_stats";
    apply(
        &mut tree,
        Txn::SetData { path: path.into(), data: Some(data), version: 1, reconfig: false },
    );
    apply(&mut tree, Txn::Delete { path: "/q/a/b".into(), by_reaper: false });
    apply(&mut tree, Txn::SetData { path: "/q/a".into(), data: None, version: 1, reconfig: false });
    check(&tree);
    let quota = tree.quota("/q/a").expect("the limits are there, whatever they say");
    assert_eq!(quota.path, "/q");
}
