//! The running service: everything that its threads share.

use crate::clock::Clock;
use crate::counters::Counters;
use crate::driver::{Deadline, Driver, Pace};
use crate::failure::Failure;
use crate::hub::Hub;
use crate::inbox::Inbox;
use crate::journalist::Journalist;
use crate::limits::Limits;
use crate::listener;
use crate::published::Published;
use crate::reads::Reads;
use crate::settings::Settings;
use crate::snapshots::Snapshots;
use crate::standing::Standing;
use crate::sync::{StopOnPanic, lock, must};
use crate::wakes::Wakes;
use socket2::SockRef;
use std::net::{Shutdown, TcpListener};
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, TryLockError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use wire::quorum::Address;
use words::Mode;

/// The service. Every worker looks at it: aligned to a pair of cache lines, apart from what its
/// neighbours in memory write.
#[repr(align(128))]
pub(crate) struct Service {
    pub(crate) clock: Clock,
    pub(crate) settings: Settings,
    pub(crate) hub: Arc<Hub>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) driver: Mutex<Driver>,
    pub(crate) published: Arc<Published>,
    pub(crate) journalist: Journalist,
    pub(crate) deadline: Deadline,
    /// Tells the timer that the deadline is earlier.
    pub(crate) earlier: Notify,
    /// Where clients are served.
    pub(crate) listener: watch::Sender<Arc<TcpListener>>,
    pub(crate) limits: Limits,
    pub(crate) snapshots: Snapshots,
    pub(crate) reads: Reads,
    /// Whether the member asks for the end.
    pub(crate) failure: Failure,
    pub(crate) workers: Vec<Arc<Worker>>,
    /// Whether the server is being stopped: nothing more is read.
    pub(crate) stopping: AtomicBool,
    pub(crate) trace_mask: AtomicI64,
}

/// One worker thread, as others see it. Aligned to a pair of cache lines, so that what one worker
/// counts lies on no line that another needs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Worker {
    /// There is something for the member.
    pub(crate) kick: Notify,
    /// The thread is to end.
    pub(crate) end: Notify,
    /// Its connections that are to be woken.
    pub(crate) wakes: Wakes,
    /// What its connections count.
    pub(crate) counters: Mutex<Counters>,
    /// How many connections it has.
    open: AtomicUsize,
}

impl Worker {
    /// How many connections it has, with those that are on their way to it.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

/// A connection's place with its worker, which counts it until this is dropped.
pub(crate) struct Seat(Arc<Worker>);

impl Seat {
    /// One more connection for `worker`.
    pub(crate) fn take(worker: &Arc<Worker>) -> Seat {
        worker.open.fetch_add(1, Ordering::Relaxed);
        Seat(Arc::clone(worker))
    }
}

impl Deref for Seat {
    type Target = Arc<Worker>;

