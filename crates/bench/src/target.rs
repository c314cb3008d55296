//! The servers under measurement: given by address, or started from a command for the time of the run.
//!
//! Invariant: a server that was started here ends, and its directory goes, when its [`Target`] is dropped.

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// One server, or an ensemble.
#[derive(Debug)]
pub struct Target {
    /// What it is called in reports.
    pub label: String,
    /// Connections are spread over these.
    pub hosts: Vec<SocketAddr>,
    /// Processes whose cost is measured.
    pub pids: Vec<u32>,
    started: Option<Started>,
}

#[derive(Debug)]
struct Started {
    child: Child,
    directory: tempfile::TempDir,
}

impl Target {
    /// Reads `HOST:PORT[:PID][,...]`.
    ///
    /// # Errors
    /// If that is not what `text` is, or a name has no address.
    pub fn parse(label: &str, text: &str) -> Result<Target> {
        let mut target = Target {
            label: if label.is_empty() { text.to_owned() } else { label.to_owned() },
            hosts: Vec::new(),
            pids: Vec::new(),
            started: None,
        };
        for part in text.split(',') {
            let (host, pid) = split_pid(part);
            let mut found = host.to_socket_addrs().with_context(|| format!("bad host {host:?}"))?;
            target.hosts.push(found.next().with_context(|| format!("{host} has no address"))?);
            target.pids.extend(pid);
        }
        Ok(target)
    }

    /// Starts a server: `command` with `{cfg}` replaced by the path of a `zoo.cfg` made for it, its data in a
    /// new directory under `parent`. `lines` are added to the file.
    ///
    /// # Errors
    /// If it does not serve within a minute; the end of its log is in the message.
    pub fn start(label: &str, command: &str, parent: &Path, lines: &[String]) -> Result<Target> {
        let directory = tempfile::Builder::new().prefix("quorate-bench-").tempdir_in(parent)?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let data = directory.path().join("data");
        fs::create_dir(&data)?;
        let mut text = format!(
            "dataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\nmaxClientCnxns=0\n\
             tickTime=2000\nadmin.enableServer=false\n4lw.commands.whitelist=*\n",
            data.display()
        );
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        let cfg = directory.path().join("zoo.cfg");
        fs::write(&cfg, text)?;
        let log = File::create(directory.path().join("log"))?;
        let command = command.replace("{cfg}", &cfg.display().to_string());
        // The shell is replaced by the server, so the child's pid is the server's.
        let child = Command::new("sh")
            .arg("-c")
            .arg(format!("exec {command}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start a shell")?;
        let pids = vec![child.id()];
        let hosts = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
        let started = Some(Started { child, directory });
        let label = if label.is_empty() { command.as_str() } else { label }.to_owned();
        let mut target = Target { label, hosts, pids, started };
        target.wait_until_serving().with_context(|| format!("server {:?}", target.label))?;
        Ok(target)
    }

    fn wait_until_serving(&mut self) -> Result<()> {
        let Some(started) = &mut self.started else { return Ok(()) };
        let deadline = Instant::now() + START_TIME_MAX;
        while !serves(self.hosts[0]) {
            let log = || fs::read_to_string(started.directory.path().join("log"));
            if let Some(status) = started.child.try_wait()? {
                bail!("it ended at its start ({status}): {}", tail(&log()?));
            }
            if Instant::now() > deadline {
                bail!("it does not serve after {START_TIME_MAX:?}: {}", tail(&log()?));
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let Some(started) = &mut self.started else { return };
        let pid = i32::try_from(started.child.id()).ok().and_then(Pid::from_raw);
        let asked = pid.is_some_and(|pid| rustix::process::kill_process(pid, Signal::TERM).is_ok());
        let deadline = Instant::now() + STOP_TIME_MAX;
        while asked && Instant::now() < deadline {
            if !matches!(started.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(POLL_INTERVAL);
        }
        // It would not go; an error here means that it has gone.
        let _ = started.child.kill();
        let _ = started.child.wait();
    }
}

/// A pid stands after a second colon; not in an IPv6 address, whose brackets end before the port.
fn split_pid(text: &str) -> (&str, Option<u32>) {
    let colons = text.rsplit(']').next().unwrap_or(text).matches(':').count();
    match text.rsplit_once(':') {
        Some((host, pid)) if colons == 2 => match pid.parse() {
            Ok(pid) => (host, Some(pid)),
            Err(_) => (text, None),
        },
        Some(_) | None => (text, None),
    }
}

/// A server serves when `srvr` says its mode.
fn serves(host: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(host)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"srvr")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.contains("Mode: "))
}

fn tail(log: &str) -> &str {
    let start = log.char_indices().rev().nth(LOG_TAIL).map_or(0, |(at, _)| at);
    &log[start..]
}

/// A JVM on a busy machine needs seconds.
const START_TIME_MAX: Duration = Duration::from_secs(60);
/// How long a server may take to end after SIGTERM before it is killed.
const STOP_TIME_MAX: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How much of a failed server's log is shown, in characters.
const LOG_TAIL: usize = 2000;

#[cfg(test)]
mod tests {
    use super::{Target, split_pid, tail};

    #[test]
    fn a_pid_is_told_from_a_port() {
        assert_eq!(split_pid("h:2181"), ("h:2181", None));
        assert_eq!(split_pid("h:2181:77"), ("h:2181", Some(77)));
        assert_eq!(split_pid("[::1]:2181"), ("[::1]:2181", None));
        assert_eq!(split_pid("[::1]:2181:77"), ("[::1]:2181", Some(77)));
        let target = Target::parse("", "127.0.0.1:1:5,127.0.0.1:2:6").unwrap();
        assert_eq!((target.hosts.len(), target.pids.clone()), (2, vec![5, 6]));
        assert!(Target::parse("", "127.0.0.1:x").is_err());
    }

    #[test]
    fn a_server_that_ends_at_its_start_says_why() {
        let parent = std::env::temp_dir();
        let failed = Target::start("x", "echo {cfg} is broken >&2; exit 3", &parent, &[]);
        let text = format!("{:#}", failed.expect_err("it ended"));
        assert!(text.contains("zoo.cfg is broken"), "{text}");
        assert_eq!(tail("short"), "short");
    }
}
