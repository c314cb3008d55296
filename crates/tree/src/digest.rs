//! The digest of the tree: a sum over its nodes, kept up by difference.
//!
//! A node's digest is CRC-32 over its path, its data and 60 bytes of stat; it is cached, so that a
//! change subtracts the old one without computing it. The subtree of `/zookeeper`, but not that
//! node itself, counts nothing, since quotas are kept up there outside of transactions.
//! Source: disk format, section 11.

use crate::reverse;
use crate::slab::Column;
use base::Zxid;
use crc32fast::Hasher;
use std::collections::VecDeque;
use wire::{StatPersisted, TxnDigest};

/// Every so many zxids a digest is kept.
const LOG_INTERVAL: i64 = 128;
/// How many are kept.
const LOG_LENGTH_MAX: usize = 1024;
/// More transactions than any server applies while it sends its tree: a tree whose digest never
/// agrees is wrong, and is to be told of at last.
const FUZZY_TXNS_MAX: u32 = 1_000_000;
/// Bytes of a stat, as it goes into the digest.
const STAT_SIZE: usize = 60;
/// A larger node is not copied for its digest.
const GATHERED_MAX: usize = 256;
/// Paths that start so are not counted.
const EXCLUDED: &str = "/zookeeper/";

/// The digest of a node; "" and "/" are both the root. 0 for what does not count.
#[must_use]
pub fn digest_of(path: &str, data: Option<&[u8]>, stat: &StatPersisted) -> u32 {
    if !counts(path) {
        return 0;
    }
    let (path, data) = (canonical(path).as_bytes(), data.unwrap_or_default());
    let (stat_at, size) = (path.len() + data.len(), path.len() + data.len() + STAT_SIZE);
    if size > GATHERED_MAX {
        return DigestPrefix::of_counted(path, data).with_stat(stat);
    }
    // In one piece: each piece has a beginning and an end that cost as much as itself.
    let mut bytes = [0; GATHERED_MAX];
    bytes[..path.len()].copy_from_slice(path);
    bytes[path.len()..stat_at].copy_from_slice(data);
    bytes[stat_at..size].copy_from_slice(&stat_bytes(stat));
    crc32fast::hash(&bytes[..size])
}

/// The digest of a node's path and data, to be completed by its stat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestPrefix {
    /// CRC-32 so far; `None` for what does not count.
    crc: Option<u32>,
}

impl DigestPrefix {
    /// What is known before the stat.
    #[must_use]
    pub fn new(path: &str, data: Option<&[u8]>) -> DigestPrefix {
        if !counts(path) {
            return DigestPrefix { crc: None };
        }
        DigestPrefix::of_counted(canonical(path).as_bytes(), data.unwrap_or_default())
    }

    fn of_counted(path: &[u8], data: &[u8]) -> DigestPrefix {
        let mut hasher = Hasher::new();
        hasher.update(path);
        hasher.update(data);
        DigestPrefix { crc: Some(hasher.finalize()) }
    }

    /// What was known before the stat of a node at `path` that has this digest with it: for whom
    /// [`digest_of`] is cheaper as long as nobody asks.
    #[must_use]
    pub fn behind(path: &str, digest: u32, stat: &StatPersisted) -> DigestPrefix {
        DigestPrefix { crc: counts(path).then(|| reverse::crc32(digest, &stat_bytes(stat))) }
    }

    /// The digest of the node with that stat.
    #[must_use]
    pub fn with_stat(self, stat: &StatPersisted) -> u32 {
        let Some(crc) = self.crc else { return 0 };
        let mut hasher = Hasher::new_with_initial(crc);
        hasher.update(&stat_bytes(stat));
        hasher.finalize()
    }

    /// A prefix that was kept as its CRC. Only for nodes that count.
    pub(crate) const fn from_crc(crc: u32) -> DigestPrefix {
        DigestPrefix { crc: Some(crc) }
    }

    /// What [`DigestPrefix::from_crc`] takes; 0 for what does not count.
    pub(crate) fn crc(self) -> u32 {
        self.crc.unwrap_or_default()
    }
}

