//! The configuration of a server: `zoo.cfg`, JVM flags and the command line become one [`Config`].
//!
//! A pure core: text comes in, a typed result or every error at once goes out; no file is opened
//! here. What a key means is said once, in the table of [`keys`]; the parser, the help text and the
//! compatibility rows are read from that table. A key is honoured, or accepted with one warning, or
//! refused with its line, what is wrong and what is allowed. Nothing is dropped in silence, except
//! where the value asks for exactly what happens anyway.
//!
//! Deviations from ZooKeeper: numbers that it would replace by a default in silence are errors;
//! properties that it reads from JVM flags only (`jute.maxbuffer`) also work in the file; a file
//! that is valid UTF-8 is read as such.

mod assemble;
pub mod dynamic;
mod ensemble;
mod error;
mod flags;
pub mod keys;
mod model;
pub mod properties;
mod settings;
mod sources;
mod value;

pub use ensemble::ReadFile;
pub use error::{At, Error, Errors, Warning};
pub use flags::from_jvm_flags;
pub use model::{
    Auth, Config, ConnectionThrottle, Containers, DigestAlgorithm, Engine, Ensemble, Features,
    Files, Limits, Listen, RequestThrottle, Secret, Sessions, SnapshotCompression, Storage, Times,
    Words,
};
pub use sources::{Loaded, Sources};

/// Reads one `zoo.cfg`; `name` is how errors and warnings call the file.
///
/// # Errors
/// All that is wrong with it, in the order of the lines.
pub fn parse(name: &str, bytes: &[u8]) -> Result<Loaded, Errors> {
    Sources::new().file(name, bytes).config()
}

#[cfg(test)]
mod tests;
