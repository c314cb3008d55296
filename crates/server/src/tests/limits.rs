//! Clients that ask for more than they may have, and those beside them.

use super::Running;
use super::client::{Client, create, get, word};
use jute::Encode;
use std::io::Write;
use wire::{OpCode, RequestHeader};

#[test]
fn an_address_has_only_so_many_connections() {
    let running = Running::start(&[("maxClientCnxns", "2")]);
    let mut first = Client::open(running.address);
    let second = Client::open(running.address);
    assert_eq!(Client::dial(running.address).rest(), b"");
    assert!(first.get("/", false).is_ok());
    drop(second);
    // The place is free again as soon as the server has seen the end of it.
    while Client::dial(running.address).handshake(0, &[0; 16]).is_none() {}
}

#[test]
fn all_addresses_together_have_only_so_many_connections() {
    let running = Running::start(&[("maxCnxns", "1")]);
    let mut first = Client::open(running.address);
    assert_eq!(Client::dial(running.address).rest(), b"");
    assert!(first.get("/", false).is_ok());
}

#[test]
fn a_connection_without_a_session_is_closed_after_a_while() {
    let running = Running::start(&[("nio.sessionlessCnxnTimeout", "100")]);
    let mut silent = Client::dial(running.address);
    assert_eq!(silent.rest(), b"");
}

#[test]
fn half_a_frame_keeps_nobody_waiting() {
    let running = Running::start(&[]);
    let mut slow = Client::open(running.address);
    let mut frame = Vec::new();
    RequestHeader { xid: 77, op: OpCode::GetData.number() }.encode(&mut frame);
    get("/", false).encode(&mut frame);
    let length = i32::try_from(frame.len()).unwrap().to_be_bytes();
    slow.stream.write_all(&[&length[..], &frame[..7]].concat()).unwrap();
    assert!(Client::open(running.address).get("/", false).is_ok());
    slow.stream.write_all(&frame[7..]).unwrap();
    assert_eq!(slow.answer().unwrap().header.xid, 77);
}

#[test]
fn lengths_that_cannot_be_close_the_connection_alone() {
    let running = Running::start(&[]);
    let mut good = Client::open(running.address);
    for length in [-1, 0, i32::MAX, 0x10_0000] {
        let mut bad = Client::open(running.address);
        bad.stream.write_all(&length.to_be_bytes()).unwrap();
        assert_eq!(bad.rest(), b"", "{length}");
        let mut fresh = Client::dial(running.address);
        fresh.stream.write_all(&length.to_be_bytes()).unwrap();
        assert_eq!(fresh.rest(), b"", "{length}");
    }
    assert!(good.get("/", false).is_ok());
}

#[test]
fn malformed_requests_cost_nobody_else() {
    let running = Running::start(&[]);
    let mut good = Client::open(running.address);
    for op in OpCode::ALL {
        for filler in [0x00, 0x01, 0x7f, 0xff] {
            let mut bad = Client::open(running.address);
            bad.send(*op, |out| out.extend([filler; 64]));
            bad.stream.shutdown(std::net::Shutdown::Write).unwrap();
            bad.rest();
        }
    }
    // A multi of multis, as deep as a frame can say it.
    let mut deep = Client::open(running.address);
    deep.send(OpCode::Multi, |out| {
        for _ in 0..50_000 {
            wire::MultiHeader { op: OpCode::Multi.number(), done: false, err: -1 }.encode(out);
        }
    });
    deep.stream.shutdown(std::net::Shutdown::Write).unwrap();
    deep.rest();
    assert_eq!(good.create("/still", b"here"), 0);
}

#[test]
fn who_does_not_read_holds_up_nobody_and_takes_little_memory() {
    const READS: usize = 200;
    let running = Running::start(&[]);
    let mut slow = Client::open(running.address);
    let data = vec![9; 900_000];
    slow.create("/big", &data);
    let before = resident();
    for _ in 0..READS {
        slow.send(OpCode::GetData, |out| get("/big", false).encode(out));
    }
    let mut other = Client::open(running.address);
    for node in 0..100 {
        assert_eq!(other.create(&format!("/o{node}"), b""), 0);
    }
    // 180 MB wait to be read.
    let grown = resident().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes");
    assert!(word(running.address, b"cons").contains("/127.0.0.1:"));
    for read in 0..READS {
        let answer = slow.answer().unwrap();
        assert_eq!((answer.header.err, answer.body.len()), (0, 4 + data.len() + 68), "{read}");
    }
}

#[test]
fn tight_limits_on_requests_slow_clients_down_and_lose_nothing() {
    let running = Running::start(&[
        ("globalOutstandingLimit", "1"),
        ("request_throttle_max_requests", "2"),
        ("request_throttle_stall_time", "1"),
    ]);
    let mut clients: Vec<Client> = (0..4).map(|_| Client::open(running.address)).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        for node in 0..300 {
            let path = format!("/c{number}-{node}");
            client.send(OpCode::Create, |out| create(&path, b"").encode(out));
        }
    }
    for client in &mut clients {
        for _ in 0..300 {
            assert_eq!(client.answer().unwrap().header.err, 0);
        }
    }
}

#[test]
fn large_requests_have_a_common_limit() {
    let running =
        Running::start(&[("largeRequestThreshold", "1000"), ("largeRequestMaxBytes", "5000")]);
    let mut client = Client::open(running.address);
    for node in 0..20 {
        assert_eq!(client.create(&format!("/l{node}"), &[1; 3000]), 0);
    }
    client.send(OpCode::Create, |out| create("/too-large", &[1; 6000]).encode(out));
    assert_eq!(client.rest(), b"");
    assert!(word(running.address, b"mntr").contains("zk_large_requests_rejected\t1\n"));
}

#[test]
fn connect_requests_beyond_the_bucket_are_closed() {
    let running = Running::start(&[
        ("connection_throttle_tokens", "1"),
        ("connection_throttle_fill_time", "100000"),
    ]);
    let _first = Client::open(running.address);
    assert_eq!(Client::dial(running.address).handshake(0, &[0; 16]).map(|r| r.session_id), None);
    assert!(word(running.address, b"mntr").contains("zk_connection_drop_count\t1\n"));
}

/// Bytes of memory that the process has.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<usize>().unwrap() * 1024
}
