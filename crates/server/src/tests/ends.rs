//! How connections begin and end: which worker gets them, and what their clients still hear.

use super::Running;
use super::client::{Client, get};
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
