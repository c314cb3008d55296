//! Read-only mode: a member that has lost its quorum serves reads, and sends its clients on when it
//! finds the others again. The same is expected of members of both kinds.

use anyhow::{Context, Result, ensure};
use e2e::ensemble::Ensemble;
use e2e::faults;
use e2e::load::create;
use e2e::play::{Client, Item};
use e2e::program::{Form, Hello, Request, Value};
use e2e::raw;
use e2e::servers::Kind;
use e2e::tree;
use jute::Reader;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};
use wire::{ConnectResponse, OpCode};

const JAVA: Kind = Kind::Reference38;
const OURS: Kind = Kind::Quorate;
const RAFT: Kind = Kind::Raft;
/// How long it may take to begin: a leader gives up its quorum after some ticks, then two seconds.
const BEGIN_TIME_MAX: Duration = Duration::from_secs(30);
/// Between two looks.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

fn hello(form: Form) -> Hello {
    Hello { form, ..Hello::new_session() }
}

/// What a connect request comes to.
fn connect(client: &mut Client, address: SocketAddr, hello: &Hello) -> Result<String> {
    let items = client.connect(address, hello, &[])?;
    Ok(match items.first() {
        Some(Item::Hello(frame)) => {
            let answer = ConnectResponse::decode(&mut Reader::new(frame))?;
            let granted = if answer.session_id == 0 { "refused" } else { "granted" };
            format!("{granted}, read-only {:?}", answer.read_only)
        }
        Some(Item::Closed) => "closed".to_owned(),
        other => format!("{other:?}"),
    })
}

fn ask(client: &mut Client, request: Request) -> Result<(i32, usize)> {
    let (header, body) = tree::answers(client, &[request])?.remove(0);
    Ok((header.err, body.len()))
}

fn text(path: &str) -> Value {
    Value::Text(path.to_owned())
}

/// A request of each kind that a client can make of a node.
fn requests() -> Vec<Request> {
    let mut acl = Vec::new();
    jute::Writer::new(&mut acl).vector(&wire::Acl::open());
    let acl = || Value::Raw(acl.clone());
    let made = |flags| vec![text("/new"), Value::Bytes(Vec::new()), acl(), Value::Int(flags)];
    let any = || Value::Int(-1);
    let ttl = [made(5), vec![Value::Long(1000)]].concat();
    let delete = Request::new(OpCode::Delete, vec![text("/kept"), any()]);
    let null = || Value::Null;
    vec![
        Request::new(OpCode::GetData, vec![text("/kept"), Value::Bool(true)]),
        Request::new(OpCode::Exists, vec![text("/none"), Value::Bool(true)]),
        Request::new(OpCode::GetChildren, vec![text("/kept"), Value::Bool(true)]),
        Request::new(OpCode::GetChildren2, vec![text("/kept"), Value::Bool(false)]),
        Request::new(OpCode::GetAcl, vec![text("/kept")]),
        Request::new(OpCode::AddWatch, vec![text("/kept"), Value::Int(0)]),
        Request::new(OpCode::CheckWatches, vec![text("/kept"), Value::Int(3)]),
        Request::new(OpCode::GetEphemerals, vec![text("/")]),
        Request::new(OpCode::GetAllChildrenNumber, vec![text("/kept")]),
        Request::new(OpCode::WhoAmI, Vec::new()),
        Request::new(OpCode::Create, made(0)),
        Request::new(OpCode::Create, made(1)),
        Request::new(OpCode::Create2, made(0)),
        Request::new(OpCode::CreateContainer, made(4)),
        Request::new(OpCode::CreateTtl, ttl),
        delete.clone(),
        Request::new(OpCode::SetData, vec![text("/kept"), Value::Bytes(b"new".to_vec()), any()]),
        Request::new(OpCode::SetAcl, vec![text("/kept"), acl(), any()]),
        Request::new(OpCode::Multi, vec![Value::Operations(vec![delete])]),
        Request::new(OpCode::Reconfig, vec![null(), null(), null(), Value::Long(-1)]),
        Request::new(OpCode::Sync, vec![text("/kept")]),
    ]
}

