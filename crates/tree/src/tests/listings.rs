//! Listings that are kept say what the tree says, after every change.

use super::{apply, create, tree};
use crate::Tree;
use crate::tests::model::Op;

/// The names in what a reply holds.
fn listed(tree: &Tree, path: &str) -> Vec<String> {
    let mut bytes = Vec::new();
    tree.put_children(tree.find(path).unwrap(), &mut bytes);
    let mut r = jute::Reader::new(&bytes);
    let names = wire::Strings::decode(&mut r).unwrap().unwrap();
    assert!(r.is_empty());
    sorted(names.iter().map(|name| name.into_owned()))
}

fn children(tree: &Tree, path: &str) -> Vec<String> {
    sorted(tree.children(tree.find(path).unwrap()).map(str::to_owned))
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    names
}

/// Two families change in turn, through the size from which listings are kept. Each is listed
/// twice: the second time it may be a kept one.
#[test]
fn a_listing_follows_each_change_of_a_large_family() {
    let mut tree = tree();
    for (zxid, dir) in [(1, "/a"), (2, "/b")] {
        apply(&mut tree, zxid, &create(dir));
        assert_eq!(listed(&tree, dir), Vec::<String>::new());
    }
    let path = |n: i64| format!("{}/n{n}", if n % 2 == 0 { "/a" } else { "/b" });
    let check = |tree: &Tree| {
        for dir in ["/a", "/b", "/a", "/b"] {
            assert_eq!(listed(tree, dir), children(tree, dir));
        }
    };
    for n in 0..300 {
        apply(&mut tree, 10 + n, &create(&path(n)));
        check(&tree);
    }
    for n in 0..300 {
        apply(&mut tree, 1000 + n, &Op::Delete { path: path(n) });
        check(&tree);
    }
    assert_eq!(tree.num_children(tree.find("/a").unwrap()), 0);
}
