//! Counters, gauges and summaries of one node, and their view in `mntr`.
//!
//! All of them are plain fields: nothing is global, so that a simulation can have many nodes, and
//! nothing is atomic. A thread or a connection counts into a block of its own ([`Metrics`],
//! [`Traffic`]); whoever is asked for the numbers merges the blocks.
//!
//! Names, kinds and formats are those of ZooKeeper 3.9.5's default provider. Metrics of machinery
//! that this server does not have are listed as `absent` in the tables: they are shown, always
//! zero, as an idle Java server shows them, so that dashboards do not break.

mod distribution;
mod gauges;
mod number;
mod sets;
mod summary;
mod table;
mod traffic;
mod view;

pub use distribution::Distribution;
pub use gauges::{Gauges, LeaderGauges, QuotaGauges};
pub use number::java_double;
pub use sets::{KEYS_MAX, Keyed, Sets};
pub use summary::Summary;
pub use table::{Counters, Declared, Distributions, Kind, Metrics, Summaries, declared};
pub use traffic::{Sizes, Traffic};
pub use view::{Identity, Value, View, mntr};
