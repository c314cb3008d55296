//! Random histories: against the model, and through a snapshot that is taken while they go on.

use super::model::{Kind, List, Model, Op, digest, dump, record};
use crate::{Change, Config, NodeIndex, Tree, TreeBuilder, digest_of};
use base::SessionId;
use proptest::prelude::*;
use std::collections::BTreeSet;
use wire::{EventType, NodeRecord, OwnerRules, Stat, TxnDigest, TxnRecord};

const RULES: OwnerRules = OwnerRules { extended_types: true, emulate_353_ttl: false };
const CONFIG: Config = Config { digest: true, owners: RULES };

/// Paths that a proposer would let through.
fn good_path() -> impl Strategy<Value = String> {
    let name = prop_oneof![4 => "[abc]", 1 => "[ab]é{0,2}[a-z]{0,40}"];
    proptest::collection::vec(name, 1..4).prop_map(|names| format!("/{}", names.join("/")))
}

fn quota_path() -> impl Strategy<Value = String> {
    let place = prop_oneof![Just(""), Just("/a"), Just("/a/b"), Just("/b")];
    let leaf = prop_oneof![Just(""), Just("/zookeeper_limits"), Just("/zookeeper_stats")];
    (place, leaf).prop_map(|(place, leaf)| format!("/zookeeper/quota{place}{leaf}"))
}

fn any_path() -> impl Strategy<Value = String> {
    let odd = prop_oneof![
        Just("/"),
        Just(""),
        Just("x"),
        Just("//"),
        Just("//a"),
        Just("/a/"),
        Just("/a//b"),
        Just("/zookeeper"),
        Just("/zookeeper/config"),
    ];
    prop_oneof![12 => good_path(), 3 => quota_path(), 1 => odd.prop_map(str::to_owned)]
}

fn data() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop_oneof![
        1 => Just(None),
        8 => proptest::collection::vec(any::<u8>(), 0..150).prop_map(Some),
        1 => (4000usize..9000, any::<u8>()).prop_map(|(length, fill)| Some(vec![fill; length])),
    ]
}

fn list() -> impl Strategy<Value = List> {
    prop_oneof![
        4 => Just(List::Open),
        1 => Just(List::Read),
        1 => Just(List::Two),
        1 => Just(List::Empty),
        1 => Just(List::Nulls),
        1 => Just(List::Blank),
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => Just(Kind::Plain),
        3 => Just(Kind::Ephemeral),
        2 => Just(Kind::Create2),
        1 => Just(Kind::Container),
        1 => prop_oneof![1i64..100, any::<i64>()].prop_map(Kind::Ttl),
    ]
}

fn version() -> impl Strategy<Value = i32> {
    prop_oneof![
        6 => Just(-1),
        6 => 0..9i32,
        1 => prop_oneof![Just(i32::MAX), Just(i32::MIN), Just(-2)]
    ]
}

fn op(path: impl Strategy<Value = String> + Clone + 'static) -> BoxedStrategy<Op> {
    let p = path;
    prop_oneof![
        9 => (kind(), p.clone(), data(), list(), version()).prop_map(
            |(kind, path, data, acl, parent_cversion)| Op::Create {
                kind, path, data, acl, parent_cversion
            }),
        4 => p.clone().prop_map(|path| Op::Delete { path }),
        4 => (p.clone(), data(), version())
            // Usage that a client spoils has a test of its own: the model reads only numbers.
            .prop_filter("not usage", |(path, ..)| !path.ends_with("zookeeper_stats"))
            .prop_map(|(path, data, version)| Op::SetData { path, data, version }),
        2 => (p.clone(), list(), version())
            .prop_map(|(path, acl, version)| Op::SetAcl { path, acl, version }),
        1 => p.clone().prop_map(|path| Op::Check { path }),
        1 => (0..9000i32).prop_map(|timeout_ms| Op::CreateSession { timeout_ms }),
        1 => proptest::option::of(proptest::collection::vec(p, 0..4))
            .prop_map(|paths| Op::CloseSession { paths }),
        1 => Just(Op::Error(-101)),
    ]
    .boxed()
}

fn any_op() -> impl Strategy<Value = Op> {
    let one = op(any_path().boxed());
    prop_oneof![8 => one.clone(), 1 => proptest::collection::vec(one, 0..5).prop_map(Op::Multi)]
}

/// Applies to both and compares what each says of it.
fn step(tree: &mut Tree, model: &mut Model, bytes: &[u8]) -> Result<(), TestCaseError> {
    let record = TxnRecord::decode(bytes).unwrap();
    let mut changes = Vec::new();
    let applied = tree.apply(&record, &mut |change: Change<'_>| {
        let acl = change.acl.map(<[wire::Acl]>::to_vec);
        changes.push((change.event, change.path.to_owned(), acl));
    });
    let errs: Vec<i32> = applied.results.ops().iter().map(|result| result.err).collect();
    prop_assert_eq!(errs, model.apply(&record));
    let expected: Vec<(EventType, String, Option<Vec<wire::Acl>>)> =
        model.changes.drain(..).collect();
    prop_assert_eq!(changes, expected);
    Ok(())
}

