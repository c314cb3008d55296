//! The rules one by one, by their sections, and the tree against a model.

mod listings;
mod model;
mod random;
mod snapshot;

use crate::{Applied, Change, Config, OpResult, ReapRules, Results, Tree};
use base::{SessionId, WallTime, Zxid};
use model::{Kind, List, Op, dump, record};
use wire::{Acl, EventType, OwnerKind, OwnerRules, StatPersisted, TxnRecord};

fn tree() -> Tree {
    let owners = OwnerRules { extended_types: true, emulate_353_ttl: false };
    Tree::new(Config { digest: true, owners })
}

fn apply(tree: &mut Tree, zxid: i64, op: &Op) -> Applied {
    apply_by(tree, 1, zxid, op)
}

fn apply_by(tree: &mut Tree, session: i64, zxid: i64, op: &Op) -> Applied {
    let bytes = record(session, zxid, op);
    tree.apply(&TxnRecord::decode(&bytes).unwrap(), &mut |_| {})
}

fn err(tree: &mut Tree, zxid: i64, op: &Op) -> i32 {
    apply(tree, zxid, op).results.err()
}

fn create(path: &str) -> Op {
    create_as(Kind::Plain, path, Some(b"data"))
}

fn create_as(kind: Kind, path: &str, data: Option<&[u8]>) -> Op {
    let data = data.map(<[u8]>::to_vec);
    Op::Create { kind, path: path.into(), data, acl: List::Open, parent_cversion: -1 }
}

fn create_at(path: &str, parent_cversion: i32) -> Op {
    let data = Some(Vec::new());
    Op::Create { kind: Kind::Plain, path: path.into(), data, acl: List::Open, parent_cversion }
}

fn delete(path: &str) -> Op {
    Op::Delete { path: path.into() }
}

fn set(path: &str, data: &[u8]) -> Op {
    Op::SetData { path: path.into(), data: Some(data.to_vec()), version: 7 }
}

fn persisted(tree: &Tree, path: &str) -> StatPersisted {
    tree.stat_persisted(tree.find(path).unwrap())
}

fn text(tree: &Tree, path: &str) -> String {
    String::from_utf8(tree.data(tree.find(path).unwrap()).unwrap().to_vec()).unwrap()
}

#[test]
fn section_11_an_empty_tree_has_the_known_digest_and_counts() {
    let tree = Tree::new(Config::default());
    assert_eq!(tree.digest(), 1_371_985_504);
    assert_eq!(tree.node_count(), 5);
    assert_eq!(tree.descendants(tree.find("/").unwrap()), 3);
    assert_eq!(tree.approximate_data_size(), (1 + 10 + 16 + 17) as u64);
    let root = tree.stat(tree.find("").unwrap());
    assert_eq!((root.cversion, root.num_children), (-1, 1));
    let config = tree.find("/zookeeper/config").unwrap();
    assert_eq!(tree.stat(config).aversion, -1);
    assert_eq!(tree.acl(config).unwrap(), Acl::read_only());
    assert_eq!(tree.acl(tree.find("/zookeeper").unwrap()), None);
    let off = Tree::new(Config { digest: false, ..Config::default() });
    assert_eq!(off.digest(), 0);
}

#[test]
fn readers_on_several_threads_may_share_a_tree() {
    fn is_shared<T: Send + Sync>(_: &T) {}
    is_shared(&tree());
}

#[test]
fn section_7_paths_are_taken_verbatim() {
    let mut tree = tree();
    apply(&mut tree, 1, &create("/a"));
    assert_eq!(tree.find(""), tree.find("/"));
    assert!(tree.find("/a").is_some());
    for path in ["/a/", "a", "//a", "//", "/zookeeper/", " /a"] {
        assert_eq!(tree.find(path), None, "{path}");
    }
    let a = tree.find("/a").unwrap();
    assert_eq!(tree.path(a), "/a");
    assert_eq!(tree.path(tree.parent(a).unwrap()), "/");
    assert_eq!(tree.parent(tree.find("/").unwrap()), None);
}

