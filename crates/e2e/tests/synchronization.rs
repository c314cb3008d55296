//! How members that come back are brought to the leader's history, by what both sides log of it.

use anyhow::{Context, Result, ensure};
use e2e::ensemble::{Ensemble, SERVE_TIME_MAX};
use e2e::faults;
use e2e::load::{create, read_synced_tree, supervisor};
use e2e::program::Request;
use e2e::servers::{Config, Kind, reference};
use e2e::{raw, tree};
use jute::Encode;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use wire::{Acls, CreateKind, CreateTxn, OpCode, Txn, TxnHeader, TxnRecord};

const OURS: Kind = Kind::Quorate;
/// More writes than a leader keeps in memory: the smallest `commitLogCount`.
const MANY: usize = 600;
/// Between two looks.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// As for load, but a leader keeps as little as it may, and sends no more of its log than is worth
/// it by default.
fn config() -> Config {
    let mut config = faults::config();
    config.lines.retain(|line| !line.starts_with("commitLogCount"));
    config.lines.retain(|line| !line.starts_with("snapCount"));
    config
}

/// What learners of both kinds say of it.
const SIGNS: [(&str, &str); 6] = [
    ("method=DIFF", "DIFF"),
    ("method=TRUNC", "TRUNC"),
    ("method=SNAP", "SNAP"),
    ("Getting a diff from the leader", "DIFF"),
    ("Truncating log to get in sync with the leader", "TRUNC"),
    ("Getting a snapshot from leader", "SNAP"),
];

/// By what the learner's lines in a log say, in order.
fn methods(log: &str) -> Vec<&'static str> {
    let method = |line: &str| SIGNS.iter().find(|(sign, _)| line.contains(sign));
    let learner = log.lines().filter(|line| !line.contains("synchronizing a learner"));
    learner.filter_map(method).map(|(_, method)| *method).collect()
}

/// A member that is down starts, and must be brought to the leader's history in this way, by its
/// own log.
fn come_back(ensemble: &mut Ensemble, n: usize, wanted: &str) -> Result<()> {
    let before = ensemble.log_text(n)?.len();
    ensemble.start(n)?;
    ensemble.wait_for(n)?;
    let text = ensemble.log_text(n)?;
    let mut methods = methods(&text[before..]);
    // On a busy machine it may be given up, and come again before it has stored anything.
    methods.dedup();
    ensure!(methods == [wanted], "{methods:?} and not {wanted}: {}", &text[before..]);
    Ok(())
}

fn write(ensemble: &Ensemble, n: usize, names: &str, count: usize) -> Result<()> {
    let mut client = supervisor(ensemble.address(n))?;
    for i in 0..count {
        create(&mut client, &format!("/{names}{i}"), "some data of a node")?;
    }
    client.exchange_to_end(&[Request::new(OpCode::CloseSession, Vec::new())])?;
    Ok(())
}

/// Ends a member when it has all that the leader has.
fn kill_when_equal(ensemble: &mut Ensemble, n: usize, leader: usize) -> Result<()> {
    let zxid = |n: usize| -> Result<String> {
        let reply = raw::word(ensemble.address(n), "srvr")?;
        let line = reply.lines().find(|line| line.starts_with("Zxid: "));
        Ok(line.context("no zxid")?.to_owned())
    };
    let start = Instant::now();
    while zxid(n)? != zxid(leader)? {
        ensure!(start.elapsed() < SERVE_TIME_MAX, "{} and {}", zxid(n)?, zxid(leader)?);
        thread::sleep(POLL_INTERVAL);
    }
    ensemble.kill(n)
}

fn newest_log(directory: &Path) -> Result<PathBuf> {
    let zxid = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?.strip_prefix("log.")?.to_owned();
        i64::from_str_radix(&name, 16).ok()
    };
    let files = fs::read_dir(directory.join("version-2"))?;
    let paths: Vec<PathBuf> = files.map(|file| Ok(file?.path())).collect::<Result<_>>()?;
    let logs = paths.into_iter().filter(|path| zxid(path).is_some());
    logs.max_by_key(zxid).context("no log")
}

/// The records of a log: the payload of the last one, and where it ends.
fn last_record(log: &[u8]) -> Result<(&[u8], usize)> {
    const HEADER: usize = 16;
    let (mut at, mut last) = (HEADER, None);
    while let Some(head) = log.get(at..at + 12) {
        let len = i32::from_be_bytes(head[8..12].try_into()?);
        let Some(len) = usize::try_from(len).ok().filter(|len| *len > 0) else { break };
        let Some(payload) = log.get(at + 12..at + 12 + len) else { break };
        at += 12 + len + 1;
        last = Some(payload);
    }
    Ok((last.context("no record")?, at))
}

/// A member that is down gets one more transaction in its log, which nobody else ever heard of.
fn log_one_more(ensemble: &Ensemble, n: usize, path: &str) -> Result<()> {
    let log = newest_log(&ensemble.data_directory(n))?;
    let bytes = fs::read(&log)?;
    let (payload, end) = last_record(&bytes)?;
    let before = TxnRecord::decode(payload).map_err(|error| anyhow::anyhow!("{error}"))?.header;
    let txn = Txn::Create(CreateTxn {
        kind: CreateKind::Create,
        path: path.into(),
        data: Some(b"void"),
        acl: Acls::OPEN,
        ephemeral: false,
        parent_cversion: -1,
    });
    let header = TxnHeader { zxid: before.zxid + 1, op: txn.op().number(), ..before };
    let mut payload = Vec::new();
    TxnRecord { header, txn, digest: None }.encode(&mut payload);
    let mut record = storage::record_checksum(&payload).to_be_bytes().to_vec();
    record.extend(i32::try_from(payload.len())?.to_be_bytes());
    record.extend(&payload);
    record.push(b'B');
    let mut file = File::options().write(true).open(&log)?;
    file.seek(SeekFrom::Start(u64::try_from(end)?))?;
    file.write_all(&record)?;
    Ok(())
}

