//! Makes the typed configuration out of the settings: derived values, clamps, and checks that need
//! more than one key.
//!
//! Every honoured row of the table is read here exactly once. The rules are ZooKeeper's: timeouts
//! follow the tick, small counts are raised to their minimum, logs go to the data folder.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use crate::ensemble::{self, Clients, Outside};
use crate::error::{At, Error};
use crate::model::{
    Auth, Config, ConnectionThrottle, Containers, DigestAlgorithm, Features, Limits, Listen,
    RequestThrottle, Secret, Sessions, SnapshotCompression, Storage, Words,
};
use crate::settings::{Settings, millis};

/// The configuration; errors are left in `settings`.
pub(crate) fn config(settings: &mut Settings, outside: &Outside<'_>) -> Config {
    let file = outside.complete.as_ref();
    let storage = storage(settings, file);
    let (clients, ensemble) = ensemble::read(settings, outside, &storage.data_dir);
    Config {
        storage,
        listen: listen(settings, clients, file),
        sessions: sessions(settings),
        limits: limits(settings),
        auth: auth(settings),
        words: words(settings),
        containers: Containers {
            check_interval: settings.millis("znode.container.checkIntervalMs"),
            deletions_per_minute_max: settings.count("znode.container.maxPerMinute"),
            never_used_after: settings.millis_unless_off("znode.container.maxNeverUsedIntervalMs"),
        },
        features: Features {
            extended_types: settings.bool("extendedTypesEnabled"),
            ttl_of_353: settings.bool("emulate353TTLNodes"),
            enforce_quota: settings.bool("enforceQuota"),
            reconfig: settings.bool("reconfigEnabled"),
            read_only_mode: settings.bool("readonlymode.enabled"),
            linearizable_reads: settings.text("quorate.reads").as_deref() == Some("linearizable"),
        },
        ensemble,
    }
}

fn storage(settings: &mut Settings, file: Option<&Arc<str>>) -> Storage {
    let data_dir = data_dir(settings, file);
    let data_log_dir = folder(settings, "dataLogDir").unwrap_or_else(|| data_dir.clone());
    let compression = settings.text("snapshot.compression.method");
    let interval = settings.interval("autopurge.purgeInterval");
    Storage {
        data_dir,
        data_log_dir,
        dir_autocreate: settings.bool("datadir.autocreate"),
        database_autocreate: settings.bool("db.autocreate"),
        trust_empty_snapshot: settings.bool("snapshot.trust.empty"),
        snapshot_after_txns: at_least(settings, "snapCount", SNAP_COUNT_MIN),
        snapshot_after_log_bytes: settings.kib_unless_off("snapSizeLimitInKb"),
        snapshot_compression: match compression.as_deref() {
            Some("gz") => SnapshotCompression::Gzip,
            Some("snappy") => SnapshotCompression::Snappy,
            Some(_) | None => SnapshotCompression::None,
        },
        snapshot_last_zxid: settings.bool("serializeLastProcessedZxid.enabled"),
        digest: settings.bool("digest.enabled"),
        close_session_lists_paths: settings.bool("closeSessionTxn.enabled"),
        log_roll_bytes: settings.kib_unless_off("txnLogSizeLimitInKb"),
        log_preallocate_bytes: settings.kib_unless_off("preAllocSize"),
        commit_log_txns: at_least(settings, "commitLogCount", COMMIT_LOG_COUNT_MIN),
        force_sync: settings.bool("forceSync"),
        sync_warning: settings.millis("fsync.warningthresholdms"),
        purge_keep_snapshots: at_least(settings, "autopurge.snapRetainCount", RETAIN_COUNT_MIN),
        purge_interval: Some(interval).filter(|interval| !interval.is_zero()),
    }
}

fn data_dir(settings: &mut Settings, file: Option<&Arc<str>>) -> PathBuf {
    if let Some(path) = folder(settings, "dataDir") {
        return path;
    }
    if let Some(file) = file
        && !settings.mentions("dataDir")
    {
        missing(settings, file, "dataDir", "a path, as dataDir=/var/lib/zookeeper".to_owned());
    }
    PathBuf::from(DATA_DIR_DEFAULT)
}

/// A folder, with ZooKeeper's warning if it depends on the working directory without saying so.
fn folder(settings: &mut Settings, name: &str) -> Option<PathBuf> {
    let path = settings.text(name)?;
    if let Some(setting) = settings.setting(name)
        && setting.entry.at.line.is_some()
        && !path.starts_with('/')
        && !path.starts_with("./")
    {
        let at = setting.entry.at.clone();
        let text = "is relative to the working directory; put ./ before it if that is meant";
        settings.warn(&at, format!("{name}={path}: {text}"));
    }
    Some(PathBuf::from(path))
}

