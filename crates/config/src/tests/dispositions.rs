//! Every row of the table does what its disposition says, and the table is sound.

use super::*;
use crate::keys::Key;

/// A valid value that is neither the default nor what is accepted in silence.
fn sample(key: &Key) -> String {
    let text = match key.kind {
        Kind::Int { max: 65_535, .. } => "4321",
        Kind::Int { min: 3, max: 3, .. } => "3",
        Kind::Int { .. } => "12345",
        Kind::Ratio | Kind::Decimal => "0.5",
        Kind::StrictBool | Kind::LenientBool => match key.fallback {
            Fallback::Is("true") | Fallback::Derived(_) => "false",
            Fallback::Is(_) | Fallback::Unset | Fallback::Required => "true",
        },
        Kind::YesNo if key.fallback == Fallback::Is("yes") => "no",
        Kind::YesNo => "yes",
        Kind::Interval => "7h",
        Kind::Path => "/sample/path",
        Kind::Address => "sample.example",
        Kind::Csv => "digest",
        Kind::Choice(words) => words.last().expect("a choice has words"),
        Kind::Text | Kind::Secret => "sample",
        Kind::Member => "d:1:2;4321",
    };
    text.to_owned()
}

fn sample_name(key: &Key) -> String {
    key.name.replace('*', "4")
}

/// Whether a key only matters in an ensemble. `peerType` repeats what a line says.
fn is_of_ensembles(key: &Key) -> bool {
    let groups = keys::GROUPS.iter().filter(|group| group.title.starts_with("Ensemble"));
    groups.flat_map(|group| group.rows).any(|row| row == key)
}

/// The base on which samples are tried: with what some keys need in order to matter.
fn base(key: &Key, line: &str) -> Vec<u8> {
    let needs = match key.name {
        "quorate.cluster" | "quorate.join" | "quorate.leaseDriftPercent" => RAFT,
        _ if is_of_ensembles(key) => SERVERS,
        "enforce.auth.enabled" => "enforce.auth.schemes=ip\n",
        "enforce.auth.schemes" => "enforce.auth.enabled=true\nenforce.auth.schemes=ip\n",
        _ => "",
    };
    format!("dataDir=/d\nclientPort=2181\n{needs}{line}\n").into_bytes()
}

/// An ensemble in which the fifth server observes.
const SERVERS: &str = "initLimit=10\nsyncLimit=5\nserver.1=a:1:2\nserver.2=b:1:2\n\
    server.3=c:1:2\nserver.5=e:1:2:observer\n";
/// The same over Raft.
const RAFT: &str = "engine=raft\ninitLimit=10\nsyncLimit=5\nserver.1=a:1:2\nserver.2=b:1:2\n\
    server.3=c:1:2\nserver.5=e:1:2:observer\n";
/// The keys that are tried elsewhere, for they need others or other files.
const ELSEWHERE: [&str; 3] = ["group.*", "weight.*", "dynamicConfigFile"];

fn load(text: &[u8]) -> Result<Loaded, Errors> {
    let observer = text.windows(9).any(|window| window == b"peerType=");
    Sources::new().file("zoo.cfg", text).my_id(if observer { 5 } else { 1 }).config()
}

/// What the sample of a key adds to the warnings of its base, and the configuration.
fn try_sample(key: &Key, name: &str) -> Result<(Config, Vec<Warning>), Errors> {
    let line = properties::write_entry(name, &sample(key));
    let loaded = load(&base(key, &line))?;
    let repeats = |warning: &Warning| warning.text.contains("set before");
    let is_even = |warning: &Warning| warning.text.contains("survive no more failures");
    let warnings = loaded.warnings.into_iter().filter(|w| !repeats(w) && !is_even(w)).collect();
    Ok((loaded.config, warnings))
}

fn without_sample(key: &Key) -> Config {
    let line = if key.name == "peerType" { "peerType=observer" } else { "" };
    load(&base(key, line)).expect("the base is valid").config
}

#[test]
fn honoured_keys_change_the_configuration_without_a_warning() {
    let rows = || {
        keys::all().filter(|key| {
            key.disposition == Disposition::Honoured && !ELSEWHERE.contains(&key.name)
        })
    };
    assert!(rows().count() > 60, "the table lost its honoured rows");
    for key in rows() {
        let (config, warnings) = try_sample(key, &sample_name(key)).expect(key.name);
        assert_eq!(warnings, [], "{}", key.name);
        assert_ne!(config, without_sample(key), "{} changes nothing", key.name);
    }
}

#[test]
fn inert_keys_change_nothing_and_say_nothing() {
    for key in keys::all().filter(|key| matches!(key.disposition, Disposition::Inert(_))) {
        let (config, warnings) = try_sample(key, key.name).expect(key.name);
        assert_eq!((config, warnings), (without_sample(key), Vec::new()), "{}", key.name);
    }
}

