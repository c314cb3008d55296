//! Prints what a node costs in memory and an operation in time.
//!
//! `cargo run --release -p tree --example footprint [nodes] [flat|deep]`: that many nodes of 100
//! bytes (a million by default) with names of 12 characters, under one parent or a thousand. Times
//! are CPU times. Linux only.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "it measures")]

use base::Zxid;
use std::time::Instant;
use tree::{Config, Tree, TreeBuilder};
use wire::{Acls, CreateKind, CreateTxn, NodeRecord, Txn, TxnHeader, TxnRecord};

fn main() {
    let mut args = std::env::args().skip(1);
    let nodes: usize = args.next().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let deep = args.next().is_some_and(|shape| shape == "deep");
    let parents = if deep { 1000 } else { 1 };
    for digest in [true, false] {
        measure(nodes, parents, digest);
    }
}

fn measure(nodes: usize, parents: usize, digest: bool) {
    println!("-- {nodes} nodes, {parents} parents, digest {digest}");
    let paths: Vec<String> =
        (0..nodes).map(|n| format!("/bench-{:04}/n{n:011}", n % parents)).collect();
    let base_rss = resident();
    let mut tree = Tree::new(Config { digest, ..Config::default() });
    for parent in 0..parents {
        tree.apply(&create(1, &format!("/bench-{parent:04}")), &mut |_| {});
    }
    let mut slowest = 0;
    timed("create", nodes, || {
        for (at, path) in paths.iter().enumerate() {
            let record = create(at as i64 + 2, path);
            let before = Instant::now();
            tree.apply(&record, &mut |_| {});
            slowest = slowest.max(before.elapsed().as_micros());
        }
    });
    println!("slowest create            {slowest:>8} us, by the clock on the wall");
    println!(
        "memory                    {:>8.1} bytes per node",
        (resident() - base_rss) / nodes as f64
    );

    let order: Vec<usize> = (0..nodes).map(|n| n * 7919 % nodes).collect();
    let mut found = 0;
    timed("the paths alone, at random", nodes, || {
        found +=
            order.iter().map(|at| paths[*at].bytes().filter(|b| *b == b' ').count()).sum::<usize>();
    });
    timed("find and data, at random", nodes, || {
        for at in &order {
            let node = tree.find(&paths[*at]).expect("it was created");
            found += tree.data(node).map_or(0, <[u8]>::len);
        }
    });
    timed("find and stat, at random", nodes, || {
        for at in &order {
            let node = tree.find(&paths[*at]).expect("it was created");
            found += tree.stat(node).data_length as usize;
        }
    });
    timed("find and data, one node", nodes, || {
        for _ in 0..nodes {
            let node = tree.find(&paths[nodes / 2]).expect("it was created");
            found += tree.data(node).map_or(0, <[u8]>::len);
        }
    });
    assert!(found == 300 * nodes);
    timed("set, at random", nodes, || {
        for at in &order {
            tree.apply(&set(nodes as i64 + 9, &paths[*at]), &mut |_| {});
        }
    });
    timed("set, one node", nodes, || {
        for _ in 0..nodes {
            tree.apply(&set(nodes as i64 + 9, &paths[nodes / 2]), &mut |_| {});
        }
    });
    let restored = walk_and_restore(&tree, nodes, digest);
    assert!(restored.digest() == tree.digest());
    drop(restored);
    timed("delete, at random", nodes, || {
        for at in &order {
            let txn = Txn::Delete { path: (&*paths[*at]).into(), by_reaper: false };
            tree.apply(&record(2 * nodes as i64, txn), &mut |_| {});
        }
    });
}

fn walk_and_restore(tree: &Tree, nodes: usize, digest: bool) -> Tree {
    let mut walk = tree.begin_walk();
    let mut builder = TreeBuilder::new(Config { digest, ..Config::default() });
    for (id, list) in &walk.acls {
        builder.acl(*id, list.to_vec());
    }
    let mut bytes = 0;
    timed("walk", nodes, || {
        let mut list = |node: NodeRecord<'_>| bytes += node.path.len();
        while tree.walk_next(&mut walk, 1000, &mut list) {}
    });
    assert!(bytes > nodes);
    let mut walk = tree.begin_walk();
    timed("walk and restore", nodes, || {
        let mut list = |node: NodeRecord<'_>| builder.node(&node).expect("it comes from a tree");
        while tree.walk_next(&mut walk, 1000, &mut list) {}
    });
    builder.finish(Zxid(1)).expect("it has a root")
}

fn create(zxid: i64, path: &str) -> TxnRecord<'_> {
    let txn = Txn::Create(CreateTxn {
        kind: CreateKind::Create,
        path: path.into(),
        data: Some(&[7; 100]),
        acl: Acls::OPEN,
        ephemeral: false,
        parent_cversion: -1,
    });
    record(zxid, txn)
}

fn set(zxid: i64, path: &str) -> TxnRecord<'_> {
    record(
        zxid,
        Txn::SetData { path: path.into(), data: Some(&[8; 100]), version: 1, reconfig: false },
    )
}

fn record(zxid: i64, txn: Txn<'_>) -> TxnRecord<'_> {
    let header =
        TxnHeader { client_id: 1, cxid: 1, zxid, time: 1_700_000_000_000, op: txn.op().number() };
    TxnRecord { header, txn, digest: None }
}

fn timed(what: &str, times: usize, work: impl FnOnce()) {
    let before = cpu_time();
    work();
    println!("{what:<26}{:>8.0} ns", (cpu_time() - before) / times as f64);
}

/// Nanoseconds that this thread has run: other work on the machine does not count.
fn cpu_time() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0.0)
}

/// Bytes of this process in memory.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().unwrap_or(0.0);
    kib * 1024.0
}
