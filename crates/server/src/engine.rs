//! What Raft under the service is told, and where it keeps its data.
//!
//! Raft's data stands in a directory of its own beside ZooKeeper's: a server of the other kind never
//! takes it for its own, and a start on the data of the other engine alone is refused.

use crate::settings::Settings;
use base::NodeId;
use config::{Engine, Ensemble};
use node::RaftConfig;
use raft::{Lease, Limits};
use std::path::{Path, PathBuf};
use std::time::Duration;
use storage::journal::Identity;
use storage::{Dirs, Disk, list_snapshots};
use wire::quorum::{Membership, Rules};

/// The data of one engine where another is to run.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Only the other engine has been here.
    #[error(
        "{}: the data here is that of engine={found}: start with that, or stop here and move it \
         with `quorate migrate`", dir.display()
    )]
    OtherData {
        /// Where its snapshots are.
        dir: PathBuf,
        /// Which engine's they are.
        found: &'static str,
    },
    /// These members are none for Raft.
    #[error("the server lines make no configuration for engine=raft: {0}")]
    Members(#[from] raft::ConfigurationError),
    /// Nobody is there whom it could join.
    #[error("quorate.join=true, and without this server the server lines make no ensemble: {0}")]
    Alone(String),
    /// A directory cannot be read.
    #[error(transparent)]
    Storage(#[from] storage::Error),
}

/// Whether the configuration says Raft, with the cluster's name.
pub(crate) fn cluster(ensemble: &Ensemble) -> Option<&str> {
    match &ensemble.engine {
        Engine::Zab => None,
        Engine::Raft { cluster, .. } => Some(cluster),
    }
}

/// Whose journal it is.
pub(crate) fn identity(cluster: &str, member: NodeId) -> Identity {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&cluster_id(cluster).to_be_bytes());
    Identity { cluster: bytes, member }
}

/// Where an engine keeps its data.
pub(crate) fn dirs(settings: &Settings, is_raft: bool) -> Dirs {
    let storage = &settings.config.storage;
    let place = |dir: &Path| if is_raft { dir.join(RAFT_DIR) } else { dir.to_owned() };
    Dirs { data: place(&storage.data_dir), log: place(&storage.data_log_dir) }
}

/// Refuses a start on the data of the other engine.
pub(crate) fn check_data<D: Disk>(disk: &D, settings: &Settings) -> Result<(), EngineError> {
    if settings.config.ensemble.is_none() {
        return Ok(());
    }
    let is_raft = settings.is_raft();
    let has_data = |dir: &Path| -> Result<bool, storage::Error> {
        let failed = |source| storage::Error::Io { path: dir.to_owned(), source };
        Ok(disk.exists(dir).map_err(failed)? && !list_snapshots(disk, dir)?.is_empty())
    };
    let [ours, theirs] = [is_raft, !is_raft].map(|raft| dirs(settings, raft).snapshots());
    if !has_data(&ours)? && has_data(&theirs)? {
        let found = if is_raft { "zab" } else { "raft" };
        return Err(EngineError::OtherData { dir: theirs, found });
    }
    Ok(())
}

/// What the engine is told.
///
/// # Errors
/// If the members make no configuration.
pub(crate) fn raft(settings: &Settings) -> Result<Option<RaftConfig>, EngineError> {
    let Some(ensemble) = &settings.config.ensemble else { return Ok(None) };
    let Engine::Raft { cluster, joins, lease_drift_percent } = &ensemble.engine else {
        return Ok(None);
    };
    let membership = if *joins { others(ensemble)? } else { ensemble.committed.clone() };
    let mut config = RaftConfig::new(ensemble.own(), cluster_id(cluster), membership)?;
    if ensemble.listen_on_all_addresses {
        let ports = ensemble.own().addresses().iter().map(|address| address.quorum_port);
        config.engine.listen = ports.map(|port| format!("0.0.0.0:{port}")).collect();
    }
    config.engine.lease = lease_drift_percent.map(|drift_percent| Lease { drift_percent });
    config.engine.limits = limits(settings, ensemble);
    Ok(Some(config))
}

/// The members without this one: it is to be added.
fn others(ensemble: &Ensemble) -> Result<Membership, EngineError> {
    let me = ensemble.me.0.to_string();
    let rules = Rules { standalone: false, ..ensemble.rules };
    let others = ensemble.committed.with_joiners_leavers(None, Some(&me), &rules);
    others.map_err(|error| EngineError::Alone(error.to_string()))
}

fn limits(settings: &Settings, ensemble: &Ensemble) -> Limits {
    let tick = settings.config.sessions.tick;
    let defaults = Limits::default();
    let item_size_max = settings.keeper.field_size_max.saturating_add(ITEM_EXTRA_BYTES);
    Limits {
        election_timeout: (tick / 2).max(ELECTION_MIN),
        heartbeat: (tick / 20).max(HEARTBEAT_MIN),
        connect_retry: ensemble.times.learner_connect_retry,
        opening: ensemble.times.election_opening,
        snapshot_patience: tick * ensemble.times.init_ticks,
        frame_size_max: defaults.frame_size_max.max(item_size_max),
        recent_entries: usize::try_from(settings.config.storage.commit_log_txns)
            .unwrap_or(defaults.recent_entries),
        ..defaults
    }
}

/// A number that clusters of other names do not have: FNV-1a.
fn cluster_id(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Beside `version-2`, and with one of its own.
pub(crate) const RAFT_DIR: &str = "raft";
/// What an item is larger than the largest field in it.
const ITEM_EXTRA_BYTES: usize = 64 * 1024;
/// The shortest times that a busy machine keeps.
const ELECTION_MIN: Duration = Duration::from_millis(100);
const HEARTBEAT_MIN: Duration = Duration::from_millis(10);
