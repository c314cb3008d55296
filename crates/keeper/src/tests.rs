//! The keeper and its connections together, over a tree and an order that a test moves by hand.

mod ensemble;
mod harness;
mod linearizable;
mod links;
mod locals;
mod random;
mod read_only;
mod reconfig;
mod replicas;
mod roles;

use base::{SessionId, Time, WallTime};
use harness::{Got, House, create, request};
use std::time::Duration;
use wire::{ErrorCode, EventType, OpCode, perms};

/// getData, with or without a watch.
fn get(path: &str, watch: bool) -> impl FnOnce(&mut Vec<u8>) {
    move |out| {
        jute::put_string(out, path);
        jute::put_bool(out, watch);
    }
}

fn set(path: &str, data: &[u8]) -> impl FnOnce(&mut Vec<u8>) {
    move |out| {
        jute::put_string(out, path);
        jute::put_buffer(out, Some(data));
        jute::put_int(out, -1);
    }
}

fn path(path: &str) -> impl FnOnce(&mut Vec<u8>) {
    move |out| jute::put_string(out, path)
}

#[test]
fn a_session_is_opened_once_the_order_has_it() {
    let mut house = House::new();
    let a = house.accept();
    house.connect(a, SessionId::NONE, &[0; 16]);
    assert_eq!(house.got(a), []);
    house.deliver_all();
    let (session, password) = house.established(a);
    assert_eq!(password, crate::password(session));
    assert_eq!(house.tree.session_timeout(session), Some(6000));
}

#[test]
fn a_read_runs_between_the_writes_of_its_session() {
    let mut house = House::new();
    let a = house.session();
    house.send(a, request(1, OpCode::Create, create("/x", b"one", 0)));
    house.send(a, request(2, OpCode::GetData, get("/x", false)));
    house.send(a, request(3, OpCode::SetData, set("/x", b"two")));
    house.send(a, request(4, OpCode::GetData, get("/x", false)));
    assert_eq!(house.got(a), [], "nothing is answered before the order has the first write");
    assert_eq!(house.pending(), 2, "writes do not wait for reads");
    house.deliver_all();
    let got = house.got(a);
    let xids: Vec<i32> = got.iter().map(Got::xid).collect();
    assert_eq!(xids, [1, 2, 3, 4]);
    assert_eq!(got[1].data(), b"one");
    assert_eq!(got[3].data(), b"two");
}

#[test]
fn many_reads_hold_back_the_writes_behind_them_and_order_is_kept() {
    let mut house = House::new();
    let a = house.session();
    house.send(a, request(1, OpCode::Create, create("/x", b"one", 0)));
    for xid in 2..102 {
        house.send(a, request(xid, OpCode::GetData, get("/x", false)));
    }
    house.send(a, request(102, OpCode::SetData, set("/x", b"two")));
    house.send(a, request(103, OpCode::GetData, get("/x", false)));
    assert_eq!(house.pending(), 1);
    house.deliver_all();
    let got = house.got(a);
    assert_eq!(got.iter().map(Got::xid).collect::<Vec<_>>(), (1..=103).collect::<Vec<_>>());
    assert_eq!(got[100].data(), b"one");
    assert_eq!(got[102].data(), b"two");
}

#[test]
fn a_write_of_one_session_does_not_hold_up_another() {
    let mut house = House::new();
    let (a, b) = (house.session(), house.session());
    house.send(a, request(1, OpCode::Create, create("/x", b"", 0)));
    house.send(b, request(1, OpCode::Exists, get("/x", false)));
    assert_eq!(house.got(b)[0].err(), ErrorCode::NoNode.number());
}

#[test]
fn an_event_leaves_before_the_reply_that_shows_its_change() {
    let mut house = House::new();
    let a = house.session();
    house.send(a, request(1, OpCode::Create, create("/x", b"", 0)));
    house.send(a, request(2, OpCode::GetData, get("/x", true)));
    house.send(a, request(3, OpCode::SetData, set("/x", b"new")));
    house.send(a, request(4, OpCode::GetData, get("/x", false)));
    house.deliver_all();
    let got = house.got(a);
    assert_eq!(got[2].event(), Some((EventType::NodeDataChanged as i32, "/x".to_owned())));
    assert_eq!(got[2].zxid(), got[3].zxid(), "the event carries its transaction's zxid");
    assert_eq!(got[3].xid(), 3);
}

#[test]
fn a_watch_that_may_not_be_read_is_consumed_without_a_word() {
    let mut house = House::new();
    let (a, b) = (house.session(), house.session());
    house.send(a, request(1, OpCode::Exists, get("/x", true)));
    let acl = wire::Acl { perms: perms::ALL, id: wire::Id::new("ip", "10.0.0.9") };
    house.send(
        b,
        request(1, OpCode::Create, harness::create_with("/x", b"", 0, std::slice::from_ref(&acl))),
    );
    house.deliver_all();
    house.got(a);
    assert_eq!(house.got(a), []);
    assert!(house.watches.is_empty());
}

