//! Tests of the simulator and, by it, of the members and the engines in it: one program, apart from
//! the library, so that the library is built once for it and for all others.

// Helpers of tests may panic as tests do.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod alone;
mod clock;
mod engines;
mod epochs;
mod ledger;
mod members;
mod scenarios;
mod strikes;
