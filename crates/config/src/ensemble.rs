//! Server lines: one is accepted, as in ZooKeeper, and runs standalone; more make an ensemble.
//!
//! Images and older clients write a single `server.1=localhost:2888:3888;2181` for a server that
//! is alone, and no clientPort: then the line's client part says where clients are served.

use crate::keys::NO_ENSEMBLES;
use crate::settings::{Setting, Settings};

/// Where clients are served, according to a server line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientAddress {
    /// `None` for all addresses.
    pub(crate) address: Option<String>,
    pub(crate) port: u16,
}

/// What the server lines say about clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Clients {
    /// Nothing: there is no line, or it has no client part.
    Unsaid,
    /// The client part of the only line.
    At(ClientAddress),
    /// An error, which is reported already.
    Invalid,
}

/// Refuses ensembles; the client part of the only line, if there is just one.
pub(crate) fn clients(settings: &mut Settings) -> Clients {
    let lines = settings.members();
    let Some(first) = lines.iter().min_by_key(|line| line.entry.at.line) else {
        return Clients::Unsaid;
    };
    let mut valid = Vec::new();
    for line in &lines {
        match parse(line) {
            Ok(member) => valid.push(member),
            Err(wrong) => {
                let allowed = format!("server.N={}", line.key.kind.describe());
                settings.reject(line.key, &line.entry, wrong, allowed);
            }
        }
    }
    let allowed = "one server.N line, a participant".to_owned();
    if lines.len() > 1 {
        let reason = format!("{} servers make an ensemble, and {NO_ENSEMBLES}", lines.len());
        settings.refuse(first.key, &first.entry, &reason, allowed);
        return Clients::Invalid;
    }
    let Some(member) = valid.pop() else { return Clients::Invalid };
    if member.observes {
        let reason = format!("an observer needs an ensemble, and {NO_ENSEMBLES}");
        settings.refuse(first.key, &first.entry, &reason, allowed);
        return Clients::Invalid;
    }
    let text = "the only server of its list, so it runs standalone; its peer ports stay closed";
    settings.warn(&first.entry.at, format!("{}: {text}", first.entry.key));
    match member.client {
        None => Clients::Unsaid,
        Some(client) if agrees_with_client_port(settings, first, &client) => Clients::At(client),
        Some(_) => Clients::Invalid,
    }
}

/// `clientPort` and the client part may both be there if they say the same.
fn agrees_with_client_port(
    settings: &mut Settings,
    line: &Setting,
    client: &ClientAddress,
) -> bool {
    let Some(port) = settings.setting("clientPort").and_then(|_| settings.int_if_set("clientPort"))
    else {
        return true;
    };
    let own = settings.text("clientPortAddress").filter(|address| !is_any(address));
    let same_address = own.is_none() || own == client.address;
    if port == i64::from(client.port) && same_address {
        return true;
    }
    let wrong = format!("clientPort says {}:{port}", own.as_deref().unwrap_or("0.0.0.0"));
    let allowed = "the same client address in both, or in one of them only".to_owned();
    settings.reject(line.key, &line.entry, wrong, allowed);
    false
}

/// Whether an address stands for all addresses of the machine.
pub(crate) fn is_any(address: &str) -> bool {
    matches!(address, "0.0.0.0" | "::" | "[::]" | "0:0:0:0:0:0:0:0")
}

struct Member {
    observes: bool,
    client: Option<ClientAddress>,
}

fn parse(line: &Setting) -> Result<Member, String> {
    let id = line.entry.key.rsplit('.').next().unwrap_or_default();
    if id.parse::<u32>().is_err() {
        return Err(format!("{id:?} is not the number of a server"));
    }
    let (servers, client) = match line.entry.value.split_once(';') {
        Some((servers, client)) => (servers, Some(client.trim())),
        None => (line.entry.value.as_str(), None),
    };
    let mut observes = false;
    for address in servers.split('|') {
        observes |= parse_peer(address.trim())?;
    }
    let client = client.map(parse_client).transpose()?;
    Ok(Member { observes, client })
}

/// Reads `host:port:port[:role]`; whether the role is observer.
fn parse_peer(text: &str) -> Result<bool, String> {
    let (host, rest) = split_host(text).ok_or("a host and two ports are needed")?;
    if host.is_empty() {
        return Err("the host is empty".to_owned());
    }
    let mut parts = rest.split(':');
    for name in ["quorum", "election"] {
        let port = parts.next().ok_or_else(|| format!("the {name} port is missing"))?;
        parse_port(port).ok_or_else(|| format!("{port:?} is no {name} port"))?;
    }
    let role = parts.next().map(str::to_ascii_lowercase);
    if parts.next().is_some() {
        return Err("too many parts".to_owned());
    }
    match role.as_deref() {
        None | Some("participant") => Ok(false),
        Some("observer") => Ok(true),
        Some(other) => Err(format!("{other:?} is neither participant nor observer")),
    }
}

/// Reads `[host:]port`.
fn parse_client(text: &str) -> Result<ClientAddress, String> {
    let (address, port) = match split_host(text) {
        Some((host, port)) => (Some(host.to_owned()).filter(|host| !is_any(host)), port),
        None => (None, text),
    };
    let port = parse_port(port).ok_or_else(|| format!("{port:?} is no client port"))?;
    Ok(ClientAddress { address, port })
}

/// Splits at the first colon after the host; an IPv6 address is in brackets, which are dropped.
fn split_host(text: &str) -> Option<(&str, &str)> {
    match text.strip_prefix('[') {
        Some(v6) => v6.split_once("]:"),
        None => text.split_once(':'),
    }
}

fn parse_port(text: &str) -> Option<u16> {
    text.trim().parse().ok()
}