#[test]
fn a_wrong_password_does_not_cost_the_owner_its_connection() {
    let mut house = House::new();
    let a = house.accept();
    house.connect(a, SessionId::NONE, &[0; 16]);
    house.deliver_all();
    let (session, password) = house.established(a);
    let b = house.accept();
    house.connect(b, session, &[7; 16]);
    assert!(house.is_refused(b));
    assert!(house.closed(b));
    assert!(!house.closed(a));
    let c = house.accept();
    house.connect(c, session, &password);
    assert_eq!(house.established(c).0, session);
    assert!(house.closed(a));
    assert_eq!(house.order_length(), 1, "a renewal takes no place in the order");
}

#[test]
fn a_client_that_has_seen_more_than_the_server_is_sent_away_without_a_word() {
    let mut house = House::new();
    let a = house.accept();
    house.connect_having_seen(a, 1000);
    assert!(house.closed(a));
    assert_eq!(house.got(a), []);
}

#[test]
fn a_silent_session_expires_and_takes_its_ephemeral_nodes_along() {
    let mut house = House::new();
    let (a, b) = (house.session(), house.session());
    house.send(a, request(1, OpCode::Create, create("/e", b"", 1)));
    house.deliver_all();
    house.send(b, request(1, OpCode::Exists, get("/e", true)));
    house.got(b);
    house.now = Time::from_millis(8000);
    house.send(b, request(-2, OpCode::Ping, |_| {}));
    house.now = Time::from_millis(9000);
    house.expire();
    house.deliver_all();
    assert!(house.tree.find("/e").is_none());
    assert!(house.closed(a));
    assert!(!house.closed(b), "the other was heard meanwhile");
    let event = house.got(b).into_iter().find_map(|got| got.event());
    assert_eq!(event, Some((EventType::NodeDeleted as i32, "/e".to_owned())));
}

#[test]
fn nothing_is_read_behind_a_close() {
    let mut house = House::new();
    let a = house.session();
    house.send(a, request(1, OpCode::CloseSession, |_| {}));
    house.send(a, request(2, OpCode::Create, create("/x", b"", 0)));
    house.deliver_all();
    assert_eq!(house.got(a).iter().map(Got::xid).collect::<Vec<_>>(), [1]);
    assert!(house.closed(a));
    assert!(house.tree.find("/x").is_none());
}

#[test]
fn an_unknown_operation_is_answered_and_ends_the_connection() {
    for op in [0, 10, 13, 20, -10, -1, 9999] {
        let mut house = House::new();
        let a = house.session();
        house.send_raw(a, &harness::frame(5, op, |_| {}));
        let got = house.got(a);
        assert_eq!((got[0].zxid(), got[0].err()), (-1, ErrorCode::Unimplemented.number()), "{op}");
        assert!(house.closed(a));
    }
}

#[test]
fn contradicting_create_flags_make_no_record_that_cannot_be_applied() {
    let mut house = House::new();
    let a = house.session();
    house.send(a, request(1, OpCode::Create, create("/c", b"", 4)));
    house.send(
        a,
        request(2, OpCode::CreateTtl, |out: &mut Vec<u8>| {
            create("/t", b"", 0)(out);
            jute::put_long(out, -1);
        }),
    );
    house.deliver_all();
    let got = house.got(a);
    assert_eq!(got[0].err(), 0);
    assert_eq!(got[1].err(), ErrorCode::BadArguments.number());
    let node = house.tree.find("/c").unwrap();
    assert_eq!(house.tree.owner(node), wire::OwnerKind::Container);
    assert_eq!(house.tree.digest_mismatches(), 0);
}

#[test]
fn every_prepared_digest_is_the_one_after_the_apply() {
    let mut house = House::new();
    let a = house.session();
    house.send(a, request(1, OpCode::Create, create("/a", b"1", 0)));
    house.send(a, request(2, OpCode::Create2, create("/a/b", b"22", 1)));
    house.send(a, request(3, OpCode::Create, create("/a/s-", b"", 2)));
    house.send(a, request(4, OpCode::SetData, set("/a", b"other")));
    house.send(a, request(5, OpCode::SetData, set("/", b"root")));
    house.send(a, request(6, OpCode::Multi, harness::multi(&[("/m", 0), ("/m/n", 0), ("/a", 0)])));
    house.send(a, request(7, OpCode::Multi, harness::multi(&[("/m", 0), ("/m/n", 2)])));
    house.send(a, request(8, OpCode::Create, create("/m/n", b"", 0)));
    house.send(
        a,
        request(9, OpCode::Delete, |out: &mut Vec<u8>| {
            path("/a/s-0000000001")(out);
            jute::put_int(out, 0);
        }),
    );
    house.send(a, request(10, OpCode::CloseSession, |_| {}));
    house.deliver_all();
    let errors: Vec<i32> = house.got(a).iter().map(Got::err).collect();
    assert_eq!(errors[..5], [0; 5]);
    assert_eq!(house.tree.digest_mismatches(), 0);
    assert!(house.tree.find("/m/n").is_some());
    assert!(house.tree.find("/a/b").is_none());
}

