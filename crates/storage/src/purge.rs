//! Removing what no recovery needs: old snapshots, and the logs from before the oldest one kept.

use crate::error::At;
use crate::names::{Dirs, list_logs, list_snapshots};
use crate::snapshot::newest_valid;
use crate::{Disk, Error};
use std::path::PathBuf;

/// Fewer snapshots than this are never kept (`autopurge.snapRetainCount`).
pub const RETAIN_MIN: usize = 3;

/// Keeps the `retain` newest snapshots that pass the quick check (at least [`RETAIN_MIN`]) and the
/// logs that are needed to replay from the oldest of them; removes older ones and says which.
/// Without any such snapshot nothing is removed. A log that is being written is never among them.
///
/// # Errors
/// [`Error::Io`]; what was removed before stays removed, which is safe.
pub fn purge<D: Disk>(disk: &D, dirs: &Dirs, retain: usize) -> Result<Vec<PathBuf>, Error> {
    let (snapshots, logs) = (dirs.snapshots(), dirs.logs());
    let kept = newest_valid(disk, &snapshots, retain.max(RETAIN_MIN))?;
    let Some(oldest) = kept.last().map(|snapshot| snapshot.zxid) else { return Ok(Vec::new()) };

    let mut doomed: Vec<PathBuf> = list_snapshots(disk, &snapshots)?
        .into_iter()
        .filter(|snapshot| snapshot.zxid < oldest)
        .map(|snapshot| snapshot.path)
        .collect();
    let logs_found = list_logs(disk, &logs)?;
    // The last log that begins at or before the oldest snapshot holds what follows it.
    let needed = logs_found.iter().rposition(|log| log.first <= oldest).unwrap_or(0);
    doomed.extend(logs_found.into_iter().take(needed).map(|log| log.path));

    for path in &doomed {
        disk.remove(path).at(path)?;
    }
    for dir in [&snapshots, &logs] {
        disk.sync_dir(dir).at(dir)?;
    }
    Ok(doomed)
}

#[cfg(test)]
mod tests {
    use super::purge;
    use crate::testing::{DIR, in_dir};
    use crate::{Dirs, Disk, simulated::SimulatedDisk};
    use std::path::Path;

    const GOOD: &[u8] = b"0123456789\0\0\0\x01/";

    fn left(files: &[(&str, &[u8])], retain: usize) -> (usize, String) {
        let disk = SimulatedDisk::default();
        for (name, bytes) in files {
            disk.install(&in_dir(name), bytes);
        }
        let removed = purge(&disk, &Dirs::single("/data"), retain).unwrap();
        let names = disk.list(Path::new(DIR)).unwrap().into_iter().map(|entry| entry.name);
        (removed.len(), names.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn the_newest_snapshots_and_what_replays_from_them_stay() {
        let files: Vec<(&str, &[u8])> = vec![
            ("snapshot.0", GOOD),
            ("snapshot.a", GOOD),
            ("snapshot.14", GOOD),
            ("snapshot.16", b"cut short"),
            ("snapshot.1e.gz", &[0x1f, 0x8b]),
            ("snapshot.28", GOOD),
            ("log.1", b""),
            ("log.b", b""),
            ("log.13", b""),
            ("log.15", b""),
            ("log.1f", b""),
            ("currentEpoch", b"1"),
            ("snapshot.2.tmp", b""),
        ];
        // log.13 may hold transactions after snapshot.14.
        let kept = "currentEpoch log.13 log.15 log.1f snapshot.14 snapshot.16 snapshot.1e.gz \
                    snapshot.2.tmp snapshot.28";
        assert_eq!(left(&files, 3), (4, kept.to_owned()));
        assert_eq!(left(&files, 1), (4, kept.to_owned()));
        let (removed, kept) = left(&files, 4);
        assert_eq!(removed, 1);
        assert!(!kept.contains("snapshot.0") && kept.contains("log.1 "), "{kept}");
        assert_eq!(left(&files, 9).0, 0);
    }

    #[test]
    fn without_a_good_snapshot_nothing_goes() {
        assert_eq!(left(&[("snapshot.5", b"bad"), ("log.1", b""), ("log.2", b"")], 3).0, 0);
        assert_eq!(left(&[("log.1", b""), ("log.2", b"")], 3).0, 0);
    }
}