fn compare(tree: &Tree, model: &Model) -> Result<(), TestCaseError> {
    let mut sum = 0u64;
    let mut size = 1;
    let mut lists = BTreeSet::new();
    for (path, expected) in &model.nodes {
        let Some(node) = tree.find(path) else {
            return Err(TestCaseError::fail(format!("{path} is missing")));
        };
        prop_assert_eq!(tree.path(node), if path.is_empty() { "/" } else { path });
        compare_node(tree, node, model, path)?;
        lists.extend(expected.acl.clone());
        let digest = digest_of(path, expected.data.as_deref(), &expected.stat);
        prop_assert_eq!(tree.node_digest(node), digest);
        sum = sum.wrapping_add(u64::from(digest));
        let length = expected.data.as_ref().map_or(0, Vec::len);
        size += path.encode_utf16().count() + length * if path.is_empty() { 2 } else { 1 };
    }
    prop_assert_eq!(tree.digest(), sum);
    prop_assert_eq!(tree.approximate_data_size(), size as u64);
    prop_assert_eq!(tree.node_count(), model.nodes.len() + 1);
    prop_assert_eq!(tree.acl_count(), lists.len());
    prop_assert!(tree.sessions().eq(model.sessions.iter().map(|(id, timeout)| (*id, *timeout))));
    let mut ephemerals = 0;
    for session in (1..4).map(SessionId) {
        let expected = model.ephemerals(session);
        ephemerals += expected.len();
        prop_assert_eq!(tree.ephemerals(session).collect::<Vec<_>>(), expected);
    }
    prop_assert_eq!(tree.ephemerals_count(), ephemerals);
    let quotas: BTreeSet<String> = tree.quotas().map(|quota| quota.path).collect();
    prop_assert_eq!(quotas, model.quotas.clone());
    Ok(())
}

fn compare_node(
    tree: &Tree,
    node: NodeIndex,
    model: &Model,
    path: &str,
) -> Result<(), TestCaseError> {
    let expected = &model.nodes[path];
    prop_assert_eq!(tree.data(node), expected.data.as_deref());
    prop_assert_eq!(tree.stat_persisted(node), expected.stat);
    prop_assert_eq!(tree.acl(node), expected.acl.as_deref());
    prop_assert_eq!(tree.owner(node), model.kind(path));
    let mut children: Vec<&str> = tree.children(node).collect();
    children.sort_unstable();
    let mut expected_children = model.children(path);
    expected_children.sort_unstable();
    prop_assert_eq!(&children, &expected_children);
    prop_assert_eq!(tree.num_children(node), children.len());
    for name in children {
        let child = tree.child(node, name).unwrap();
        prop_assert_eq!(tree.parent(child), Some(node));
    }
    let below = format!("{path}/");
    let descendants = model.nodes.keys().filter(|other| other.starts_with(&below)).count();
    prop_assert_eq!(tree.descendants(node), descendants);
    let s = expected.stat;
    let seen = Stat {
        czxid: s.czxid,
        mzxid: s.mzxid,
        ctime: s.ctime,
        mtime: s.mtime,
        version: s.version,
        cversion: s.cversion.wrapping_mul(2).wrapping_sub(tree.num_children(node) as i32),
        aversion: s.aversion,
        ephemeral_owner: RULES.visible(s.ephemeral_owner),
        data_length: expected.data.as_ref().map_or(0, Vec::len) as i32,
        num_children: tree.num_children(node) as i32,
        pzxid: s.pzxid,
    };
    prop_assert_eq!(tree.stat(node), seen);
    Ok(())
}

/// Makes an operation into one that a proposer could have made in this state.
fn prepare(tree: &Tree, op: Op) -> Option<Op> {
    let exists = |path: &str| tree.find(path);
    match op {
        Op::Create { kind, path, data, acl, .. } => {
            let parent = exists(wire::parent_and_name(&path)?.0)?;
            if exists(&path).is_some() || tree.stat(parent).ephemeral_owner != 0 {
                return None;
            }
            let kind = if let Kind::Ttl(ttl) = kind { Kind::Ttl(ttl & 0xffff | 1) } else { kind };
            let parent_cversion = tree.stat_persisted(parent).cversion + 1;
            Some(Op::Create { kind, path, data, acl, parent_cversion })
        }
        Op::Delete { path } => {
            (tree.num_children(exists(&path)?) == 0).then_some(Op::Delete { path })
        }
        Op::SetData { path, data, .. } => {
            let version = tree.stat(exists(&path)?).version + 1;
            Some(Op::SetData { path, data, version })
        }
        Op::SetAcl { path, acl, .. } => {
            let version = tree.stat(exists(&path)?).aversion + 1;
            Some(Op::SetAcl { path, acl, version })
        }
        // Filled in when the session is known.
        Op::CloseSession { .. } => Some(Op::CloseSession { paths: Some(Vec::new()) }),
        Op::Check { .. } | Op::CreateSession { .. } | Op::Error(_) | Op::Multi(_) => Some(op),
    }
}

