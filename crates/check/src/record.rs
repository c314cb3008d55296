//! The records of a history: what was asked, what came back, and what took effect in which order.
//!
//! Whoever observed a server builds these; nothing in them is in the server's own types.

use crate::configuration::{Configuration, Reconfiguration};
use std::fmt;

/// Bits of an access list's entry.
pub mod perms {
    /// Read data, children and events.
    pub const READ: i32 = 1;
    /// Set data.
    pub const WRITE: i32 = 2;
    /// Create children.
    pub const CREATE: i32 = 4;
    /// Delete children.
    pub const DELETE: i32 = 8;
    /// Set the access list.
    pub const ADMIN: i32 = 16;
    /// All of them.
    pub const ALL: i32 = 31;
}

/// An entry of an access list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Acl {
    /// Bits of [`perms`].
    pub perms: i32,
    /// The scheme.
    pub scheme: String,
    /// Who, by that scheme.
    pub id: String,
}

impl Acl {
    /// The list that permits everything.
    #[must_use]
    pub fn open() -> Vec<Acl> {
        vec![Acl { perms: perms::ALL, scheme: "world".into(), id: "anyone".into() }]
    }
}

/// What kind of node a create asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode {
    /// Lives as long as its session.
    pub ephemeral: bool,
    /// Gets a number behind its name.
    pub sequential: bool,
    /// Goes when its last child has gone.
    pub container: bool,
    /// Goes after that many ms without a write.
    pub ttl_ms: Option<i64>,
}

/// Paths of a setWatches request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchLists {
    /// What the client says it has seen.
    pub relative: i64,
    /// One-shot watches on data.
    pub data: Vec<String>,
    /// One-shot watches on existence.
    pub exist: Vec<String>,
    /// One-shot watches on children.
    pub child: Vec<String>,
    /// Persistent watches.
    pub persistent: Vec<String>,
    /// Persistent and recursive watches.
    pub recursive: Vec<String>,
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the fields are those of the operations
pub enum Op {
    Create {
        path: String,
        data: Option<Vec<u8>>,
        acl: Vec<Acl>,
        mode: Mode,
        with_stat: bool,
    },
    Delete {
        path: String,
        version: i32,
    },
    SetData {
        path: String,
        data: Option<Vec<u8>>,
        version: i32,
    },
    SetAcl {
        path: String,
        acl: Vec<Acl>,
        version: i32,
    },
    /// Inside a multi only.
    Check {
        path: String,
        version: i32,
    },
    Multi(Vec<Op>),
    Reconfig(Reconfiguration),
    Close,
    Exists {
        path: String,
        watch: bool,
    },
    GetData {
        path: String,
        watch: bool,
    },
    GetChildren {
        path: String,
        watch: bool,
        with_stat: bool,
    },
    GetAcl {
        path: String,
    },
    CountDescendants {
        path: String,
    },
    GetEphemerals {
        prefix: String,
    },
    MultiRead(Vec<Op>),
    Sync {
        path: String,
    },
    Ping,
    AddWatch {
        path: String,
        recursive: bool,
    },
    CheckWatches {
        path: String,
        of: i32,
    },
    RemoveWatches {
        path: String,
        of: i32,
    },
    SetWatches(WatchLists),
}

impl Op {
    /// Whether it is a read that shows nodes: what a linearizable read may be.
    #[must_use]
    pub fn shows_nodes(&self) -> bool {
        matches!(
            self,
            Op::Exists { .. }
                | Op::GetData { .. }
                | Op::GetChildren { .. }
                | Op::GetAcl { .. }
                | Op::CountDescendants { .. }
                | Op::GetEphemerals { .. }
                | Op::MultiRead(_)
        )
    }

    /// Whether it takes a place in the order.
    #[must_use]
    pub fn is_write(&self) -> bool {
        matches!(
            self,
            Op::Create { .. }
                | Op::Delete { .. }
                | Op::SetData { .. }
                | Op::SetAcl { .. }
                | Op::Multi(_)
                | Op::Reconfig(_)
                | Op::Close
        )
    }
}

/// A stat as clients see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // ZooKeeper's own names
pub struct Stat {
    pub czxid: i64,
    pub mzxid: i64,
    pub ctime: i64,
    pub mtime: i64,
    pub version: i32,
    pub cversion: i32,
    pub aversion: i32,
    pub ephemeral_owner: i64,
    pub data_length: i32,
    pub num_children: i32,
    pub pzxid: i64,
}

