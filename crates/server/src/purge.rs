//! Old snapshots and logs are removed now and then, on a thread of its own.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use storage::{Dirs, Disk};

/// Purges until it is dropped.
pub(crate) struct Purge {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Purge {
    /// Begins: once now and then after every `interval`.
    pub(crate) fn start<D>(
        disk: D,
        dirs: Dirs,
        retain: usize,
        interval: Duration,
    ) -> std::io::Result<Purge>
    where
        D: Disk + Send + 'static,
    {
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new()
            .name("purge".to_owned())
            .spawn(move || run(&disk, &dirs, retain, interval, &stopped))?;
        Ok(Purge { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Purge {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a purge that panicked has nothing to tell
        }
    }
}

fn run<D: Disk>(disk: &D, dirs: &Dirs, retain: usize, interval: Duration, stopped: &Receiver<()>) {
    loop {
        match storage::purge(disk, dirs, retain) {
            Ok(removed) => {
                for path in &removed {
                    tracing::info!(path = %path.display(), "Removing file: {}", path.display());
                }
                tracing::info!(removed = removed.len(), retain, "Purge task completed.");
            }
            Err(error) => tracing::error!(%error, "purging failed; it is tried again later"),
        }
        match stopped.recv_timeout(interval) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
