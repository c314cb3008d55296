//! Members that come and go while the ensemble runs.

use super::client::{Client, word};
use super::options;
use crate::Server;
use config::Sources;
use jute::{Decode, Reader};
use std::cell::Cell;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use wire::{ErrorCode, OpCode, Stat};

/// An ensemble on loopback, each server with a file of its own.
struct Ensemble {
    dir: tempfile::TempDir,
    lines: Vec<String>,
    servers: Vec<Option<Server>>,
    written: Cell<u32>,
}

impl Ensemble {
    /// Servers 1 to 3.
    fn start(keys: &str) -> Ensemble {
        let dir = tempfile::tempdir().unwrap();
        let ports = free_ports(4 * 3);
        let line = |(n, ports): (usize, &[u16])| {
            let (quorum, election, client) = (ports[0], ports[1], ports[2]);
            format!("server.{}=127.0.0.1:{quorum}:{election}:participant;127.0.0.1:{client}", n + 1)
        };
        let lines: Vec<String> = ports.chunks(3).enumerate().map(line).collect();
        let servers = (0..4).map(|_| None).collect();
        let mut ensemble = Ensemble { dir, lines, servers, written: Cell::new(0) };
        for id in 1..=3 {
            ensemble.write(id, &ensemble.lines[..3].join("\n"), keys);
            ensemble.run(id);
        }
        ensemble
    }

    fn file(&self, id: usize) -> PathBuf {
        self.dir.path().join(format!("{id}.cfg"))
    }

    fn write(&self, id: usize, servers: &str, keys: &str) {
        let data = self.dir.path().join(id.to_string());
        fs::create_dir(&data).unwrap();
        fs::write(data.join("myid"), id.to_string()).unwrap();
        // Over Raft a leader that says nothing for a tick is given up.
        let tick = if keys.contains("engine=raft") { 1000 } else { 200 };
        let text = format!(
            "# a comment\ndataDir={}\ntickTime={tick}\ninitLimit=50\nsyncLimit=25\n\
             preAllocSize=64\nskipACL=yes\n4lw.commands.whitelist=*\n{keys}\n{servers}\n",
            data.display()
        );
        fs::write(self.file(id), text).unwrap();
    }

    /// Starts a server with the files as they are.
    fn run(&mut self, id: usize) {
        let (file, read) = (self.file(id), |path: &Path| Ok(fs::read(path).ok()));
        let sources = Sources::new().file(file.to_str().unwrap(), &fs::read(&file).unwrap());
        let loaded = sources.config_with_files(&read).unwrap();
        self.servers[id - 1] = Some(Server::start(loaded.config, options()).unwrap());
    }

    fn stop(&mut self, id: usize) {
        if let Some(server) = self.servers[id - 1].take() {
            server.stop();
        }
    }

    fn address(&self, id: usize) -> SocketAddr {
        self.servers[id - 1].as_ref().unwrap().address()
    }

    /// A session, as soon as the server serves.
    fn client(&self, id: usize) -> Client {
        let until = Instant::now() + PATIENCE;
        loop {
            let mut client = Client::dial(self.address(id));
            if client.handshake(0, &[0; 16]).is_some() {
                return client;
            }
            assert!(Instant::now() < until, "server {id} does not serve");
            std::thread::sleep(PAUSE);
        }
    }

    /// Waits until these servers have the configuration, then writes on each.
    fn have(&self, ids: &[usize], text: &str) {
        for &id in ids {
            let until = Instant::now() + PATIENCE;
            let has =
                || self.client(id).try_get("/zookeeper/config", false) == Some(Ok(text.into()));
            while !has() {
                assert!(Instant::now() < until, "server {id} has another configuration");
                std::thread::sleep(PAUSE);
            }
            let mut client = self.client(id);
            self.written.set(self.written.get() + 1);
            assert_eq!(client.create(&format!("/n{}", self.written.get()), b""), 0);
        }
    }

