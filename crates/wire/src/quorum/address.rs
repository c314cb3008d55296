//! Hosts and ports as texts of the ensemble write them.
//!
//! Hosts stay text: nothing here asks a name service. IPv6 addresses are written without brackets
//! in memory and in the reference's long form, so that equal addresses have equal texts.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// Where something listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Address {
    /// The host that stands for all addresses of a machine.
    pub const ANY_HOST: &str = "0.0.0.0";

    /// An address; brackets around the host are taken off, and IPv6 is written in full.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Address {
        Address { host: plain_host(host), port }
    }

    /// Whether the host stands for all addresses of a machine.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.ip().is_some_and(|ip| ip.is_unspecified())
    }

    /// Whether the host is `localhost` or an address of the machine's inner network.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost") || self.ip().is_some_and(|ip| ip.is_loopback())
    }

    /// Whether both say the same; the case of names makes no difference.
    #[must_use]
    pub fn is_same(&self, other: &Address) -> bool {
        self.port == other.port && self.host.eq_ignore_ascii_case(&other.host)
    }

    fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

/// `host:port`, with brackets around IPv6.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", Bracketed(&self.host), self.port)
    }
}

/// A host in a text in which colons separate.
pub(super) struct Bracketed<'a>(pub(super) &'a str);

impl fmt::Display for Bracketed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(':') { write!(f, "[{}]", self.0) } else { f.write_str(self.0) }
    }
}

/// Splits `host:rest`; brackets around the host are taken off. `None` if there is no rest, or a
/// bracket is not closed before a colon.
pub(super) fn split_host(text: &str) -> Option<(&str, &str)> {
    match text.strip_prefix('[') {
        Some(inner) => inner.split_once("]:"),
        None => text.split_once(':'),
    }
}

/// A host that may stand in a text: neither empty nor with blanks or stray brackets.
pub(super) fn parse_address(host: &str, port: u16) -> Option<Address> {
    let address = Address::new(host, port);
    let is_stray = |c: char| c.is_whitespace() || c == '[' || c == ']';
    let is_host = !address.host.is_empty() && !address.host.contains(is_stray);
    if is_host { Some(address) } else { None }
}

/// The host without brackets; IPv6 in full, but for the part of it that is IPv4.
fn plain_host(host: &str) -> String {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let Ok(ip) = host.parse::<Ipv6Addr>() else { return host.to_owned() };
    if let Some(ip) = ip.to_ipv4_mapped() {
        return ip.to_string();
    }
    let segments: Vec<String> = ip.segments().iter().map(|part| format!("{part:x}")).collect();
    segments.join(":")
}

#[cfg(test)]
mod tests {
    use super::{Address, split_host};

    #[test]
    fn hosts_are_written_as_the_reference_does() {
        let text = |host| Address::new(host, 7).to_string();
        assert_eq!(text("zoo1.example"), "zoo1.example:7");
        assert_eq!(text("::1"), "[0:0:0:0:0:0:0:1]:7");
        assert_eq!(text("[2001:DB8::F]"), "[2001:db8:0:0:0:0:0:f]:7");
        assert_eq!(text("::ffff:10.0.0.1"), "10.0.0.1:7");
        assert!(Address::new("[::]", 7).is_wildcard() && Address::new("0.0.0.0", 7).is_wildcard());
        assert!(Address::new("::1", 7).is_loopback() && Address::new("LocalHost", 7).is_loopback());
        assert!(Address::new("A", 7).is_same(&Address::new("a", 7)));
    }

    #[test]
    fn the_first_colon_behind_the_host_splits() {
        assert_eq!(split_host("[::1]:2:3"), Some(("::1", "2:3")));
        assert_eq!(split_host("a:2:3"), Some(("a", "2:3")));
        assert_eq!(split_host("[::1"), None);
        assert_eq!(split_host("[::1]2:3"), None);
        assert_eq!(split_host("2181"), None);
    }
}