#[test]
fn section_10_4_changes_come_in_order() {
    let mut tree = tree();
    let mut seen = Vec::new();
    let mut run = |zxid, op: &Op| {
        let bytes = record(1, zxid, op);
        tree.apply(&TxnRecord::decode(&bytes).unwrap(), &mut |change: Change<'_>| {
            seen.push((change.event, change.path.to_owned(), change.acl.map(<[Acl]>::len)));
        });
    };
    run(1, &create("/a"));
    run(2, &create_as(Kind::Ephemeral, "/a/e", None));
    run(3, &set("/a", b"x"));
    run(4, &Op::SetAcl { path: "/a".into(), acl: List::Two, version: 1 });
    run(5, &Op::CloseSession { paths: Some(vec!["/gone".into(), "/a/e".into()]) });
    run(6, &delete("/a"));
    use EventType::{NodeChildrenChanged, NodeCreated, NodeDataChanged, NodeDeleted};
    let expected = [
        (NodeCreated, "/a", Some(1)),
        (NodeChildrenChanged, "/", None),
        (NodeCreated, "/a/e", Some(1)),
        (NodeChildrenChanged, "/a", Some(1)),
        (NodeDataChanged, "/a", Some(1)),
        (NodeDeleted, "/a/e", Some(1)),
        (NodeChildrenChanged, "/a", Some(2)),
        (NodeDeleted, "/a", Some(2)),
        (NodeChildrenChanged, "/", None),
    ];
    assert_eq!(seen, expected.map(|(event, path, acl)| (event, path.to_owned(), acl)));
}

#[test]
fn section_13_1_a_create_on_a_missing_parent_is_skipped() {
    let mut tree = tree();
    assert_eq!(err(&mut tree, 1, &create("/no/x")), -101);
    assert_eq!(tree.last_zxid(), Zxid(1));
    assert_eq!(tree.digest(), 1_371_985_504);
}

#[test]
fn section_13_1_a_create_on_an_existing_node_replaces_its_list_and_raises_the_parent() {
    let mut tree = tree();
    apply(&mut tree, 1, &create("/a"));
    for (kind, cversion, pzxid) in
        [(Kind::Create2, 0, 1), (Kind::Container, 0, 1), (Kind::Ttl(5), 0, 1), (Kind::Plain, 9, 8)]
    {
        apply(&mut tree, 2, &create_at("/a/x", 0));
        let again = Op::Create {
            kind,
            path: "/a/x".into(),
            data: None,
            acl: List::Two,
            parent_cversion: 9,
        };
        assert_eq!(err(&mut tree, 8, &again), -110);
        let x = tree.find("/a/x").unwrap();
        assert_eq!(tree.acl(x).unwrap(), List::Two.list());
        assert_eq!(tree.data(x), Some(&b""[..]), "the data stays");
        let parent = persisted(&tree, "/a");
        assert_eq!((parent.cversion, parent.pzxid), (cversion, pzxid), "{kind:?}");
    }
}

#[test]
fn section_13_1_the_parents_cversion_is_only_ever_raised() {
    let mut tree = tree();
    apply(&mut tree, 1, &create("/p"));
    let parent = |tree: &Tree| {
        let stat = persisted(tree, "/p");
        (stat.cversion, stat.pzxid)
    };
    apply(&mut tree, 2, &create_at("/p/a", 5));
    assert_eq!(parent(&tree), (5, 2));
    apply(&mut tree, 3, &create_at("/p/b", 5));
    assert_eq!(parent(&tree), (5, 2), "not larger: pzxid stays as well");
    apply(&mut tree, 4, &create_at("/p/c", -1));
    assert_eq!(parent(&tree), (6, 4));
    apply(&mut tree, 5, &create_at("/p/d", i32::MIN));
    assert_eq!(parent(&tree), (6, 4));
    apply(&mut tree, 6, &create_at("/p/e", i32::MAX));
    assert_eq!(parent(&tree), (i32::MAX, 6));
    apply(&mut tree, 7, &create_at("/p/f", -1));
    assert_eq!(parent(&tree), (i32::MAX, 6), "one more than the largest is the smallest");
    let stat = tree.stat(tree.find("/p").unwrap());
    assert_eq!(stat.cversion, i32::MAX.wrapping_mul(2).wrapping_sub(6));
}

