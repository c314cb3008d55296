//! Where a member keeps the configuration of its ensemble, if that changes while it runs.
//!
//! Beside the file that it was started with, as ZooKeeper does: what is in force in a file of its
//! own, which the static file names, and what was only seen in another. Without such a file both
//! are texts in the data directory, and count if they are later than what the server was told.
//! Invariant: the static file never names a dynamic file that is not complete.

use crate::server::StartError;
use config::{Ensemble, dynamic};
use node::{RecoverError, Texts};
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
///
/// # Errors
/// That cannot be read; or this server has no place in it, and what the command line says of the
/// ensemble is of before that: others that were removed as well might take it for the ensemble. One
/// with a static file, or the reference, does not start either.
pub(crate) fn adopt<D: Disk>(
    disk: &D,
    data_dir: &Path,
    ensemble: &mut Ensemble,
) -> Result<(), StartError> {
    if ensemble.files.is_some() {
        return Ok(());
    }
    let path = data_dir.join(zab::CONFIGURATION);
    let kept = |name| -> Result<Option<Membership>, Error> {
        let bytes = read(disk, &data_dir.join(name))?.unwrap_or_default();
        Ok(parse(&String::from_utf8_lossy(&bytes), ensemble.rules))
    };
    let failed = |error| StartError::Recover(RecoverError::Storage(error));
    let committed = kept(zab::CONFIGURATION).map_err(failed)?;
    let next = kept(zab::NEXT_CONFIGURATION).map_err(failed)?;
    let later = |than: i64| move |kept: &Membership| kept.version() > than;
    if let Some(committed) = committed.filter(later(ensemble.committed.version())) {
        let version = format!("{:x}", committed.version());
        let me = ensemble.me.0.cast_signed();
        if committed.server(me).is_none() {
            let servers: Vec<String> = committed.servers().map(|s| s.id().to_string()).collect();
            let servers = servers.join(", ");
            return Err(StartError::Removed { me, version, servers, path });
        }
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

#[cfg(test)]
mod tests {
    use super::{ConfigurationFiles, adopt, changed};
    use base::Rng;
    use config::{Ensemble, Sources};
    use node::Texts;
    use std::path::Path;
    use storage::simulated::{MetadataMode, Operation, SimulatedDisk};
    use storage::{Disk, write_text};

    const STATIC: &str = "# ours\ndataDir=/d\ninitLimit=5\nsyncLimit=5\nreconfigEnabled=true\n\
                          server.1=a:1:2;3\nserver.2=b:1:2;3\nclientPort=3\n";
    const TEXT: &str = "server.1=a:1:2:participant;0.0.0.0:3\n\
                        server.3=c:1:2:observer;0.0.0.0:3\n\
                        server.2=b:1:2:participant;0.0.0.0:3\nversion=10000000a";

    fn ensemble(file: Option<&str>) -> Ensemble {
        let sources = match file {
            Some(name) => Sources::new().file(name, STATIC.as_bytes()),
            None => STATIC
                .lines()
                .filter_map(|line| line.split_once('='))
                .fold(Sources::new(), |sources, (key, value)| sources.option(key, value)),
        };
        sources.my_id(1).config().unwrap().config.ensemble.unwrap()
    }

    fn disk() -> SimulatedDisk {
        let disk = SimulatedDisk::new(MetadataMode::Strict);
        disk.create_dir_all(Path::new("/conf")).unwrap();
        disk.create_dir_all(Path::new("/d")).unwrap();
        write_text(&disk, Path::new("/conf/zoo.cfg"), Some(STATIC)).unwrap();
        disk
    }

    fn text(disk: &SimulatedDisk, path: &str) -> Option<String> {
        disk.contents(Path::new(path)).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn files_are_written_beside_the_static_one_which_names_what_is_there_whenever_the_disk_fails() {
        let mut failed = 0;
        for budget in 0.. {
            let disk = disk();
            let ensemble = ensemble(Some("/conf/zoo.cfg"));
            let files = ConfigurationFiles::new(disk.clone(), &ensemble).unwrap();
            disk.fail_after(Operation::Name, budget);
            let done = files
                .keep(zab::NEXT_CONFIGURATION, Some(TEXT))
                .and_then(|()| files.keep(zab::CONFIGURATION, Some(TEXT)))
                .and_then(|()| files.keep(zab::NEXT_CONFIGURATION, None));
            let after = disk.fork();
            after.crash(&mut Rng::new(budget));
            let written = text(&after, "/conf/zoo.cfg").unwrap();
            if written == STATIC {
                assert!(done.is_err());
            } else {
                let path = "/conf/zoo.cfg.dynamic.10000000a";
                assert!(written.ends_with(&format!("dynamicConfigFile={path}\n")), "{written}");
                assert!(written.starts_with("# ours\n") && !written.contains("server."));
                assert_eq!(text(&after, path).unwrap().lines().count(), 3);
                assert_eq!(text(&after, "/conf/zoo.cfg.bak").unwrap(), STATIC);
            }
            if done.is_ok() {
                assert_eq!(text(&after, "/conf/zoo.cfg.dynamic.next"), None);
                break;
            }
            failed += 1;
        }
        assert!(failed > 3);
    }

    #[test]
    fn without_a_file_the_later_text_of_the_data_directory_counts() {
        let (disk, mut ensemble) = (disk(), ensemble(None));
        assert!(ConfigurationFiles::new(disk.clone(), &ensemble).is_none());
        let kept = Path::new("/d").join(zab::CONFIGURATION);
        adopt(&disk, Path::new("/d"), &mut ensemble).unwrap();
        assert_eq!(ensemble.committed.version(), 0);
        write_text(&disk, &kept, Some(TEXT)).unwrap();
        adopt(&disk, Path::new("/d"), &mut ensemble).unwrap();
        assert_eq!((ensemble.committed.version(), &ensemble.last_seen), (0x1_0000_000a, &None));
        let next = TEXT.replace("10000000a", "10000000b");
        let next_file = Path::new("/d").join(zab::NEXT_CONFIGURATION);
        write_text(&disk, &next_file, Some(&next)).unwrap();
        adopt(&disk, Path::new("/d"), &mut ensemble).unwrap();
        assert_eq!(ensemble.last_seen.unwrap().version(), 0x1_0000_000b);
    }

    #[test]
    fn who_was_removed_does_not_start_as_a_member_of_what_was() {
        let (disk, mut ensemble) = (disk(), ensemble(None));
        let kept = Path::new("/d").join(zab::CONFIGURATION);
        let without = TEXT.replace("server.1=a", "server.4=d");
        write_text(&disk, &kept, Some(&without)).unwrap();
        let refused = adopt(&disk, Path::new("/d"), &mut ensemble).unwrap_err();
        assert_eq!((ensemble.committed.version(), refused.exit_code()), (0, 2));
        assert_eq!(
            refused.to_string(),
            "/d/configuration: this server is 1, and by the configuration 10000000a the servers \
             are 2, 3, 4: it has been removed. Remove that file to start it as one that joins: \
             the command line must list the servers as they are now, and this one"
        );
        write_text(&disk, &kept, None).unwrap();
        adopt(&disk, Path::new("/d"), &mut ensemble).unwrap();
        assert_eq!(ensemble.committed.version(), 0);
    }

    #[test]
    fn a_client_address_that_changed_is_told_once() {
        let mut ensemble = ensemble(Some("/conf/zoo.cfg"));
        assert_eq!(changed(&mut ensemble, TEXT), None);
        let moved = TEXT.replacen(";0.0.0.0:3", ";h:4", 1);
        assert_eq!(changed(&mut ensemble, &moved).unwrap().to_string(), "h:4");
        assert_eq!(changed(&mut ensemble, &moved), None);
        let gone = moved.split_once('\n').unwrap().1;
        assert_eq!(changed(&mut ensemble, gone), None);
    }
}
