//! The files of a configuration that changes while the ensemble runs: their names, and their texts.
//!
//! `zoo.cfg.dynamic.<version>` holds the configuration in force and is named by the static file,
//! `zoo.cfg.dynamic.next` one that was seen and is not in force yet, `zoo.cfg.bak` the static file
//! as it was while it named the servers itself. What is in them is `Membership::file_text` and
//! `Membership::next_file_text`.
//! Deviation: what stays of a static file stays as it was, comments and order too; ZooKeeper
//! writes it anew, unescaped, in the order of a hash table.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use wire::quorum::{Membership, Server};

use crate::properties;

/// The version in the name of a dynamic file: the hexadecimal digits behind its last dot.
#[must_use]
pub fn version_of(name: &str) -> Option<i64> {
    let (_, digits) = name.rsplit_once('.')?;
    i64::from_str_radix(digits, 16).ok().filter(|version| *version >= 0)
}

/// The file for a configuration in force.
#[must_use]
pub fn path_of_version(static_file: &Path, version: i64) -> PathBuf {
    with_suffix(static_file, &format!(".dynamic.{version:x}"))
}

/// The file for a configuration that is not in force yet.
#[must_use]
pub fn next_path(static_file: &Path) -> PathBuf {
    with_suffix(static_file, ".dynamic.next")
}

/// The file that keeps the static file as it was.
#[must_use]
pub fn backup_path(static_file: &Path) -> PathBuf {
    with_suffix(static_file, ".bak")
}

/// The static file for a configuration in force, of which `own` is this server. All that the
/// dynamic file says is gone from it, and its last line names that file, of which
/// `dynamic_file` is the absolute path. A static file that is written again for the same
/// configuration stays as it is.
#[must_use]
pub fn static_text(text: &[u8], own: Option<&Server>, dynamic_file: &str) -> Vec<u8> {
    let (client, secure) =
        own.map_or((false, false), |own| (own.client().is_some(), own.secure_client().is_some()));
    let goes = |key: &str| {
        ["server.", "group", "weight", "dynamicConfigFile", "peerType"]
            .iter()
            .any(|start| key.starts_with(start))
            || client && key.starts_with("clientPort") && key != BACKLOG
            || secure && key.starts_with("secureClientPort")
    };
    let mut text = properties::without(text, goes);
    properties::end_last_line(&mut text);
    text.extend(properties::write_entry("dynamicConfigFile", dynamic_file).bytes());
    text.push(b'\n');
    text
}

/// What must be written when a configuration comes into force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The dynamic file's path.
    pub dynamic_file: PathBuf,
    /// Its text. It is written before the static file that names it.
    pub dynamic_text: String,
    /// The static file's new text.
    pub static_text: Vec<u8>,
}

/// What must be written when `committed` comes into force at the server `me`. `static_file` is its
/// absolute path, and `text` what is in it.
#[must_use]
pub fn committed(static_file: &Path, text: &[u8], committed: &Membership, me: i64) -> Written {
    let dynamic_file = path_of_version(static_file, committed.version());
    let static_text = static_text(text, committed.server(me), &dynamic_file.to_string_lossy());
    Written { dynamic_file, dynamic_text: committed.file_text(), static_text }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// It says nothing of an address, so no dynamic file has it. ZooKeeper drops it all the same.
const BACKLOG: &str = "clientPortListenBacklog";

#[cfg(test)]
mod tests;
