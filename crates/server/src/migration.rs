//! A stopped server's data, moved to another engine: what `quorate migrate` does.

use crate::StartError;
use crate::data_dir::{DirLock, LockError};
use crate::disk::StdDisk;
use crate::engine;
use crate::settings::Settings;
use config::Config;
use node::{EngineKind, MigrateError, Migration, Moved, Standing};
use std::path::Path;
use storage::{Dirs, Disk};

/// Why data is not moved.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The server runs, or the directory cannot be had.
    #[error(transparent)]
    DataDir(#[from] LockError),
    /// It is not a member's.
    #[error(
        "a server that runs alone has no engine to choose: give it a server line, a myid and \
         standaloneEnabled=false"
    )]
    Alone,
    /// The configuration that the member has kept.
    #[error(transparent)]
    Configuration(Box<StartError>),
    /// The data, or the disk.
    #[error("{0}")]
    Data(#[from] MigrateError),
}

impl MigrationError {
    /// The process's exit code, as of `quorate serve`.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            MigrationError::Configuration(error) => error.exit_code(),
            MigrationError::DataDir(_) => 3,
            MigrationError::Alone | MigrationError::Data(MigrateError::Groups) => 2,
            MigrationError::Data(_) => 1,
        }
    }
}

/// A server that is stopped, and stays so while this lives.
#[allow(missing_debug_implementations)]
pub struct Stopped {
    migration: Migration,
    _locks: Vec<DirLock>,
}

impl Stopped {
    /// Takes the directories of a server. `config` is as of `engine=raft`: it names the cluster.
    ///
    /// # Errors
    /// If it runs, or is no member of an ensemble.
    pub fn take(config: Config) -> Result<Stopped, MigrationError> {
        let storage = &config.storage;
        let mut locks = vec![DirLock::take(&storage.data_dir, false)?];
        if storage.data_log_dir != storage.data_dir {
            locks.push(DirLock::take(&storage.data_log_dir, false)?);
        }
        let migration = migration(&StdDisk, config)?;
        Ok(Stopped { migration, _locks: locks })
    }

    /// How the data stands that counts; nothing is written.
    ///
    /// # Errors
    /// If there is none, or what is wrong with it.
    pub fn check(&self) -> Result<Standing, MigrationError> {
        Ok(self.migration.check(&StdDisk)?)
    }

    /// Moves the data to an engine: this server's own, or that in a copy of another one's `dataDir`.
    ///
    /// # Errors
    /// Why not. After an error of the disk, call it again.
    pub fn migrate(
        &self,
        to: EngineKind,
        from_data: Option<&Path>,
    ) -> Result<Moved, MigrationError> {
        let from = from_data.map(|dir| match to {
            EngineKind::Zab => Dirs::single(dir.join(engine::RAFT_DIR)),
            EngineKind::Raft => Dirs::single(dir),
        });
        Ok(self.migration.run(&StdDisk, to, from.as_ref())?)
    }
}

fn migration<D: Disk>(disk: &D, config: Config) -> Result<Migration, MigrationError> {
    let mut settings = Settings::new(config, String::new());
    let (dirs, data_dir) = (engine::both_dirs(&settings), settings.config.storage.data_dir.clone());
    let has_reconfig = settings.config.features.reconfig;
    let Some(ensemble) = &mut settings.config.ensemble else { return Err(MigrationError::Alone) };
    if has_reconfig {
        let adopted = crate::configuration::adopt(disk, &data_dir, ensemble);
        adopted.map_err(|error| MigrationError::Configuration(Box::new(error)))?;
    }
    let (me, initial) = (ensemble.me, ensemble.committed.clone());
    let cluster = engine::cluster(ensemble).unwrap_or_default();
    Ok(Migration {
        dirs,
        me,
        cluster: engine::identity(cluster, me).cluster,
        initial,
        recovery: settings.recovery(),
        tree: settings.tree(),
        snapshot: settings.snapshot(),
        journal: storage::journal::Options::default(),
    })
}
