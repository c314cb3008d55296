//! Values as zkCli prints them.

use base::WallTime;
use quorate_client::{Acl, Stat, perms};
use std::fmt::Write as _;
use std::io::Write as _;

/// Prints a line to stdout: a result. Nobody is told if nobody reads it.
pub(crate) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Prints a line to stderr: an error or a notice.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// The block of a stat.
pub(crate) fn stat(stat: &Stat) -> String {
    let date = |ms| words::java_date(WallTime(ms));
    format!(
        "cZxid = {:#x}\nctime = {}\nmZxid = {:#x}\nmtime = {}\npZxid = {:#x}\ncversion = {}\n\
         dataVersion = {}\naclVersion = {}\nephemeralOwner = {:#x}\ndataLength = {}\n\
         numChildren = {}",
        stat.czxid,
        date(stat.ctime),
        stat.mzxid,
        date(stat.mtime),
        stat.pzxid,
        stat.cversion,
        stat.version,
        stat.aversion,
        stat.ephemeral_owner,
        stat.data_length,
        stat.num_children
    )
}

/// An access list: two lines for each entry.
pub(crate) fn acl(list: &[Acl]) -> String {
    let entries: Vec<String> = list
        .iter()
        .map(|acl| format!("'{},'{}\n: {}", acl.id.scheme, acl.id.id, permissions(acl.perms)))
        .collect();
    entries.join("\n")
}

/// Names in brackets, in order.
pub(crate) fn list(mut names: Vec<String>) -> String {
    names.sort();
    format!("[{}]", names.join(", "))
}

/// Letters of permission bits.
const LETTERS: [(i32, char); 5] = [
    (perms::CREATE, 'c'),
    (perms::DELETE, 'd'),
    (perms::READ, 'r'),
    (perms::WRITE, 'w'),
    (perms::ADMIN, 'a'),
];

fn permissions(bits: i32) -> String {
    LETTERS.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, letter)| *letter).collect()
}

/// Reads `scheme:id:perms,...`; an id may hold colons.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse_acl(text: &str) -> Result<Vec<Acl>, String> {
    text.split(',')
        .map(|entry| {
            let bad = || format!("{entry} does not have the form scheme:id:perm");
            let (scheme, rest) = entry.split_once(':').ok_or_else(bad)?;
            let (id, letters) = rest.rsplit_once(':').ok_or_else(bad)?;
            let mut bits = 0;
            for letter in letters.chars() {
                let known = LETTERS.iter().find(|(_, known)| *known == letter);
                bits |= known.ok_or(format!("Unknown perm type: {letter}"))?.0;
            }
            Ok(Acl { perms: bits, id: quorate_client::Id::new(scheme, id) })
        })
        .collect()
}

/// Data as lines of offset, hexadecimal bytes and text.
pub(crate) fn hexdump(data: &[u8]) -> String {
    let mut out = String::new();
    let edge = "+--------+-------------------------------------------------+----------------+";
    out.push_str("         +-------------------------------------------------+\n");
    out.push_str("         |  0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f |\n");
    let _ = writeln!(out, "{edge}");
    for (row, bytes) in data.chunks(16).enumerate() {
        let hex: String = bytes.iter().map(|byte| format!(" {byte:02x}")).collect();
        let text: String = bytes
            .iter()
            .map(|b| if (0x20..0x7f).contains(b) { char::from(*b) } else { '.' })
            .collect();
        let _ = writeln!(out, "|{:08x}|{hex:<49}|{text:<16}|", row * 16);
    }
    out.push_str(edge);
    out
}

#[cfg(test)]
mod tests {
    use super::{acl, hexdump, list, parse_acl};

    #[test]
    fn access_lists_are_read_and_shown() {
        let parsed = parse_acl("world:anyone:ar,ip:127.0.0.1:r,digest:u:h=:cdrwa").unwrap();
        assert_eq!(
            acl(&parsed),
            "'world,'anyone\n: ra\n'ip,'127.0.0.1\n: r\n'digest,'u:h=\n: cdrwa"
        );
        assert_eq!(parsed[2].id.id, "u:h=");
        for bad in ["", "world:r", "world:anyone:x"] {
            assert!(parse_acl(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_sorted() {
        assert_eq!(list(vec!["b".to_owned(), "a".to_owned()]), "[a, b]");
        assert_eq!(list(Vec::new()), "[]");
    }

    #[test]
    fn a_hexdump_has_a_row_for_every_sixteen_bytes() {
        let dump = hexdump(b"hello\x00world, and on");
        assert!(dump.contains(
            "|00000000| 68 65 6c 6c 6f 00 77 6f 72 6c 64 2c 20 61 6e 64 |hello.world, and|"
        ));
        assert!(dump.contains(
            "|00000010| 20 6f 6e                                        | on             |"
        ));
    }
}
