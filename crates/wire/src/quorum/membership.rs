//! The configuration of an ensemble: its servers, and which of them make a quorum.
//!
//! The text has a line for each server, group and weight, and one for the version; it stands in
//! the configuration's node, in notifications and in the leader's greeting, and without the
//! version in a file. Without groups a quorum is more than half of the participants; with them it
//! is more than half of the groups, of each more than half of its weight.
//! Guarantee: every group's member has a weight, and is in one group only; every participant is in
//! a group if there are groups.
//! Source: `QuorumPeerConfig`, `QuorumMaj` and `QuorumHierarchical` of the reference.

use super::problem::{MembershipError, Problem, Rules};
use super::server::{Role, Server};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The configuration of an ensemble.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Membership {
    version: i64,
    pub(super) servers: BTreeMap<i64, Server>,
    /// There if the quorums are hierarchical.
    pub(super) hierarchy: Option<Hierarchy>,
}

/// Groups and weights.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Hierarchy {
    /// The group of each server that has one.
    groups: BTreeMap<i64, i64>,
    /// The weight of each server that has one.
    weights: BTreeMap<i64, i64>,
}

impl Membership {
    /// Whether a key of a file is one of a configuration's.
    #[must_use]
    pub fn is_key(key: &str) -> bool {
        ["server.", "group", "weight"].iter().any(|start| key.starts_with(start))
            || key == "version"
    }

