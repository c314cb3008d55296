//! The load on an ensemble: workers whose sessions move between servers, in rounds.
//!
//! In each round something happens in the middle of the workers' bursts. Then every session moves
//! to any server, and what became of the writes that were not answered is read, behind a sync, from
//! another one. A session has moved before the tree is read, so that nothing that was sent on its
//! old connection may still be done.

use super::{Closes, Load, read_synced_tree};
use crate::ensemble::Ensemble;
use crate::raw;
use crate::tree;
use anyhow::{Context, Result, bail, ensure};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

/// Every server writes this node for itself, when it starts.
const OWN_NODE: &str = "/zookeeper/config";
/// A learner of the reference that loses its leader applies the end of its log on one thread while
/// another still applies commits: a few digests may then be wrong, and something done twice.
const RACED_DIGESTS_MAX: u64 = 20;
/// How long a server that lost its leader may refuse a read.
const READ_TIME_MAX: Duration = Duration::from_secs(35);
/// Between two attempts.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);
/// In how many percent of the rounds a worker ends its session.
const CLOSES_PERCENT: u64 = 15;

impl Load {
    /// Every worker sends a burst; `happening` comes behind at most
    /// `replies_max` replies, and every reply that still
    /// comes is read. Then all go on at any of the servers that run, and all writes are accounted
    /// for.
    ///
    /// # Errors
    /// If a reply says what it must not, a session is lost, or the tree is wrong.
    pub fn round(
        &mut self,
        ensemble: &mut Ensemble,
        writes: usize,
        replies_max: u64,
        happening: impl FnOnce(&mut Ensemble) -> Result<()>,
    ) -> Result<()> {
        self.send_bursts(writes, Closes::None);
        self.read_some(replies_max)?;
        happening(ensemble)?;
        for worker in &mut self.workers {
            worker.finish().with_context(|| worker.base.clone())?;
        }
        self.collect()?;
        self.move_to(&ensemble.addresses())?;
        let address = *self.rng.pick(&sound(ensemble)?);
        let tree = patiently(|| read_synced_tree(address))?;
        self.check(&tree)?;
        patiently(|| self.check_numbers(address))?;
        for worker in &mut self.workers {
            if self.rng.percent(CLOSES_PERCENT) {
                worker.close().with_context(|| worker.base.clone())?;
            }
        }
        self.move_to(&ensemble.addresses())
    }

    /// Every worker goes on at any of these servers.
    ///
    /// # Errors
    /// If a session is lost.
    pub fn move_to(&mut self, addresses: &[SocketAddr]) -> Result<()> {
        for worker in &mut self.workers {
            worker.move_to(addresses).with_context(|| worker.base.clone())?;
        }
        Ok(())
    }

    /// At rest, all servers that run must show the same tree, which holds all that was
    /// acknowledged; know every session; and have found no digest wrong.
    ///
    /// # Errors
    /// If they do not.
    pub fn check_members(&mut self, ensemble: &Ensemble) -> Result<()> {
        self.check_trees(&sound(ensemble)?)?;
        for n in ensemble.running() {
            // A digest that the reference got wrong is in its snapshots as well, where ours finds it.
            let most = if ensemble.was_foreign(n) { RACED_DIGESTS_MAX } else { 0 };
            let count = wrong_digests(ensemble.address(n))?;
            ensure!(count <= most, "member {}: {count} digests do not match", n + 1);
        }
        Ok(())
    }

    fn check_trees(&mut self, addresses: &[SocketAddr]) -> Result<()> {
        let mut first = patiently(|| read_synced_tree(addresses[0]))?;
        self.check(&first)?;
        first.remove(OWN_NODE);
        for address in addresses {
            let mut tree = patiently(|| read_synced_tree(*address))?;
            tree.remove(OWN_NODE);
            if let Some(difference) = tree::difference(&first, &tree) {
                bail!("{} and {address} differ: {difference}", addresses[0]);
            }
            self.move_to(&[*address]).with_context(|| format!("to {address}"))?;
        }
        Ok(())
    }
}

/// Where the trees of running members are to be had, but for servers of the reference that say
/// themselves that theirs has gone wrong.
fn sound(ensemble: &Ensemble) -> Result<Vec<SocketAddr>> {
    let mut addresses = Vec::new();
    for n in ensemble.running() {
        let address = ensemble.address(n);
        if ensemble.kind(n).is_ours() || patiently(|| wrong_digests(address))? == 0 {
            addresses.push(address);
        }
    }
    ensure!(!addresses.is_empty(), "every member's tree has gone wrong");
    Ok(addresses)
}

/// How many digests a server has found wrong since its start.
fn wrong_digests(address: SocketAddr) -> Result<u64> {
    let mntr = raw::word(address, "mntr")?;
    let count = mntr.lines().find_map(|line| line.strip_prefix("zk_digest_mismatches_count\t"));
    Ok(count.context("no count of digests")?.parse()?)
}

/// Tries until it works, for as long as servers may take to find a leader.
fn patiently<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + READ_TIME_MAX;
    loop {
        match attempt() {
            Err(_) if Instant::now() < deadline => thread::sleep(RETRY_INTERVAL),
            outcome => return outcome,
        }
    }
}