    /// The id of the leader, as soon as there is one.
    fn leader(&self, ids: &[usize]) -> usize {
        let leads = |id: &&usize| word(self.address(**id), b"srvr").contains("Mode: leader\n");
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(leader) = ids.iter().find(leads) {
                return *leader;
            }
            assert!(Instant::now() < until, "nobody leads");
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for Ensemble {
    fn drop(&mut self) {
        (1..=4).for_each(|id| self.stop(id));
    }
}

/// Ports that nobody has at the moment.
fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

fn change(
    client: &mut Client,
    joining: Option<&str>,
    leaving: Option<&str>,
) -> Result<String, i32> {
    change_by(client, [joining, leaving, None])
}

fn change_to(client: &mut Client, members: &str) -> Result<String, i32> {
    change_by(client, [None, None, Some(members)])
}

/// Who joins, who leaves, or all members.
fn change_by(client: &mut Client, texts: [Option<&str>; 3]) -> Result<String, i32> {
    let answer = client.call(OpCode::Reconfig, |out| {
        for text in texts {
            jute::put_buffer(out, text.map(str::as_bytes));
        }
        jute::put_long(out, -1);
    });
    if answer.header.err != 0 {
        return Err(answer.header.err);
    }
    let mut body = Reader::new(&answer.body);
    let text = String::from_utf8(body.buffer().unwrap().unwrap().to_vec()).unwrap();
    let stat = Stat::decode(&mut body).unwrap();
    assert!(text.ends_with(&format!("\nversion={:x}", stat.mzxid)), "{text}");
    Ok(text)
}

#[test]
fn members_join_leave_and_change_and_a_restart_finds_the_last_configuration() {
    let keys = "reconfigEnabled=true";
    let mut ensemble = Ensemble::start(keys);
    let first = format!("{}\nversion=100000000", ensemble.lines[..3].join("\n"));
    ensemble.have(&[1, 2, 3], &first);
    let file = ensemble.file(1);
    let dynamic = |version: &str| PathBuf::from(format!("{}.dynamic.{version}", file.display()));
    assert_eq!(fs::read_to_string(dynamic("100000000")).unwrap(), ensemble.lines[..3].join("\n"));
    let backup = fs::read_to_string(format!("{}.bak", file.display())).unwrap();
    assert!(backup.contains("server.1=") && backup.contains("# a comment"), "{backup}");

    // One joins, which begins with the others and itself.
    ensemble.write(4, &ensemble.lines.join("\n"), keys);
    ensemble.run(4);
    drop(ensemble.client(4));
    let joiner = ensemble.lines[3].clone();
    let joined = change(&mut ensemble.client(1), Some(&joiner), None).unwrap();
    assert!(joined.contains(&joiner), "{joined}");
    ensemble.have(&[1, 2, 3, 4], &joined);

    // The leader leaves, and hands over; it serves on without a vote.
    let leader = ensemble.leader(&[1, 2, 3, 4]);
    let left = change(&mut ensemble.client(leader), None, Some(&leader.to_string())).unwrap();
    assert!(!left.contains(&format!("server.{leader}=")), "{left}");
    ensemble.have(&[1, 2, 3, 4], &left);
    let next = ensemble.leader(&[1, 2, 3, 4]);
    assert_ne!(next, leader);

    // It comes back as an observer, and then as a voter.
    let observer = ensemble.lines[leader - 1].replace(":participant;", ":observer;");
    let observed = change(&mut ensemble.client(next), Some(&observer), None).unwrap();
    ensemble.have(&[1, 2, 3, 4], &observed);
    let voter = ensemble.lines[leader - 1].clone();
    let voting = change(&mut ensemble.client(next), Some(&voter), None).unwrap();
    ensemble.have(&[1, 2, 3, 4], &voting);

    leave_move_and_restart(&mut ensemble, leader, next);
}

/// Over Raft changes go through joint configurations, and who is removed is served no more.
#[test]
fn over_raft_members_join_leave_and_change_as_well() {
    let keys = "reconfigEnabled=true\nengine=raft";
    let mut ensemble = Ensemble::start(keys);
    let first = format!("{}\nversion=0", ensemble.lines[..3].join("\n"));
    ensemble.have(&[1, 2, 3], &first);
    ensemble.write(4, &ensemble.lines.join("\n"), &format!("{keys}\nquorate.join=true"));
    ensemble.run(4);
    let joiner = ensemble.lines[3].clone();
    let joined = change(&mut ensemble.client(1), Some(&joiner), None).unwrap();
    assert!(joined.contains(&joiner), "{joined}");
    ensemble.have(&[1, 2, 3, 4], &joined);
    let version = joined.rsplit('=').next().unwrap();
    let dynamic = format!("{}.dynamic.{version}", ensemble.file(1).display());
    assert_eq!(fs::read_to_string(dynamic).unwrap(), ensemble.lines.join("\n"));

    // The leader leaves, and hands over.
    let leader = ensemble.leader(&[1, 2, 3, 4]);
    let left = change(&mut ensemble.client(leader), None, Some(&leader.to_string())).unwrap();
    assert!(!left.contains(&format!("server.{leader}=")), "{left}");
    let rest: Vec<usize> = (1..=4).filter(|id| *id != leader).collect();
    ensemble.have(&rest, &left);
    let next = ensemble.leader(&rest);

    // It comes back as an observer, and then as a voter.
    let observer = ensemble.lines[leader - 1].replace(":participant;", ":observer;");
    let observed = change(&mut ensemble.client(next), Some(&observer), None).unwrap();
    ensemble.have(&[1, 2, 3, 4], &observed);
    assert!(word(ensemble.address(leader), b"srvr").contains("Mode: observer\n"));
    let voter = ensemble.lines[leader - 1].clone();
    let voting = change(&mut ensemble.client(next), Some(&voter), None).unwrap();
    ensemble.have(&[1, 2, 3, 4], &voting);
    assert!(word(ensemble.address(leader), b"srvr").contains("Mode: follower\n"));

    let groups = format!("{}\ngroup.1=1:2:3", ensemble.lines[..3].join("\n"));
    let refused = change_to(&mut ensemble.client(next), &groups);
    assert_eq!(refused, Err(ErrorCode::BadArguments.number()), "Raft knows majorities alone");
    leave_move_and_restart(&mut ensemble, leader, next);
}

/// Of four, `leader` one that follows by now and `next` the one that leads.
fn leave_move_and_restart(ensemble: &mut Ensemble, leader: usize, next: usize) {
    // A follower leaves.
    let follower = (1..=4).find(|id| *id != next && *id != leader).unwrap();
    let text = change(&mut ensemble.client(follower), None, Some(&follower.to_string())).unwrap();
    let rest: Vec<usize> = (1..=4).filter(|id| *id != follower).collect();
    ensemble.have(&rest, &text);
    let refused = change(&mut ensemble.client(next), Some("server.9=127.0.0.1:1:2"), None);
    assert_eq!(refused, Err(ErrorCode::BadArguments.number()));

    // One moves to another port for its clients; who is there stays there.
    let moves = rest.iter().copied().find(|id| *id != next).unwrap();
    let port = free_ports(1)[0];
    let (line, _) = ensemble.lines[moves - 1].rsplit_once(':').unwrap();
    let line = format!("{line}:{port}");
    let mut stays = ensemble.client(moves);
    let text = change(&mut ensemble.client(next), Some(&line), None).unwrap();
    let until = Instant::now() + PATIENCE;
    while ensemble.address(moves).port() != port {
        assert!(Instant::now() < until, "it does not move");
        std::thread::sleep(PAUSE);
    }
    ensemble.have(&rest, &text);
    assert_eq!(stays.get("/zookeeper/config", false), Ok(text.clone().into_bytes()));

    // All that is left starts again with what was written.
    (1..=4).for_each(|id| ensemble.stop(id));
    rest.iter().for_each(|id| ensemble.run(*id));
    ensemble.have(&rest, &text);
    let version = text.rsplit('=').next().unwrap();
    for id in rest {
        let written = fs::read_to_string(ensemble.file(id)).unwrap();
        assert!(written.contains(&format!(".dynamic.{version}\n")), "{written}");
        assert!(written.starts_with("# a comment\n") && !written.contains("server."), "{written}");
        assert!(!PathBuf::from(format!("{}.dynamic.next", ensemble.file(id).display())).exists());
    }
}

#[test]
fn without_reconfiguration_the_file_counts_and_stays_as_it_is() {
    let ensemble = Ensemble::start("reconfigEnabled=false");
    let text = format!("{}\nversion=0", ensemble.lines[..3].join("\n"));
    ensemble.have(&[1, 2, 3], &text);
    let refused = change(&mut ensemble.client(2), None, Some("3"));
    assert_eq!(refused, Err(ErrorCode::ReconfigDisabled.number()));
    assert!(fs::read_to_string(ensemble.file(2)).unwrap().contains("server.3="));
    let names = fs::read_dir(ensemble.dir.path()).unwrap();
    assert!(names.flatten().all(|entry| !entry.file_name().to_string_lossy().contains("dynamic")));
}

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(20);
