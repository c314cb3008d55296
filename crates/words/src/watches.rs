//! `wchs`, `wchc` and `wchp`: watches of data, as the reference's words leave out those of
//! children.

use std::fmt;

use base::SessionId;

/// The facts of `wchs`, which its `Display` prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchesSummary {
    /// Connections that watch something.
    pub connections: usize,
    /// Paths that are watched.
    pub paths: usize,
    /// Pairs of both.
    pub watches: usize,
}

/// The facts of `wchc`, which its `Display` prints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchesBySession(pub Vec<(SessionId, Vec<String>)>);

/// The facts of `wchp`, which its `Display` prints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchesByPath(pub Vec<(String, Vec<SessionId>)>);

impl fmt::Display for WatchesSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} connections watching {} paths", self.connections, self.paths)?;
        writeln!(f, "Total watches:{}", self.watches)
    }
}

impl fmt::Display for WatchesBySession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_groups(f, &self.0)
    }
}

impl fmt::Display for WatchesByPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_groups(f, &self.0)
    }
}

fn write_groups<K: fmt::Display, V: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    groups: &[(K, Vec<V>)],
) -> fmt::Result {
    for (key, values) in groups {
        writeln!(f, "{key}")?;
        for value in values {
            writeln!(f, "\t{value}")?;
        }
    }
    writeln!(f)
}
