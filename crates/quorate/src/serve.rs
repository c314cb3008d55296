//! `quorate serve`: from arguments and files to a running server, and to its end.

use crate::logging::{self, Format};
use crate::signals::Signals;
use clap::Args;
use config::{Loaded, Sources};
use server::{Options, Server};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Run a coordination server.
///
/// Without arguments: a standalone server on port 2181 with its data in ./quorate-data. With an
/// existing zoo.cfg it runs that, on its data directory, in place.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    /// A zoo.cfg; or as ZooKeeper takes them: `clientPort dataDir`, then `tickTime maxClientCnxns`
    #[arg(value_name = "ZOO_CFG | CLIENT_PORT DATA_DIR", num_args = 0..=4)]
    positional: Vec<String>,
    /// Client port, in place of clientPort
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Data directory, in place of dataDir
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// What orders an ensemble's transactions, in place of engine: zab or raft
    #[arg(long, value_name = "ENGINE")]
    engine: Option<String>,
    /// A server of the ensemble, as in zoo.cfg; may be repeated
    #[arg(long = "server", value_name = "N=HOST:PORT:PORT...", value_parser = key_value)]
    servers: Vec<(String, String)>,
    /// Which of the servers this is, if the data directory has no myid
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    id: Option<u64>,
    /// Sets a key of zoo.cfg; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
    /// Log level: error, warn, info, debug, trace, or tracing directives [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Form of the log lines
    #[arg(long, value_enum, default_value_t)]
    log_format: Format,
    /// Threads that serve connections [default: one per processor]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    workers: usize,
}

const AFTER_HELP: &str = "\
Environment:
  QUORATE_LOG      log level, if --log-level is not given
  SERVER_JVMFLAGS  -Dzookeeper.*=... system properties, as for ZooKeeper's scripts

Exit codes: 0 stopped by a signal, 1 failure (port in use, corrupt data), 2 bad arguments or
configuration, 3 data directory unusable";

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

/// Runs a server until it is told to stop.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let loaded = match load(arguments) {
        Ok(loaded) => loaded,
        Err(text) => {
            return fail(BAD_CONFIG, &format!("Invalid config, exiting abnormally\n{text}"));
        }
    };
    if let Err(text) = logging::start(arguments.log_level.as_deref(), arguments.log_format) {
        return fail(BAD_CONFIG, &text);
    }
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let version = words::full_version(env!("CARGO_PKG_VERSION"), env!("QUORATE_BUILT"));
    tracing::info!(version, "starting");
    let mut signals = match Signals::take() {
        Ok(signals) => signals,
        Err(error) => return fail(FAILURE, &format!("cannot handle signals: {error}")),
    };
    raise_file_limit();
    let options = Options { workers: arguments.workers, version };
    let server = match Server::start(loaded.config, options) {
        Ok(server) => server,
        Err(error) if error.exit_code() == BAD_DATA_DIR => {
            let text = format!("Unable to access datadir, exiting abnormally: {error}");
            return fail(BAD_DATA_DIR, &text);
        }
        Err(error) => return fail(error.exit_code(), &error.to_string()),
    };
    let failure = server.failure();
    let end = signals.wait_beside(failure.wait());
    signals.exit_at_next();
    match end {
        Ok(signal) => {
            tracing::info!(signal, "told to stop");
            server.stop();
            ExitCode::SUCCESS
        }
        Err(reason) => {
            server.stop();
            fail(FAILURE, &reason)
        }
    }
}

/// Puts the sources together: JVM flags, then the file, then the command line.
fn load(arguments: &Arguments) -> Result<Loaded, String> {
    let flags = std::env::var("SERVER_JVMFLAGS").unwrap_or_default();
    let mut sources = Sources::new().flags(&flags);
    match arguments.positional.as_slice() {
        [] => {}
        [file] => {
            let bytes = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
            sources = sources.file(file, &bytes);
        }
        several => {
            let several: Vec<&str> = several.iter().map(String::as_str).collect();
            sources = sources.positional(&several);
        }
    }
    if let Some(port) = arguments.port {
        sources = sources.option("clientPort", &port.to_string());
    }
    if let Some(engine) = &arguments.engine {
        sources = sources.option("engine", engine);
    }
    if let Some(dir) = &arguments.data_dir {
        sources = sources.option("dataDir", &dir.to_string_lossy());
    }
    for (id, value) in &arguments.servers {
        sources = sources.option(&format!("server.{id}"), value);
    }
    for (key, value) in &arguments.set {
        sources = sources.option(key, value);
    }
    if let Some(id) = arguments.id {
        sources = sources.my_id(id);
    }
    sources.config_with_files(&read_file).map_err(|errors| errors.to_string())
}

/// A file's bytes, or `None` if it is not there.
fn read_file(path: &Path) -> Result<Option<Vec<u8>>, String> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

fn fail(code: u8, text: &str) -> ExitCode {
    eprintln!("quorate: {text}");
    ExitCode::from(code)
}

/// A server's connections are files: takes as many as the system lets it without asking.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

const FAILURE: u8 = 1;
const BAD_CONFIG: u8 = 2;
const BAD_DATA_DIR: u8 = 3;
