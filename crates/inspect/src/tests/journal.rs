//! Journals as their engine leaves them, torn, and damaged.

use super::{flip, good, inspect, testdata, text};
use crate::Verdict;
use base::{Lsn, NodeId, Zxid};
use broadcast::{ANNOUNCED, Base, Slot, SlotKind};
use bytes::Bytes;
use server::StdDisk;
use std::fs;
use std::path::PathBuf;
use storage::journal::{Identity, Journal, Options, Record};

/// A journal of three entries, the last in a batch of its own, and its only segment.
fn journal() -> (tempfile::TempDir, PathBuf) {
    journal_of(&[
        Record::Entry { at: Zxid(1), bytes: b"one" },
        Record::Register { name: "term", value: 4 },
        Record::Checkpoint { at: Zxid(1), state: b"state" },
        Record::Entry { at: Zxid(2), bytes: b"two" },
        Record::Entry { at: Zxid(3), bytes: b"three" },
    ])
}

/// A journal of these records, each in a batch of its own, and its first segment.
fn journal_of(records: &[Record<'_>]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity { cluster: [0x1f; 16], member: NodeId(3) };
    let options = Options { segment_size: 4096 };
    let mut journal =
        Journal::recover(StdDisk, dir.path(), identity, options).ok().unwrap().journal;
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

/// Transactions of the reference's log, from the second on.
fn transactions(count: usize) -> Vec<(Zxid, Bytes)> {
    let (_, mut reader) = crate::log::open(&testdata("digest.log.1")).unwrap();
    let mut found = Vec::new();
    while found.len() <= count {
        let payload = reader.next_record().unwrap().unwrap().payload;
        let zxid = wire::TxnRecord::decode(payload).unwrap().header.zxid;
        found.push((Zxid(zxid), Bytes::copy_from_slice(payload)));
    }
    found.split_off(1)
}

/// What a member over Raft leaves: a life with a cut, a base, and a state that was on its way.
fn of_slots() -> (tempfile::TempDir, PathBuf) {
    let items = transactions(3);
    let encode = |index, period, kind, (at, body): (Zxid, Bytes)| {
        let mut bytes = Vec::new();
        Slot { index, period, at, kind, body }.encode(&mut bytes);
        bytes
    };
    let base = |index, period, at, voters: &'static [u8]| {
        let configuration = Bytes::from_static(voters);
        Base { index, period, at: Zxid(at), configuration }
    };
    let nothing = || (Zxid(1), Bytes::new());
    let slots = [
        encode(1, 2, SlotKind::Empty, nothing()),
        encode(2, 2, SlotKind::Item, items[0].clone()),
        encode(3, 2, SlotKind::Item, items[1].clone()),
        encode(3, 3, SlotKind::Control, (items[0].0, Bytes::from_static(b"voters"))),
        encode(4, 3, SlotKind::Item, (items[1].0, Bytes::from_static(b"?"))),
        encode(5, 3, SlotKind::Item, (Zxid(9), items[2].1.clone())),
    ];
    let entry = |at, n: usize| Record::Entry { at: Zxid(at), bytes: &slots[n] };
    let state = base(2, 2, 2, b"three").encode();
    let announced = base(0x40, 5, 0x5_0000_0001, b"").to_text();
    journal_of(&[
        Record::Register { name: "term", value: 2 },
        entry(1, 0),
        entry(2, 1),
        entry(3, 2),
        Record::Truncate { to: Zxid(2) },
        entry(3, 3),
        entry(4, 4),
        Record::Checkpoint { at: Zxid(2), state: &state },
        entry(5, 5),
        Record::Text { name: ANNOUNCED, text: Some(&announced) },
        Record::Text { name: "other", text: Some("text") },
        Record::Text { name: ANNOUNCED, text: None },
    ])
}

#[test]
fn the_records_of_an_engine_with_slots_are_told_by_what_they_mean() {
    let (dir, _) = of_slots();
    let printed = good(&["journal", text(dir.path())]);
    let what = |line: &str| line.splitn(4, ' ').nth(3).unwrap_or_default().to_owned();
    let lines = printed.lines().filter(|line| line.starts_with("journal.")).map(what);
    let lines: Vec<String> = lines.filter(|line| !line.starts_with("mark ")).collect();
    let golden = "\
register term = 2
entry 1, term 2, empty, zxid 0x1
entry 2, term 2, 11/20/26, 6:37:24 PM UTC session 0x1000020a4a80000 cxid 0x1 zxid 0x2 create /a,hello,[31,s{'world,'anyone}],false,1
entry 3, term 2, 11/20/26, 6:37:24 PM UTC session 0x1000020a4a80000 cxid 0x2 zxid 0x3 create /a/b,,[31,s{'world,'anyone}],false,1
truncate to 2, 1 void
entry 3, term 3, control, zxid 0x2, 6 bytes
entry 4, term 3, at zxid 0x3: no transaction (the record ends 7 bytes early), 1 bytes
checkpoint 2, term 2, zxid 0x2, configuration of 5 bytes
entry 5, term 3, at zxid 0x9: 11/20/26, 6:37:24 PM UTC session 0x1000020a4a80000 cxid 0x3 zxid 0x4 create /null,,[31,s{'world,'anyone}],false,2
text announced, a state on its way: 64, term 5, zxid 0x500000001, configuration of 0 bytes
text other, 4 bytes
text announced removed
";
    assert_eq!(lines.join("\n") + "\n", golden);
    let verbose = good(&["journal", "--verbose", text(dir.path())]);
    assert!(verbose.contains(" digest 2,0x"), "{verbose}");
}

#[test]
fn slots_are_summed_up() {
    let (dir, _) = of_slots();
    let printed = good(&["journal", "--summary", text(dir.path())]);
    let golden = "\
Cluster: 1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f
Member: 3
Kind checkpoint: 1 records, 48 bytes
Kind entry: 6 records, 552 bytes
Kind mark: 11 records, 264 bytes
Kind register: 1 records, 32 bytes
Kind text: 3 records, 144 bytes
Kind truncate: 1 records, 24 bytes
Live entries: 5, the next is 6
Entries: 1 to 5
Slots, void ones too: 4 transactions, 1 empty, 1 control
Terms: 2 to 3
Cut: 1 slots
Checkpoint: 2, term 2, zxid 0x2, configuration of 5 bytes
Register term: 2
Text other: 4 bytes
1 segments, the records end in journal.0000000000000001 at byte 1144
";
    assert_eq!(printed, golden);
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
