//! Makes what a client sent as an access list into what the tree keeps.
//!
//! Guarantee: a fixed list is not empty, holds no entry twice but by expansion, and every entry
//! is `world:anyone` or valid for a scheme of the configuration.

use std::borrow::Cow;
use std::collections::BTreeSet;

use wire::{Acl, Acls, Id};

use crate::Config;

/// Why a list may not be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidAcl {
    /// It is null, empty, or has an entry that no scheme accepts: `InvalidACL` for the client.
    Refused,
    /// An entry has a null id that its scheme would have to look at: `MarshallingError`.
    NullId,
}

/// A list that may be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fixed<'a> {
    /// As it came.
    Unchanged(Acls<'a>),
    /// Changed: duplicates removed, or `auth` expanded.
    Owned(Vec<Acl>),
}

impl Fixed<'_> {
    /// The entries.
    #[must_use]
    pub fn into_vec(self) -> Vec<Acl> {
        match self {
            Fixed::Unchanged(acls) => acls.to_vec(),
            Fixed::Owned(acls) => acls,
        }
    }

    /// Whether it is exactly `world:anyone` with all permissions.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self {
            Fixed::Unchanged(acls) => *acls == Acls::OPEN,
            Fixed::Owned(acls) => *acls == Acl::open(),
        }
    }
}

