//! From the configuration to what each part is told.

use crate::engine::{self, EngineError};
use crate::peers::PeerSettings;
use config::{Config, DigestAlgorithm, Ensemble, SnapshotCompression};
use keeper::ThrottleConfig;
use node::{CheckpointConfig, EngineConfig, RecentLimits, SnapshotOptions};
use std::sync::Arc;
use std::time::Duration;
use storage::{Compression, Dirs, LogOptions, ReadOptions, RecoveryOptions};
use wire::OwnerRules;
use wire::quorum::Rules;
use words::{Whitelist, Word};

/// What the parts of a server are told.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) keeper: Arc<keeper::Config>,
    pub(crate) whitelist: Whitelist,
    pub(crate) version: String,
}

impl Settings {
    /// Reads them off a configuration; `version` is the text of `srvr`.
    pub(crate) fn new(config: Config, version: String) -> Settings {
        let keeper = Arc::new(keeper_config(&config));
        let names: Vec<&str> = Word::ALL
            .iter()
            .map(|word| word.name())
            .filter(|name| config.words.allow(name))
            .collect();
        let mut whitelist = Whitelist::parse(&names.join(","));
        if config.features.read_only_mode {
            whitelist = whitelist.with(Word::Isro);
        }
        Settings { config, keeper, whitelist, version }
    }

    /// Whether new sessions are known to this server alone.
    pub(crate) fn has_local_sessions(&self) -> bool {
        self.keeper.local_sessions != keeper::LocalSessions::Off
    }

    /// Whether the ensemble's engine is Raft.
    pub(crate) fn is_raft(&self) -> bool {
        self.config.ensemble.as_ref().and_then(engine::cluster).is_some()
    }

    pub(crate) fn dirs(&self) -> Dirs {
        engine::dirs(self, self.is_raft())
    }

    pub(crate) fn recovery(&self) -> RecoveryOptions {
        let storage = &self.config.storage;
        let limits = &self.config.limits;
        let record_size_max = bytes(limits.frame_size_max_bytes)
            .saturating_add(bytes(limits.record_size_extra_bytes));
        RecoveryOptions {
            create_dirs: storage.dir_autocreate,
            create_database: storage.database_autocreate,
            trust_empty_snapshot: storage.trust_empty_snapshot,
            read: ReadOptions { record_size_max, ..ReadOptions::default() },
        }
    }

    pub(crate) fn tree(&self) -> tree::Config {
        tree::Config { digest: self.config.storage.digest, owners: self.keeper.owners }
    }

    pub(crate) fn snapshot(&self) -> SnapshotOptions {
        let storage = &self.config.storage;
        let compression = match storage.snapshot_compression {
            SnapshotCompression::None => Compression::None,
            SnapshotCompression::Gzip => Compression::Gzip,
            SnapshotCompression::Snappy => Compression::Snappy,
        };
        let (digest, last_zxid) = (storage.digest, storage.snapshot_last_zxid);
        SnapshotOptions { compression, digest, last_zxid }
    }

    pub(crate) fn log(&self) -> LogOptions {
        let storage = &self.config.storage;
        LogOptions {
            preallocation: storage.log_preallocate_bytes.unwrap_or(0),
            size_limit: storage.log_roll_bytes,
            force_sync: storage.force_sync,
            durable_mark: true,
        }
    }

    /// # Errors
    /// If the members are none for the engine.
    pub(crate) fn member(&self) -> Result<node::Config, EngineError> {
        let storage = &self.config.storage;
        let checkpoint = CheckpointConfig {
            txns: u64::from(storage.snapshot_after_txns),
            log_bytes: storage.snapshot_after_log_bytes,
        };
        let engine = match (engine::raft(self)?, self.zab()) {
            (Some(raft), _) => EngineConfig::Raft(Box::new(raft)),
            (None, Some(zab)) => EngineConfig::Zab(Box::new(zab)),
            (None, None) => EngineConfig::Solo,
        };
        Ok(node::Config {
            keeper: Arc::clone(&self.keeper),
            checkpoint,
            engine,
            tree: self.tree(),
            field_size_max: self.keeper.field_size_max,
        })
    }

    /// How many of the last transactions are kept for learners; `None` for a server that is alone.
    pub(crate) fn recent(&self) -> Option<RecentLimits> {
        let limits = self.zab()?.limits;
        Some(RecentLimits { entries: limits.recent_entries, bytes: limits.recent_bytes })
    }

