//! The `ip` scheme: the address that a connection comes from, against an address or a prefix.
//!
//! The text form of both is parsed as the reference parses it, which is neither wider nor
//! narrower than `std`'s: signs are accepted, an IPv4 tail in an IPv6 address is not.

use std::net::{IpAddr, Ipv4Addr};

/// The id of a connection: dotted IPv4, also for a mapped address, or eight groups of IPv6
/// without compression.
pub(crate) fn id_of(remote: IpAddr) -> String {
    match remote.to_canonical() {
        IpAddr::V4(v4) => dotted(v4),
        IpAddr::V6(v6) => v6.segments().map(|group| format!("{group:x}")).join(":"),
    }
}

/// As `Display` shows it, at a tenth of the cost: every connection begins with it.
fn dotted(address: Ipv4Addr) -> String {
    let mut text = String::with_capacity(DOTTED_SIZE_MAX);
    for octet in address.octets() {
        if !text.is_empty() {
            text.push('.');
        }
        for (unit, is_shown) in [(100, octet >= 100), (10, octet >= 10), (1, true)] {
            if is_shown {
                text.push(char::from(b'0' + octet / unit % 10));
            }
        }
    }
    text
}

/// Length of `255.255.255.255`.
const DOTTED_SIZE_MAX: usize = 15;

/// Whether an access list may hold the id: an address, or an address and a prefix length.
pub(crate) fn is_valid(id: &str) -> bool {
    Prefix::parse(id).is_some()
}

/// Whether the connection's `id` lies in `entry`.
pub(crate) fn matches(id: &str, entry: &str) -> bool {
    let (Some(prefix), Some(address)) = (Prefix::parse(entry), Address::parse(id)) else {
        return false;
    };
    prefix.contains(&address)
}

/// Address bytes; 4 or 16 of them count.
struct Address {
    bytes: [u8; 16],
    len: usize,
}

impl Address {
    fn parse(text: &str) -> Option<Address> {
        if text.contains(':') { Address::parse_v6(text) } else { Address::parse_v4(text) }
    }

    fn parse_v4(text: &str) -> Option<Address> {
        let mut bytes = [0; 16];
        let mut parts = text.split('.');
        for byte in &mut bytes[..4] {
            *byte = u8::try_from(parts.next()?.parse::<i32>().ok()?).ok()?;
        }
        parts.next().is_none().then_some(Address { bytes, len: 4 })
    }

    fn parse_v6(text: &str) -> Option<Address> {
        let mut bytes = [0; 16];
        match text.split_once("::") {
            None => {
                let groups = put_groups(&mut bytes, text)?;
                (groups == 8).then_some(Address { bytes, len: 16 })
            }
            Some((_, rest)) if rest.contains("::") => None,
            Some((head, tail)) => {
                let mut tail_bytes = [0; 16];
                let (before, after) =
                    (put_groups(&mut bytes, head)?, put_groups(&mut tail_bytes, tail)?);
                if before + after >= 8 {
                    return None;
                }
                bytes[16 - 2 * after..].copy_from_slice(&tail_bytes[..2 * after]);
                Some(Address { bytes, len: 16 })
            }
        }
    }
}

/// Writes the groups of hexadecimal digits in `text` from the start; how many there were.
fn put_groups(bytes: &mut [u8; 16], text: &str) -> Option<usize> {
    if text.is_empty() {
        return Some(0);
    }
    let mut count = 0;
    for group in text.split(':') {
        if group.len() > 4 || count == 8 {
            return None;
        }
        let value = i32::from_str_radix(group, 16).ok()?;
        bytes[2 * count..2 * count + 2].copy_from_slice(&(value as u16).to_be_bytes());
        count += 1;
    }
    Some(count)
}

struct Prefix {
    address: Address,
    bits: usize,
}

impl Prefix {
    fn parse(text: &str) -> Option<Prefix> {
        let (address, bits) = match text.split_once('/') {
            None => (Address::parse(text)?, None),
            Some((address, bits)) => (Address::parse(address)?, Some(bits)),
        };
        let all = address.len * 8;
        let bits = match bits {
            None => all,
            Some(text) => usize::try_from(text.parse::<i32>().ok()?).ok()?,
        };
        (bits <= all).then_some(Prefix { address, bits })
    }

    fn contains(&self, other: &Address) -> bool {
        let (whole, rest) = (self.bits / 8, self.bits % 8);
        let differs = |i: usize| self.address.bytes[i] ^ other.bytes[i];
        self.address.len == other.len
            && (0..whole).all(|i| differs(i) == 0)
            && (rest == 0 || differs(whole) >> (8 - rest) == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::{id_of, is_valid, matches};
    use std::net::Ipv4Addr;

    #[test]
    fn an_ipv4_address_is_shown_as_everywhere() {
        for octet in 0..=255 {
            let address = Ipv4Addr::new(octet, 0, 255 - octet, octet);
            assert_eq!(id_of(address.into()), address.to_string());
        }
    }

    #[test]
    fn a_connection_is_named_as_java_shows_its_address() {
        for (remote, id) in [
            ("127.0.0.1", "127.0.0.1"),
            ("::ffff:10.1.2.3", "10.1.2.3"),
            ("::1", "0:0:0:0:0:0:0:1"),
            ("2001:DB8::00ff", "2001:db8:0:0:0:0:0:ff"),
        ] {
            assert_eq!(id_of(remote.parse().unwrap()), id);
        }
    }

    #[test]
    fn validity_is_the_references() {
        for id in [
            "127.0.0.1",
            "127.0.0.1/0",
            "127.0.0.1/32",
            "10.0.0.0/+8",
            "001.2.3.4",
            "::",
            "::1",
            "1::",
            "::/0",
            "2001:db8::/128",
            "1:2:3:4:5:6:7:8",
            "1:2:3::5:6:7:8",
            "-1::",
        ] {
            assert!(is_valid(id), "{id}");
        }
        for id in [
            "",
            "localhost",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.256",
            "1.2.3.-1",
            "1.2.3.4/33",
            "1.2.3.4/-1",
            "1.2.3.4/",
            "1.2.3.4/8/8",
            "1..3.4",
            "::/129",
            "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:9",
            "1:2:3:4::5:6:7:8",
            "1::2::3",
            ":::",
            ":1:2:3:4:5:6:7",
            "12345::",
            "g::",
            "::ffff:1.2.3.4",
            "fe80::1%eth0",
        ] {
            assert!(!is_valid(id), "{id}");
        }
    }

    #[test]
    fn prefixes_are_compared_bit_by_bit() {
        for (id, entry, expected) in [
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("10.1.2.3", "10.1.2.4/29", true),
            ("10.1.2.3", "10.1.2.8/29", false),
            ("10.1.2.3", "10.200.0.0/8", true),
            ("10.1.2.3", "11.0.0.0/7", true),
            ("10.1.2.3", "12.0.0.0/7", false),
            ("10.1.2.3", "99.0.0.0/0", true),
            ("10.1.2.3", "::/0", false),
            ("2001:db8:0:0:0:0:0:1", "2001:db8::/32", true),
            ("2001:db8:0:0:0:0:0:1", "2001:db9::/32", false),
            ("2001:db8:0:0:0:0:0:1", "2001:db9::/31", true),
            ("0:0:0:0:0:0:0:1", "::1", true),
            ("0:0:0:0:0:0:0:1", "0.0.0.0/0", false),
            ("10.1.2.3", "nonsense", false),
            ("nonsense", "10.1.2.3/0", false),
        ] {
            assert_eq!(matches(id, entry), expected, "{id} in {entry}");
        }
    }
}
