//! Sessions that move between members of both kinds: what belongs to them moves along.

use anyhow::{Context, Result, ensure};
use e2e::ensemble::Ensemble;
use e2e::faults;
use e2e::load::create;
use e2e::play::{Client, Item, Session};
use e2e::program::{Hello, Request, Value};
use e2e::servers::{Kind, reference};
use e2e::tree;
use jute::Reader;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};
use wire::OpCode;

const OURS: Kind = Kind::Quorate;
/// The mode's number.
const EPHEMERAL: i32 = 1;
const NO_NODE: i32 = -101;
const SESSION_MOVED: i32 = -118;
/// Timeout of sessions that end, in ms.
const SHORT_TIMEOUT_MS: i32 = 1_000;
/// How long such a client pings.
const PING_TIME: Duration = Duration::from_millis(1_600);
/// How long such a session may outlive its client: a leader looks once a tick, and hears of
/// sessions from its followers every half.
const EXPIRY_TIME_MAX: Duration = Duration::from_secs(6);
/// Between two looks.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Three members of which the last leads.
fn ensemble(kinds: [Kind; 3]) -> Result<Ensemble> {
    let mut ensemble = Ensemble::new(&kinds, faults::patient_config_of(&kinds[0]))?;
    ensemble.start_led_by_last_voter()?;
    ensure!(ensemble.leader() == Some(2), "another member leads");
    Ok(ensemble)
}

fn open(address: SocketAddr, timeout_ms: i32) -> Result<Client> {
    let mut client = Client::default();
    client.connect(address, &Hello { timeout_ms, ..Hello::new_session() }, &[])?;
    ensure!(client.is_connected(), "no session");
    Ok(client)
}

/// The session goes on at this address; whatever comes with it is given.
fn renew(client: &mut Client, address: SocketAddr) -> Result<()> {
    let before = client.session.clone();
    let items = client.connect(address, &Hello { again: true, ..Hello::new_session() }, &[])?;
    ensure!(client.is_connected(), "{address} refuses the session: {items:?}");
    ensure!(client.session == before, "another session");
    Ok(())
}

fn path_and_flag(op: OpCode, path: &str, watch: bool) -> Request {
    Request::new(op, vec![Value::Text(path.to_owned()), Value::Bool(watch)])
}

fn create_ephemeral(client: &mut Client, path: &str) -> Result<()> {
    let mut acl = Vec::new();
    jute::Writer::new(&mut acl).vector(&wire::Acl::open());
    let path = Value::Text(path.to_owned());
    let values = vec![path, Value::Bytes(Vec::new()), Value::Raw(acl), Value::Int(EPHEMERAL)];
    let create = Request::new(OpCode::Create, values);
    let (header, _) = tree::answers(client, &[create])?.remove(0);
    ensure!(header.err == 0, "no ephemeral node: {}", header.err);
    Ok(())
}

/// Whether the node is there once the server has caught up.
fn exists(address: SocketAddr, path: &str) -> Result<bool> {
    let mut client = open(address, 10_000)?;
    let sync = Request::new(OpCode::Sync, vec![Value::Text(path.to_owned())]);
    let requests = [sync, path_and_flag(OpCode::Exists, path, false)];
    let (header, _) = tree::answers(&mut client, &requests)?.remove(1);
    client.exchange_to_end(&[Request::new(OpCode::CloseSession, Vec::new())])?;
    ensure!(header.err == 0 || header.err == NO_NODE, "exists {path}: {}", header.err);
    Ok(header.err == 0)
}

fn wait_until_gone(ensemble: &Ensemble, path: &str) -> Result<Duration> {
    let start = Instant::now();
    for address in ensemble.addresses() {
        while exists(address, path)? {
            ensure!(start.elapsed() < EXPIRY_TIME_MAX, "{path} stays at {address}");
            thread::sleep(POLL_INTERVAL);
        }
    }
    Ok(start.elapsed())
}

fn events(items: &[Item]) -> Result<Vec<(i32, String)>> {
    let mut events = Vec::new();
    for item in items {
        if let Item::Event { body, .. } = item {
            let mut reader = Reader::new(body);
            let kind = reader.int()?;
            reader.int()?;
            events.push((kind, reader.string()?.context("no path")?.into_owned()));
        }
    }
    Ok(events)
}