#[test]
fn section_13_2_the_delete_of_a_missing_node_still_raises_pzxid() {
    let mut tree = tree();
    apply(&mut tree, 3, &create("/p"));
    let before = tree.digest();
    assert_eq!(err(&mut tree, 2, &delete("/p/x")), -101);
    assert_eq!(persisted(&tree, "/p").pzxid, 3, "never lowered");
    assert_eq!(tree.digest(), before);
    assert_eq!(err(&mut tree, 9, &delete("/p/x")), -101);
    assert_eq!(persisted(&tree, "/p").pzxid, 9);
    assert_eq!(tree.digest(), model::digest(&tree));
    assert_ne!(tree.digest(), before);
    assert_eq!(err(&mut tree, 10, &delete("/no/x")), -101);
}

#[test]
fn section_13_2_a_replayed_delete_takes_what_came_later_with_it() {
    let mut tree = tree();
    for (zxid, path) in ["/a", "/a/b", "/a/b/c", "/a/d", "/a/d/e"].into_iter().enumerate() {
        apply(&mut tree, zxid as i64 + 1, &create(path));
    }
    assert_eq!(err(&mut tree, 9, &delete("/a")), 0);
    assert_eq!(tree.node_count(), 5);
    assert_eq!(tree.digest(), model::digest(&tree));
    assert_eq!(tree.approximate_data_size(), self::tree().approximate_data_size());
    assert_eq!(tree.acl_count(), 1);
}

#[test]
fn section_13_3_set_data_takes_the_transactions_values() {
    let mut tree = tree();
    apply(&mut tree, 1, &create("/a"));
    let Results::One(result) = apply(&mut tree, 5, &set("/a", b"xyz")).results else { panic!() };
    let stat = result.stat.unwrap();
    assert_eq!((stat.version, stat.mzxid, stat.mtime, stat.data_length), (7, 5, 1005, 3));
    assert_eq!((stat.czxid, stat.ctime, stat.pzxid), (1, 1001, 1));
    assert_eq!(err(&mut tree, 6, &set("/b", b"")), -101);
    let acl = Op::SetAcl { path: "/a".into(), acl: List::Read, version: 3 };
    let Results::One(result) = apply(&mut tree, 7, &acl).results else { panic!() };
    assert_eq!(result.stat.unwrap().aversion, 3);
    assert_eq!(result.stat.unwrap().mzxid, 5);
}

#[test]
fn section_3_results_carry_a_stat_where_replies_do() {
    let mut tree = tree();
    let stat_of = |tree: &mut Tree, op: &Op| match apply(tree, 1, op).results {
        Results::One(OpResult { err: 0, stat, .. }) => stat,
        other @ (Results::One(_) | Results::Multi(_)) => panic!("{other:?}"),
    };
    assert_eq!(stat_of(&mut tree, &create("/a")), None);
    for (at, kind) in [Kind::Create2, Kind::Container, Kind::Ttl(9)].into_iter().enumerate() {
        let path = format!("/a/{at}");
        let stat = stat_of(&mut tree, &create_as(kind, &path, Some(b"ab"))).unwrap();
        assert_eq!((stat.data_length, stat.ephemeral_owner), (2, 0));
    }
    assert_eq!(stat_of(&mut tree, &delete("/a/1")), None);
    assert_eq!(stat_of(&mut tree, &Op::CreateSession { timeout_ms: 5 }), None);
}

