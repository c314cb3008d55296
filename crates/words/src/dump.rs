//! `dump`: sessions, ephemeral nodes and connections, by when they expire.

use std::fmt;
use std::net::SocketAddr;

use base::{SessionId, WallTime};

use crate::{java_address, java_date};

/// Things by the time at which they expire, the earliest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buckets<T>(pub Vec<(WallTime, Vec<T>)>);

impl<T> Default for Buckets<T> {
    fn default() -> Self {
        Buckets(Vec::new())
    }
}

/// The sessions that a server knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sessions {
    /// It decides about them: a standalone server or a leader.
    Tracked(Buckets<SessionId>),
    /// The leader decides about them; with their timeouts in milliseconds, by id.
    Known(Vec<(SessionId, i32)>),
}

/// The facts of `dump`, which its `Display` prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dump {
    /// Sessions that only this server knows; `None` if there are no such sessions at all.
    pub local_sessions: Option<Buckets<SessionId>>,
    /// Sessions that the ensemble knows.
    pub sessions: Sessions,
    /// The ephemeral nodes of each session that has any.
    pub ephemerals: Vec<(SessionId, Vec<String>)>,
    /// Connections, with the sessions that they have or [`SessionId::NONE`].
    pub connections: Buckets<(SocketAddr, SessionId)>,
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "SessionTracker dump:")?;
        self.write_sessions(f)?;
        writeln!(f, "ephemeral nodes dump:")?;
        writeln!(f, "Sessions with Ephemerals ({}):", self.ephemerals.len())?;
        for (session, paths) in &self.ephemerals {
            writeln!(f, "{session}:")?;
            for path in paths {
                writeln!(f, "\t{path}")?;
            }
        }
        writeln!(f, "Connections dump:")?;
        write!(f, "Connections ")?;
        self.connections.write(f, |f, (remote, session)| {
            write!(f, "ip: {} sessionId: {session}", java_address(*remote))
        })
    }
}

impl Dump {
    fn write_sessions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(local) = &self.local_sessions {
            write!(f, "Local Session ")?;
            local.write(f, |f, session| write!(f, "{session}"))?;
        }
        match &self.sessions {
            Sessions::Tracked(buckets) => {
                if self.local_sessions.is_some() {
                    write!(f, "Global ")?;
                }
                write!(f, "Session ")?;
                buckets.write(f, |f, session| write!(f, "{session}"))
            }
            Sessions::Known(known) => {
                writeln!(f, "Global Sessions({}):", known.len())?;
                known.iter().try_for_each(|(id, timeout)| writeln!(f, "{id}\t{timeout}ms"))
            }
        }
    }
}

impl<T> Buckets<T> {
    fn write(
        &self,
        f: &mut fmt::Formatter<'_>,
        write_one: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
    ) -> fmt::Result {
        let all: usize = self.0.iter().map(|(_, bucket)| bucket.len()).sum();
        writeln!(f, "Sets ({})/({all}):", self.0.len())?;
        for (time, bucket) in &self.0 {
            writeln!(f, "{} expire at {}:", bucket.len(), java_date(*time))?;
            for one in bucket {
                write!(f, "\t")?;
                write_one(f, one)?;
                writeln!(f)?;
            }
        }
        Ok(())
    }
}
