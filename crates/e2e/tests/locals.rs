//! Local sessions, told step by step by clients of each member: the same tale is expected of members
//! of both kinds, under leaders of both kinds.

use anyhow::{Context, Result, ensure};
use e2e::ensemble::Ensemble;
use e2e::faults;
use e2e::play::{Client, Item};
use e2e::program::{Hello, Request, Value};
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
/// The mode's number.
const EPHEMERAL: i32 = 1;
const EPHEMERAL_ON_LOCAL: i32 = -120;
const SESSION_EXPIRED: i32 = -112;
/// Timeout of a session that ends by itself, in ms.
const SHORT_TIMEOUT_MS: i32 = 1_000;
/// How long it may take to end: its server looks once a tick.
const EXPIRY_TIME_MAX: Duration = Duration::from_secs(10);
/// Between two looks.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A member whose clients tell what they see, and how far the order has come meanwhile.
struct Teller<'a> {
    ensemble: &'a Ensemble,
    of: usize,
    upgrading: bool,
    zxid: i64,
    lines: Vec<String>,
}

impl Teller<'_> {
    fn new(ensemble: &Ensemble, of: usize, upgrading: bool) -> Result<Teller<'_>> {
        let mut teller = Teller { ensemble, of, upgrading, zxid: 0, lines: Vec::new() };
        teller.ordered()?;
        teller.catch_up()?;
        Ok(teller)
    }

    fn address(&self) -> SocketAddr {
        self.ensemble.address(self.of)
    }

    /// How many places of the order were taken since the last call, as this member knows it.
    fn ordered(&mut self) -> Result<i64> {
        let told = raw::word(self.address(), "srvr")?;
        let zxid = told.lines().find_map(|line| line.strip_prefix("Zxid: 0x"));
        let zxid = i64::from_str_radix(zxid.context("no zxid")?, 16)?;
        let before = std::mem::replace(&mut self.zxid, zxid);
        Ok(zxid - before)
    }

    fn tell(&mut self, what: &str) -> Result<()> {
        let ordered = self.ordered()?;
        self.lines.push(format!("{what}, {ordered} ordered"));
        Ok(())
    }

    /// Where nothing is upgraded this is a refusal, of which Java's followers ask the leader.
    fn tell_ephemeral(&mut self, what: &str) -> Result<()> {
        if self.upgrading {
            return self.tell(what);
        }
        self.ordered()?;
        self.lines.push(what.to_owned());
        Ok(())
    }

    /// Waits until this member has what others did.
    fn catch_up(&mut self) -> Result<()> {
        let mut client = Client::default();
        client.connect(self.address(), &Hello::new_session(), &[])?;
        // At the begin of an epoch zxids make a leap.
        let path = format!("/{}-caught-up-{:x}", self.of, self.zxid);
        let outcome = self.ask(&mut client, create(OpCode::Create, &path, 0))?;
        ensure!(outcome == "0", "no write: {outcome}");
        client.exchange_to_end(&[Request::new(OpCode::CloseSession, Vec::new())])?;
        self.ordered().map(drop)
    }

    fn open(&mut self, timeout_ms: i32) -> Result<Client> {
        let mut client = Client::default();
        let hello = Hello { timeout_ms, ..Hello::new_session() };
        client.connect(self.address(), &hello, &[])?;
        let session = client.session.as_ref().context("no session")?;
        ensure!(session.id >> 56 == self.of as i64 + 1, "an id of another server");
        self.tell("opened")?;
        Ok(client)
    }

    fn ask(&mut self, client: &mut Client, request: Request) -> Result<String> {
        let op = OpCode::from_number(request.op).context("no such operation")?;
        let (header, body) = tree::answers(client, &[request])?.remove(0);
        if op != OpCode::Multi {
            return Ok(header.err.to_string());
        }
        let mut body = Reader::new(&body);
        let mut told = format!("{} of", header.err);
        // Of a multi that fails every part has an error for its body.
        while let (number, false, err) = (body.int()?, body.bool()?, body.int()?) {
            told.push_str(&format!(" {err}"));
            match OpCode::from_number(number) {
                Some(OpCode::Error) => drop(body.int()?),
                Some(OpCode::Create) => drop(body.string()?),
                other => anyhow::bail!("a part is {other:?}"),
            }
        }
        Ok(told)
    }

    /// What becomes of a client that asks for its session anew.
    fn renew(&mut self, client: &mut Client, at: usize) -> Result<String> {
        client.drop_connection()?;
        let hello = Hello { again: true, ..Hello::new_session() };
        let items = client.connect(self.ensemble.address(at), &hello, &[])?;
        Ok(match items.first() {
            Some(Item::Hello(frame)) => {
                let answer = ConnectResponse::decode(&mut Reader::new(frame))?;
                let own = client.session.as_ref().map(|session| session.id);
                match answer.session_id {
                    0 => "refused".to_owned(),
                    id if Some(id) == own => "renewed".to_owned(),
                    _ => "another session".to_owned(),
                }
            }
            other => format!("{other:?}"),
        })
    }

    fn local_sessions(&self) -> Result<u32> {
        let told = raw::word(self.address(), "mntr")?;
        let count = told.lines().find_map(|line| line.strip_prefix("zk_local_sessions\t"));
        Ok(count.context("no count")?.parse()?)
    }

    /// The counts that the member's words show.
    fn counts(&mut self) -> Result<()> {
        let told = raw::word(self.address(), "mntr")?;
        let counts = told.lines().filter(|line| line.contains("_sessions\t"));
        let mut counts: Vec<String> = counts.map(|line| line.replace('\t', "=")).collect();
        counts.sort();
        self.lines.push(counts.join(" "));
        let told = raw::word(self.address(), "dump")?;
        // Java keeps empty sets until they fall due: how many there are says nothing.
        let counts = ["Local ", "Global "].map(|kind| {
            let head = told.lines().find(|line| line.starts_with(kind));
            let count = head.and_then(|line| line.rsplit_once('(')).map(|(_, count)| count);
            format!("{kind}{}", count.unwrap_or("none").trim_end_matches("):"))
        });
        self.lines.push(counts.join(" "));
        Ok(())
    }

    fn close(&mut self, client: &mut Client) -> Result<i32> {
        let items = client.exchange_to_end(&[Request::new(OpCode::CloseSession, Vec::new())])?;
        let [Item::Reply { header, .. }, Item::Closed] = &items[..] else {
            anyhow::bail!("the session's end is answered with {items:?} after {:#?}", self.lines);
        };
        Ok(header.err)
    }
}

