//! Linearizable reads against real servers: at members that lag behind, under leaders of both kinds,
//! and at a leader that has lost its quorum.

use anyhow::{Context, Result, bail, ensure};
use e2e::ensemble::Role::{Observer, Participant};
use e2e::ensemble::{Ensemble, Role};
use e2e::faults;
use e2e::play::{Client, Item};
use e2e::program::{Hello, Request, Value};
use e2e::servers::Kind;
use jute::Reader;
use wire::{ErrorCode, OpCode};

const JAVA: Kind = Kind::Reference38;
const OURS: Kind = Kind::Quorate;
const RAFT: Kind = Kind::Raft;
const ROUNDS: i32 = 25;

/// A session that says how it wants its reads.
fn session(ensemble: &Ensemble, n: usize, reads: &str) -> Result<Client> {
    let mut client = Client::default();
    let hello = Hello::new_session();
    let items = client.connect(ensemble.address(n), &hello, &[wish(reads)])?;
    match &items[..] {
        [Item::Hello(_), Item::Reply { header, .. }, Item::Barrier(_)] if header.err == 0 => {
            Ok(client)
        }
        other => bail!("member {} answers reads={reads} with {other:?}", n + 1),
    }
}

/// addAuth.
fn wish(reads: &str) -> Request {
    let data = Value::Bytes(reads.as_bytes().to_vec());
    let values = vec![Value::Int(0), Value::Text("reads".to_owned()), data];
    Request::new(OpCode::Auth, values).with_xid(wire::xid::AUTH)
}

fn get() -> Request {
    Request::new(OpCode::GetData, vec![Value::Text("/x".to_owned()), Value::Bool(false)])
}

fn set(number: i32) -> Request {
    let data = Value::Bytes(number.to_be_bytes().to_vec());
    Request::new(OpCode::SetData, vec![Value::Text("/x".to_owned()), data, Value::Int(-1)])
}

fn create() -> Request {
    let world = [Value::Int(1), Value::Int(31)];
    let anyone = ["world", "anyone"].map(|text| Value::Text(text.to_owned()));
    let mut values = vec![Value::Text("/x".to_owned()), Value::Bytes(vec![0; 4])];
    values.extend(world.into_iter().chain(anyone).chain([Value::Int(0)]));
    Request::new(OpCode::Create, values)
}

fn write(writer: &mut Client, request: Request) -> Result<()> {
    let items = writer.exchange(&[request])?;
    let acknowledged = matches!(&items[0], Item::Reply { header, .. } if header.err == 0);
    ensure!(acknowledged, "the write is answered with {items:?}");
    Ok(())
}

/// The number that a read was answered with.
fn number(items: &[Item]) -> Result<i32> {
    let [Item::Reply { header, body, .. }, Item::Barrier(_)] = items else {
        bail!("the read is answered with {items:?}");
    };
    ensure!(header.err == 0, "{header:?}");
    let data = Reader::new(body).buffer()?.context("a null")?;
    Ok(i32::from_be_bytes(data.try_into()?))
}

/// One member is paused while the others acknowledge a write; what is read there behind it sits in
/// front of that member, and so does the write's news. What local reads show then is chance.
fn reads_at_a_member_that_lags(members: &[(Kind, Role)]) -> Result<()> {
    let config = faults::config_of(&members[0].0);
    let mut ensemble = Ensemble::with_roles(members, config)?;
    ensemble.start_led_by_last_voter()?;
    let leader = ensemble.wait_for_leader()?;
    let mut writer = Client::default();
    writer.connect(ensemble.address(leader), &Hello::new_session(), &[create()])?;
    let lagging: Vec<usize> =
        (0..ensemble.size()).filter(|n| *n != leader && ensemble.kind(*n).is_ours()).collect();
    ensure!(!lagging.is_empty());
    let mut last = 0;
    for n in lagging {
        let mut reader = session(&ensemble, n, "linearizable")?;
        let mut local = session(&ensemble, n, "local")?;
        let mut stale = 0;
        for _ in 0..ROUNDS {
            last += 1;
            ensemble.pause(n)?;
            write(&mut writer, set(last))?;
            reader.send_with_barrier(&[get()]);
            local.send_with_barrier(&[get()]);
            ensemble.resume(n)?;
            let seen = number(&reader.finish_exchange()?)?;
            ensure!(seen == last, "member {} shows {seen}, {last} was acknowledged", n + 1);
            stale += i32::from(number(&local.finish_exchange()?)? != last);
        }
        println!("member {}: {stale} of {ROUNDS} local reads were stale", n + 1);
    }
    Ok(())
}

#[test]
fn a_linearizable_read_shows_what_was_acknowledged_wherever_it_is_asked() {
    let members = [(OURS, Participant), (OURS, Participant), (OURS, Participant), (OURS, Observer)];
    reads_at_a_member_that_lags(&members).unwrap();
}

#[test]
fn over_raft_a_linearizable_read_shows_what_was_acknowledged() {
    let members = [(RAFT, Participant), (RAFT, Participant), (RAFT, Participant), (RAFT, Observer)];
    reads_at_a_member_that_lags(&members).unwrap();
}

#[test]
fn a_linearizable_read_is_one_under_a_leader_of_theirs_too() {
    let members = [(OURS, Participant), (JAVA, Participant), (JAVA, Participant), (OURS, Observer)];
    reads_at_a_member_that_lags(&members).unwrap();
}

#[test]
fn a_leader_without_a_quorum_answers_local_reads_only() {
    has_no_quorum(OURS).unwrap();
}

#[test]
fn over_raft_a_leader_without_a_quorum_answers_local_reads_only() {
    has_no_quorum(RAFT).unwrap();
}

fn has_no_quorum(kind: Kind) -> Result<()> {
    let config = faults::config_of(&kind);
    let members = vec![(kind, Participant); 3];
    let mut ensemble = Ensemble::with_roles(&members, config)?;
    ensemble.start_led_by_last_voter()?;
    let leader = ensemble.wait_for_leader()?;
    let mut reader = session(&ensemble, leader, "linearizable")?;
    let mut local = session(&ensemble, leader, "local")?;
    write(&mut local, create())?;
    assert_eq!(number(&reader.exchange(&[get()])?)?, 0);
    for n in (0..3).filter(|n| *n != leader) {
        ensemble.pause(n)?;
    }
    reader.send_with_barrier(&[get()]);
    assert_eq!(number(&local.exchange(&[get()])?)?, 0, "the leader believes");
    assert_eq!(reader.finish_exchange()?, [Item::Closed], "until it gives up");
    Ok(())
}

#[test]
fn a_server_of_theirs_refuses_to_promise_it_and_ours_what_it_does_not_know() {
    let mut ensemble = Ensemble::new(&[OURS, JAVA], faults::config()).unwrap();
    ensemble.start_all().unwrap();
    for (n, reads) in [(0, "sometimes"), (1, "linearizable")] {
        let mut client = Client::default();
        let (address, hello) = (ensemble.address(n), Hello::new_session());
        client.connect(address, &hello, &[]).unwrap();
        let items = client.exchange_to_end(&[wish(reads)]).unwrap();
        let [Item::Reply { header, .. }, Item::Closed] = &items[..] else { panic!("{items:?}") };
        assert_eq!(header.err, ErrorCode::AuthFailed.number(), "member {}", n + 1);
    }
}