fn stat_bytes(stat: &StatPersisted) -> [u8; STAT_SIZE] {
    let mut bytes = [0; STAT_SIZE];
    let longs = [stat.czxid, stat.mzxid, stat.pzxid, stat.ctime, stat.mtime];
    for (at, long) in bytes.chunks_exact_mut(8).zip(longs) {
        at.copy_from_slice(&long.to_be_bytes());
    }
    let ints = [stat.version, stat.cversion, stat.aversion];
    for (at, int) in bytes[40..52].chunks_exact_mut(4).zip(ints) {
        at.copy_from_slice(&int.to_be_bytes());
    }
    bytes[52..].copy_from_slice(&stat.ephemeral_owner.to_be_bytes());
    bytes
}

/// The root has one name here.
fn canonical(path: &str) -> &str {
    if path == "/" { "" } else { path }
}

/// Whether a node at `path` counts.
pub(crate) fn counts(path: &str) -> bool {
    !path.starts_with(EXCLUDED)
}

/// When a fuzzy tree will be what a transaction's digest says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    /// At that zxid, with that digest.
    At(Zxid, u64),
    /// Nobody knows: at the first digest that agrees, or after so many transactions.
    Within(u32),
}

impl Expected {
    /// A tree that was received: its sender applied a few transactions while it sent it.
    pub(crate) const RECEIVED: Expected = Expected::Within(FUZZY_TXNS_MAX);
}

/// The sum, its parts, and what others say it should be.
pub(crate) struct Digests {
    /// Whether anything is computed.
    pub(crate) enabled: bool,
    total: u64,
    nodes: Column,
    log: VecDeque<(Zxid, u64)>,
    /// The last transaction outside of a fuzzy range, and the digest after it.
    pub(crate) last: (Zxid, u64),
    /// How long the tree is fuzzy, if it is.
    pub(crate) expected: Option<Expected>,
    pub(crate) mismatches: u64,
}

impl Digests {
    pub(crate) fn new(enabled: bool) -> Digests {
        Digests {
            enabled,
            total: 0,
            nodes: Column::default(),
            log: VecDeque::new(),
            last: (Zxid::ZERO, 0),
            expected: None,
            mismatches: 0,
        }
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    pub(crate) fn of(&self, node: u32) -> u32 {
        self.nodes.get(node)
    }

    /// Replaces a node's digest.
    pub(crate) fn set(&mut self, node: u32, digest: u32) {
        if !self.enabled {
            return;
        }
        let old = self.nodes.replace(node, digest);
        self.total = self.total.wrapping_sub(u64::from(old)).wrapping_add(u64::from(digest));
    }

    pub(crate) fn log(&self) -> impl Iterator<Item = (Zxid, u64)> + use<'_> {
        self.log.iter().copied()
    }

    /// Notes that the transaction at `zxid` is applied. Answers with what the tree's digest should
    /// be, if it is known and is something else.
    pub(crate) fn applied(&mut self, zxid: Zxid, claimed: Option<TxnDigest>) -> Option<u64> {
        if !self.enabled {
            return None;
        }
        let mut claimed = claimed.filter(|claimed| claimed.version == TxnDigest::VERSION);
        match &mut self.expected {
            None => {}
            Some(Expected::At(until, _)) if zxid < *until => return None,
            Some(Expected::At(until, digest)) => {
                // If it was passed, the log has no such transaction: nothing is known of there.
                if zxid == *until {
                    claimed = Some(TxnDigest { version: TxnDigest::VERSION, tree: *digest });
                }
                self.expected = None;
            }
            Some(Expected::Within(left)) => {
                let agrees = claimed.is_some_and(|claimed| claimed.tree == self.total);
                if !agrees && *left > 0 {
                    *left -= 1;
                    return None;
                }
                self.expected = None;
            }
        }
        self.last = (zxid, self.total);
        if zxid.0 % LOG_INTERVAL == 0 {
            if self.log.len() == LOG_LENGTH_MAX {
                self.log.pop_front();
            }
            self.log.push_back(self.last);
        }
        let claimed = claimed?;
        if claimed.tree == self.total {
            return None;
        }
        self.mismatches += 1;
        Some(claimed.tree)
    }
}

#[cfg(test)]
mod tests {
    use super::{DigestPrefix, Digests, Expected, GATHERED_MAX, digest_of};
    use base::Zxid;
    use wire::{StatPersisted, TxnDigest};

