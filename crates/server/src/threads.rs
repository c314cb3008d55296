//! The worker threads: each runs the connections that it was dealt, and drives the member when
//! they have work for it.

use crate::connection::ConnectionTask;
use crate::driver::Pace;
use crate::listener::{Acceptor, Dealt};
use crate::service::{Seat, Service, Worker};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, timeout_at};

/// A worker's runtime. It takes tasks from now on, and runs them once its worker is started.
pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_io().enable_time().build()
}

/// Starts the workers on their runtimes, and accepts with them.
pub(crate) fn start(
    service: &Arc<Service>,
    runtimes: Vec<Runtime>,
) -> io::Result<Vec<JoinHandle<()>>> {
    let channels: Vec<(UnboundedSender<Dealt>, UnboundedReceiver<Dealt>)> =
        service.workers.iter().map(|_| unbounded_channel()).collect();
    let (to, from): (Vec<_>, Vec<_>) = channels.into_iter().unzip();
    let start = |(number, (runtime, dealt))| start_worker(service, number, &to, runtime, dealt);
    runtimes.into_iter().zip(from).enumerate().map(start).collect()
}

/// Starts the worker of that number; the first also keeps the member's time.
fn start_worker(
    service: &Arc<Service>,
    number: usize,
    to: &[UnboundedSender<Dealt>],
    runtime: Runtime,
    dealt: UnboundedReceiver<Dealt>,
) -> io::Result<JoinHandle<()>> {
    let acceptor = {
        let _guard = runtime.enter();
        Acceptor::is_for(number).then(|| Acceptor::new(service, number, to)).transpose()?
    };
    let service = Arc::clone(service);
    let worker = Arc::clone(&service.workers[number]);
    std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
        runtime.block_on(async {
            if let Some(acceptor) = acceptor {
                tokio::spawn(acceptor.run());
            }
            tokio::spawn(take_in_dealt(Arc::clone(&service), dealt));
            tokio::spawn(wake(Arc::clone(&worker)));
            tokio::spawn(drive(Arc::clone(&service), Arc::clone(&worker)));
            if number == 0 {
                tokio::spawn(keep_time(Arc::clone(&service), Arc::clone(&worker)));
            }
            worker.end.notified().await;
        });
        // The look-up of a member's name may take longer than anybody waits for.
        runtime.shutdown_background();
    })
}

async fn take_in_dealt(service: Arc<Service>, mut dealt: UnboundedReceiver<Dealt>) {
    while let Some(Dealt { stream, remote, seat }) = dealt.recv().await {
        match TcpStream::from_std(stream) {
            Ok(stream) => take_in(&service, seat, stream, remote),
            Err(error) => {
                tracing::warn!(%remote, %error, "a connection could not be taken in");
                service.limits.leave(remote.ip());
            }
        }
    }
}

/// Gives a connection its task, on the thread of the worker that it was dealt to.
pub(crate) fn take_in(service: &Arc<Service>, seat: Seat, stream: TcpStream, remote: SocketAddr) {
    tokio::spawn(ConnectionTask::new(Arc::clone(service), seat, stream, remote));
}

async fn wake(worker: Arc<Worker>) {
    worker.wakes.run().await;
}

/// Runs behind the connections that are ready, so that what all of them ask is one batch.
async fn drive(service: Arc<Service>, worker: Arc<Worker>) {
    loop {
        worker.kick.notified().await;
        if service.disk_is_slow() && service.journalist.wake() {
            continue;
        }
        while service.drive(Pace::Whole) {
            // Clients get their answers before the next round.
            tokio::task::yield_now().await;
        }
    }
}

/// Tells the member when its deadline has come.
async fn keep_time(service: Arc<Service>, worker: Arc<Worker>) {
    loop {
        let Some(deadline) = service.deadline.get() else {
            service.earlier.notified().await;
            continue;
        };
        let at = Instant::from_std(service.clock.instant(deadline));
        if timeout_at(at, service.earlier.notified()).await.is_err() {
            service.inbox.timer_expired();
            worker.kick.notify_one();
            service.earlier.notified().await; // it has been told
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{keep_time, runtime};
    use crate::server;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;
    use storage::Disk;
    use storage::simulated::SimulatedDisk;
    use tokio::task::yield_now;
    use tokio::time::timeout;

    #[test]
    fn an_idle_member_is_told_of_a_deadline_that_came_earlier_than_the_last() {
        let (disk, runtime) = (SimulatedDisk::default(), runtime().unwrap());
        let dir = Path::new("/data");
        disk.create_dir_all(dir).unwrap();
        let config = crate::tests::config(dir, &[]);
        let runtimes = std::slice::from_ref(&runtime);
        let service = server::assemble_for_tests(&disk, config, runtimes).unwrap();
        let worker = Arc::clone(&service.workers[0]);
        runtime.block_on(async {
            service.deadline.set(Some(service.clock.now() + Duration::from_hours(1)));
            tokio::spawn(keep_time(Arc::clone(&service), Arc::clone(&worker)));
            yield_now().await;
            let near = service.clock.now() + Duration::from_millis(5);
            assert!(service.deadline.set(Some(near)));
            service.earlier.notify_one();
            let told = timeout(Duration::from_mins(1), worker.kick.notified()).await;
            assert!(told.is_ok() && service.clock.now() >= near && service.inbox.is_pending());
        });
    }
}