fn compare(ensemble: &Ensemble, n: usize, with: usize) -> Result<()> {
    let read = |n| -> Result<tree::Tree> {
        let tree = read_synced_tree(ensemble.address(n));
        let mut tree = tree.with_context(|| format!("member {}", n + 1))?;
        tree.remove("/zookeeper/config"); // each makes its own
        Ok(tree)
    };
    let (one, other) = (read(n)?, read(with)?);
    match tree::difference(&one, &other) {
        Some(difference) => anyhow::bail!("member {} differs: {difference}", n + 1),
        None => Ok(()),
    }
}

/// The first member of three comes back behind, ahead and far behind a leader of another kind.
fn all_ways(learner: Kind, leader: Kind) -> Result<()> {
    let mut ensemble = Ensemble::new(&[learner, leader.clone(), leader], config())?;
    ensemble.start_led_by_last_voter()?;
    ensure!(ensemble.leader() == Some(2), "another member leads");
    write(&ensemble, 2, "first", 3)?;
    compare(&ensemble, 0, 2)?;
    ensemble.kill(0)?;
    write(&ensemble, 2, "missed", 3)?;
    come_back(&mut ensemble, 0, "DIFF").context("three writes behind")?;
    compare(&ensemble, 0, 2)?;
    kill_when_equal(&mut ensemble, 0, 2)?;
    log_one_more(&ensemble, 0, "/void")?;
    come_back(&mut ensemble, 0, "TRUNC").context("one write ahead")?;
    let tree = read_synced_tree(ensemble.address(0))?;
    ensure!(!tree.contains_key("/void"), "what nobody has is there");
    compare(&ensemble, 0, 2)?;
    write(&ensemble, 0, "behind-the-cut", 2)?;
    ensemble.kill(0)?;
    write(&ensemble, 2, "many", MANY)?;
    let data = ensemble.data_directory(0).join("version-2");
    fs::remove_dir_all(data)?;
    come_back(&mut ensemble, 0, "SNAP").context("all is lost")?;
    compare(&ensemble, 0, 2)?;
    // What it holds now is on its disk.
    ensemble.kill(0)?;
    write(&ensemble, 2, "last", 1)?;
    come_back(&mut ensemble, 0, "DIFF").context("one write behind its state")?;
    compare(&ensemble, 0, 2)
}

#[test]
fn theirs_is_brought_to_ours() {
    all_ways(reference(), OURS).unwrap();
}

#[test]
fn ours_is_brought_to_theirs() {
    all_ways(OURS, reference()).unwrap();
}

/// Restarts after which nobody lacks more than a few writes; how each was brought to the leader's
/// history, by the learners' logs.
fn restarts(kind: &Kind) -> Result<Vec<(&'static str, Vec<&'static str>)>> {
    let mut ensemble = Ensemble::new(&[kind.clone(), kind.clone(), kind.clone()], config())?;
    ensemble.start_led_by_last_voter()?;
    let mut found = Vec::new();
    let mut seen = [0; 3];
    let mut take = |what, ensemble: &Ensemble| -> Result<()> {
        let mut all = Vec::new();
        for (n, seen) in seen.iter_mut().enumerate() {
            let text = ensemble.log_text(n)?;
            all.extend(methods(&text[*seen..]));
            *seen = text.len();
        }
        found.push((what, all));
        Ok(())
    };
    take("the first start", &ensemble)?;
    write(&ensemble, 2, "first", 10)?;
    for what in ["all", "all again, idle", "all a third time, idle"] {
        (0..3).try_for_each(|n| ensemble.kill(n))?;
        ensemble.start_all()?;
        take(what, &ensemble)?;
    }
    for what in ["the leader, idle", "the next leader, idle"] {
        let leader = ensemble.wait_for_leader()?;
        ensemble.kill(leader)?;
        ensemble.wait_for_leader()?;
        ensemble.wait_for_all()?;
        ensemble.start(leader)?;
        ensemble.wait_for_all()?;
        take(what, &ensemble)?;
    }
    let leader = ensemble.wait_for_leader()?;
    let follower = (leader + 1) % 3;
    ensemble.kill(follower)?;
    write(&ensemble, leader, "missed", 3)?;
    for what in ["the others, one write behind", "the others, three writes behind"] {
        let rest: Vec<usize> = ensemble.running();
        rest.iter().try_for_each(|n| ensemble.kill(*n))?;
        rest.iter().try_for_each(|n| ensemble.start(*n))?;
        ensemble.wait_for_all()?;
        take(what, &ensemble)?;
    }
    ensemble.start(follower)?;
    ensemble.wait_for_all()?;
    take("the one behind", &ensemble)?;
    Ok(found)
}

#[test]
fn who_is_hardly_behind_is_not_sent_the_whole_state() {
    let ours = restarts(&OURS).unwrap();
    println!("ours: {ours:?}");
    println!("theirs: {:?}", restarts(&reference()).unwrap());
    let states = ours.iter().filter(|(_, methods)| methods.contains(&"SNAP"));
    let states: Vec<&str> = states.map(|(what, _)| *what).collect();
    assert!(states.is_empty(), "{states:?} of {ours:?}");
}
