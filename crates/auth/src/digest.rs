//! The `digest` scheme: a user is known by a hash of name and password.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::Digest as _;

/// How `user:password` is hashed. All servers of an ensemble must agree on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DigestAlg {
    /// MD5.
    Md5,
    /// SHA-1: the default.
    #[default]
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
    /// SHA-512/224.
    Sha512_224,
    /// SHA-512/256.
    Sha512_256,
    /// SHA3-224.
    Sha3_224,
    /// SHA3-256.
    Sha3_256,
    /// SHA3-384.
    Sha3_384,
    /// SHA3-512.
    Sha3_512,
}

impl DigestAlg {
    /// The algorithm that `zookeeper.DigestAuthenticationProvider.digestAlg` names: Java's names
    /// and their short forms, in any case. MD2 is not offered.
    #[must_use]
    pub fn parse(name: &str) -> Option<DigestAlg> {
        Some(match name.to_ascii_uppercase().as_str() {
            "MD5" => DigestAlg::Md5,
            "SHA" | "SHA1" | "SHA-1" => DigestAlg::Sha1,
            "SHA224" | "SHA-224" => DigestAlg::Sha224,
            "SHA256" | "SHA-256" => DigestAlg::Sha256,
            "SHA384" | "SHA-384" => DigestAlg::Sha384,
            "SHA512" | "SHA-512" => DigestAlg::Sha512,
            "SHA512/224" | "SHA-512/224" => DigestAlg::Sha512_224,
            "SHA512/256" | "SHA-512/256" => DigestAlg::Sha512_256,
            "SHA3-224" => DigestAlg::Sha3_224,
            "SHA3-256" => DigestAlg::Sha3_256,
            "SHA3-384" => DigestAlg::Sha3_384,
            "SHA3-512" => DigestAlg::Sha3_512,
            _ => return None,
        })
    }

    fn hash_base64(self, text: &str) -> String {
        match self {
            DigestAlg::Md5 => STANDARD.encode(md5::Md5::digest(text)),
            DigestAlg::Sha1 => STANDARD.encode(sha1::Sha1::digest(text)),
            DigestAlg::Sha224 => STANDARD.encode(sha2::Sha224::digest(text)),
            DigestAlg::Sha256 => STANDARD.encode(sha2::Sha256::digest(text)),
            DigestAlg::Sha384 => STANDARD.encode(sha2::Sha384::digest(text)),
            DigestAlg::Sha512 => STANDARD.encode(sha2::Sha512::digest(text)),
            DigestAlg::Sha512_224 => STANDARD.encode(sha2::Sha512_224::digest(text)),
            DigestAlg::Sha512_256 => STANDARD.encode(sha2::Sha512_256::digest(text)),
            DigestAlg::Sha3_224 => STANDARD.encode(sha3::Sha3_224::digest(text)),
            DigestAlg::Sha3_256 => STANDARD.encode(sha3::Sha3_256::digest(text)),
            DigestAlg::Sha3_384 => STANDARD.encode(sha3::Sha3_384::digest(text)),
            DigestAlg::Sha3_512 => STANDARD.encode(sha3::Sha3_512::digest(text)),
        }
    }
}

/// The id of `user:password`: the user, a colon, and the hash of the whole text in base64.
///
/// Text without a colon is a user without a password; it is hashed all the same.
#[must_use]
pub fn digest_id(alg: DigestAlg, user_password: &str) -> String {
    format!("{}:{}", user(user_password), alg.hash_base64(user_password))
}

/// The text before the first colon.
pub(crate) fn user(id: &str) -> &str {
    id.split_once(':').map_or(id, |(user, _)| user)
}

/// Whether an access list may hold the id: two parts around a colon, where the reference does
/// not count empty parts at the end.
pub(crate) fn is_valid(id: &str) -> bool {
    id.trim_end_matches(':').matches(':').count() == 1
}

#[cfg(test)]
mod tests {
    use super::{DigestAlg, digest_id, is_valid, user};

    #[test]
    fn digests_are_the_ones_that_the_reference_makes() {
        // The first is kazoo's harness, the second ZooKeeper's manual.
        assert_eq!(digest_id(DigestAlg::Sha1, "super:test"), "super:D/InIHSb7yEEbrWz8b9l71RjZJU=");
        assert_eq!(digest_id(DigestAlg::Sha1, "user1:12345"), "user1:+owfoSBn/am19roBPzR1/MfCblE=");
    }

    #[test]
    fn every_algorithm_has_its_length_and_its_names() {
        for (names, base64_length) in [
            (&["MD5", "md5"][..], 24),
            (&["SHA", "SHA1", "SHA-1"], 28),
            (&["SHA-224", "SHA512/224", "SHA3-224"], 40),
            (&["SHA256", "sha-256", "SHA-512/256", "SHA3-256"], 44),
            (&["SHA-384", "sha3-384"], 64),
            (&["SHA-512", "SHA3-512"], 88),
        ] {
            for name in names {
                let id = digest_id(DigestAlg::parse(name).unwrap(), "a:b");
                assert_eq!(id.len() - "a:".len(), base64_length, "{name}");
            }
        }
        assert_eq!(DigestAlg::parse("SHA3"), None);
        assert_eq!(DigestAlg::parse(""), None);
        assert_eq!(DigestAlg::parse("MD2"), None);
    }

    #[test]
    fn algorithms_give_what_java_gives() {
        // Printed by ZooKeeper 3.9.5's DigestAuthenticationProvider, a JVM per algorithm.
        for (alg, id) in [
            (DigestAlg::Md5, "ann:XDyCyu7OyeA0xlhm+9mBPw=="),
            (DigestAlg::Sha1, "ann:KDL4VnPXPWJymuO5rMW88E0AM00="),
            (DigestAlg::Sha224, "ann:y+bn+3J7OvE11tQQnCim6332Mv5cLOqtziY+HA=="),
            (DigestAlg::Sha256, "ann:G6M6GqOrWndAcrWZUuEV3HPYy/8OW2NoQ5N9bR8Il4s="),
            (DigestAlg::Sha512_256, "ann:GGuLLznjaT8OwclYI0Xq0QbvTY2ug3oFA3EF7vR0A7k="),
            (DigestAlg::Sha3_256, "ann:7CuEvAgsmdmKQJgO4Lz5L8/6ELq3Sxm3ZCFWDswLuAA="),
        ] {
            assert_eq!(digest_id(alg, "ann:sesam"), id, "{alg:?}");
        }
    }

    #[test]
    fn an_id_has_two_parts() {
        for id in ["u:h", ":h", "u:h:", "u:h::"] {
            assert!(is_valid(id), "{id}");
        }
        for id in ["", "u", "u:", ":", "::", "a:b:c", "::h"] {
            assert!(!is_valid(id), "{id}");
        }
        assert_eq!(user("u:p:q"), "u");
        assert_eq!(user("nobody"), "nobody");
    }
}