#[test]
fn section_4_a_multi_is_all_or_nothing() {
    let mut tree = tree();
    let good = Op::Multi(vec![create("/a"), create("/a/b"), set("/a", b"1"), set("/a", b"22")]);
    let Results::Multi(results) = apply(&mut tree, 1, &good).results else { panic!() };
    let lengths: Vec<_> = results.iter().map(|r| r.stat.map(|stat| stat.data_length)).collect();
    assert_eq!(lengths, [None, None, Some(1), Some(2)], "each right after its operation");
    let digest = tree.digest();
    let bad = Op::Multi(vec![create("/c"), Op::Error(-101), delete("/a/b"), Op::Error(-2)]);
    let results = apply(&mut tree, 2, &bad).results;
    let errs: Vec<_> = results.ops().iter().map(|r| (r.op, r.err)).collect();
    assert_eq!(errs, [(-1, 0), (-1, -101), (-1, -2), (-1, -2)]);
    assert_eq!(results.err(), -101);
    assert_eq!(tree.digest(), digest);
    assert_eq!(tree.last_zxid(), Zxid(2));
    let odd = Op::Multi(vec![Op::CreateSession { timeout_ms: 1 }, create("/d")]);
    let results = apply(&mut tree, 3, &odd).results;
    assert_eq!(results.ops()[0].err, -6);
    assert!(tree.find("/d").is_some());
    assert_eq!(tree.sessions().count(), 0);
}

#[test]
fn section_3_close_session_deletes_the_list_and_then_the_rest() {
    let mut tree = tree();
    apply(&mut tree, 1, &Op::CreateSession { timeout_ms: 4000 });
    assert_eq!(tree.session_timeout(SessionId(1)), Some(4000));
    for (zxid, path) in ["/b", "/a", "/c"].into_iter().enumerate() {
        apply(&mut tree, zxid as i64 + 2, &create_as(Kind::Ephemeral, path, None));
    }
    apply_by(&mut tree, 2, 5, &create_as(Kind::Ephemeral, "/other", None));
    assert_eq!(tree.ephemerals(SessionId(1)).collect::<Vec<_>>(), ["/a", "/b", "/c"]);
    assert_eq!(tree.ephemerals_count(), 4);
    assert_eq!(tree.orphan_sessions().collect::<Vec<_>>(), [SessionId(2)]);
    let close = Op::CloseSession { paths: Some(vec!["/c".into(), "/other".into()]) };
    apply(&mut tree, 6, &close);
    assert_eq!(tree.node_count(), 5, "also a listed one that another session holds");
    assert_eq!(tree.sessions_with_ephemerals().count(), 0);
    assert_eq!(tree.session_timeout(SessionId(1)), None);
}

#[test]
fn section_12_orphans_are_killed() {
    let mut tree = tree();
    apply(&mut tree, 1, &create_as(Kind::Ephemeral, "/e", None));
    let mut deleted = Vec::new();
    tree.kill_session(SessionId(1), Zxid(4), &mut |change| {
        deleted.push((change.event, change.path.to_owned()));
    });
    assert_eq!(deleted[0], (EventType::NodeDeleted, "/e".to_owned()));
    assert_eq!(persisted(&tree, "/").pzxid, 4);
    assert_eq!(tree.orphan_sessions().count(), 0);
}

#[test]
fn section_13_containers_and_ttls_are_reaped_when_their_time_has_come() {
    let mut tree = tree();
    apply(&mut tree, 1, &create_as(Kind::Container, "/used", None));
    apply(&mut tree, 2, &create("/used/x"));
    apply(&mut tree, 3, &create_as(Kind::Container, "/fresh", None));
    apply(&mut tree, 4, &create_as(Kind::Ttl(50), "/ttl", None));
    assert_eq!(tree.owner(tree.find("/ttl").unwrap()), OwnerKind::Ttl(50));
    let never = ReapRules { never_used_ms: 0 };
    let rules = ReapRules { never_used_ms: 40 };
    assert_eq!(tree.reapable(WallTime(1043), rules), Vec::<String>::new());
    assert_eq!(tree.reapable(WallTime(1044), rules), ["/fresh"]);
    assert_eq!(tree.reapable(WallTime(1055), never), ["/ttl"]);
    apply(&mut tree, 5, &delete("/used/x"));
    assert_eq!(tree.reapable(WallTime(0), never), ["/used"]);
    apply(&mut tree, 6, &create("/ttl/child"));
    assert_eq!(tree.reapable(WallTime(i64::MAX), never), ["/used"]);
    apply(&mut tree, 7, &delete("/used"));
    assert_eq!(tree.reapable(WallTime(i64::MIN), rules), Vec::<String>::new());
}