/// A live tree with the log of all that it applied.
struct Live {
    tree: Tree,
    log: Vec<Vec<u8>>,
}

impl Live {
    fn new() -> Live {
        let mut live = Live { tree: Tree::new(CONFIG), log: Vec::new() };
        let quota = |path: &str| Op::Create {
            kind: Kind::Plain,
            path: format!("/zookeeper/quota{path}"),
            data: Some(Vec::new()),
            acl: List::Open,
            parent_cversion: -1,
        };
        for path in ["/a", "/a/zookeeper_limits", "/a/zookeeper_stats"] {
            live.apply(1, &quota(path));
        }
        live
    }

    fn apply(&mut self, session: i64, op: &Op) {
        let zxid = self.log.len() as i64 + 1;
        let bytes = record(session, zxid, op);
        let mut record = TxnRecord::decode(&bytes).unwrap();
        self.tree.apply(&record, &mut |_| {});
        record.digest = Some(TxnDigest { version: 2, tree: self.tree.digest() });
        let mut bytes = Vec::new();
        jute::Encode::encode(&record, &mut bytes);
        self.log.push(bytes);
    }

    fn run(&mut self, session: i64, op: Op) {
        match prepare(&self.tree, op) {
            Some(Op::CloseSession { .. }) => {
                let paths = Some(self.tree.ephemerals(SessionId(session)).collect());
                self.apply(session, &Op::CloseSession { paths });
            }
            Some(op) => self.apply(session, &op),
            None => {}
        }
    }
}

/// Restores from a walk's lists and replays the log behind it.
fn replay(live: &Live, builder: TreeBuilder, from: i64, seen: (base::Zxid, u64)) -> Tree {
    let mut tree = builder.finish(base::Zxid(from)).unwrap();
    assert_eq!(tree.digest(), digest(&tree));
    assert_eq!(tree.expect_digest(seen.0, seen.1), None);
    for bytes in &live.log[from as usize..] {
        let applied = tree.apply(&TxnRecord::decode(bytes).unwrap(), &mut |_| {});
        assert_eq!(applied.digest_mismatch, None);
    }
    tree
}

proptest! {
    #[test]
    fn the_tree_does_what_the_model_does(
        history in proptest::collection::vec((1i64..4, 0i64..40, any_op()), 1..80)
    ) {
        let mut tree = Tree::new(CONFIG);
        let mut model = Model::new(RULES);
        for (at, (session, zxid, op)) in history.iter().enumerate() {
            step(&mut tree, &mut model, &record(*session, *zxid, op))?;
            if at % 8 == 0 {
                compare(&tree, &model)?;
            }
        }
        compare(&tree, &model)?;
    }

    #[test]
    fn section_13_4_a_fuzzy_snapshot_and_the_log_behind_it_give_the_same_tree(
        before in proptest::collection::vec((1i64..4, op(good_path().boxed())), 0..60),
        during in proptest::collection::vec((1i64..4, op(good_path().boxed()), 0usize..4), 0..60),
        after in proptest::collection::vec((1i64..4, op(good_path().boxed())), 0..20),
    ) {
        let mut live = Live::new();
        before.into_iter().for_each(|(session, op)| live.run(session, op));
        let mut walk = live.tree.begin_walk();
        let start = walk.start;
        prop_assert_eq!(start.0, live.log.len() as i64);
        let mut builder = TreeBuilder::new(CONFIG);
        walk.sessions.iter().for_each(|(session, timeout)| builder.session(*session, *timeout));
        walk.acls.iter().for_each(|(id, list)| builder.acl(*id, list.to_vec()));
        let mut list = |node: NodeRecord<'_>| builder.node(&node).unwrap();
        for (session, op, nodes) in during {
            live.run(session, op);
            live.tree.walk_next(&mut walk, nodes, &mut list);
        }
        while live.tree.walk_next(&mut walk, 3, &mut list) {}
        let seen = live.tree.digest_applied();
        after.into_iter().for_each(|(session, op)| live.run(session, op));
        let restored = replay(&live, builder, start.0, seen);
        prop_assert_eq!(restored.digest_mismatches(), 0);
        prop_assert_eq!(dump(&restored), dump(&live.tree));
    }

    #[test]
    fn any_bytes_that_read_as_a_record_are_applied(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        history in proptest::collection::vec((any::<i64>(), any::<i64>(), any_op()), 1..30),
        flips in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..6),
    ) {
        let mut tree = Tree::new(CONFIG);
        let mut records = vec![bytes];
        for (session, zxid, op) in &history {
            let mut bytes = record(*session, *zxid, op);
            records.push(bytes.clone());
            for (at, value) in &flips {
                let at = at % bytes.len();
                bytes[at] = *value;
            }
            records.push(bytes);
        }
        for record in records.iter().filter_map(|bytes| TxnRecord::decode(bytes).ok()) {
            tree.apply(&record, &mut |_| {});
        }
        prop_assert_eq!(tree.digest(), digest(&tree));
    }
}