/// The result of one operation of a multi.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// It failed, or another one did (0 and -2).
    Failed(i32),
    /// It was done.
    Done(Body),
}

/// What a reply holds behind its header. Lists without an order are sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // named after what they hold
pub enum Body {
    Empty,
    Path(String),
    PathStat(String, Stat),
    Stat(Stat),
    Data(Option<Vec<u8>>, Stat),
    Names(Vec<String>),
    NamesStat(Vec<String>, Stat),
    Acl(Vec<Acl>, Stat),
    Count(i32),
    Parts(Vec<Part>),
    /// Bytes that are no such reply.
    Malformed,
}

/// A request as its client sent it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The client's number, unique in its session; -2 for pings, -8 for setWatches.
    pub xid: i32,
    /// What.
    pub op: Op,
    /// What the reply must show at least: for a write or a linearizable read the highest zxid that
    /// any client had been told when it was sent, for another read that its own client had.
    pub told: i64,
}

/// What came back on a connection, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the fields are those of the frames
pub enum Frame {
    Reply { xid: i32, zxid: i64, err: i32, body: Body },
    Event { zxid: i64, kind: i32, path: String },
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was alive at the end and nothing was under way: every frame must be there.
    Whole,
    /// It broke: the last frames may be missing.
    Broken,
}

/// One connection with an open session.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its session.
    pub session: i64,
    /// The last place of the order that anybody had logged when its client called.
    pub began: i64,
    /// Scheme and id of what the client proved, before its first request.
    pub ids: Vec<(String, String)>,
    /// What was sent, in order.
    pub requests: Vec<Request>,
    /// What came back, in order.
    pub frames: Vec<Frame>,
    /// How it ended.
    pub fate: Fate,
    /// Whether the server's disk failed in its time, so that writes may have been refused.
    pub disk_failed: bool,
    /// Whether the server served reads alone, and told the client so.
    pub read_only: bool,
}

/// What took effect at a place of the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// A client's request, by its session and xid; `err` is 0 if it was done.
    Asked {
        /// 0, or why it was refused; for a multi the first error of its parts.
        err: i32,
    },
    /// A new session.
    Open {
        /// Its time-out in ms.
        timeout_ms: i32,
    },
    /// The server ended a session.
    Expire,
    /// The server deleted an empty container or a node whose time was over.
    Reap {
        /// Which.
        path: String,
    },
    /// The same, but the node had changed.
    ReapFailed {
        /// Why not.
        err: i32,
    },
    /// A leader began here: nothing changes, but what it shows is of this place.
    Lead,
}

/// A place of the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The place.
    pub zxid: i64,
    /// Whose; 0 for the server's own.
    pub session: i64,
    /// The client's number of the request.
    pub xid: i32,
    /// The wall time that it names, in ms.
    pub time: i64,
    /// What.
    pub work: Work,
}

/// A node that was seen in a server's tree.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // named after what they hold
pub struct SeenNode {
    pub path: String,
    pub data: Option<Vec<u8>>,
    pub stat: Stat,
    pub acl: Vec<Acl>,
}

/// A whole tree that was seen, for example after a recovery.
#[derive(Clone, Debug)]
pub struct SeenTree {
    /// The last place that it holds.
    pub zxid: i64,
    /// All nodes, sorted by path, "/" first.
    pub nodes: Vec<SeenNode>,
    /// All sessions and their time-outs in ms, sorted.
    pub sessions: Vec<(i64, i32)>,
}

/// All that was observed.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// What took effect, in order: places of one epoch, from 1 on, without a gap; a later epoch
    /// (the upper half of a place) begins with its leader.
    pub commits: Vec<Commit>,
    /// The connections, in the order in which they were opened.
    pub connections: Vec<Connection>,
    /// Trees, by their zxids.
    pub trees: Vec<SeenTree>,
    /// Who is in the ensemble at first; none of a server alone.
    pub configuration: Option<Configuration>,
}

/// What must never happen, and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which rule: a short constant name.
    pub rule: &'static str,
    /// The evidence.
    pub what: String,
}

impl Violation {
    /// A violation of `rule`.
    #[must_use]
    pub fn new(rule: &'static str, what: impl Into<String>) -> Violation {
        Violation { rule, what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)
    }
}