    /// Reads keys and values. Of two values of a key the later counts, as in all properties. A
    /// configuration may be empty if a single participant is no ensemble.
    ///
    /// # Errors
    /// The first key that is wrong, and why.
    pub fn from_entries<'t>(
        entries: impl IntoIterator<Item = (&'t str, &'t str)>,
        rules: &Rules,
    ) -> Result<Membership, MembershipError> {
        let entries: BTreeMap<&str, &str> = entries.into_iter().collect();
        let mut membership = Membership::default();
        for (key, value) in entries {
            let read = membership.read(key, value.trim(), rules);
            read.map_err(|problem| problem.of(key))?;
        }
        membership.give_weights()?;
        membership.check_ensemble(rules)?;
        Ok(membership)
    }

    /// Reads a text: a line `key=value` each, empty ones and comments (`#`, `!`) apart. Escapes
    /// and lines that go on in the next one, which properties may have, are not known.
    ///
    /// # Errors
    /// The first key that is wrong, and why.
    pub fn parse(text: &str, rules: &Rules) -> Result<Membership, MembershipError> {
        let lines = text.split(['\n', '\r']).map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with(['#', '!']));
        Membership::from_entries(lines.map(entry), rules)
    }

    /// The same with another version.
    #[must_use]
    pub fn with_version(self, version: i64) -> Membership {
        Membership { version, ..self }
    }

    /// Its version: the zxid that it came with, or 0.
    #[must_use]
    pub const fn version(&self) -> i64 {
        self.version
    }

    /// The servers by their ids.
    pub fn servers(&self) -> impl ExactSizeIterator<Item = &Server> {
        self.servers.values()
    }

    /// The server with that id.
    #[must_use]
    pub fn server(&self, id: i64) -> Option<&Server> {
        self.servers.get(&id)
    }

    /// The ids of the servers that vote.
    pub fn voters(&self) -> impl Iterator<Item = i64> + '_ {
        self.servers().filter(|server| server.role() == Role::Participant).map(Server::id)
    }

    /// The ids of the others.
    pub fn observers(&self) -> impl Iterator<Item = i64> + '_ {
        self.servers().filter(|server| server.role() == Role::Observer).map(Server::id)
    }

    /// Whether the server is there and votes.
    #[must_use]
    pub fn is_voter(&self, id: i64) -> bool {
        self.server(id).is_some_and(|server| server.role() == Role::Participant)
    }

    /// Whether the quorums are made of groups.
    #[must_use]
    pub const fn has_groups(&self) -> bool {
        self.hierarchy.is_some()
    }

    /// What a server's vote weighs: 1 without groups, and 0 for whoever does not vote. A server
    /// of weight 0 cannot lead.
    #[must_use]
    pub fn weight(&self, id: i64) -> u64 {
        match &self.hierarchy {
            Some(hierarchy) if self.is_voter(id) => hierarchy.weight(id),
            None if self.is_voter(id) => 1,
            Some(_) | None => 0,
        }
    }

    /// Whether these servers make a quorum. Only voters count, each once.
    #[must_use]
    pub fn is_quorum(&self, acks: impl IntoIterator<Item = i64>) -> bool {
        let acks: BTreeSet<i64> = acks.into_iter().collect();
        self.is_quorum_where(|id| acks.contains(&id))
    }

    /// Whether the voters of which `has_acked` is true make a quorum. Allocates nothing.
    #[must_use]
    pub fn is_quorum_where(&self, has_acked: impl Fn(i64) -> bool) -> bool {
        let Some(hierarchy) = &self.hierarchy else {
            let (voters, acks) = self
                .voters()
                .fold((0, 0), |(voters, acks), id| (voters + 1, acks + usize::from(has_acked(id))));
            return acks > voters / 2;
        };
        let (mut groups, mut won) = (0, 0);
        for (first, group) in &hierarchy.groups {
            // Each group is looked at when its first member comes by.
            if hierarchy.members(*group).next() != Some(*first) {
                continue;
            }
            let (total, acked) = hierarchy.members(*group).fold((0, 0), |(total, acked), id| {
                let weight = hierarchy.weight(id);
                let counts = self.is_voter(id) && has_acked(id);
                (total + weight, acked + if counts { weight } else { 0 })
            });
            groups += usize::from(total > 0);
            won += usize::from(acked > total / 2);
        }
        won > groups / 2
    }

    /// Whether both have the same servers, groups and weights, whatever their versions.
    #[must_use]
    pub fn has_same_members(&self, other: &Membership) -> bool {
        self.servers == other.servers && self.hierarchy == other.hierarchy
    }

    /// What the file of a configuration that is in force holds: all lines but the version,
    /// sorted. The file's name ends in the version.
    #[must_use]
    pub fn file_text(&self) -> String {
        let text = self.next_file_text();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("version=")).collect();
        lines.join("\n")
    }

    /// What the file of a configuration holds that is not yet in force: all lines, sorted.
    #[must_use]
    pub fn next_file_text(&self) -> String {
        let text = self.to_string();
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines.join("\n")
    }

    fn read(&mut self, key: &str, value: &str, rules: &Rules) -> Result<(), Problem> {
        let id = key.split_once('.').map_or(key, |(_, id)| id);
        if key.starts_with("server.") {
            let id = number(id)?;
            self.servers.insert(id, Server::parse(id, value, rules)?);
        } else if key.starts_with("group") {
            let group = number(id)?;
            let hierarchy = self.hierarchy.get_or_insert_default();
            for member in value.trim_end_matches(':').split(':') {
                let member = number(member)?;
                if hierarchy.groups.insert(member, group).is_some() {
                    return Err(Problem::InSeveralGroups(member));
                }
            }
        } else if key.starts_with("weight") {
            let (id, weight) = (number(id)?, number(value)?);
            if weight < 0 {
                return Err(Problem::BadWeight);
            }
            self.hierarchy.get_or_insert_default().weights.insert(id, weight);
        } else if key == "version" {
            // Printed, a negative version would be no version.
            let version = i64::from_str_radix(value, 16).ok().filter(|version| *version >= 0);
            self.version = version.ok_or_else(|| Problem::NotANumber(value.to_owned()))?;
        } else {
            return Err(Problem::UnknownKey);
        }
        Ok(())
    }

    /// Participants have weight 1 unless a line says something else.
    fn give_weights(&mut self) -> Result<(), MembershipError> {
        let voters: Vec<i64> = self.voters().collect();
        let Some(hierarchy) = &mut self.hierarchy else { return Ok(()) };
        for id in voters {
            if !hierarchy.groups.contains_key(&id) {
                return Err(Problem::InNoGroup.of(format!("server.{id}")));
            }
            hierarchy.weights.entry(id).or_insert(1);
        }
        let mut totals: BTreeMap<i64, i64> = BTreeMap::new();
        for (id, group) in &hierarchy.groups {
            let key = || format!("group.{group}");
            let weight =
                hierarchy.weights.get(id).ok_or_else(|| Problem::NoWeight(*id).of(key()))?;
            let total = totals.entry(*group).or_default();
            *total = total.checked_add(*weight).ok_or_else(|| Problem::BadWeight.of(key()))?;
        }
        Ok(())
    }

    fn check_ensemble(&self, rules: &Rules) -> Result<(), MembershipError> {
        let has_observers = self.observers().next().is_some();
        match self.voters().count() {
            0 if has_observers || !rules.standalone => Err(Problem::NoParticipants.of("server.*")),
            1 if has_observers && rules.standalone => Err(Problem::NoEnsemble.of("server.*")),
            _ => Ok(()),
        }
    }
}

