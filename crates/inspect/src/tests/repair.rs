//! Repairs of the reference's logs, torn and flipped at every place: what is mended, what is
//! refused, and that nothing is written without a flag and a backup.

use super::{flip, good, inspect, position_of, testdata, text};
use crate::Verdict;
use std::fs;
use std::path::{Path, PathBuf};

/// A copy of one of the reference's logs, and a place for its backup.
struct Patient {
    path: PathBuf,
    backup: PathBuf,
    _dir: tempfile::TempDir,
}

impl Patient {
    fn of(name: &str) -> Patient {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.1");
        fs::copy(testdata(name), &path).unwrap();
        Patient { path, backup: dir.path().join("backup"), _dir: dir }
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap()
    }

    fn tear(&self, len: usize) {
        fs::write(&self.path, &self.bytes()[..len]).unwrap();
    }

    fn repair(&self, way: &[&str]) -> (Result<Verdict, String>, String) {
        let words = ["repair", text(&self.path), "--backup-to", text(&self.backup)];
        inspect(&[&words, way].concat())
    }

    /// A repair that succeeds; gives what it printed. The backup is what was there.
    fn repaired(&self, way: &[&str]) -> String {
        let before = self.bytes();
        let (verdict, out) = self.repair(way);
        assert_eq!(verdict, Ok(Verdict::Good), "{out}");
        assert_eq!(fs::read(&self.backup).unwrap(), before);
        out
    }

    /// A repair that fails, and touches nothing; gives why.
    fn refused(&self, way: &[&str]) -> String {
        let before = self.bytes();
        let (verdict, out) = self.repair(way);
        assert_eq!(self.bytes(), before);
        assert!(!self.backup.exists());
        verdict.expect_err(&out)
    }

    fn count(&self) -> usize {
        good(&["log", text(&self.path)]).lines().count() - 2
    }
}

/// Where a record's payload begins, by a piece of text in it and what lies between.
fn checksum_at(path: &Path, data: &[u8]) -> usize {
    // checksum, length; then a header of 32 bytes, the path "/a" and two lengths.
    position_of(path, data) - (12 + 32 + 4 + 2 + 4)
}

#[test]
fn a_repair_asks_for_its_flags_and_keeps_a_backup() {
    let dir = tempfile::tempdir().unwrap();
    let (path, backup) = (dir.path().join("log.1"), dir.path().join("backup"));
    let torn = fs::read(testdata("digest.log.1")).unwrap()[..900].to_owned();
    fs::write(&path, &torn).unwrap();

    assert_eq!(inspect(&["repair", text(&path)]).0, Ok(Verdict::Bad));
    assert_eq!(fs::read(&path).unwrap(), torn);

    let cut = ["repair", text(&path), "--cut", "--backup-to", text(&backup)];
    good(&cut);
    assert_eq!(fs::read(&backup).unwrap(), torn);
    assert!(good(&["log", text(&path)]).ends_with("EOF reached after 8 txns.\n"));
    assert!(good(&cut).contains("nothing to repair"));

    // A backup is never overwritten.
    fs::write(&path, &torn).unwrap();
    assert!(inspect(&cut).0.is_err());
    assert_eq!(fs::read(&path).unwrap(), torn);
}

#[test]
fn records_behind_the_damage_are_cut_only_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let (path, backup) = (dir.path().join("log.1"), dir.path().join("backup"));
    fs::copy(testdata("digest.log.1"), &path).unwrap();
    flip(&path, position_of(&path, b"world\0\0\0\x01"));
    let before = fs::read(&path).unwrap();
    let cut = ["repair", text(&path), "--cut", "--backup-to", text(&backup)];
    assert!(inspect(&cut).0.unwrap_err().contains("--lose-records"));
    assert_eq!(fs::read(&path).unwrap(), before);
    assert!(!backup.exists());
    good(&[&cut[..], &["--lose-records"]].concat());
    assert_eq!(fs::read(&backup).unwrap(), before);
    assert!(good(&["log", text(&path)]).ends_with("EOF reached after 11 txns.\n"));
}

