//! Members in network namespaces are cut off from each other, killed and paused, and what clients
//! see is judged. `E2E_SEED` asks for another run; `--bin partitions` runs for as long as told.

use check::registers::Reads;
use e2e::network::Network;
use e2e::partitions::{Plan, run};
use e2e::registers::Shape;
use e2e::servers::{Kind, number_from};
use std::env;
use std::time::Duration;

#[test]
fn histories_of_a_divided_ensemble_are_linearizable() {
    if let Err(why) = Network::new(1) {
        assert!(env::var_os("QUORATE_TEST_REQUIRED").is_none(), "{why:#}");
        eprintln!("skipped: no network namespaces: {why:#}");
        return;
    }
    let plan = Plan {
        kinds: vec![Kind::Quorate; 3],
        shape: Shape { clients: 3, groups: 6, size: 3, linearizable_reads: false },
        seed: number_from("E2E_SEED", 1),
        time: Duration::from_secs(20),
        operations: 5000,
        reads: Reads::Marked,
    };
    let report = run(&plan).unwrap();
    let held = report.held;
    println!("{held:?}");
    let all = [held.written, held.refused, held.multis, held.reads, held.events, held.unknown];
    assert!(all.iter().all(|many| *many > 0), "the run shows nothing: {held:?}");
}
