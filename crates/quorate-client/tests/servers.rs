//! Servers to test against: named by the environment, or started in directories of their own.

use quorate_client::Client;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs};

/// Where Debian puts the reference.
const REFERENCE_JAR: &str = "/usr/share/java/zookeeper.jar";
/// A JVM on a busy machine needs seconds.
const START_TIME_MAX: Duration = Duration::from_secs(90);

/// A running server; it is killed when it is dropped.
pub struct Server {
    pub hosts: String,
    process: Option<(Child, tempfile::TempDir)>,
}

impl Server {
    /// The servers that `QUORATE_TEST_HOSTS` names.
    pub fn named() -> Option<Server> {
        Some(Server { hosts: env::var("QUORATE_TEST_HOSTS").ok()?, process: None })
    }

    /// Debian's ZooKeeper, if it is installed.
    pub async fn reference() -> Option<Server> {
        if !Path::new(REFERENCE_JAR).exists() {
            return absent("no reference: install Debian's libzookeeper-java");
        }
        Some(Server::start(reference("3.8")).await)
    }

    /// The version that ours behaves as, if the install script has fetched it.
    pub async fn newest_reference() -> Option<Server> {
        let cache = env::var_os("QUORATE_CACHE").map(PathBuf::from);
        let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache/quorate"));
        let cache = cache.or_else(home).unwrap_or_default();
        if !cache.join("zookeeper-3.9.5/.ok").exists() {
            // A large download: nobody is required to have it.
            eprintln!("skipped: no reference 3.9: run .ci/install --full");
            return None;
        }
        Some(Server::start(reference("3.9")).await)
    }

    /// Ours, if it is built.
    pub async fn quorate() -> Option<Server> {
        let Some(mut command) = quorate() else {
            return absent("no quorate: build it, or name it by QUORATE_BIN");
        };
        command.arg("serve");
        Some(Server::start(command).await)
    }

    /// Member 1 of an ensemble of Debian's ZooKeeper that has so many members; the others never
    /// start, so that one of three has no quorum. It serves reads then, and may be reconfigured.
    pub async fn member_of(members: usize) -> Option<Server> {
        if !Path::new(REFERENCE_JAR).exists() {
            return absent("no reference: install Debian's libzookeeper-java");
        }
        let mut command = reference("3.8");
        command.env("SERVER_JVMFLAGS", "-Dreadonlymode.enabled=true");
        Some(Server::start_with(command, &member_lines(members)).await)
    }

    /// The same of ours, if it is built.
    pub async fn own_member_of(members: usize) -> Option<Server> {
        let Some(mut command) = quorate() else {
            return absent("no quorate: build it, or name it by QUORATE_BIN");
        };
        command.arg("serve");
        let mut lines = member_lines(members);
        lines.push("readonlymode.enabled=true".to_owned());
        Some(Server::start_with(command, &lines).await)
    }

    async fn start(command: Command) -> Server {
        Server::start_with(command, &["extendedTypesEnabled=true".to_owned()]).await
    }

    async fn start_with(mut command: Command, more: &[String]) -> Server {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let data = directory.path().join("data");
        let config = directory.path().join("zoo.cfg");
        let lines = [
            "tickTime=500".to_owned(),
            format!("dataDir={}", data.display()),
            format!("clientPort={port}"),
            "clientPortAddress=127.0.0.1".to_owned(),
            "maxClientCnxns=0".to_owned(),
            "admin.enableServer=false".to_owned(),
        ];
        fs::write(&config, [&lines, more].concat().join("\n")).unwrap();
        fs::create_dir(&data).unwrap();
        fs::write(data.join("myid"), "1").unwrap();
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let child = command
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let server =
            Server { hosts: format!("127.0.0.1:{port}"), process: Some((child, directory)) };
        let connect =
            Client::builder(&server.hosts).read_only(true).connect_timeout(START_TIME_MAX);
        if let Err(error) = connect.connect().await {
            panic!("the server did not start: {error}\n{}", server.log());
        }
        server
    }

    /// Whether it was started here.
    pub fn is_ours(&self) -> bool {
        self.process.is_some()
    }

    fn log(&self) -> String {
        let Some((_, directory)) = &self.process else { return String::new() };
        fs::read_to_string(directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.process {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Where a member is reached by the others: ports for the quorum and for elections.
pub fn member_address() -> String {
    format!("127.0.0.1:{}:{}", free_port(), free_port())
}

/// A server that is not there: said aloud, and a failure where all are required.
fn absent(why: &str) -> Option<Server> {
    assert!(env::var_os("QUORATE_TEST_REQUIRED").is_none(), "{why}");
    eprintln!("skipped: {why}");
    None
}

fn reference(version: &str) -> Command {
    let mut command = Command::new(repository().join("interop/reference"));
    command.arg(version);
    command
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn member_lines(members: usize) -> Vec<String> {
    let mut lines: Vec<String> = ["initLimit=5", "syncLimit=5", "standaloneEnabled=false"]
        .into_iter()
        .chain(["reconfigEnabled=true", "skipACL=yes"])
        // Without a quorum Java's servers can make only local sessions.
        .chain(["localSessionsEnabled=true", "localSessionsUpgradingEnabled=true"])
        .map(str::to_owned)
        .collect();
    lines.extend((1..=members).map(|id| format!("server.{id}={}", member_address())));
    lines
}

fn quorate() -> Option<Command> {
    quorate_binary().map(Command::new)
}

fn quorate_binary() -> Option<PathBuf> {
    if let Some(path) = env::var_os("QUORATE_BIN") {
        return Some(PathBuf::from(path));
    }
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from);
    ["release/quorate", "debug/quorate"]
        .map(|name| target.join(name))
        .into_iter()
        .find(|p| p.exists())
}
