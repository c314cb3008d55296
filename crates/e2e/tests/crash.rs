//! Our server is killed again and again in the middle of a load, and starts again.
//!
//! After each kill: every acknowledged write is there, in order and with its zxids; sequence numbers
//! go on above all that were acknowledged; sessions can be renewed, ended ones cannot, and ephemeral
//! nodes are those of sessions that live; a client that sets its watches again learns what it missed,
//! once. `E2E_ROUNDS` asks for more kills, `E2E_SEED` for others.

use anyhow::{Context, Result, bail, ensure};
use base::Rng;
use e2e::generate::Dialect;
use e2e::load::{End, Load, create, read_tree, supervisor};
use e2e::play::{Client, Item, SUPER_DIGEST};
use e2e::program::{Hello, Request, Value};
use e2e::raw;
use e2e::servers::{Config, Kind, Server, number_from};
use e2e::tree::{self, Tree};
use jute::Reader;
use std::collections::BTreeSet;
use wire::{EventType, OpCode};

const ROUNDS: u64 = 50;
const WORKERS: usize = 4;
const WRITES: usize = 600;
/// Watches that are kept set.
const WATCHES: usize = 60;
/// In every so many rounds a session ends by time; that is waited for.
const EXPIRY_EVERY: u64 = 5;
/// Its timeout in ms.
const SHORT_TIMEOUT_MS: i32 = 300;

fn config() -> Config {
    let lines = [
        "tickTime=100",
        "minSessionTimeout=200",
        "maxSessionTimeout=120000",
        "maxClientCnxns=0",
        "4lw.commands.whitelist=*",
        "extendedTypesEnabled=true",
        "preAllocSize=64",
        "snapCount=150",
        "maxBatchSize=20",
        SUPER_DIGEST,
    ];
    let properties = vec!["znode.container.checkIntervalMs=86400000".to_owned()];
    Config { lines: lines.map(str::to_owned).into(), properties }
}

/// A kind of watch: all are gone after their first event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Watch {
    Data,
    Exist,
    Child,
}

/// An event by its number, and the path.
type Event = (i32, String);

/// A client that only watches, and counts on hearing of every change once.
#[derive(Debug, Default)]
struct Watcher {
    client: Client,
    armed: BTreeSet<(Watch, String)>,
    heard: usize,
    missed: usize,
}

impl Watcher {
    fn connect(server: &Server) -> Result<Watcher> {
        let mut watcher = Watcher::default();
        watcher.client.connect(server.address(), &Hello::new_session(), &[])?;
        ensure!(watcher.client.is_connected(), "no session for the watcher");
        Ok(watcher)
    }

    /// Sets watches on random nodes, and on some that are missing.
    fn arm(&mut self, tree: &Tree, rng: &mut Rng) -> Result<()> {
        let paths: Vec<&String> = tree.keys().filter(|path| path.starts_with("/w")).collect();
        let taken = |armed: &BTreeSet<(Watch, String)>, path: &str| {
            armed.iter().any(|(_, other)| other == path)
        };
        for _ in self.armed.len()..WATCHES {
            let path = (*rng.pick(&paths)).clone();
            let (watch, path) = match rng.below(3) {
                0 => (Watch::Data, path),
                1 => (Watch::Child, path),
                _ => (Watch::Exist, format!("{path}/n{}", rng.below(12))),
            };
            let is_right = tree.contains_key(&path) != (watch == Watch::Exist);
            // One watch on a path: two kinds may share one event.
            if !is_right || taken(&self.armed, &path) {
                continue;
            }
            let op = match watch {
                Watch::Data => OpCode::GetData,
                Watch::Exist => OpCode::Exists,
                Watch::Child => OpCode::GetChildren,
            };
            let values = vec![Value::Text(path.clone()), Value::Bool(true)];
            let (header, _) =
                tree::answers(&mut self.client, &[Request::new(op, values)])?.remove(0);
            let expected = if watch == Watch::Exist { -101 } else { 0 };
            ensure!(header.err == expected, "{watch:?} on {path}: {}", header.err);
            self.armed.insert((watch, path));
        }
        Ok(())
    }

