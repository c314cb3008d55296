//! A copy of a file before it is changed: synced and read back, so that it is there when needed.

use anyhow::{Context, Result, bail};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// Copies the file, durably, and compares. What stands at `to` is never overwritten.
///
/// # Errors
/// If it exists, cannot be written, or is not the same when it is read back.
pub(crate) fn back_up(from: &Path, to: &Path) -> Result<()> {
    let context = || format!("backup to {}", to.display());
    let mut copy =
        OpenOptions::new().write(true).create_new(true).open(to).with_context(context)?;
    io::copy(&mut File::open(from)?, &mut copy).with_context(context)?;
    copy.sync_all().with_context(context)?;
    let dir = to.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir)?.sync_all().with_context(context)?;
    if !is_same(from, to).with_context(context)? {
        bail!("{}: the backup is not what was copied; nothing was changed", to.display());
    }
    Ok(())
}

fn is_same(left: &Path, right: &Path) -> io::Result<bool> {
    let (mut left, mut right) = (File::open(left)?, File::open(right)?);
    if left.metadata()?.len() != right.metadata()?.len() {
        return Ok(false);
    }
    let (mut a, mut b) = (vec![0; CHUNK_SIZE], vec![0; CHUNK_SIZE]);
    loop {
        let size = left.read(&mut a)?;
        if size == 0 {
            return Ok(true);
        }
        right.read_exact(&mut b[..size])?;
        if a[..size] != b[..size] {
            return Ok(false);
        }
    }
}

/// How much is compared at a time, in bytes.
const CHUNK_SIZE: usize = 1 << 20;
