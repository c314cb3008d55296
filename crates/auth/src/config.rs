//! The configured schemes: what a connection is, and what it may do.
//!
//! In: the ids that a connection has gathered, and the access list of a node. Out: yes or no.
//! The order of the checks around this, and their error codes, are the keeper's.

use std::net::IpAddr;

use wire::{Acl, Id};

use crate::digest::{self, DigestAlg, digest_id};
use crate::ip;

/// What the operator decided about access. Given whole; the fields are independent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Whether `digest` is a scheme at all.
    pub digest_enabled: bool,
    /// How digests are made.
    pub digest_alg: DigestAlg,
    /// The digest id whose owner is super: `super:` and a hash, as [`digest_id`] makes it.
    pub super_digest: Option<String>,
    /// Every check passes.
    pub skip_acl: bool,
    /// Schemes of which a connection needs an id before it may do anything; `None` for no need.
    pub enforce: Option<Vec<String>>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            digest_enabled: true,
            digest_alg: DigestAlg::default(),
            super_digest: None,
            skip_acl: false,
            enforce: None,
        }
    }
}

/// The credentials prove nothing: `AuthFailed` for the client, then its connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthFailed;

/// `enforce` cannot be satisfied: it is empty (`None`), or names a scheme that is not offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownScheme(pub Option<String>);

/// The schemes that have ids of their own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Digest,
    Ip,
}

impl Config {
    /// Whether a server may start on this.
    ///
    /// # Errors
    /// If `enforce` would keep every client out for ever.
    pub fn validate(&self) -> Result<(), UnknownScheme> {
        let Some(schemes) = &self.enforce else { return Ok(()) };
        if schemes.is_empty() {
            return Err(UnknownScheme(None));
        }
        match schemes.iter().find(|scheme| self.scheme(scheme).is_none()) {
            Some(unknown) => Err(UnknownScheme(Some(unknown.clone()))),
            None => Ok(()),
        }
    }

    /// Whether a connection with these `ids` has any of `perms` on a node with this list. A node
    /// without a list is open to all.
    #[must_use]
    pub fn permits(&self, acl: Option<&[Acl]>, ids: &[Id], perms: i32) -> bool {
        let Some(list) = acl.filter(|list| !list.is_empty()) else { return true };
        self.skip_acl
            || list.iter().any(|entry| entry.perms & perms != 0 && is_anyone(&entry.id))
            || ids.iter().any(|id| id.scheme == "super")
            || list.iter().any(|entry| entry.perms & perms != 0 && self.matches(&entry.id, ids))
    }

    /// The ids of a connection that has only just been accepted.
    #[must_use]
    pub fn initial_ids(&self, remote: IpAddr) -> Vec<Id> {
        vec![Id::new("ip", ip::id_of(remote))]
    }

    /// Takes an auth packet: adds what the credentials prove to `ids`, once each.
    ///
    /// A digest always succeeds, because it claims no more than to know its own password.
    ///
    /// # Errors
    /// If the scheme is not offered.
    pub fn authenticate(
        &self,
        scheme: &str,
        credentials: &[u8],
        remote: IpAddr,
        ids: &mut Vec<Id>,
    ) -> Result<(), AuthFailed> {
        match self.scheme(scheme).ok_or(AuthFailed)? {
            Scheme::Ip => add(ids, Id::new("ip", ip::id_of(remote))),
            Scheme::Digest => {
                let id = digest_id(self.digest_alg, &String::from_utf8_lossy(credentials));
                if self.super_digest.as_ref() == Some(&id) {
                    add(ids, Id::new("super", ""));
                }
                add(ids, Id::new("digest", id));
            }
        }
        Ok(())
    }