fn create(op: OpCode, path: &str, flags: i32) -> Request {
    let mut acl = Vec::new();
    jute::Writer::new(&mut acl).vector(&wire::Acl::open());
    let path = Value::Text(path.to_owned());
    Request::new(op, vec![path, Value::Bytes(Vec::new()), Value::Raw(acl), Value::Int(flags)])
}

fn multi(parts: Vec<Request>) -> Request {
    Request::new(OpCode::Multi, vec![Value::Operations(parts)])
}

/// A client lives and dies without an ephemeral node; another wants one, in four ways.
fn tell(ensemble: &Ensemble, of: usize, upgrading: bool) -> Result<Vec<String>> {
    let mut teller = Teller::new(ensemble, of, upgrading)?;
    let mut plain = teller.open(40_000)?;
    let outcome = teller.ask(&mut plain, create(OpCode::Create, &format!("/p{of}"), 0))?;
    teller.tell(&format!("create {outcome}"))?;
    teller.counts()?;
    let outcome = teller.renew(&mut plain, of)?;
    teller.tell(&format!("here {outcome}"))?;
    let session = plain.session.clone().context("no session")?;
    let outcome = teller.renew(&mut plain, (of + 1) % 3)?;
    teller.tell(&format!("elsewhere {outcome}"))?;
    let mut plain = Client::of(session);
    let outcome = teller.renew(&mut plain, of)?;
    teller.tell(&format!("here {outcome}"))?;
    let outcome = teller.close(&mut plain)?;
    teller.tell(&format!("closed {outcome}"))?;
    let asked = [
        create(OpCode::Create, &format!("/a{of}"), EPHEMERAL),
        create(OpCode::Create2, &format!("/b{of}"), EPHEMERAL),
        multi(vec![
            create(OpCode::Create, &format!("/c{of}"), 0),
            create(OpCode::Create, &format!("/d{of}"), EPHEMERAL),
        ]),
    ];
    for request in asked {
        let mut client = teller.open(40_000)?;
        let outcome = teller.ask(&mut client, request.clone())?;
        teller.tell_ephemeral(&format!("ephemeral {outcome}"))?;
        let again =
            teller.ask(&mut client, create(OpCode::Create, &format!("/e{of}"), EPHEMERAL))?;
        teller.tell_ephemeral(&format!("another {again}"))?;
        teller.counts()?;
        let outcome = teller.renew(&mut client, (of + 1) % 3)?;
        teller.tell(&format!("elsewhere {outcome}"))?;
        if outcome == "renewed" {
            let outcome = teller.close(&mut client)?;
            teller.lines.push(format!("closed there {outcome}"));
        }
        teller.catch_up()?;
        teller.counts()?;
    }
    Ok(teller.lines)
}

