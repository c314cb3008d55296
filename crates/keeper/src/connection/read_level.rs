//! How a session wants its reads: an addAuth of a scheme of our own says it, for every client has
//! that and repeats it when it connects again.
//!
//! It proves nothing, so the session gets no id by it. A client repeats all that it ever said, in
//! an order of its own: so the most that was asked for counts, and cannot be taken back.

use super::{Connection, Desk, Reply};
use crate::Config;
use base::Zxid;
use wire::ErrorCode;

/// What a session has said of its reads. The later is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ReadLevel {
    /// Nothing: the server's configuration counts.
    Unsaid,
    /// They show what this member has.
    Local,
    /// They show all that was acknowledged to anybody before they came.
    Linearizable,
}

impl ReadLevel {
    fn parse(text: &[u8]) -> Option<ReadLevel> {
        match text {
            b"local" => Some(ReadLevel::Local),
            b"linearizable" => Some(ReadLevel::Linearizable),
            _ => None,
        }
    }

    /// Whether reads have to wait. A server without peers has all that was acknowledged.
    pub(super) fn is_linearizable(self, config: &Config) -> bool {
        !config.alone
            && match self {
                ReadLevel::Unsaid => config.linearizable_reads,
                ReadLevel::Local => false,
                ReadLevel::Linearizable => true,
            }
    }
}

impl Connection {
    /// The session says how it wants its reads, from here on.
    pub(super) fn choose_reads(&mut self, xid: i32, text: &[u8], desk: &Desk<'_>) {
        match ReadLevel::parse(text) {
            Some(level) => {
                self.read_level = self.read_level.max(level);
                self.reads_linearizably = self.read_level.is_linearizable(desk.config);
                self.reply(Reply::new(xid, Zxid::ZERO, 0), |_| Ok(()));
            }
            None => {
                self.tally.auth_failures += 1;
                self.refuse(xid, Zxid::ZERO, ErrorCode::AuthFailed.number());
            }
        }
    }
}

/// The scheme of such an addAuth.
pub(super) const READS_SCHEME: &str = "reads";
