//! The texts against what ZooKeeper 3.8.0 wrote: see `testdata/README.md`.

use std::collections::BTreeSet;

use proptest::prelude::*;
use wire::quorum::Rules;

use super::*;

const RULES: Rules = Rules { multi_address: false, standalone: false };

fn membership(text: &str, version: i64) -> Membership {
    Membership::parse(text, &RULES).expect("the reference's text").with_version(version)
}

fn sorted(text: &[u8]) -> BTreeSet<(String, String)> {
    let read = properties::read("zoo.cfg", text);
    assert_eq!(read.errors, []);
    read.entries.into_iter().map(|entry| (entry.key, entry.value)).collect()
}

fn last_line(text: &[u8]) -> &str {
    std::str::from_utf8(text).expect("text").lines().last().expect("a line")
}

/// The first text becomes the second when the configuration comes into force.
fn check(before: &[u8], after: &[u8], folder: &str, me: i64, dynamic: &str, version: i64) {
    let members = membership(dynamic, version);
    let static_file = Path::new(folder).join("zoo.cfg");
    let written = committed(&static_file, before, &members, me);
    assert_eq!(written.dynamic_text, dynamic);
    assert_eq!(sorted(&written.static_text), sorted(after));
    assert_eq!(last_line(&written.static_text), last_line(after));
    let again = committed(&static_file, &written.static_text, &members, me);
    assert_eq!(again, written, "writing it again changes nothing");
}

#[test]
fn files_hold_what_the_reference_writes() {
    let start = include_bytes!("../../testdata/3.8.0/server1/zoo.cfg");
    let first = include_bytes!("../../testdata/3.8.0/server1/zoo.cfg.first");
    let second = include_bytes!("../../testdata/3.8.0/server1/zoo.cfg.rewritten");
    let third = include_bytes!("../../testdata/3.8.0/server3/zoo.cfg");
    let third_after = include_bytes!("../../testdata/3.8.0/server3/zoo.cfg.rewritten");
    let old = include_str!("../../testdata/3.8.0/zoo.cfg.dynamic.100000000");
    let new = include_str!("../../testdata/3.8.0/zoo.cfg.dynamic.100000002");
    check(start, first, "/ensemble/1", 1, old, 0x1_0000_0000);
    check(first, second, "/ensemble/1", 1, new, 0x1_0000_0002);
    check(start, second, "/ensemble/1", 1, new, 0x1_0000_0002);
    check(third, third_after, "/ensemble/3", 3, new, 0x1_0000_0002);
}

#[test]
fn what_stays_of_a_static_file_stays_as_it_was() {
    let text =
        b"# mine\r\ndataDir = /d\r\n\r\nserver.1 a:1:2\nserver.2=b:\\\n  1:2\nclientPort=1\n\
        clientPortListenBacklog=5\n! end \xff\ngroup.1=1:2\npeerType: observer\nweight.1=5";
    let members = membership("server.1=a:1:2\nserver.2=b:1:2:participant;7\nversion=5", 5);
    let of = |me| static_text(text, members.server(me), "/a b/zoo.cfg.dynamic.5");
    let expected = b"# mine\r\ndataDir = /d\r\n\r\nclientPortListenBacklog=5\n! end \xff\n\
        dynamicConfigFile=/a b/zoo.cfg.dynamic.5\n";
    assert_eq!(of(2), expected);
    assert!(of(1).windows(13).any(|window| window == b"clientPort=1\n"));
    let secure = membership("server.1=a:1:2;;8\nserver.2=b:1:2", 5);
    let text = static_text(b"secureClientPort=8\nclientPort=7", secure.server(1), "d");
    assert_eq!(text, b"clientPort=7\ndynamicConfigFile=d\n");
}

#[test]
fn versions_are_in_the_names_of_files() {
    let file = Path::new("conf.d/zoo.cfg");
    let path = path_of_version(file, 0x1_0000_000a);
    assert_eq!(path, Path::new("conf.d/zoo.cfg.dynamic.10000000a"));
    assert_eq!(version_of(&path.to_string_lossy()), Some(0x1_0000_000a));
    assert_eq!(version_of("conf.d/servers"), None);
    assert_eq!(version_of("zoo.cfg.dynamic"), None);
    assert_eq!(version_of("zoo.cfg.dynamic.-1"), None);
    assert_eq!(next_path(file), Path::new("conf.d/zoo.cfg.dynamic.next"));
    assert_eq!(backup_path(file), Path::new("conf.d/zoo.cfg.bak"));
}

proptest! {
    #[test]
    fn any_text_keeps_its_other_entries(text in "([a-c.=:\\\\ #\r\n\u{e9}]|server\\.1|group){0,60}") {
        let kept = static_text(text.as_bytes(), None, "/d");
        let read = |text: &[u8]| properties::read("f", text).entries;
        let all = read(text.as_bytes());
        let goes = |key: &str| ["server.", "group", "dynamicConfigFile"].iter().any(|s| key.starts_with(s));
        let expected: Vec<_> = all.into_iter().filter(|entry| !goes(&entry.key)).collect();
        let mut found = read(&kept);
        let last = found.pop().expect("the last line is there");
        prop_assert_eq!(last.key, "dynamicConfigFile");
        let plain = |entries: Vec<properties::Entry>| -> Vec<_> {
            entries.into_iter().map(|entry| (entry.key, entry.value)).collect()
        };
        prop_assert_eq!(plain(found), plain(expected));
        prop_assert_eq!(static_text(&kept, None, "/d"), kept);
    }
}
