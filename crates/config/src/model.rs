//! The typed configuration: what a server needs to know, with every value ready to use.
//!
//! All fields are public: a `Config` made by [`crate::Sources`] has passed every check, and whoever
//! changes a field afterwards (a test, a benchmark) knows what they do. Times are `Duration`s,
//! sizes are in bytes, "off" is `None`.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::sources::Sources;

mod ensemble;

pub use ensemble::{Engine, Ensemble, Files, Times};

/// The configuration of a server.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where and how data is stored.
    pub storage: Storage,
    /// Where clients are served.
    pub listen: Listen,
    /// The tick and the timeouts of sessions.
    pub sessions: Sessions,
    /// Sizes, connections and requests, and what happens above them.
    pub limits: Limits,
    /// Who may do what, and how they prove who they are.
    pub auth: Auth,
    /// The four-letter words that are answered.
    pub words: Words,
    /// How empty containers are deleted.
    pub containers: Containers,
    /// What is switched on.
    pub features: Features,
    /// What the server is in its ensemble; `None` for a standalone server.
    pub ensemble: Option<Ensemble>,
}

impl Default for Config {
    /// What `quorate serve` uses without any source: port 2181, data in `./quorate-data`, and
    /// otherwise ZooKeeper's defaults.
    fn default() -> Self {
        Sources::new().config().expect("the table's defaults pass every check").config
    }
}

/// Where and how data is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Folder in which `version-2` holds the snapshots; also of `myid`.
    pub data_dir: PathBuf,
    /// Folder in which `version-2` holds the transaction logs.
    pub data_log_dir: PathBuf,
    /// Whether missing folders are made.
    pub dir_autocreate: bool,
    /// Whether empty folders are a new database; else `initialize` must lie beside them.
    pub database_autocreate: bool,
    /// Whether logs are loaded although there is no snapshot.
    pub trust_empty_snapshot: bool,
    /// Transactions between two snapshots, at least 2.
    pub snapshot_after_txns: u32,
    /// Bytes of log between two snapshots; `None` is no such limit.
    pub snapshot_after_log_bytes: Option<u64>,
    /// How new snapshots are compressed.
    pub snapshot_compression: SnapshotCompression,
    /// Whether snapshots carry the last zxid.
    pub snapshot_last_zxid: bool,
    /// Whether the digest of the tree is kept, stored and checked.
    pub digest: bool,
    /// Whether the end of a session lists the ephemerals that it deletes.
    pub close_session_lists_paths: bool,
    /// Size from which a new log file is begun; `None` is no such limit.
    pub log_roll_bytes: Option<u64>,
    /// Steps in which a log file grows ahead of its data; `None` is off.
    pub log_preallocate_bytes: Option<u64>,
    /// Committed transactions kept in memory, at least 500.
    pub commit_log_txns: u32,
    /// Whether a write is acknowledged only once it is on the disk. Off, a crash of the machine
    /// loses acknowledged writes.
    pub force_sync: bool,
    /// A sync that takes longer is logged.
    pub sync_warning: Duration,
    /// Snapshots that purging keeps, at least 3.
    pub purge_keep_snapshots: u32,
    /// Time between purges; `None` is off.
    pub purge_interval: Option<Duration>,
}

/// How new snapshots are compressed; old ones are read by their extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotCompression {
    /// Not at all.
    None,
    /// gzip, extension `gz`.
    Gzip,
    /// snappy-java's stream, extension `snappy`.
    Snappy,
}

/// Where clients are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Host name or IP address without brackets; `None` is every address of the machine.
    pub address: Option<String>,
    /// TCP port; 0 is any free one.
    pub port: u16,
    /// Connections that wait to be accepted; `None` leaves it to the system.
    pub backlog: Option<u32>,
    /// Whether TCP keepalive is on for clients.
    pub tcp_keepalive: bool,
}

/// The tick and the timeouts of sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// The base unit of time, at least 1 ms.
    pub tick: Duration,
    /// Shortest timeout that is granted.
    pub timeout_min: Duration,
    /// Longest timeout that is granted, not below the shortest and at most 2147483647 ms.
    pub timeout_max: Duration,
}

