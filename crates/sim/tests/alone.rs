//! A server alone.

use sim::{Ending, Fault, Options, Reached, options, run};

/// Runs seeds and fails with everything that a replay needs.
fn seeds(range: std::ops::Range<u64>) -> Reached {
    let mut sum = Reached::default();
    for seed in range {
        let report = run(seed, options(seed));
        assert!(report.violation().is_none(), "{report}");
        sum.add(&report.reached);
    }
    sum
}

#[test]
fn fixed_seeds_converge_and_reach_what_matters() {
    let reached = seeds(0..150);
    for fault in Fault::ALONE {
        let is_met = reached.faults.get(&fault).is_some_and(|times| *times >= 10);
        assert!(is_met, "{fault:?} was hardly met: {reached:#?}");
    }
    // Torn tails are rare in random worlds: a scenario of its own demands them.
    let Reached { judged, .. } = &reached;
    for (count, least) in [
        (reached.power_losses, 200),
        (reached.kills, 50),
        (reached.disk_failures, 50),
        (reached.snapshots, 300),
        (reached.snapshot_steps_with_writes, 300),
        (reached.purged, 100),
        (reached.renewals, 300),
        (reached.refusals, 50),
        (judged.failed_multis, 300),
        (judged.multis - judged.failed_multis, 100),
        (judged.sequential, 300),
        (judged.events.into_iter().min().unwrap_or(0), 300),
        (judged.missed_events, 100),
        (judged.expired, 50),
        (judged.reaped, 50),
        (judged.unknown_done, 50),
    ] {
        assert!(count >= least, "{count} where {least} are due: {reached:#?}");
    }
}

#[test]
fn more_fixed_seeds_converge() {
    seeds(150..300);
}

#[test]
fn a_seed_is_a_run_byte_for_byte() {
    for seed in [3, 32, 77, 191] {
        let [first, second] = [(); 2].map(|()| run(seed, options(seed)));
        assert_eq!((first.hash, first.at), (second.hash, second.at), "seed {seed}");
        assert_eq!(first.reached, second.reached, "seed {seed}");
    }
}

#[test]
fn a_world_without_faults_converges_and_loses_no_connection() {
    for seed in 1000..1010 {
        // Time-outs that no client misses by thinking.
        let tick = std::time::Duration::from_secs(1);
        let options = Options { faults: Vec::new(), tick, ..options(seed) };
        let report = run(seed, options);
        assert_eq!(report.ending, Ending::Converged, "{report}");
        assert_eq!((report.reached.starts, report.reached.renewals), (1, 0), "{report}");
        assert_eq!(report.reached.judged.unknown_done, 0);
    }
}