#[test]
fn nothing_is_written_without_a_way_and_a_backup() {
    let patient = Patient::of("digest.log.1");
    flip(&patient.path, position_of(&patient.path, b"hello"));
    let before = patient.bytes();
    let (verdict, out) = inspect(&["repair", text(&patient.path)]);
    assert_eq!(verdict, Ok(Verdict::Bad));
    assert!(out.contains("checksum mismatch at byte") && out.contains("CRC ERROR - "), "{out}");
    assert!(out.contains("create /a,iello,"), "{out}");
    assert!(out.contains("  --cut cuts the file after zxid 0x1\n"), "{out}");
    assert!(out.ends_with("  --fix-checksums takes 1 transactions as they stand\n"), "{out}");
    assert!(patient.repair(&[]).0.unwrap_err().contains("changes nothing"));
    for words in [&["--cut"][..], &["--chop", "0x2"], &["--fix-checksums"]] {
        let words = [&["inspect", "repair", text(&patient.path)], words].concat();
        assert!(<super::Cli as clap::Parser>::try_parse_from(words).is_err());
    }
    let both = ["inspect", "repair", "x", "--backup-to", "y", "--cut", "--fix-checksums"];
    assert!(<super::Cli as clap::Parser>::try_parse_from(both).is_err());
    assert_eq!(patient.bytes(), before);
}

#[test]
fn a_log_is_chopped_after_the_transaction_that_is_named() {
    for name in ["digest.log.1", "plain.log.1"] {
        let patient = Patient::of(name);
        let out = patient.repaired(&["--chop", "0x9"]);
        assert!(out.contains("15 good transactions follow 0x9"), "{out}");
        assert_eq!(patient.count(), 9);
        let whole = fs::read(&patient.backup).unwrap();
        assert!(whole.starts_with(&patient.bytes()), "what is kept is as it was");
        // Decimal, as Java's toolkit takes it; and nothing to do.
        assert!(good(&["log", text(&patient.path)]).contains("zxid 0x9 createTTL"));
        let (verdict, out) = patient.repair(&["--chop", "9"]);
        assert_eq!(verdict, Ok(Verdict::Good));
        assert!(out.contains("nothing to chop"), "{out}");
    }
}

#[test]
fn a_chop_takes_damage_with_it_but_never_reaches_over_it() {
    let patient = Patient::of("digest.log.1");
    flip(&patient.path, position_of(&patient.path, b"world\0\0\0\x01"));
    assert!(patient.refused(&["--chop", "0x18"]).contains("holds no transaction 0x18"));
    assert!(patient.refused(&["--chop", "0x99"]).contains("holds no transaction 0x99"));
    patient.repaired(&["--chop", "0xb"]);
    assert_eq!(patient.count(), 11);

    let patient = Patient::of("digest.log.1");
    patient.tear(900);
    patient.repaired(&["--chop", "0x8"]);
    assert_eq!(patient.count(), 8);
}

#[test]
fn a_chop_names_the_files_that_hold_what_is_later() {
    let patient = Patient::of("digest.log.1");
    let dir = patient.path.parent().unwrap();
    for (from, to) in [("digest.snapshot.0", "snapshot.0"), ("digest.snapshot.18", "snapshot.18")] {
        fs::copy(testdata(from), dir.join(to)).unwrap();
    }
    let out = patient.repaired(&["--chop", "0x10"]);
    assert!(out.contains("snapshot.18 holds what is later, too"), "{out}");
    assert!(!out.contains("snapshot.0 "), "{out}");
}

#[test]
fn a_flipped_checksum_is_mended_to_what_it_was() {
    let patient = Patient::of("digest.log.1");
    let whole = patient.bytes();
    flip(&patient.path, checksum_at(&patient.path, b"hello") + 7);
    flip(&patient.path, checksum_at(&patient.path, b"world\0\0\0\x01") + 5);
    let out = patient.repaired(&["--fix-checksums"]);
    assert_eq!(out.matches("CRC FIXED - ").count(), 2, "{out}");
    assert!(out.contains("setData /a,world,1"), "{out}");
    assert!(out.ends_with("log.1: 2 checksums fixed; verify its directory\n"), "{out}");
    assert_eq!(patient.bytes(), whole);
    assert!(good(&["repair", text(&patient.path)]).contains("nothing to repair"));
    let (verdict, out) = patient.repair(&["--fix-checksums"]);
    assert_eq!(verdict, Ok(Verdict::Good));
    assert!(out.contains("nothing to repair"), "{out}");
}

