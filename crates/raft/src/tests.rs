//! Members in one room: directed scenarios, and random ones.
//!
//! The numbers in the names of tests are those of the scenarios that `docs/protocols/raft.md` lists.

mod bad_input;
mod chaos;
mod elections;
mod histories;
mod membership;
mod reads;
mod recovery;
mod replication;
#[expect(clippy::wildcard_enum_match_arm, reason = "it looks at a few of many messages")]
mod room;
mod scripts;
mod serving;
mod snapshots;
mod transfers;
