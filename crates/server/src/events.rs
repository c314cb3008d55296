//! Events of the cores as log lines, with their levels.

use crate::listener::Quiet;
use std::net::SocketAddr;
use trace::{Ensemble, Event, Level};

/// Logs one event. Known lines of the reference keep the words that operators search for.
pub(crate) fn log(event: &Event) {
    if matches!(event, Event::SnapshotTaken { .. }) {
        return; // said already, with how long it took
    }
    match event.level() {
        Level::Error => tracing::error!("{}", Line(event)),
        Level::Warn => tracing::warn!("{}", Line(event)),
        Level::Info => tracing::info!("{}", Line(event)),
        Level::Debug => tracing::debug!("{}", Line(event)),
    }
}

/// Logs what was refused on the ports for other members: whoever knocks there cannot fill the disk.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Quiet);

impl Refusals {
    /// Logs one, of a connection from `remote`.
    pub(crate) fn log(&mut self, event: &Event, remote: Option<SocketAddr>) {
        let Some(more) = self.0.speak() else { return };
        let remote = remote.map_or_else(|| "unknown".to_owned(), |remote| remote.to_string());
        if more == 0 {
            tracing::warn!("{} remote={remote}", Line(event));
        } else {
            tracing::warn!("{} remote={remote} more={more}", Line(event));
        }
    }
}

struct Line<'a>(&'a Event);

impl std::fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Event::SessionExpired { session, timeout_ms } = self.0 {
            return write!(f, "Expiring session {session}, timeout of {timeout_ms}ms exceeded");
        }
        if let Event::SessionRefused { session } = self.0 {
            write!(f, "Invalid session {session}: ")?;
        }
        if let Event::Ensemble(Ensemble::ElectionStarted { .. }) = self.0 {
            f.write_str("LOOKING - ")?;
        }
        self.0.fmt(f)
    }
}
