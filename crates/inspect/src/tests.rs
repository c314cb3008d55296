//! Inspections of the reference's files, whole, torn and flipped.

mod journal;
mod repair;

use crate::{Arguments, Verdict, run_to};
use clap::Parser;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    arguments: Arguments,
}

/// Runs a command line; gives its verdict, or the error's text, and what it printed.
fn inspect(words: &[&str]) -> (Result<Verdict, String>, String) {
    let cli = Cli::try_parse_from(std::iter::once("inspect").chain(words.iter().copied())).unwrap();
    let mut out = Vec::new();
    let verdict = run_to(&cli.arguments, &mut out).map_err(|error| format!("{error:#}"));
    (verdict, String::from_utf8(out).unwrap())
}

fn good(words: &[&str]) -> String {
    let (verdict, out) = inspect(words);
    assert_eq!(verdict, Ok(Verdict::Good), "{out}");
    out
}

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../storage/testdata").join(name)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A server's directory of the reference's files.
fn data_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("version-2");
    fs::create_dir(&inner).unwrap();
    for (from, to) in [
        ("digest.log.1", "log.1"),
        ("digest.snapshot.0", "snapshot.0"),
        ("digest.snapshot.18", "snapshot.18"),
    ] {
        fs::copy(testdata(from), inner.join(to)).unwrap();
    }
    dir
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn position_of(path: &Path, what: &[u8]) -> usize {
    fs::read(path).unwrap().windows(what.len()).position(|window| window == what).unwrap()
}

#[test]
fn a_log_is_printed_in_the_references_shape() {
    let out = good(&["log", text(&testdata("digest.log.1"))]);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 26);
    let at = "11/20/26, 6:37:24 PM UTC session 0x1000020a4a80000";
    for (line, want) in [
        (0, "ZooKeeper Transactional Log File with dbid 0 txnlog format version 2".to_owned()),
        (1, format!("{at} cxid 0x0 zxid 0x1 createSession 10000")),
        (2, format!("{at} cxid 0x1 zxid 0x2 create /a,hello,[31,s{{'world,'anyone}}],false,1")),
        (
            8,
            format!(
                "{at} cxid 0x7 zxid 0x8 createContainer /container,,[31,s{{'world,'anyone}}],3"
            ),
        ),
        (9, format!("{at} cxid 0x8 zxid 0x9 createTTL /ttl,t,[31,s{{'world,'anyone}}],4,3600000")),
        (
            11,
            format!(
                "{at} cxid 0xa zxid 0xb setACL \
                 '/a/b,v{{s{{1,s{{'world,'anyone}}}},s{{31,s{{'ip,'127.0.0.1}}}}}},1"
            ),
        ),
        (12, format!("{at} cxid 0xb zxid 0xc setData /a,world,1")),
        (13, format!("{at} cxid 0xc zxid 0xd error -103")),
        (24, format!("{at} cxid 0x13 zxid 0x18 delete '/a/seq-0000000001")),
        (25, "EOF reached after 24 txns.".to_owned()),
    ] {
        assert_eq!(lines[line], want);
    }
    assert!(lines[23].contains("...(3000 bytes)"), "{}", lines[23]);
    let verbose = good(&["log", "--verbose", text(&testdata("digest.log.1"))]);
    assert!(verbose.len() > out.len() + 3 * 2900 && verbose.contains(" digest 2,0x"));
}

#[test]
fn a_logs_json_holds_the_whole_record() {
    let out = good(&["log", "--json", text(&testdata("digest.log.1"))]);
    let objects: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects.len(), 24);
    let create = &objects[1];
    assert_eq!(create["type"], "create");
    assert_eq!(create["zxid"], "0x2");
    assert_eq!(create["data"], "aGVsbG8=");
    assert_eq!(create["acl"][0]["perms"], 31);
    assert_eq!(create["offset"], 16 + 12 + 48 + 1);
    assert!(objects[3]["data"].is_null());
    assert_eq!(objects[15]["parts"].as_array().unwrap().len(), 5);
}

