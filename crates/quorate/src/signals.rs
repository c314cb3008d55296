//! SIGTERM and SIGINT: the first stops the server in good order, the second at once.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;
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
        self.wait_beside(std::future::pending::<Infallible>())
            .unwrap_or_else(|never| match never {})
    }

    /// Waits for either, and gives its name, or for something else, and gives what came of that.
    pub(crate) fn wait_beside<T>(
        &mut self,
        other: impl Future<Output = T>,
    ) -> Result<&'static str, T> {
        let Signals { runtime, terminate, interrupt } = self;
        let mut other = pin!(other);
        runtime.block_on(poll_fn(|cx| {
            if terminate.poll_recv(cx).is_ready() {
                return Poll::Ready(Ok("SIGTERM"));
            }
            if interrupt.poll_recv(cx).is_ready() {
                return Poll::Ready(Ok("SIGINT"));
            }
            other.as_mut().poll(cx).map(Err)
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
