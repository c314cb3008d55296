//! Dialling and listening.

use super::host::{CHANNEL, Host, PATIENCE, free_address, wait_for};
use crate::listener::bind_to;
use broadcast::LinkId;
use node::Input;
use std::io::{ErrorKind, Read};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

const LINK: LinkId = LinkId(1);

#[test]
fn nobody_at_an_address_and_a_name_of_nobody_are_told_with_the_address() {
    let mut host = Host::start();
    let address = free_address();
    host.dial(LINK, &[&address]);
    let reason = host.down(LINK);
    assert!(reason.contains(&address) && reason.contains("refused"), "{reason}");
    host.dial(LINK, &["nobody.invalid:2888"]);
    let reason = host.down(LINK);
    assert!(reason.starts_with("nobody.invalid:2888: "), "{reason}");
    host.dial(LINK, &["no port"]);
    assert!(host.down(LINK).starts_with("no port: "));
    host.assert_silent();
}

#[test]
fn the_first_of_several_addresses_that_answers_counts() {
    let mut host = Host::start();
    let (nobody, somebody) = (free_address(), TcpListener::bind(free_address()).unwrap());
    let somewhere = somebody.local_addr().unwrap().to_string();
    host.dial(LINK, &["nobody.invalid:1", &nobody, &somewhere]);
    assert_eq!(host.up(), LINK);
    // A name stands for several, too: nothing listens on its IPv6 side.
    let local = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let name = format!("localhost:{}", local.local_addr().unwrap().port());
    host.dial(LinkId(2), &[&name]);
    assert_eq!(host.up(), LinkId(2));
    host.dial(LinkId(3), &["nobody.invalid:1", &nobody]);
    let reason = host.down(LinkId(3));
    assert!(reason.contains("nobody.invalid:1") && reason.contains(&nobody), "{reason}");
}

/// A port where connections are not answered: its queue is full.
fn mute() -> (TcpListener, Vec<TcpStream>) {
    let address: SocketAddr = free_address().parse().unwrap();
    let listener = bind_to(address, 0, false).unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        waiting.push(stream);
    }
    (listener, waiting)
}

#[test]
fn who_does_not_answer_in_time_is_given_up() {
    let (listener, _waiting) = mute();
    let mut host = Host::start_with(Duration::from_millis(50));
    let address = listener.local_addr().unwrap().to_string();
    host.dial(LINK, &[&address]);
    assert_eq!(host.down(LINK), format!("no answer from {address} in 50 ms"));
}

#[test]
fn a_dial_that_is_closed_is_not_heard_of_again() {
    let (listener, _waiting) = mute();
    let mut host = Host::start();
    host.dial(LINK, &[&listener.local_addr().unwrap().to_string()]);
    host.peers.close(LINK);
    host.assert_silent();
    // Nor is one that had come up already, and the other side hears of its end.
    let somebody = TcpListener::bind(free_address()).unwrap();
    host.dial(LINK, &[&somebody.local_addr().unwrap().to_string()]);
    let (mut socket, _) = somebody.accept().unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    host.wait();
    host.peers.close(LINK);
    host.assert_silent();
    assert_eq!(socket.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_port_in_use_is_told_and_can_be_had_later() {
    let address = free_address();
    let holder = TcpListener::bind(&address).unwrap();
    let mut host = Host::start();
    for _ in 0..2 {
        host.listen(&[&address]);
        let Input::ListenFailed { channel, reason } = host.next() else { panic!("it listens") };
        assert_eq!(channel, CHANNEL);
        assert!(reason.contains(&address) && reason.contains("another server"), "{reason}");
    }
    drop(holder);
    host.listen(&[&address]);
    wait_for(&address);
    let accepted = host.up();
    host.down(accepted);
    host.assert_silent();
}

#[test]
fn a_name_of_nobody_cannot_be_listened_to() {
    let mut host = Host::start();
    host.listen(&["nobody.invalid:2888"]);
    let Input::ListenFailed { reason, .. } = host.next() else { panic!("it listens") };
    assert!(reason.starts_with("nobody.invalid:2888: "), "{reason}");
    // One of several is enough.
    let address = free_address();
    host.listen(&["nobody.invalid:2888", &address]);
    wait_for(&address);
    host.up();
}

#[test]
fn all_addresses_of_a_name_are_listened_to_and_ipv6_works() {
    let mut host = Host::start();
    let port = free_address().rsplit_once(':').unwrap().1.to_owned();
    host.listen(&[&format!("localhost:{port}")]);
    wait_for(&format!("127.0.0.1:{port}"));
    let accepted = host.up();
    host.down(accepted);
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return; // this machine has none
    }
    let address = format!("[::1]:{port}");
    host.listen(&[&address]);
    wait_for(&address);
    let accepted = host.up();
    host.down(accepted);
    host.dial(LINK, &[&address]);
    let mut up = [host.up(), host.up()];
    up.sort_unstable();
    assert_eq!(up[0], LINK);
}

#[test]
fn listening_anew_replaces_and_listening_as_before_keeps() {
    let mut host = Host::start();
    let address = free_address();
    host.listen(&[&address]);
    wait_for(&address);
    let accepted = host.up();
    host.down(accepted);
    host.listen(&[&address]);
    // It never stopped: no attempt is refused.
    let kept = TcpStream::connect(&address).unwrap();
    let accepted = host.up();
    // The same port of all addresses: the old socket has to be closed before.
    let port = address.rsplit_once(':').unwrap().1;
    host.listen(&[&format!("0.0.0.0:{port}")]);
    let elsewhere = format!("127.0.0.1:{port}");
    wait_for(&elsewhere);
    let second = host.up();
    host.down(second);
    drop(kept);
    assert_eq!(host.down(accepted), "closed by the other side", "links outlive their port");
}

#[test]
fn a_port_that_is_given_up_tells_nothing_any_more() {
    let mut host = Host::start();
    let address = free_address();
    host.listen(&[&address]);
    wait_for(&address);
    let accepted = host.up();
    host.down(accepted);
    // The member has not heard of it, whether it is accepted yet or waits for that.
    let mut early = TcpStream::connect(&address).unwrap();
    host.wait();
    host.peers.unlisten(CHANNEL);
    host.peers.unlisten(CHANNEL);
    early.set_read_timeout(Some(PATIENCE)).unwrap();
    host.assert_silent();
    let end = early.read(&mut [0]);
    assert!(end.as_ref().map_or_else(|e| e.kind() == ErrorKind::ConnectionReset, |n| *n == 0));
    // It can be had again at once, by anybody.
    host.listen(&[&address]);
    wait_for(&address);
    host.up();
}
