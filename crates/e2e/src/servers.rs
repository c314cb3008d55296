//! Server processes in directories of their own, on free loopback ports.
//!
//! A server is a command that runs in the foreground and takes the path of a `zoo.cfg`. It is up
//! when a session could be opened: every start waits for that, and fails with the server's log.
//! Invariant: dropping a [`Server`] kills its process and removes its directory.

use crate::raw::{self, Connection};
use crate::signals::terminate;
use crate::unbegun;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fmt, thread};

/// Which server to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Debian's ZooKeeper 3.8.
    Reference38,
    /// ZooKeeper 3.9, the version that ours behaves as.
    Reference39,
    /// Ours: the binary that `QUORATE_BIN` names, or the newest in the target directory.
    Quorate,
    /// Ours, with Raft for its engine.
    Raft,
}

impl Kind {
    /// The kind with that name on the command line.
    ///
    /// # Errors
    /// If there is none.
    pub fn parse(name: &str) -> Result<Kind> {
        Ok(match name {
            "3.8" | "java38" => Kind::Reference38,
            "3.9" | "java39" => Kind::Reference39,
            "quorate" => Kind::Quorate,
            "raft" => Kind::Raft,
            other => bail!("{other} is none of java38, java39, quorate, raft"),
        })
    }

    /// Whether it is Quorate, whatever its engine.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        match self {
            Kind::Reference38 | Kind::Reference39 => false,
            Kind::Quorate | Kind::Raft => true,
        }
    }

    /// What runs it, without the path of the configuration.
    pub(crate) fn command(&self) -> Result<Command> {
        let reference = |version: &str| {
            let mut command = Command::new(repository().join("interop/reference"));
            command.arg(version);
            command
        };
        Ok(match self {
            Kind::Reference38 => reference("3.8"),
            Kind::Reference39 => reference("3.9"),
            Kind::Quorate => serve(&[])?,
            Kind::Raft => serve(&["--engine", "raft"])?,
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Reference38 => "java38",
            Kind::Reference39 => "java39",
            Kind::Quorate => "quorate",
            Kind::Raft => "raft",
        })
    }
}

/// The root of the checkout.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A number that a variable of the environment sets, for a longer run or another one.
///
/// # Panics
/// If the variable is set and is no number.
#[must_use]
pub fn number_from(variable: &str, default: u64) -> u64 {
    let text = env::var(variable).ok();
    text.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable}: {text}")))
}

/// The newest reference that `.ci/install` has put on this machine.
#[must_use]
pub fn installed_reference() -> Option<Kind> {
    let cache = env::var_os("QUORATE_CACHE")
        .map(PathBuf::from)
        .or_else(|| Some(Path::new(&env::var_os("HOME")?).join(".cache/quorate")));
    if cache.is_some_and(|cache| cache.join("zookeeper-3.9.5/.ok").exists()) {
        Some(Kind::Reference39)
    } else {
        Path::new("/usr/share/java/zookeeper.jar").exists().then_some(Kind::Reference38)
    }
}

/// The reference that ensembles are mixed with: `E2E_REFERENCE` names it (`3.8`, `3.9`), or it is
/// Debian's.
///
/// # Panics
/// If the variable names no reference.
#[must_use]
pub fn reference() -> Kind {
    let name = env::var("E2E_REFERENCE").unwrap_or_else(|_| "3.8".to_owned());
    match Kind::parse(&name) {
        Ok(kind @ (Kind::Reference38 | Kind::Reference39)) => kind,
        Ok(Kind::Quorate | Kind::Raft) | Err(_) => panic!("E2E_REFERENCE: {name}"),
    }
}

/// Our server.
fn serve(flags: &[&str]) -> Result<Command> {
    let mut command = ours("serve")?;
    command.args(flags);
    Ok(command)
}

/// A command of ours.
pub(crate) fn ours(name: &str) -> Result<Command> {
    let mut command = Command::new(quorate_binary()?);
    command.arg(name);
    Ok(command)
}

/// Our binary.
fn quorate_binary() -> Result<PathBuf> {
    if let Some(path) = env::var_os("QUORATE_BIN") {
        return Ok(PathBuf::from(path));
    }
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from);
    let modified = |path: &PathBuf| fs::metadata(path).and_then(|m| m.modified()).ok();
    ["debug/quorate", "release/quorate"]
        .map(|name| target.join(name))
        .into_iter()
        .filter(|path| path.exists())
        .max_by_key(modified)
        .with_context(|| format!("no quorate in {}: build it first", target.display()))
}

/// What differs between servers under test: lines of `zoo.cfg`, and flags for a JVM.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Lines `key=value`, on top of the port and the directories.
    pub lines: Vec<String>,
    /// System properties that Java reads only from its command line, as `name=value`. Ours gets
    /// them as lines of the file.
    pub properties: Vec<String>,
}

