//! A naive tree: a map from paths to nodes, everything else computed from it.

use crate::{Tree, digest_of};
use base::SessionId;
use jute::{Encode, Reader, put_int};
use std::collections::{BTreeMap, BTreeSet};
use wire::{
    Acl, Acls, CreateKind, CreateTxn, EventType, Id, MultiTxn, NodeRecord, OwnerKind, OwnerRules,
    StatPersisted, Strings, Txn, TxnHeader, TxnRecord,
};

/// Which create transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Ephemeral,
    Create2,
    Container,
    Ttl(i64),
}

/// Access lists worth trying.
#[derive(Clone, Copy, Debug)]
pub(super) enum List {
    Open,
    Read,
    Two,
    Empty,
    /// An entry of nulls, which reads as [`List::Blank`].
    Nulls,
    Blank,
}

impl List {
    pub(super) fn list(self) -> Vec<Acl> {
        match self {
            List::Open => Acl::open(),
            List::Read => Acl::read_only(),
            List::Two => {
                let digest = Acl { perms: 3, id: Id::new("digest", "u:p") };
                [Acl::read_only(), vec![digest]].concat()
            }
            List::Empty => Vec::new(),
            List::Nulls | List::Blank => vec![Acl { perms: 5, id: Id::new("", "") }],
        }
    }

    fn bytes(self) -> Vec<u8> {
        if let List::Nulls = self {
            return vec![0, 0, 0, 1, 0, 0, 0, 5, 255, 255, 255, 255, 255, 255, 255, 255];
        }
        let mut bytes = Vec::new();
        jute::Writer::new(&mut bytes).vector(&self.list());
        bytes
    }
}

/// A transaction that owns its parts.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Create { kind: Kind, path: String, data: Option<Vec<u8>>, acl: List, parent_cversion: i32 },
    Delete { path: String },
    SetData { path: String, data: Option<Vec<u8>>, version: i32 },
    SetAcl { path: String, acl: List, version: i32 },
    Check { path: String },
    CreateSession { timeout_ms: i32 },
    CloseSession { paths: Option<Vec<String>> },
    Error(i32),
    Multi(Vec<Op>),
}

impl Op {
    /// Hands the transaction to `then`, borrowed from parts that live as long.
    fn with_txn(&self, then: &mut dyn FnMut(Txn<'_>)) {
        let acls = |acl: &List| acl.bytes();
        match self {
            Op::Create { kind, path, data, acl, parent_cversion } => {
                let bytes = acls(acl);
                let kind_of = match kind {
                    Kind::Plain | Kind::Ephemeral => CreateKind::Create,
                    Kind::Create2 => CreateKind::Create2,
                    Kind::Container => CreateKind::Container,
                    Kind::Ttl(ttl) => CreateKind::Ttl(*ttl),
                };
                then(Txn::Create(CreateTxn {
                    kind: kind_of,
                    path: path.into(),
                    data: data.as_deref(),
                    acl: Acls::decode(&mut Reader::new(&bytes)).unwrap().unwrap(),
                    ephemeral: *kind == Kind::Ephemeral,
                    parent_cversion: *parent_cversion,
                }))
            }
            Op::Delete { path } => then(Txn::Delete { path: path.into(), by_reaper: false }),
            Op::SetData { path, data, version } => then(Txn::SetData {
                path: path.into(),
                data: data.as_deref(),
                version: *version,
                reconfig: false,
            }),
            Op::SetAcl { path, acl, version } => {
                let bytes = acls(acl);
                let acl = Acls::decode(&mut Reader::new(&bytes)).unwrap().unwrap();
                then(Txn::SetAcl { path: path.into(), acl, version: *version })
            }
            Op::Check { path } => then(Txn::Check { path: path.into(), version: 0 }),
            Op::CreateSession { timeout_ms } => {
                then(Txn::CreateSession { timeout_ms: *timeout_ms })
            }
            Op::CloseSession { paths: None } => then(Txn::CloseSession { paths: None }),
            Op::CloseSession { paths: Some(paths) } => {
                let mut bytes = Vec::new();
                Txn::encode_paths(&mut bytes, paths);
                let paths = Strings::decode(&mut Reader::new(&bytes)).unwrap();
                then(Txn::CloseSession { paths })
            }
            Op::Error(err) => then(Txn::Error(*err)),
            Op::Multi(ops) => {
                let mut bytes = Vec::new();
                put_int(&mut bytes, ops.len() as i32);
                ops.iter().for_each(|op| op.with_txn(&mut |txn| txn.encode_in_multi(&mut bytes)));
                then(Txn::decode_body(14, &mut Reader::new(&bytes)).unwrap())
            }
        }
    }
}

/// A log record of `op`, its time being 1000 ms and the zxid.
pub(super) fn record(session: i64, zxid: i64, op: &Op) -> Vec<u8> {
    let mut bytes = Vec::new();
    op.with_txn(&mut |txn| {
        let op = txn.op().number();
        let header =
            TxnHeader { client_id: session, cxid: 1, zxid, time: zxid.wrapping_add(1000), op };
        TxnRecord { header, txn, digest: None }.encode(&mut bytes);
    });
    bytes
}

/// The digest of a tree, from nothing but what it lists.
pub(super) fn digest(tree: &Tree) -> u64 {
    let mut sum = 0u64;
    let mut walk = tree.begin_walk();
    while tree.walk_next(&mut walk, 100, &mut |node: NodeRecord<'_>| {
        sum = sum.wrapping_add(u64::from(digest_of(&node.path, node.data, &node.stat)));
    }) {}
    sum
}

