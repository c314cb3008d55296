//! Sorts the entries of all sources into the rows of the table, and answers typed questions.
//!
//! Later sources override earlier ones; within one source the last entry of a key holds, with a
//! warning. Only the entry that holds is read. Its disposition is carried out here, once for all
//! keys: a warning for an ignored key, an error for a refused one. Errors are collected, and the
//! default stands in for a bad value, so that one mistake does not bring forth others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::error::{At, Error, Warning};
use crate::keys::{self, Disposition, Fallback, Key, Kind, Spelling};
use crate::value::{self, Parsed, Value};
use wire::quorum::Membership;

/// One `key=value` of any source.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) at: At,
}

/// Entries of one source, which override those of the layers before it.
#[derive(Clone)]
pub(crate) struct Layer {
    pub(crate) entries: Vec<Entry>,
    pub(crate) names: Names,
}

/// How the names of a layer are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    File,
    Flags,
}

/// An entry that holds, with its row and its value.
#[derive(Clone)]
pub(crate) struct Setting {
    pub(crate) entry: Entry,
    pub(crate) key: &'static Key,
    pub(crate) value: Value,
}

/// All that the sources say, by canonical name.
#[derive(Default)]
pub(crate) struct Settings {
    map: BTreeMap<String, Setting>,
    /// Names whose value was an error: they are set, although there is no value.
    bad: BTreeSet<String>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) errors: Vec<Error>,
}