/// What four-letter words say of the mode and of sessions.
fn words(address: SocketAddr) -> Result<Vec<String>> {
    let mut told = Vec::new();
    let shown = ["READ-ONLY", "Mode:", "zk_server_state", "zk_peer_state", "zk_quorum_size"];
    let sessions = ["zk_global_sessions", "zk_local_sessions", "Local ", "Global ", "\t0x"];
    for word in ["srvr", "mntr", "stat", "dump"] {
        let answer = raw::word(address, word)?;
        let is_shown =
            |line: &&str| shown.iter().chain(&sessions).any(|part| line.starts_with(part));
        let mut lines: Vec<&str> = answer.lines().filter(is_shown).collect();
        lines.sort_unstable();
        told.extend(lines.into_iter().map(|line| {
            let line = line.split_once("\t0x").map_or(line, |_| "a session");
            // How many times of expiry there are says when the sessions were heard: not compared.
            let line = line.split_once("Sets (").map_or(line, |_| "the sets of local sessions");
            format!("{word} {line}")
        }));
    }
    let conf = raw::word(address, "conf")?;
    let keys = conf.lines().map(|line| line.split_once('=').map_or(line, |(key, _)| key));
    told.push(keys.collect::<Vec<_>>().join(" "));
    Ok(told)
}

