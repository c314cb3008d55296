//! Observers of both kinds behind a follower of either kind: they read, write and keep sessions
//! through it, and come back when it does.

use anyhow::{Context, Result, ensure};
use e2e::ensemble::Ensemble;
use e2e::ensemble::Role::{Observer, Participant};
use e2e::faults;
use e2e::load::{create, read_synced_tree, supervisor};
use e2e::play::{Client, Item};
use e2e::program::{Hello, Request, Value};
use e2e::raw;
use e2e::servers::{Kind, reference};
use e2e::tree;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};
use wire::OpCode;

const OURS: Kind = Kind::Quorate;
/// The follower that serves the observers, by its index.
const MASTER: usize = 0;
const LEADER: usize = 2;
const OBSERVERS: [usize; 2] = [3, 4];
/// Time-out of a session that would end if nobody told the leader of it, in ms.
const SHORT_TIMEOUT_MS: i32 = 1_500;
/// How long such a client pings.
const PING_TIME: Duration = Duration::from_secs(4);
/// Between two pings or looks.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How long an observer may look for its master.
const RETURN_TIME_MAX: Duration = Duration::from_secs(30);

fn metric(address: SocketAddr, name: &str) -> Result<i64> {
    let reply = raw::word(address, "mntr")?;
    let line = reply.lines().find_map(|line| line.strip_prefix(&format!("zk_{name}\t")));
    Ok(line.with_context(|| format!("no {name} at {address}"))?.parse::<f64>()? as i64)
}

/// Waits until both observers are served by the master, and not by the leader.
fn wait_until_served(ensemble: &Ensemble) -> Result<()> {
    let start = Instant::now();
    let served = || -> Result<bool> {
        // Here all voters have the address of the only one with that port: an observer may believe
        // that it is another.
        for n in OBSERVERS {
            ensure!(metric(ensemble.address(n), "observer_master_id")? > 0, "no master");
        }
        Ok(metric(ensemble.address(MASTER), "synced_observers")? == 2
            && metric(ensemble.address(LEADER), "synced_observers")? == 0)
    };
    while !served().unwrap_or(false) {
        let state = served();
        ensure!(start.elapsed() < RETURN_TIME_MAX, "they are not behind the master: {state:?}");
        thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}

/// Writes at each observer, and reads it at all members.
fn write_everywhere(ensemble: &Ensemble, name: &str) -> Result<()> {
    for n in OBSERVERS {
        let mut client = supervisor(ensemble.address(n))?;
        for i in 0..20 {
            create(&mut client, &format!("/{name}-{n}-{i}"), "data")?;
        }
        client.drop_connection()?;
    }
    let read = |n: usize| -> Result<tree::Tree> {
        let mut tree = read_synced_tree(ensemble.address(n))?;
        tree.remove("/zookeeper/config"); // each makes its own
        Ok(tree)
    };
    let leader = read(LEADER)?;
    for n in ensemble.running() {
        if let Some(difference) = tree::difference(&leader, &read(n)?) {
            anyhow::bail!("member {} differs: {difference}", n + 1);
        }
    }
    Ok(())
}

fn open(address: SocketAddr, timeout_ms: i32) -> Result<Client> {
    let mut client = Client::default();
    client.connect(address, &Hello { timeout_ms, ..Hello::new_session() }, &[])?;
    ensure!(client.is_connected(), "no session");
    Ok(client)
}

/// Sessions at observers live as long as they ping, and move to other members and back.
fn keep_sessions(ensemble: &Ensemble) -> Result<()> {
    for n in OBSERVERS {
        let address = ensemble.address(n);
        let mut client = open(address, SHORT_TIMEOUT_MS)?;
        let start = Instant::now();
        while start.elapsed() < PING_TIME {
            client.exchange(&[])?;
            ensure!(client.is_connected(), "member {}: a session is lost that pings", n + 1);
            thread::sleep(POLL_INTERVAL);
        }
        let session = client.session.clone();
        for to in [LEADER, n, MASTER, n, OBSERVERS[0], OBSERVERS[1], n] {
            client.drop_connection()?;
            let hello = Hello { again: true, ..Hello::new_session() };
            let items = client.connect(ensemble.address(to), &hello, &[])?;
            ensure!(client.is_connected(), "{} to {}: {items:?}", n + 1, to + 1);
            ensure!(client.session == session, "another session");
            let sync = Request::new(OpCode::Sync, vec![Value::Text("/".to_owned())]);
            let replies = tree::answers(&mut client, &[sync])?;
            ensure!(replies[0].0.err == 0, "sync: {}", replies[0].0.err);
        }
        let close = Request::new(OpCode::CloseSession, Vec::new());
        let items = client.exchange_to_end(&[close])?;
        ensure!(items.iter().any(|item| matches!(item, Item::Reply { .. })), "{items:?}");
        let mut ended = Client::of(session.context("no session")?);
        ended.connect(address, &Hello { again: true, ..Hello::new_session() }, &[])?;
        ensure!(!ended.is_connected(), "the session is back");
    }
    Ok(())
}

/// The master goes and comes back; meanwhile the others write.
fn lose_the_master(ensemble: &mut Ensemble) -> Result<()> {
    ensemble.kill(MASTER)?;
    let mut client = supervisor(ensemble.address(LEADER))?;
    for i in 0..5 {
        create(&mut client, &format!("/meanwhile-{i}"), "data")?;
    }
    client.drop_connection()?;
    ensemble.start(MASTER)?;
    ensemble.wait_for(MASTER)?;
    wait_until_served(ensemble)?;
    ensemble.wait_for_all()
}

fn behind(master: Kind, leader: Kind) -> Result<()> {
    let other = reference();
    let members = [
        (master, Participant),
        (leader.clone(), Participant),
        (leader, Participant),
        (other, Observer),
        (OURS, Observer),
    ];
    let config = faults::patient_config_of(&OURS);
    let ensemble = Ensemble::with_roles(&members, config)?;
    let mut ensemble = ensemble.with_observer_master_port(&[MASTER, OBSERVERS[0], OBSERVERS[1]])?;
    ensemble.start_led_by_last_voter()?;
    ensure!(ensemble.leader() == Some(LEADER), "another member leads");
    wait_until_served(&ensemble)?;
    write_everywhere(&ensemble, "first")?;
    keep_sessions(&ensemble)?;
    lose_the_master(&mut ensemble)?;
    write_everywhere(&ensemble, "second")
}

#[test]
fn observers_behind_ours_where_theirs_leads() {
    behind(OURS, reference()).unwrap();
}

#[test]
fn observers_behind_theirs_where_ours_leads() {
    behind(reference(), OURS).unwrap();
}

#[test]
fn observers_behind_ours_where_ours_leads() {
    behind(OURS, OURS).unwrap();
}