#[test]
fn a_torn_log_ends_where_its_good_part_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("torn");
    let bytes = fs::read(testdata("digest.log.1")).unwrap();
    fs::write(&path, &bytes[..900]).unwrap();
    let (verdict, out) = inspect(&["log", text(&path)]);
    assert_eq!(verdict, Ok(Verdict::Bad));
    assert!(out.ends_with("EOF reached after 8 txns.\n"), "{out}");
}

#[test]
fn a_flipped_log_is_printed_up_to_the_damage() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flipped.bin");
    fs::copy(testdata("digest.log.1"), &path).unwrap();
    flip(&path, position_of(&path, b"hello"));
    let (verdict, out) = inspect(&["log", text(&path)]);
    let error = verdict.unwrap_err();
    assert!(error.contains("flipped.bin: checksum mismatch at byte"), "{error}");
    assert!(out.ends_with("Stopped at damage after 1 txns.\n"), "{out}");
}

#[test]
fn what_follows_damage_is_printed_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.1");
    fs::copy(testdata("digest.log.1"), &path).unwrap();
    flip(&path, position_of(&path, b"hello"));
    let (verdict, out) = inspect(&["log", "--past-damage", text(&path)]);
    assert!(verdict.is_err());
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[3].starts_with("CRC ERROR - 11/20/26"), "{out}");
    assert!(lines[3].ends_with("create /a,iello,[31,s{'world,'anyone}],false,1"), "{out}");
    assert!(lines[4].contains("zxid 0x3 create /a/b"), "{out}");
    assert!(lines[26].starts_with("23 txns past the damage, up to byte "), "{out}");
    let past = ["log", "--past-damage", text(dir.path())];
    assert!(inspect(&past).0.unwrap_err().contains("takes one file"));
}

#[test]
fn a_snapshot_is_printed_alike_however_it_is_compressed() {
    let plain = good(&["snapshot", text(&testdata("digest.snapshot.18"))]);
    assert!(plain.starts_with("ZNode Details (count=16):\n----\n/\n  cZxid = 0x00000000000000\n"));
    assert!(plain.contains(
        "----\n/container\n  cZxid = 0x00000000000008\n  ctime = Fri Nov 20 18:37:24 UTC 2026\n"
    ));
    assert!(plain.contains("  ephemeralOwner = 0x8000000000000000\n  dataLength = 0\n"));
    assert!(plain.ends_with(
        "----\nSession Details (sid, timeout, ephemeralCount):\n0x1000020a4a80000, 10000, 1\n\
         ----\nLast zxid: 0x18\n"
    ));
    for name in ["digest.snapshot.18.gz", "digest.snapshot.18.snappy"] {
        let other = good(&["snapshot", text(&testdata(name))]);
        assert_eq!(other, plain, "{name}");
    }
    let data = good(&["snapshot", "--data", text(&testdata("digest.snapshot.18"))]);
    assert!(data.contains("  data = d29ybGQ=\n") && !data.contains("dataLength"));
}

#[test]
fn a_snapshots_json_nests_as_the_tree_does() {
    let out = good(&["snapshot", "--json", text(&testdata("digest.snapshot.18"))]);
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    let root = value[3].as_array().unwrap();
    assert_eq!(root[0]["name"], "/");
    assert_eq!(root.len(), 1 + 9);
    let a = root[1..].iter().find(|entry| entry[0]["name"] == "a").unwrap();
    assert_eq!(a.as_array().unwrap().len(), 4);
    let cafe = root[1..].iter().find(|entry| entry["name"] == "café").unwrap();
    assert_eq!(cafe["dsize"], 3000);
}