/// Waits until a member answers `isro` with this.
fn wait_for(address: SocketAddr, answer: &str) -> Result<()> {
    let start = Instant::now();
    while raw::word(address, "isro")? != answer {
        ensure!(start.elapsed() < BEGIN_TIME_MAX, "isro never says {answer}");
        thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}

/// All that a member without a quorum says to its clients, and then its end.
fn tell(ensemble: &mut Ensemble, of: usize) -> Result<Vec<String>> {
    let address = ensemble.address(of);
    let mut writer = Client::default();
    connect(&mut writer, address, &hello(Form::New))?;
    create(&mut writer, "/kept", "")?;
    let mut acl = Vec::new();
    jute::Writer::new(&mut acl).vector(&wire::Acl::open());
    let values = vec![text("/mine"), Value::Bytes(Vec::new()), Value::Raw(acl), Value::Int(1)];
    let (err, _) = ask(&mut writer, Request::new(OpCode::Create, values))?;
    ensure!(err == 0, "the session is not upgraded: {err}");
    let everybodys = writer.session.clone().context("no session")?;
    for other in (0..3).filter(|other| *other != of) {
        ensemble.kill(other)?;
    }
    let mut told = vec![format!("{:?}", writer.drain()?)];
    ensure!(raw::word(address, "isro")? == "null", "it is read-only at once");
    wait_for(address, "ro")?;
    for form in [Form::New, Form::Old] {
        let outcome = connect(&mut Client::default(), address, &hello(form))?;
        told.push(format!("{form:?} {outcome}"));
    }
    let again = |form| Hello { again: true, ..hello(form) };
    let outcome = connect(&mut Client::of(everybodys), address, &again(Form::ReadOnly))?;
    told.push(format!("a global session {outcome}"));
    let mut client = Client::default();
    let outcome = connect(&mut client, address, &hello(Form::ReadOnly))?;
    told.push(format!("a new session {outcome}"));
    for request in requests() {
        let name = OpCode::from_number(request.op);
        told.push(format!("{name:?} {:?}", ask(&mut client, request)?));
    }
    told.extend(words(address)?);
    let session = client.session.clone().context("no session")?;
    client.drop_connection()?;
    let outcome = connect(&mut client, address, &again(Form::ReadOnly))?;
    told.push(format!("the same session {outcome}"));
    ensure!(client.session.as_ref() == Some(&session), "another session");
    let mut closing = Client::default();
    connect(&mut closing, address, &hello(Form::ReadOnly))?;
    let items = closing.exchange_to_end(&[Request::new(OpCode::CloseSession, Vec::new())])?;
    told.push(match &items[..] {
        [Item::Reply { header, .. }, Item::Closed] => format!("closed {}", header.err),
        _ => format!("{items:?}"),
    });
    ensemble.start((of + 1) % 3)?;
    told.push(format!("{:?}", client.drain()?));
    wait_for(address, "rw")?;
    let outcome = connect(&mut client, address, &again(Form::ReadOnly))?;
    told.push(format!("the same session there {outcome}"));
    let outcome = connect(&mut client, address, &hello(Form::ReadOnly))?;
    told.push(format!("a new session there {outcome}"));
    create(&mut client, "/written", "")?;
    Ok(told)
}

/// What is told of a member of either kind.
const EXPECTED: &[&str] = &[
    "[Closed]",
    "New closed",
    "Old closed",
    "a global session closed",
    "a new session granted, read-only Some(true)",
    "Some(GetData) (0, 72)",
    "Some(Exists) (-101, 0)",
    "Some(GetChildren) (0, 4)",
    "Some(GetChildren2) (0, 72)",
    "Some(GetAcl) (0, 95)",
    "Some(AddWatch) (0, 4)",
    "Some(CheckWatches) (0, 0)",
    "Some(GetEphemerals) (0, 4)",
    "Some(GetAllChildrenNumber) (0, 4)",
    "Some(WhoAmI) (0, 23)",
    "Some(Create) (-119, 0)",
    "Some(Create) (-119, 0)",
    "Some(Create2) (-119, 0)",
    "Some(CreateContainer) (-119, 0)",
    "Some(CreateTtl) (-119, 0)",
    "Some(Delete) (-119, 0)",
    "Some(SetData) (-119, 0)",
    "Some(SetAcl) (-119, 0)",
    "Some(Multi) (-119, 0)",
    "Some(Reconfig) (-119, 0)",
    "Some(Sync) (-119, 0)",
    "srvr Mode: read-only",
    "srvr READ-ONLY mode; serving only read-only clients",
    "mntr zk_global_sessions\t1",
    "mntr zk_local_sessions\t1",
    "mntr zk_server_state\tread-only",
    "stat Mode: read-only",
    "stat READ-ONLY mode; serving only read-only clients",
    "dump a session",
    "dump Global Sessions(1):",
    "dump the sets of local sessions",
    "clientPort secureClientPort dataDir dataDirSize dataLogDir dataLogSize tickTime maxClientCnxns \
        minSessionTimeout maxSessionTimeout clientPortListenBacklog serverId initLimit syncLimit \
        electionAlg electionPort quorumPort peerType",
    "the same session granted, read-only Some(true)",
    "closed 0",
    "[Closed]",
    "the same session there refused, read-only Some(false)",
    "a new session there granted, read-only Some(false)",
];

fn check(kinds: [Kind; 3], of: usize) -> Result<()> {
    let mut config = faults::patient_config_of(&kinds[0]);
    config.lines.push("localSessionsEnabled=true".to_owned());
    config.lines.push("localSessionsUpgradingEnabled=true".to_owned());
    config.properties.push("readonlymode.enabled=true".to_owned());
    let mut ensemble = Ensemble::new(&kinds, config)?;
    ensemble.start_led_by_last_voter()?;
    let told = tell(&mut ensemble, of)?;
    ensure!(told == EXPECTED, "{} tells {told:#?}", ensemble.kind(of));
    Ok(())
}

#[test]
fn ours_reads_on_without_a_quorum() {
    check([OURS, OURS, OURS], 0).unwrap();
}

#[test]
fn a_leader_of_ours_reads_on_without_a_quorum() {
    check([OURS, OURS, OURS], 2).unwrap();
}

#[test]
fn over_raft_a_leader_reads_on_without_a_quorum() {
    check([RAFT, RAFT, RAFT], 2).unwrap();
}

#[test]
fn theirs_reads_on_just_so() {
    check([JAVA, OURS, OURS], 0).unwrap();
}