/// Sizes, connections and requests, and what happens above them.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Connections of one client address; `None` is no limit.
    pub connections_per_address: Option<u32>,
    /// Connections of all clients; `None` is no limit.
    pub connections: Option<u32>,
    /// A connection without a session is closed after this time.
    pub sessionless_timeout: Duration,
    /// Largest frame that a client may send.
    pub frame_size_max_bytes: u32,
    /// What a stored record may be larger than a frame, at least 1024.
    pub record_size_extra_bytes: u32,
    /// Requests in process from which connections are no longer read.
    pub outstanding_requests_max: u32,
    /// Size from which a request is large; `None` is never.
    pub large_request_threshold_bytes: Option<u32>,
    /// Size of all large requests in process; one more closes its connection.
    pub large_requests_max_bytes: u32,
    /// A request that waited longer is answered as throttled; `None` is off.
    pub throttled_request_wait: Option<Duration>,
    /// How requests wait under load.
    pub requests: RequestThrottle,
    /// How new connections are held off under load.
    pub connection_throttle: ConnectionThrottle,
}

/// How requests wait under load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestThrottle {
    /// Requests in process from which new ones wait; `None` is off.
    pub requests_max: Option<u32>,
    /// Time between two looks while requests wait.
    pub stall: Duration,
    /// Whether stale requests are dropped, with their connection.
    pub drop_stale: bool,
    /// Whether a request is stale once its connection is gone.
    pub stale_without_connection: bool,
}

/// A bucket of tokens that pays for new connections.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionThrottle {
    /// Size of the bucket; `None` is off.
    pub tokens: Option<u32>,
    /// Time between two fillings.
    pub fill_time: Duration,
    /// Tokens of one filling.
    pub fill_count: u32,
    /// Time between two changes of the drop probability; `None` is no random drop.
    pub freeze_time: Option<Duration>,
    /// Step by which the drop probability grows, 0 to 1.
    pub drop_increase: f64,
    /// Step by which the drop probability falls, 0 to 1.
    pub drop_decrease: f64,
    /// Part of the bucket that must be full before the drop probability falls, 0 to 1.
    pub decrease_ratio: f64,
    /// Whether sessions cost different numbers of tokens; else each costs one.
    pub weights: bool,
    /// Tokens of a new global session.
    pub global_session_tokens: u32,
    /// Tokens of a renewed session.
    pub renewed_session_tokens: u32,
    /// Tokens of a local session.
    pub local_session_tokens: u32,
}

/// Who may do what, and how they prove who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// Whether every access check passes.
    pub skip_acl: bool,
    /// Whether the digest scheme exists.
    pub digest: bool,
    /// The hash of the digest scheme.
    pub digest_algorithm: DigestAlgorithm,
    /// `super:hash` of the super user; `None` is no super user.
    pub super_digest: Option<Secret>,
    /// Schemes of which a connection needs one before it may do anything; never empty, and `None`
    /// is no such need.
    pub required_schemes: Option<BTreeSet<String>>,
}

/// The hash of the digest scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestAlgorithm {
    /// MD5.
    Md5,
    /// SHA-1, the default.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// A text that does not show itself in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself; not for logs.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// The four-letter words that are answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Words {
    /// Every word that the server knows.
    All,
    /// These, as written; always with `srvr`. Words that no server knows may be there.
    Only(BTreeSet<String>),
}

impl Words {
    /// Whether this word is answered.
    #[must_use]
    pub fn allow(&self, word: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(words) => words.contains(word),
        }
    }
}

/// How empty containers are deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Containers {
    /// Time between two looks.
    pub check_interval: Duration,
    /// Most containers deleted in a minute.
    pub deletions_per_minute_max: u32,
    /// A container that never had a child is deleted after this time; `None` is never.
    pub never_used_after: Option<Duration>,
}

/// What is switched on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Features {
    /// Whether nodes with a time to live can be made.
    pub extended_types: bool,
    /// Whether TTL owners are read as release 3.5.3 wrote them.
    pub ttl_of_353: bool,
    /// Whether hard quotas refuse writes.
    pub enforce_quota: bool,
    /// Whether reconfig is a known request, and the members of an ensemble may change.
    pub reconfig: bool,
    /// Whether read-only mode is on; the word `isro` is allowed with it.
    pub read_only_mode: bool,
    /// Whether reads are linearizable in an ensemble, if the session says nothing else.
    pub linearizable_reads: bool,
}