#[test]
fn after_a_failed_disk_writes_are_refused_and_reads_go_on() {
    let mut house = House::new();
    let (a, b) = (house.session(), house.session());
    house.send(a, request(1, OpCode::Create, create("/x", b"", 0)));
    house.fail_disk();
    assert!(house.closed(a), "nobody knows what became of its write");
    house.send(b, request(1, OpCode::Create, create("/y", b"", 0)));
    house.send(b, request(2, OpCode::Exists, get("/", false)));
    let got = house.got(b);
    assert_eq!((got[0].xid(), got[0].err()), (1, ErrorCode::SystemError.number()));
    assert_eq!((got[1].xid(), got[1].err()), (2, 0));
    let c = house.accept();
    house.connect(c, SessionId::NONE, &[0; 16]);
    assert!(house.closed(c));
    assert_eq!(house.keeper.deadline(), None, "no session can be ended any more");
}

#[test]
fn a_write_that_waited_too_long_is_refused_in_its_turn() {
    let mut house = House::with(|config| config.throttled_op_wait = Some(Duration::from_millis(5)));
    let a = house.session();
    house.send(a, request(1, OpCode::Create, create("/x", b"", 0)));
    house.hold = true;
    house.send(a, request(2, OpCode::Create, create("/y", b"", 0)));
    house.now += Duration::from_millis(6);
    house.hold = false;
    house.send(a, request(3, OpCode::Create, create("/z", b"", 0)));
    house.deliver_all();
    let got: Vec<(i32, i32)> = house.got(a).iter().map(|got| (got.xid(), got.err())).collect();
    assert_eq!(got, [(1, 0), (2, ErrorCode::ThrottledOp.number()), (3, 0)]);
}

#[test]
fn an_empty_container_is_reaped_and_a_used_one_is_not() {
    let mut house = House::new();
    let a = house.session();
    house.send(a, request(1, OpCode::CreateContainer, create("/c", b"", 4)));
    house.send(a, request(2, OpCode::Create, create("/c/x", b"", 0)));
    house.send(a, request(3, OpCode::CreateContainer, create("/fresh", b"", 4)));
    house.deliver_all();
    house.now = Time::from_millis(60_000);
    house.send(a, request(-2, OpCode::Ping, |_| {}));
    house.expire();
    house.deliver_all();
    assert!(house.tree.find("/c").is_some());
    house.send(
        a,
        request(4, OpCode::Delete, |out: &mut Vec<u8>| {
            path("/c/x")(out);
            jute::put_int(out, -1);
        }),
    );
    house.deliver_all();
    house.now = Time::from_millis(120_000);
    house.wall = WallTime(120_000);
    house.send(a, request(-2, OpCode::Ping, |_| {}));
    house.expire();
    house.deliver_all();
    assert!(house.tree.find("/c").is_none());
    assert!(house.tree.find("/fresh").is_some(), "never used is not the same as empty");
}

#[test]
fn a_client_that_takes_nothing_is_paused_and_then_cut_off() {
    let mut house = House::new();
    let (a, b) = (house.session(), house.session());
    house.send(a, request(1, OpCode::Create, create("/big", &vec![7; 1 << 20], 0)));
    house.deliver_all();
    house.got(a);
    house.keep_output = true;
    assert!(house.wants_more(a));
    house.send(a, request(2, OpCode::GetData, get("/big", false)));
    assert!(!house.wants_more(a), "no more requests are read while replies pile up");
    house.send(b, request(1, OpCode::Exists, get("/big", false)));
    assert!(!house.closed(a) && house.wants_more(b));
}

#[test]
fn a_node_that_was_made_anew_by_another_does_not_go_with_its_former_owner() {
    let mut house = House::new();
    let (a, b) = (house.session(), house.session());
    house.send(a, request(1, OpCode::Create, create("/x", b"", 1)));
    house.deliver_all();
    house.send(
        b,
        request(1, OpCode::Delete, |out: &mut Vec<u8>| {
            path("/x")(out);
            jute::put_int(out, -1);
        }),
    );
    house.send(b, request(2, OpCode::Create, create("/x", b"", 0)));
    house.send(a, request(2, OpCode::CloseSession, |_| {}));
    house.deliver_all();
    assert!(house.tree.find("/x").is_some());
    assert_eq!(house.tree.digest_mismatches(), 0);
}