    /// Each event uses up a watch that was set.
    fn hear(&mut self, items: Vec<Item>) -> Result<()> {
        for event in events(items)? {
            let watch = match event.0 {
                1 => vec![Watch::Exist],
                2 => vec![Watch::Data, Watch::Child],
                3 => vec![Watch::Data],
                4 => vec![Watch::Child],
                other => bail!("an event of type {other}"),
            };
            let mut watches = watch.into_iter().map(|watch| (watch, event.1.clone()));
            ensure!(watches.any(|watch| self.armed.remove(&watch)), "{event:?} comes unasked");
            self.heard += 1;
        }
        Ok(())
    }

    /// What the watches that are still set should have said, given how things are.
    fn expected(&self, tree: &Tree, since: i64) -> BTreeSet<Event> {
        let expected = self.armed.iter().filter_map(|(watch, path)| {
            let stat = tree.get(path).map(|node| node.stat);
            let event = match (watch, stat) {
                (Watch::Exist, Some(_)) => EventType::NodeCreated,
                (Watch::Data | Watch::Child, None) => EventType::NodeDeleted,
                (Watch::Data, Some(stat)) if stat.mzxid > since => EventType::NodeDataChanged,
                (Watch::Child, Some(stat)) if stat.pzxid > since => EventType::NodeChildrenChanged,
                (Watch::Exist, None) | (Watch::Data | Watch::Child, Some(_)) => return None,
            };
            Some((event as i32, path.clone()))
        });
        expected.collect()
    }

    /// Renews the session and sets the watches again: what was missed comes, once, and no more.
    fn come_back(&mut self, server: &Server, tree: &Tree) -> Result<()> {
        let session = self.client.session.clone();
        let since = self.client.last_zxid;
        let again = Hello { again: true, ..Hello::new_session() };
        self.client.connect(server.address(), &again, &[])?;
        ensure!(self.client.is_connected(), "the watcher's session is lost");
        ensure!(self.client.session == session, "the watcher has another session");
        let mut values = vec![Value::Long(since)];
        for kind in [Watch::Data, Watch::Exist, Watch::Child] {
            let paths = self.armed.iter().filter(|(watch, _)| *watch == kind);
            let paths: Vec<_> = paths.map(|(_, path)| Value::Text(path.clone())).collect();
            values.push(Value::Int(i32::try_from(paths.len())?));
            values.extend(paths);
        }
        let request = Request::new(OpCode::SetWatches, values).with_xid(wire::xid::SET_WATCHES);
        let items = self.client.exchange(&[request])?;
        let expected = self.expected(tree, since);
        let found = events(items.clone())?;
        let unique: BTreeSet<Event> = found.iter().cloned().collect();
        ensure!(unique.len() == found.len(), "an event comes twice: {found:?}");
        ensure!(unique == expected, "since {since} it missed {expected:?} and hears {unique:?}");
        self.missed += found.len();
        self.hear(items)
    }
}

fn events(items: Vec<Item>) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    for item in items {
        match item {
            Item::Event { body, .. } => {
                let mut reader = Reader::new(&body);
                let kind = reader.int()?;
                reader.int()?;
                events.push((kind, reader.string()?.context("no path")?.into_owned()));
            }
            Item::Reply { header, .. } => ensure!(header.err == 0, "err={}", header.err),
            Item::Hello(_) | Item::Barrier(_) | Item::Closed => {}
            Item::Missing { .. } | Item::Unexpected(_) | Item::Silence => bail!("{item:?}"),
        }
    }
    Ok(events)
}

/// Opens a session with a short timeout, and a node that goes with it.
fn mortal(server: &Server, path: &str) -> Result<Client> {
    let mut client = Client::default();
    let hello = Hello { timeout_ms: SHORT_TIMEOUT_MS, ..Hello::new_session() };
    client.connect(server.address(), &hello, &[])?;
    let mut acl = Vec::new();
    jute::Writer::new(&mut acl).vector(&wire::Acl::open());
    let path = Value::Text(path.to_owned());
    let values = vec![path, Value::Bytes(Vec::new()), Value::Raw(acl), Value::Int(1)];
    let (header, _) =
        tree::answers(&mut client, &[Request::new(OpCode::Create, values)])?.remove(0);
    ensure!(header.err == 0, "no ephemeral node: {}", header.err);
    Ok(client)
}

