//! Where logs go and how they look: stderr, as text or JSON, at a level by flag or environment.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Begins logging. The flag goes before the environment, and that before the default.
///
/// # Errors
/// If the level is none.
pub(crate) fn start(level: Option<&str>, format: Format) -> Result<(), String> {
    let from_environment = std::env::var(VARIABLE).ok().filter(|value| !value.is_empty());
    let (source, level) = match (level, &from_environment) {
        (Some(level), _) => ("--log-level", level),
        (None, Some(level)) => (VARIABLE, level.as_str()),
        (None, None) => ("default", "info"),
    };
    let filter = EnvFilter::try_new(level).map_err(|error| {
        format!("{source}: {level:?} is no log level: {error}; use error, warn, info, debug, trace")
    })?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        Format::Text => subscriber.with_ansi(false).with_thread_names(true).init(),
        Format::Json => subscriber.json().flatten_event(true).with_thread_names(true).init(),
    }
    Ok(())
}

/// The environment variable of the level.
const VARIABLE: &str = "QUORATE_LOG";
