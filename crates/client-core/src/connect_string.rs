//! Connect strings: `host[:port],host[:port],.../chroot`.
//!
//! A host is a name, an IPv4 address, or an IPv6 address in brackets; the port defaults to 2181.
//! The chroot begins at the first slash and holds for all hosts.

use crate::Chroot;
use std::fmt;
use std::str::FromStr;

/// The port of a host that names none.
pub const DEFAULT_PORT: u16 = 2181;
/// Most hosts in one connect string; ensembles have a handful.
pub const HOSTS_MAX: usize = 256;

/// One server's address, not resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Name or address; IPv6 without its brackets.
    pub name: String,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

/// Where a client may connect to, and what it sees there as its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectString {
    /// The servers, in the order given; never empty.
    pub hosts: Vec<Host>,
    /// The prefix of all paths.
    pub chroot: Chroot,
}

/// Why a text is no connect string.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectStringError {
    /// There is no host in it.
    #[error("no host in the connect string")]
    NoHosts,
    /// There are more than [`HOSTS_MAX`].
    #[error("more than {HOSTS_MAX} hosts in the connect string")]
    TooManyHosts,
    /// A host that cannot be one.
    #[error("{0:?} is no host; IPv6 addresses go in brackets")]
    BadHost(String),
    /// A port that is none of 1 to 65535.
    #[error("{0:?} has no valid port")]
    BadPort(String),
    /// A chroot that is no valid path.
    #[error("{0:?} is no valid chroot")]
    BadChroot(String),
}

impl FromStr for ConnectString {
    type Err = ConnectStringError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (hosts, chroot) = match text.find('/') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let chroot = Chroot::new(chroot.trim_end())
            .map_err(|_| ConnectStringError::BadChroot(chroot.to_owned()))?;
        let hosts = hosts
            .split(',')
            .map(str::trim)
            .filter(|host| !host.is_empty())
            .map(parse_host)
            .collect::<Result<Vec<Host>, _>>()?;
        match hosts.len() {
            0 => Err(ConnectStringError::NoHosts),
            n if n > HOSTS_MAX => Err(ConnectStringError::TooManyHosts),
            _ => Ok(ConnectString { hosts, chroot }),
        }
    }
}

fn parse_host(text: &str) -> Result<Host, ConnectStringError> {
    let bad_host = || ConnectStringError::BadHost(text.to_owned());
    let (name, port) = if let Some(rest) = text.strip_prefix('[') {
        let (name, rest) = rest.split_once(']').ok_or_else(bad_host)?;
        match rest.strip_prefix(':') {
            Some(port) => (name, Some(port)),
            None if rest.is_empty() => (name, None),
            None => return Err(bad_host()),
        }
    } else {
        match text.split_once(':') {
            Some((name, port)) if !port.contains(':') => (name, Some(port)),
            Some(_) => return Err(bad_host()),
            None => (text, None),
        }
    };
    if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(bad_host());
    }
    let port = match port {
        None => DEFAULT_PORT,
        Some(port) => match port.parse::<u16>() {
            Ok(port) if port > 0 => port,
            Ok(_) | Err(_) => return Err(ConnectStringError::BadPort(text.to_owned())),
        },
    };
    Ok(Host { name: name.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::{ConnectString, ConnectStringError as E, HOSTS_MAX};

    fn show(text: &str) -> Result<String, E> {
        let parsed: ConnectString = text.parse()?;
        let hosts: Vec<String> = parsed.hosts.iter().map(ToString::to_string).collect();
        Ok(format!("{} {}", hosts.join(" "), parsed.chroot.as_str()))
    }

    #[test]
    fn hosts_ports_and_chroot_are_told_apart() {
        assert_eq!(show("a").unwrap(), "a:2181 ");
        assert_eq!(show("a:1,b , c:3/x/y").unwrap(), "a:1 b:2181 c:3 /x/y");
        assert_eq!(show("127.0.0.1:3000,").unwrap(), "127.0.0.1:3000 ");
        assert_eq!(show("[::1],[2001:db8::2]:42/a").unwrap(), "[::1]:2181 [2001:db8::2]:42 /a");
        assert_eq!(show("a/").unwrap(), "a:2181 ");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert_eq!(show(""), Err(E::NoHosts));
        assert_eq!(show("/a"), Err(E::NoHosts));
        assert_eq!(show(&vec!["a"; HOSTS_MAX + 1].join(",")), Err(E::TooManyHosts));
        for host in ["::1", "[::1", "[::1]x", ":2181", "a b", "[]:1"] {
            assert_eq!(show(host), Err(E::BadHost(host.to_owned())));
        }
        for host in ["a:", "a:0", "a:65536", "a:x"] {
            assert_eq!(show(host), Err(E::BadPort(host.to_owned())));
        }
        for chroot in ["/a/", "//", "/a//b", "/../a"] {
            assert_eq!(show(&format!("h{chroot}")), Err(E::BadChroot(chroot.to_owned())));
        }
    }
}
