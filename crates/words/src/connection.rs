//! A connection in `cons` and `stat`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use base::{SessionId, WallTime, Zxid};
use metrics::Summary;

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Nothing: it is being closed, or held back.
    None,
    /// Requests.
    Read,
    /// Room for replies.
    Write,
    /// Both.
    Both,
}

/// One connection. Its `Display` is the full line of `cons`, without the newline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The client's address.
    pub remote: SocketAddr,
    /// What it waits for.
    pub interest: Interest,
    /// Requests that were not answered yet.
    pub queued: u64,
    /// Requests that came.
    pub received: u64,
    /// Replies and events that went out.
    pub sent: u64,
    /// Its session, once there is one.
    pub session: Option<ConnectionSession>,
}

/// A connection's session, and what was done in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionSession {
    /// Its id.
    pub id: SessionId,
    /// The last operation's short name, such as `GETD`; `NA` before the first.
    pub last_operation: &'static str,
    /// When the connection was accepted.
    pub established: WallTime,
    /// The negotiated timeout in milliseconds.
    pub timeout_ms: i32,
    /// The last request's xid; not shown below zero.
    pub last_cxid: i64,
    /// The position that the last reply told the client; -1 before the first.
    pub last_zxid: Zxid,
    /// When the last reply was sent: milliseconds of the server's monotonic clock.
    pub last_response_ms: u64,
    /// Milliseconds that the last request took.
    pub last_latency_ms: u64,
    /// Milliseconds that all requests took.
    pub latency: Summary,
}

impl Connection {
    /// The short form, of `stat`.
    #[must_use]
    pub fn brief(&self) -> impl fmt::Display {
        fmt::from_fn(|f| {
            self.write_open(f)?;
            f.write_str(")")
        })
    }

    fn write_open(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let interest = match self.interest {
            Interest::None => 0,
            Interest::Read => 1,
            Interest::Write => 4,
            Interest::Both => 5,
        };
        write!(
            f,
            " {}[{interest}](queued={},recved={},sent={}",
            java_address(self.remote),
            self.queued,
            self.received,
            self.sent
        )
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_open(f)?;
        if let Some(session) = &self.session {
            write!(
                f,
                ",sid={},lop={},est={},to={}",
                session.id, session.last_operation, session.established.0, session.timeout_ms
            )?;
            if session.last_cxid >= 0 {
                write!(f, ",lcxid={:#x}", session.last_cxid)?;
            }
            write!(
                f,
                ",lzxid={},lresp={},llat={},minlat={},avglat={},maxlat={}",
                session.last_zxid,
                session.last_response_ms,
                session.last_latency_ms,
                session.latency.min(),
                session.latency.whole_average(),
                session.latency.max()
            )?;
        }
        f.write_str(")")
    }
}

/// A peer's address as Java prints it: a slash, then dotted IPv4 (also for a mapped address), or
/// eight groups in brackets.
#[must_use]
pub fn java_address(address: SocketAddr) -> String {
    let port = address.port();
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => format!("/{v4}:{port}"),
        IpAddr::V6(v6) => {
            let groups = v6.segments().map(|group| format!("{group:x}")).join(":");
            format!("/[{groups}]:{port}")
        }
    }
}