#[test]
fn section_18_quotas_count_what_is_below_them() {
    let mut tree = tree();
    apply(&mut tree, 1, &create("/a"));
    apply(&mut tree, 2, &create_as(Kind::Plain, "/a/x", Some(b"12")));
    let limits = "/zookeeper/quota/a/zookeeper_limits";
    let stats = "/zookeeper/quota/a/zookeeper_stats";
    apply(&mut tree, 3, &create_as(Kind::Plain, "/zookeeper/quota/a", None));
    let text_of_limits = b"count=5,bytes=-1=;byteHardLimit=100;countHardLimit=-1";
    apply(&mut tree, 4, &create_as(Kind::Plain, limits, Some(text_of_limits)));
    apply(&mut tree, 5, &create_as(Kind::Plain, stats, Some(b"")));
    let digest = tree.digest();
    assert_eq!(text(&tree, stats), "count=2,bytes=6");
    apply(&mut tree, 6, &create_as(Kind::Plain, "/a/y", Some(b"123")));
    apply(&mut tree, 7, &set("/a/x", b"1"));
    assert_eq!(text(&tree, stats), "count=3,bytes=8");
    assert_eq!(persisted(&tree, stats).mzxid, 5, "usage is outside of transactions");
    apply(&mut tree, 8, &delete("/a/x"));
    assert_eq!(text(&tree, stats), "count=2,bytes=7");
    assert_ne!(tree.digest(), digest);
    assert_eq!(tree.digest(), model::digest(&tree));
    let quota = tree.quota("/a/y/z").unwrap();
    assert_eq!((quota.usage.count, quota.usage.bytes), (2, 7));
    assert_eq!((quota.limits.count, quota.limits.bytes_hard), (5, 100));
    assert_eq!(quota.path, "/a");
    assert_eq!(tree.quota("/ab"), None);
    apply(&mut tree, 9, &delete(limits));
    assert_eq!(tree.quota("/a"), None);
    apply(&mut tree, 10, &create("/a/uncounted"));
    assert_eq!(text(&tree, stats), "count=2,bytes=7");
}

#[test]
fn section_10_lists_are_kept_once_and_ids_only_grow() {
    let mut tree = tree();
    let ids = |tree: &Tree| {
        tree.begin_walk().acls.iter().map(|(id, list)| (*id, list.len())).collect::<Vec<_>>()
    };
    assert_eq!(ids(&tree), [(1, 1)]);
    apply(&mut tree, 1, &create("/a"));
    apply(&mut tree, 2, &create("/b"));
    assert_eq!(ids(&tree), [(1, 1), (2, 1)], "a given open list has an id of its own");
    let a = tree.find("/a").unwrap();
    assert_eq!(tree.acl(a).unwrap(), Acl::open());
    apply(&mut tree, 3, &delete("/a"));
    apply(&mut tree, 4, &delete("/b"));
    assert_eq!(ids(&tree), [(1, 1)]);
    apply(&mut tree, 5, &create("/c"));
    assert_eq!(ids(&tree), [(1, 1), (3, 1)]);
    // Nulls and bytes that are not UTF-8 are kept as what they are read as: one list, not two.
    for (zxid, acl) in [(6, List::Nulls), (7, List::Blank), (8, List::Nulls)] {
        apply(&mut tree, zxid, &Op::SetAcl { path: "/c".into(), acl, version: 1 });
        assert_eq!(ids(&tree), [(1, 1), (4, 1)]);
    }
}

