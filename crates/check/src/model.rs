//! The model's state: a map of paths, as slow and as plain as it can be.

use crate::configuration::{CONFIG_PATH, Configuration};
use crate::record::{Acl, SeenTree, Stat, perms};
use std::collections::{BTreeMap, BTreeSet};

/// What the model must know of the server's configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelConfig {
    /// Whether nodes with a time to live may be made.
    pub ttl_nodes: bool,
    /// Whether sessions may be known to one server alone, and so begin and end outside of the order.
    pub local_sessions: bool,
}

/// What becomes of a node by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Plain,
    /// It goes with that session.
    Ephemeral(i64),
    /// It goes with its last child.
    Container,
    /// It goes after that many ms.
    Ttl(i64),
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // ZooKeeper's own names
pub struct Node {
    pub data: Option<Vec<u8>>,
    pub acl: Vec<Acl>,
    pub kind: Kind,
    pub czxid: i64,
    pub mzxid: i64,
    pub pzxid: i64,
    pub ctime: i64,
    pub mtime: i64,
    pub version: i32,
    pub aversion: i32,
    /// How many children were ever created: the next sequence number.
    pub created: i32,
    pub children: BTreeSet<String>,
}

/// What happened to a node, by the numbers of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum EventKind {
    Created = 1,
    Deleted = 2,
    Data = 3,
    Children = 4,
}

/// What watchers may be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub kind: EventKind,
    /// To which node.
    pub path: String,
    /// Who may be told: those who may read by this list.
    pub acl: Vec<Acl>,
}

/// The service's replicated state.
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) config: ModelConfig,
    pub(crate) nodes: BTreeMap<String, Node>,
    pub(crate) sessions: BTreeMap<i64, i32>,
    pub(crate) configuration: Option<Configuration>,
    /// All sessions that the order ever opened: others are of one server alone, if that may be.
    pub(crate) opened: BTreeSet<i64>,
}

impl Model {
    /// A new server's tree.
    #[must_use]
    pub fn new(config: ModelConfig) -> Model {
        let mut model = Model {
            config,
            nodes: BTreeMap::new(),
            sessions: BTreeMap::new(),
            configuration: None,
            opened: BTreeSet::new(),
        };
        for path in ["/", "/zookeeper", CONFIG_PATH, "/zookeeper/quota"] {
            let mut node = Node {
                data: Some(Vec::new()),
                acl: Acl::open(),
                kind: Kind::Plain,
                czxid: 0,
                mzxid: 0,
                pzxid: 0,
                ctime: 0,
                mtime: 0,
                version: 0,
                aversion: 0,
                created: 0,
                children: BTreeSet::new(),
            };
            if path == CONFIG_PATH {
                node.acl[0].perms = perms::READ;
                node.aversion = -1;
            }
            model.nodes.insert(path.into(), node);
        }
        for (parent, child) in
            [("/", "zookeeper"), ("/zookeeper", "config"), ("/zookeeper", "quota")]
        {
            if let Some(node) = model.nodes.get_mut(parent) {
                node.children.insert(child.into());
            }
        }
        model
    }

    /// The node at a path, if there is one.
    #[must_use]
    pub fn node(&self, path: &str) -> Option<&Node> {
        self.nodes.get(if path.is_empty() { "/" } else { path })
    }

    /// A session's ephemeral nodes, sorted.
    #[must_use]
    pub fn ephemerals(&self, session: i64) -> Vec<String> {
        let own = self.nodes.iter().filter(|(_, node)| node.kind == Kind::Ephemeral(session));
        own.map(|(path, _)| path.clone()).collect()
    }

    /// Whether only one server can know the session, if it is one.
    pub(crate) fn is_local(&self, session: i64) -> bool {
        self.config.local_sessions && !self.opened.contains(&session)
    }

    /// What differs between the model and a tree that was seen; `None` if nothing does.
    #[must_use]
    pub fn difference(&self, seen: &SeenTree) -> Option<String> {
        let sessions: Vec<(i64, i32)> = self.sessions.iter().map(|(id, ms)| (*id, *ms)).collect();
        if sessions != seen.sessions {
            return Some(format!("sessions: model {sessions:x?}, seen {:x?}", seen.sessions));
        }
        let mut paths: BTreeSet<&str> = seen.nodes.iter().map(|node| &*node.path).collect();
        if paths.len() != seen.nodes.len() {
            return Some("a path was seen twice".into());
        }
        for node in &seen.nodes {
            let Some(model) = self.nodes.get(&node.path) else {
                return Some(format!("{} was seen, the model has it not", node.path));
            };
            if let Some(configuration) =
                self.configuration.as_ref().filter(|_| node.path == CONFIG_PATH)
            {
                // What a server puts there by itself has its own times.
                if !configuration.is_shown_by(node.data.as_deref()) {
                    let shown = node.data.as_deref().map(String::from_utf8_lossy);
                    return Some(format!("{shown:?} is shown as configuration: {configuration}"));
                }
                continue;
            }
            if model.data != node.data {
                return Some(format!(
                    "{}: data {:?}, model {:?}",
                    node.path, node.data, model.data
                ));
            }
            if model.stat() != node.stat {
                return Some(format!("{}: {:?}, model {:?}", node.path, node.stat, model.stat()));
            }
            if model.acl != node.acl {
                return Some(format!("{}: acl {:?}, model {:?}", node.path, node.acl, model.acl));
            }
        }
        let missing = self.nodes.keys().find(|path| !paths.remove(path.as_str()));
        missing.map(|path| format!("{path} is missing"))
    }
}

impl Node {
    /// The stat as clients see it.
    #[must_use]
    pub fn stat(&self) -> Stat {
        let children = i32::try_from(self.children.len()).unwrap_or(i32::MAX);
        Stat {
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime: self.ctime,
            mtime: self.mtime,
            version: self.version,
            cversion: 2 * self.created - children,
            aversion: self.aversion,
            ephemeral_owner: if let Kind::Ephemeral(session) = self.kind { session } else { 0 },
            data_length: self.data.as_ref().map_or(0, |data| data.len() as i32),
            num_children: children,
            pzxid: self.pzxid,
        }
    }

    /// Whether someone with these ids has any of `perms` here.
    #[must_use]
    pub fn permits(&self, ids: &[(String, String)], perms: i32) -> bool {
        permits(&self.acl, ids, perms)
    }
}

/// Whether an access list gives someone with these ids any of `perms`.
pub(crate) fn permits(acl: &[Acl], ids: &[(String, String)], perms: i32) -> bool {
    acl.iter().any(|entry| {
        let is_anyone = entry.scheme == "world" && entry.id == "anyone";
        let is_one = ids.iter().any(|(scheme, id)| *scheme == entry.scheme && *id == entry.id);
        entry.perms & perms != 0 && (is_anyone || is_one)
    })
}

/// The parent's path and the name; `None` for a text without a slash.
pub(crate) fn split(path: &str) -> Option<(&str, &str)> {
    let (parent, name) = path.rsplit_once('/')?;
    Some((if parent.is_empty() { "/" } else { parent }, name))
}