impl Config {
    /// Checks the list of a create or setACL, removes exact duplicates, and puts the connection's
    /// authenticated `ids` in the place of each `auth` entry.
    ///
    /// # Errors
    /// [`InvalidAcl`], for which no part of the list is of use.
    pub fn fix_up<'a>(&self, acl: Option<Acls<'a>>, ids: &[Id]) -> Result<Fixed<'a>, InvalidAcl> {
        let Some(acls) = acl.filter(|acls| !acls.is_empty()) else {
            return Err(InvalidAcl::Refused);
        };
        if acls == Acls::OPEN {
            return Ok(Fixed::Unchanged(acls));
        }
        self.fix_up_entries(acls, ids)
    }

    fn fix_up_entries<'a>(&self, acls: Acls<'a>, ids: &[Id]) -> Result<Fixed<'a>, InvalidAcl> {
        // A set, because the length of the list is the client's choice.
        let mut seen: BTreeSet<(i32, Cow<'a, str>, Cow<'a, str>)> = BTreeSet::new();
        let mut fixed = Vec::with_capacity(acls.len());
        let mut is_changed = false;
        for acl in acls.iter() {
            let Some(scheme) = acl.scheme else { return Err(InvalidAcl::Refused) };
            if acl.id.is_none() && (scheme == "world" || self.knows(&scheme)) {
                return Err(InvalidAcl::NullId);
            }
            // kazoo sends an empty id as null, and `auth` looks at none.
            let id = acl.id.unwrap_or_default();
            if !seen.insert((acl.perms, scheme.clone(), id.clone())) {
                is_changed = true;
            } else if scheme == "auth" {
                is_changed = true;
                self.expand_auth(acl.perms, ids, &mut fixed)?;
            } else if self.is_valid(&scheme, &id) {
                fixed.push(Acl { perms: acl.perms, id: Id::new(scheme, id) });
            } else {
                return Err(InvalidAcl::Refused);
            }
        }
        Ok(if is_changed { Fixed::Owned(fixed) } else { Fixed::Unchanged(acls) })
    }

    fn expand_auth(&self, perms: i32, ids: &[Id], out: &mut Vec<Acl>) -> Result<(), InvalidAcl> {
        let before = out.len();
        out.extend(
            ids.iter()
                .filter(|id| self.is_authenticated(&id.scheme))
                .map(|id| Acl { perms, id: id.clone() }),
        );
        if out.len() == before { Err(InvalidAcl::Refused) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use jute::{Reader, Writer, put_int};
    use wire::{Acl, Acls, Id, perms};

    use super::{Fixed, InvalidAcl};
    use crate::Config;

    fn acl(perms: i32, scheme: &str, id: &str) -> Acl {
        Acl { perms, id: Id::new(scheme, id) }
    }

    /// What the list becomes; `None` if it is refused.
    fn fix(config: &Config, list: &[Acl], ids: &[Id]) -> Option<(bool, Vec<Acl>)> {
        let mut bytes = Vec::new();
        Writer::new(&mut bytes).vector(list);
        let acls = Acls::decode(&mut Reader::new(&bytes)).unwrap();
        let fixed = config.fix_up(acls, ids).ok()?;
        Some((matches!(fixed, Fixed::Owned(_)), fixed.into_vec()))
    }

    #[test]
    fn null_and_empty_lists_and_null_fields_are_refused() {
        let config = Config::default();
        assert_eq!(config.fix_up(None, &[]), Err(InvalidAcl::Refused));
        assert_eq!(fix(&config, &[], &[]), None);
        let mut bytes = Vec::new();
        put_int(&mut bytes, 1);
        put_int(&mut bytes, perms::ALL);
        put_int(&mut bytes, -1);
        put_int(&mut bytes, -1);
        let acls = Acls::decode(&mut Reader::new(&bytes)).unwrap();
        assert_eq!(config.fix_up(acls, &[]), Err(InvalidAcl::Refused));
    }

    #[test]
    fn a_null_id_is_an_empty_one() {
        let mut bytes = Vec::new();
        put_int(&mut bytes, 1);
        put_int(&mut bytes, perms::ALL);
        jute::put_string(&mut bytes, "auth");
        put_int(&mut bytes, -1);
        let acls = Acls::decode(&mut Reader::new(&bytes)).unwrap();
        let ids = [Id::new("digest", "u:h")];
        let fixed = Config::default().fix_up(acls, &ids).unwrap();
        assert_eq!(fixed.into_vec(), [acl(31, "digest", "u:h")]);
    }

    #[test]
    fn valid_lists_stay_as_they_are() {
        let config = Config::default();
        for list in [
            Acl::open(),
            Acl::read_only(),
            vec![acl(31, "digest", "u:h"), acl(1, "digest", "u:h"), acl(-7, "ip", "10.0.0.0/8")],
        ] {
            assert_eq!(fix(&config, &list, &[]), Some((false, list)));
        }
    }

    #[test]
    fn duplicates_go_and_the_order_stays() {
        let (b, a) = (acl(31, "digest", "b:h"), acl(31, "digest", "a:h"));
        let list = [b.clone(), a.clone(), b.clone(), a.clone()];
        assert_eq!(fix(&Config::default(), &list, &[]), Some((true, vec![b, a])));
    }

    #[test]
    fn unknown_schemes_and_bad_ids_are_refused() {
        for (scheme, id) in [
            ("world", "everyone"),
            ("world", ""),
            ("super", ""),
            ("sasl", "user"),
            ("x509", "CN=user"),
            ("", ""),
            ("digest", "user"),
            ("ip", "localhost"),
            ("AUTH", ""),
        ] {
            let list = [acl(31, "world", "anyone"), acl(31, scheme, id)];
            assert_eq!(fix(&Config::default(), &list, &[]), None, "{scheme}:{id}");
        }
        let config = Config { digest_enabled: false, ..Config::default() };
        assert_eq!(fix(&config, &[acl(31, "digest", "u:h")], &[]), None);
    }

    #[test]
    fn auth_becomes_the_ids_that_a_secret_proved() {
        let config = Config::default();
        let ids = [
            Id::new("ip", "127.0.0.1"),
            Id::new("digest", "u:h"),
            Id::new("super", ""),
            Id::new("digest", "v:h"),
        ];
        let list = [acl(3, "auth", ""), acl(1, "world", "anyone"), acl(4, "auth", "ignored")];
        let expected = vec![
            acl(3, "digest", "u:h"),
            acl(3, "digest", "v:h"),
            acl(1, "world", "anyone"),
            acl(4, "digest", "u:h"),
            acl(4, "digest", "v:h"),
        ];
        assert_eq!(fix(&config, &list, &ids), Some((true, expected)));
        assert_eq!(fix(&config, &list, &ids[..1]), None);
        let without = Config { digest_enabled: false, ..Config::default() };
        assert_eq!(fix(&without, &list, &ids), None);
    }

    #[test]
    fn the_open_list_is_recognised() {
        assert!(Config::default().fix_up(Some(Acls::OPEN), &[]).unwrap().is_open());
        assert!(Fixed::Owned(Acl::open()).is_open());
        assert!(!Fixed::Owned(Acl::read_only()).is_open());
    }
}