#[test]
fn section_11_a_wrong_digest_is_counted_and_told() {
    let mut tree = tree();
    let bytes = record(1, 1, &create("/a"));
    let mut record = TxnRecord::decode(&bytes).unwrap();
    record.digest = Some(wire::TxnDigest { version: 2, tree: 1 });
    let applied = tree.apply(&record, &mut |_| {});
    let mismatch = applied.digest_mismatch.unwrap();
    assert_eq!((mismatch.expected, mismatch.actual), (1, tree.digest()));
    assert_eq!(tree.digest_mismatches(), 1);
    assert_eq!(tree.digest_applied(), (Zxid(1), tree.digest()));
    let digest = tree.digest();
    assert_eq!(tree.expect_digest(Zxid(1), digest), None);
    assert!(tree.expect_digest(Zxid(1), digest + 1).is_some());
    assert_eq!(tree.expect_digest(Zxid(0), 5), None);
}

#[test]
fn hostile_transactions_change_nothing_that_matters() {
    let mut tree = tree();
    let before = dump(&tree);
    assert_eq!(err(&mut tree, 0, &delete("/")), -8);
    for path in ["", "x", "//x", "//"] {
        assert_eq!(err(&mut tree, 0, &delete(path)), -101, "{path}");
        assert_eq!(err(&mut tree, 0, &create(path)), -101, "{path}");
    }
    assert_eq!(dump(&tree), before);
    assert_eq!(err(&mut tree, 0, &create_at("/", 0)), -110);
    apply(&mut tree, 1, &create_as(Kind::Ephemeral, "/e", None));
    assert_eq!(err(&mut tree, 2, &create("/e/below")), 0);
    for ttl in [0, -1, i64::MIN, i64::MAX] {
        apply(&mut tree, 3, &create_as(Kind::Ttl(ttl), "/t", None));
        let reapable = tree.reapable(WallTime(i64::MAX), ReapRules { never_used_ms: i64::MIN });
        assert!(reapable.len() <= 1);
        apply(&mut tree, 4, &delete("/t"));
    }
    assert_eq!(err(&mut tree, 5, &delete("/zookeeper")), 0);
    assert_eq!(tree.node_count(), 4);
    assert_eq!(tree.digest(), model::digest(&tree));
    tree.init_config(b"x", Zxid(1), WallTime(2));
    assert_eq!(tree.find("/zookeeper/config"), None);
}

#[test]
fn a_server_puts_its_configuration_in_place() {
    let mut tree = tree();
    tree.init_config(b"server.1=h", Zxid(5), WallTime(6));
    let stat = persisted(&tree, "/zookeeper/config");
    assert_eq!((stat.version, stat.mzxid, stat.mtime, stat.aversion), (-1, 5, 6, -1));
    assert_eq!(text(&tree, "/zookeeper/config"), "server.1=h");
    assert_eq!(tree.digest(), 1_371_985_504);
    apply(&mut tree, 6, &delete("/zookeeper/config"));
    tree.init_config(b"again", Zxid(7), WallTime(8));
    assert_eq!(text(&tree, "/zookeeper/config"), "again");
    assert_eq!(tree.acl_count(), 1);
}

#[test]
fn a_long_path_is_no_deep_recursion() {
    let mut tree = tree();
    let mut path = String::new();
    for zxid in 1..2000 {
        path.push_str("/d");
        apply(&mut tree, zxid, &create(&path));
    }
    assert_eq!(tree.descendants(tree.find("/d").unwrap()), 1998);
    let mut walk = tree.begin_walk();
    let mut listed = 0;
    while tree.walk_next(&mut walk, 100, &mut |_| listed += 1) {}
    assert_eq!(listed, tree.node_count() - 1);
    assert_eq!(err(&mut tree, 3000, &delete("/d")), 0);
    assert_eq!(tree.node_count(), 5);
}
