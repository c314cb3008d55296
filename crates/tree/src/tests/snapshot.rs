//! Snapshots: what a walk lists and what a builder takes.

use super::model::{Kind, List, Op};
use super::{apply, create, create_as, text, tree};
use crate::{Config, RestoreError, Tree, TreeBuilder, Walk};
use base::Zxid;
use jute::{Encode, Reader};
use wire::{Acl, NodeRecord, StatPersisted, perms};

fn node(path: &str, acl_id: i64) -> NodeRecord<'_> {
    NodeRecord { path: path.into(), data: Some(b"x"), acl_id, stat: StatPersisted::default() }
}

#[test]
fn section_9_a_snapshot_that_is_no_tree_is_refused() {
    let mut builder = TreeBuilder::new(Config::default());
    assert_eq!(builder.node(&node("/a", -1)), Err(RestoreError::MissingParent("/a".into())));
    builder.node(&node("", -1)).unwrap();
    assert_eq!(builder.node(&node("", -1)), Err(RestoreError::Duplicate(String::new())));
    builder.node(&node("/a", -1)).unwrap();
    assert_eq!(builder.node(&node("/a", -1)), Err(RestoreError::Duplicate("/a".into())));
    for path in ["/b/c", "a", "//a"] {
        assert_eq!(builder.node(&node(path, -1)), Err(RestoreError::MissingParent(path.into())));
    }
    assert_eq!(builder.node(&node("/", -1)), Err(RestoreError::Duplicate("/".into())));
    assert!(builder.finish(Zxid(1)).is_ok());
    let empty = TreeBuilder::new(Config::default()).finish(Zxid(0));
    assert_eq!(empty.err(), Some(RestoreError::NoRoot));
}

#[test]
fn section_10_a_snapshots_lists_are_counted_and_the_unused_purged() {
    let mut builder = TreeBuilder::new(Config::default());
    builder.acl(5, Acl::open());
    builder.acl(9, Acl::read_only());
    builder.acl(7, Acl::read_only());
    builder.acl(20, vec![]);
    builder.node(&node("", 5)).unwrap();
    builder.node(&node("/nine", 9)).unwrap();
    builder.node(&node("/seven", 7)).unwrap();
    builder.node(&node("/missing", 8)).unwrap();
    let mut tree = builder.finish(Zxid(3)).unwrap();
    let acl = |tree: &Tree, path: &str| tree.acl(tree.find(path).unwrap()).unwrap().to_vec();
    assert_eq!(acl(&tree, "/"), Acl::open());
    assert_eq!(acl(&tree, "/nine"), Acl::read_only());
    assert_eq!(acl(&tree, "/seven"), Acl::read_only());
    assert!(acl(&tree, "/missing").iter().all(|acl| acl.perms & perms::ALL == 0));
    assert_eq!(tree.acl_count(), 3, "two ids of one list are one, and 20 is unused");
    apply(&mut tree, 4, &create("/missing"));
    assert_eq!(acl(&tree, "/missing"), Acl::open());
    assert_eq!(tree.acl_count(), 2);
    apply(&mut tree, 5, &Op::SetAcl { path: "/nine".into(), acl: List::Two, version: 1 });
    let ids: Vec<i64> = tree.begin_walk().acls.iter().map(|(id, _)| *id).collect();
    assert!(ids.contains(&22), "after 20, and 21 for the missing one: {ids:?}");
}

#[test]
fn section_18_quotas_are_rebuilt_from_the_nodes() {
    let mut builder = TreeBuilder::new(Config::default());
    for path in ["", "/a", "/a/b", "/zookeeper", "/zookeeper/quota", "/zookeeper/quota/a"] {
        builder.node(&node(path, -1)).unwrap();
    }
    builder.node(&node("/zookeeper/quota/a/zookeeper_stats", -1)).unwrap();
    builder.node(&node("/zookeeper/quota/a/zookeeper_limits", -1)).unwrap();
    let tree = builder.finish(Zxid(3)).unwrap();
    assert_eq!(text(&tree, "/zookeeper/quota/a/zookeeper_stats"), "count=2,bytes=2");
    assert_eq!(tree.quotas().map(|quota| quota.path).collect::<Vec<_>>(), ["/a"]);
}

fn names(tree: &Tree, walk: &mut Walk, nodes_max: usize) -> Vec<String> {
    let mut names = Vec::new();
    tree.walk_next(walk, nodes_max, &mut |node| names.push(node.path.into_owned()));
    names
}

#[test]
fn large_nodes_end_a_batch() {
    let mut tree = tree();
    for zxid in 1..6 {
        let big = create_as(Kind::Plain, &format!("/big{zxid}"), Some(&vec![1; 700_000]));
        apply(&mut tree, zxid, &big);
    }
    let mut walk = tree.begin_walk();
    let batch = names(&tree, &mut walk, usize::MAX).len();
    assert!(batch < 9 && !walk.is_done(), "two of them are a batch");
}

#[test]
fn section_9_walks_do_not_disturb_each_other_and_deletes_move_all_of_them() {
    let mut tree = tree();
    ["/c", "/b", "/a"].iter().zip(1..).for_each(|(path, zxid)| {
        apply(&mut tree, zxid, &create(path));
    });
    let (mut first, mut second) = (tree.begin_walk(), tree.begin_walk());
    assert_eq!(names(&tree, &mut first, 2), ["", "/a"]);
    assert_eq!(names(&tree, &mut second, 1), [""]);
    let third = tree.begin_walk();
    apply(&mut tree, 4, &Op::Delete { path: "/a".into() });
    apply(&mut tree, 5, &Op::Delete { path: "/b".into() });
    drop(third);
    assert_eq!(names(&tree, &mut first, 1), ["/c"]);
    assert_eq!(names(&tree, &mut second, 1), ["/c"]);
    apply(&mut tree, 6, &Op::Delete { path: "/c".into() });
    for walk in [&mut first, &mut second] {
        assert!(names(&tree, walk, 9).iter().all(|name| name.starts_with("/zookeeper")));
        assert!(walk.is_done());
    }
}

#[test]
fn a_walk_does_not_go_on_over_another_tree() {
    let mut walk = tree().begin_walk();
    let other = tree();
    drop(other.begin_walk());
    assert!(names(&other, &mut walk, 1).is_empty());
    assert!(!walk.is_done());
}

#[test]
fn nodes_encode_as_the_snapshot_has_them() {
    // Section 18 of the disk format: the nodes of an empty database.
    let tree = Tree::new(Config::default());
    let mut bytes = Vec::new();
    let mut walk = tree.begin_walk();
    while tree.walk_next(&mut walk, 1, &mut |node| node.encode(&mut bytes)) {}
    let mut reader = Reader::new(&bytes);
    let mut paths = Vec::new();
    while !reader.is_empty() {
        paths.push(reader.string().unwrap().unwrap().into_owned());
        assert_eq!(reader.buffer().unwrap(), Some(&b""[..]));
        let acl_id = reader.long().unwrap();
        assert_eq!(acl_id, if paths.last().unwrap().ends_with("config") { 1 } else { -1 });
        reader.take(60).unwrap();
    }
    assert_eq!(paths, ["", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"]);
}
