//! The few paths, access lists and contents that programs are made of: few, so that they collide.

use super::{Dialect, Generator};
use crate::program::Value;

/// Paths of ordinary nodes.
const PATHS: &[&str] = &[
    "/a", "/b", "/c", "/e", "/q", "/a/b", "/a/c", "/a/e", "/b/a", "/b/b", "/a/b/c", "/a/b/d",
    "/q/a", "/q/b", "/q/a/b", "/e/a", "/a/ü", "/a b", "/漢字", "/a/b/c/d", "/c/a",
];
/// Names that sequential creates give.
const NUMBERED: &[&str] = &[
    "/a/s0000000000",
    "/a/s0000000001",
    "/a/s0000000002",
    "/a/0000000001",
    "/b/s0000000000",
    "/b/s0000000003",
    "/c/0000000000",
    "/q/s0000000001",
    "/e/s0000000000",
];
/// Nodes that are always there, and one beside them.
const SPECIAL: &[&str] =
    &["/", "/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config", "/zookeeper/x"];
/// Nodes of quotas.
const QUOTA_NODES: &[&str] = &[
    "/zookeeper/quota/q",
    "/zookeeper/quota/q/zookeeper_limits",
    "/zookeeper/quota/q/zookeeper_stats",
    "/zookeeper/quota/a",
    "/zookeeper/quota/a/zookeeper_limits",
    "/zookeeper/quota/a/zookeeper_stats",
];
/// Nodes that quotas are about.
const UNDER_QUOTA: &[&str] = &["/q", "/q/a", "/q/b", "/q/c", "/q/a/b", "/a", "/a/b", "/a/c"];
/// What is no path, or only looks like one.
const BAD: &[&str] = &[
    "",
    "a",
    "a/b",
    "//",
    "/a/",
    "/a//b",
    "/a/./b",
    "/a/../b",
    "/.",
    "/..",
    "/a/.",
    "/a/..",
    "/a/\0",
    "/\0",
    "/a/\u{1}",
    "/a/\u{1f}",
    "/a/\u{7f}",
    "/a/\u{9f}",
    "/a/\u{e000}",
    "/a/\u{f8ff}",
    "/a/\u{f900}",
    "/a/\u{ffef}",
    "/a/\u{fff0}",
    "/a/😀",
    "/a/\u{a0}",
    "/...",
    "/a/.b",
    " ",
    "/a/ ",
];
/// Beginnings of sequential names.
const PREFIXES: &[&str] =
    &["/a/s", "/a/", "/b/s", "/s", "/c/", "/q/s", "/e/s", "/a/b/s", "/", "/a/./", "/a//", "/nn/s"];
/// Limits and usages as quota nodes hold them.
const QUOTAS: &[&str] = &[
    "count=3,bytes=40=;byteHardLimit=60;countHardLimit=4",
    "count=-1,bytes=20",
    "count=2,bytes=-1=;byteHardLimit=-1;countHardLimit=3",
    "count=0,bytes=0",
    "count=1,bytes=1=;byteHardLimit=30;countHardLimit=-1",
    "count=5,bytes=100",
];

/// Entries of access lists: permissions, scheme, id.
const ENTRIES: &[(i32, &str, &str)] = &[
    (31, "world", "anyone"),
    (1, "world", "anyone"),
    (15, "world", "anyone"),
    (5, "world", "anyone"),
    (0, "world", "anyone"),
    (64, "world", "anyone"),
    (-1, "world", "anyone"),
    (31, "auth", ""),
    (3, "auth", "whoever"),
    (31, "digest", "u1:fpT/y03U+EjItKZOSLGvjnJlyng="),
    (16, "digest", "u2:o9NxcCGDPOlcV7JVhmKHOf5ctVE="),
    (31, "ip", "127.0.0.1"),
    (31, "ip", "127.0.0.0/8"),
    (31, "ip", "127.0.0.1/0"),
    (31, "ip", "+127.00.0.1"),
    (31, "digest", ":x"),
    (31, "ip", "10.0.0.0/8"),
];
/// Entries that 3.8 does not take.
const NEW_ENTRIES: &[(i32, &str, &str)] =
    &[(1, "ip", "::1"), (31, "ip", "::/0"), (31, "ip", "fe80::/10"), (31, "ip", "1:2:3:4:5:6:7:8")];
/// Entries that no server takes.
const BAD_ENTRIES: &[(i32, &str, &str)] = &[
    (31, "world", "someone"),
    (31, "digest", "u1"),
    (31, "digest", "u1:a:b"),
    (31, "ip", "127.0.0.1/33"),
    (31, "ip", "localhost"),
    (31, "ip", "127.0.0.1/"),
    (31, "ip", "127.0.0.1/x"),
    (31, "ip", "127.0.0.1/8/8"),
    (31, "ip", " 127.0.0.1"),
    (31, "ip", "1.2.3"),
    (31, "ip", "256.0.0.1"),
    (31, "ip", "::ffff:127.0.0.1"),
    (31, "ip", "1::2::3"),
    (31, "ip", "::1/129"),
    (31, "ip", "[::1]"),
    (31, "digest", "a:"),
    (31, "digest", ":"),
    (31, "super", "super:lK75jTNcA+U9vtVEw5vB51mj/w4="),
    (31, "sasl", "u1"),
    (31, "x509", "CN=u1"),
    (31, "none", "u1"),
    (31, "", ""),
    (31, "ip", ""),
    (31, "digest", ""),
];

