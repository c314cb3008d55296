//! Wakes servers of the reference's 3.8.0 that sleep on a commit.
//!
//! Such a server of an ensemble can miss that a transaction is committed, if its last look at the
//! queue comes at the same moment, and then sleeps until any other request arrives: a lone client's
//! request is never answered (ZOOKEEPER-4537, mended in 3.8.1). Tests of ours with one client meet
//! that on a busy machine. Here another request arrives. Invariant: servers of any other kind are
//! left alone, so that one that forgets an answer is seen to do so.

use crate::raw::framed;
use crate::servers::Kind;
use jute::Encode;
use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;
use wire::{ConnectRequest, OpCode, RequestHeader};

/// After how much silence such a server is woken.
pub(crate) const SILENCE_TIME_MAX: Duration = Duration::from_secs(1);
/// Time-out of the session that wakes it, in ms.
const TIMEOUT_MS: i32 = 1_000;

static SLEEPERS: LazyLock<Mutex<HashSet<SocketAddr>>> = LazyLock::new(Mutex::default);

/// A member of an ensemble starts at this address.
pub(crate) fn starts(address: SocketAddr, kind: &Kind) {
    let mut sleepers = SLEEPERS.lock().unwrap_or_else(PoisonError::into_inner);
    if *kind == Kind::Reference38 {
        sleepers.insert(address);
    } else {
        sleepers.remove(&address);
    }
}

/// Whether the server there may have to be woken.
pub(crate) fn may_sleep(address: SocketAddr) -> bool {
    SLEEPERS.lock().unwrap_or_else(PoisonError::into_inner).contains(&address)
}

/// Opens a session there and closes it. Whether the server answers shows elsewhere.
pub(crate) fn wake(address: SocketAddr) {
    let Ok(mut stream) = TcpStream::connect_timeout(&address, SILENCE_TIME_MAX) else { return };
    let hello = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: 0,
        timeout_ms: TIMEOUT_MS,
        session_id: 0,
        password: &[0; 16],
        read_only: Some(false),
    };
    let mut payload = Vec::new();
    hello.encode(&mut payload);
    let mut bytes = framed(&payload);
    payload.clear();
    RequestHeader { xid: 1, op: OpCode::CloseSession.number() }.encode(&mut payload);
    bytes.extend(framed(&payload));
    let _ = stream.set_read_timeout(Some(SILENCE_TIME_MAX));
    if stream.write_all(&bytes).is_ok() {
        let _ = stream.read_to_end(&mut Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use super::{may_sleep, starts};
    use crate::servers::Kind;
    use std::net::{Ipv4Addr, SocketAddr};

    #[test]
    fn only_the_version_with_the_defect_is_woken() {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        starts(address, &Kind::Reference38);
        assert!(may_sleep(address));
        starts(address, &Kind::Reference39);
        assert!(!may_sleep(address));
        starts(address, &Kind::Quorate);
        assert!(!may_sleep(address));
    }
}
