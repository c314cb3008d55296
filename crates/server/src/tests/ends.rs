//! How connections begin and end: which worker gets them, and what their clients still hear.

use super::Running;
use super::client::{Client, get, word};
use jute::Encode;
use wire::OpCode;

#[test]
fn no_worker_has_clearly_more_connections_than_another() {
    let running = Running::start(&[]);
    let mut clients: Vec<Client> = (0..40).map(|_| Client::open(running.address)).collect();
    let shares = running.server.as_ref().unwrap().shares();
    assert_eq!(shares.iter().sum::<usize>(), 40);
    assert!(shares.iter().all(|share| (18..=22).contains(share)), "{shares:?}");
    assert!(clients.iter_mut().all(|client| client.get("/", false).is_ok()));
    drop(clients);
    while running.server.as_ref().unwrap().shares().iter().any(|share| *share > 0) {}
}

#[test]
fn the_last_reply_comes_although_the_client_has_sent_more() {
    let running = Running::start(&[]);
    for _ in 0..20 {
        let mut client = Client::open(running.address);
        let close = client.send(OpCode::CloseSession, |_| {});
        client.send(OpCode::GetData, |out| get("/", false).encode(out));
        assert_eq!(client.answer().expect("the reply of the close").header.xid, close);
        assert_eq!(client.rest(), b"");
    }
}

/// Whoever has seen its connection end may come back at once, and nobody is shown it any more.
#[test]
fn a_connection_that_has_ended_counts_no_more() {
    let running = Running::start(&[("maxClientCnxns", "1")]);
    for _ in 0..1000 {
        let mut client = Client::dial(running.address);
        let opened = client.handshake(0, &[0; 16]);
        assert!(opened.is_some(), "the connection before it is still counted");
        assert!(client.get("/", true).is_ok());
        client.send(OpCode::CloseSession, |_| {});
        assert!(!client.rest().is_empty());
        assert_eq!(word(running.address, b"wchp").trim(), "", "its watches are still there");
    }
}