    /// How much of the log, in sizes of a snapshot, a learner may get instead of one.
    pub(crate) fn log_per_snapshot(&self) -> f64 {
        let ensemble = self.config.ensemble.as_ref();
        ensemble.and_then(|ensemble| ensemble.log_per_snapshot).unwrap_or(-1.0)
    }

    pub(crate) fn peers(&self) -> PeerSettings {
        match &self.config.ensemble {
            Some(ensemble) => PeerSettings {
                connect_timeout: ensemble.times.election_connect,
                tcp_keepalive: ensemble.tcp_keepalive,
            },
            None => PeerSettings { connect_timeout: CONNECT_TIMEOUT, tcp_keepalive: false },
        }
    }

    /// What the engine of an ensemble is told; `None` for a server that is alone.
    pub(crate) fn zab(&self) -> Option<zab::Config> {
        let ensemble = self.config.ensemble.as_ref()?;
        Some(zab::Config {
            me: ensemble.me,
            committed: ensemble.committed.clone(),
            last_seen: ensemble.last_seen.clone(),
            reconfig: self.config.features.reconfig,
            multi_address: ensemble.rules.multi_address,
            listen_on_all: ensemble.listen_on_all_addresses,
            observer_port: ensemble.observer_port,
            limits: self.zab_limits(ensemble),
        })
    }

    fn zab_limits(&self, ensemble: &Ensemble) -> zab::Limits {
        let (times, storage) = (&ensemble.times, &self.config.storage);
        let read_log = match ensemble.log_per_snapshot {
            Some(_) => zab::ReadLogLimit::Host,
            None => zab::ReadLogLimit::Never,
        };
        // A proposal holds a stored record, and a request what a client may send.
        let packet_size_max = self.keeper.field_size_max.saturating_add(PACKET_EXTRA_BYTES);
        zab::Limits {
            tick: self.config.sessions.tick,
            init: times.init_ticks,
            sync: times.sync_ticks,
            notify_min: times.notify_min,
            notify_max: times.notify_max,
            connect_retry: times.learner_connect_retry,
            opening: times.election_opening,
            recent_entries: bytes(storage.commit_log_txns),
            packet_size_max,
            force_snapshot: ensemble.force_snapshot,
            read_log,
            snapshots_max: bytes(ensemble.snapshot_syncs_max),
            differences_max: bytes(ensemble.difference_syncs_max),
            disloyal_wait: times.disloyal_wait,
            ..zab::Limits::default()
        }
    }

    pub(crate) fn throttle(&self) -> ThrottleConfig {
        let throttle = &self.config.limits.connection_throttle;
        ThrottleConfig {
            tokens: throttle.tokens.unwrap_or(0),
            fill_time: throttle.fill_time,
            fill_count: throttle.fill_count,
            freeze_time: throttle.freeze_time,
            drop_increase: throttle.drop_increase,
            drop_decrease: throttle.drop_decrease,
            decrease_ratio: throttle.decrease_ratio,
        }
    }
}

fn keeper_config(config: &Config) -> keeper::Config {
    let Config { sessions, limits, features, containers, storage, .. } = config;
    let frame_size_max = bytes(limits.frame_size_max_bytes);
    keeper::Config {
        tick: sessions.tick,
        session_timeout_min: sessions.timeout_min,
        session_timeout_max: sessions.timeout_max,
        local_sessions: config.ensemble.as_ref().map_or(keeper::LocalSessions::Off, local_sessions),
        read_only_after: config
            .ensemble
            .as_ref()
            .filter(|_| features.read_only_mode)
            .map(|_| sessions.tick.max(READ_ONLY_AFTER_MIN)),
        alone: config.ensemble.is_none(),
        server_id: config.ensemble.as_ref().map_or(STANDALONE_ID, session_id_byte),
        frame_size_max,
        field_size_max: frame_size_max.saturating_add(bytes(limits.record_size_extra_bytes)),
        owners: OwnerRules {
            extended_types: features.extended_types,
            emulate_353_ttl: features.ttl_of_353,
        },
        enforce_quota: features.enforce_quota,
        reconfig_enabled: features.reconfig,
        membership: config.ensemble.as_ref().map_or(Rules::DEFAULT, |ensemble| ensemble.rules),
        digest: storage.digest,
        close_session_txn: storage.close_session_lists_paths,
        auth: auth_config(&config.auth),
        reaper: keeper::ReaperConfig {
            interval: containers.check_interval,
            per_minute_max: containers.deletions_per_minute_max,
            never_used: containers.never_used_after,
        },
        throttled_op_wait: limits.throttled_request_wait.filter(|wait| *wait > Duration::ZERO),
        linearizable_reads: features.linearizable_reads,
    }
}

