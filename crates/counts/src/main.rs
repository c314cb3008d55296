//! The hot paths in batches, each in a process of its own, for an instruction counter to look at.
//!
//! `counts list` names the batches and says how many operations each has; `counts run NAME` sets
//! one up, runs it inside [`measured`], and checks what it did. `cargo xtask counts` runs them
//! under valgrind, which counts in that function alone, and compares with `baseline.txt`.
//! Guarantee: no clock, no entropy, no thread and no I/O is in a batch, so that the same
//! program counts the same.

mod apply;
mod batch;
mod codec;
mod ensemble;
mod house;
mod journal;
mod prepare;
mod requests;
mod service;
mod sink;
mod writes;

use batch::{Batch, Benchmark};
use std::process::ExitCode;

/// All batches, in the order of a request's way.
const BENCHMARKS: &[&[Benchmark]] = &[
    codec::BENCHMARKS,
    prepare::BENCHMARKS,
    journal::BENCHMARKS,
    apply::BENCHMARKS,
    service::BENCHMARKS,
    writes::BENCHMARKS,
    ensemble::BENCHMARKS,
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut all = BENCHMARKS.iter().flat_map(|group| group.iter());
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["list"] => all.for_each(|each| println!("{} {}", each.name, each.operations)),
        ["run", name] => {
            let Some(found) = all.find(|each| each.name == name) else {
                eprintln!("counts: no such batch: {name}");
                return ExitCode::FAILURE;
            };
            let mut batch = (found.set_up)();
            measured(&mut *batch);
            batch.check();
        }
        _ => {
            eprintln!("usage: counts list | counts run NAME");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

/// Where instructions are counted: known to the counter by its name, so never a part of its caller,
/// and never left by a jump into the batch, which would end the count.
#[inline(never)]
fn measured(batch: &mut dyn Batch) {
    let done = batch.run();
    std::hint::black_box(done);
}