    fn deref(&self) -> &Arc<Worker> {
        &self.0
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Service {
    /// Whether the server is being stopped.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Drives the member for one round, unless another thread does so already: that one sees what
    /// waits before it leaves. Says whether something waits now.
    pub(crate) fn drive(self: &Arc<Self>, pace: Pace) -> bool {
        let mut driver = match self.driver.try_lock() {
            Ok(driver) => driver,
            Err(TryLockError::WouldBlock) => return false,
            Err(TryLockError::Poisoned(poisoned)) => must(Err(poisoned)),
        };
        self.round(&mut driver, pace);
        let has_more = driver.has_more();
        drop(driver);
        // Who came while the lock was held has left its work here.
        has_more || self.inbox.is_pending()
    }

    /// Whether a round is to be left to the journalist: a worker that waits for a slow disk serves
    /// nobody meanwhile, and with many connections there is always somebody to serve.
    pub(crate) fn disk_is_slow(&self) -> bool {
        let commit = self.published.commit();
        commit > SLOW_COMMIT || (commit > MEDIUM_COMMIT && self.limits.open() > CONNECTIONS_FEW)
    }

    /// Drives the member until nothing waits, after whoever does so now.
    pub(crate) fn settle(self: &Arc<Self>) {
        loop {
            self.round(&mut lock(&self.driver), Pace::Whole);
            if !self.inbox.is_pending() {
                return;
            }
        }
    }

    /// Looks at the member and its driver. Requests that come meanwhile are not forgotten.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&mut Driver) -> R) -> R {
        let result = look(&mut lock(&self.driver));
        self.leave_to_worker();
        result
    }

    /// Whoever brought what waits may have found the driver taken, and has left it to us.
    fn leave_to_worker(&self) {
        if self.inbox.is_pending() {
            self.workers.iter().take(1).for_each(|worker| worker.kick.notify_one());
        }
    }

    /// What the server is for its clients; `None` while it serves nobody.
    pub(crate) fn mode(&self) -> Option<Mode> {
        let Some(ensemble) = &self.settings.config.ensemble else {
            return Some(Mode::Standalone);
        };
        self.published.standing()?.mode(ensemble.leader_serves)
    }

    /// The member's place in its ensemble, as fresh as can be had without waiting for the disk;
    /// `None` on a server alone.
    pub(crate) fn standing(&self) -> Option<Arc<Standing>> {
        if let Ok(mut driver) = self.driver.try_lock() {
            driver.publish();
            drop(driver);
            self.leave_to_worker();
        }
        self.published.standing()
    }

    fn round(self: &Arc<Self>, driver: &mut Driver, pace: Pace) {
        let _stop = StopOnPanic("the member panicked");
        let timer = driver.round(&self.inbox, pace);
        if driver.take_snapshot_due() {
            self.snapshots.start(self);
        }
        if let Some(address) = driver.take_client_address() {
            self.move_to(&address);
        }
        for read in driver.take_reads_due() {
            self.reads.start(self, read);
        }
        if self.deadline.set(driver.deadline()) || timer {
            self.earlier.notify_one();
        }
    }

    /// Serves clients at another address from now on. Connections that are there stay.
    fn move_to(&self, address: &Address) {
        let host = Some(address.host.clone()).filter(|_| !address.is_wildcard());
        let mut listen = self.settings.config.listen.clone();
        (listen.address, listen.port) = (host, address.port);
        match listener::bind(&listen) {
            Ok(listener) => {
                tracing::info!(%address, "clients are served at another address from now on");
                let before = self.listener.send_replace(Arc::new(listener));
                if let Err(error) = SockRef::from(&*before).shutdown(Shutdown::Both) {
                    tracing::debug!(%error, "the listener could not be shut down");
                }
            }
            Err(error) => tracing::error!(
                %address, %error,
                "clients cannot be served at the new address, and are at the old one: restart"
            ),
        }
    }

    /// Merges what all threads counted.
    pub(crate) fn counters(&self) -> Counters {
        let mut all = self.published.counters(|counters| counters.clone());
        all.merge(&lock(&self.hub.counters));
        all.metrics.merge(lock(&self.hub.watches).metrics());
        all.merge(&lock(&self.limits.counters));
        for worker in &self.workers {
            all.merge(&lock(&worker.counters));
        }
        all
    }

    /// Forgets what was counted.
    pub(crate) fn reset_counters(&self) {
        self.published.counters(|counters| *counters = Counters::default());
        *lock(&self.hub.counters) = Counters::default();
        *lock(&self.hub.watches).metrics() = metrics::Metrics::default();
        *lock(&self.limits.counters) = Counters::default();
        for worker in &self.workers {
            *lock(&worker.counters) = Counters::default();
        }
    }
}

/// No worker waits for commits that take longer.
const SLOW_COMMIT: Duration = Duration::from_millis(5);
/// With more than a few connections, no worker waits for commits that take longer: far more than
/// what it costs to wake another thread.
const MEDIUM_COMMIT: Duration = Duration::from_micros(300);
/// So many connections usually all wait for the same commit.
const CONNECTIONS_FEW: usize = 4;