    #[test]
    fn section_11_the_nodes_of_an_empty_tree() {
        let stat = StatPersisted::default();
        assert_eq!(digest_of("", Some(b""), &stat), 68_323_592);
        assert_eq!(digest_of("/", None, &stat), 68_323_592);
        assert_eq!(digest_of("/zookeeper", Some(b""), &stat), 1_303_661_912);
        assert_eq!(digest_of("/zookeeper/quota", Some(b""), &stat), 0);
        let prefix = DigestPrefix::new("/zookeeper", Some(b""));
        assert_eq!(DigestPrefix::from_crc(prefix.crc()).with_stat(&stat), 1_303_661_912);
    }

    #[test]
    fn a_digest_is_the_same_in_one_piece_and_in_two_and_leads_back_to_the_first() {
        let stat = StatPersisted { czxid: 7, mtime: -1, cversion: 300, ..StatPersisted::default() };
        let bytes: Vec<u8> = (0..2 * GATHERED_MAX).map(|at| at as u8).collect();
        for path in ["", "/", "/a/path", "/zookeeper", "/zookeeper/quota"] {
            for size in 0..bytes.len() {
                let prefix = DigestPrefix::new(path, Some(&bytes[..size]));
                let digest = prefix.with_stat(&stat);
                assert_eq!(digest_of(path, Some(&bytes[..size]), &stat), digest, "{path} {size}");
                assert_eq!(DigestPrefix::behind(path, digest, &stat), prefix, "{path} {size}");
            }
        }
    }

    #[test]
    fn section_11_every_128th_is_kept_up_to_1024_of_them() {
        let mut digests = Digests::new(true);
        for zxid in 1..=128 * 1030 {
            assert_eq!(digests.applied(Zxid(zxid), None), None);
        }
        let log: Vec<_> = digests.log().collect();
        assert_eq!(log.len(), 1024);
        assert_eq!(log[0], (Zxid(128 * 7), 0));
        assert_eq!(log[1023], (Zxid(128 * 1030), 0));
    }

    #[test]
    fn section_11_nothing_is_compared_before_the_end_of_the_fuzzy_range() {
        let wrong = Some(TxnDigest { version: 2, tree: 5 });
        let mut digests = Digests::new(true);
        digests.expected = Some(Expected::At(Zxid(3), 0));
        assert_eq!(digests.applied(Zxid(2), wrong), None);
        assert_eq!(digests.last, (Zxid(0), 0));
        assert_eq!(digests.applied(Zxid(3), None), None, "the expected digest");
        assert_eq!(digests.last, (Zxid(3), 0));
        assert_eq!(digests.applied(Zxid(4), wrong), Some(5));
        assert_eq!(digests.applied(Zxid(5), Some(TxnDigest { version: 1, tree: 5 })), None);
        assert_eq!(digests.mismatches, 1);
        digests.expected = Some(Expected::At(Zxid(7), 9));
        assert_eq!(digests.applied(Zxid(7), None), Some(9));
        digests.expected = Some(Expected::At(Zxid(8), 9));
        assert_eq!(digests.applied(Zxid(9), None), None, "passed, so not known");
        assert_eq!(digests.mismatches, 2);
    }

    #[test]
    fn a_tree_of_unknown_fuzziness_is_compared_from_the_first_digest_that_agrees_on() {
        let claim = |tree| Some(TxnDigest { version: 2, tree });
        let mut digests = Digests::new(true);
        digests.expected = Some(Expected::RECEIVED);
        assert_eq!(digests.applied(Zxid(1), claim(5)), None);
        assert_eq!(digests.applied(Zxid(2), None), None);
        assert_eq!(digests.last, (Zxid(0), 0));
        assert_eq!(digests.applied(Zxid(3), claim(0)), None, "it agrees");
        assert_eq!(digests.last, (Zxid(3), 0));
        assert_eq!(digests.applied(Zxid(4), claim(5)), Some(5));
        digests.expected = Some(Expected::Within(1));
        assert_eq!(digests.applied(Zxid(5), claim(6)), None);
        assert_eq!(digests.applied(Zxid(6), claim(6)), Some(6), "it never will");
    }
}