/// A session visits all members, and takes its ephemeral node and its watches along.
fn visit(ensemble: &Ensemble) -> Result<()> {
    let addresses = ensemble.addresses();
    let mut writer = open(addresses[2], 30_000)?;
    create(&mut writer, "/watched", "")?;
    let mut client = open(addresses[0], 30_000)?;
    create_ephemeral(&mut client, "/mine")?;
    for (version, address) in (0..6).zip(addresses.iter().cycle().skip(1)) {
        let watch = path_and_flag(OpCode::GetData, "/watched", true);
        let (header, _) = tree::answers(&mut client, &[watch])?.remove(0);
        ensure!(header.err == 0, "no watch: {}", header.err);
        let since = client.last_zxid;
        client.drop_connection()?;
        let data = Value::Bytes(b"new".to_vec());
        let values = vec![Value::Text("/watched".to_owned()), data, Value::Int(version)];
        let set = Request::new(OpCode::SetData, values);
        let (header, _) = tree::answers(&mut writer, &[set])?.remove(0);
        ensure!(header.err == 0, "no write: {}", header.err);
        renew(&mut client, *address)?;
        let sync = Request::new(OpCode::Sync, vec![Value::Text("/".to_owned())]);
        let path = Value::Text("/watched".to_owned());
        let watches = vec![Value::Long(since), Value::Int(1), path, Value::Int(0), Value::Int(0)];
        let watches = Request::new(OpCode::SetWatches, watches).with_xid(wire::xid::SET_WATCHES);
        let items = client.exchange(&[sync, watches])?;
        let found = events(&items)?;
        ensure!(found == [(3, "/watched".to_owned())], "at {address} it hears {found:?}");
        ensure!(exists(*address, "/mine")?, "the ephemeral node is gone at {address}");
    }
    client.exchange_to_end(&[Request::new(OpCode::CloseSession, Vec::new())])?;
    wait_until_gone(ensemble, "/mine")?;
    for address in &addresses {
        let session = client.session.clone().context("no session")?;
        let mut ended = Client::of(session);
        ended.connect(*address, &Hello { again: true, ..Hello::new_session() }, &[])?;
        ensure!(!ended.is_connected(), "the session is back at {address}");
    }
    Ok(())
}

/// The old connection of a session that has moved can write nothing more.
fn write_behind_a_move(ensemble: &Ensemble) -> Result<()> {
    let addresses = ensemble.addresses();
    for (from, to) in [(0, 1), (1, 0), (0, 2), (2, 0)] {
        let mut old = open(addresses[from], 30_000)?;
        let Session { id, password } = old.session.clone().context("no session")?;
        let mut new = Client::of(Session { id, password });
        renew(&mut new, addresses[to])?;
        let path = format!("/moved-{from}-{to}");
        // The answer is an error or the end of the connection.
        let outcome = create(&mut old, &path, "");
        ensure!(outcome.is_err(), "from {from} to {to}: the old connection still writes");
        let text = format!("{outcome:?}");
        let said = text.contains(&SESSION_MOVED.to_string()) || text.contains("0 replies");
        ensure!(said, "from {from} to {to}: {text}");
        ensure!(!exists(addresses[to], &path)?, "from {from} to {to}: it was written");
        create(&mut new, &path, "").with_context(|| format!("from {from} to {to}"))?;
    }
    Ok(())
}

/// A client of each member falls silent; one that pings does not lose its session.
fn expire(ensemble: &Ensemble) -> Result<()> {
    for (n, address) in ensemble.addresses().into_iter().enumerate() {
        let path = format!("/mortal-{n}");
        let mut client = open(address, SHORT_TIMEOUT_MS)?;
        create_ephemeral(&mut client, &path)?;
        let start = Instant::now();
        while start.elapsed() < PING_TIME {
            client.exchange(&[])?;
            ensure!(client.is_connected(), "member {}: a session is lost that pings", n + 1);
            thread::sleep(POLL_INTERVAL);
        }
        ensure!(exists(address, &path)?, "member {}: {path} is gone too early", n + 1);
        wait_until_gone(ensemble, &path).with_context(|| format!("member {}", n + 1))?;
        let session = client.session.clone().context("no session")?;
        let mut ended = Client::of(session);
        ended.connect(address, &Hello { again: true, ..Hello::new_session() }, &[])?;
        ensure!(!ended.is_connected(), "member {}: the session is back", n + 1);
    }
    Ok(())
}

fn all(kinds: [Kind; 3]) -> Result<()> {
    let ensemble = ensemble(kinds)?;
    visit(&ensemble)?;
    write_behind_a_move(&ensemble)?;
    expire(&ensemble)
}

#[test]
fn sessions_move_where_ours_leads() {
    all([reference(), OURS, OURS]).unwrap();
}

#[test]
fn sessions_move_over_raft() {
    all([Kind::Raft, Kind::Raft, Kind::Raft]).unwrap();
}

#[test]
fn sessions_move_where_theirs_leads() {
    all([reference(), OURS, reference()]).unwrap();
}
