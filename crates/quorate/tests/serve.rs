//! `quorate serve` as a process: arguments, exit codes, signals, and what a kill leaves.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod shell;

use jute::{Encode, Reader};
use std::borrow::Cow;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use wire::{Acls, ConnectRequest, CreateRequest, OpCode, PathWatchRequest, RequestHeader};

struct Served {
    child: Child,
    port: u16,
    log: BufReader<std::process::ChildStderr>,
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    command.args(arguments).env_remove("QUORATE_LOG").env_remove("SERVER_JVMFLAGS");
    command
}

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

impl Served {
    /// Starts a server and waits until it serves.
    fn start(dir: &Path, more: &[&str]) -> Served {
        let dir = dir.to_str().unwrap();
        let first = ["serve", "--port", "0", "--data-dir", dir];
        Served::spawn(&mut command(&[&first, more].concat()))
    }

    fn spawn(command: &mut Command) -> Served {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut port = 0;
        let mut line = String::new();
        while !line.contains("serving") {
            line.clear();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "it ended");
            if let Some((_, address)) = line.split_once("binding to port /0.0.0.0:") {
                let digits: String = address.chars().take_while(char::is_ascii_digit).collect();
                port = digits.parse().unwrap();
            }
        }
        Served { child, port, log }
    }

    fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal)
            .unwrap();
    }

    /// Waits for its end; gives the exit code and the rest of its log.
    fn end(mut self) -> (Option<i32>, String) {
        let mut log = String::new();
        self.log.read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap().code(), log)
    }
}

/// A session on a raw socket.
struct Client(TcpStream);

impl Client {
    fn open(port: u16) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut client = Client(stream);
        let mut frame = Vec::new();
        let connect = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms: 20_000,
            session_id: 0,
            password: &[0; 16],
            read_only: None,
        };
        connect.encode(&mut frame);
        client.send(&frame);
        client.frame().expect("a session");
        client
    }

    fn send(&mut self, frame: &[u8]) {
        let length = i32::try_from(frame.len()).unwrap().to_be_bytes();
        self.0.write_all(&[&length, frame].concat()).unwrap();
    }

    fn request(&mut self, op: OpCode, body: impl FnOnce(&mut Vec<u8>)) {
        let mut frame = Vec::new();
        RequestHeader { xid: 1, op: op.number() }.encode(&mut frame);
        body(&mut frame);
        self.send(&frame);
    }

    fn create(&mut self, path: &str) {
        let path = Cow::Borrowed(path);
        let request =
            CreateRequest { path, data: None, acl: Some(Acls::OPEN), flags: 0, ttl_ms: -1 };
        self.request(OpCode::Create, |out| request.encode(out));
    }

    fn exists(&mut self, path: &str) -> bool {
        let request = PathWatchRequest { path: Cow::Borrowed(path), watch: false };
        self.request(OpCode::Exists, |out| request.encode(out));
        self.error() == Some(0)
    }

    /// The next reply's error; `None` at the end.
    fn error(&mut self) -> Option<i32> {
        let frame = self.frame()?;
        let mut reader = Reader::new(&frame);
        reader.int().unwrap();
        reader.long().unwrap();
        Some(reader.int().unwrap())
    }

    fn frame(&mut self) -> Option<Vec<u8>> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).ok()?;
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
        self.0.read_exact(&mut frame).ok()?;
        Some(frame)
    }
}

#[test]
fn either_signal_stops_it_in_good_order() {
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
        let dir = tempfile::tempdir().unwrap();
        let served = Served::start(dir.path(), &[]);
        let mut client = Client::open(served.port);
        for node in 0..100 {
            client.create(&format!("/n{node}"));
        }
        served.signal(signal);
        let mut answered = 0;
        while let Some(error) = client.error() {
            assert_eq!(error, 0);
            answered += 1;
        }
        let (code, log) = served.end();
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("Exiting normally"), "{log}");
        let again = Served::start(dir.path(), &[]);
        let mut client = Client::open(again.port);
        assert!((0..answered).all(|node| client.exists(&format!("/n{node}"))));
        again.signal(signal);
        assert_eq!(again.end().0, Some(0));
    }
}

#[test]
fn a_kill_loses_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 1..=5 {
        let served =
            Served::start(dir.path(), &["--set", "snapCount=20", "--set", "preAllocSize=64"]);
        let mut client = Client::open(served.port);
        for node in 0..acknowledged {
            assert!(client.exists(&format!("/n{node}")), "{node} in round {round}");
        }
        // Some of an earlier round may be there without an answer; those are passed over.
        for node in acknowledged..acknowledged + 200 {
            client.create(&format!("/n{node}"));
        }
        for _ in 0..round * 10 {
            client.error().unwrap();
            acknowledged += 1;
        }
        served.signal(rustix::process::Signal::KILL);
        let _ = served.end();
    }
    assert_eq!(acknowledged, 150);
}