fn listen(settings: &mut Settings, from_member: Clients, file: Option<&Arc<str>>) -> Listen {
    if let Some(file) = file
        && !settings.mentions("clientPort")
    {
        check_without_port(settings, &from_member, file);
    }
    let own_port = settings.int_if_set("clientPort").and_then(|port| u16::try_from(port).ok());
    let own_address = settings.text("clientPortAddress");
    let own_address = own_address.map(|a| a.trim_matches(['[', ']']).to_owned());
    let (address, port) = match from_member {
        Clients::At(client) => (client.address, client.port),
        Clients::Unsaid | Clients::Invalid => {
            (own_address, own_port.unwrap_or(CLIENT_PORT_DEFAULT))
        }
    };
    Listen {
        address: address.filter(|address| !ensemble::is_any(address)),
        port,
        backlog: settings.count_unless_off("clientPortListenBacklog"),
        tcp_keepalive: settings.bool("clientTcpKeepAlive"),
    }
}

/// A file without clientPort is complete only if a server line has the port.
fn check_without_port(settings: &mut Settings, from_member: &Clients, file: &Arc<str>) {
    if let Some(address) = settings.setting("clientPortAddress").cloned() {
        let wrong = "clientPort is not set".to_owned();
        let allowed = "an address together with clientPort".to_owned();
        settings.reject(address.key, &address.entry, wrong, allowed);
    } else if *from_member == Clients::Unsaid {
        let without_tls = match settings.mentions("secureClientPort") {
            true => "; secureClientPort alone would serve nobody, for TLS is not built yet",
            false => "",
        };
        missing(settings, file, "clientPort", format!("a port, as clientPort=2181{without_tls}"));
    }
}

fn sessions(settings: &mut Settings) -> Sessions {
    let tick_ms = settings.int("tickTime");
    let timeout_ms = |settings: &Settings, name: &str, ticks: i64| {
        let set = settings.int_if_set(name).filter(|&ms| ms != -1);
        set.unwrap_or((tick_ms * ticks).min(i64::from(i32::MAX)))
    };
    let min_ms = timeout_ms(settings, "minSessionTimeout", SESSION_TICKS_MIN);
    let max_ms = timeout_ms(settings, "maxSessionTimeout", SESSION_TICKS_MAX);
    if min_ms > max_ms {
        let derived = settings.int_if_set("maxSessionTimeout") == Some(-1);
        let max = settings.setting("maxSessionTimeout").filter(|_| !derived).cloned();
        let min = settings.setting("minSessionTimeout").cloned();
        if let Some(setting) = max {
            let wrong = format!("below minSessionTimeout, which is {min_ms} milliseconds");
            settings.reject(setting.key, &setting.entry, wrong, format!("{min_ms} or more"));
        } else if let Some(setting) = min {
            let wrong = format!("above maxSessionTimeout, which is {max_ms} milliseconds");
            settings.reject(setting.key, &setting.entry, wrong, format!("{max_ms} or less"));
        }
    }
    Sessions { tick: millis(tick_ms), timeout_min: millis(min_ms), timeout_max: millis(max_ms) }
}

fn limits(settings: &Settings) -> Limits {
    let frame_size_max_bytes = settings.count("jute.maxbuffer");
    let extra = settings.int_if_set("jute.maxbuffer.extrasize");
    let extra = extra.map_or(frame_size_max_bytes, |extra| u32::try_from(extra).unwrap_or(0));
    Limits {
        connections_per_address: settings.count_unless_off("maxClientCnxns"),
        connections: settings.count_unless_off("maxCnxns"),
        sessionless_timeout: settings.millis("nio.sessionlessCnxnTimeout"),
        frame_size_max_bytes,
        record_size_extra_bytes: extra.max(EXTRA_SIZE_MIN_BYTES),
        outstanding_requests_max: settings.count("globalOutstandingLimit"),
        large_request_threshold_bytes: settings.count_unless_off("largeRequestThreshold"),
        large_requests_max_bytes: settings.count("largeRequestMaxBytes"),
        throttled_request_wait: settings.millis_unless_off("throttled_op_wait_time"),
        requests: RequestThrottle {
            requests_max: settings.count_unless_off("request_throttle_max_requests"),
            stall: settings.millis("request_throttle_stall_time"),
            drop_stale: settings.bool("request_throttle_drop_stale"),
            stale_without_connection: settings.bool("request_stale_connection_check"),
        },
        connection_throttle: connection_throttle(settings),
    }
}

fn connection_throttle(settings: &Settings) -> ConnectionThrottle {
    let freeze_ms = settings.int("connection_throttle_freeze_time");
    ConnectionThrottle {
        tokens: settings.count_unless_off("connection_throttle_tokens"),
        fill_time: settings.millis("connection_throttle_fill_time"),
        fill_count: settings.count("connection_throttle_fill_count"),
        freeze_time: (freeze_ms >= 0).then(|| millis(freeze_ms)),
        drop_increase: settings.ratio("connection_throttle_drop_increase"),
        drop_decrease: settings.ratio("connection_throttle_drop_decrease"),
        decrease_ratio: settings.ratio("connection_throttle_decrease_ratio"),
        weights: settings.bool("connection_throttle_weight_enabled"),
        global_session_tokens: settings.count("connection_throttle_global_session_weight"),
        renewed_session_tokens: settings.count("connection_throttle_renew_session_weight"),
        local_session_tokens: settings.count("connection_throttle_local_session_weight"),
    }
}

