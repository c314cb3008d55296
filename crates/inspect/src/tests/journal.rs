//! Journals as their engine leaves them, torn, and damaged.

use super::{flip, good, inspect, text};
use crate::Verdict;
use base::{Lsn, NodeId, Zxid};
use server::StdDisk;
use std::fs;
use std::path::PathBuf;
use storage::journal::{Identity, Journal, Options, Record};

/// A journal of three entries, the last in a batch of its own, and its only segment.
fn journal() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity { cluster: [0x1f; 16], member: NodeId(3) };
    let options = Options { segment_size: 4096 };
    let mut journal =
        Journal::recover(StdDisk, dir.path(), identity, options).ok().unwrap().journal;
    let records = [
        Record::Entry { at: Zxid(1), bytes: b"one" },
        Record::Register { name: "term", value: 4 },
        Record::Checkpoint { at: Zxid(1), state: b"state" },
        Record::Entry { at: Zxid(2), bytes: b"two" },
        Record::Entry { at: Zxid(3), bytes: b"three" },
    ];
    for (at, record) in records.iter().enumerate() {
        journal.append(Lsn(at as u64 + 1), record).unwrap();
        journal.commit().unwrap();
    }
    let path = dir.path().join("journal.0000000000000001");
    (dir, path)
}

#[test]
fn records_are_printed_with_their_places() {
    let (dir, _) = journal();
    let printed = good(&["journal", text(dir.path())]);
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[0], "journal.0000000000000001 80 32 entry 1, 3 bytes");
    assert_eq!(lines[1], "journal.0000000000000001 112 32 register term = 4");
    assert!(lines[2].ends_with("24 mark durable to byte 112"), "{printed}");
    assert!(
        printed.ends_with("1 segments, the records end in journal.0000000000000001 at byte 336\n"),
        "{printed}"
    );
}

#[test]
fn a_journal_is_summed_up_and_checked() {
    let (dir, path) = journal();
    let printed = good(&["journal", "--summary", text(dir.path())]);
    for line in [
        "Member: 3",
        "Kind entry: 3 records, 96 bytes",
        "Entries: 1 to 3",
        "Checkpoint: 1, 5 bytes",
        "Register term: 4",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line} in {printed}");
    }
    assert_eq!(good(&["journal", "--check", text(dir.path())]).lines().count(), 1);
    flip(&path, 100);
    let (verdict, _) = inspect(&["journal", "--check", text(dir.path())]);
    assert!(verdict.unwrap_err().contains("checksum mismatch at byte 80"));
    let empty = tempfile::tempdir().unwrap();
    assert!(inspect(&["journal", text(empty.path())]).0.is_err());
}

#[test]
fn repair_cuts_a_torn_tail_after_a_copy_and_nothing_else() {
    let (dir, path) = journal();
    let backup = dir.path().join("backup");
    assert!(good(&["repair", text(&path)]).contains("nothing to repair"));
    let whole = fs::read(&path).unwrap();
    let last = whole.windows(5).position(|window| window == b"three").unwrap();
    flip(&path, last);
    let torn = fs::read(&path).unwrap();
    let (verdict, told) = inspect(&["repair", text(&path)]);
    assert_eq!(verdict, Ok(Verdict::Bad));
    assert!(
        told.contains("torn tail at byte 280") && told.contains("nothing was changed"),
        "{told}"
    );
    assert_eq!(fs::read(&path).unwrap(), torn);
    for way in ["--fix-checksums", "--chop=1"] {
        let (verdict, _) = inspect(&["repair", text(&path), way, "--backup-to", text(&backup)]);
        assert!(verdict.unwrap_err().contains("only --cut"), "{way}");
    }
    good(&["repair", text(&path), "--cut", "--backup-to", text(&backup)]);
    assert_eq!(fs::read(&backup).unwrap(), torn);
    assert_eq!(fs::read(&path).unwrap(), whole[..280]);
    good(&["journal", text(dir.path())]);
    // Damage before a mark is never cut, whatever the flags.
    flip(&path, 100);
    let damaged = fs::read(&path).unwrap();
    let other = dir.path().join("other");
    let words = ["repair", text(&path), "--cut", "--lose-records", "--backup-to", text(&other)];
    assert!(inspect(&words).0.unwrap_err().contains("checksum mismatch at byte 80"));
    assert_eq!(fs::read(&path).unwrap(), damaged);
    assert!(!other.exists());
}
