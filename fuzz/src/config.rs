//! Configuration: any text is a configuration or a list of errors that can be shown.

use ::config::{Errors, Loaded, from_jvm_flags, parse, properties};

/// A `zoo.cfg`.
pub(crate) fn zoo_cfg(data: &[u8]) {
    show(&parse("zoo.cfg", data));
    let read = properties::read("zoo.cfg", data);
    for entry in &read.entries {
        reads_back(&entry.key, &entry.value);
    }
    let text = String::from_utf8_lossy(data);
    let (key, value) = text.split_once('=').unwrap_or((&text, ""));
    reads_back(key, value);
}

/// An entry that is written reads back, but for the blanks around both parts.
fn reads_back(key: &str, value: &str) {
    let text = properties::write_entry(key, value);
    let again = properties::read("again", text.as_bytes());
    assert!(again.errors.is_empty());
    assert_eq!(again.entries.len(), 1);
    let trim = |text: &str| text.trim_matches(|c| c <= ' ').to_owned();
    let entry = &again.entries[0];
    assert_eq!((&entry.key, &entry.value), (&trim(key), &trim(value)));
}

/// Flags of a JVM, alone and over a complete file.
pub(crate) fn jvm_flags(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    show(&from_jvm_flags(&text).config());
    show(&from_jvm_flags(&text).file("zoo.cfg", b"dataDir=/d\nclientPort=1\n").config());
}

fn show(loaded: &Result<Loaded, Errors>) {
    match loaded {
        Ok(loaded) => {
            let sessions = &loaded.config.sessions;
            assert!(sessions.timeout_min <= sessions.timeout_max);
            assert!(loaded.warnings.iter().all(|warning| !warning.to_string().is_empty()));
        }
        Err(errors) => assert!(!errors.to_string().is_empty() && !errors.0.is_empty()),
    }
}