/// All that can be read from a tree and must be the same in an equal one.
pub(super) fn dump(tree: &Tree) -> Vec<String> {
    let mut lines = Vec::new();
    let mut paths = Vec::new();
    let mut walk = tree.begin_walk();
    while tree.walk_next(&mut walk, 100, &mut |node: NodeRecord<'_>| {
        paths.push(node.path.into_owned());
    }) {}
    paths.sort();
    for path in paths {
        let node = tree.find(&path).unwrap();
        let mut children: Vec<&str> = tree.children(node).collect();
        children.sort_unstable();
        let (data, stat, acl) = (tree.data(node), tree.stat(node), tree.acl(node));
        let persisted = tree.stat_persisted(node);
        lines.push(format!("{path} {data:?} {stat:?} {persisted:?} {acl:?} {children:?}"));
    }
    for session in tree.sessions_with_ephemerals() {
        lines.push(format!("{session} {:?}", tree.ephemerals(session).collect::<Vec<_>>()));
    }
    lines.push(format!("{:?}", tree.sessions().collect::<Vec<_>>()));
    lines.push(format!("{:?}", tree.quotas().collect::<Vec<_>>()));
    let (count, size, digest) = (tree.node_count(), tree.approximate_data_size(), tree.digest());
    lines.push(format!("{count} {size} {digest} {} {}", tree.acl_count(), tree.ephemerals_count()));
    lines
}

#[derive(Clone, Debug)]
pub(super) struct ModelNode {
    pub(super) data: Option<Vec<u8>>,
    pub(super) acl: Option<Vec<Acl>>,
    pub(super) stat: StatPersisted,
}

/// The naive tree. The root is "".
pub(super) struct Model {
    pub(super) rules: OwnerRules,
    pub(super) nodes: BTreeMap<String, ModelNode>,
    pub(super) sessions: BTreeMap<SessionId, i32>,
    pub(super) quotas: BTreeSet<String>,
    /// Changes in order: event, path, list.
    pub(super) changes: Vec<(EventType, String, Option<Vec<Acl>>)>,
}

impl Model {
    pub(super) fn new(rules: OwnerRules) -> Model {
        let plain = ModelNode { data: Some(vec![]), acl: None, stat: StatPersisted::default() };
        let mut nodes = BTreeMap::new();
        for path in ["", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"] {
            nodes.insert(path.to_owned(), plain.clone());
        }
        let config = nodes.get_mut("/zookeeper/config").unwrap();
        config.acl = Some(Acl::read_only());
        config.stat.aversion = -1;
        Model {
            rules,
            nodes,
            sessions: BTreeMap::new(),
            quotas: BTreeSet::new(),
            changes: Vec::new(),
        }
    }

