//! The one table of all keys: name, kind, default, what Quorate does with it, and a line of help.
//!
//! A row is all that there is to say about a key. The parser looks keys up here, `describe` prints
//! the table for people, `compat_rows` prints it for COMPAT.md. Adding a key is adding a row, and,
//! if it is honoured, a field in `Config` with the line in `assemble` that fills it.
//! Invariant: names are unique, and a fixed default is a valid value of its own kind (tested).

mod connections;
mod features;
mod observation;
mod quorum;
mod storage;
mod tls;

/// One key of `zoo.cfg`, or a family of keys whose name ends in `.*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The spelling in `zoo.cfg`; for a family the common beginning and `.*`.
    pub name: &'static str,
    /// Which other spellings there are.
    pub spelling: Spelling,
    /// What a value looks like.
    pub kind: Kind,
    /// What holds if the key is absent.
    pub fallback: Fallback,
    /// What Quorate does with it.
    pub disposition: Disposition,
    /// One line for people, without a full stop.
    pub help: &'static str,
}

/// How a key may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// `zoo.cfg`'s own key: only its name, and no JVM flag.
    Own,
    /// The system property `zookeeper.<name>`: in the file also without the prefix.
    Property,
    /// A system property without prefix: the file takes it bare and with `zookeeper.` before it.
    Bare,
}

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number from `min` to `max`, both included. Properties may be in hex, as `0x1f`.
    Int {
        /// The smallest allowed number.
        min: i64,
        /// The largest allowed number.
        max: i64,
        /// What it counts.
        unit: Unit,
    },
    /// A decimal from 0 to 1.
    Ratio,
    /// A decimal.
    Decimal,
    /// `true` or `false` in any case; anything else is an error.
    StrictBool,
    /// `true` in any case; anything else is false, with a warning unless it is `false`.
    LenientBool,
    /// `yes` or `no`; anything else means the default, with a warning.
    YesNo,
    /// Hours without suffix, or a number with `ms`, `s`, `m`, `h` or `d`; 0 and less is off.
    Interval,
    /// A path.
    Path,
    /// A host name or an IP address.
    Address,
    /// Words separated by commas.
    Csv,
    /// One of these words, in any case.
    Choice(&'static [&'static str]),
    /// Any text.
    Text,
    /// Any text, never shown.
    Secret,
    /// `host:port:port[:role][;[host:]port]`, a server of an ensemble.
    Member,
}

/// What a whole number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// 1/1000 s.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// 1024 bytes.
    Kibibytes,
    /// Multiples of tickTime.
    Ticks,
    /// A TCP port.
    Port,
    /// Things without a unit.
    Count,
}

/// What holds if the key is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// This value, as it would be written.
    Is(&'static str),
    /// Computed from other keys; the text says how.
    Derived(&'static str),
    /// Nothing: the feature is off, or the platform decides.
    Unset,
    /// The file must have it.
    Required,
}

/// What Quorate does with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It has the effect that it has in ZooKeeper.
    Honoured,
    /// Accepted without a word, for there is nothing that it could change.
    Inert(&'static str),
    /// Accepted with one warning that carries the reason.
    Ignored {
        /// Why there is no effect.
        reason: &'static str,
        /// The value that asks for what happens anyway, and so needs no warning.
        unless: Option<&'static str>,
    },
    /// An error that carries the reason.
    Refused {
        /// Why it is not possible.
        reason: &'static str,
        /// The value that asks for what happens anyway, and so is no error.
        unless: Option<&'static str>,
    },
}

/// Rows that belong together.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// The heading.
    pub title: &'static str,
    /// The rows.
    pub rows: &'static [Key],
}

/// The whole table.
pub const GROUPS: &[Group] = &[
    Group { title: "Storage", rows: storage::ROWS },
    Group { title: "Client connections", rows: connections::ROWS },
    Group { title: "Throttling", rows: connections::THROTTLING },
    Group { title: "Features and access", rows: features::ROWS },
    Group { title: "Authentication", rows: features::AUTHENTICATION },
    Group { title: "TLS", rows: tls::ROWS },
    Group { title: "Ensembles", rows: quorum::ROWS },
    Group { title: "Ensemble tuning", rows: quorum::TUNING },
    Group { title: "Observation and administration", rows: observation::ROWS },
];

