//! A server from its start to its stop.
//!
//! Start: take the data directory, bind the port, recover, serve. A port that is taken fails
//! early, and clients that connect during a long recovery wait instead of being refused. Stop:
//! accept and read no more, make durable and answer what was taken, send, close.

use crate::clock::Clock;
use crate::configuration;
use crate::counters::millis;
use crate::data_dir::{DirLock, LockError};
use crate::disk::StdDisk;
use crate::driver::{Deadline, Driver, Parts};
use crate::engine::{self, EngineError};
use crate::failure::Failure;
use crate::hub::{Hub, SharedHub};
use crate::inbox::Inbox;
use crate::journalist::{self, Journalist};
use crate::ledger::DiskLedger;
use crate::limits::Limits;
use crate::listener;
use crate::peers::{Home, Peers, Place};
use crate::published::Published;
use crate::purge::Purge;
use crate::recovered::{self, Found, Took};
use crate::service::Service;
use crate::settings::Settings;
use crate::snapshots::Snapshots;
use crate::threads;
use base::Rng;
use config::Config;
use metrics::Metrics;
use node::{Member, MigrateError, RecoverError};
use socket2::SockRef;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use storage::{Disk, RestoreError};
use tokio::runtime::Runtime;
use tokio::sync::{Notify, watch};

/// What a server is told beside its configuration.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads that run connections; 0 for as many as there are processors.
    pub workers: usize,
    /// The version that `srvr` shows, as [`words::full_version`] makes it.
    pub version: String,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be had.
    #[error(transparent)]
    DataDir(#[from] LockError),
    /// The port cannot be had.
    #[error("cannot listen on {address}: {source}{}", advice(source))]
    Listen {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// What is in the data directory was refused.
    #[error("{0}")]
    Recover(#[from] RecoverError),
    /// The ensemble goes on without this server.
    #[error(
        "{}: this server is {me}, and by the configuration {version} the servers are {servers}: it \
         has been removed. Remove that file to start it as one that joins: the command line must \
         list the servers as they are now, and this one",
        path.display()
    )]
    Removed {
        /// Its number.
        me: i64,
        /// The version in hex.
        version: String,
        /// The numbers of those that are in it.
        servers: String,
        /// Where that stands.
        path: PathBuf,
    },
    /// The engine and the data, or the members, do not fit.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// An authentication scheme that is enforced does not exist.
    #[error("enforce.auth.schemes: no such scheme: {}", .0.0.as_deref().unwrap_or("(none)"))]
    Auth(auth::UnknownScheme),
    /// The system gives no threads or no randomness.
    #[error("the system refuses what a server needs: {0}")]
    System(io::Error),
}

fn advice(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::AddrInUse {
        "; is another server running? choose another clientPort"
    } else {
        ""
    }
}

impl StartError {
    /// The process's exit code: the reference's numbers.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            StartError::Auth(_) | StartError::Removed { .. } => 2,
            StartError::Engine(EngineError::Members(_) | EngineError::Alone(_)) => 2,
            StartError::Engine(
                EngineError::OtherData { .. } | EngineError::Data(MigrateError::TwoData { .. }),
            )
            | StartError::DataDir(_) => 3,
            StartError::Engine(EngineError::Data(MigrateError::Storage(error))) => {
                storage_exit_code(error)
            }
            StartError::Engine(EngineError::Data(_)) => 1,
            StartError::Recover(RecoverError::Restore(RestoreError::Storage(error)))
            | StartError::Recover(RecoverError::Storage(error)) => storage_exit_code(error),
            StartError::Recover(
                RecoverError::Slots { .. }
                | RecoverError::SnapshotLost { .. }
                | RecoverError::Raft(_),
            )
            | StartError::Recover(RecoverError::Restore(
                RestoreError::Target(_) | RestoreError::Snapshot { .. },
            ))
            | StartError::Listen { .. }
            | StartError::System(_) => 1,
        }
    }
}

fn storage_exit_code(error: &storage::Error) -> u8 {
    use storage::Error;
    match error {
        Error::MissingDir(_)
        | Error::LostLogs(_)
        | Error::SnapshotsAmongLogs(_)
        | Error::LogsAmongSnapshots(_) => 3,
        Error::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => 3,
        Error::Io { .. }
        | Error::Poisoned
        | Error::Corrupt { .. }
        | Error::RecordTooLong { .. }
        | Error::Gap { .. }
        | Error::NoSnapshot(_)
        | Error::NoValidSnapshot { .. }
        | Error::NotInLog { .. }
        | Error::TooLate { .. }
        | Error::Superseded { .. }
        | Error::BadFile { .. }
        | Error::Journal(_) => 1,
    }
}