#[test]
fn a_flipped_transaction_is_taken_as_it_stands() {
    let patient = Patient::of("plain.log.1");
    flip(&patient.path, position_of(&patient.path, b"hello"));
    patient.repaired(&["--fix-checksums"]);
    let out = good(&["log", text(&patient.path)]);
    assert!(out.contains("create /a,iello,") && out.ends_with("after 24 txns.\n"), "{out}");
}

#[test]
fn what_is_more_than_a_wrong_checksum_is_not_taken() {
    // A length, an end, a type, a zxid; and a tail that a crash tore.
    let hello = |patient: &Patient| checksum_at(&patient.path, b"hello");
    let patient = Patient::of("digest.log.1");
    flip(&patient.path, hello(&patient) + 10);
    assert!(patient.refused(&["--fix-checksums"]).contains("no checksum can be mended"));
    let patient = Patient::of("digest.log.1");
    let end = checksum_at(&patient.path, b"hello") - 1;
    flip(&patient.path, end);
    assert!(patient.refused(&["--fix-checksums"]).contains("no checksum can be mended"));
    for (field, said) in [(12 + 31, "not only the checksum"), (12 + 19, "does not follow 0x1")] {
        let patient = Patient::of("digest.log.1");
        flip(&patient.path, hello(&patient) + field);
        assert!(patient.refused(&["--fix-checksums"]).contains("no checksum can be mended"));
        let (verdict, out) = inspect(&["repair", text(&patient.path)]);
        assert_eq!(verdict, Ok(Verdict::Bad));
        assert!(out.contains(said), "{out}");
    }
    let patient = Patient::of("digest.log.1");
    patient.tear(900);
    assert!(patient.refused(&["--fix-checksums"]).contains("torn tail"));
}

#[test]
fn checksums_before_a_torn_tail_are_mended_and_the_tail_is_told() {
    let patient = Patient::of("digest.log.1");
    patient.tear(900);
    flip(&patient.path, position_of(&patient.path, b"hello"));
    let before = patient.bytes();
    let (verdict, out) = patient.repair(&["--fix-checksums"]);
    assert_eq!(verdict, Ok(Verdict::Bad));
    assert!(out.contains("CRC FIXED - ") && out.contains("torn tail at byte"), "{out}");
    assert_eq!(fs::read(&patient.backup).unwrap(), before);
    fs::remove_file(&patient.backup).unwrap();
    patient.repaired(&["--cut"]);
    assert_eq!(patient.count(), 8);
}

#[test]
fn wherever_a_log_is_torn_its_good_part_is_kept() {
    let whole = fs::read(testdata("digest.log.1")).unwrap();
    for len in (16..whole.len()).step_by(61) {
        let patient = Patient::of("digest.log.1");
        patient.tear(len);
        let (verdict, out) = inspect(&["repair", text(&patient.path)]);
        if verdict == Ok(Verdict::Good) {
            continue; // torn between two records, or in the padding
        }
        assert_eq!(verdict, Ok(Verdict::Bad), "{len}: {out}");
        if out.contains("no good record") {
            assert!(patient.refused(&["--cut"]).contains("move the file away"));
            continue;
        }
        patient.repaired(&["--cut"]);
        assert!(whole.starts_with(&patient.bytes()));
        good(&["log", text(&patient.path)]);
    }
}

#[test]
fn wherever_a_log_is_flipped_its_repair_ends_in_a_good_log_or_changes_nothing() {
    let whole = fs::read(testdata("plain.log.1")).unwrap();
    for at in (16..whole.len()).step_by(23) {
        let patient = Patient::of("plain.log.1");
        flip(&patient.path, at);
        let flipped = patient.bytes();
        let (verdict, _) = patient.repair(&["--fix-checksums"]);
        if patient.backup.exists() {
            assert_eq!(fs::read(&patient.backup).unwrap(), flipped, "{at}");
        } else {
            assert_eq!(patient.bytes(), flipped, "{at}");
        }
        if verdict == Ok(Verdict::Good) {
            good(&["log", text(&patient.path)]);
        }
    }
}
