//! Locks whose holders may not fail: a panic inside leaves state that nobody may go on with.

use std::sync::{LockResult, Mutex, MutexGuard};

/// What a lock guards. If a thread panicked while it held the lock, the process stops: it loses
/// nothing acknowledged, while going on could answer from half a change.
pub(crate) fn must<T>(result: LockResult<T>) -> T {
    match result {
        Ok(guard) => guard,
        Err(_) => stop("a thread panicked while it held shared state"),
    }
}

/// Locks what may not fail.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    must(mutex.lock())
}

/// Ends the process at once, with a reason in the log.
pub(crate) fn stop(reason: &str) -> ! {
    tracing::error!(reason, "stopping: the state cannot be trusted; a restart recovers it");
    std::process::abort()
}

/// Stops the process if it is dropped by a panic.
pub(crate) struct StopOnPanic(pub(crate) &'static str);

impl Drop for StopOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            stop(self.0);
        }
    }
}