/// A server that serves.
#[allow(missing_debug_implementations)]
pub struct Server {
    service: Arc<Service>,
    address: SocketAddr,
    workers: Vec<JoinHandle<()>>,
    journalist: JoinHandle<()>,
    purge: Option<Purge>,
    locks: Vec<DirLock>,
}

impl Server {
    /// Starts a standalone server on the file system.
    ///
    /// # Errors
    /// What is in the way, and what to do.
    pub fn start(config: Config, options: Options) -> Result<Server, StartError> {
        let storage = &config.storage;
        let mut locks = vec![DirLock::take(&storage.data_dir, storage.dir_autocreate)?];
        if storage.data_log_dir != storage.data_dir {
            locks.push(DirLock::take(&storage.data_log_dir, storage.dir_autocreate)?);
        }
        let mut server = Server::start_on(StdDisk, config, options)?;
        server.locks = locks;
        Ok(server)
    }

    /// Starts a standalone server on any disk, which nobody else uses.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_on<D>(disk: D, config: Config, options: Options) -> Result<Server, StartError>
    where
        D: Disk + Send + Sync + 'static,
    {
        let mut settings = Settings::new(config, options.version);
        settings.keeper.auth.validate().map_err(StartError::Auth)?;
        let data_dir = settings.config.storage.data_dir.clone();
        if let Some(ensemble) =
            settings.config.ensemble.as_mut().filter(|_| settings.config.features.reconfig)
        {
            configuration::adopt(&disk, &data_dir, ensemble)?;
        }
        let (listener, address) = listen(&settings)?;
        settings.config.listen.port = address.port();
        let clock = Clock::start();
        engine::check_data(&disk, &settings)?;
        let found = recovered::recover(&disk, &settings)?;
        let runtimes = (0..worker_count(options.workers)).map(|_| threads::runtime());
        let runtimes = runtimes.collect::<io::Result<Vec<_>>>().map_err(StartError::System)?;
        let places: Vec<Place> = runtimes.iter().map(place).collect();
        let service = assemble(&disk, settings, clock, found, places, listener)?;
        let purge = start_purge(disk, &service).map_err(StartError::System)?;
        let journalist = journalist::start(&service).map_err(StartError::System)?;
        let workers = threads::start(&service, runtimes);
        let workers = workers.map_err(StartError::System)?;
        let message = if service.settings.config.ensemble.is_some() {
            "listening; clients are served while there is a leader"
        } else {
            "serving"
        };
        tracing::info!(address = %listener::shown(address), workers = workers.len(), "{message}");
        let locks = Vec::new();
        Ok(Server { service, address, workers, journalist, purge, locks })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.service.listener.borrow().local_addr().unwrap_or(self.address)
    }

    /// How many connections each worker has.
    #[cfg(test)]
    pub(crate) fn shares(&self) -> Vec<usize> {
        self.service.workers.iter().map(|worker| worker.open()).collect()
    }

    /// Tells when the server has to be stopped because it cannot go on.
    #[must_use]
    pub fn failure(&self) -> Failure {
        self.service.failure.clone()
    }

    /// Stops: what was taken is made durable, answered and sent, for a bounded time.
    pub fn stop(self) {
        let Server { service, workers, journalist, purge, locks, .. } = self;
        tracing::info!("stopping: no more connections or requests are taken");
        service.stopping.store(true, Ordering::SeqCst);
        // Nobody is let in any more, and who waits to be is told at once.
        if let Err(error) = SockRef::from(&**service.listener.borrow()).shutdown(Shutdown::Both) {
            tracing::debug!(%error, "the listener could not be shut down");
        }
        let until = Instant::now() + DRAIN_MAX;
        loop {
            service.settle();
            service.hub.table.all().iter().for_each(|entry| entry.wake());
            if service.limits.open() == 0 || Instant::now() >= until {
                break;
            }
            std::thread::sleep(DRAIN_PAUSE);
        }
        hand_over(&service);
        service.workers.iter().for_each(|worker| worker.end.notify_one());
        for worker in workers {
            let _ = worker.join(); // a panic was logged where it happened
        }
        service.journalist.end();
        let _ = journalist.join();
        service.look(Driver::close);
        drop(purge);
        drop(locks);
        if !service.failure.has_come() {
            tracing::info!("Exiting normally");
        }
    }
}

/// What this server leads another does from now on, if the engine can hand over: the others need
/// not find out that it is gone.
fn hand_over(service: &Arc<Service>) {
    let until = Instant::now() + HAND_OVER_MAX;
    if !service.look(Driver::leave) {
        return;
    }
    while service.look(|driver| driver.leads()) && Instant::now() < until {
        std::thread::sleep(DRAIN_PAUSE);
        service.settle();
    }
}

