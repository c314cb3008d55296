//! Rows of the keys for optional features, access and authentication.

use super::Disposition::Honoured;
use super::Fallback::{Is, Unset};
use super::Kind::{Choice, Csv, LenientBool, Secret, StrictBool, Text, YesNo};
use super::Unit::{Count, Milliseconds};
use super::{
    Key, Kind, NO_ADMIN, NO_COMPONENT, NO_SASL, NO_TLS, ignored, ignored_unless, int, keys,
    refused_unless,
};

pub(super) const ROWS: &[Key] = keys! {
    Property "4lw.commands.whitelist" Csv, Is("srvr"), Honoured,
        "Four-letter words that are answered, or *; srvr always is, isro in read-only mode";
    Bare "readonlymode.enabled" LenientBool, Is("false"), Honoured,
        "Whether a member without a quorum serves reads; a standalone server only allows isro with it";
    Own "reconfigEnabled" StrictBool, Is("false"), Honoured,
        "Whether reconfig is a known request";
    Property "extendedTypesEnabled" LenientBool, Is("false"), Honoured,
        "Whether nodes with a time to live can be made";
    Property "emulate353TTLNodes" LenientBool, Is("false"), Honoured,
        "Whether TTL owners are read as release 3.5.3 wrote them";
    Bare "znode.container.checkIntervalMs" int(1, Milliseconds), Is("60000"), Honoured,
        "Time between two looks for empty containers";
    Bare "znode.container.maxPerMinute" int(1, Count), Is("10000"), Honoured,
        "Containers deleted in a minute";
    Bare "znode.container.maxNeverUsedIntervalMs" LONG_MILLISECONDS, Is("0"), Honoured,
        "A container that never had a child is deleted after this time; 0 is never";
    Property "enforceQuota" LenientBool, Is("false"), Honoured,
        "Whether hard quotas refuse writes";
    Property "skipACL" YesNo, Is("no"), Honoured, "Whether every access check passes";
    Property "enableEagerACLCheck" LenientBool, Is("false"),
        ignored_unless("false", "the leader checks access"),
        "Learners check access before they forward";
    Own "jvm.pause.monitor" StrictBool, Is("false"), ignored_unless("false", NO_COMPONENT),
        "Watches for pauses of the JVM";
    Own "jvm.pause.info-threshold.ms" LONG_MILLISECONDS, Is("1000"), ignored(NO_COMPONENT),
        "Pause that is logged";
    Own "jvm.pause.warn-threshold.ms" LONG_MILLISECONDS, Is("10000"), ignored(NO_COMPONENT),
        "Pause that is warned of";
    Own "jvm.pause.sleep.time.ms" LONG_MILLISECONDS, Is("500"), ignored(NO_COMPONENT),
        "Sleep of the monitor";
};

pub(super) const AUTHENTICATION: &[Key] = keys! {
    Property "DigestAuthenticationProvider.enabled" LenientBool, Is("true"), Honoured,
        "Whether the digest scheme exists";
    Property "DigestAuthenticationProvider.digestAlg" Choice(&["MD5", "SHA1", "SHA-1", "SHA-224",
        "SHA-256", "SHA-384", "SHA-512"]), Is("SHA1"), Honoured,
        "Hash of the digest scheme; must be the same on servers and clients";
    Property "DigestAuthenticationProvider.superDigest" Secret, Unset, Honoured,
        "The super user, as super:hash";
    Property "enforce.auth.enabled" LenientBool, Is("false"), Honoured,
        "Whether a connection must authenticate before it may do anything";
    Property "enforce.auth.schemes" Csv, Unset, Honoured,
        "Schemes of which a connection needs one: digest and ip";
    Property "superUser" Text, Unset, ignored(NO_SASL), "SASL name that becomes the super user";
    Property "superUser.*" Text, Unset, ignored(NO_SASL), "Further SASL names of the super user";
    Property "X509AuthenticationProvider.superUser" Text, Unset, ignored(NO_TLS),
        "Subject of the certificate that becomes the super user";
    Property "X509AuthenticationProvider.*" Text, Unset, ignored(NO_TLS),
        "How a certificate becomes a name";
    Property "authProvider.*" Text, Unset,
        ignored("only the digest and ip schemes are built: the scheme of this class is unknown"),
        "Class of a further scheme";
    Property "sessionRequireClientSASLAuth" LenientBool, Is("false"),
        refused_unless("false", "SASL is not built yet: clients would be served without it"),
        "Clients must authenticate with SASL";
    Property "allowSaslFailedClients" LenientBool, Is("false"), ignored_unless("false", NO_SASL),
        "Clients whose SASL failed stay connected";
    Property "sasl.serverconfig" Text, Is("Server"), ignored(NO_SASL), "Section of the JAAS file";
    Property "SASLAuthenticationProvider.superPassword" Secret, Unset, ignored(NO_SASL),
        "Password of the SASL user super";
    Bare "java.security.auth.login.config" Text, Unset, ignored(NO_SASL), "JAAS file";
    Property "letAnySaslUserDoX" Text, Unset, ignored(NO_SASL),
        "Id that every SASL user matches";
    Property "requireKerberosConfig" Text, Unset, ignored(NO_SASL), "Kerberos must be configured";
    Property "kinit" Text, Unset, ignored(NO_SASL), "The kinit program";
    Property "server.realm" Text, Unset, ignored(NO_SASL), "Kerberos realm";
    Property "security.auth_to_local" Text, Unset, ignored(NO_SASL), "Kerberos name rules";
    Property "kerberos.removeHostFromPrincipal" LenientBool, Is("false"),
        ignored_unless("false", NO_SASL), "Shortens Kerberos names";
    Property "kerberos.removeRealmFromPrincipal" LenientBool, Is("false"),
        ignored_unless("false", NO_SASL), "Shortens Kerberos names";
    Property "kerberos.canonicalizeHostNames" LenientBool, Is("false"),
        ignored_unless("false", NO_SASL), "Resolves the names of peers for Kerberos";
    Property "ensembleAuthName" Csv, Unset,
        ignored("the ensemble scheme is not built: the check is not made"),
        "Names of this ensemble that clients may ask for";
    Property "IPAuthenticationProvider.usexforwardedfor" LenientBool, Is("false"),
        ignored_unless("false", NO_ADMIN), "Trusts X-Forwarded-For of HTTP requests";
    Property "fips-mode" LenientBool, Is("true"), ignored(NO_COMPONENT),
        "Restricts TLS and SASL to what FIPS allows";
};

const LONG_MILLISECONDS: Kind = Kind::Int { min: 0, max: i64::MAX / 1000, unit: Milliseconds };
