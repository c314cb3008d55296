//! What the service is told at its start. Given whole by the caller; nothing here changes later.

use std::time::Duration;
use wire::OwnerRules;
use wire::quorum::Rules;

/// The service's configuration. Every reader looks at it, so it is aligned to a pair of cache
/// lines: what its neighbours in memory write is on no line of it.
#[derive(Clone, Debug)]
#[repr(align(128))]
pub struct Config {
    /// The unit of session expiry (`tickTime`).
    pub tick: Duration,
    /// Shortest session time-out that is granted.
    pub session_timeout_min: Duration,
    /// Longest session time-out that is granted.
    pub session_timeout_max: Duration,
    /// Whether new sessions are known to this member alone; never on a server without others.
    pub local_sessions: LocalSessions,
    /// After how long without others this member serves reads to clients that ask for no more;
    /// `None` is never.
    pub read_only_after: Option<Duration>,
    /// Whether there are no other members: then all that was decided is here, and a disk that
    /// fails leaves reads that miss nothing.
    pub alone: bool,
    /// The top byte of new session ids: `myid`, or 1 on a standalone server.
    pub server_id: u8,
    /// Longest frame from a client, in bytes (`jute.maxbuffer`).
    pub frame_size_max: usize,
    /// Longest string or buffer inside a record, in bytes.
    pub field_size_max: usize,
    /// How `ephemeralOwner` is read; whether TTL nodes may be made.
    pub owners: OwnerRules,
    /// Whether hard quotas refuse writes (`enforceQuota`).
    pub enforce_quota: bool,
    /// Whether `reconfig` is open at all (`reconfigEnabled`).
    pub reconfig_enabled: bool,
    /// How texts of configurations are read.
    pub membership: Rules,
    /// Whether digests are computed and checked.
    pub digest: bool,
    /// Whether closeSession transactions list the nodes that they delete.
    pub close_session_txn: bool,
    /// Who may do what.
    pub auth: auth::Config,
    /// Containers and nodes that expire.
    pub reaper: ReaperConfig,
    /// Writes that waited longer than this are refused (`throttled_op_wait_time`); `None` is off.
    pub throttled_op_wait: Option<Duration>,
    /// Whether the reads of sessions that say nothing about it are linearizable
    /// (`quorate.reads`). Without other members all reads are.
    pub linearizable_reads: bool,
}

/// What becomes of new sessions in an ensemble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalSessions {
    /// All members know every session (`localSessionsEnabled=false`).
    Off,
    /// Only the member that opened it knows a session, which so has no ephemeral nodes.
    Fixed,
    /// As long as a session has made no ephemeral node, only the member that opened it knows it
    /// (`localSessionsUpgradingEnabled=true`).
    Upgradable,
}

/// How containers and expired nodes are found and deleted.
#[derive(Clone, Copy, Debug)]
pub struct ReaperConfig {
    /// Time between two looks.
    pub interval: Duration,
    /// Most deletions in a minute.
    pub per_minute_max: u32,
    /// A container that never had a child goes after this; `None` keeps it.
    pub never_used: Option<Duration>,
}

impl Config {
    /// A standalone server's defaults, with the reference's tick of 3 s.
    #[must_use]
    pub fn standalone() -> Config {
        let tick = Duration::from_millis(3000);
        Config {
            tick,
            session_timeout_min: tick * 2,
            session_timeout_max: tick * 20,
            local_sessions: LocalSessions::Off,
            read_only_after: None,
            alone: true,
            server_id: 1,
            frame_size_max: 0xf_ffff,
            field_size_max: 2 * 0xf_ffff,
            owners: OwnerRules::default(),
            enforce_quota: false,
            reconfig_enabled: false,
            membership: Rules::DEFAULT,
            digest: true,
            close_session_txn: true,
            auth: auth::Config::default(),
            reaper: ReaperConfig {
                interval: Duration::from_mins(1),
                per_minute_max: 10_000,
                never_used: None,
            },
            throttled_op_wait: None,
            linearizable_reads: false,
        }
    }

    /// The time-out that a client gets that asks for `ms`.
    #[must_use]
    pub fn negotiate_timeout(&self, ms: i32) -> i32 {
        let bound = |d: Duration| i32::try_from(d.as_millis()).unwrap_or(i32::MAX);
        ms.max(bound(self.session_timeout_min)).min(bound(self.session_timeout_max))
    }
}