/// A client that says nothing loses its session, where nobody else knew of it.
fn expire(ensemble: &Ensemble, of: usize) -> Result<()> {
    let mut teller = Teller::new(ensemble, of, true)?;
    let others = teller.local_sessions()?;
    let mut silent = teller.open(SHORT_TIMEOUT_MS)?;
    ensure!(teller.local_sessions()? == others + 1, "it is not counted");
    let start = Instant::now();
    silent.drop_connection()?;
    while teller.local_sessions()? > others {
        ensure!(start.elapsed() < EXPIRY_TIME_MAX, "member {}: it lives on", of + 1);
        thread::sleep(POLL_INTERVAL);
    }
    ensure!(start.elapsed() >= Duration::from_millis(900), "member {}: too early", of + 1);
    let outcome = teller.renew(&mut silent, of)?;
    ensure!(outcome == "refused" && teller.ordered()? == 0, "member {}: {outcome}", of + 1);
    Ok(())
}

/// Three members of which the last leads.
fn ensemble(kinds: [Kind; 3], upgrading: bool) -> Result<Ensemble> {
    let mut config = faults::patient_config_of(&kinds[0]);
    config.lines.push("localSessionsEnabled=true".to_owned());
    config.lines.push(format!("localSessionsUpgradingEnabled={upgrading}"));
    let mut ensemble = Ensemble::new(&kinds, config)?;
    ensemble.start_led_by_last_voter()?;
    ensure!(ensemble.leader() == Some(2), "another member leads");
    Ok(ensemble)
}

/// What a client tells of each member whose sessions are upgraded.
fn upgraded() -> Vec<String> {
    let ephemeral = |outcome| {
        [
            "opened, 0 ordered",
            outcome,
            "another 0, 1 ordered",
            "zk_global_sessions=1 zk_local_sessions=0",
            "Local 0 Global 1",
            "elsewhere renewed, 0 ordered",
            "closed there 0",
            "zk_global_sessions=0 zk_local_sessions=0",
            "Local 0 Global 0",
        ]
    };
    // The session, and the node.
    let single = ephemeral("ephemeral 0, 2 ordered");
    let multi = ephemeral("ephemeral 0 of 0 0, 2 ordered");
    let all = PLAIN.into_iter().chain(single).chain(single).chain(multi);
    all.map(str::to_owned).collect()
}

/// What a client tells of a member whose sessions are not upgraded, and which refuses a part of a
/// multi with this.
fn not_upgraded(err: i32) -> Vec<String> {
    let mut told: Vec<String> = PLAIN.map(str::to_owned).into();
    let outcomes = ["-120".to_owned(), "-120".to_owned(), format!("0 of 0 {err}")];
    for (count, outcome) in (1..).zip(outcomes) {
        let counts = [
            format!("zk_global_sessions=0 zk_local_sessions={count}"),
            format!("Local {count} Global 0"),
        ];
        told.extend(["opened, 0 ordered".to_owned(), format!("ephemeral {outcome}")]);
        told.push("another -120".to_owned());
        told.extend(counts.clone());
        told.push("elsewhere refused, 0 ordered".to_owned());
        told.extend(counts);
    }
    told
}

/// What every client tells first.
const PLAIN: [&str; 8] = [
    "opened, 0 ordered",
    "create 0, 1 ordered",
    "zk_global_sessions=0 zk_local_sessions=1",
    "Local 1 Global 0",
    "here renewed, 0 ordered",
    "elsewhere refused, 0 ordered",
    "here renewed, 0 ordered",
    "closed 0, 0 ordered",
];

fn check(kinds: [Kind; 3], upgrading: bool) -> Result<()> {
    let ensemble = ensemble(kinds, upgrading)?;
    for of in 0..3 {
        let told = tell(&ensemble, of, upgrading)?;
        let expected = match (upgrading, of) {
            (true, _) => upgraded(),
            // The leader knows why only of its own clients.
            (false, 2) => not_upgraded(EPHEMERAL_ON_LOCAL),
            (false, _) => not_upgraded(SESSION_EXPIRED),
        };
        let name = format!("member {} ({})", of + 1, ensemble.kind(of));
        ensure!(told == expected, "{name} tells {told:#?} in place of {expected:#?}");
    }
    (0..3).try_for_each(|of| expire(&ensemble, of))
}

#[test]
fn local_sessions_are_upgraded_where_ours_leads() {
    check([JAVA, OURS, OURS], true).unwrap();
}

#[test]
fn local_sessions_are_upgraded_where_theirs_leads() {
    check([OURS, JAVA, JAVA], true).unwrap();
}

#[test]
fn local_sessions_are_upgraded_over_raft() {
    check([Kind::Raft, Kind::Raft, Kind::Raft], true).unwrap();
}

#[test]
fn local_sessions_stay_local_where_ours_leads() {
    check([JAVA, OURS, OURS], false).unwrap();
}

#[test]
fn local_sessions_stay_local_where_theirs_leads() {
    check([OURS, JAVA, JAVA], false).unwrap();
}
