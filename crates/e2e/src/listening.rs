//! What ports tell of members: who listens, and who grants sessions.

use crate::play::Client;
use crate::program::{Hello, Request};
use std::fs;
use std::net::SocketAddr;
use wire::OpCode;

/// Whether a session can be opened; it is ended again.
pub(crate) fn serves(address: SocketAddr) -> bool {
    let mut client = Client::default();
    let opened = client.connect(address, &Hello::new_session(), &[]).is_ok();
    let serves = opened && client.is_connected();
    if serves {
        let _ = client.exchange_to_end(&[Request::new(OpCode::CloseSession, Vec::new())]);
    }
    serves
}

/// The state of a listening socket in the kernel's tables.
const LISTENING: &str = "0A";

/// Ports that anybody listens on in the namespace of a process.
pub(crate) fn listening_ports(pid: u32) -> Vec<u16> {
    let tables = ["tcp", "tcp6"].map(|name| format!("/proc/{pid}/net/{name}"));
    let text: String = tables.iter().filter_map(|table| fs::read_to_string(table).ok()).collect();
    text.lines().filter_map(listening_port).collect()
}

/// The port in a line `sl local_address rem_address st …`, if it is listened on.
fn listening_port(line: &str) -> Option<u16> {
    let mut columns = line.split_whitespace();
    let (_, port) = columns.nth(1)?.rsplit_once(':')?;
    (columns.nth(1)? == LISTENING).then(|| u16::from_str_radix(port, 16).ok())?
}
