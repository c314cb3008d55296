//! The running server: sockets, threads, files, clocks and logs around the cores.
//!
//! [`Server::start`] recovers the data directory, binds the port and serves; worker threads run
//! the connections, and whichever of them has work for the member drives it. Nothing else in the
//! workspace does I/O for the service. Guarantee: what a client was told is on the disk, and no
//! client can take more of the server than the limits allow.

mod clock;
mod configuration;
mod connection;
mod counters;
mod data_dir;
mod disk;
mod driver;
mod engine;
mod environment;
mod events;
mod facts;
mod failure;
mod hub;
mod inbox;
mod journalist;
mod ledger;
mod limits;
mod listener;
mod peers;
mod published;
mod purge;
mod reads;
mod recovered;
mod server;
mod service;
mod settings;
mod snapshots;
mod standing;
mod sync;
mod table;
mod threads;
mod tree_source;
mod wakes;

pub use data_dir::LockError;
pub use disk::{StdDisk, StdFile};
pub use engine::EngineError;
pub use failure::Failure;
pub use server::{Options, Server, StartError};

#[cfg(test)]
mod tests;
