//! Quotas: which paths have one, and the text in which limits and usage are kept.
//!
//! Usage is kept up on every server, outside of transactions, in the data of a node of its own.
//! Source: client protocol, section 18.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Below this node the paths that have quotas are repeated.
pub(crate) const QUOTA_ROOT: &str = "/zookeeper/quota";
/// The name of the node that holds the limits.
pub(crate) const LIMITS_NAME: &str = "zookeeper_limits";
/// The name of the node that holds the usage.
pub(crate) const STATS_NAME: &str = "zookeeper_stats";

/// What a subtree may hold. -1 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaLimits {
    /// Nodes, with the top; passing it is only logged.
    pub count: i64,
    /// Bytes of data; passing it is only logged.
    pub bytes: i64,
    /// Nodes, with the top; not to be passed.
    pub count_hard: i64,
    /// Bytes of data; not to be passed.
    pub bytes_hard: i64,
}

/// What a subtree holds. -1 is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaUsage {
    /// Nodes, with the top.
    pub count: i64,
    /// Bytes of data.
    pub bytes: i64,
}

/// The quota of a subtree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The top of the subtree.
    pub path: String,
    /// What it may hold.
    pub limits: QuotaLimits,
    /// What it holds.
    pub usage: QuotaUsage,
}

/// The paths that have quotas.
#[derive(Default)]
pub(crate) struct QuotaPaths {
    paths: BTreeSet<String>,
}

impl QuotaPaths {
    pub(crate) fn insert(&mut self, path: &str) {
        self.paths.insert(path.to_owned());
    }

    pub(crate) fn remove(&mut self, path: &str) {
        self.paths.remove(path);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(String::as_str)
    }

    /// The longest path in the set that is `path` or an ancestor of it.
    #[inline]
    pub(crate) fn deepest(&self, path: &str) -> Option<&str> {
        if self.paths.is_empty() { None } else { self.deepest_of_some(path) }
    }

    fn deepest_of_some(&self, path: &str) -> Option<&str> {
        let mut prefix = path;
        while !prefix.is_empty() {
            if let Some(found) = self.paths.get(prefix) {
                return Some(found);
            }
            prefix = wire::parent_and_name(prefix)?.0;
        }
        None
    }
}

/// The path that a node of the quota tree is about, if `parent` can hold limits or usage.
pub(crate) fn subject(parent: &str) -> Option<&str> {
    parent.strip_prefix(QUOTA_ROOT).filter(|path| path.starts_with('/') && path.len() > 1)
}

/// Where the usage of `path` is kept.
pub(crate) fn stats_path(path: &str) -> String {
    format!("{QUOTA_ROOT}{path}/{STATS_NAME}")
}

/// Where the limits of `path` are kept.
pub(crate) fn limits_path(path: &str) -> String {
    format!("{QUOTA_ROOT}{path}/{LIMITS_NAME}")
}

/// The text of limits and usage alike: `count=1,bytes=2` and, if there is more,
/// `=;byteHardLimit=3;countHardLimit=4`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QuotaText {
    pub(crate) count: i64,
    pub(crate) bytes: i64,
    /// Whatever else there is, by name.
    others: BTreeMap<String, i64>,
}

impl QuotaText {
    pub(crate) const fn new(count: i64, bytes: i64) -> QuotaText {
        QuotaText { count, bytes, others: BTreeMap::new() }
    }

    /// Reads a text; what is missing or no number is -1, of a repeated name the last one counts.
    pub(crate) fn parse(text: Option<&[u8]>) -> QuotaText {
        let mut parsed = QuotaText::new(-1, -1);
        let text = String::from_utf8_lossy(text.unwrap_or_default());
        for pair in text.split([',', ';']).filter(|pair| !pair.is_empty()) {
            let mut parts = pair.split('=');
            let name = parts.next().unwrap_or_default();
            let value = parts.next().and_then(|value| value.parse().ok()).unwrap_or(-1);
            match name {
                "count" => parsed.count = value,
                "bytes" => parsed.bytes = value,
                _ => {
                    parsed.others.insert(name.to_owned(), value);
                }
            }
        }
        parsed
    }

    pub(crate) fn format(&self) -> String {
        let mut text = format!("count={},bytes={}", self.count, self.bytes);
        for (at, (name, value)) in self.others.iter().enumerate() {
            // The first `=` hides the rest from readers that only know the old form.
            let separator = if at == 0 { "=;" } else { ";" };
            write!(text, "{separator}{name}={value}").expect("a string takes all");
        }
        text
    }

    fn other(&self, name: &str) -> i64 {
        self.others.get(name).copied().unwrap_or(-1)
    }

    pub(crate) fn limits(&self) -> QuotaLimits {
        QuotaLimits {
            count: self.count,
            bytes: self.bytes,
            count_hard: self.other("countHardLimit"),
            bytes_hard: self.other("byteHardLimit"),
        }
    }

    pub(crate) fn usage(&self) -> QuotaUsage {
        QuotaUsage { count: self.count, bytes: self.bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::{QuotaLimits, QuotaPaths, QuotaText};

    #[test]
    fn section_18_the_text_reads_back() {
        for text in ["count=4,bytes=5", "count=4,bytes=5=;byteHardLimit=10;countHardLimit=-1"] {
            assert_eq!(QuotaText::parse(Some(text.as_bytes())).format(), text);
        }
        let mixed = QuotaText::parse(Some(b"bytes=7,;count=,countHardLimit=3"));
        let limits = QuotaLimits { count: -1, bytes: 7, count_hard: 3, bytes_hard: -1 };
        assert_eq!(mixed.limits(), limits);
        for nonsense in [&b"="[..], b"count", b"count=x", b",;,", b"\xff=\xff", b"count=1=2=3"] {
            QuotaText::parse(Some(nonsense)).format();
        }
    }

    #[test]
    fn section_18_the_deepest_prefix_by_components_counts() {
        let mut paths = QuotaPaths::default();
        paths.insert("/a");
        paths.insert("/a/b/c");
        assert_eq!(paths.deepest("/a"), Some("/a"));
        assert_eq!(paths.deepest("/a/b"), Some("/a"));
        assert_eq!(paths.deepest("/a/b/c/d"), Some("/a/b/c"));
        assert_eq!(paths.deepest("/ab"), None);
        assert_eq!(paths.deepest("/"), None);
        assert_eq!(paths.deepest("no slash"), None);
    }
}
