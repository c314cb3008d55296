//! Ensembles whose data is moved from ZooKeeper's files to Raft's journal, and back.
//!
//! The same tree before and after, with every stat, session and access list; and members whose data
//! was moved at different states are never one ensemble.

use anyhow::{Context, Result, ensure};
use e2e::ensemble::Ensemble;
use e2e::faults;
use e2e::load::create;
use e2e::play::Client;
use e2e::program::{Hello, Request, Value};
use e2e::servers::Kind;
use e2e::tree::{self, Tree};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};
use wire::{Acl, Id, OpCode};

const ZAB: Kind = Kind::Quorate;
const RAFT: Kind = Kind::Raft;
/// Timeout of sessions, in ms: longer than everybody is down.
const TIMEOUT_MS: i32 = 60_000;
const EPHEMERAL: i32 = 1;
const PERSISTENT_SEQUENTIAL: i32 = 2;
const NO_AUTH: i32 = -102;
/// Between two looks.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How long members may take to hear of each other.
const REFUSAL_TIME_MAX: Duration = Duration::from_secs(20);

fn engine(kind: &Kind) -> &'static str {
    if *kind == RAFT { "raft" } else { "zab" }
}

/// Three members, the last of which leads.
fn ensemble() -> Result<Ensemble> {
    let mut ensemble = Ensemble::new(&[ZAB, ZAB, ZAB], faults::config_of(&RAFT))?;
    ensemble.start_led_by_last_voter()?;
    Ok(ensemble)
}

fn open(ensemble: &Ensemble, n: usize) -> Result<Client> {
    let mut client = Client::default();
    let hello = Hello { timeout_ms: TIMEOUT_MS, ..Hello::new_session() };
    client.connect(ensemble.address(n), &hello, &[])?;
    ensure!(client.is_connected(), "no session");
    Ok(client)
}

/// The session goes on at a member.
fn renew(client: &mut Client, ensemble: &Ensemble, n: usize) -> Result<()> {
    let before = client.session.clone();
    let hello = Hello { again: true, timeout_ms: TIMEOUT_MS, ..Hello::new_session() };
    let items = client.connect(ensemble.address(n), &hello, &[])?;
    ensure!(client.is_connected(), "member {} refuses the session: {items:?}", n + 1);
    ensure!(client.session == before, "another session");
    Ok(())
}

fn close(client: &mut Client) -> Result<()> {
    client.exchange_to_end(&[Request::new(OpCode::CloseSession, Vec::new())]).map(drop)
}

fn path(path: &str) -> Value {
    Value::Text(path.to_owned())
}

fn create_with(client: &mut Client, at: &str, acl: &[Acl], mode: i32) -> Result<()> {
    let mut list = Vec::new();
    jute::Writer::new(&mut list).vector(acl);
    let values = vec![path(at), Value::Bytes(vec![7; 300]), Value::Raw(list), Value::Int(mode)];
    let (header, _) = tree::answers(client, &[Request::new(OpCode::Create, values)])?.remove(0);
    ensure!(header.err == 0, "create {at}: {}", header.err);
    Ok(())
}

/// What a write of data comes to.
fn set(client: &mut Client, at: &str, data: &str) -> Result<i32> {
    let values = vec![path(at), Value::Bytes(data.into()), Value::Int(-1)];
    let (header, _) = tree::answers(client, &[Request::new(OpCode::SetData, values)])?.remove(0);
    Ok(header.err)
}

/// Everyone may read, one identity may write.
fn guarded() -> [Acl; 2] {
    let hash = "u:AAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    [Acl { perms: 1, ..Acl::open()[0].clone() }, Acl { perms: 31, id: Id::new("digest", hash) }]
}

/// All that a member shows once it has caught up.
fn read(ensemble: &Ensemble, n: usize) -> Result<Tree> {
    let mut client = open(ensemble, n)?;
    tree::answers(&mut client, &[Request::new(OpCode::Sync, vec![path("/")])])?;
    let mut tree = tree::read(&mut client)?;
    // The first configuration is written by each member's own clock, at each start.
    tree.get_mut("/zookeeper/config").context("no configuration")?.stat.mtime = 0;
    close(&mut client)?;
    Ok(tree)
}

