//! Whole configurations: what is accepted, with which warnings, and how errors read.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::keys::{Disposition, Fallback, Kind, Spelling};

mod dispositions;
mod ensemble;
mod sources;

/// A file that is complete, and the lines of a test after it.
fn complete(lines: &str) -> String {
    format!("dataDir=/d\nclientPort=2181\n{lines}")
}

fn outcome(result: Result<Loaded, Errors>) -> String {
    match result {
        Ok(loaded) => {
            let warnings = loaded.warnings.iter().map(|warning| format!("{warning}\n"));
            std::iter::once("accepted\n".to_owned()).chain(warnings).collect()
        }
        Err(errors) => format!("refused\n{errors}\n"),
    }
}

/// What becomes of lines that follow a complete file of two lines.
fn check(lines: &str, expected: Expect) {
    expected.assert_eq(&outcome(parse("zoo.cfg", complete(lines).as_bytes())));
}

fn config(lines: &str) -> Config {
    parse("zoo.cfg", complete(lines).as_bytes()).expect("the test's file is valid").config
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn without_any_source_the_defaults_hold() {
    let Config { storage, listen, sessions, limits, auth, words, containers, features, ensemble } =
        Config::default();
    assert_eq!(ensemble, None);
    assert_eq!(listen.port, 2181);
    assert_eq!((listen.address, listen.backlog, listen.tcp_keepalive), (None, None, false));
    assert_eq!(storage.data_dir, Path::new("./quorate-data"));
    assert_eq!(storage.data_log_dir, storage.data_dir);
    assert!(storage.force_sync && storage.digest && storage.snapshot_last_zxid);
    assert_eq!(storage.snapshot_after_txns, 100_000);
    assert_eq!(storage.snapshot_after_log_bytes, Some(4 << 30));
    assert_eq!(storage.log_preallocate_bytes, Some(64 << 20));
    assert_eq!((storage.log_roll_bytes, storage.purge_interval), (None, None));
    assert_eq!((storage.purge_keep_snapshots, storage.commit_log_txns), (3, 500));
    assert_eq!(sessions.tick, seconds(3));
    assert_eq!((sessions.timeout_min, sessions.timeout_max), (seconds(6), seconds(60)));
    assert_eq!((limits.connections_per_address, limits.connections), (Some(60), None));
    assert_eq!(limits.frame_size_max_bytes, 1_048_575);
    assert_eq!(limits.record_size_extra_bytes, 1_048_575);
    assert_eq!(limits.outstanding_requests_max, 1000);
    assert_eq!((limits.requests.requests_max, limits.connection_throttle.tokens), (None, None));
    assert_eq!(auth.digest_algorithm, DigestAlgorithm::Sha1);
    assert!(auth.digest && !auth.skip_acl);
    assert_eq!((auth.super_digest, auth.required_schemes), (None, None));
    assert_eq!(words, Words::Only(BTreeSet::from(["srvr".to_owned()])));
    assert_eq!(containers.never_used_after, None);
    assert!(!features.extended_types && !features.enforce_quota && !features.reconfig);
}

#[test]
fn relative_folders_are_warned_of() {
    check(
        "dataLogDir=logs",
        expect![[r#"
        accepted
        zoo.cfg line 3: dataLogDir=logs: is relative to the working directory; put ./ before it if that is meant
    "#]],
    );
    check(
        "dataLogDir=./logs",
        expect![[r#"
        accepted
    "#]],
    );
}

#[test]
fn own_booleans_are_strict_and_properties_are_lenient() {
    check(
        "reconfigEnabled=TRUE\nlocalSessionsEnabled=1\n",
        expect![[r#"
        refused
        zoo.cfg line 4: localSessionsEnabled=1: neither true nor false (allowed: true or false)
    "#]],
    );
    check(
        "enforceQuota=yes\ndigest.enabled=\nextendedTypesEnabled=True",
        expect![[r#"
        accepted
        zoo.cfg line 3: enforceQuota=yes: read as false, for only true is true
        zoo.cfg line 4: digest.enabled=: read as false, for only true is true
    "#]],
    );
    let lenient = config("enforceQuota=yes\ndigest.enabled=\nextendedTypesEnabled=True");
    assert!(!lenient.features.enforce_quota && !lenient.storage.digest);
    assert!(lenient.features.extended_types);
}

#[test]
fn yes_and_no_fall_back_to_the_default() {
    check(
        "forceSync=false\nskipACL=true",
        expect![[r#"
        accepted
        zoo.cfg line 3: forceSync=false: read as yes, for only no is no
        zoo.cfg line 4: skipACL=true: read as no, for only yes is yes
    "#]],
    );
    let doubtful = config("forceSync=false\nskipACL=true");
    assert!(doubtful.storage.force_sync && !doubtful.auth.skip_acl);
    let clear = config("forceSync=no\nskipACL=yes");
    assert!(!clear.storage.force_sync && clear.auth.skip_acl);
}

#[test]
fn session_timeouts_follow_the_tick_and_must_not_cross() {
    let derived = config("tickTime=500\nminSessionTimeout=-1\n").sessions;
    assert_eq!((derived.timeout_min, derived.timeout_max), (seconds(1), seconds(10)));
    let long = config("tickTime=2147483647\n").sessions;
    assert_eq!(long.timeout_max, Duration::from_millis(2_147_483_647));
    check(
        "maxSessionTimeout=100",
        expect![[r#"
        refused
        zoo.cfg line 3: maxSessionTimeout=100: below minSessionTimeout, which is 6000 milliseconds (allowed: 6000 or more)
    "#]],
    );
    check(
        "minSessionTimeout=60001",
        expect![[r#"
        refused
        zoo.cfg line 3: minSessionTimeout=60001: above maxSessionTimeout, which is 60000 milliseconds (allowed: 60000 or less)
    "#]],
    );
    check(
        "minSessionTimeout=7000\nmaxSessionTimeout=6999",
        expect![[r#"
        refused
        zoo.cfg line 4: maxSessionTimeout=6999: below minSessionTimeout, which is 7000 milliseconds (allowed: 7000 or more)
    "#]],
    );
}

#[test]
fn small_counts_are_raised_with_a_warning() {
    let lines = "snapCount=1\nautopurge.snapRetainCount=-2\ncommitLogCount=499\n";
    check(
        lines,
        expect![[r#"
        accepted
        zoo.cfg line 3: snapCount=1: too small, 2 holds
        zoo.cfg line 4: autopurge.snapRetainCount=-2: too small, 3 holds
        zoo.cfg line 5: commitLogCount=499: too small, 500 holds
    "#]],
    );
    let storage = config(lines).storage;
    assert_eq!((storage.snapshot_after_txns, storage.purge_keep_snapshots), (2, 3));
    assert_eq!(storage.commit_log_txns, 500);
}

#[test]
fn derived_sizes_and_times_follow_their_source() {
    let limits = config("jute.maxbuffer=0x3fffff").limits;
    assert_eq!(limits.frame_size_max_bytes, 4_194_303);
    assert_eq!(limits.record_size_extra_bytes, 4_194_303);
    let limits = config("jute.maxbuffer=500\njute.maxbuffer.extrasize=10").limits;
    assert_eq!((limits.frame_size_max_bytes, limits.record_size_extra_bytes), (500, 1024));
    assert_eq!(config("preAllocSize=-1").storage.log_preallocate_bytes, None);
    assert_eq!(config("txnLogSizeLimitInKb=3").storage.log_roll_bytes, Some(3072));
    let freeze = |lines| config(lines).limits.connection_throttle.freeze_time;
    assert_eq!(freeze("connection_throttle_freeze_time=0"), Some(Duration::ZERO));
    assert_eq!(freeze("connection_throttle_freeze_time=-1"), None);
}

#[test]
fn the_purge_interval_takes_units() {
    let interval = |text: &str| config(&format!("autopurge.purgeInterval={text}")).storage;
    for (text, expected) in [
        ("0", None),
        ("-1", None),
        ("24", Some(seconds(86_400))),
        ("90ms", Some(Duration::from_millis(90))),
        ("5s", Some(seconds(5))),
        ("2m", Some(seconds(120))),
        ("1h", Some(seconds(3600))),
        ("1 d", Some(seconds(86_400))),
    ] {
        assert_eq!(interval(text).purge_interval, expected, "{text}");
    }
    check(
        "autopurge.purgeInterval=5w",
        expect![[r#"
        refused
        zoo.cfg line 3: autopurge.purgeInterval=5w: not a length of time (allowed: a whole number of hours, or one with ms, s, m, h or d)
    "#]],
    );
    check(
        "autopurge.purgeInterval=9223372036854775807d",
        expect![[r#"
        refused
        zoo.cfg line 3: autopurge.purgeInterval=9223372036854775807d: not a length of time (allowed: a whole number of hours, or one with ms, s, m, h or d)
    "#]],
    );
}

#[test]
fn words_are_a_list_or_all() {
    let words = |text: &str| config(&format!("4lw.commands.whitelist={text}")).words;
    assert_eq!(words("*"), Words::All);
    assert_eq!(words("stat, *"), Words::All);
    let some = words("stat, ruok,,");
    assert!(some.allow("stat") && some.allow("ruok") && some.allow("srvr") && !some.allow("isro"));
    assert!(config("readonlymode.enabled=true").words.allow("isro"));
}

#[test]
fn schemes_that_cannot_be_enforced_are_refused() {
    check(
        "enforce.auth.enabled=true",
        expect![[r#"
        refused
        zoo.cfg line 3: enforce.auth.enabled=true: enforce.auth.schemes is not set (allowed: enforce.auth.schemes with digest, ip, or both)
    "#]],
    );
    check(
        "enforce.auth.enabled=true\nenforce.auth.schemes= ,",
        expect![[r#"
        refused
        zoo.cfg line 4: enforce.auth.schemes=,: no scheme is named (allowed: enforce.auth.schemes with digest, ip, or both)
    "#]],
    );
    check(
        "enforce.auth.enabled=true\nenforce.auth.schemes=digest,sasl,x509,foo",
        expect![[r#"
        refused
        zoo.cfg line 4: enforce.auth.schemes=digest,sasl,x509,foo: there is no scheme "foo" (allowed: enforce.auth.schemes with digest, ip, or both)
        zoo.cfg line 4: enforce.auth.schemes=digest,sasl,x509,foo: refused: the scheme sasl is not built yet (allowed: enforce.auth.schemes with digest, ip, or both)
        zoo.cfg line 4: enforce.auth.schemes=digest,sasl,x509,foo: refused: the scheme x509 is not built yet (allowed: enforce.auth.schemes with digest, ip, or both)
    "#]],
    );
    check(
        "enforce.auth.enabled=true\nenforce.auth.schemes=digest\n\
         DigestAuthenticationProvider.enabled=false",
        expect![[r#"
            refused
            zoo.cfg line 4: enforce.auth.schemes=digest: DigestAuthenticationProvider.enabled is false (allowed: enforce.auth.schemes with digest, ip, or both)
        "#]],
    );
    check(
        "enforce.auth.schemes=sasl",
        expect![[r#"
        accepted
    "#]],
    );
    let auth = config("enforce.auth.enabled=true\nenforce.auth.schemes=digest, ip").auth;
    let schemes = BTreeSet::from(["digest".to_owned(), "ip".to_owned()]);
    assert_eq!(auth.required_schemes, Some(schemes));
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Err(errors) = parse("f", &bytes) {
            prop_assert!(!errors.0.is_empty());
        }
    }

    #[test]
    fn no_value_makes_it_panic(index in any::<prop::sample::Index>(), value in "[-+0-9a-fx.:;|\\[\\]*, é#]{0,12}") {
        let rows: Vec<_> = keys::all().collect();
        let name = rows[index.index(rows.len())].name.replace('*', "1");
        let result = parse("f", complete(&properties::write_entry(&name, &value)).as_bytes());
        if let Err(errors) = result {
            prop_assert!(errors.0.iter().all(|error| error.to_string().contains("(allowed: ")));
        }
    }

    #[test]
    fn no_flags_make_it_panic(text in "(-D|zookeeper\\.|snapCount|=|[ '\"a-z0-9]){0,30}") {
        let _ = from_jvm_flags(&text).config();
    }
}