fn listen(settings: &Settings) -> Result<(TcpListener, SocketAddr), StartError> {
    let listen = &settings.config.listen;
    let host = listen.address.as_deref().unwrap_or("0.0.0.0");
    let failed = |source| StartError::Listen { address: format!("{host}:{}", listen.port), source };
    let listener = listener::bind(listen).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    tracing::info!("binding to port {}", listener::shown(address));
    Ok((listener, address))
}

fn assemble<D>(
    disk: &D,
    settings: Settings,
    clock: Clock,
    found: Found<D>,
    places: Vec<Place>,
    listener: TcpListener,
) -> Result<Arc<Service>, StartError>
where
    D: Disk + Send + Sync + 'static,
{
    let mut rng = seed()?;
    let dirs = settings.dirs();
    let Found { tree, slots, restored, start, took } = found;
    let hub = Arc::new(Hub::new(tree));
    let snapshots = Snapshots::new(disk.clone(), dirs.snapshots(), settings.snapshot());
    let published = Arc::new(Published::default());
    let mut outputs = Vec::new();
    let member = Member::recover(
        SharedHub { hub: Arc::clone(&hub), published: Arc::clone(&published) },
        &settings.member()?,
        start,
        clock.now(),
        clock.wall(),
        rng.fork(),
        &mut outputs,
    )?;
    let journal = DiskLedger::start(disk.clone(), recovered::journal(disk, &settings, slots))
        .map_err(StartError::System)?;
    published.counters(|counters| count_start(&mut counters.metrics, &took, restored.replayed));
    let (inbox, failure) = (Arc::new(Inbox::default()), Failure::default());
    let workers = places.iter().map(|place| Arc::clone(&place.worker)).collect();
    let home = Home::new(Arc::clone(&inbox), places, settings.peers());
    let driver = Driver::new(Parts {
        member,
        outputs,
        journal: Box::new(journal),
        hub: Arc::clone(&hub),
        peers: Peers::new(Arc::new(home)),
        ensemble: settings.config.ensemble.clone().map(Box::new),
        clock,
        sync_warning: settings.config.storage.sync_warning,
        published: Arc::clone(&published),
        failure: failure.clone(),
    });
    let reads = recovered::reads(disk.clone(), &settings);
    let service = Arc::new(Service {
        limits: Limits::new(&settings, clock, rng.fork()),
        clock,
        settings,
        hub,
        inbox,
        driver: Mutex::new(driver),
        published,
        journalist: Journalist::default(),
        deadline: Deadline::default(),
        earlier: Notify::new(),
        listener: watch::Sender::new(Arc::new(listener)),
        snapshots,
        reads,
        failure,
        workers,
        stopping: AtomicBool::new(false),
        trace_mask: AtomicI64::new(TRACE_MASK),
    });
    service.settle();
    Ok(service)
}

/// A service without the threads that serve it.
#[cfg(test)]
pub(crate) fn assemble_for_tests<D>(
    disk: &D,
    config: Config,
    runtimes: &[Runtime],
) -> Result<Arc<Service>, StartError>
where
    D: Disk + Send + Sync + 'static,
{
    let settings = Settings::new(config, String::new());
    let found = recovered::recover(disk, &settings)?;
    let (listener, _) = listen(&settings)?;
    let places = runtimes.iter().map(place).collect();
    assemble(disk, settings, Clock::start(), found, places, listener)
}

fn count_start(metrics: &mut Metrics, took: &Took, replayed: u64) {
    let summaries = &mut metrics.summaries;
    summaries.dbinittime.record(millis(took.total()));
    summaries.startup_snap_load_time.record(millis(took.snapshot));
    summaries.startup_txns_load_time.record(millis(took.replay));
    summaries.startup_txns_loaded.record(replayed);
}

fn seed() -> Result<Rng, StartError> {
    let refused = |error: getrandom::Error| StartError::System(io::Error::other(error));
    getrandom::u64().map(Rng::new).map_err(refused)
}

fn place(runtime: &Runtime) -> Place {
    Place { runtime: runtime.handle().clone(), worker: Arc::default() }
}

fn worker_count(asked: usize) -> usize {
    if asked > 0 {
        return asked;
    }
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn start_purge<D>(disk: D, service: &Service) -> io::Result<Option<Purge>>
where
    D: Disk + Send + 'static,
{
    let storage = &service.settings.config.storage;
    let retain = storage.purge_keep_snapshots as usize;
    storage
        .purge_interval
        .map(|interval| Purge::start(disk, service.settings.dirs(), retain, interval))
        .transpose()
}

/// How long a stop waits for clients to take their answers.
const DRAIN_MAX: Duration = Duration::from_secs(2);
/// How long a stop waits for another to lead.
const HAND_OVER_MAX: Duration = Duration::from_millis(500);
/// Time between two looks at whether they have.
const DRAIN_PAUSE: Duration = Duration::from_millis(2);
/// The reference's trace mask.
const TRACE_MASK: i64 = 306;
