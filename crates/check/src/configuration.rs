//! The ensemble as clients change it: a list of servers, and what a request makes of it.

use crate::errors::{
    BAD_ARGUMENTS, BAD_VERSION, MARSHALLING, NEW_CONFIG_NO_QUORUM, NO_AUTH, NO_NODE,
    RECONFIG_IN_PROGRESS, UNIMPLEMENTED,
};
use crate::model::{Change, EventKind, Model};
use crate::record::{Body, perms};
use crate::writes::{Outcome, Place};
use std::collections::BTreeMap;
use std::fmt;

/// Who is in the ensemble: the text of each server by its number, and the configuration's version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// What stands behind `server.N=`.
    pub servers: BTreeMap<i64, String>,
    /// The place that it took effect at.
    pub version: i64,
}

/// A change of the ensemble, as a client asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconfiguration {
    /// Servers that come, or change.
    pub joining: Vec<(i64, String)>,
    /// Servers that go, before others come.
    pub leaving: Vec<i64>,
    /// All servers, if none joins or leaves.
    pub members: Vec<(i64, String)>,
    /// Which configuration is meant; -1 is any.
    pub version: i64,
}

impl Configuration {
    /// Reads a text as clients read it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Configuration> {
        let mut configuration = Configuration::default();
        for line in text.lines() {
            match line.split_once('=')? {
                ("version", hex) => configuration.version = i64::from_str_radix(hex, 16).ok()?,
                (key, server) => {
                    let id = key.strip_prefix("server.")?.parse().ok()?;
                    configuration.servers.insert(id, server.to_owned());
                }
            }
        }
        Some(configuration)
    }

    /// Whether a tree that shows this text is right. The first version is the beginning of an epoch:
    /// no entry, and perhaps nobody was told of it.
    pub(crate) fn is_shown_by(&self, text: Option<&[u8]>) -> bool {
        let Some(text) = text.and_then(|text| std::str::from_utf8(text).ok()) else { return false };
        let Some(shown) = Configuration::parse(text) else { return false };
        let version = match self.version as u32 {
            0 if shown.version as u32 == 0 => shown.version,
            _ => self.version,
        };
        text == Configuration { version, ..self.clone() }.to_string()
    }

    /// Whether a server votes.
    #[must_use]
    pub fn votes(&self, id: i64) -> bool {
        self.servers.get(&id).is_some_and(|text| text.contains(":participant"))
    }

    /// Those that vote.
    pub fn voters(&self) -> impl Iterator<Item = i64> + '_ {
        self.servers.keys().copied().filter(|id| self.votes(*id))
    }

    /// Whether those of whom it is true are more than half of those that vote.
    #[must_use]
    pub fn is_quorum(&self, is_in: impl Fn(i64) -> bool) -> bool {
        self.voters().filter(|id| is_in(*id)).count() * 2 > self.voters().count()
    }

    /// The configuration that follows at `zxid`.
    ///
    /// # Errors
    /// The number of the error that a client gets.
    pub fn changed(&self, by: &Reconfiguration, zxid: i64) -> Result<Configuration, i32> {
        if by.version != -1 && by.version != self.version {
            return Err(BAD_VERSION);
        }
        let mut next = Configuration { servers: self.servers.clone(), version: zxid };
        if by.members.is_empty() {
            by.leaving.iter().for_each(|id| drop(next.servers.remove(id)));
            next.servers.extend(by.joining.iter().cloned());
        } else {
            next.servers = by.members.iter().cloned().collect();
        }
        // Fewer than two voters are no ensemble. A list of all servers that has too few for its
        // observers is no list.
        let voters = next.voters().count();
        match voters {
            0 | 1 if !by.members.is_empty() && voters < next.servers.len() => Err(MARSHALLING),
            0 | 1 => Err(BAD_ARGUMENTS),
            _ => Ok(next),
        }
    }
}

impl Model {
    /// Does a client's change of the ensemble. What depends on who is connected to the leader is
    /// left to the server: `refused` is what it said.
    pub(crate) fn reconfigure(
        &mut self,
        by: &Reconfiguration,
        at: Place<'_>,
        refused: i32,
        changes: &mut Vec<Change>,
    ) -> Outcome {
        self.check_session(at)?;
        if refused == RECONFIG_IN_PROGRESS {
            return Err(refused);
        }
        let next = self.configuration.as_ref().ok_or(UNIMPLEMENTED)?.changed(by, at.zxid)?;
        if refused == NEW_CONFIG_NO_QUORUM {
            return Err(refused);
        }
        let node = self.nodes.get_mut(CONFIG_PATH).ok_or(NO_NODE)?;
        if !node.permits(at.ids, perms::WRITE)
            && !at.ids.iter().any(|(scheme, _)| scheme == "super")
        {
            return Err(NO_AUTH);
        }
        node.data = Some(next.to_string().into_bytes());
        (node.mzxid, node.mtime, node.version) = (at.zxid, at.time, -1);
        let (kind, path, acl) = (EventKind::Data, CONFIG_PATH.to_owned(), node.acl.clone());
        changes.push(Change { kind, path, acl });
        let body = Body::Data(node.data.clone(), node.stat());
        self.configuration = Some(next);
        Ok(body)
    }
}

/// Where clients read the configuration.
pub(crate) const CONFIG_PATH: &str = "/zookeeper/config";

/// The text that clients read.
impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (id, text) in &self.servers {
            writeln!(f, "server.{id}={text}")?;
        }
        write!(f, "version={:x}", self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::{Configuration, Reconfiguration};

    #[test]
    fn servers_come_and_go_and_at_least_two_vote() {
        let server = |id: i64, role: &str| (id, format!("h{id}:1:2:{role}"));
        let all = [(1, "participant"), (2, "participant"), (3, "observer")];
        let now = Configuration {
            servers: all.into_iter().map(|(id, role)| server(id, role)).collect(),
            version: 7,
        };
        let change = |joining: &[(i64, &str)], leaving: &[i64]| Reconfiguration {
            joining: joining.iter().map(|(id, role)| server(*id, role)).collect(),
            leaving: leaving.to_vec(),
            version: -1,
            ..Reconfiguration::default()
        };
        let next = now.changed(&change(&[(3, "participant")], &[1]), 9).unwrap();
        assert_eq!(
            next.to_string(),
            "server.2=h2:1:2:participant\nserver.3=h3:1:2:participant\nversion=9"
        );
        assert!(next.is_quorum(|_| true) && !next.is_quorum(|id| id == 2));
        assert_eq!(now.changed(&change(&[], &[1]), 9), Err(-8));
        let stale = Reconfiguration { version: 6, ..change(&[], &[3]) };
        assert_eq!(now.changed(&stale, 9), Err(-103));
        let whole = |members| Reconfiguration { members, ..change(&[], &[]) };
        assert_eq!(now.changed(&whole(vec![server(1, "participant")]), 9), Err(-8));
        assert_eq!(now.changed(&whole(vec![server(1, "observer")]), 9), Err(-5));
    }
}