fn auth(settings: &mut Settings) -> Auth {
    let digest = settings.bool("DigestAuthenticationProvider.enabled");
    let algorithm = settings.text("DigestAuthenticationProvider.digestAlg");
    let super_digest = settings.text("DigestAuthenticationProvider.superDigest");
    Auth {
        skip_acl: settings.bool("skipACL"),
        digest,
        digest_algorithm: match algorithm.as_deref() {
            Some("MD5") => DigestAlgorithm::Md5,
            Some("SHA-224") => DigestAlgorithm::Sha224,
            Some("SHA-256") => DigestAlgorithm::Sha256,
            Some("SHA-384") => DigestAlgorithm::Sha384,
            Some("SHA-512") => DigestAlgorithm::Sha512,
            Some(_) | None => DigestAlgorithm::Sha1,
        },
        super_digest: super_digest.filter(|text| !text.is_empty()).map(Secret::new),
        required_schemes: required_schemes(settings, digest),
    }
}

/// Schemes that do not exist would either lock everybody out or let everybody in: both are errors.
fn required_schemes(settings: &mut Settings, digest: bool) -> Option<BTreeSet<String>> {
    if !settings.bool("enforce.auth.enabled") {
        return None;
    }
    let enabled = settings.setting("enforce.auth.enabled").cloned()?;
    let schemes = split_csv(&settings.text("enforce.auth.schemes").unwrap_or_default());
    let Some(listed) = settings.setting("enforce.auth.schemes").cloned() else {
        let wrong = "enforce.auth.schemes is not set".to_owned();
        settings.reject(enabled.key, &enabled.entry, wrong, SCHEMES_ALLOWED.to_owned());
        return None;
    };
    if schemes.is_empty() {
        let wrong = "no scheme is named".to_owned();
        settings.reject(listed.key, &listed.entry, wrong, SCHEMES_ALLOWED.to_owned());
    }
    for scheme in &schemes {
        let allowed = SCHEMES_ALLOWED.to_owned();
        match scheme.as_str() {
            "ip" => {}
            "digest" if digest => {}
            "digest" => {
                let wrong = "DigestAuthenticationProvider.enabled is false".to_owned();
                settings.reject(listed.key, &listed.entry, wrong, allowed);
            }
            "sasl" | "x509" => {
                let reason = format!("the scheme {scheme} is not built yet");
                settings.refuse(listed.key, &listed.entry, &reason, allowed);
            }
            unknown => {
                let wrong = format!("there is no scheme {unknown:?}");
                settings.reject(listed.key, &listed.entry, wrong, allowed);
            }
        }
    }
    Some(schemes)
}

fn words(settings: &Settings) -> Words {
    let mut words = split_csv(&settings.text("4lw.commands.whitelist").unwrap_or_default());
    if words.contains("*") {
        return Words::All;
    }
    if settings.bool("readonlymode.enabled") {
        words.insert("isro".to_owned());
    }
    // ZooKeeper's own scripts ask srvr for the status.
    words.insert("srvr".to_owned());
    Words::Only(words)
}

fn split_csv(text: &str) -> BTreeSet<String> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// A count that is raised to its minimum, with a warning.
fn at_least(settings: &mut Settings, name: &str, min: u32) -> u32 {
    let count = settings.count(name);
    if count >= min {
        return count;
    }
    if let Some(setting) = settings.setting(name) {
        let (at, shown) = (setting.entry.at.clone(), &setting.entry.value);
        let text = format!("{name}={shown}: too small, {min} holds");
        settings.warn(&at, text);
    }
    min
}

/// Says that the file lacks a key.
pub(crate) fn missing(
    settings: &mut Settings,
    file: &Arc<str>,
    key: &'static str,
    allowed: String,
) {
    let at = At { source: Arc::clone(file), line: None };
    settings.errors.push(Error::Missing { at, key, allowed });
}

/// Port of clients if there is no file.
const CLIENT_PORT_DEFAULT: u16 = 2181;
/// Data folder if there is no file.
const DATA_DIR_DEFAULT: &str = "./quorate-data";
/// Shortest session timeout, in ticks.
const SESSION_TICKS_MIN: i64 = 2;
/// Longest session timeout, in ticks.
const SESSION_TICKS_MAX: i64 = 20;
/// A snapshot after every single transaction would leave no time for anything else.
const SNAP_COUNT_MIN: u32 = 2;
/// Fewer snapshots are no safety net.
const RETAIN_COUNT_MIN: u32 = 3;
/// With fewer, every learner would need a snapshot.
const COMMIT_LOG_COUNT_MIN: u32 = 500;
/// What a record adds to a request at least: its header and stat.
const EXTRA_SIZE_MIN_BYTES: u32 = 1024;
const SCHEMES_ALLOWED: &str = "enforce.auth.schemes with digest, ip, or both";
