//! What a file is, by its first bytes: names are no proof, and operators rename files.

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use storage::Compression;

/// What a path holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A transaction log.
    Log,
    /// A snapshot, compressed so.
    Snapshot(Compression),
    /// A directory, which is read for its logs.
    Directory,
}

impl Kind {
    /// Looks at a path.
    ///
    /// # Errors
    /// If it cannot be read, or is nothing of these.
    pub(crate) fn of(path: &Path) -> Result<Kind> {
        let name = || path.display().to_string();
        if std::fs::metadata(path).with_context(name)?.is_dir() {
            return Ok(Kind::Directory);
        }
        let mut start = Vec::new();
        File::open(path).with_context(name)?.take(8).read_to_end(&mut start).with_context(name)?;
        Ok(match &start[..] {
            [b'Z', b'K', b'L', b'G', ..] => Kind::Log,
            [b'Z', b'K', b'S', b'N', ..] => Kind::Snapshot(Compression::None),
            [0x1f, 0x8b, ..] => Kind::Snapshot(Compression::Gzip),
            [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0] => Kind::Snapshot(Compression::Snappy),
            b"QUORATEJ" => {
                bail!("{}: a segment of a journal: see inspect journal", path.display())
            }
            _ => bail!("{}: bad magic number: neither a log nor a snapshot", path.display()),
        })
    }
}
