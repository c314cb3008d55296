//! The names of files and directories: what is a log, what is a snapshot, and of which zxid.
//!
//! A name is a prefix, a dot and the zxid in hexadecimal; snapshots may have the extension of their
//! compression. Whatever else lies in the directory is ignored.

use crate::error::At;
use crate::{Disk, Error};
use base::Zxid;
use std::path::{Path, PathBuf};

/// Where a server keeps its files, without `version-2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dirs {
    /// `dataDir`: snapshots, epochs, `myid`.
    pub data: PathBuf,
    /// `dataLogDir`: logs; may be the same.
    pub log: PathBuf,
}

impl Dirs {
    /// One directory for both.
    pub fn single(dir: impl Into<PathBuf>) -> Dirs {
        let dir = dir.into();
        Dirs { data: dir.clone(), log: dir }
    }

    /// Where snapshots and epoch files are.
    #[must_use]
    pub fn snapshots(&self) -> PathBuf {
        self.data.join(VERSION_DIR)
    }

    /// Where logs are.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.log.join(VERSION_DIR)
    }
}

/// How a snapshot is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// As it is.
    #[default]
    None,
    /// One gzip stream.
    Gzip,
    /// The container of the snappy-java library around raw snappy blocks.
    Snappy,
}

impl Compression {
    /// What follows the zxid in the name.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Compression::None => "",
            Compression::Gzip => ".gz",
            Compression::Snappy => ".snappy",
        }
    }

    /// By the value of `zookeeper.snapshot.compression.method`.
    #[must_use]
    pub fn from_method(method: &str) -> Option<Compression> {
        match method {
            "" => Some(Compression::None),
            "gz" => Some(Compression::Gzip),
            "snappy" => Some(Compression::Snappy),
            _ => None,
        }
    }
}

/// A log in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Where it is.
    pub path: PathBuf,
    /// The zxid of its first record, by its name.
    pub first: Zxid,
    /// Its length in bytes when it was listed, padding included.
    pub len: u64,
}

/// A snapshot in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFile {
    /// Where it is.
    pub path: PathBuf,
    /// What was applied when it was begun, by its name.
    pub zxid: Zxid,
    /// How it is stored, by its name.
    pub compression: Compression,
    /// Its length in bytes when it was listed.
    pub len: u64,
}

/// The logs of `dir`, oldest first.
///
/// # Errors
/// [`Error::Io`].
pub fn list_logs<D: Disk>(disk: &D, dir: &Path) -> Result<Vec<LogFile>, Error> {
    let mut logs: Vec<LogFile> = disk
        .list(dir)
        .at(dir)?
        .into_iter()
        .filter_map(|entry| {
            let first = parse_log(&entry.name)?;
            Some(LogFile { path: dir.join(&entry.name), first, len: entry.len })
        })
        .collect();
    logs.sort_by(|a, b| (a.first, &a.path).cmp(&(b.first, &b.path)));
    Ok(logs)
}

/// The snapshots of `dir`, newest first.
///
/// # Errors
/// [`Error::Io`].
pub fn list_snapshots<D: Disk>(disk: &D, dir: &Path) -> Result<Vec<SnapshotFile>, Error> {
    let mut snapshots: Vec<SnapshotFile> = disk
        .list(dir)
        .at(dir)?
        .into_iter()
        .filter_map(|entry| {
            let (zxid, compression) = parse_snapshot(&entry.name)?;
            Some(SnapshotFile { path: dir.join(&entry.name), zxid, compression, len: entry.len })
        })
        .collect();
    snapshots.sort_by(|a, b| (b.zxid, &b.path).cmp(&(a.zxid, &a.path)));
    Ok(snapshots)
}

pub(crate) fn log_name(first: Zxid) -> String {
    format!("log.{:x}", first.0)
}

pub(crate) fn snapshot_name(zxid: Zxid, compression: Compression) -> String {
    format!("snapshot.{:x}{}", zxid.0, compression.extension())
}

/// The name under which a snapshot is written. It is no snapshot's name to any reader.
pub(crate) fn unfinished_name(zxid: Zxid, compression: Compression) -> String {
    format!("{UNFINISHED_PREFIX}{}.tmp", snapshot_name(zxid, compression))
}

/// The name of a log that waits for its first record. It is no log's name to any reader.
pub(crate) const SPARE_LOG_NAME: &str = "new-log.tmp";

/// The name of a log that is begun without one that waited. The other may be written meanwhile.
pub(crate) const BEGUN_LOG_NAME: &str = "new-log-begun.tmp";

pub(crate) fn is_unfinished(name: &str) -> bool {
    name.starts_with(UNFINISHED_PREFIX) && name.ends_with(".tmp")
}

fn parse_log(name: &str) -> Option<Zxid> {
    parse_zxid(name.strip_prefix("log.")?)
}

fn parse_snapshot(name: &str) -> Option<(Zxid, Compression)> {
    let rest = name.strip_prefix("snapshot.")?;
    let (hex, compression) = match rest.split_once('.') {
        None => (rest, Compression::None),
        Some((hex, "gz")) => (hex, Compression::Gzip),
        Some((hex, "snappy")) => (hex, Compression::Snappy),
        Some(_) => return None,
    };
    Some((parse_zxid(hex)?, compression))
}

fn parse_zxid(hex: &str) -> Option<Zxid> {
    if !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None; // the parser would take a sign
    }
    i64::from_str_radix(hex, 16).ok().map(Zxid)
}

const VERSION_DIR: &str = "version-2";
const UNFINISHED_PREFIX: &str = "new-";

#[cfg(test)]
mod tests {
    use super::{
        BEGUN_LOG_NAME, Compression, SPARE_LOG_NAME, is_unfinished, log_name, parse_log,
        parse_snapshot, unfinished_name,
    };
    use base::Zxid;

    #[test]
    fn names_read_back_and_others_are_ignored() {
        assert_eq!(log_name(Zxid(0x1_0000_00ab)), "log.1000000ab");
        assert_eq!(parse_log("log.1000000ab"), Some(Zxid(0x1_0000_00ab)));
        assert_eq!(parse_snapshot("snapshot.0"), Some((Zxid(0), Compression::None)));
        assert_eq!(parse_snapshot("snapshot.1f.gz"), Some((Zxid(0x1f), Compression::Gzip)));
        assert_eq!(parse_snapshot("snapshot.1f.snappy"), Some((Zxid(0x1f), Compression::Snappy)));
        for name in ["snapshot.1.tmp", "snapshot.", "snapshot.+1", "snapshot.x", "log.0x1", "log"] {
            assert_eq!(parse_snapshot(name), None, "{name}");
            assert_eq!(parse_log(name), None, "{name}");
        }
        assert_eq!(parse_log("log.ffffffffffffffff"), None);
        for name in [SPARE_LOG_NAME, BEGUN_LOG_NAME] {
            assert!(is_unfinished(name) && parse_log(name).is_none(), "{name}");
        }
        let unfinished = unfinished_name(Zxid(7), Compression::Gzip);
        assert!(is_unfinished(&unfinished));
        assert_eq!(parse_snapshot(&unfinished), None);
    }
}
