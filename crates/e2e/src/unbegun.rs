//! Logs that the reference began and was killed before it had written their headers.
//!
//! It refuses to start on such a directory, for ever (3.8.0: `EOFException` in
//! `FileTxnIterator.inStreamCreated`), and an operator has to remove the file, which holds nothing.
//! Servers that are killed often need that now and then. Ours takes them as they are.

use crate::servers::Kind;
use anyhow::{Context, Result};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// A log's magic number, its version and the number of its database.
const HEADER_SIZE: u64 = 16;

/// Removes such logs from the data that a server of this kind is to start on, if it needs that, and
/// says so.
///
/// # Errors
/// If the directory cannot be read or written.
pub(crate) fn remove_for(kind: &Kind, data: &Path) -> Result<()> {
    if kind.is_ours() {
        return Ok(());
    }
    let dir = data.join("version-2");
    let entries = match fs::read_dir(&dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(|| dir.display().to_string())?,
    };
    for entry in entries {
        let entry = entry?;
        let is_log = entry.file_name().to_string_lossy().starts_with("log.");
        if is_log && entry.metadata()?.len() < HEADER_SIZE {
            println!("{} has no header: removed", entry.path().display());
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_without_a_header_goes_and_all_else_stays() {
        let data = tempfile::tempdir().unwrap();
        remove_for(&Kind::Reference38, data.path()).unwrap();
        let dir = data.path().join("version-2");
        fs::create_dir(&dir).unwrap();
        let files = [("log.1", 16), ("log.a", 15), ("log.b", 0), ("snapshot.0", 0)];
        for (name, len) in files {
            fs::write(dir.join(name), vec![7; len]).unwrap();
        }
        let left = || files.map(|(name, _)| dir.join(name).exists());
        remove_for(&Kind::Quorate, data.path()).unwrap();
        assert_eq!(left(), [true; 4]);
        remove_for(&Kind::Reference38, data.path()).unwrap();
        assert_eq!(left(), [true, false, false, true]);
    }
}
