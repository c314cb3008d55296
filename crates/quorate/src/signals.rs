//! SIGTERM and SIGINT: the first stops the server in good order, the second at once.

use std::io;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The two signals, which from its making on do not end the process any more.
pub(crate) struct Signals {
    runtime: Runtime,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the signals over.
    ///
    /// # Errors
    /// If the system refuses.
    pub(crate) fn take() -> io::Result<Signals> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let guard = runtime.enter();
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        drop(guard);
        Ok(Signals { runtime, terminate, interrupt })
    }

    /// Waits for either; gives its name.
    pub(crate) fn wait(&mut self) -> &'static str {
        let Signals { runtime, terminate, interrupt } = self;
        runtime.block_on(std::future::poll_fn(|cx| {
            if terminate.poll_recv(cx).is_ready() {
                return std::task::Poll::Ready("SIGTERM");
            }
            interrupt.poll_recv(cx).map(|_| "SIGINT")
        }))
    }

    /// The next one ends the process at once, with the code that shells give to SIGINT.
    pub(crate) fn exit_at_next(mut self) {
        let watcher = std::thread::Builder::new().name("signals".to_owned());
        let spawned = watcher.spawn(move || {
            let signal = self.wait();
            tracing::warn!(signal, "exiting at once");
            std::process::exit(130);
        });
        if let Err(error) = spawned {
            tracing::warn!(%error, "a second signal will not be heeded");
        }
    }
}
