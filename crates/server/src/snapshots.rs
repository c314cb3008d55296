//! Snapshots, each on a thread of its own beside the service.

use crate::counters::millis;
use crate::driver::Pace;
use crate::hub::Hub;
use crate::service::Service;
use crate::sync::lock;
use base::Zxid;
use node::{Input, SnapshotOptions, SnapshotTask};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use storage::Disk;

/// What takes one snapshot of the hub's tree: its zxid, or that and why it failed.
type Take = dyn Fn(&Hub) -> Result<Zxid, (Zxid, String)> + Send + Sync;

/// Takes snapshots.
pub(crate) struct Snapshots {
    take: Arc<Take>,
}

impl Snapshots {
    /// Into `dir` of `disk`.
    pub(crate) fn new<D>(disk: D, dir: PathBuf, options: SnapshotOptions) -> Snapshots
    where
        D: Disk + Send + Sync + 'static,
    {
        Snapshots { take: Arc::new(move |hub| take(hub, &disk, &dir, options)) }
    }

    /// Begins one; the member is told of its end.
    pub(crate) fn start(&self, service: &Arc<Service>) {
        let (take, for_thread) = (Arc::clone(&self.take), Arc::clone(service));
        let thread = thread::Builder::new().name("snapshot".to_owned());
        let spawned = thread.spawn(move || {
            let started = Instant::now();
            let input = match take(&for_thread.hub) {
                Ok(zxid) => {
                    let took_ms = millis(started.elapsed());
                    tracing::info!(%zxid, took_ms, "Snapshot taken in {took_ms} ms");
                    lock(&for_thread.limits.counters)
                        .metrics
                        .summaries
                        .snapshottime
                        .record(took_ms);
                    Input::SnapshotTaken { zxid }
                }
                Err((zxid, reason)) => {
                    count_failure(&for_thread);
                    Input::SnapshotFailed { zxid, reason }
                }
            };
            for_thread.inbox.snapshot_ended(input);
            while for_thread.drive(Pace::Whole) {}
        });
        if let Err(error) = spawned {
            count_failure(service);
            let zxid = service.hub.tree().last_zxid();
            let reason = format!("no thread for it: {error}");
            service.inbox.snapshot_ended(Input::SnapshotFailed { zxid, reason });
        }
    }
}

/// How long to rest behind a step: half as long as it took, so that whoever else wants the disk gets
/// it, if it was one that wrote.
fn rest_after(took: Duration) -> Duration {
    if took < WRITE_TIME_MIN { Duration::ZERO } else { (took / 2).min(REST_MAX) }
}

fn count_failure(service: &Service) {
    lock(&service.limits.counters).metrics.counters.snapshot_error_count += 1;
}

fn take<D: Disk>(
    hub: &Hub,
    disk: &D,
    dir: &std::path::Path,
    options: SnapshotOptions,
) -> Result<Zxid, (Zxid, String)> {
    let walk = hub.tree().begin_walk();
    let zxid = walk.start;
    let failed = |error: storage::Error| (zxid, error.to_string());
    tracing::info!(%zxid, dir = %dir.display(), "Snapshotting: {zxid} to {}", dir.display());
    let mut task = SnapshotTask::start(disk.clone(), dir, walk, options).map_err(failed)?;
    loop {
        let began = Instant::now();
        let more = task.look(&hub.tree());
        task.write().map_err(failed)?;
        thread::sleep(rest_after(began.elapsed()));
        if !more {
            break;
        }
    }
    let end = SnapshotTask::<D>::end(&hub.tree());
    task.finish(end).map_err(failed)?;
    Ok(zxid)
}

/// A step that takes less only encoded: to rest would take longer than it did.
const WRITE_TIME_MIN: Duration = Duration::from_micros(400);
/// A disk that is slow anyway is not made slower.
const REST_MAX: Duration = Duration::from_millis(2);
