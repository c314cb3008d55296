//! Dialling another member: its names looked up anew, its addresses tried beside each other.
//!
//! A member with several addresses is dialled at all of them, and the first connection counts. Of
//! the addresses that one name has, the next is tried when the one before has failed or is slow.

use super::home::{Fact, Home, Place};
use super::task::{self, Made};
use broadcast::{Addresses, Channel, LinkId};
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

/// Dials, and tells what came of it.
pub(super) async fn run(
    home: Arc<Home>,
    place: Place,
    id: LinkId,
    channel: Channel,
    to: Addresses,
) {
    let keepalive = home.settings.tcp_keepalive;
    let dialled = timeout(home.settings.connect_timeout, first_of(&to)).await;
    let made = match dialled {
        Ok(Ok(stream)) => prepare(&stream, keepalive).map(|()| stream).map_err(|e| e.to_string()),
        Ok(Err(reason)) => Err(reason),
        Err(_) => {
            let after_ms = home.settings.connect_timeout.as_millis();
            Err(format!("no answer from {} in {after_ms} ms", to.join(", ")))
        }
    };
    match made {
        Ok(stream) => task::start(&home, &place, Made { id, channel, stream, seat: None }),
        Err(reason) => home.tell(&place.worker, Fact::Down { link: id, reason }),
    }
}

/// Sets what every link has.
pub(super) fn prepare(stream: &TcpStream, keepalive: bool) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if keepalive {
        SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new())?;
    }
    Ok(())
}

/// What an address stands for at the moment, IPv4 first, as Java has it: a name of both kinds is
/// mostly listened to there.
pub(super) async fn resolve(address: &str) -> Result<Vec<SocketAddr>, String> {
    if let Ok(known) = address.parse() {
        return Ok(vec![known]);
    }
    let name = address.to_owned();
    // The system's look-up blocks.
    let found = spawn_blocking(move || name.to_socket_addrs().map(Iterator::collect::<Vec<_>>));
    let found = found.await.map_err(io::Error::other).and_then(|result| result);
    let mut found = found.map_err(|error| format!("{address}: {error}"))?;
    found.sort_by_key(SocketAddr::is_ipv6);
    found.dedup();
    if found.is_empty() {
        return Err(format!("{address}: the host has no address"));
    }
    Ok(found)
}

async fn first_of(to: &Addresses) -> Result<TcpStream, String> {
    let mut attempts = JoinSet::new();
    for index in 0..to.len() {
        let to = Arc::clone(to);
        attempts.spawn(async move { one(&to[index]).await });
    }
    let mut reasons = Vec::new();
    while let Some(attempt) = attempts.join_next().await {
        match attempt.map_err(|error| error.to_string()).and_then(|result| result) {
            Ok(stream) => return Ok(stream),
            Err(reason) => reasons.push(reason),
        }
    }
    Err(if reasons.is_empty() { "no address is known".to_owned() } else { reasons.join("; ") })
}

async fn one(address: &str) -> Result<TcpStream, String> {
    let mut untried = resolve(address).await?.into_iter();
    let mut attempts = JoinSet::new();
    let mut last = String::new();
    loop {
        if let Some(next) = untried.next() {
            attempts.spawn(async move {
                TcpStream::connect(next).await.map_err(|error| format!("{next}: {error}"))
            });
        }
        let patience = if untried.len() > 0 { HEAD_START } else { Duration::MAX };
        match timeout(patience, attempts.join_next()).await {
            Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
            Ok(Some(Ok(Err(reason)))) => last = reason,
            Ok(Some(Err(error))) => last = error.to_string(),
            Ok(None) => return Err(last),
            Err(_) => {}
        }
    }
}

/// Time that an address of a name has before the next is tried beside it.
const HEAD_START: Duration = Duration::from_millis(250);
