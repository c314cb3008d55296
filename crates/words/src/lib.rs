//! The four-letter words: from facts about a server to the text that ZooKeeper's tools parse.
//!
//! Pure functions. A server implements [`Source`]; [`answer()`] asks it for the facts of one word.
//! A server whose facts live elsewhere can gather them itself: every struct of facts here prints
//! the text of its word with `Display`.
//! Source: the reference's documented words, compared with answers captured from version 3.9.5.

mod answer;
mod conf;
mod connection;
mod date;
mod dump;
mod environment;
mod server;
mod version;
mod watches;
mod word;

#[cfg(test)]
mod tests;

pub use answer::{NOT_SERVING, Source, answer};
pub use conf::{Conf, DirectorySizes, MemberConf};
pub use connection::{Connection, ConnectionSession, Interest, java_address};
pub use date::java_date;
pub use dump::{Buckets, Dump, Sessions};
pub use environment::{Environment, java_arch};
pub use server::{Mode, Server, Stat};
pub use version::{COMPATIBLE_VERSION, full_version};
pub use watches::{WatchesByPath, WatchesBySession, WatchesSummary};
pub use word::{TELNET_INTERRUPT, Whitelist, Word};
