//! A part of the log as values, for a member that others learn from.
//!
//! Nothing is given rather than too little: what is given is all that the log holds from a place
//! on, without a gap. A log that was purged in the middle, or is damaged, gives nothing.
//! Source: disk format, section 17; quorum protocol, section 9, rule 4.

use super::reader::{LogReader, ReadOptions, Tail, is_gap};
use crate::{Disk, Error};
use base::Zxid;
use std::path::Path;

/// A record's place, and its payload.
pub type LogEntry = (Zxid, Vec<u8>);

/// All records of `dir` from the first on that is not before `from`, also of the file that is
/// being written, each once. `None` if they are more than `size_max` bytes, or if it is not
/// certain that they are all: the log must hold a record at or before `from`, or begin with the
/// one behind `from` in the same epoch, and no gap may follow.
///
/// # Errors
/// [`Error::Io`], and what is wrong with the records.
pub fn read_entries<D: Disk>(
    disk: &D,
    dir: &Path,
    from: Zxid,
    size_max: u64,
    options: ReadOptions,
) -> Result<Option<Vec<LogEntry>>, Error> {
    let options = ReadOptions { tail: Tail::Live, refuse_gaps: false, ..options };
    let mut reader = LogReader::open(disk.clone(), dir, from, options)?;
    let (mut entries, mut size, mut last): (Vec<LogEntry>, u64, Option<Zxid>) = Default::default();
    while let Some(record) = reader.next_record()? {
        let (zxid, payload) = (record.zxid(), record.payload.to_vec());
        if last.is_some_and(|last| zxid <= last) {
            continue;
        }
        let is_next = zxid == from.next() && zxid.epoch() == from.epoch();
        let is_certain = match last {
            Some(last) => !is_gap(last, zxid),
            None if zxid == from || is_next => true,
            None => reader.skipped().is_some_and(|skipped| !is_gap(skipped, zxid)),
        };
        size += payload.len() as u64;
        if !is_certain || size > size_max {
            return Ok(None);
        }
        entries.push((zxid, payload));
        last = Some(zxid);
    }
    let reaches_back = last.or(reader.skipped()).is_some();
    Ok(reaches_back.then_some(entries))
}

#[cfg(test)]
mod tests {
    use super::read_entries;
    use crate::simulated::SimulatedDisk;
    use crate::testing::{DIR, disk, in_dir, log, payload, write_one_by_one};
    use crate::{Disk, Error, ReadOptions};
    use base::Zxid;
    use std::path::Path;

    fn read(disk: &SimulatedDisk, from: i64, size_max: u64) -> Result<Option<Vec<i64>>, Error> {
        let options = ReadOptions::default();
        let entries = read_entries(disk, Path::new(DIR), Zxid(from), size_max, options)?;
        Ok(entries.map(|entries| {
            let size = payload(0, 50).len();
            let check = |(zxid, payload): &(Zxid, Vec<u8>)| {
                assert_eq!(payload.len(), size);
                zxid.0
            };
            entries.iter().map(check).collect()
        }))
    }

    fn all(disk: &SimulatedDisk, from: i64) -> Option<Vec<i64>> {
        read(disk, from, u64::MAX).unwrap()
    }

    #[test]
    fn section_17_the_log_must_reach_back_to_the_place() {
        let disk = disk();
        assert_eq!(all(&disk, 1), None);
        let mut log = log(&disk);
        for zxid in 5..=9 {
            log.append(Zxid(zxid), &payload(zxid, 50)).unwrap();
            if zxid % 2 == 0 {
                log.roll().unwrap();
            }
        }
        log.flush().unwrap(); // not synced, and not to the end of the file
        assert_eq!(all(&disk, 3), None);
        assert_eq!(all(&disk, 4), Some(vec![5, 6, 7, 8, 9]), "what follows 4");
        assert_eq!(all(&disk, 5), Some(vec![5, 6, 7, 8, 9]));
        assert_eq!(all(&disk, 7), Some(vec![7, 8, 9]));
        assert_eq!(all(&disk, 8), Some(vec![8, 9]));
        assert_eq!(all(&disk, 9), Some(vec![9]));
        assert_eq!(all(&disk, 10), Some(vec![]), "nothing is later");
        assert_eq!(all(&disk, 0x1_0000_0000), Some(vec![]));
        let size = payload(0, 50).len() as u64;
        assert_eq!(read(&disk, 7, 3 * size).unwrap(), Some(vec![7, 8, 9]));
        assert_eq!(read(&disk, 7, 3 * size - 1).unwrap(), None);
    }

    #[test]
    fn a_gap_gives_nothing() {
        // ZooKeeper 2418, 2846: a file in the middle was purged.
        let disk = disk();
        write_one_by_one(&disk, 1..=3);
        write_one_by_one(&disk, 4..=5);
        write_one_by_one(&disk, 6..=8);
        disk.remove(&in_dir("log.4")).unwrap();
        assert_eq!(all(&disk, 2), None);
        assert_eq!(all(&disk, 3), None);
        assert_eq!(all(&disk, 4), None);
        assert_eq!(all(&disk, 6), Some(vec![6, 7, 8]));
        // An epoch begins with its first transaction.
        let (first, second) = (0x1_0000_0001, 0x1_0000_0002);
        write_one_by_one(&disk, second..=second);
        assert_eq!(all(&disk, 6), None);
        disk.remove(&in_dir("log.100000002")).unwrap();
        write_one_by_one(&disk, first..=second);
        assert_eq!(all(&disk, 7), Some(vec![7, 8, first, second]));
        assert_eq!(all(&disk, 0x1_0000_0000), Some(vec![first, second]));
    }

    #[test]
    fn damage_is_told() {
        let disk = disk();
        write_one_by_one(&disk, 1..=3);
        assert!(disk.flip_bit(&in_dir("log.1"), 8 * 60));
        assert!(matches!(read(&disk, 1, u64::MAX), Ok(None) | Err(Error::Corrupt { .. })));
    }
}
