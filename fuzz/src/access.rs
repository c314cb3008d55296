//! Access lists and identities: a list that is kept is one that may be kept again.

use auth::{Config, DigestAlg};
use jute::{Encode, Reader, Writer};
use std::net::{IpAddr, Ipv6Addr};
use wire::{Acl, Acls, Id, perms};

/// The bytes as a list and as an identity of each scheme.
pub(crate) fn list(data: &[u8]) {
    let config = Config::default();
    let text = String::from_utf8_lossy(data);
    let ids = identities(&config, data, &text);
    if let Ok(acls) = Acls::decode(&mut Reader::new(data)) {
        fix(&config, acls, &ids);
    }
    for scheme in ["world", "ip", "digest", "auth", "super"] {
        let entry = Acl { perms: perms::READ, id: Id::new(scheme, &*text) };
        assert!(!config.permits(Some(std::slice::from_ref(&entry)), &ids, perms::WRITE));
        let mut bytes = Vec::new();
        Writer::new(&mut bytes).vector(&[entry]);
        fix(&config, Acls::decode(&mut Reader::new(&bytes)).expect("just written"), &ids);
    }
}

fn identities(config: &Config, data: &[u8], text: &str) -> Vec<Id> {
    let octets = data.first_chunk::<16>().copied().unwrap_or_default();
    let remote = IpAddr::V6(Ipv6Addr::from(octets));
    let mut ids = config.initial_ids(remote);
    for scheme in ["digest", "ip", text] {
        // An unknown scheme is refused.
        config.authenticate(scheme, data, remote, &mut ids).ok();
    }
    assert!(ids.iter().all(|id| config.user_name(id).len() <= id.id.len()));
    assert!(auth::digest_id(DigestAlg::Sha1, text).contains(':'));
    assert!(DigestAlg::parse(text).is_none() || text.len() <= "SHA-512/256".len());
    ids
}

/// What a list becomes stays as it is when it is given again.
fn fix(config: &Config, acls: Option<Acls<'_>>, ids: &[Id]) {
    let Ok(fixed) = config.fix_up(acls, ids) else { return };
    let list = fixed.into_vec();
    assert!(!list.is_empty());
    let mut bytes = Vec::new();
    Writer::new(&mut bytes).vector(&list);
    let acls = Acls::decode(&mut Reader::new(&bytes)).expect("just written");
    let again = config.fix_up(acls, ids).expect("a list that is kept is valid");
    if !again.clone().into_vec().is_empty() && !has_duplicates(&list) {
        assert_eq!(again.into_vec(), list);
    }
    let mut encoded = Vec::new();
    acls.expect("a list is not null").encode(&mut encoded);
    assert_eq!(encoded, bytes);
}

/// Expansion may make duplicates, which the next check removes.
fn has_duplicates(list: &[Acl]) -> bool {
    let mut sorted = list.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).any(|pair| pair[0] == pair[1])
}