impl Generator {
    pub(super) fn text(&mut self, pool: &[&str]) -> Value {
        Value::Text((*self.rng.pick(pool)).to_owned())
    }

    /// A path, most often a good one.
    pub(super) fn path(&mut self) -> Value {
        match self.rng.below(100) {
            0..72 => self.text(PATHS),
            72..84 => self.text(NUMBERED),
            84..91 => self.text(SPECIAL),
            91..95 => self.text(QUOTA_NODES),
            _ => self.bad_path(),
        }
    }

    /// A path for a write: seldom one that would change what all others meet.
    pub(super) fn path_to_write(&mut self) -> Value {
        match self.rng.below(100) {
            0..40 if self.quotas => self.text(UNDER_QUOTA),
            0..85 => self.text(PATHS),
            85..92 => self.text(NUMBERED),
            92..94 => self.text(SPECIAL),
            94..97 if self.quotas => self.text(QUOTA_NODES),
            _ => self.bad_path(),
        }
    }

    fn bad_path(&mut self) -> Value {
        match self.rng.below(20) {
            0 if self.dialect == Dialect::Since39 => Value::Null,
            // Not UTF-8, and a surrogate as three bytes.
            1 => Value::Bytes(b"/a/\xff\xfe".to_vec()),
            2 => Value::Bytes(b"/a/\xed\xa0\x80".to_vec()),
            _ => self.text(BAD),
        }
    }

    pub(super) fn prefix(&mut self) -> Value {
        self.text(PREFIXES)
    }

    pub(super) fn quota(&mut self) -> Value {
        self.text(QUOTAS)
    }

    /// Data for a path. Nodes of quotas get what a quota holds: the reference ends its process on
    /// any other text there.
    pub(super) fn data_for(&mut self, path: &Value) -> Value {
        let quota = matches!(path, Value::Text(path) if path.contains("/zookeeper_"));
        if quota { self.quota() } else { self.data() }
    }

    /// Node data.
    fn data(&mut self) -> Value {
        match self.rng.below(20) {
            0 => Value::Null,
            1..4 => Value::Bytes(Vec::new()),
            4 => Value::Filled(self.rng.between(200, 1500) as usize),
            5 => Value::Bytes(vec![0, 255, 128]),
            n => Value::Text("d".repeat(n as usize)),
        }
    }

    /// The values of an access list: mostly the open one.
    pub(super) fn acl(&mut self) -> Vec<Value> {
        let entry = |(perms, scheme, id): (i32, &str, &str)| {
            [Value::Int(perms), Value::Text(scheme.to_owned()), Value::Text(id.to_owned())]
        };
        let open = entry(ENTRIES[0]);
        match self.rng.below(100) {
            0..75 => [Value::Int(1)].into_iter().chain(open).collect(),
            75..90 => self.entries(ENTRIES),
            90..92 if self.dialect == Dialect::Since39 => self.entries(NEW_ENTRIES),
            90..92 => self.entries(ENTRIES),
            92..96 => self.entries(BAD_ENTRIES),
            96 => vec![Value::Null],
            97 => vec![Value::Int(0)],
            98 => vec![Value::Int(1), Value::Int(31), Value::Null, Value::Text("anyone".into())],
            _ => vec![Value::Int(1), Value::Int(31), Value::Text("world".into()), Value::Null],
        }
    }

    /// One to three entries, the first of which may be of either pool, and may be there twice. 3.8
    /// lets everyone ask whether a node exists and see its events: for it all nodes are readable.
    fn entries(&mut self, pool: &[(i32, &str, &str)]) -> Vec<Value> {
        let count = self.rng.between(1, 3);
        let readable = self.dialect == Dialect::Since38;
        let mut values = vec![Value::Int(count as i32 + i32::from(readable))];
        if readable {
            let [scheme, id] = ["world", "anyone"].map(|text| Value::Text(text.to_owned()));
            values.extend([Value::Int(1), scheme, id]);
        }
        for i in 0..count {
            let pool = if i == 0 { pool } else { ENTRIES };
            let (perms, scheme, id) = *self.rng.pick(pool);
            values.push(Value::Int(perms));
            values.push(Value::Text(scheme.to_owned()));
            values.push(Value::Text(id.to_owned()));
        }
        values
    }

    /// An expected version: any, a likely one, or a wrong one.
    pub(super) fn version(&mut self) -> Value {
        Value::Int(*self.rng.pick(&[-1, -1, -1, -1, 0, 0, 1, 2, 7, -2, i32::MAX, i32::MIN]))
    }

    /// A vector of paths.
    pub(super) fn paths(&mut self) -> Vec<Value> {
        let count = self.rng.below(4);
        if count == 0 && self.rng.one_in(10) {
            return vec![Value::Null];
        }
        let mut values = vec![Value::Int(count as i32)];
        for _ in 0..count {
            // Registering a watch checks nothing, so all paths will do; null is another matter.
            let path = self.path();
            values.push(if path == Value::Null { Value::Text("/a".into()) } else { path });
        }
        values
    }
}