impl Settings {
    pub(crate) fn resolve(layers: &[Layer]) -> Self {
        let mut settings = Self::default();
        let mut holding: BTreeMap<String, (&'static Key, &Entry)> = BTreeMap::new();
        for layer in layers {
            let of_layer = settings.sort_layer(layer);
            holding.extend(of_layer);
        }
        for (canonical, (key, entry)) in holding {
            match settings.admit(key, entry) {
                Some(setting) => _ = settings.map.insert(canonical, setting),
                None => _ = settings.bad.insert(canonical),
            }
        }
        settings
    }

    fn sort_layer<'a>(&mut self, layer: &'a Layer) -> BTreeMap<String, (&'static Key, &'a Entry)> {
        let mut holding: BTreeMap<String, (&'static Key, &Entry)> = BTreeMap::new();
        for entry in &layer.entries {
            let found = match layer.names {
                Names::File => keys::find_in_file(&entry.key),
                Names::Flags => keys::find_in_flags(&entry.key),
            };
            let Some((key, canonical)) = found else {
                self.warn_of_unknown(layer.names, entry);
                continue;
            };
            if let Some((_, earlier)) = holding.insert(canonical.to_owned(), (key, entry)) {
                if is_of_membership(key) {
                    let wrong = "it is there twice".to_owned();
                    self.reject(key, entry, wrong, "one line for each".to_owned());
                    continue;
                }
                let text = match earlier.at.line {
                    Some(line) => format!("{}: set before in line {line}", entry.key),
                    None => format!("{}: set twice", entry.key),
                };
                self.warn(&entry.at, format!("{text}; the last one holds"));
            }
        }
        holding
    }

    fn warn_of_unknown(&mut self, names: Names, entry: &Entry) {
        let name = value::shown(Kind::Text, &entry.key);
        let hint = match (keys::nearest(&entry.key), names) {
            (None, _) => String::new(),
            (Some(near), Names::Flags) if near.spelling == Spelling::Own => {
                format!("; {} is a key of the file, not a flag", near.name)
            }
            (Some(near), _) => format!("; did you mean {}?", near.name),
        };
        self.warn(&entry.at, format!("{name}: not a known key, and without effect{hint}"));
    }

    /// Reads the value and carries out the disposition.
    fn admit(&mut self, key: &'static Key, entry: &Entry) -> Option<Setting> {
        let parsed = match value::parse(key, &entry.value) {
            Ok(parsed) => parsed,
            Err(wrong) => {
                self.reject(key, entry, wrong.wrong, wrong.allowed);
                return None;
            }
        };
        let accepted = self.dispose(key, entry, &parsed);
        accepted.then(|| Setting { entry: entry.clone(), key, value: parsed.value })
    }

    /// Warns or refuses, as the row says; whether the value is accepted.
    fn dispose(&mut self, key: &Key, entry: &Entry, parsed: &Parsed) -> bool {
        let expected = |unless: Option<&str>| {
            let unless = unless.and_then(|text| value::parse(key, text).ok());
            unless.is_some_and(|unless| unless.value == parsed.value)
        };
        match key.disposition {
            Disposition::Honoured => {
                if let Some(note) = parsed.note {
                    let shown = value::shown(key.kind, &entry.value);
                    self.warn(&entry.at, format!("{}={shown}: {note}", entry.key));
                }
                true
            }
            Disposition::Inert(_) => true,
            Disposition::Ignored { reason, unless } => {
                if !expected(unless) {
                    self.warn(&entry.at, format!("{}: without effect: {reason}", entry.key));
                }
                true
            }
            Disposition::Refused { unless, .. } if expected(unless) => true,
            Disposition::Refused { reason, unless } => {
                let other = unless.map_or(String::new(), |value| format!("{value}, or "));
                self.refuse(key, entry, reason, format!("{other}to leave the key out"));
                false
            }
        }
    }

    pub(crate) fn warn(&mut self, at: &At, text: String) {
        self.warnings.push(Warning { at: at.clone(), text });
    }

    pub(crate) fn reject(&mut self, key: &Key, entry: &Entry, wrong: String, allowed: String) {
        self.errors.push(Error::BadValue {
            at: entry.at.clone(),
            key: entry.key.clone(),
            value: value::shown(key.kind, &entry.value),
            wrong,
            allowed,
        });
    }

    pub(crate) fn refuse(&mut self, key: &Key, entry: &Entry, reason: &str, allowed: String) {
        self.errors.push(Error::Refused {
            at: entry.at.clone(),
            key: entry.key.clone(),
            value: value::shown(key.kind, &entry.value),
            reason: reason.to_owned(),
            allowed,
        });
    }

    /// The setting of a key, if a source has it.
    pub(crate) fn setting(&self, name: &str) -> Option<&Setting> {
        self.map.get(name)
    }

    /// Whether a source has the key, with a value or with an error.
    pub(crate) fn mentions(&self, name: &str) -> bool {
        self.map.contains_key(name) || self.bad.contains(name)
    }

    /// The lines of servers, groups and weights, in the order of the sources.
    pub(crate) fn membership_lines(&self) -> Vec<Entry> {
        let is_of_membership = |setting: &&Setting| is_of_membership(setting.key);
        let lines = self.map.values().filter(is_of_membership);
        let mut lines: Vec<Entry> = lines.map(|setting| setting.entry.clone()).collect();
        lines.sort_by_key(|line| line.at.line);
        lines
    }

    /// What a source says, else the table's default, else `None`.
    fn value(&self, name: &str) -> Option<Value> {
        if let Some(setting) = self.map.get(name) {
            return Some(setting.value.clone());
        }
        let key = keys::named(name).expect("only names of the table are asked for");
        match key.fallback {
            Fallback::Is(text) => value::parse(key, text).ok().map(|parsed| parsed.value),
            Fallback::Derived(_) | Fallback::Unset | Fallback::Required => None,
        }
    }

    /// A whole number; `None` if nobody sets it and there is no fixed default.
    pub(crate) fn int_if_set(&self, name: &str) -> Option<i64> {
        match self.value(name)? {
            Value::Int(number) => Some(number),
            Value::Ratio(_) | Value::Bool(_) | Value::Interval(_) | Value::Text(_) => None,
        }
    }

    /// A whole number with a fixed default.
    pub(crate) fn int(&self, name: &str) -> i64 {
        self.int_if_set(name).expect("the row is a number with a default")
    }

    /// A number of things, at least 0.
    pub(crate) fn count(&self, name: &str) -> u32 {
        u32::try_from(self.int(name).max(0)).unwrap_or(u32::MAX)
    }

    /// A number of things, where 0 and less is "off".
    pub(crate) fn count_unless_off(&self, name: &str) -> Option<u32> {
        Some(self.count(name)).filter(|&count| count > 0)
    }

    pub(crate) fn millis(&self, name: &str) -> Duration {
        millis(self.int(name))
    }

    /// A time, where 0 and less is "off".
    pub(crate) fn millis_unless_off(&self, name: &str) -> Option<Duration> {
        Some(self.millis(name)).filter(|time| !time.is_zero())
    }

    /// A size given in KiB, in bytes, where 0 and less is "off".
    pub(crate) fn kib_unless_off(&self, name: &str) -> Option<u64> {
        u64::try_from(self.int(name)).ok().filter(|&kib| kib > 0).map(|kib| kib * 1024)
    }

    pub(crate) fn bool(&self, name: &str) -> bool {
        self.bool_if_set(name).expect("the row is a boolean with a default")
    }

    /// A boolean; `None` if nobody sets it and there is no fixed default.
    pub(crate) fn bool_if_set(&self, name: &str) -> Option<bool> {
        match self.value(name)? {
            Value::Bool(value) => Some(value),
            Value::Int(_) | Value::Ratio(_) | Value::Interval(_) | Value::Text(_) => None,
        }
    }

    pub(crate) fn ratio(&self, name: &str) -> f64 {
        match self.value(name) {
            Some(Value::Ratio(value)) => value,
            other => unreachable!("{name} is a ratio with a default, not {other:?}"),
        }
    }

    pub(crate) fn interval(&self, name: &str) -> Duration {
        match self.value(name) {
            Some(Value::Interval(value)) => value,
            other => unreachable!("{name} is an interval with a default, not {other:?}"),
        }
    }

    /// The text of a key; `None` if nobody sets it and there is no fixed default.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        match self.value(name)? {
            Value::Text(text) => Some(text),
            Value::Int(_) | Value::Ratio(_) | Value::Bool(_) | Value::Interval(_) => None,
        }
    }
}

/// Whether a key is a line of the ensemble's configuration: a server, a group or a weight.
fn is_of_membership(key: &Key) -> bool {
    key.is_family() && Membership::is_key(key.name)
}

/// Milliseconds as a time; less than 0 is 0.
pub(crate) fn millis(number: i64) -> Duration {
    Duration::from_millis(u64::try_from(number).unwrap_or(0))
}
