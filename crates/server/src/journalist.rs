//! The thread that drives the member while the disk is slow.
//!
//! A worker that drives a round waits for its commit, and its connections with it. So when commits
//! take long, rounds are left to this thread: workers go on reading sockets, serving reads and
//! answering words, and what they collect meanwhile is its next round.

use crate::driver::Pace;
use crate::service::Service;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{JoinHandle, Thread};

/// The thread, as others see it.
#[derive(Debug, Default)]
pub(crate) struct Journalist {
    thread: OnceLock<Thread>,
    is_ending: AtomicBool,
}

impl Journalist {
    /// There is something for the member. Says whether there is a thread for it.
    pub(crate) fn wake(&self) -> bool {
        // A wake-up that comes while the thread is busy is kept until it parks.
        self.thread.get().is_some_and(|thread| {
            thread.unpark();
            !self.is_ending.load(Ordering::SeqCst)
        })
    }

    /// The thread is to end; what waits is then the workers' again.
    pub(crate) fn end(&self) {
        self.is_ending.store(true, Ordering::SeqCst);
        self.wake();
    }
}

/// Starts it.
pub(crate) fn start(service: &Arc<Service>) -> io::Result<JoinHandle<()>> {
    let for_thread = Arc::clone(service);
    let thread = std::thread::Builder::new().name("journalist".to_owned()).spawn(move || {
        while !for_thread.journalist.is_ending.load(Ordering::SeqCst) {
            while for_thread.drive(Pace::Overlapped) {}
            std::thread::park();
        }
    })?;
    service.journalist.thread.get_or_init(|| thread.thread().clone());
    Ok(thread)
}
