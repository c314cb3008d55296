//! Where settings come from, in the order in which they override each other.
//!
//! JVM flags come first, then the file, which overrides them as in ZooKeeper, then the command
//! line. Without any file the defaults of `quorate serve` hold; a file must name its data folder
//! and port.

use std::path::PathBuf;
use std::sync::Arc;

use crate::assemble;
use crate::ensemble::{Outside, ReadFile};
use crate::error::{At, Error, Errors, Warning};
use crate::flags;
use crate::model::Config;
use crate::properties;
use crate::settings::{Entry, Layer, Names, Settings};

/// A configuration that holds, and what should be logged about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What the operator should know, in the order of the sources and of their lines.
    pub warnings: Vec<Warning>,
}

/// The sources of one configuration; each call adds one that overrides those before it within its
/// kind. Whatever the order of the calls, the file overrides flags and the command line overrides
/// both. Nothing fails before [`Sources::config`]. It holds secrets as they were
/// written, and so has no `Debug`.
#[derive(Clone, Default)]
pub struct Sources {
    flags: Vec<Layer>,
    files: Vec<Layer>,
    command_line: Vec<Layer>,
    /// The last file, to say which one lacks a key; `None` if nothing can be missing.
    file_name: Option<Arc<str>>,
    static_file: Option<PathBuf>,
    my_id: Option<u64>,
    warnings: Vec<Warning>,
    errors: Vec<Error>,
}

impl Sources {
    /// No source: all defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds JVM flags, as `-Dzookeeper.snapCount=5 -Dreadonlymode.enabled=true`.
    #[must_use]
    pub fn flags(mut self, text: &str) -> Self {
        let flags = flags::read(text);
        self.warnings.extend(flags.warnings);
        self.errors.extend(flags.errors);
        self.flags.push(Layer { entries: flags.entries, names: Names::Flags });
        self
    }

    /// Adds a file; `name` is its path, by which errors and warnings call it, and beside which an
    /// ensemble keeps its configurations.
    #[must_use]
    pub fn file(mut self, name: &str, bytes: &[u8]) -> Self {
        let source: Arc<str> = Arc::from(name);
        let read = properties::read(name, bytes);
        let entry = |entry: properties::Entry| Entry {
            key: entry.key,
            value: entry.value,
            at: At { source: Arc::clone(&source), line: Some(entry.line) },
        };
        let entries = read.entries.into_iter().map(entry).collect();
        self.files.push(Layer { entries, names: Names::File });
        // What is missing from a file that could not be read wholly is not known.
        self.file_name = Some(source).filter(|_| read.errors.is_empty());
        self.errors.extend(read.errors);
        self.static_file = Some(PathBuf::from(name));
        self
    }

    /// Says which server of an ensemble this is, so that the file `myid` need not be there. If it
    /// is, it must say the same.
    #[must_use]
    pub fn my_id(mut self, id: u64) -> Self {
        self.my_id = Some(id);
        self
    }

    /// Adds one key from the command line, under its name in the file.
    #[must_use]
    pub fn option(mut self, key: &str, value: &str) -> Self {
        let entry = command_line_entry(key, value);
        self.command_line.push(Layer { entries: vec![entry], names: Names::File });
        self
    }

    /// Adds ZooKeeper's positional arguments `<clientPort> <dataDir> [tickTime] [maxClientCnxns]`;
    /// without the last one, connections of one address are not limited.
    #[must_use]
    pub fn positional(mut self, arguments: &[&str]) -> Self {
        if !(2..=POSITIONS.len()).contains(&arguments.len()) {
            self.errors.push(Error::Malformed {
                at: command_line(),
                wrong: format!("{} arguments", arguments.len()),
                allowed: "<clientPort> <dataDir> [tickTime] [maxClientCnxns]".to_owned(),
            });
            return self;
        }
        let given = arguments.iter().copied().map(Some).chain([None, None]);
        let entries = POSITIONS
            .iter()
            .zip(given)
            .filter_map(|((key, absent), given)| {
                given.or(*absent).map(|value| command_line_entry(key, value))
            })
            .collect();
        self.command_line.push(Layer { entries, names: Names::File });
        self
    }

    /// The configuration that the sources make together, where no other files are.
    ///
    /// # Errors
    /// As [`Sources::config_with_files`].
    pub fn config(self) -> Result<Loaded, Errors> {
        self.config_with_files(&|_| Ok(None))
    }

    /// The configuration that the sources make together. The files that an ensemble needs beside
    /// them are read by `read`: `myid`, and those with the servers.
    ///
    /// # Errors
    /// All that is wrong, in the order of the sources and of their lines, then of other files.
    pub fn config_with_files(self, read: ReadFile<'_>) -> Result<Loaded, Errors> {
        let layers: Vec<Layer> =
            [self.flags, self.files, self.command_line].into_iter().flatten().collect();
        let mut settings = Settings::resolve(&layers);
        let outside = Outside {
            read,
            my_id: self.my_id,
            static_file: self.static_file,
            complete: self.file_name,
        };
        let config = assemble::config(&mut settings, &outside);
        let place = |at: &At| {
            let is_here =
                |layer: &Layer| layer.entries.first().is_some_and(|e| e.at.source == at.source);
            let layer = layers.iter().position(is_here).unwrap_or(usize::MAX);
            (layer, at.line.unwrap_or(u32::MAX))
        };
        let mut errors = self.errors;
        errors.append(&mut settings.errors);
        errors.sort_by_key(|error| place(error.at()));
        if !errors.is_empty() {
            return Err(Errors(errors));
        }
        let mut warnings = self.warnings;
        warnings.append(&mut settings.warnings);
        warnings.sort_by_key(|warning| place(&warning.at));
        Ok(Loaded { config, warnings })
    }
}

/// Key, and the value if the argument is absent.
const POSITIONS: [(&str, Option<&str>); 4] =
    [("clientPort", None), ("dataDir", None), ("tickTime", None), ("maxClientCnxns", Some("0"))];

fn command_line() -> At {
    At { source: Arc::from("command line"), line: None }
}

fn command_line_entry(key: &str, value: &str) -> Entry {
    Entry { key: key.to_owned(), value: value.to_owned(), at: command_line() }
}
