//! Directories that no crash leaves: each has its error, which says what to do.

use super::super::header::HEADER_SIZE;
use super::super::{Identity, Journal, Record};
use super::{DIR, IDENTITY, OPTIONS, disk, entry, opened, recover, segment, write_entries};
use crate::Disk;
use crate::simulated::SimulatedDisk;
use base::{Lsn, NodeId, Zxid};
use std::path::Path;

/// Four segments.
fn full_disk() -> SimulatedDisk {
    let disk = disk();
    write_entries(&disk, 80);
    assert_eq!(opened(&disk).segments(), (1, 4));
    disk
}

fn refusal(disk: &SimulatedDisk) -> String {
    let writes = disk.counters();
    let error = recover(disk).err().expect("it is refused").to_string();
    assert_eq!(disk.counters().names, writes.names);
    assert_eq!(disk.counters().writes, writes.writes);
    error
}

#[test]
fn a_missing_segment_is_named() {
    for (number, why) in [
        (3, "there are segments before and after it"),
        (1, "no checkpoint covers what it held"),
        (4, "the segment before it says that it was there"),
    ] {
        let disk = full_disk();
        disk.remove(&segment(number)).unwrap();
        let error = refusal(&disk);
        assert!(
            error.starts_with(&format!("{}: missing ({why})", segment(number).display())),
            "{error}"
        );
    }
}

#[test]
fn a_second_file_of_a_number_is_named() {
    let disk = full_disk();
    disk.install(&Path::new(DIR).join("journal.2"), b"");
    assert!(refusal(&disk).contains("journal.0000000000000002 and /data/journal/journal.2"));
    disk.remove(&Path::new(DIR).join("journal.2")).unwrap();
    let bytes = disk.contents(&segment(2)).unwrap();
    disk.install(&segment(3), &bytes);
    assert!(refusal(&disk).contains("journal.0000000000000003: is segment 2"));
}

#[test]
fn another_members_journal_is_refused() {
    let disk = full_disk();
    let writes = disk.counters().writes;
    let others =
        [Identity { member: NodeId(8), ..IDENTITY }, Identity { cluster: [1; 16], ..IDENTITY }];
    for other in others {
        let error = Journal::recover(disk.clone(), DIR, other, OPTIONS).err().unwrap();
        assert!(error.to_string().contains("belongs to member 7"), "{error}");
    }
    assert_eq!(disk.counters().writes, writes);
}

#[test]
fn a_later_format_is_refused_as_such() {
    let disk = full_disk();
    let mut bytes = disk.contents(&segment(2)).unwrap();
    bytes[11] = 2;
    disk.install(&segment(2), &bytes);
    assert!(refusal(&disk).contains("journal format 2, this version knows 1"));
}

#[test]
fn a_file_that_is_no_segment_is_refused() {
    for bytes in [&b""[..], &[0; 4096], &b"QUORATEJ"[..]] {
        let disk = full_disk();
        disk.remove(&segment(4)).unwrap();
        disk.install(&segment(4), bytes);
        assert!(refusal(&disk).contains("journal.0000000000000004: "));
    }
}

#[test]
fn a_segment_that_ends_early_is_refused_unless_it_is_the_last() {
    let disk = full_disk();
    let bytes = disk.contents(&segment(2)).unwrap();
    disk.remove(&segment(2)).unwrap();
    disk.install(&segment(2), &bytes[..2000]);
    assert!(refusal(&disk).contains("journal.0000000000000002"));
    let disk = full_disk();
    let bytes = disk.contents(&segment(4)).unwrap();
    disk.remove(&segment(4)).unwrap();
    disk.install(&segment(4), &bytes[..HEADER_SIZE as usize]);
    let mut journal = opened(&disk);
    assert_eq!(journal.segments(), (1, 4), "nothing on the disk says that there was more");
    entry(&mut journal, 1, b"more");
    journal.commit().unwrap();
}

#[test]
fn an_unreadable_record_of_a_good_checksum_is_refused_even_at_the_end() {
    use super::super::format::put_record;
    let disk = disk();
    let mut journal = opened(&disk);
    journal.append(Lsn(1), &Record::Truncate { to: Zxid(0) }).unwrap();
    journal.commit().unwrap();
    let (position, seal) =
        (journal.current.position, (journal.current.salt, journal.current.chain));
    let mut bytes = disk.contents(&segment(1)).unwrap();
    let mut record = Vec::new();
    put_record(&mut record, seal, 99, |out| out.extend_from_slice(b"of the future"));
    bytes[position as usize..][..record.len()].copy_from_slice(&record);
    disk.install(&segment(1), &bytes);
    assert!(refusal(&disk).contains(&format!("malformed record at byte {position}")));
}