/// Every row of the table, in its order.
pub fn all() -> impl Iterator<Item = &'static Key> {
    GROUPS.iter().flat_map(|group| group.rows)
}

/// The row with exactly this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Key> {
    all().find(|key| key.name == name)
}

/// The row for a key of a file, and the key's canonical name: without prefix, with its family part.
#[must_use]
pub fn find_in_file(written: &str) -> Option<(&'static Key, &str)> {
    let bare = written.strip_prefix(PREFIX);
    matching(written, |_| true).or_else(|| matching(bare?, |spelling| spelling != Spelling::Own))
}

/// The row for a system property given as a JVM flag, and its canonical name.
#[must_use]
pub fn find_in_flags(written: &str) -> Option<(&'static Key, &str)> {
    match written.strip_prefix(PREFIX) {
        Some(bare) => matching(bare, |spelling| spelling != Spelling::Own),
        None => matching(written, |spelling| spelling == Spelling::Bare),
    }
}

/// What every property of ZooKeeper begins with, but for the few bare ones.
pub(crate) const PREFIX: &str = "zookeeper.";

/// The known key nearest to a misspelt one, if any is near.
#[must_use]
pub fn nearest(written: &str) -> Option<&'static Key> {
    let bare = written.strip_prefix(PREFIX).unwrap_or(written).to_ascii_lowercase();
    let reach = (bare.chars().count() / 3).min(NEAR_EDITS_MAX);
    all()
        .filter(|key| !key.name.ends_with(".*") && bare.len().abs_diff(key.name.len()) <= reach)
        .map(|key| (edit_distance(&bare, &key.name.to_ascii_lowercase()), key))
        .filter(|&(distance, _)| distance <= reach)
        .min_by_key(|&(distance, key)| (distance, key.name))
        .map(|(_, key)| key)
}

/// The table for people: every key with its kind, its default and what becomes of it.
#[must_use]
pub fn describe() -> String {
    let mut text = String::new();
    for group in GROUPS {
        text.push_str(&format!("{}\n", group.title));
        for key in group.rows {
            let (name, kind) = (key.name, key.kind.describe());
            let flag = key.flag().map_or(String::new(), |flag| format!(" (-D{flag})"));
            text.push_str(&format!("  {name}{flag}: {kind}; {}\n", key.fallback.describe()));
            text.push_str(&format!("      {}. {}.\n", key.help, key.disposition.describe()));
        }
    }
    text
}

/// The rows of COMPAT.md: key, JVM spelling, values, default, state, meaning.
#[must_use]
pub fn compat_rows() -> Vec<String> {
    all()
        .map(|key| {
            let property = key.flag().map_or("-".to_owned(), |flag| format!("`{flag}`"));
            let (kind, fallback) = (key.kind.describe(), key.fallback.describe());
            let state = key.disposition.describe();
            format!(
                "| `{}` | {property} | {kind} | {fallback} | {state} | {} |",
                key.name, key.help
            )
        })
        .collect()
}

impl Key {
    /// The name of the JVM's system property, if there is one.
    #[must_use]
    pub fn flag(&self) -> Option<String> {
        match self.spelling {
            Spelling::Own => None,
            Spelling::Property => Some(format!("{PREFIX}{}", self.name)),
            Spelling::Bare => Some(self.name.to_owned()),
        }
    }

    /// Whether this row stands for all keys with a common beginning.
    #[must_use]
    pub fn is_family(&self) -> bool {
        self.name.ends_with(".*")
    }
}

impl Kind {
    /// The allowed values, as it stands in errors and in help.
    #[must_use]
    pub fn describe(self) -> String {
        match self {
            Self::Int { min, max, unit: Unit::Count | Unit::Port } => format!("{min} to {max}"),
            Self::Int { min, max, unit } => format!("{min} to {max} {}", unit.describe()),
            Self::Ratio => "0.0 to 1.0".to_owned(),
            Self::Decimal => "a decimal number".to_owned(),
            Self::StrictBool | Self::LenientBool => "true or false".to_owned(),
            Self::YesNo => "yes or no".to_owned(),
            Self::Interval => "a whole number of hours, or one with ms, s, m, h or d".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Address => "a host name or an IP address".to_owned(),
            Self::Csv => "words separated by commas".to_owned(),
            Self::Choice(words) => {
                let shown = |word: &&'static str| if word.is_empty() { "empty" } else { *word };
                words.iter().map(shown).collect::<Vec<_>>().join(", ")
            }
            Self::Text => "text".to_owned(),
            Self::Secret => "text, never shown".to_owned(),
            Self::Member => "host:port:port[:role][;[host:]port]".to_owned(),
        }
    }
}