/// Nobody renews that session: its node goes, on the server that started again.
fn wait_for_end(server: &Server, path: &str) -> Result<()> {
    let mut client = supervisor(server.address())?;
    let values = vec![Value::Text(path.to_owned()), Value::Bool(true)];
    let exists = Request::new(OpCode::Exists, values);
    let (header, _) = tree::answers(&mut client, &[exists])?.remove(0);
    if header.err == 0 {
        let found = events(client.receive_next()?)?;
        ensure!(found == [(2, path.to_owned())], "{path} outlives its session: {found:?}");
    }
    client.exchange_to_end(&[Request::new(OpCode::CloseSession, Vec::new())])?;
    Ok(())
}

fn round(
    number: u64,
    server: &mut Server,
    load: &mut Load,
    watcher: &mut Watcher,
    rng: &mut Rng,
) -> Result<()> {
    watcher.arm(&read_tree(server.address())?, rng)?;
    let path = format!("/mortal-{number}");
    let expires = number.is_multiple_of(EXPIRY_EVERY);
    let short = expires.then(|| mortal(server, &path)).transpose()?;
    // In every other round it is away, and misses all.
    let items = if rng.one_in(2) { watcher.client.drop_connection()? } else { Vec::new() };
    watcher.hear(items)?;
    load.run_to_end_of(server, WRITES, End::Kill)?;
    let items = watcher.client.drain()?;
    watcher.hear(items)?;
    drop(short);
    server.start_again()?;
    let tree = read_tree(server.address())?;
    load.check(&tree)?;
    watcher.come_back(server, &tree)?;
    load.check_numbers(server.address())?;
    load.connect(server.address())?;
    if expires {
        wait_for_end(server, &path)?;
    }
    let mntr = raw::word(server.address(), "mntr")?;
    ensure!(mntr.contains("zk_digest_mismatches_count\t0\n"), "digests do not match");
    Ok(())
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_ended_comes_back() {
    let seed = number_from("E2E_SEED", 1);
    let mut rng = Rng::new(seed);
    let mut server = Server::start(Kind::Quorate, config()).unwrap();
    let mut load =
        Load::start(server.address(), rng.next_u64(), WORKERS, Dialect::Since39).unwrap();
    let mut watcher = Watcher::connect(&server).unwrap();
    for number in 0..number_from("E2E_ROUNDS", ROUNDS) {
        round(number, &mut server, &mut load, &mut watcher, &mut rng)
            .with_context(|| {
                format!("seed {seed}, round {number}; the log ends with {}", server.log_tail())
            })
            .unwrap();
    }
    println!(
        "{} acknowledged, {} done besides, {} heard, {} missed",
        load.acknowledged, load.unacknowledged, watcher.heard, watcher.missed
    );
    let heard_at_once = watcher.heard - watcher.missed;
    assert!(
        load.acknowledged > 0 && watcher.missed > 0 && heard_at_once > 0,
        "the load shows nothing"
    );
}

/// What the watcher of the other test relies on: without a kill, no event is missing.
#[test]
fn every_change_is_heard_while_the_server_runs() {
    let mut server = Server::start(Kind::Quorate, config()).unwrap();
    let mut client = supervisor(server.address()).unwrap();
    create(&mut client, "/w0", "").unwrap();
    let mut watcher = Watcher::connect(&server).unwrap();
    watcher.arm(&read_tree(server.address()).unwrap(), &mut Rng::new(2)).unwrap();
    let since = watcher.client.last_zxid;
    for number in 0..12 {
        create(&mut client, &format!("/w0/n{number}"), "").unwrap();
    }
    let expected = watcher.expected(&read_tree(server.address()).unwrap(), since);
    let items = watcher.client.exchange(&[]).unwrap();
    let found: BTreeSet<Event> = events(items).unwrap().into_iter().collect();
    assert!(found.len() > 1);
    assert_eq!(found, expected);
    server.stop().unwrap();
}

/// A server that forgot what it acknowledged would not pass.
#[test]
fn a_lost_write_is_found_out() {
    let mut server = Server::start(Kind::Quorate, config()).unwrap();
    let mut load = Load::start(server.address(), 3, WORKERS, Dialect::Since39).unwrap();
    let before = read_tree(server.address()).unwrap();
    load.run_to_end_of(&mut server, WRITES, End::Term).unwrap();
    assert!(load.acknowledged > 0);
    let error = load.check(&before).unwrap_err();
    assert!(format!("{error:#}").contains("no prefix of the writes"), "{error:#}");
}
