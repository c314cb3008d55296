//! Whole servers on loopback, spoken to in raw bytes.

mod client;
mod ends;
mod ensemble;
mod limits;
mod reconfiguration;
mod slow_disk;

use crate::{LockError, Options, Server, StartError};
use client::{Client, create, get, set, word};
use config::{Config, Sources};
use std::net::SocketAddr;
use std::path::Path;
use storage::simulated::{Operation, SimulatedDisk};
use wire::{ErrorCode, OpCode, xid};

const NO_NODE: i32 = -101;

/// A configuration on any free port.
pub(crate) fn config(dir: &Path, options: &[(&str, &str)]) -> Config {
    let dir = dir.to_str().unwrap();
    let mut sources = Sources::new()
        .option("clientPort", "0")
        .option("clientPortAddress", "127.0.0.1")
        .option("dataDir", dir)
        .option("4lw.commands.whitelist", "*")
        .option("preAllocSize", "64");
    for (key, value) in options {
        sources = sources.option(key, value);
    }
    sources.config().unwrap().config
}

fn options() -> Options {
    Options { workers: 2, version: "3.9.5-test, built on today".to_owned() }
}

/// A server with a directory of its own.
struct Running {
    server: Option<Server>,
    address: SocketAddr,
    dir: tempfile::TempDir,
}

impl Running {
    fn start(options: &[(&str, &str)]) -> Running {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(config(dir.path(), options), self::options()).unwrap();
        Running { address: server.address(), server: Some(server), dir }
    }

    fn stop(&mut self) {
        self.server.take().unwrap().stop();
    }

    fn restart(&mut self) {
        self.stop();
        let server = Server::start(config(self.dir.path(), &[]), options()).unwrap();
        self.address = server.address();
        self.server = Some(server);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop();
        }
    }
}

#[test]
fn what_was_acknowledged_is_there_after_a_restart_and_so_is_the_session() {
    let mut running = Running::start(&[]);
    let mut client = Client::dial(running.address);
    let session = client.handshake(0, &[0; 16]).unwrap();
    assert_eq!(client.create("/a", b"one"), 0);
    assert_eq!(client.set("/a", b"two"), 0);
    assert_eq!(client.create("/a", b"again"), ErrorCode::NodeExists.number());
    running.restart();
    let mut client = Client::dial(running.address);
    let renewed = client.handshake(session.session_id, &session.password).unwrap();
    assert_eq!(renewed.session_id, session.session_id);
    assert_eq!(client.get("/a", false), Ok(b"two".to_vec()));
    assert_eq!(client.delete("/a"), 0);
    assert_eq!(client.get("/a", false), Err(NO_NODE));
}

#[test]
fn a_watch_fires_on_another_connection() {
    let running = Running::start(&[]);
    let mut watcher = Client::open(running.address);
    let mut writer = Client::open(running.address);
    writer.create("/w", b"1");
    watcher.get("/w", true).unwrap();
    writer.set("/w", b"2");
    let event = watcher.answer().unwrap();
    assert_eq!(event.header.xid, xid::NOTIFICATION);
    assert!(event.body.ends_with(b"/w"));
}

#[test]
fn pipelined_reads_see_the_writes_before_them_and_none_behind() {
    let running = Running::start(&[]);
    let mut client = Client::open(running.address);
    client.create("/p", b"");
    for round in 0..200u8 {
        client.send(OpCode::SetData, |out| jute::Encode::encode(&set("/p", &[round]), out));
        client.send(OpCode::GetData, |out| jute::Encode::encode(&get("/p", false), out));
    }
    for round in 0..200u8 {
        assert_eq!(client.answer().unwrap().header.err, 0);
        let read = client.answer().unwrap();
        assert_eq!(jute::Reader::new(&read.body).buffer(), Ok(Some(&[round][..])));
    }
}

#[test]
fn a_silent_session_expires_and_its_nodes_go() {
    let options = [("tickTime", "50"), ("minSessionTimeout", "100"), ("maxSessionTimeout", "200")];
    let running = Running::start(&options);
    let mut silent = Client::open(running.address);
    let made = silent.call(OpCode::Create, |out| {
        wire::CreateRequest { flags: 1, ..create("/gone", b"") }.encode(out);
    });
    assert_eq!(made.header.err, 0);
    // This one is heard of, again and again, until the other's node is gone.
    let mut watcher = Client::open(running.address);
    while watcher.get("/gone", false).is_ok() {}
    assert_eq!(watcher.get("/gone", false), Err(NO_NODE));
    assert_eq!(silent.rest(), b"");
}

