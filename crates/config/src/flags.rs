//! JVM flags, as operators keep them in `SERVER_JVMFLAGS`: `-Dzookeeper.snapCount=5 -Xmx1g`.
//!
//! A flag that is a known property has the same meaning as in the file, which overrides it. What
//! only a JVM understands is accepted with one warning for all of it.

use std::sync::Arc;

use crate::error::{At, Error, Warning};
use crate::keys;
use crate::settings::Entry;
use crate::sources::Sources;

/// Starts the sources of a configuration with JVM flags, in one text separated by blanks; quotes
/// hold a word together.
#[must_use]
pub fn from_jvm_flags(text: &str) -> Sources {
    Sources::new().flags(text)
}

/// What a text of flags says.
pub(crate) struct Flags {
    pub(crate) entries: Vec<Entry>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) errors: Vec<Error>,
}

pub(crate) fn read(text: &str) -> Flags {
    let at = At { source: Arc::from("JVM flags"), line: None };
    let mut flags = Flags { entries: Vec::new(), warnings: Vec::new(), errors: Vec::new() };
    let words = match split_words(text) {
        Ok(words) => words,
        Err(wrong) => {
            let allowed = "pairs of quotes".to_owned();
            flags.errors.push(Error::Malformed { at, wrong, allowed });
            return flags;
        }
    };
    let mut of_the_jvm = Vec::new();
    for word in words {
        let property = word.strip_prefix("-D").map(|p| p.split_once('=').unwrap_or((p, "")));
        match property {
            Some((key, value))
                if key.starts_with(keys::PREFIX) || keys::find_in_flags(key).is_some() =>
            {
                let (key, value) = (key.to_owned(), value.to_owned());
                flags.entries.push(Entry { key, value, at: at.clone() });
            }
            // Only the name: what follows may be a secret of somebody else.
            Some((key, _)) => of_the_jvm.push(format!("-D{key}")),
            None => of_the_jvm.extend(word.split('=').next().map(str::to_owned)),
        }
    }
    if !of_the_jvm.is_empty() {
        let text = format!("without effect, for there is no JVM: {}", of_the_jvm.join(" "));
        flags.warnings.push(Warning { at, text });
    }
    flags
}

fn split_words(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_ascii_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    match quote {
        Some(open) => Err(format!("a quote {open} is not closed")),
        None => Ok(words),
    }
}