    pub(super) fn children(&self, path: &str) -> Vec<&str> {
        let below = format!("{path}/");
        self.nodes
            .keys()
            .filter_map(|other| other.strip_prefix(&below).filter(|name| !name.contains('/')))
            .collect()
    }

    pub(super) fn kind(&self, path: &str) -> OwnerKind {
        self.rules.kind(self.nodes[path].stat.ephemeral_owner)
    }

    pub(super) fn ephemerals(&self, session: SessionId) -> Vec<String> {
        let of_session = |path: &&String| self.kind(path) == OwnerKind::Ephemeral(session);
        self.nodes.keys().filter(of_session).cloned().collect()
    }

    /// Applies a record; the errors of its operations.
    pub(super) fn apply(&mut self, record: &TxnRecord<'_>) -> Vec<i32> {
        if let Txn::Multi(multi) = &record.txn {
            self.multi(&record.header, multi)
        } else {
            vec![self.one(&record.header, &record.txn)]
        }
    }

    fn multi(&mut self, header: &TxnHeader, multi: &MultiTxn<'_>) -> Vec<i32> {
        let txns: Vec<Txn<'_>> = multi.iter().map(|(_, txn)| txn).collect();
        if let Some(failed) = txns.iter().position(|txn| matches!(txn, Txn::Error(_))) {
            let err = |(at, txn): (usize, &Txn<'_>)| {
                let Txn::Error(err) = txn else { return if at < failed { 0 } else { -2 } };
                *err
            };
            return txns.iter().enumerate().map(err).collect();
        }
        let part = |txn: &Txn<'_>| {
            let allowed = matches!(
                txn,
                Txn::Create(_) | Txn::Delete { .. } | Txn::SetData { .. } | Txn::Check { .. }
            );
            if allowed { self.one(header, txn) } else { -6 }
        };
        txns.iter().map(part).collect()
    }

    fn one(&mut self, header: &TxnHeader, txn: &Txn<'_>) -> i32 {
        match txn {
            Txn::Create(create) => self.create(header, create),
            Txn::Delete { path, .. } => self.delete(path, header.zxid),
            Txn::SetData { path, data, version, .. } => {
                let Some(node) = self.nodes.get_mut(key(path)) else { return -101 };
                let grown = length(*data) - length(node.data.as_deref());
                node.data = data.map(<[u8]>::to_vec);
                node.stat.version = *version;
                node.stat.mzxid = header.zxid;
                node.stat.mtime = header.time;
                self.charge(path, 0, grown);
                self.change(EventType::NodeDataChanged, key(path));
                0
            }
            Txn::SetAcl { path, acl, version } => {
                let Some(node) = self.nodes.get_mut(key(path)) else { return -101 };
                node.acl = Some(acl.to_vec());
                node.stat.aversion = *version;
                0
            }
            Txn::CreateSession { timeout_ms } => {
                self.sessions.insert(SessionId(header.client_id), *timeout_ms);
                0
            }
            Txn::CloseSession { paths } => {
                for path in paths.iter().flat_map(|paths| paths.iter()) {
                    self.delete(&path, header.zxid);
                }
                self.sessions.remove(&SessionId(header.client_id));
                for path in self.ephemerals(SessionId(header.client_id)) {
                    self.delete(&path, header.zxid);
                }
                0
            }
            Txn::Error(err) => *err,
            Txn::Check { .. } | Txn::Multi(_) => 0,
        }
    }

    fn create(&mut self, header: &TxnHeader, create: &CreateTxn<'_>) -> i32 {
        let path = key(&create.path).to_owned();
        let Some((parent, name)) = create.path.rsplit_once('/') else { return -101 };
        if !self.nodes.contains_key(parent) || create.path.starts_with("//") {
            return -101;
        }
        let exists = self.nodes.contains_key(&path);
        if !exists || create.kind == CreateKind::Create {
            let stat = &mut self.nodes.get_mut(parent).unwrap().stat;
            let wanted = match create.parent_cversion {
                -1 => stat.cversion.wrapping_add(1),
                cversion => cversion,
            };
            if wanted > stat.cversion {
                (stat.cversion, stat.pzxid) = (wanted, header.zxid);
            }
        }
        if exists {
            self.nodes.get_mut(&path).unwrap().acl = Some(create.acl.to_vec());
            return -110;
        }
        let ephemeral_owner = match create.kind {
            CreateKind::Create | CreateKind::Create2 if create.ephemeral => header.client_id,
            CreateKind::Create | CreateKind::Create2 => 0,
            CreateKind::Container => i64::MIN,
            CreateKind::Ttl(ttl) => (0xff_i64 << 56) | (ttl & 0xff_ffff_ffff),
        };
        let (zxid, time) = (header.zxid, header.time);
        let stat = StatPersisted {
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: time,
            mtime: time,
            ephemeral_owner,
            ..StatPersisted::default()
        };
        let data = create.data.map(<[u8]>::to_vec);
        self.nodes.insert(path.clone(), ModelNode { data, acl: Some(create.acl.to_vec()), stat });
        if let Some(subject) = parent.strip_prefix("/zookeeper/quota").filter(|s| s.len() > 1) {
            if name == "zookeeper_limits" {
                self.quotas.insert(subject.to_owned());
            }
            if name == "zookeeper_stats" {
                let below = format!("{subject}/");
                let held: Vec<i64> = self
                    .nodes
                    .iter()
                    .filter(|(path, _)| *path == subject || path.starts_with(&below))
                    .map(|(_, node)| length(node.data.as_deref()))
                    .collect();
                let usage = format!("count={},bytes={}", held.len(), held.iter().sum::<i64>());
                self.nodes.get_mut(&path).unwrap().data = Some(usage.into_bytes());
            }
        }
        self.charge(&path, 1, length(create.data));
        self.change(EventType::NodeCreated, &path);
        self.change(EventType::NodeChildrenChanged, parent);
        0
    }

    fn delete(&mut self, path: &str, zxid: i64) -> i32 {
        if path == "/" {
            return -8;
        }
        let Some((parent, _)) = path.rsplit_once('/') else { return -101 };
        let Some(stat) = self.nodes.get_mut(parent).map(|node| &mut node.stat) else { return -101 };
        stat.pzxid = stat.pzxid.max(zxid);
        let Some(node) = self.nodes.get(path) else { return -101 };
        let acl = node.acl.clone();
        let below = format!("{path}/");
        let gone: Vec<String> = self
            .nodes
            .keys()
            .filter(|other| *other == path || other.starts_with(&below))
            .cloned()
            .collect();
        for gone in gone.iter().rev() {
            let node = self.nodes.remove(gone).unwrap();
            if let Some(subject) = gone
                .strip_prefix("/zookeeper/quota")
                .and_then(|rest| rest.strip_suffix("/zookeeper_limits"))
            {
                self.quotas.remove(subject);
            }
            self.charge(gone, -1, -length(node.data.as_deref()));
        }
        self.changes.push((EventType::NodeDeleted, path.to_owned(), acl));
        self.change(EventType::NodeChildrenChanged, parent);
        0
    }

    fn change(&mut self, event: EventType, path: &str) {
        let acl = self.nodes[path].acl.clone();
        let path = if path.is_empty() { "/" } else { path };
        self.changes.push((event, path.to_owned(), acl));
    }

    fn charge(&mut self, path: &str, count: i64, bytes: i64) {
        let covers = |quota: &&String| *quota == path || path.starts_with(&format!("{quota}/"));
        let Some(subject) = self.quotas.iter().filter(covers).max_by_key(|quota| quota.len())
        else {
            return;
        };
        let stats = format!("/zookeeper/quota{subject}/zookeeper_stats");
        let Some(node) = self.nodes.get_mut(&stats) else { return };
        let text = String::from_utf8(node.data.clone().unwrap_or_default()).unwrap();
        let number = |name: &str| {
            let found = text.split(',').find_map(|pair| pair.strip_prefix(name));
            found.map_or(-1, |value| value.parse::<i64>().unwrap())
        };
        let (count, bytes) = (number("count=") + count, number("bytes=") + bytes);
        node.data = Some(format!("count={count},bytes={bytes}").into_bytes());
    }
}

fn key(path: &str) -> &str {
    if path == "/" { "" } else { path }
}

fn length(data: Option<&[u8]>) -> i64 {
    data.map_or(0, |data| data.len() as i64)
}
