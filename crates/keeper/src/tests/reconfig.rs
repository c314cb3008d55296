//! Changes of the members: each check in its turn, the transaction, and the answer.

use super::ensemble::Ensemble;
use super::get;
use super::harness::{Got, House, request};
use crate::{Config, Members};
use jute::Reader;
use wire::quorum::{Membership, Rules};
use wire::{ErrorCode, EventType, OpCode, Stat, Txn, TxnRecord};

const TEXT: &str = "server.1=a:1:2;3\nserver.2=b:1:2;3\nserver.3=c:1:2;3\nversion=100000000";
const JOINER: &str = "server.4=d:1:2:participant;0.0.0.0:3";

fn members(synced: &[i64]) -> Members {
    let last_seen = Membership::parse(TEXT, &Rules::DEFAULT).unwrap();
    let synced = synced.iter().copied().collect();
    Members { committed: last_seen.version(), last_seen, synced, knows_groups: true }
}

fn changeable(config: &mut Config) {
    config.reconfig_enabled = true;
    config.auth.skip_acl = true;
}

fn house() -> House {
    let mut house = House::with(changeable);
    house.members = Some(members(&[1, 2, 3]));
    house
}

#[derive(Clone, Copy, Default)]
struct Change<'a> {
    joining: Option<&'a str>,
    leaving: Option<&'a str>,
    members: Option<&'a str>,
    version: Option<i64>,
}

fn change(xid: i32, change: Change<'_>) -> Vec<u8> {
    request(xid, OpCode::Reconfig, |out| {
        for text in [change.joining, change.leaving, change.members] {
            jute::put_buffer(out, text.map(str::as_bytes));
        }
        jute::put_long(out, change.version.unwrap_or(-1));
    })
}

fn outcome(house: &mut House, client: usize, asked: Change<'_>) -> i32 {
    house.send(client, change(1, asked));
    house.deliver_all();
    house.got(client)[0].err()
}

fn text_and_stat(got: &Got) -> (String, Stat) {
    let mut body = Reader::new(got.body());
    let text = body.buffer().unwrap().unwrap();
    (String::from_utf8(text.to_vec()).unwrap(), jute::Decode::decode(&mut body).unwrap())
}

#[test]
fn the_next_configuration_is_a_transaction_of_its_own_kind_and_the_answer() {
    let mut house = house();
    let client = house.session();
    house.send(client, request(1, OpCode::GetData, get("/zookeeper/config", true)));
    assert_eq!(house.got(client)[0].data(), b"");
    house.wall.0 = 77;
    house.send(client, change(2, Change { joining: Some(JOINER), ..Change::default() }));
    let record = TxnRecord::decode(&house.order[0].item).unwrap().txn;
    let zxid = house.order[0].at;
    assert!(matches!(record, Txn::SetData { version: -1, reconfig: true, .. }), "{record:?}");
    house.deliver_all();
    let got = house.got(client);
    assert_eq!(
        got[0].event(),
        Some((EventType::NodeDataChanged as i32, "/zookeeper/config".to_owned()))
    );
    assert_eq!((got[1].xid(), got[1].err()), (2, 0));
    let (text, stat) = text_and_stat(&got[1]);
    let expected = members(&[]).last_seen.to_string().replace("version=100000000", "");
    assert_eq!(text, format!("{expected}{JOINER}\nversion={:x}", zxid.0));
    assert_eq!((stat.mzxid, stat.mtime, stat.version, stat.aversion), (zxid.0, 77, -1, -1));
    house.send(client, request(3, OpCode::GetData, get("/zookeeper/config", false)));
    assert_eq!(text_and_stat(&house.got(client)[0]), (text, stat));
    assert_eq!(house.tree.digest_mismatches(), 0);
}

#[test]
fn checks_are_made_in_the_references_order() {
    // Each of these fails by all checks behind its own as well.
    let bad = Change { members: Some("server.1=a"), version: Some(5), ..Change::default() };
    let mut disabled = House::new();
    let client = disabled.session();
    assert_eq!(outcome(&mut disabled, client, bad), ErrorCode::ReconfigDisabled.number());
    let mut alone = House::with(|config| config.reconfig_enabled = true);
    let client = alone.session();
    assert_eq!(outcome(&mut alone, client, bad), ErrorCode::Unimplemented.number());
    let mut house = House::with(|config| config.reconfig_enabled = true);
    let client = house.session();
    let mut in_progress = members(&[]);
    in_progress.committed = 7;
    house.members = Some(in_progress);
    assert_eq!(outcome(&mut house, client, bad), ErrorCode::ReconfigInProgress.number());
    house.members = Some(members(&[]));
    assert_eq!(outcome(&mut house, client, bad), ErrorCode::BadVersion.number());
    let bad = Change { version: Some(0x1_0000_0000), ..bad };
    assert_eq!(outcome(&mut house, client, bad), ErrorCode::BadArguments.number());
    let unknown = Change { leaving: Some("x"), ..Change::default() };
    assert_eq!(outcome(&mut house, client, unknown), ErrorCode::MarshallingError.number());
    let few = Change { leaving: Some("2,3"), ..Change::default() };
    assert_eq!(outcome(&mut house, client, few), ErrorCode::BadArguments.number());
    let unsynced = Change { leaving: Some("3"), ..Change::default() };
    assert_eq!(outcome(&mut house, client, unsynced), ErrorCode::NewConfigNoQuorum.number());
    house.members = Some(members(&[1, 2]));
    assert_eq!(outcome(&mut house, client, unsynced), ErrorCode::NoAuth.number());
    house.members = Some(members(&[1]));
    assert_eq!(outcome(&mut house, client, unsynced), ErrorCode::NewConfigNoQuorum.number());
    let observers = Change {
        joining: Some("server.2=b:1:2:observer;3,server.3=c:1:2:observer;3"),
        ..Change::default()
    };
    assert_eq!(outcome(&mut house, client, observers), ErrorCode::BadArguments.number());
}

#[test]
fn one_change_at_a_time() {
    let mut house = house();
    let client = house.session();
    house.send(client, change(1, Change { leaving: Some("3"), ..Change::default() }));
    house.send(client, change(2, Change { leaving: Some("3"), ..Change::default() }));
    house.deliver_all();
    let got = house.got(client);
    let errors: Vec<i32> = got.iter().map(Got::err).collect();
    assert_eq!(errors, [0, ErrorCode::ReconfigInProgress.number()]);
    // A change that failed is none.
    let unknown = Change { joining: Some("server.4=d"), ..Change::default() };
    assert_eq!(outcome(&mut house, client, unknown), ErrorCode::BadArguments.number());
    let next = Change { leaving: Some("3,9"), ..Change::default() };
    assert_eq!(outcome(&mut house, client, next), 0);
}

#[test]
fn a_replicas_client_changes_the_members_through_the_primary() {
    let mut ensemble = Ensemble::with(changeable);
    ensemble[0].members = Some(members(&[1, 2, 3]));
    let client = ensemble.session(2);
    let whole = Change {
        members: Some("server.1=a:1:2;3,server.2=b:1:2;3,server.9=i:1:2:observer"),
        ..Change::default()
    };
    ensemble.send(client, change(1, whole));
    ensemble.run();
    let got = ensemble[2].got(client.slot);
    let (text, _) = text_and_stat(&got[0]);
    assert!(text.contains("server.9=i:1:2:observer\nversion="), "{text}");
    ensemble.check_agreement();
    for of in 0..3 {
        let tree = &ensemble[of].tree;
        let node = tree.find("/zookeeper/config").unwrap();
        assert_eq!(tree.data(node), Some(text.as_bytes()));
    }
}
