//! How many connections there may be, and how large requests may be together.

use crate::clock::Clock;
use crate::counters::Counters;
use crate::settings::Settings;
use crate::sync::lock;
use base::{Rng, Time};
use keeper::ConnectThrottle;
use rustix::process::{Resource, getrlimit};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The limits of a server with what counts towards them.
#[derive(Debug)]
pub(crate) struct Limits {
    per_address_max: Option<u32>,
    connections_max: Option<u32>,
    large_threshold: Option<usize>,
    large_max: u64,
    by_address: Mutex<BTreeMap<IpAddr, u32>>,
    open: AtomicUsize,
    large: AtomicU64,
    throttle: Mutex<ConnectThrottle>,
    /// What is counted where no worker runs.
    pub(crate) counters: Mutex<Counters>,
}

/// Why a connection is closed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Too many from its address; the limit.
    PerAddress(u32),
    /// Too many in all; the limit.
    Total(u32),
}

impl Limits {
    pub(crate) fn new(settings: &Settings, clock: Clock, rng: Rng) -> Limits {
        let limits = &settings.config.limits;
        Limits {
            per_address_max: limits.connections_per_address,
            connections_max: connections_max(limits.connections),
            large_threshold: limits.large_request_threshold_bytes.map(|bytes| bytes as usize),
            large_max: u64::from(limits.large_requests_max_bytes),
            by_address: Mutex::default(),
            open: AtomicUsize::new(0),
            large: AtomicU64::new(0),
            throttle: Mutex::new(ConnectThrottle::new(settings.throttle(), clock.now(), rng)),
            counters: Mutex::default(),
        }
    }

    /// Lets a connection in, to be followed by [`Limits::leave`].
    pub(crate) fn enter(&self, address: IpAddr) -> Result<(), Refusal> {
        let mut by_address = lock(&self.by_address);
        let open = self.open.load(Ordering::Relaxed);
        if let Some(max) = self.connections_max
            && open >= max as usize
        {
            return Err(Refusal::Total(max));
        }
        let count = by_address.entry(address).or_default();
        if let Some(max) = self.per_address_max
            && *count >= max
        {
            return Err(Refusal::PerAddress(max));
        }
        *count += 1;
        self.open.store(open + 1, Ordering::Relaxed);
        Ok(())
    }

    /// A connection that was let in is gone.
    pub(crate) fn leave(&self, address: IpAddr) {
        let mut by_address = lock(&self.by_address);
        self.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(count) = by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&address);
            }
        }
    }

    /// How many connections there are.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Whether a frame is large, and then whether there is room for it. What is let in counts
    /// until [`Limits::large_done`].
    pub(crate) fn admit_large(&self, size: usize) -> Result<u64, ()> {
        if self.large_threshold.is_none_or(|threshold| size <= threshold) {
            return Ok(0);
        }
        let size = size as u64;
        let before = self.large.fetch_add(size, Ordering::Relaxed);
        if before.saturating_add(size) > self.large_max {
            self.large.fetch_sub(size, Ordering::Relaxed);
            return Err(());
        }
        Ok(size)
    }

    /// So many bytes of large requests are answered.
    pub(crate) fn large_done(&self, size: u64) {
        if size > 0 {
            self.large.fetch_sub(size, Ordering::Relaxed);
        }
    }

    /// Whether a connect request that costs `tokens` is let in.
    pub(crate) fn admit_session(&self, now: Time, tokens: u32) -> bool {
        lock(&self.throttle).admit(now, tokens)
    }

    /// How likely a connect request is refused at random.
    pub(crate) fn drop_probability(&self) -> f64 {
        lock(&self.throttle).drop_probability()
    }
}

/// The configured limit, or what the limit of open files leaves: a flood of connections must not
/// take the files that the journal and snapshots need.
fn connections_max(configured: Option<u32>) -> Option<u32> {
    let files = getrlimit(Resource::Nofile).current;
    let room = files.map(|files| files - FILES_RESERVED.min(files / 2));
    let room = room.map(|room| u32::try_from(room).unwrap_or(u32::MAX));
    configured.into_iter().chain(room).min()
}

/// Files for everything but connections: logs, snapshots, listener, event queues, words.
const FILES_RESERVED: u64 = 64;