#[test]
fn a_flipped_snapshot_is_refused_and_nothing_of_it_is_printed() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["digest.snapshot.18", "digest.snapshot.18.gz", "digest.snapshot.18.snappy"] {
        let path = dir.path().join(name);
        fs::copy(testdata(name), &path).unwrap();
        flip(&path, fs::metadata(&path).unwrap().len() as usize / 2);
        let (verdict, out) = inspect(&["snapshot", text(&path)]);
        assert!(verdict.unwrap_err().contains(name));
        assert_eq!(out, "");
    }
}

#[test]
fn a_summary_counts_what_is_below() {
    let path = testdata("digest.snapshot.18");
    let out = good(&["summary", text(&path), "--depth", "2"]);
    assert_eq!(
        out,
        " /\n   children: 14\n   data: 3016\n-- /a\n--   children: 3\n--   data: 9\n\
         -- /zookeeper\n--   children: 2\n--   data: 0\n"
    );
    let out = good(&["summary", text(&path), "--node", "/a"]);
    assert_eq!(out, " /a\n   children: 3\n   data: 9\n");
    assert!(inspect(&["summary", text(&path), "--node", "/no"]).0.is_err());
}

#[test]
fn a_diff_lists_what_the_references_does() {
    let (old, new) = (testdata("digest.snapshot.0"), testdata("digest.snapshot.18"));
    let (verdict, out) = inspect(&["diff", text(&old), text(&new), "--bytes", "1", "--nodes", "1"]);
    assert_eq!(verdict, Ok(Verdict::Bad));
    let analysis = out.split_once("Printing").unwrap().1;
    assert_eq!(
        analysis,
        " analysis for nodes difference larger than 1 bytes or node count difference larger than 1.\n\
         Analysis for depth 0\n\
         Node / found in both trees. Delta: 3016 bytes, 11 descendants\n\
         Analysis for depth 1\n\
         Node /a found only in right tree. Descendant size: 9. Descendant count: 3\n\
         Node /café found only in right tree. Descendant size: 3000. Descendant count: 0\n\
         Node /eph found only in right tree. Descendant size: 4. Descendant count: 0\n\
         Analysis for depth 2\n\
         Node /a/seq-0000000002 found only in right tree. Descendant size: 2. Descendant count: 0\n\
         Node /a/seq-0000000003 found only in right tree. Descendant size: 2. Descendant count: 0\n\
         All layers compared.\n"
    );
    good(&["diff", "--exact", text(&new), text(&testdata("digest.snapshot.18.gz"))]);
    let (verdict, out) = inspect(&["diff", "--exact", text(&old), text(&new)]);
    assert_eq!(verdict, Ok(Verdict::Bad));
    assert!(out.contains("Node /acl found only in right tree."), "{out}");
}

#[test]
fn a_summary_of_logs_counts_types_and_changes() {
    let out = good(&["summary", text(&testdata("digest.log.1")), "--depth", "1"]);
    for line in [
        "Transactions: 24\n",
        "\nSessions: 2\nZxids: 0x1 to 0x18\n",
        "\nTimes: Fri Nov 20 18:37:24 UTC 2026 to Fri Nov 20 ",
        "\nType createSession: 2 transactions, ",
        "\nType multi: 2 transactions, ",
        "\nType error: 3 transactions, ",
        "\nType error in multi: 1 transactions, ",
        "\n-- /a\n--   changes: ",
        "\n-- /café\n--   changes: 1\n--   data: 3000\n",
    ] {
        assert!(out.contains(line), "{line}: {out}");
    }
    // What a multi that failed would have made was never made.
    assert!(!out.contains("/a/b") && !out.contains("-- /n\n"), "{out}");
    let dir = data_dir();
    let all = good(&["summary", text(dir.path()), "--node", "/a"]);
    assert!(all.contains("\n /a\n   changes: "), "{all}");
    assert!(all.contains("-- /a/b\n") && !all.contains("/caf"), "{all}");
}

