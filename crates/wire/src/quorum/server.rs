//! One server of an ensemble, as `server.N` describes it.
//!
//! `host:port:port[:role]`, several of these joined by `|`, then `;` and the client address, then
//! `;` and that for TLS. Printed as the reference prints it: hosts sorted, the role and the host
//! of client addresses always there.
//! Source: `QuorumPeer.QuorumServer` of the reference.

use super::address::{Address, Bracketed, parse_address, split_host};
use super::problem::{Problem, Rules};
use std::fmt;

/// Whether a server votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// It votes, and may lead.
    Participant,
    /// It only learns what is decided.
    Observer,
}

impl Role {
    /// Its name in texts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Role::Participant => "participant",
            Role::Observer => "observer",
        }
    }

    fn parse(text: &str) -> Option<Role> {
        let is = |role: Role| text.trim().eq_ignore_ascii_case(role.name());
        [Role::Participant, Role::Observer].into_iter().find(|role| is(*role))
    }
}

/// One of the addresses at which other members reach a server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerAddress {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// Where learners connect while it leads.
    pub quorum_port: u16,
    /// Where elections are held.
    pub election_port: u16,
}

impl PeerAddress {
    /// The address for learners.
    #[must_use]
    pub fn quorum(&self) -> Address {
        Address { host: self.host.clone(), port: self.quorum_port }
    }

    /// The address for elections.
    #[must_use]
    pub fn election(&self) -> Address {
        Address { host: self.host.clone(), port: self.election_port }
    }
}

/// A server of an ensemble. It has an address, and its addresses are sorted, each there once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    id: i64,
    role: Role,
    addresses: Vec<PeerAddress>,
    client: Option<Address>,
    secure_client: Option<Address>,
}

impl Server {
    /// Reads what stands behind `server.N=`; the id is N.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(id: i64, spec: &str, rules: &Rules) -> Result<Server, Problem> {
        let wrong = || Problem::BadSpec(spec.to_owned());
        let mut parts = spec.trim_end_matches(';').split(';');
        let peers: Vec<&str> = parts.next().unwrap_or_default().split('|').collect();
        let mut client_address = || match parts.next() {
            None | Some("") => Ok(None),
            Some(text) => parse_client(text).map(Some),
        };
        let (client, secure_client) = (client_address()?, client_address()?);
        if parts.next().is_some() {
            return Err(wrong());
        }
        if peers.len() > 1 && !rules.multi_address {
            return Err(Problem::SeveralAddresses);
        }
        let mut role = None;
        let mut addresses = Vec::new();
        for peer in peers {
            let (address, its_role) = parse_peer(peer, spec)?;
            if role.is_some() && its_role.is_some() && role != its_role {
                return Err(Problem::MixedRoles);
            }
            role = role.or(its_role);
            addresses.push(address);
        }
        addresses.sort();
        addresses.dedup();
        let role = role.unwrap_or(Role::Participant);
        Ok(Server { id, role, addresses, client, secure_client })
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> i64 {
        self.id
    }

    /// Whether it votes.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Where other members reach it: one address at least.
    #[must_use]
    pub fn addresses(&self) -> &[PeerAddress] {
        &self.addresses
    }

    /// Where it serves clients, if the text says so.
    #[must_use]
    pub const fn client(&self) -> Option<&Address> {
        self.client.as_ref()
    }

    /// Where it serves clients over TLS, if the text says so.
    #[must_use]
    pub const fn secure_client(&self) -> Option<&Address> {
        self.secure_client.as_ref()
    }

    /// Whether learners reach both at the same addresses: a leader for which this holds goes on
    /// leading under the new configuration.
    #[must_use]
    pub fn has_same_quorum_addresses(&self, other: &Server) -> bool {
        let within = |one: &Server, two: &Server| {
            let there = |a: &PeerAddress| two.addresses.iter().any(|b| b.quorum() == a.quorum());
            one.addresses.iter().all(there)
        };
        within(self, other) && within(other, self)
    }

    /// All addresses, of peers and of clients.
    pub(super) fn all_addresses(&self) -> impl Iterator<Item = Address> + '_ {
        let peers = self.addresses.iter().flat_map(|peer| [peer.quorum(), peer.election()]);
        peers.chain(self.client.clone()).chain(self.secure_client.clone())
    }
}

/// What stands behind `server.N=`.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, PeerAddress { host, quorum_port, election_port }) in
            self.addresses.iter().enumerate()
        {
            let separator = if at == 0 { "" } else { "|" };
            write!(f, "{separator}{}:{quorum_port}:{election_port}", Bracketed(host))?;
        }
        write!(f, ":{}", self.role.name())?;
        match (&self.client, &self.secure_client) {
            (None, None) => Ok(()),
            (Some(client), None) => write!(f, ";{client}"),
            (None, Some(secure)) => write!(f, ";;{secure}"),
            (Some(client), Some(secure)) => write!(f, ";{client};{secure}"),
        }
    }
}

/// Reads `host:port:port[:role]`.
fn parse_peer(text: &str, spec: &str) -> Result<(PeerAddress, Option<Role>), Problem> {
    let wrong = || Problem::BadSpec(spec.to_owned());
    let (host, rest) = split_host(text).ok_or_else(wrong)?;
    let parts: Vec<&str> = rest.trim_end_matches(':').split(':').collect();
    let (quorum, election, role) = match parts[..] {
        [quorum, election] => (quorum, election, None),
        [quorum, election, role] => (quorum, election, Some(role)),
        _ => return Err(wrong()),
    };
    let address = parse_address(host, parse_port(quorum)?);
    let Address { host, port: quorum_port } = address.ok_or_else(wrong)?;
    let election_port = parse_port(election)?;
    if quorum_port == election_port {
        return Err(Problem::SamePorts(quorum_port));
    }
    let parse_role =
        |role: &str| Role::parse(role).ok_or_else(|| Problem::BadRole(role.to_owned()));
    let role = role.map(parse_role).transpose()?;
    Ok((PeerAddress { host, quorum_port, election_port }, role))
}

/// Reads `[host:]port`.
fn parse_client(text: &str) -> Result<Address, Problem> {
    let (host, port) = split_host(text).unwrap_or((Address::ANY_HOST, text));
    let address = parse_address(host, parse_port(port)?);
    address.ok_or_else(|| Problem::BadSpec(text.to_owned()))
}

fn parse_port(text: &str) -> Result<u16, Problem> {
    let number: i32 = text.parse().map_err(|_| Problem::BadPort(text.to_owned()))?;
    u16::try_from(number).map_err(|_| Problem::PortOutOfRange(number))
}
