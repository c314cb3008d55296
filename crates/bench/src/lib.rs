//! `quorate bench`: load for any ZooKeeper server, and what the server makes of it.
//!
//! A load generator that costs less than what it measures: raw frames from templates on an epoll loop, latencies
//! in histograms, the costs of client and servers beside them. README.md documents the JSON.

mod command;
mod measure;
mod prepare;
mod process;
mod progress;

pub mod histogram;
pub mod load;
pub mod report;
pub mod suite;
pub mod target;

#[cfg(test)]
mod tests;

pub use command::{Arguments, run};
pub use measure::measure;