#[test]
fn logs_that_differ_are_compared_by_zxid() {
    let (with, without) = (testdata("digest.log.1"), testdata("plain.log.1"));
    let out = good(&["diff", text(&with), text(&with)]);
    assert_eq!(out, "24 transactions in both, 0 only in left, 0 only in right, 0 different.\n");

    // A shorter log, and one whose member has written something else under a zxid.
    let dir = tempfile::tempdir().unwrap();
    let (short, other) = (dir.path().join("short"), dir.path().join("other"));
    let bytes = fs::read(&with).unwrap();
    fs::write(&short, &bytes[..900]).unwrap();
    let (verdict, out) = inspect(&["diff", text(&short), text(&with)]);
    assert_eq!(verdict, Ok(Verdict::Bad));
    assert!(out.starts_with("Transaction found only in right log: 11/20/26"), "{out}");
    let counts = "8 transactions in both, 0 only in left, 16 only in right, 0 different.\n";
    assert!(out.ends_with(counts), "{out}");

    fs::write(&other, &bytes).unwrap();
    flip(&other, position_of(&other, b"hello"));
    assert!(inspect(&["diff", text(&with), text(&other)]).0.unwrap_err().contains("checksum"));
    let backup = dir.path().join("backup");
    good(&["repair", text(&other), "--fix-checksums", "--backup-to", text(&backup)]);
    let (verdict, out) = inspect(&["diff", text(&with), text(&other)]);
    assert_eq!(verdict, Ok(Verdict::Bad));
    assert!(out.contains("create /a,hello,") && out.contains("create /a,iello,"), "{out}");
    assert!(
        out.ends_with("23 transactions in both, 0 only in left, 0 only in right, 1 different.\n")
    );

    // Directories, with a version-2 or without; one without logs is no twin of another.
    let (one, none) = (data_dir(), tempfile::tempdir().unwrap());
    good(&["diff", text(one.path()), text(&one.path().join("version-2"))]);
    assert!(inspect(&["diff", text(none.path()), text(none.path())]).0.is_err());

    // The same client on another server: other sessions, other times.
    assert_eq!(inspect(&["diff", text(&with), text(&without)]).0, Ok(Verdict::Bad));
}

#[test]
fn single_files_verify_whatever_they_are_called() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["digest.log.1", "plain.log.1", "digest.snapshot.18", "digest.snapshot.18.snappy"] {
        let path = dir.path().join(name);
        fs::copy(testdata(name), &path).unwrap();
        let out = good(&["verify", text(&path)]);
        assert!(out.contains(&format!("ok   {}: ", path.display())), "{out}");
        flip(&path, 300);
        let (verdict, out) = inspect(&["verify", text(&path)]);
        assert_eq!(verdict, Ok(Verdict::Bad), "{out}");
        assert!(out.contains("BAD ") && out.ends_with("NOT good\n"), "{out}");
    }
}

#[test]
fn a_good_directory_verifies_and_its_digests_are_compared() {
    let dir = data_dir();
    let out = good(&["verify", text(dir.path())]);
    assert!(out.ends_with("good\n") && !out.contains("BAD"), "{out}");
    // From the empty snapshot every transaction is replayed.
    fs::remove_file(dir.path().join("version-2/snapshot.18")).unwrap();
    let out = good(&["verify", text(dir.path())]);
    assert!(out.contains("24 transactions on") && out.contains("21 digests compared"), "{out}");
}