/// One server process and its directory.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    config: Config,
    directory: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
}

/// A JVM on a busy machine needs seconds.
const START_TIME_MAX: Duration = Duration::from_secs(60);
/// Between two looks at a process or a port.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How much of a failed server's log is shown, in bytes.
const LOG_TAIL: usize = 2000;

impl Server {
    /// Starts a server on an empty directory, and waits until it serves.
    ///
    /// # Errors
    /// If it cannot be started or does not serve in time; the end of its log is in the message.
    pub fn start(kind: Kind, config: Config) -> Result<Server> {
        let directory = tempfile::Builder::new().prefix("quorate-e2e-").tempdir()?;
        let mut server = Server { kind, config, directory, port: free_port()?, child: None };
        server.spawn()?;
        Ok(server)
    }

    /// Starts a server on a copy of what another one left behind, which must not run.
    ///
    /// # Errors
    /// As for [`Server::start`], and if the files cannot be copied.
    pub fn start_on_copy(kind: Kind, original: &Server) -> Result<Server> {
        let directory = tempfile::Builder::new().prefix("quorate-e2e-").tempdir()?;
        let config = original.config.clone();
        let mut server = Server { kind, config, directory, port: free_port()?, child: None };
        let (from, to) = (original.data_directory(), server.data_directory());
        fs::create_dir_all(to.join("version-2"))?;
        for entry in fs::read_dir(from.join("version-2"))? {
            let entry = entry?;
            fs::copy(entry.path(), to.join("version-2").join(entry.file_name()))?;
        }
        server.spawn()?;
        Ok(server)
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The directory that holds `version-2` of logs and snapshots.
    #[must_use]
    pub fn data_directory(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Which server it is.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Ends the process with SIGTERM.
    ///
    /// # Errors
    /// If it cannot be signalled.
    pub fn stop(&mut self) -> Result<()> {
        let Some(child) = self.child.take() else { return Ok(()) };
        terminate(child).with_context(|| self.kind.to_string()).map(drop)
    }

    /// Ends the process with SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// If it cannot be signalled.
    pub fn kill(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Starts a stopped server again, as `kind`, on the same port and directory.
    ///
    /// # Errors
    /// As for [`Server::start`].
    pub fn start_again_as(&mut self, kind: Kind) -> Result<()> {
        self.kind = kind;
        self.spawn()
    }

    /// Starts a stopped server again.
    ///
    /// # Errors
    /// As for [`Server::start`].
    pub fn start_again(&mut self) -> Result<()> {
        self.spawn()
    }

    fn spawn(&mut self) -> Result<()> {
        let data = self.data_directory();
        fs::create_dir_all(&data)?;
        unbegun::remove_for(&self.kind, &data)?;
        let path = self.directory.path().join("zoo.cfg");
        fs::write(&path, self.file(&data))?;
        let log = File::options().create(true).append(true).open(self.log_path())?;
        let child = self
            .kind
            .command()?
            .arg(&path)
            .env("SERVER_JVMFLAGS", self.jvm_flags())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", self.kind))?;
        self.child = Some(child);
        self.wait_until_serving()
    }

    fn file(&self, data: &Path) -> String {
        let mut text = format!(
            "dataDir={}\nclientPort={}\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n",
            data.display(),
            self.port
        );
        let properties = if self.kind.is_ours() { &self.config.properties[..] } else { &[] };
        for line in self.config.lines.iter().chain(properties) {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    fn jvm_flags(&self) -> String {
        self.config.properties.iter().map(|p| format!("-D{p} ")).collect()
    }

    /// A server is up when a four-letter word is answered: that needs no session, so that the
    /// first transaction stays the test's.
    fn wait_until_serving(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_TIME_MAX;
        loop {
            if let Some(child) = &mut self.child
                && let Some(status) = child.try_wait()?
            {
                self.child = None;
                bail!("{} ended at its start ({status}): {}", self.kind, self.log_tail());
            }
            if raw::word(self.address(), "srvr").is_ok_and(|reply| reply.contains("Mode: ")) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{} does not serve after {START_TIME_MAX:?}: {}", self.kind, self.log_tail());
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// The end of what the server wrote to stdout and stderr.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let bytes = fs::read(self.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(LOG_TAIL)..]).into_owned()
    }

    /// A connection without a session.
    ///
    /// # Errors
    /// If the server does not accept.
    pub fn connect(&self) -> Result<Connection> {
        Connection::open(self.address())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The directory goes next: nothing is left to lose by a hard end.
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A port that nobody listened on a moment ago.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