    /// The name that whoAmI shows: of a digest the user, of an address the address, of an id of
    /// any other scheme nothing.
    #[must_use]
    pub fn user_name<'a>(&self, id: &'a Id) -> &'a str {
        match self.scheme(&id.scheme) {
            Some(Scheme::Digest) => digest::user(&id.id),
            Some(Scheme::Ip) => &id.id,
            None => "",
        }
    }

    /// Whether the connection may do anything but authenticate.
    #[must_use]
    pub fn is_enforced_satisfied(&self, ids: &[Id]) -> bool {
        match &self.enforce {
            None => true,
            Some(schemes) => ids.iter().any(|id| schemes.contains(&id.scheme)),
        }
    }

    /// Whether an access list may hold the id.
    pub(crate) fn is_valid(&self, scheme: &str, id: &str) -> bool {
        match self.scheme(scheme) {
            Some(Scheme::Digest) => digest::is_valid(id),
            Some(Scheme::Ip) => ip::is_valid(id),
            None => scheme == "world" && id == "anyone",
        }
    }

    /// Whether the scheme has ids of its own.
    pub(crate) fn knows(&self, scheme: &str) -> bool {
        self.scheme(scheme).is_some()
    }

    /// Whether ids of the scheme are proved by a secret, so that `auth` stands for them.
    pub(crate) fn is_authenticated(&self, scheme: &str) -> bool {
        self.scheme(scheme) == Some(Scheme::Digest)
    }

    fn scheme(&self, name: &str) -> Option<Scheme> {
        match name {
            "digest" if self.digest_enabled => Some(Scheme::Digest),
            "ip" => Some(Scheme::Ip),
            _ => None,
        }
    }

    fn matches(&self, entry: &Id, ids: &[Id]) -> bool {
        let mut same = ids.iter().filter(|id| id.scheme == entry.scheme);
        match self.scheme(&entry.scheme) {
            Some(Scheme::Digest) => same.any(|id| id.id == entry.id),
            Some(Scheme::Ip) => same.any(|id| ip::matches(&id.id, &entry.id)),
            None => false,
        }
    }
}

/// The entry as getACL shows it to those who may not change the list: without the hash of a
/// password, which could be guessed against.
#[must_use]
pub fn mask(acl: &Acl) -> Acl {
    let mut shown = acl.clone();
    if let ("digest", Some(colon)) = (acl.id.scheme.as_str(), acl.id.id.find(':')) {
        shown.id.id.replace_range(colon.., ":x");
    }
    shown
}

fn is_anyone(id: &Id) -> bool {
    id.scheme == "world" && id.id == "anyone"
}