fn auth_config(auth: &config::Auth) -> auth::Config {
    auth::Config {
        digest_enabled: auth.digest,
        digest_alg: match auth.digest_algorithm {
            DigestAlgorithm::Md5 => auth::DigestAlg::Md5,
            DigestAlgorithm::Sha1 => auth::DigestAlg::Sha1,
            DigestAlgorithm::Sha224 => auth::DigestAlg::Sha224,
            DigestAlgorithm::Sha256 => auth::DigestAlg::Sha256,
            DigestAlgorithm::Sha384 => auth::DigestAlg::Sha384,
            DigestAlgorithm::Sha512 => auth::DigestAlg::Sha512,
        },
        super_digest: auth.super_digest.as_ref().map(|secret| secret.reveal().to_owned()),
        skip_acl: auth.skip_acl,
        enforce: auth.required_schemes.as_ref().map(|set| set.iter().cloned().collect()),
    }
}

fn local_sessions(ensemble: &Ensemble) -> keeper::LocalSessions {
    match (ensemble.local_sessions, ensemble.local_sessions_upgrade) {
        (false, _) => keeper::LocalSessions::Off,
        (true, false) => keeper::LocalSessions::Fixed,
        (true, true) => keeper::LocalSessions::Upgradable,
    }
}

/// What of a server's number is in the ids of its sessions: the last 8 bits.
fn session_id_byte(ensemble: &Ensemble) -> u8 {
    let [.., last] = ensemble.me.0.to_be_bytes();
    last
}

fn bytes(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Time for a connection to another member to be made: the reference's.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest election that no client is to notice: the reference's.
const READ_ONLY_AFTER_MIN: Duration = Duration::from_secs(2);
/// The number of a server that is alone.
const STANDALONE_ID: u8 = 1;
/// What a packet is larger than the record in it: headers, and the ids of a client.
const PACKET_EXTRA_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::Settings;
    use config::Sources;
    use std::time::Duration;

    fn settings(lines: &str, id: u64) -> Settings {
        let text = format!(
            "dataDir=/d\nclientPort=2181\ntickTime=2000\ninitLimit=7\nsyncLimit=3\n\
             server.1=a:1:2\nserver.2=b:3:4|c:3:5\nserver.258=d:1:2\n{lines}"
        );
        let sources = Sources::new().file("zoo.cfg", text.as_bytes()).my_id(id);
        let loaded = sources.option("multiAddress.enabled", "true").config();
        Settings::new(loaded.expect("the file is valid").config, String::new())
    }

    #[test]
    fn the_engine_is_told_what_the_file_says() {
        let settings =
            settings("commitLogCount=700\nreconfigEnabled=true\nquorumListenOnAllIPs=true", 258);
        assert_eq!(settings.keeper.server_id, 2);
        let zab = settings.zab().expect("an ensemble");
        assert_eq!((zab.me.0, zab.committed.servers().len(), zab.last_seen), (258, 3, None));
        assert!(
            zab.reconfig && zab.multi_address && zab.listen_on_all && !zab.limits.force_snapshot
        );
        assert_eq!(zab.limits.init_time(), Duration::from_secs(14));
        assert_eq!(zab.limits.sync_time(), Duration::from_secs(6));
        assert_eq!(zab.limits.recent_entries, 700);
        assert_eq!(zab.limits.read_log, zab::ReadLogLimit::Host);
        let never = self::settings("snapshotSizeFactor=-1", 1).zab().expect("an ensemble");
        assert_eq!(never.limits.read_log, zab::ReadLogLimit::Never);
    }

    #[test]
    fn a_server_that_is_alone_has_no_engine_of_an_ensemble() {
        let alone = Settings::new(config::Config::default(), String::new());
        assert!(alone.zab().is_none());
        assert_eq!(alone.keeper.server_id, 1);
    }
}
