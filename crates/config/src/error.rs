//! What can be wrong with a configuration, and where.
//!
//! Errors are collected and reported together, so that one run shows all that must be repaired.
//! Every error names its place, what is wrong and what is allowed; values of secret keys are never
//! part of a text.

use std::fmt;
use std::sync::Arc;

/// A place in the input: a file with a line, or a whole source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// The file's name as given by the caller, or `JVM flags`, or `command line`.
    pub source: Arc<str>,
    /// The line on which the entry begins, from 1; `None` where a source has no lines.
    pub line: Option<u32>,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{} line {line}", self.source),
            None => f.write_str(&self.source),
        }
    }
}

/// One thing that is wrong. The operator mends the input; there is nothing to retry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text cannot be read as properties, flags or arguments.
    #[error("{at}: {wrong} (allowed: {allowed})")]
    Malformed {
        /// Where.
        at: At,
        /// What is wrong.
        wrong: String,
        /// What is allowed.
        allowed: String,
    },
    /// The value of a known key is outside of what the key takes, or contradicts another key.
    #[error("{at}: {key}={value}: {wrong} (allowed: {allowed})")]
    BadValue {
        /// Where.
        at: At,
        /// The key as it was written.
        key: String,
        /// The value, shortened and with secrets hidden.
        value: String,
        /// What is wrong.
        wrong: String,
        /// What is allowed.
        allowed: String,
    },
    /// The value is valid in ZooKeeper, and Quorate cannot do it, or not safely.
    #[error("{at}: {key}={value}: refused: {reason} (allowed: {allowed})")]
    Refused {
        /// Where.
        at: At,
        /// The key as it was written.
        key: String,
        /// The value, shortened and with secrets hidden.
        value: String,
        /// Why.
        reason: String,
        /// What is allowed.
        allowed: String,
    },
    /// A key that has no default is not there.
    #[error("{at}: {key} is not set (allowed: {allowed})")]
    Missing {
        /// The source that should have it.
        at: At,
        /// The key.
        key: &'static str,
        /// What is allowed.
        allowed: String,
    },
}

impl Error {
    /// The place of the error.
    #[must_use]
    pub fn at(&self) -> &At {
        match self {
            Self::Malformed { at, .. }
            | Self::BadValue { at, .. }
            | Self::Refused { at, .. }
            | Self::Missing { at, .. } => at,
        }
    }
}

/// All that is wrong with a configuration, in the order of its lines; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors(pub Vec<Error>);

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// Something that the operator should know although the server starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where.
    pub at: At,
    /// What; begins with the key where there is one.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.text)
    }
}