/// The same on every member.
fn agreed(ensemble: &Ensemble) -> Result<Tree> {
    let first = read(ensemble, 0)?;
    for n in 1..ensemble.size() {
        if let Some(difference) = tree::difference(&first, &read(ensemble, n)?) {
            anyhow::bail!("members 1 and {}: {difference}", n + 1);
        }
    }
    Ok(first)
}

/// The tree is what it was.
fn is_still(ensemble: &Ensemble, before: &Tree) -> Result<()> {
    match tree::difference(before, &agreed(ensemble)?) {
        Some(difference) => anyhow::bail!("moved data differs: {difference}"),
        None => Ok(()),
    }
}

/// Ends the leader last, so that nobody leads a later period meanwhile.
fn stop_all(ensemble: &mut Ensemble) -> Result<()> {
    let leader = ensemble.wait_for_leader()?;
    let others = ensemble.running().into_iter().filter(|n| *n != leader);
    others.chain([leader]).collect::<Vec<_>>().into_iter().try_for_each(|n| ensemble.stop(n))
}

/// What a line of `quorate migrate` says of the data, whatever engine has it.
fn standing(line: &str) -> Result<String> {
    let words = line.lines().next().context("no line")?.split(' ');
    let told = |word: &&str| {
        ["zxid=", "digest=", "nodes=", "sessions=", "voters="].iter().any(|k| word.starts_with(k))
    };
    let told: Vec<&str> = words.filter(told).collect();
    ensure!(told.len() == 5, "{line}");
    Ok(told.join(" "))
}

/// Moves all members that are down, and starts them; they stood alike, and stand so still.
fn move_all(ensemble: &mut Ensemble, to: &Kind) -> Result<()> {
    let checked: Vec<String> =
        (0..3).map(|n| ensemble.migrate(n, &["--check"])).collect::<Result<_>>()?;
    ensure!(checked.iter().all(|line| *line == checked[0]), "{checked:?}");
    for n in 0..3 {
        let moved = ensemble.migrate(n, &["--to", engine(to)])?;
        ensure!(moved.starts_with(&checked[0]), "{moved} is not {}", checked[0]);
        ensure!(moved.contains(&format!("moved to engine={}", engine(to))), "{moved}");
        let after = ensemble.migrate(n, &["--check"])?;
        ensure!(after.starts_with(&format!("engine={} ", engine(to))), "{after}");
        ensure!(standing(&after)? == standing(&checked[0])?, "{after} was {}", checked[0]);
        let again = ensemble.refused_migration(n, &["--to", engine(to)])?;
        ensure!(again.contains("already"), "{again}");
    }
    (0..3).try_for_each(|n| ensemble.start_as(n, to.clone()))?;
    ensemble.wait_for_all()
}

#[test]
fn an_ensemble_moves_to_raft_and_back() {
    there_and_back().unwrap();
}

fn there_and_back() -> Result<()> {
    let mut ensemble = ensemble()?;
    let mut owner = open(&ensemble, 0)?;
    create(&mut owner, "/kept", "data")?;
    for n in 0..200 {
        create(&mut owner, &format!("/kept/{n}"), &"x".repeat(n))?;
    }
    create_with(&mut owner, "/kept/seq-", &Acl::open(), PERSISTENT_SEQUENTIAL)?;
    create_with(&mut owner, "/guarded", &guarded(), 0)?;
    create_with(&mut owner, "/mine", &Acl::open(), EPHEMERAL)?;
    ensure!(set(&mut owner, "/kept/3", "other")? == 0);
    let delete = Request::new(OpCode::Delete, vec![path("/kept/4"), Value::Int(-1)]);
    ensure!(tree::answers(&mut owner, &[delete])?[0].0.err == 0);
    let mut closing = open(&ensemble, 1)?;
    create_with(&mut closing, "/closing", &Acl::open(), EPHEMERAL)?;

    for (round, to) in [RAFT, ZAB, RAFT].iter().enumerate() {
        let before = agreed(&ensemble)?;
        owner.drop_connection()?;
        stop_all(&mut ensemble)?;
        move_all(&mut ensemble, to).with_context(|| format!("move {round}"))?;
        is_still(&ensemble, &before).with_context(|| format!("move {round}"))?;
        // The session and what it owns are there, on another member; so is what keeps others out.
        renew(&mut owner, &ensemble, (round + 1) % 3)?;
        ensure!(set(&mut owner, "/mine", "still")? == 0, "the ephemeral node is gone");
        ensure!(set(&mut owner, "/guarded", "")? == NO_AUTH, "anybody writes");
        let last = before.values().map(|node| node.stat.mzxid).max().context("no node")?;
        let written = create(&mut owner, &format!("/written-{round}"), "")?;
        ensure!(written > last, "{written:#x} is not behind {last:#x}");
        create_with(&mut owner, "/kept/seq-", &Acl::open(), PERSISTENT_SEQUENTIAL)?;
        // Nothing that was moved is moved again: a member that starts again has it all.
        let before = agreed(&ensemble)?;
        ensemble.kill(round)?;
        ensemble.start(round)?;
        ensemble.wait_for_all()?;
        is_still(&ensemble, &before)?;
        renew(&mut owner, &ensemble, round)?;
    }

    renew(&mut closing, &ensemble, 2)?;
    close(&mut closing)?;
    close(&mut owner)?;
    let after = agreed(&ensemble)?;
    ensure!(!after.contains_key("/mine") && !after.contains_key("/closing"), "sessions ended");
    ensure!(after.contains_key("/kept/seq-0000000203"), "the counter did not go on");
    Ok(())
}