impl Unit {
    /// The plural of the unit, for messages.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Milliseconds => "milliseconds",
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
            Self::Kibibytes => "KiB",
            Self::Ticks => "ticks",
            Self::Port => "ports",
            Self::Count => "things",
        }
    }
}

impl Fallback {
    fn describe(self) -> String {
        match self {
            Self::Is("") => "default empty".to_owned(),
            Self::Is(value) => format!("default {value}"),
            Self::Derived(how) => format!("default: {how}"),
            Self::Unset => "no default".to_owned(),
            Self::Required => "required".to_owned(),
        }
    }
}

impl Disposition {
    fn describe(self) -> String {
        let unless_text =
            |unless: Option<&str>| unless.map_or(String::new(), |value| format!(" unless {value}"));
        match self {
            Self::Honoured => "Honoured".to_owned(),
            Self::Inert(reason) => format!("Accepted without effect: {reason}"),
            Self::Ignored { reason, unless } => {
                format!("Ignored with a warning{}: {reason}", unless_text(unless))
            }
            Self::Refused { reason, unless } => format!("Refused{}: {reason}", unless_text(unless)),
        }
    }
}

/// Exact names go before families, and longer families before shorter ones.
fn matching(name: &str, allowed: impl Fn(Spelling) -> bool) -> Option<(&'static Key, &str)> {
    let candidates = || all().filter(|key| allowed(key.spelling));
    let family = |key: &&Key| {
        let beginning = key.name.strip_suffix('*');
        beginning.is_some_and(|b| name.len() > b.len() && name.starts_with(b))
    };
    candidates()
        .find(|key| key.name == name && !key.is_family())
        .or_else(|| candidates().filter(family).max_by_key(|key| key.name.len()))
        .map(|key| (key, name))
}

/// More differences than this are another word, not a slip.
const NEAR_EDITS_MAX: usize = 3;

/// Insertions, deletions and replacements between two words (Levenshtein).
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// The largest number of ZooKeeper's 32-bit settings.
const INT_MAX: i64 = i32::MAX as i64;
/// The smallest number of ZooKeeper's 32-bit settings.
const INT_MIN: i64 = i32::MIN as i64;

const fn int(min: i64, unit: Unit) -> Kind {
    Kind::Int { min, max: INT_MAX, unit }
}

/// Where 0 and all negative numbers mean "off".
const fn any_int(unit: Unit) -> Kind {
    Kind::Int { min: INT_MIN, max: INT_MAX, unit }
}

const PORT: Kind = Kind::Int { min: 0, max: 65_535, unit: Unit::Port };

const fn ignored(reason: &'static str) -> Disposition {
    Disposition::Ignored { reason, unless: None }
}

const fn ignored_unless(value: &'static str, reason: &'static str) -> Disposition {
    Disposition::Ignored { reason, unless: Some(value) }
}

const fn refused(reason: &'static str) -> Disposition {
    Disposition::Refused { reason, unless: None }
}

const fn refused_unless(value: &'static str, reason: &'static str) -> Disposition {
    Disposition::Refused { reason, unless: Some(value) }
}

const NO_COMPONENT: &str = "Quorate has no such component";
const NO_ADMIN: &str = "the admin HTTP server is not built yet";
const NO_METRICS: &str = "the metrics HTTP endpoint is not built yet";
const NO_TLS: &str = "TLS is not built yet: no TLS listener is opened";
const NO_SASL: &str = "SASL is not built yet: nobody can log in with it";
const TEST_AID: &str = "it is a test aid of the Java server";

/// Rows of the table: `Spelling "name" kind, fallback, disposition, "help";`.
macro_rules! keys {
    ($($spelling:ident $name:literal $kind:expr, $fallback:expr, $disposition:expr,
       $help:literal;)*) => {
        &[$($crate::keys::Key {
            name: $name,
            spelling: $crate::keys::Spelling::$spelling,
            kind: $kind,
            fallback: $fallback,
            disposition: $disposition,
            help: $help,
        }),*]
    };
}
use keys;