/// The text, as the reference prints it: without a line break at the end.
impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for id in table_order(self.servers.keys().copied()) {
            writeln!(f, "server.{id}={}", self.servers[&id])?;
        }
        if let Some(hierarchy) = &self.hierarchy {
            hierarchy.fmt(f)?;
        }
        write!(f, "version={:x}", self.version)
    }
}

impl Hierarchy {
    fn members(&self, group: i64) -> impl Iterator<Item = i64> + '_ {
        self.groups.iter().filter(move |(_, its)| **its == group).map(|(id, _)| *id)
    }

    /// A server's weight; 0 if it has none.
    fn weight(&self, id: i64) -> u64 {
        self.weights.get(&id).map_or(0, |weight| weight.unsigned_abs())
    }
}

impl fmt::Display for Hierarchy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grouped = table_order(self.groups.keys().copied());
        let mut groups = Vec::new();
        for id in &grouped {
            if !groups.contains(&self.groups[id]) {
                groups.push(self.groups[id]);
            }
        }
        for group in table_order(groups.into_iter()) {
            let members = grouped.iter().filter(|id| self.groups[id] == group);
            let members: Vec<String> = members.map(i64::to_string).collect();
            writeln!(f, "group.{group}={}", members.join(":"))?;
        }
        for id in table_order(self.weights.keys().copied()) {
            writeln!(f, "weight.{id}={}", self.weights[&id])?;
        }
        Ok(())
    }
}

/// Ids in the order in which Java's hash table of that many lists them, which is ascending for
/// small ids. Those that share a place of the table stay in the order that they come in; in the
/// reference they stand in the order in which it read them.
fn table_order(ids: impl Iterator<Item = i64>) -> Vec<i64> {
    let mut ids: Vec<i64> = ids.collect();
    // A table has 16 places at first, and doubles when more than three quarters are taken.
    let places = (ids.len() * 4).div_ceil(3).next_power_of_two().max(16);
    let place = |id: i64| {
        let hash = (id ^ (id >> 32)) as u32;
        (hash ^ (hash >> 16)) as usize & (places - 1)
    };
    ids.sort_by_key(|id| place(*id));
    ids
}

/// Splits at the first `=`, `:` or white space, as properties do.
fn entry(line: &str) -> (&str, &str) {
    let ends = |c: char| c == '=' || c == ':' || c.is_ascii_whitespace();
    let (key, value) = line.split_at(line.find(ends).unwrap_or(line.len()));
    let value = value.trim_start();
    (key, value.strip_prefix(['=', ':']).unwrap_or(value))
}

pub(super) fn number(text: &str) -> Result<i64, Problem> {
    text.parse().map_err(|_| Problem::NotANumber(text.to_owned()))
}

#[cfg(test)]
mod tests;