#[test]
fn damage_is_found_wherever_it_is() {
    let inner = |dir: &tempfile::TempDir, name: &str| dir.path().join("version-2").join(name);

    let dir = data_dir();
    let log = inner(&dir, "log.1");
    flip(&log, position_of(&log, b"hello"));
    let (verdict, out) = inspect(&["verify", text(dir.path())]);
    assert_eq!(verdict, Ok(Verdict::Bad));
    assert!(out.contains("checksum mismatch") && out.ends_with("NOT good\n"), "{out}");

    let dir = data_dir();
    let snapshot = inner(&dir, "snapshot.18");
    flip(&snapshot, 200);
    let (verdict, out) = inspect(&["verify", text(dir.path())]);
    assert_eq!(verdict, Ok(Verdict::Bad));
    assert!(out.contains("BAD  ") && out.contains("24 transactions on"), "{out}");

    let dir = data_dir();
    let log = inner(&dir, "log.1");
    let bytes = fs::read(&log).unwrap();
    fs::write(&log, &bytes[..900]).unwrap();
    let (verdict, out) = inspect(&["verify", text(dir.path())]);
    assert_eq!(verdict, Ok(Verdict::Bad));
    assert!(out.contains("torn tail at byte"), "{out}");
    good(&["verify", "--live", text(dir.path())]);
}

#[test]
fn a_change_under_a_good_checksum_is_found_by_the_digests() {
    let dir = data_dir();
    let inner = dir.path().join("version-2");
    fs::remove_file(inner.join("snapshot.18")).unwrap();
    let log = inner.join("log.1");
    let data_at = position_of(&log, b"hello");
    // checksum, length, payload; the data follows a header of 32 bytes, "/a" and the lengths.
    let payload_at = data_at - (32 + 4 + 2 + 4);
    flip(&log, data_at);
    let mut bytes = fs::read(&log).unwrap();
    let length = u32::from_be_bytes(bytes[payload_at - 4..payload_at].try_into().unwrap());
    let checksum = adler32(&bytes[payload_at..payload_at + length as usize]);
    bytes[payload_at - 12..payload_at - 4].copy_from_slice(&u64::from(checksum).to_be_bytes());
    fs::write(&log, bytes).unwrap();
    let (verdict, out) = inspect(&["verify", text(dir.path())]);
    assert_eq!(verdict, Ok(Verdict::Bad), "{out}");
    assert!(out.contains("BAD  digest after 0x2: the log says"), "{out}");
    assert!(out.contains("log.1: 24 transactions"), "{out}");
}

#[test]
fn transactions_that_are_missing_behind_the_snapshot_are_found() {
    let dir = data_dir();
    let inner = dir.path().join("version-2");
    fs::remove_file(inner.join("snapshot.18")).unwrap();
    let json = good(&["log", "--json", text(&inner.join("log.1"))]);
    let fifth: serde_json::Value = serde_json::from_str(json.lines().nth(4).unwrap()).unwrap();
    let offset = fifth["offset"].as_u64().unwrap() as usize;
    let bytes = fs::read(inner.join("log.1")).unwrap();
    fs::remove_file(inner.join("log.1")).unwrap();
    fs::write(inner.join("log.5"), [&bytes[..16], &bytes[offset..]].concat()).unwrap();
    let (verdict, out) = inspect(&["verify", text(dir.path())]);
    assert_eq!(verdict, Ok(Verdict::Bad), "{out}");
    assert!(out.contains("log.5: 20 transactions, 0x5 to 0x18"), "{out}");
    assert!(out.contains("transactions 0x0 and 0x5 follow each other"), "{out}");
}

fn adler32(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    b << 16 | a
}

#[test]
fn what_is_no_file_or_no_log_is_said() {
    assert!(inspect(&["log", "/no/such/file"]).0.is_err());
    assert!(inspect(&["verify", "/no/such/dir"]).0.is_err());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("text");
    fs::write(&path, "this is neither a log nor a snapshot, but it is long enough").unwrap();
    assert!(inspect(&["log", text(&path)]).0.unwrap_err().contains("bad magic number"));
    for command in ["snapshot", "summary", "verify"] {
        let error = inspect(&[command, text(&path)]).0.unwrap_err();
        assert!(error.contains("bad magic number"), "{command}: {error}");
    }
    let (log, snapshot) = (testdata("digest.log.1"), testdata("digest.snapshot.18"));
    let error = inspect(&["diff", text(&log), text(&snapshot)]).0.unwrap_err();
    assert!(error.contains("with a snapshot"), "{error}");
}