#[test]
fn words_tell_what_is_true() {
    let running = Running::start(&[]);
    let mut client = Client::open(running.address);
    client.create("/x", b"12345");
    client.get("/x", true).unwrap();
    assert_eq!(word(running.address, b"ruok"), "imok");
    assert_eq!(word(running.address, b"isro"), "rw");
    assert_eq!(word(running.address, b"stmk\0\0\0\0\0\0\x01\x02"), "258");
    assert_eq!(word(running.address, b"gtmk"), "258");
    assert_eq!(word(running.address, b"wchs"), "1 connections watching 1 paths\nTotal watches:1\n");
    assert!(word(running.address, b"wchp").starts_with("/x\n\t0x"));
    let mntr = word(running.address, b"mntr");
    for line in [
        "zk_server_state\tstandalone\n",
        "zk_znode_count\t6\n",
        "zk_watch_count\t1\n",
        "zk_global_sessions\t1\n",
        "zk_num_alive_connections\t2\n",
        "zk_cnt_fsynctime\t2\n",
        "zk_cnt_updatelatency\t1\n",
        "zk_cnt_readlatency\t1\n",
        "zk_connection_request_count\t1\n",
    ] {
        assert!(mntr.contains(line), "{line} in {mntr}");
    }
    let cons = word(running.address, b"cons");
    assert!(cons.contains("lop=GETD") && cons.contains("to=20000"), "{cons}");
    assert!(word(running.address, b"dump").contains("Session Sets (1)/(1):"));
    assert!(word(running.address, b"srvr").contains("Node count: 6\n"));
    assert_eq!(word(running.address, b"srst"), "Server stats reset.\n");
    assert!(word(running.address, b"mntr").contains("zk_cnt_fsynctime\t0\n"));
}

#[test]
fn metrics_tell_what_clients_did() {
    let running = Running::start(&[]);
    let mut client = Client::open(running.address);
    client.create("/app", b"12345");
    client.create("/app/node", b"");
    client.get("/app", true).unwrap();
    client.set("/app", b"1234567");
    client.delete("/app/node");
    let mut liar = Client::open(running.address);
    liar.send(OpCode::Auth, |out| {
        jute::put_int(out, 0);
        jute::put_string(out, "no such scheme");
        jute::put_buffer(out, Some(b"proof"));
    });
    liar.rest();
    let mntr = word(running.address, b"mntr");
    for line in [
        "zk_auth_failed_count\t1\n",
        // A deletion's reply is a bare header; the largest is that of getData.
        "zk_min_client_response_size\t16\n",
        "zk_max_client_response_size\t93\n",
        "zk_cnt_node_changed_watch_count\t1\n",
        "zk_sum_node_changed_watch_count\t1\n",
        "zk_cnt_node_created_watch_count\t0\n",
        "zk_cnt_app_read_per_namespace\t1\n",
        "zk_sum_app_read_per_namespace\t77\n",
        "zk_cnt_app_write_per_namespace\t4\n",
        "zk_sum_app_write_per_namespace\t38\n",
        "zk_cnt_startup_snap_load_time\t1\n",
        "zk_cnt_startup_txns_load_time\t1\n",
        "zk_sync_processor_request_queued\t6\n",
    ] {
        assert!(mntr.contains(line), "{line} in {mntr}");
    }
    for line in ["zk_watch_bytes\t0\n", "zk_cnt_prep_processor_queue_size\t0\n"] {
        assert!(!mntr.contains(line), "{line} in {mntr}");
    }
    word(running.address, b"srst");
    let mntr = word(running.address, b"mntr");
    assert!(mntr.contains("zk_auth_failed_count\t0\n"), "{mntr}");
    assert!(!mntr.contains("app_read_per_namespace"), "{mntr}");
}

