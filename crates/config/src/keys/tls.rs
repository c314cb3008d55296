//! Rows of the TLS keys, each for the client port (`ssl.`) and between servers (`ssl.quorum.`).

use super::Fallback::{Is, Unset};
use super::Kind::{LenientBool, Path, Secret, Text};
use super::Unit::Milliseconds;
use super::{Key, NO_TLS, Spelling, any_int, ignored};

/// Two rows for each line, and the rows that exist for the client port only.
macro_rules! tls {
    ($(both $suffix:literal $kind:expr, $fallback:expr, $help:literal;)*
     $(client $only:literal $only_kind:expr, $only_fallback:expr, $only_help:literal;)*) => {
        &[
            $(row(concat!("ssl.", $suffix), $kind, $fallback, $help),)*
            $(row(concat!("ssl.quorum.", $suffix), $kind, $fallback, $help),)*
            $(row(concat!("ssl.", $only), $only_kind, $only_fallback, $only_help),)*
        ]
    };
}

pub(super) const ROWS: &[Key] = tls! {
    both "keyStore.location" Path, Unset, "File with the certificate and its key";
    both "keyStore.password" Secret, Unset, "Password of the key store";
    both "keyStore.passwordPath" Path, Unset, "File with the password of the key store";
    both "keyStore.type" Text, Unset, "Format of the key store, else by its extension";
    both "trustStore.location" Path, Unset, "File with the trusted certificates";
    both "trustStore.password" Secret, Unset, "Password of the trust store";
    both "trustStore.passwordPath" Path, Unset, "File with the password of the trust store";
    both "trustStore.type" Text, Unset, "Format of the trust store, else by its extension";
    both "protocol" Text, Is("TLSv1.3"), "Version of TLS";
    both "enabledProtocols" Text, Unset, "Versions of TLS that are allowed";
    both "ciphersuites" Text, Unset, "Cipher suites that are allowed";
    both "hostnameVerification" LenientBool, Is("true"), "Checks the name of the server";
    both "clientHostnameVerification" LenientBool, Unset, "Checks the name of the client";
    both "allowReverseDnsLookup" LenientBool, Is("false"), "Finds names of addresses by DNS";
    both "crl" LenientBool, Unset, "Checks revocation lists";
    both "ocsp" LenientBool, Unset, "Asks for revocation online";
    both "clientAuth" Text, Is("need"), "Whether a client needs a certificate";
    both "handshakeDetectionTimeoutMillis" any_int(Milliseconds), Is("5000"),
        "Time to tell TLS from plain text";
    both "context.supplier.class" Text, Unset, "Class that makes the TLS context";
    client "authProvider" Text, Is("x509"), "Scheme that reads client certificates";
    client "sslProvider" Text, Is("JDK"), "TLS library";
};

const fn row(
    name: &'static str,
    kind: super::Kind,
    fallback: super::Fallback,
    help: &'static str,
) -> Key {
    let disposition = ignored(NO_TLS);
    Key { name, spelling: Spelling::Property, kind, fallback, disposition, help }
}
