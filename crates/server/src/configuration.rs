//! Where a member keeps the configuration of its ensemble, if that changes while it runs.
//!
//! Beside the file that it was started with, as ZooKeeper does: what is in force in a file of its
//! own, which the static file names, and what was only seen in another. Without such a file both
//! are texts in the data directory, and count if they are later than what the server was told.
//! Invariant: the static file never names a dynamic file that is not complete.

use config::{Ensemble, dynamic};
use node::Texts;
use std::fmt;
use std::path::{Path, PathBuf};
use storage::{Disk, DiskFile, Error, write_bytes, write_text};
use wire::quorum::{Address, Membership, Rules};

/// Files beside a static file.
pub(crate) struct ConfigurationFiles<D> {
    disk: D,
    static_file: PathBuf,
    me: i64,
    rules: Rules,
}

impl<D> fmt::Debug for ConfigurationFiles<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigurationFiles")
            .field("static_file", &self.static_file)
            .finish_non_exhaustive()
    }
}

impl<D: Disk> ConfigurationFiles<D> {
    /// Of a member that was started with a file; `None` without one.
    pub(crate) fn new(disk: D, ensemble: &Ensemble) -> Option<ConfigurationFiles<D>> {
        let static_file = &ensemble.files.as_ref()?.static_file;
        // The files name each other, and so must not depend on where the server was started.
        let absolute = std::path::absolute(static_file);
        let static_file = absolute.unwrap_or_else(|_| static_file.clone());
        let me = ensemble.me.0.cast_signed();
        Some(ConfigurationFiles { disk, static_file, me, rules: ensemble.rules })
    }

    fn next(&self, text: Option<&str>) -> Result<(), Error> {
        let text = text.and_then(|text| parse(text, self.rules)).map(|next| next.next_file_text());
        write_text(&self.disk, &dynamic::next_path(&self.static_file), text.as_deref())
    }

    fn in_force(&self, membership: &Membership) -> Result<(), Error> {
        let original = read(&self.disk, &self.static_file)?.unwrap_or_default();
        self.back_up(&original)?;
        let written = dynamic::committed(&self.static_file, &original, membership, self.me);
        write_text(&self.disk, &written.dynamic_file, Some(&written.dynamic_text))?;
        if written.static_text != original {
            write_bytes(&self.disk, &self.static_file, Some(&written.static_text))?;
        }
        let (file, version) = (written.dynamic_file.display(), membership.version());
        tracing::info!(%file, version = format!("{version:x}"), "configuration written");
        Ok(())
    }

    /// Keeps the static file as it was while it named the servers itself.
    fn back_up(&self, original: &[u8]) -> Result<(), Error> {
        let names_servers = |line: &str| line.trim_start().starts_with("server.");
        if !String::from_utf8_lossy(original).lines().any(names_servers) {
            return Ok(());
        }
        write_bytes(&self.disk, &dynamic::backup_path(&self.static_file), Some(original))
    }
}

impl<D: Disk + Send + Sync> Texts for ConfigurationFiles<D> {
    fn keep(&self, name: &'static str, text: Option<&str>) -> Result<(), Error> {
        if name == zab::NEXT_CONFIGURATION {
            return self.next(text);
        }
        match text.and_then(|text| parse(text, self.rules)) {
            Some(membership) => self.in_force(&membership),
            None => Ok(()), // there always is one
        }
    }
}

/// Without a static file: takes what was kept in the data directory, if it is later.
pub(crate) fn adopt<D: Disk>(
    disk: &D,
    data_dir: &Path,
    ensemble: &mut Ensemble,
) -> Result<(), Error> {
    if ensemble.files.is_some() {
        return Ok(());
    }
    let kept = |name| -> Result<Option<Membership>, Error> {
        let bytes = read(disk, &data_dir.join(name))?.unwrap_or_default();
        Ok(parse(&String::from_utf8_lossy(&bytes), ensemble.rules))
    };
    let (committed, next) = (kept(zab::CONFIGURATION)?, kept(zab::NEXT_CONFIGURATION)?);
    let later = |than: i64| move |kept: &Membership| kept.version() > than;
    if let Some(committed) = committed.filter(later(ensemble.committed.version())) {
        let version = format!("{:x}", committed.version());
        tracing::info!(version, "the configuration is the one in the data directory");
        ensemble.committed = committed;
    }
    ensemble.last_seen = next.filter(later(ensemble.committed.version()));
    Ok(())
}

/// Takes note of a new configuration: gives the address at which clients are served from now on, if
/// that has changed, and says what only a restart brings about.
pub(crate) fn changed(ensemble: &mut Ensemble, text: &str) -> Option<Address> {
    let membership = parse(text, ensemble.rules)?;
    let me = ensemble.me.0.cast_signed();
    let before = std::mem::replace(&mut ensemble.committed, membership);
    let now = ensemble.committed.server(me);
    let before = before.server(me)?;
    let Some(now) = now else {
        tracing::warn!(
            "this server is no member any more: it goes on without a vote until it is stopped, \
             and cannot be started again as it is"
        );
        return None;
    };
    if before.addresses() != now.addresses() {
        tracing::warn!("the addresses for other members have changed: restart this server to move");
    }
    now.client().filter(|client| before.client() != Some(*client)).cloned()
}

/// A configuration of the engine's; what it has written it reads again.
fn parse(text: &str, rules: Rules) -> Option<Membership> {
    let rules = Rules { standalone: false, ..rules };
    Membership::parse(text, &rules).ok()
}

fn read<D: Disk>(disk: &D, path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let failed = |source| Error::Io { path: path.to_owned(), source };
    let file = match disk.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    loop {
        let have = bytes.len();
        bytes.resize(have + CHUNK_BYTES, 0);
        let read = file.read_at(have as u64, &mut bytes[have..]).map_err(failed)?;
        bytes.truncate(have + read);
        if read == 0 {
            return Ok(Some(bytes));
        }
    }
}

/// Read at once: more than most files hold.
const CHUNK_BYTES: usize = 16 << 10;