#[test]
fn a_log_has_its_successor_ready_and_a_stop_leaves_none_behind() {
    let mut running = Running::start(&[("snapCount", "4")]);
    let mut client = Client::open(running.address);
    for node in 0..40 {
        assert_eq!(client.create(&format!("/n{node}"), b""), 0);
    }
    running.stop();
    let names: Vec<String> = std::fs::read_dir(running.dir.path().join("version-2"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.iter().filter(|name| name.starts_with("log.")).count() > 5, "{names:?}");
    assert!(!names.contains(&"new-log.tmp".to_owned()), "{names:?}");
    let server = Server::start(config(running.dir.path(), &[]), options()).unwrap();
    let mut client = Client::open(server.address());
    for node in 0..40 {
        assert!(client.get(&format!("/n{node}"), false).is_ok(), "{node}");
    }
    server.stop();
}

#[test]
fn words_outside_the_whitelist_are_refused() {
    let running = Running::start(&[("4lw.commands.whitelist", "srvr")]);
    let refusal = "ruok is not executed because it is not in the whitelist.\n";
    assert_eq!(word(running.address, b"ruok"), refusal);
    assert!(word(running.address, b"srvr").contains("Mode: standalone\n"));
}

#[test]
fn after_a_failed_sync_writes_are_refused_and_reads_go_on() {
    let disk = SimulatedDisk::default();
    // Nothing is reserved ahead, so that the sync which fails is the journal's.
    let config = config(Path::new("/data"), &[("preAllocSize", "0")]);
    let server = Server::start_on(disk.clone(), config.clone(), options()).unwrap();
    let mut client = Client::open(server.address());
    assert_eq!(client.create("/a", b"safe"), 0);
    let mut reader = Client::open(server.address());
    disk.fail_after(Operation::Sync, 0);
    // Nobody knows what became of this one: the connection is closed without an answer.
    client.send(OpCode::SetData, |out| jute::Encode::encode(&set("/a", b"lost"), out));
    assert_eq!(client.rest(), b"");
    assert_eq!(reader.get("/a", false), Ok(b"safe".to_vec()));
    assert_eq!(reader.set("/a", b"late"), ErrorCode::SystemError.number());
    assert_eq!(reader.get("/a", false), Ok(b"safe".to_vec()));
    assert!(word(server.address(), b"mntr").contains("zk_unrecoverable_error_count\t1\n"));
    assert_eq!(word(server.address(), b"ruok"), "imok");
    server.stop();
    let server = Server::start_on(disk, config, options()).unwrap();
    let data = Client::open(server.address()).get("/a", false).unwrap();
    assert!([&b"safe"[..], b"lost"].contains(&&data[..]), "{data:?}");
    server.stop();
}

#[test]
fn a_full_disk_refuses_writes_and_keeps_what_was_acknowledged() {
    let disk = SimulatedDisk::default();
    let config = config(Path::new("/data"), &[("preAllocSize", "64")]);
    let server = Server::start_on(disk.clone(), config.clone(), options()).unwrap();
    let mut client = Client::open(server.address());
    disk.set_capacity(Some(256 << 10));
    let mut reader = Client::open(server.address());
    let mut made = 0;
    loop {
        client.send(OpCode::Create, |out| create(&format!("/n{made}"), &[7; 20_000]).encode(out));
        match client.answer() {
            Some(answer) if answer.header.err == 0 => made += 1,
            Some(answer) => panic!("{answer:?}"),
            None => break,
        }
    }
    assert!(made > 5, "{made}");
    assert_eq!(reader.create("/late", b""), ErrorCode::SystemError.number());
    assert_eq!(reader.get("/n0", false).map(|data| data.len()), Ok(20_000));
    server.stop();
    disk.set_capacity(None);
    let server = Server::start_on(disk, config, options()).unwrap();
    let mut client = Client::open(server.address());
    for node in 0..made {
        assert_eq!(client.get(&format!("/n{node}"), false).map(|data| data.len()), Ok(20_000));
    }
    assert_eq!(client.create("/now", b""), 0);
    server.stop();
}

#[test]
fn a_stop_answers_what_was_taken_and_keeps_it() {
    let mut running = Running::start(&[]);
    let mut client = Client::open(running.address);
    for node in 0..500 {
        client.send(OpCode::Create, |out| create(&format!("/s{node}"), b"").encode(out));
    }
    running.stop();
    let mut answered = 0;
    while let Some(answer) = client.answer() {
        assert_eq!(answer.header.err, 0);
        answered += 1;
    }
    let server = Server::start(config(running.dir.path(), &[]), options()).unwrap();
    let mut client = Client::open(server.address());
    for node in 0..answered {
        assert!(client.get(&format!("/s{node}"), false).is_ok(), "{node} of {answered}");
    }
    // What was taken was answered: nothing is there that was not.
    assert_eq!(client.get(&format!("/s{answered}"), false), Err(NO_NODE));
    server.stop();
}

#[test]
fn what_is_in_use_is_said_with_its_exit_code() {
    let running = Running::start(&[]);
    let same_dir = Server::start(config(running.dir.path(), &[]), options()).err().unwrap();
    assert!(matches!(same_dir, StartError::DataDir(LockError::InUse(_))), "{same_dir}");
    assert_eq!(same_dir.exit_code(), 3);
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path(), &[]);
    config.listen.port = running.address.port();
    let same_port = Server::start(config, options()).err().unwrap();
    assert_eq!(same_port.exit_code(), 1);
    assert!(same_port.to_string().contains("choose another clientPort"), "{same_port}");
}