#[test]
fn members_that_were_moved_at_different_states_refuse_each_other() {
    refuse_each_other().unwrap();
}

fn refuse_each_other() -> Result<()> {
    let mut ensemble = ensemble()?;
    let mut client = open(&ensemble, 2)?;
    create(&mut client, "/everywhere", "")?;
    agreed(&ensemble)?;
    ensemble.stop(0)?;
    create(&mut client, "/not-everywhere", "")?;
    close(&mut client)?;
    stop_all(&mut ensemble)?;
    let checked: Vec<String> =
        (0..3).map(|n| ensemble.migrate(n, &["--check"])).collect::<Result<_>>()?;
    ensure!(checked[1] == checked[2] && checked[0] != checked[1], "{checked:?}");
    // Nobody heeds that.
    for n in 0..3 {
        ensemble.migrate(n, &["--to", "raft"])?;
        ensemble.start_as(n, RAFT)?;
    }
    (1..3).try_for_each(|n| ensemble.wait_for(n))?;
    let start = Instant::now();
    while !ensemble.log_text(0)?.contains("its log began with another state") {
        ensure!(start.elapsed() < REFUSAL_TIME_MAX, "{}", ensemble.log_text(0)?);
        thread::sleep(POLL_INTERVAL);
    }
    let mut client = Client::default();
    client.connect(ensemble.address(0), &Hello::new_session(), &[])?;
    ensure!(!client.is_connected(), "it serves what it has");
    let mut client = open(&ensemble, 1)?;
    create(&mut client, "/without-it", "")?;
    close(&mut client)?;

    // What differs is moved away, and another member's data taken: a copy of what that one had.
    ensemble.stop(0)?;
    let (own, others) = (ensemble.data_directory(0), ensemble.data_directory(1));
    let copy = own.with_file_name("copy");
    fs::create_dir_all(copy.join("version-2"))?;
    for entry in fs::read_dir(others.join("version-2.moved-1"))? {
        let entry = entry?;
        fs::copy(entry.path(), copy.join("version-2").join(entry.file_name()))?;
    }
    let from_copy = ["--to", "raft", "--from-data", copy.to_str().context("a path")?];
    let refused = ensemble.refused_migration(0, &from_copy)?;
    ensure!(refused.contains("move them away"), "{refused}");
    fs::rename(own.join("raft/version-2"), own.join("raft/version-2.wrong"))?;
    let moved = ensemble.migrate(0, &from_copy)?;
    ensure!(moved.starts_with(&checked[1]), "{moved} is not {}", checked[1]);
    ensemble.start(0)?;
    ensemble.wait_for_all()?;
    let tree = agreed(&ensemble)?;
    for node in ["/everywhere", "/not-everywhere", "/without-it"] {
        ensure!(tree.contains_key(node), "{node} is gone");
    }
    let mut client = open(&ensemble, 0)?;
    create(&mut client, "/again", "")?;
    close(&mut client)
}
