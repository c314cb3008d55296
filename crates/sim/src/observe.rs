//! What the world sees of a member from outside: the order it logs, and its tree.

use crate::codec::plain_stat;
use base::Zxid;
use check::{Acl, Commit, Configuration, SeenNode, SeenTree, Violation, Work};
use tree::{NodeIndex, Tree};
use wire::{Txn, TxnRecord};

/// A logged transaction in the checker's words.
pub(crate) fn commit(at: Zxid, record: &[u8]) -> Result<Commit, Violation> {
    let Ok(record) = TxnRecord::decode(record) else {
        return Err(Violation::new("log.malformed", format!("{at} is no transaction")));
    };
    let header = record.header;
    if header.zxid != at.0 {
        let what = format!("the record of {at} says that it is {:#x}", header.zxid);
        return Err(Violation::new("log.malformed", what));
    }
    let own = header.cxid == 0;
    let work = match &record.txn {
        Txn::CreateSession { timeout_ms } => Work::Open { timeout_ms: *timeout_ms },
        Txn::CloseSession { .. } if own => Work::Expire,
        Txn::Delete { path, by_reaper: true } => Work::Reap { path: path.to_string() },
        Txn::Error(err) if own => Work::ReapFailed { err: *err },
        Txn::Error(err) => Work::Asked { err: *err },
        Txn::Multi(multi) => {
            let error = |txn| if let Txn::Error(err) = txn { Some(err) } else { None };
            let errors = multi.iter().filter_map(|(_, txn)| error(txn));
            Work::Asked { err: { errors }.find(|err| *err != 0).unwrap_or(0) }
        }
        Txn::Create(_)
        | Txn::Delete { by_reaper: false, .. }
        | Txn::SetData { .. }
        | Txn::SetAcl { .. }
        | Txn::Check { .. }
        | Txn::CloseSession { .. } => Work::Asked { err: 0 },
    };
    let (session, xid, time) = (header.client_id, header.cxid, header.time);
    Ok(Commit { zxid: at.0, session, xid, time, work })
}

/// The configuration that a logged transaction names, if it changes that.
pub(crate) fn configuration(record: &[u8]) -> Option<Configuration> {
    let Txn::SetData { data, reconfig: true, .. } = TxnRecord::decode(record).ok()?.txn else {
        return None;
    };
    Configuration::parse(std::str::from_utf8(data?).ok()?)
}

/// The whole tree, and whether its digest is the sum of its nodes' digests.
pub(crate) fn tree(tree: &Tree) -> Result<SeenTree, Violation> {
    let mut nodes = Vec::new();
    let mut digest = 0_u64;
    if let Some(root) = tree.find("/") {
        visit(tree, root, "", &mut nodes, &mut digest);
    }
    nodes.sort_by(|a: &SeenNode, b: &SeenNode| a.path.cmp(&b.path));
    if digest != tree.digest() || tree.digest_mismatches() > 0 {
        let what = format!(
            "at {}: digest {:#x}, nodes sum to {digest:#x}, {} mismatches",
            tree.last_zxid(),
            tree.digest(),
            tree.digest_mismatches()
        );
        return Err(Violation::new("digest", what));
    }
    let sessions = tree.sessions().map(|(session, ms)| (session.0, ms)).collect();
    Ok(SeenTree { zxid: tree.last_zxid().0, nodes, sessions })
}

fn visit(tree: &Tree, node: NodeIndex, path: &str, nodes: &mut Vec<SeenNode>, digest: &mut u64) {
    let data = tree.data(node);
    if !path.starts_with("/zookeeper/") {
        let part = tree::digest_of(path, data, &tree.stat_persisted(node));
        *digest = digest.wrapping_add(u64::from(part));
    }
    let acl = tree.acl(node).map_or_else(Acl::open, |list| {
        let plain = |acl: &wire::Acl| Acl {
            perms: acl.perms,
            scheme: acl.id.scheme.clone(),
            id: acl.id.id.clone(),
        };
        list.iter().map(plain).collect()
    });
    nodes.push(SeenNode {
        path: if path.is_empty() { "/".into() } else { path.into() },
        data: data.map(<[u8]>::to_vec),
        stat: plain_stat(tree.stat(node)),
        acl,
    });
    for name in tree.children(node) {
        if let Some(child) = tree.child(node, name) {
            visit(tree, child, &format!("{path}/{name}"), nodes, digest);
        }
    }
}
