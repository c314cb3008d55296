//! Lines of servers, groups and weights: each is checked by itself, so that all that is wrong is
//! told at once, and then all of them together.
//!
//! Stricter than ZooKeeper: a server, group or weight has one line, ports are not 0, ids are not
//! negative, and no two servers have the same address.

use std::collections::BTreeMap;

use wire::quorum::{Address, Membership, MembershipError, Problem, Rules, Server};

use crate::keys::{self, Key};
use crate::settings::{Entry, Settings};

/// The configuration that the lines make, or `None` and the errors in `settings`.
pub(super) fn membership(
    settings: &mut Settings,
    lines: &[Entry],
    rules: &Rules,
) -> Option<Membership> {
    let errors_before = settings.errors.len();
    let mut seen: BTreeMap<(&str, i64), &Entry> = BTreeMap::new();
    let mut servers: Vec<Server> = Vec::new();
    for line in lines {
        let result = check(line, rules).and_then(|server| {
            let earlier = number(line).and_then(|id| seen.insert((row(line).name, id), line));
            if let Some(earlier) = earlier {
                return Err(format!("it is there already: {} has {}", earlier.at, earlier.key));
            }
            let Some(server) = server else { return Ok(()) };
            check_addresses(&server, &servers)?;
            servers.push(server);
            Ok(())
        });
        if let Err(wrong) = result {
            settings.reject(row(line), line, wrong, allowed(line));
        }
    }
    if settings.errors.len() > errors_before {
        return None;
    }
    let entries = lines.iter().map(|line| (line.key.as_str(), line.value.as_str()));
    match Membership::from_entries(entries, rules) {
        Ok(membership) => Some(membership),
        Err(MembershipError { key, problem }) => {
            let line = lines.iter().find(|line| line.key == key).or(lines.first())?;
            settings.reject(row(line), line, problem.to_string(), together(&problem, line));
            None
        }
    }
}

/// The line that describes a server.
pub(super) fn of_server(lines: &[Entry], id: i64) -> Option<&Entry> {
    lines.iter().find(|line| line.key.starts_with("server.") && number(line) == Some(id))
}

/// A line by itself; the server that it describes, if it does.
fn check(line: &Entry, rules: &Rules) -> Result<Option<Server>, String> {
    if !line.key.starts_with("server.") {
        return match Membership::from_entries([(line.key.as_str(), line.value.as_str())], rules) {
            // Weights are in other lines.
            Ok(_) | Err(MembershipError { problem: Problem::NoWeight(_), .. }) => Ok(None),
            Err(MembershipError { problem, .. }) => Err(problem.to_string()),
        };
    }
    let id = number(line).filter(|id| *id >= 0);
    let id = id.ok_or_else(|| format!("{:?} is not the number of a server", id_text(line)))?;
    let server = Server::parse(id, &line.value, rules).map_err(|problem| problem.to_string())?;
    if peer_addresses(&server).any(|address| address.port == 0) {
        return Err("at port 0 no other server would find it".to_owned());
    }
    Ok(Some(server))
}

/// Peers are told apart by their addresses, and clients by those that are not everybody's.
fn check_addresses(server: &Server, others: &[Server]) -> Result<(), String> {
    for other in others {
        let taken = |address: &Address| addresses(other).any(|its| its.is_same(address));
        if let Some(address) = addresses(server).find(taken) {
            return Err(format!("{address} is an address of server {} already", other.id()));
        }
    }
    Ok(())
}

fn addresses(server: &Server) -> impl Iterator<Item = Address> + '_ {
    let client = server.client().filter(|address| !address.is_wildcard());
    peer_addresses(server).chain(client.cloned())
}

fn peer_addresses(server: &Server) -> impl Iterator<Item = Address> + '_ {
    server.addresses().iter().flat_map(|peer| [peer.quorum(), peer.election()])
}

fn number(line: &Entry) -> Option<i64> {
    id_text(line).parse().ok()
}

fn id_text(line: &Entry) -> &str {
    line.key.split_once('.').map_or("", |(_, id)| id)
}

/// The row of the table that stands for the line.
pub(super) fn row(line: &Entry) -> &'static Key {
    let name = match line.key.as_str() {
        key if key.starts_with("group") => "group.*",
        key if key.starts_with("weight") => "weight.*",
        _ => "server.*",
    };
    keys::named(name).expect("the table has these three rows")
}

fn allowed(line: &Entry) -> String {
    match row(line).name {
        "group.*" => "group.G=N:N:..., each server in one group".to_owned(),
        "weight.*" => "weight.N=a whole number, at least 0".to_owned(),
        _ => format!("server.N={}", row(line).kind.describe()),
    }
}

/// What is allowed where lines contradict each other.
fn together(problem: &Problem, line: &Entry) -> String {
    if *problem == Problem::NoParticipants {
        "at least one participant".to_owned()
    } else if *problem == Problem::NoEnsemble {
        "two participants or more, or standaloneEnabled=false with one".to_owned()
    } else if *problem == Problem::InNoGroup {
        "every participant in a group, or no groups".to_owned()
    } else {
        allowed(line)
    }
}