#[test]
fn ignored_keys_change_nothing_and_give_one_warning() {
    for key in keys::all() {
        let Disposition::Ignored { reason, unless } = key.disposition else { continue };
        let name = sample_name(key);
        let value = match (key.kind, unless) {
            // Its default is what is not built yet.
            (Kind::LenientBool, Some("false")) => "true".to_owned(),
            _ => sample(key),
        };
        let line = properties::write_entry(&name, &value);
        let loaded = load(&base(key, &line)).expect(key.name);
        assert_eq!(loaded.warnings.len(), 1, "{name}: {:?}", loaded.warnings);
        assert_eq!(loaded.warnings[0].text, format!("{name}: without effect: {reason}"));
        let lines = base(key, "").split(|byte| *byte == b'\n').count() - 1;
        assert_eq!(loaded.warnings[0].at.line, u32::try_from(lines).ok(), "{name}");
        assert_eq!(loaded.config, without_sample(key), "{name}");
    }
}

#[test]
fn refused_keys_are_errors_that_say_why() {
    for key in keys::all().filter(|key| key.kind != Kind::Member) {
        let Disposition::Refused { reason, .. } = key.disposition else { continue };
        let name = sample_name(key);
        let errors = try_sample(key, &name).expect_err(key.name);
        assert_eq!(errors.0.len(), 1, "{name}: {errors}");
        let text = errors.to_string();
        assert!(text.contains(&format!(": {name}=")), "{text}");
        assert!(text.contains(reason) && text.contains("(allowed: "), "{text}");
    }
}

#[test]
fn values_that_ask_for_what_happens_anyway_are_silent() {
    let mut seen = 0;
    for key in keys::all() {
        let (Disposition::Ignored { unless: Some(value), .. }
        | Disposition::Refused { unless: Some(value), .. }) = key.disposition
        else {
            continue;
        };
        seen += 1;
        let line = properties::write_entry(key.name, value);
        let loaded = load(&base(key, &line)).expect(key.name);
        assert_eq!((loaded.warnings, loaded.config), (Vec::new(), without_sample(key)));
    }
    assert!(seen > 35, "only {seen} rows have such a value");
}

#[test]
fn properties_are_taken_with_and_without_prefix_and_as_flags() {
    for key in keys::all().filter(|key| !key.is_family()) {
        let prefixed = format!("zookeeper.{}", key.name);
        let in_file = |name: &str| keys::find_in_file(name).map(|(row, _)| row.name);
        let in_flags = |name: &str| keys::find_in_flags(name).map(|(row, _)| row.name);
        let here = Some(key.name);
        assert_eq!(in_file(key.name), here);
        match key.spelling {
            Spelling::Own => assert_ne!(in_file(&prefixed), here),
            Spelling::Property | Spelling::Bare => {
                assert_eq!((in_file(&prefixed), in_flags(&prefixed)), (here, here));
            }
        }
        assert_eq!(in_flags(key.name), here.filter(|_| key.spelling == Spelling::Bare));
    }
}

#[test]
fn the_table_is_sound() {
    let mut names = BTreeSet::new();
    for key in keys::all() {
        assert!(names.insert(key.name), "{} has two rows", key.name);
        assert!(!key.help.ends_with('.') && !key.help.is_empty(), "{}", key.name);
        if let Fallback::Is(text) = key.fallback {
            assert!(crate::value::parse(key, text).is_ok(), "default of {}", key.name);
        }
    }
}

#[test]
fn help_and_compat_rows_come_from_the_table() {
    let help = keys::describe();
    let rows = keys::compat_rows();
    assert_eq!(rows.len(), keys::all().count());
    for (key, row) in keys::all().zip(&rows) {
        let begins = |line: &str| {
            let rest = line.strip_prefix("  ").and_then(|line| line.strip_prefix(key.name));
            rest.is_some_and(|rest| rest.starts_with([':', ' ']))
        };
        assert!(help.lines().any(begins), "{}", key.name);
        assert_eq!(row.matches(" | ").count(), 5, "{row}");
    }
    expect![[r#"
        Storage
          dataDir: a path; required
              Folder of the snapshots, of myid and of the epoch files. Honoured.
          dataLogDir: a path; default: dataDir
              Folder of the transaction logs. Honoured.
          autopurge.snapRetainCount: -2147483648 to 2147483647; default 3
              Snapshots that purging keeps; less than 3 becomes 3. Honoured.
          autopurge.purgeInterval: a whole number of hours, or one with ms, s, m, h or d; default 0
              Time between purges; 0 is off. Honoured."#]]
    .assert_eq(&help.lines().take(9).collect::<Vec<_>>().join("\n"));
    let some = |name: &str| rows.iter().find(|row| row.contains(&format!("`{name}`"))).cloned();
    let shown = ["tickTime", "jute.maxbuffer", "forceSync", "server.*", "client.portUnification"];
    let shown: Vec<String> = shown.iter().filter_map(|name| some(name)).collect();
    expect![[r#"
        | `tickTime` | - | 1 to 2147483647 milliseconds | default 3000 | Honoured | Base unit of time |
        | `jute.maxbuffer` | `jute.maxbuffer` | 1 to 2147483647 bytes | default 1048575 | Honoured | Largest request; must be the same on servers and clients |
        | `forceSync` | `zookeeper.forceSync` | yes or no | default yes | Honoured | Whether a write waits for the disk; no risks acknowledged data |
        | `server.*` | - | host:port:port[:role][;[host:]port] | no default | Honoured | A server of the ensemble; a single one runs alone |
        | `client.portUnification` | `zookeeper.client.portUnification` | true or false | default false | Refused unless false: TLS is not built yet: the port would serve plain text only | Plain text and TLS on one port |"#]].assert_eq(&shown.join("\n"));
}