#[test]
fn a_flood_of_connections_leaves_files_for_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let quorate = env!("CARGO_BIN_EXE_quorate");
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 100; exec \"$0\" \"$@\"", quorate]);
    limited.args(["serve", "--port", "0", "--set", "maxClientCnxns=0", "--set", "snapCount=10"]);
    let served = Served::spawn(limited.arg("--data-dir").arg(dir.path()));
    let mut client = Client::open(served.port);
    let flood: Vec<TcpStream> =
        (0..300).map(|_| TcpStream::connect(("127.0.0.1", served.port)).unwrap()).collect();
    for node in 0..100 {
        client.create(&format!("/n{node}"));
        assert_eq!(client.error(), Some(0), "{node}");
    }
    drop(flood);
    served.signal(rustix::process::Signal::TERM);
    let (code, log) = served.end();
    assert_eq!(code, Some(0));
    assert!(log.contains("Too many connections max allowed is"), "{log}");
    assert!(!log.contains("ERROR"), "{log}");
}

#[test]
fn a_bad_configuration_is_told_whole_and_ends_with_2() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("zoo.cfg");
    std::fs::write(&file, "dataDir=/nonexistent\nclientPort=no\ntickTime=-5\n").unwrap();
    let output = run(&["serve", file.to_str().unwrap()]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("zoo.cfg line 2") && text.contains("zoo.cfg line 3"), "{text}");
    assert_eq!(run(&["serve", "/nonexistent/zoo.cfg"]).status.code(), Some(2));
    assert_eq!(run(&["serve", "--log-level", "nonsense=loud"]).status.code(), Some(2));
    assert_eq!(run(&["serve", "--no-such-flag"]).status.code(), Some(2));
}

#[test]
fn a_port_in_use_ends_with_1_and_an_unusable_directory_with_3() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(dir.path(), &[]);
    let port = served.port.to_string();
    let other = tempfile::tempdir().unwrap();
    let other = other.path().to_str().unwrap();
    let output = run(&["serve", "--port", &port, "--data-dir", other]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("cannot listen on") && text.contains("clientPort"), "{text}");
    let output = run(&["serve", "--port", "0", "--data-dir", "/dev/null/x"]);
    assert_eq!(output.status.code(), Some(3));
    let output = run(&["serve", "--port", "0", "--data-dir", dir.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8(output.stderr).unwrap().contains("in use by another"));
    served.signal(rustix::process::Signal::TERM);
    assert_eq!(served.end().0, Some(0));
}

#[test]
fn corrupt_data_is_named_and_ends_with_1() {
    let dir = tempfile::tempdir().unwrap();
    let version = dir.path().join("version-2");
    std::fs::create_dir_all(&version).unwrap();
    std::fs::write(version.join("snapshot.5"), b"this is no snapshot").unwrap();
    let arguments = ["serve", "--port", "0", "--set", "zookeeper.db.autocreate=false"];
    std::fs::write(
        version.join("log.1"),
        [b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0".as_slice(), &[7; 64]].concat(),
    )
    .unwrap();
    let output = run(&[&arguments[..], &["--data-dir", dir.path().to_str().unwrap()]].concat());
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("version-2"), "{text}");
}

#[test]
fn logs_come_as_text_or_as_json_at_the_level_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(dir.path(), &["--log-format", "json", "--log-level", "debug"]);
    let mut client = Client::open(served.port);
    client.create("/a");
    assert_eq!(client.error(), Some(0));
    served.signal(rustix::process::Signal::TERM);
    let (code, log) = served.end();
    assert_eq!(code, Some(0));
    assert!(log.lines().all(|line| line.starts_with('{') && line.ends_with('}')), "{log}");
    assert!(log.contains("\"level\":\"DEBUG\"") && log.contains("session opened"), "{log}");
}

#[test]
fn version_and_help_are_there() {
    let output = run(&["--version"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text, format!("quorate {}\n", env!("CARGO_PKG_VERSION")));
    let output = run(&["serve", "--help"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for word in ["--port", "--data-dir", "--set", "--log-level", "QUORATE_LOG", "Exit codes"] {
        assert!(text.contains(word), "{word} in {text}");
    }
}
