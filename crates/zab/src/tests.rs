//! Whole ensembles of engines in one room, by directed scenarios.
//!
//! The number in a test's name is that of its scenario in the table of `docs/protocols/zab.md`; names like
//! `zk_3911` are defects of the reference that must not come back.

mod bad_input;
mod basics;
mod broadcast;
mod crashes;
mod defects;
mod discovery;
mod election;
mod masters;
mod observers;
mod reads;
mod reconfiguration;
#[expect(clippy::wildcard_enum_match_arm, reason = "it looks at a few of many events")]
mod room;
mod scripts;
mod synchronization;

use base::Zxid;

/// A zxid as a number.
const fn z(epoch: i64, counter: i64) -> i64 {
    epoch << 32 | counter
}

/// A zxid.
const fn at(epoch: i64, counter: i64) -> Zxid {
    Zxid(z(epoch, counter))
}

/// Milliseconds.
const fn ms(ms: u64) -> std::time::Duration {
    std::time::Duration::from_millis(ms)
}
