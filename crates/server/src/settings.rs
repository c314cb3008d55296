//! From the configuration to what each part is told.

use config::{Config, DigestAlgorithm, SnapshotCompression};
use keeper::ThrottleConfig;
use node::{CheckpointConfig, SnapshotOptions};
use std::sync::Arc;
use std::time::Duration;
use storage::{Compression, Dirs, LogOptions, ReadOptions, RecoveryOptions};
use wire::OwnerRules;
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

    pub(crate) fn dirs(&self) -> Dirs {
        let storage = &self.config.storage;
        Dirs { data: storage.data_dir.clone(), log: storage.data_log_dir.clone() }
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

    pub(crate) fn member(&self) -> node::Config {
        let storage = &self.config.storage;
        let checkpoint = CheckpointConfig {
            txns: u64::from(storage.snapshot_after_txns),
            log_bytes: storage.snapshot_after_log_bytes,
        };
        node::Config { keeper: Arc::clone(&self.keeper), checkpoint }
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
        alone: true,
        server_id: STANDALONE_ID,
        frame_size_max,
        field_size_max: frame_size_max.saturating_add(bytes(limits.record_size_extra_bytes)),
        owners: OwnerRules {
            extended_types: features.extended_types,
            emulate_353_ttl: features.ttl_of_353,
        },
        enforce_quota: features.enforce_quota,
        reconfig_enabled: features.reconfig,
        digest: storage.digest,
        close_session_txn: storage.close_session_lists_paths,
        auth: auth_config(&config.auth),
        reaper: keeper::ReaperConfig {
            interval: containers.check_interval,
            per_minute_max: containers.deletions_per_minute_max,
            never_used: containers.never_used_after,
        },
        throttled_op_wait: limits.throttled_request_wait.filter(|wait| *wait > Duration::ZERO),
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

fn bytes(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// The number of a server that is alone.
const STANDALONE_ID: u8 = 1;