fn add(ids: &mut Vec<Id>, id: Id) {
    if !ids.contains(&id) {
        ids.push(id);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use wire::{Acl, Id, perms};

    use super::{AuthFailed, Config, UnknownScheme, mask};

    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const HASH: &str = "super:D/InIHSb7yEEbrWz8b9l71RjZJU=";

    fn acl(perms: i32, scheme: &str, id: &str) -> Acl {
        Acl { perms, id: Id::new(scheme, id) }
    }

    #[test]
    fn permits_by_entry_and_bit() {
        let local = Id::new("ip", "127.0.0.1");
        let user = Id::new("digest", "u:h");
        let root = Id::new("super", "");
        let list = [
            acl(perms::READ, "digest", "u:h"),
            acl(perms::WRITE | perms::CREATE, "ip", "127.0.0.0/8"),
            acl(perms::DELETE, "world", "anyone"),
            acl(perms::ADMIN, "sasl", "u"),
        ];
        let sasl = Id::new("sasl", "u");
        for (ids, perm, expected) in [
            (&[][..], perms::READ, false),
            (&[], perms::DELETE, true),
            (std::slice::from_ref(&user), perms::READ, true),
            (std::slice::from_ref(&user), perms::WRITE, false),
            (std::slice::from_ref(&user), perms::READ | perms::ADMIN, true),
            (std::slice::from_ref(&local), perms::CREATE, true),
            (std::slice::from_ref(&local), perms::READ, false),
            (&[local.clone(), user.clone()], perms::READ, true),
            (&[sasl], perms::ADMIN, false),
            (std::slice::from_ref(&root), perms::ADMIN, true),
            (std::slice::from_ref(&root), 0, true),
            (std::slice::from_ref(&user), 0, false),
        ] {
            assert_eq!(
                Config::default().permits(Some(&list), ids, perm),
                expected,
                "{ids:?} {perm}"
            );
        }
    }

    #[test]
    fn no_list_and_no_checks_permit_all() {
        let config = Config::default();
        assert!(config.permits(None, &[], perms::ALL));
        assert!(config.permits(Some(&[]), &[], perms::ALL));
        let closed = [acl(0, "world", "anyone")];
        assert!(!config.permits(Some(&closed), &[], perms::ALL));
        let skipping = Config { skip_acl: true, ..config };
        assert!(skipping.permits(Some(&closed), &[], perms::ALL));
    }

    #[test]
    fn a_disabled_digest_matches_nothing_and_is_no_scheme() {
        let config = Config { digest_enabled: false, ..Config::default() };
        let user = [Id::new("digest", "u:h")];
        assert!(!config.permits(Some(&[acl(31, "digest", "u:h")]), &user, perms::READ));
        let mut ids = Vec::new();
        assert_eq!(config.authenticate("digest", b"u:p", LOCAL, &mut ids), Err(AuthFailed));
        assert!(ids.is_empty());
    }

    #[test]
    fn credentials_add_each_id_once() {
        let config = Config { super_digest: Some(HASH.to_owned()), ..Config::default() };
        let mut ids = config.initial_ids(LOCAL);
        for _ in 0..2 {
            config.authenticate("digest", b"super:test", LOCAL, &mut ids).unwrap();
            config.authenticate("ip", b"", LOCAL, &mut ids).unwrap();
        }
        assert_eq!(
            ids,
            [Id::new("ip", "127.0.0.1"), Id::new("super", ""), Id::new("digest", HASH)]
        );
        config.authenticate("digest", b"super:guess", LOCAL, &mut ids).unwrap();
        assert_eq!(ids.iter().filter(|id| id.scheme == "super").count(), 1);
        for scheme in ["world", "auth", "super", "sasl", "x509", ""] {
            assert_eq!(config.authenticate(scheme, b"", LOCAL, &mut ids), Err(AuthFailed));
        }
    }

    #[test]
    fn credentials_that_are_not_text_are_an_id_too() {
        let mut ids = Vec::new();
        Config::default().authenticate("digest", b"\xff:p", LOCAL, &mut ids).unwrap();
        assert!(ids[0].id.starts_with("\u{fffd}:"));
    }

    #[test]
    fn names_and_masks() {
        let config = Config::default();
        assert_eq!(config.user_name(&Id::new("digest", "u:h")), "u");
        assert_eq!(config.user_name(&Id::new("ip", "10.0.0.1")), "10.0.0.1");
        assert_eq!(config.user_name(&Id::new("super", "")), "");
        assert_eq!(config.user_name(&Id::new("sasl", "u")), "");
        assert_eq!(mask(&acl(1, "digest", "u:h:i")), acl(1, "digest", "u:x"));
        assert_eq!(mask(&acl(1, "digest", "odd")), acl(1, "digest", "odd"));
        assert_eq!(mask(&acl(1, "ip", "::1")), acl(1, "ip", "::1"));
    }

    #[test]
    fn enforcement_needs_one_of_the_schemes() {
        let config = Config { enforce: Some(vec!["digest".to_owned()]), ..Config::default() };
        assert!(!config.is_enforced_satisfied(&config.initial_ids(LOCAL)));
        assert!(config.is_enforced_satisfied(&[Id::new("digest", "u:h")]));
        assert!(Config::default().is_enforced_satisfied(&[]));
        assert_eq!(config.validate(), Ok(()));
        let empty = Config { enforce: Some(vec![]), ..Config::default() };
        assert_eq!(empty.validate(), Err(UnknownScheme(None)));
        let sasl = Config { enforce: Some(vec!["sasl".to_owned()]), ..Config::default() };
        assert_eq!(sasl.validate(), Err(UnknownScheme(Some("sasl".to_owned()))));
        let off = Config { digest_enabled: false, ..config };
        assert_eq!(off.validate(), Err(UnknownScheme(Some("digest".to_owned()))));
    }
}
