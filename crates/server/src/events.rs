//! Events of the cores as log lines, with their levels.

use trace::{Event, Level};

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

struct Line<'a>(&'a Event);

impl std::fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Event::SessionExpired { session, timeout_ms } = self.0 {
            return write!(f, "Expiring session {session}, timeout of {timeout_ms}ms exceeded");
        }
        if let Event::SessionRefused { session } = self.0 {
            write!(f, "Invalid session {session}: ")?;
        }
        self.0.fmt(f)
    }
}
